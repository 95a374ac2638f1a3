"""``/api/v1/…`` of the services behind one address; answers are streamed.

Tokens pass, cookies do not: what a browser sends by itself gives no right here. The services are
told the client's address as this server sees it; what the client claims about it is dropped.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2 as httpx
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy import text
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.bodies import Held
from gateway.clients import LIMITS, NAMES, Name, addresses
from services.common import health
from services.common.events.envelope import new_traceparent
from services.common.problems import NotFound, problem
from services.common.settings import Settings

router = APIRouter()

#: The first segment after /api/v1/ → who answers.
ROUTES: Mapping[str, Name] = {
    "auth": "accounts",
    "reports": "reports",
    "categories": "reports",
    "uploads": "reports",
    "hotspots": "reports",
    "desk": "reports",
    "feeds": "reports",
    **dict.fromkeys(
        (
            "campaigns",
            "proposals",
            "merges",
            "amendments",
            "endorsement-offers",
            "follows",
            "comments",
            "abuse-reports",
            "moderation",
            "reviews",
            "works",
            "files",
            "unit-costs",
            "cost-estimates",
        ),
        "proposals",
    ),
    "elections": "voting",
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
TIMEOUT = httpx.Timeout(30.0, connect=2.0)

#: RFC 9110, 7.6.1, and what is said about the client by nobody but us.
HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade".split()
)
NOT_FORWARDED = HOP_BY_HOP | frozenset(
    "host cookie forwarded x-real-ip x-forwarded-for x-forwarded-host x-forwarded-proto "
    "x-forwarded-port x-forwarded-prefix expect content-length".split()
)
NOT_RETURNED = HOP_BY_HOP | {"server", "date", "set-cookie"}
READY_SECONDS = 2.0
#: Seconds that a client may take no byte of an answer: it holds one of our connections meanwhile.
READER_SECONDS = 30.0


class Upstreams:
    """The asynchronous connections of one process."""

    def __init__(self, settings: Settings) -> None:
        self.urls = addresses(settings)
        self.client = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, trust_env=False)
        #: Our own questions: they must not wait behind what citizens ask.
        self.own = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, trust_env=False)
        self.openapi: dict[str, dict[str, Any]] = {}
        self.openapi_at = float("-inf")

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()
        await self.own.aclose()


async def forward(path: str, request: Request) -> Response:
    """Hand a request to the service of its prefix and its answer back."""
    name = ROUTES.get(path.split("/", 1)[0])
    if name is None:
        raise NotFound
    return await send_on(name, request)


async def send_on(name: Name, request: Request) -> Response:
    """Send a request as it is to the service ``name`` and its answer back."""
    raw: bytes = request.scope["raw_path"]
    # A client library would resolve dot segments, and so leave the prefix.
    if not _plain(raw):
        raise NotFound
    upstreams: Upstreams = request.app.state.upstreams
    base = upstreams.urls[name]
    query: bytes = request.scope["query_string"]
    url = httpx.URL(base).copy_with(raw_path=raw + (b"?" + query if query else b""))
    headers = _request_headers(request)
    body = None
    try:
        if "content-length" in request.headers or "transfer-encoding" in request.headers:
            # First the whole body, then a connection: else 40 slow clients would hold them all.
            body = await Held.of(request)
            headers.append((b"content-length", str(body.size).encode()))
        sent = upstreams.client.build_request(request.method, url, headers=headers, content=body)
        answer = await _send(upstreams.client, sent)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    except httpx.TimeoutException:
        return _down(503, name)
    except httpx.TransportError as error:
        return _down(503 if isinstance(error, httpx.ConnectError) else 502, name)
    finally:
        if body:
            body.close()
    return Streamed(answer, _response_headers(answer, base))


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send it, once more when a connection broke before the answer and that cannot do harm.

    Harmless: what only reads, what the service will know again by its key, what never left.
    """
    try:
        return await client.send(request, stream=True)
    except httpx.TimeoutException:
        raise
    except httpx.TransportError as error:
        again = request.method == "GET" or "idempotency-key" in request.headers
        if not again and not isinstance(error, httpx.ConnectError | httpx.WriteError):
            raise
    return await client.send(request, stream=True)


class Streamed(StreamingResponse):
    """A service's answer as it comes, byte for byte; always closed, also when the client left."""

    def __init__(self, answer: httpx.Response, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code)
        self.raw_headers = headers
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a client that reads none of it is left."""

        async def timed(message: Message) -> None:
            async with asyncio.timeout(READER_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, timed)
        except TimeoutError:
            pass  # the server closes what is not complete
        finally:
            await self._answer.aclose()


def _plain(raw_path: bytes) -> bool:
    """Tell whether a path has no dot segment, backslash or control character, however written."""
    path = unquote(unquote(raw_path.decode("ascii", "replace")))
    segments = path.replace("\\", "/").split("/")
    return not {".", ".."} & set(segments) and path.isprintable() and "\\" not in path


def _dropped(headers: Iterable[tuple[bytes, bytes]], names: frozenset[str]) -> set[bytes]:
    """Return ``names`` and those that ``Connection`` lists."""
    listed = b",".join(value for name, value in headers if name.lower() == b"connection")
    return {n.encode() for n in names} | {n.strip().lower() for n in listed.split(b",")}


def _request_headers(request: Request) -> list[tuple[bytes, bytes]]:
    dropped = _dropped(request.headers.raw, NOT_FORWARDED)
    kept = [(n, v) for n, v in request.headers.raw if n.lower() not in dropped]
    names = {n.lower() for n, _ in kept}
    for name, value in (
        (b"accept-encoding", b"identity"),  # else the client library asks for what it can decode
        (b"user-agent", b"-"),
        (b"traceparent", new_traceparent().encode()),
    ):
        if name not in names:
            kept.append((name, value))
    address = request.client.host if request.client else "unknown"
    kept.append((b"x-forwarded-for", address.encode()))
    kept.append((b"x-forwarded-proto", request.url.scheme.encode()))
    # The name by which the client knows us: some standards want absolute links.
    kept.append((b"x-forwarded-host", request.headers.get("host", "").encode("latin-1")))
    return kept


def _response_headers(answer: httpx.Response, base: str) -> list[tuple[bytes, bytes]]:
    dropped = _dropped(answer.headers.raw, frozenset(NOT_RETURNED))
    kept = []
    for raw_name, value in answer.headers.raw:
        name = raw_name.lower()
        if name == b"location":
            value = relative(value.decode("latin-1"), base).encode("latin-1")
        if name not in dropped:
            kept.append((name, value))
    return kept


def relative(location: str, base: str) -> str:
    """Return ``location`` without a service's own address, which means nothing outside."""
    found, ours = urlsplit(location), urlsplit(base)
    if found.netloc != ours.netloc:
        return location
    return found._replace(scheme="", netloc="").geturl()


