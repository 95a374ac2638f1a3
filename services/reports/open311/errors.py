"""What Open311 may refuse, and its own way to say any refusal under ``/open311/``."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.problems import Forbidden, Invalid, NotFound
from services.reports.open311.formats import format_of, render

ROOT = "/open311/"

#: Our names of a report's parts → the parameters of GeoReport v2.
NAMES: Mapping[str, str] = {
    "lon": "long",
    "category": "service_code",
    "commune": "jurisdiction_id",
    "arrondissement": "address_id",
    "landmark": "address_string",
    "photos": "media",
}

#: Statuses that stay what they are; GeoReport v2 wants 400 for every other refusal.
KEPT = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)


class BadKey(Forbidden):
    """The api_key is missing, unknown or revoked."""

    code = "bad_api_key"


class WrongJurisdiction(Forbidden):
    """This api_key is for another commune."""

    code = "wrong_jurisdiction"


class OnlyForTests(Forbidden):
    """This api_key is for the test endpoint only."""

    code = "test_key_only"


class UnknownJurisdiction(NotFound):
    """No commune has this jurisdiction_id."""

    code = "unknown_jurisdiction"


class UnknownService(NotFound):
    """There is no service with this service_code."""

    code = "unknown_service"


class ClientNotFound(NotFound):
    """There is no such client."""

    code = "client_not_found"


class BadParameters(Invalid):
    """Some parameters break a rule; ``found`` holds ``(parameter, what is wrong)``."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        super().__init__("Some parameters break a rule.")
        self.extra["errors"] = [{"pointer": f"/{name}", "detail": words} for name, words in found]


def as_errors(problem: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Return the status and the list that Open311 makes of a problem document."""
    status = int(problem["status"])
    if status not in KEPT:
        status = HTTPStatus.BAD_REQUEST
    words = [_words(error) for error in problem.get("errors", ())] or [problem["detail"]]
    if incident := problem.get("incident"):
        words = [f"{words[0]} ({incident})"]
    return int(status), [{"code": int(status), "description": said} for said in words]


def _words(error: dict[str, str]) -> str:
    name = error["pointer"].removeprefix("/")
    name = NAMES.get(name, name)
    said = error["detail"].removeprefix("Value error, ")
    return f"{name}: {said}" if name else said


class InOwnFormat:
    """ASGI middleware, outside all others: problems under ``/open311/`` leave as its errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            await self.app(scope, receive, send)
            return
        started = False
        head: Message | None = None
        body = bytearray()

        async def translated(message: Message) -> None:
            nonlocal started, head
            if message["type"] == "http.response.start" and _is_problem(message):
                head = message
                return
            if head is not None and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    started = True
                    await _answer(scope["path"], head, bytes(body))(scope, receive, send)
                return
            started = True
            await send(message)

        try:
            await self.app(scope, receive, translated)
        except Exception as error:
            if started:
                raise
            # The application's own last handler logs it and words the answer.
            unexpected = scope["app"].exception_handlers[Exception]
            await unexpected(Request(scope), error)(scope, receive, translated)


def _is_problem(message: Message) -> bool:
    return (b"content-type", b"application/problem+json") in message["headers"]


def _answer(path: str, head: Message, body: bytes) -> Response:
    status, errors = as_errors(json.loads(body))
    answer = render(format_of(path), "errors", errors, status)
    ours = {b"content-type", b"content-length"}
    answer.raw_headers += [(n, v) for n, v in head["headers"] if n not in ours]
    return answer
