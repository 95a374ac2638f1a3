"""The services over HTTP: one pool each, short time-outs, small functions that say what they do.

:data:`gateway.session.ApiDep` speaks for the request's person. Answers are the services'
JSON as it is; a refusal is :class:`ServiceProblem`, silence is :class:`ServiceDown`. A GET that
finds a connection broken is tried once more.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import quote

import httpx2 as httpx
from fastapi import Request

from gateway.errors import ServiceDown, ServiceProblem
from services.common.events.envelope import new_traceparent
from services.common.settings import Settings

Name = Literal["accounts", "reports", "proposals", "voting"]
NAMES: tuple[Name, ...] = ("accounts", "reports", "proposals", "voting")
Json = dict[str, Any]

TIMEOUT = httpx.Timeout(5.0, connect=2.0)
#: Between two pieces of a long download.
EXPORT_TIMEOUT = httpx.Timeout(30.0, connect=2.0)
#: Shorter than the 5 s after which uvicorn closes an idle connection: none is found closed.
LIMITS = httpx.Limits(max_connections=40, max_keepalive_connections=20, keepalive_expiry=2.0)
TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Services:
    """The pooled connections of one process."""

    def __init__(self, settings: Settings) -> None:
        self.clients: Mapping[Name, httpx.Client] = {
            name: httpx.Client(base_url=url, timeout=TIMEOUT, limits=LIMITS, trust_env=False)
            for name, url in addresses(settings).items()
        }

    def close(self) -> None:
        """Close every connection."""
        for client in self.clients.values():
            client.close()


def addresses(settings: Settings) -> dict[Name, str]:
    """Return where each service answers."""
    return {
        "accounts": settings.accounts_url,
        "reports": settings.reports_url,
        "proposals": settings.proposals_url,
        "voting": settings.voting_url,
    }


@dataclass(frozen=True, slots=True)
class Api:
    """The services on behalf of one request. ``key`` is the Idempotency-Key of a write."""

    services: Services
    headers: Mapping[str, str]
    token: Callable[[], str | None]

    # accounts

    def ask_code(self, phone: str) -> Json:
        """Have a sign-in code sent; in the demonstration ``demo_code`` is in the answer."""
        return self._post("accounts", "auth/codes", {"phone": phone})

    def sign_in(self, phone: str, code: str) -> Json:
        """Exchange a code for tokens: give them to :func:`gateway.session.sign_in`."""
        return self._post("accounts", "auth/tokens", {"phone": phone, "code": code})

    def refresh(self, refresh_token: str) -> Json:
        """Return a new access token of a session."""
        return self._post("accounts", "auth/refresh", {"refresh_token": refresh_token})

    def sign_out(self, refresh_token: str) -> None:
        """End a session."""
        self._post("accounts", "auth/sign-out", {"refresh_token": refresh_token})

    def me(self) -> Json:
        """Return ``{id, phone (masked), roles: [{role, scope}]}``."""
        return self._get("accounts", "auth/me")

    # reports

    def categories(self) -> list[Json]:
        """Return ``[{code, label: {fr, en}, icon, agency, radius_m, sensitive}]`` in order."""
        return cast(list[Json], self._send("reports", "GET", "categories"))

    def reports(self, **query: Any) -> Json:
        """Return a FeatureCollection with ``next``; filters as in ``GET /api/v1/reports``."""
        return self._get("reports", "reports", query)

    def report(self, ref: str, follow_up: str = "") -> Json:
        """Return one report by id or ref, as this person (or the code's holder) may see it."""
        return cast(
            Json,
            self._send("reports", "GET", f"reports/{_part(ref)}", headers=_follow_up(follow_up)),
        )

    def my_reports(self) -> list[Json]:
        """Return what this person sent or supports, the latest change first."""
        return cast(list[Json], self._send("reports", "GET", "reports/mine"))

    def duplicates(self, lon: float, lat: float, category: str) -> Json:
        """Return open reports of the category near a point."""
        return self._get(
            "reports", "reports/duplicates", {"lon": lon, "lat": lat, "category": category}
        )

    def preview(self, texts: Json) -> Json:
        """Return how the public will read ``{description, landmark}``, and what looks personal."""
        return self._post("reports", "reports/preview", texts)

    def upload(self, data: bytes, key: str | None = None, kind: str = "") -> Json:
        """Store a photo, or with ``kind`` "voice" a voice note; return at least its ``id``."""
        headers = {"Content-Type": "application/octet-stream"}
        path = f"uploads/{kind}" if kind else "uploads"
        return cast(
            Json, self._send("reports", "POST", path, content=data, headers=headers, key=key)
        )

    def create_report(self, report: Json, key: str | None = None) -> Json:
        """Pin a problem; return ``{id, ref, status, commune, category, follow_up_token?}``."""
        return self._post("reports", "reports", report, key)

    def change_report(
        self, ref: str, what: str, body: Json, key: str | None = None, follow_up: str = ""
    ) -> Json:
        """Change one report and return it: ``what`` is status, unmerge, correction or redaction.

        ``follow_up`` is the code that an anonymous reporter was given.
        """
        path = f"reports/{_part(ref)}/{what}"
        headers = _follow_up(follow_up)
        return cast(Json, self._send("reports", "POST", path, json=body, key=key, headers=headers))

    def support(self, ref: str, key: str | None = None) -> int:
        """Say "me too" and return how many did."""
        return int(self._post("reports", f"reports/{_part(ref)}/support", {}, key)["supports"])

    def hotspots(self, **query: Any) -> Json:
        """Return the cells of a commune with its ranked ``hotspots`` and ``silent`` areas."""
        return self._get("reports", "hotspots", query)

    def hotspot(self, ref: str) -> Json:
        """Return one stored hotspot with its reports."""
        return self._get("reports", f"hotspots/{_part(ref)}")

    def draft_from_hotspot(self, ref: str, proposal_ref: str, key: str | None = None) -> Json:
        """Record which proposal was drafted from a hotspot, and return it."""
        body = {"proposal_ref": proposal_ref}
        return self._post("reports", f"hotspots/{_part(ref)}/proposal", body, key)

    def desk(self, commune: str, what: str, **query: Any) -> Any:
        """Read from the desk of a commune: reports, agents, targets, routing, round, stats…"""
        return self._send("reports", "GET", f"desk/{_part(commune)}/{what}", query=query)

    def desk_write(
        self, commune: str, what: str, body: Json, key: str | None = None, method: str = "POST"
    ) -> Any:
        """Write at the desk of a commune; ``what`` is the path under it, made of plain segments."""
        path = f"desk/{_part(commune)}/{'/'.join(map(_part, what.split('/')))}"
        return self._send("reports", method, path, json=body, key=key)

    def desk_export(self, commune: str, kind: str, **query: Any) -> httpx.Response:
        """Open a download of what the desk's filters show; close it after reading."""
        return self._open("reports", f"desk/{_part(commune)}/export.{_part(kind)}", query)

    # proposals

    def budget(self, *path: str, **query: Any) -> Any:
        """Read from the proposals service; each of ``path`` is one segment under ``/api/v1``."""
        return self._send("proposals", "GET", "/".join(map(_part, path)), query=query)

    def budget_write(
        self, *path: str, body: Json | None = None, key: str | None = None, method: str = "POST"
    ) -> Any:
        """Write to the proposals service and return its answer."""
        segments = "/".join(map(_part, path))
        return self._send("proposals", method, segments, json=body or {}, key=key)

    def budget_file(self, data: bytes, name: str = "", geotag: bool = False) -> str:
        """Keep a photo, or with a ``name`` a PDF document; return its id."""
        query = {"name": name} if name else {"geotag": "1"} if geotag else {}
        path = "files/documents" if name else "files"
        headers = {"Content-Type": "application/octet-stream"}
        made = self._send("proposals", "POST", path, query=query, content=data, headers=headers)
        return str(made["id"])

    def show_file(self, file: str, size: str) -> httpx.Response:
        """Open a photo or document as this person may see it; close it after reading."""
        return self._open("proposals", f"files/{_part(file)}", {"size": size})

    def campaigns(self, **query: Any) -> list[Json]:
        """Return campaigns, newest first, filtered by ``commune`` and ``phase``."""
        return cast(list[Json], self.budget("campaigns", **query)["items"])

    def campaign(self, campaign: str) -> Json:
        """Return one campaign with its counts and the phases this person may open."""
        return cast(Json, self.budget("campaigns", campaign))

    def proposals(self, **query: Any) -> Json:
        """Return a FeatureCollection with ``next``; filters as in ``GET /api/v1/proposals``."""
        return cast(Json, self.budget("proposals", **query))

    def proposal(self, ref: str) -> Json:
        """Return one proposal by id or ref."""
        return cast(Json, self.budget("proposals", ref))

    # voting

    def elections(self, **query: Any) -> list[Json]:
        """Return elections, filtered by ``campaign`` and ``commune``."""
        return cast(list[Json], self._get("voting", "elections", query)["items"])

    def election(self, election: str) -> Json:
        """Return one election with its projects."""
        return self._get("voting", f"elections/{_part(election)}")

    def cast_ballot(self, election: str, ballot: Json, key: str | None = None) -> Json:
        """Cast or replace a ballot: ``{choices, replace_token?}``."""
        return self._post("voting", f"elections/{_part(election)}/ballots", ballot, key)

    def close_election(self, election: str, reason: str = "", key: str | None = None) -> Json:
        """Close an election and have it tallied; before its announced end it takes a reason."""
        body = {"reason": reason}
        return self._post("voting", f"elections/{_part(election)}/close", body, key)

    def results(self, election: str) -> Json:
        """Return the published results; :class:`ServiceProblem` 409 before."""
        return self._get("voting", f"elections/{_part(election)}/results")

    def _headers(self) -> dict[str, str]:
        token = self.token()
        return {**self.headers, **({"Authorization": f"Bearer {token}"} if token else {})}

    def _get(self, service: Name, path: str, query: Mapping[str, Any] | None = None) -> Json:
        return cast(Json, self._send(service, "GET", path, query=query))

    def _post(self, service: Name, path: str, body: Json, key: str | None = None) -> Json:
        return cast(Json, self._send(service, "POST", path, json=body, key=key))

    def _open(self, service: Name, path: str, query: Mapping[str, Any]) -> httpx.Response:
        """Begin to read a long answer; a refusal is read and raised."""
        client = self.services.clients[service]
        given = {k: v for k, v in query.items() if v is not None}
        asked = client.build_request(
            "GET", f"/api/v1/{path}", params=given, headers=self._headers(), timeout=EXPORT_TIMEOUT
        )
        try:
            answer = client.send(asked, stream=True)
        except httpx.TransportError:
            raise ServiceDown(f"The service {service} does not answer now.") from None
        if not answer.is_success:
            try:
                answer.read()
            finally:
                answer.close()
            _read(answer)
        return answer

    def _send(
        self,
        service: Name,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        **content: Any,
    ) -> Any:
        sent = {**self._headers(), **(headers or {})}
        if key:
            sent["Idempotency-Key"] = quote(key)  # a form's field: it may hold anything
        given = {k: v for k, v in (query or {}).items() if v is not None}
        client = self.services.clients[service]
        for last in (False, True) if method == "GET" else (True,):
            try:
                answer = client.request(
                    method, f"/api/v1/{path}", params=given, headers=sent, **content
                )
            except httpx.TransportError as error:
                if last or isinstance(error, httpx.TimeoutException):
                    raise ServiceDown(f"The service {service} does not answer now.") from None
                continue
            if last or answer.status_code not in (502, 503):
                return _read(answer)
        raise AssertionError  # pragma: no cover - the last turn returns or raises


#: The members of a problem that are no news of the thing itself.
_STANDARD = frozenset(("type", "title", "status", "code", "detail", "errors"))


def _follow_up(code: str) -> Mapping[str, str]:
    return {"X-Follow-Up-Token": code} if code else {}


def _part(value: str) -> str:
    """Quote one segment of a path, so that it can only be one."""
    return quote(value, safe="").replace(".", "%2E")


def _read(answer: httpx.Response) -> Any:
    if answer.status_code == 503:
        raise ServiceDown
    if answer.is_success:
        return answer.json() if answer.content else {}
    try:
        found = answer.json()
        problem = ServiceProblem(
            answer.status_code,
            str(found["code"]),
            str(found["detail"]),
            [e for e in found.get("errors", []) if isinstance(e, dict)],
            {k: v for k, v in found.items() if k not in _STANDARD},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = ServiceProblem(502, "bad_gateway", "A service gave an answer we cannot read.")
    retry_after = answer.headers.get("retry-after", "")
    problem.retry_after = int(retry_after) if retry_after.isdigit() else None
    raise problem


def api(request: Request, token: Callable[[], str | None] = lambda: None) -> Api:
    """Return the services for the person whose access token ``token`` gives, else for nobody."""
    given = request.headers.get("traceparent", "")
    headers = {
        "Accept": "application/json",
        "X-Forwarded-For": request.client.host if request.client else "unknown",
        "traceparent": given if TRACEPARENT.fullmatch(given) else new_traceparent(),
    }
    return Api(request.app.state.services, headers, token)
