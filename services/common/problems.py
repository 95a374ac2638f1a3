"""Domain error kinds and their one translation to RFC 9457 ``application/problem+json``."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException

from services.common.ids import new_id

log = logging.getLogger(__name__)


class DomainError(Exception):
    """An expected refusal, said in a sentence safe to show; subclasses choose the kind."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.__doc__ or "")
        self.detail = detail or (self.__doc__ or "").strip()
        self.extra = extra


class Malformed(DomainError):
    """The request cannot be read."""

    code = "malformed"


class Unauthenticated(DomainError):
    """Sign in first: the token is missing, expired or not ours."""

    code = "unauthenticated"


class Forbidden(DomainError):
    """You may not do this."""

    code = "forbidden"


class NotFound(DomainError):
    """There is no such thing."""

    code = "not_found"


class Conflict(DomainError):
    """The present state does not allow this."""

    code = "conflict"


class TooLarge(DomainError):
    """The content is too large."""

    code = "too_large"


class UnsupportedType(DomainError):
    """The content is not of an accepted type."""

    code = "unsupported_type"


class Invalid(DomainError):
    """A field breaks a rule; ``pointer`` (RFC 6901) names it."""

    code = "invalid"

    def __init__(self, detail: str, pointer: str = "", **extra: Any) -> None:
        super().__init__(detail, errors=[{"pointer": pointer, "detail": detail}], **extra)


class TooMany(DomainError):
    """Too many requests; ``retry_after`` in seconds."""

    code = "too_many"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part of the system does not answer now; try again."""

    code = "unavailable"


#: The only place where a domain error meets HTTP.
STATUS: Mapping[type[DomainError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: DomainError) -> HTTPStatus:
    """Return the status of the error's nearest kind in :data:`STATUS`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """Build one problem document; ``extra`` members stand beside the standard ones."""
    body = {
        "type": f"https://palabre.bj/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **extra,
    }
    return JSONResponse(
        body, status, headers=dict(headers or {}), media_type="application/problem+json"
    )


def _pointer(location: Sequence[object]) -> str:
    return "".join(f"/{part}" for part in location[1:])


def refusal(error: DomainError) -> Response:
    """Answer with ``error`` without raising it: what the request has written is then committed."""
    headers: dict[str, str] = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status_of(error), error.code, error.detail, headers=headers, **error.extra)


def _on_domain_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # noqa: S101 - registered for this class only
    return refusal(error)


def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem(400, "malformed", "The body is not valid JSON.")
    # The input itself is not echoed: it may be personal, and it may be megabytes.
    errors = [{"pointer": _pointer(e["loc"]), "detail": str(e["msg"])[:200]} for e in found[:20]]
    return problem(422, "invalid", "Some fields break a rule.", errors=errors)


def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


def _on_database_down(_: Request, error: Exception) -> Response:
    log.error("database unavailable: %s", type(error.__cause__ or error).__name__)
    return problem(
        503, "unavailable", "The service cannot reach its data now.", headers={"Retry-After": "2"}
    )


def _on_database_error(_: Request, error: Exception) -> Response:
    """Log what kind of error and where: PostgreSQL's own words quote the row, a person's data."""
    assert isinstance(error, DBAPIError)  # noqa: S101
    incident = str(new_id())
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    kind, state = type(error.orig).__name__, getattr(error.orig, "pgcode", None)
    log.error("incident %s: %s, SQLSTATE %s\n%s", incident, kind, state, where)
    return problem(500, "internal", "Something failed on our side.", incident=incident)


def _on_unexpected(request: Request, error: Exception) -> Response:
    incident = str(new_id())
    # As it was sent: a decoded path may hold line breaks, and forge lines of the log.
    log.error("incident %s on %r", incident, request.scope.get("raw_path"), exc_info=error)
    # The server drops the connection after this; said, nobody sends another request on it.
    headers = {"Connection": "close"}
    said = "Something failed on our side."
    return problem(500, "internal", said, headers=headers, incident=incident)


def install(app: FastAPI) -> None:
    """Register the handlers on ``app``."""
    app.add_exception_handler(DomainError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(OperationalError, _on_database_down)
    app.add_exception_handler(DBAPIError, _on_database_error)
    app.add_exception_handler(Exception, _on_unexpected)


def responses(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI ``responses`` entry of an endpoint that may raise ``errors``."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        status = next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)
        found[int(status)] = {
            "description": (error.__doc__ or "").strip(),
            "content": {"application/problem+json": {}},
        }
    return found