def _down(status: int, name: str) -> Response:
    code, said = (
        ("unavailable", "does not answer now")
        if status == 503
        else (
            "bad_gateway",
            "broke off its answer",
        )
    )
    return problem(
        status, code, f"The service {name} {said}; try again.", headers={"Retry-After": "2"}
    )


# The documents of the services, as one.

OPENAPI_SECONDS = 60.0


@router.get("/api/v1/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """OpenAPI of everything under ``/api/v1``, from the services' live documents."""
    upstreams: Upstreams = request.app.state.upstreams
    if time.monotonic() - upstreams.openapi_at > OPENAPI_SECONDS:
        found = await asyncio.gather(*(_document(upstreams, name) for name in NAMES))
        missing = [n for n, d in zip(NAMES, found, strict=True) if d is None]
        for name in missing:
            if name not in upstreams.openapi:
                return _down(503, name)
        upstreams.openapi |= {n: d for n, d in zip(NAMES, found, strict=True) if d is not None}
        if not missing:
            upstreams.openapi_at = time.monotonic()
    own: FastAPI = request.app
    return JSONResponse(merged(own.openapi(), upstreams.openapi))


async def _document(upstreams: Upstreams, name: Name) -> dict[str, Any] | None:
    try:
        answer = await upstreams.own.get(f"{upstreams.urls[name]}/api/v1/openapi.json")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
    except (httpx.HTTPError, ValueError):
        return None


def merged(own: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document; a schema name that two use differently gets its service before it."""
    paths: dict[str, Any] = dict(own.get("paths", {}))
    components: dict[str, dict[str, Any]] = {
        kind: dict(held) for kind, held in own.get("components", {}).items()
    }
    for name, document in others.items():
        held = document.get("components", {})
        schemas = components.setdefault("schemas", {})
        renamed = {
            schema: f"{name.capitalize()}{schema}"
            for schema, body in held.get("schemas", {}).items()
            if schemas.get(schema, body) != body
        }
        document = _renamed(document, renamed)
        for kind, found in document.get("components", {}).items():
            for key, body in found.items():
                new = renamed.get(key, key) if kind == "schemas" else key
                components.setdefault(kind, {})[new] = body
        paths |= {
            path: body
            for path, body in document.get("paths", {}).items()
            if path.startswith("/api/v1/")
        }
    return {**own, "paths": dict(sorted(paths.items())), "components": components}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return ``value`` with every ``$ref`` to a renamed schema following it."""
    if isinstance(value, dict):
        return {k: _ref(v, names) if k == "$ref" else _renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


_SCHEMA = re.compile(r"#/components/schemas/(.+)")


def _ref(target: Any, names: Mapping[str, str]) -> Any:
    found = _SCHEMA.fullmatch(str(target))
    return f"#/components/schemas/{names[found[1]]}" if found and found[1] in names else target


# Operations.

router.add_api_route("/healthz", health.healthz, include_in_schema=False)
router.add_api_route("/metrics", health.metrics, include_in_schema=False)


@router.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Answer 200 when the database and every service are ready, else 503 naming which is not."""
    upstreams: Upstreams = request.app.state.upstreams
    checks = [_database(request.app), *(_service(upstreams, name) for name in NAMES)]
    ready = await asyncio.gather(*checks)
    waiting = [n for n, ok in zip(("database", *NAMES), ready, strict=True) if not ok]
    if waiting:
        said = ", ".join(waiting)
        return problem(503, "not_ready", f"Not ready: {said}.", not_ready=waiting)
    return JSONResponse({"status": "ready"})


async def _database(app: FastAPI) -> bool:
    def ask() -> bool:
        with app.state.engine.connect() as connection:
            # The migrated schema and the loaded communes, not just a server.
            connection.execute(text("SELECT version FROM layer_versions LIMIT 1"))
            return bool(connection.scalar(text("SELECT count(*) FROM reference.communes")))

    try:
        return await asyncio.wait_for(asyncio.to_thread(ask), READY_SECONDS)
    except Exception:
        return False


async def _service(upstreams: Upstreams, name: Name) -> bool:
    try:
        answer = await upstreams.own.get(f"{upstreams.urls[name]}/readyz", timeout=READY_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


# Last: it takes every path that nobody above took.
router.add_api_route("/api/v1/{path:path}", forward, methods=METHODS, include_in_schema=False)


async def standard(request: Request) -> Response:
    """Hand a request under a standard's own paths to the service that speaks it."""
    return await send_on("reports", request)


for _prefix in ("/open311", "/ogc"):
    for _path in (_prefix, f"{_prefix}/{{path:path}}"):
        router.add_api_route(_path, standard, methods=METHODS, include_in_schema=False)
