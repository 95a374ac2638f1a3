"""HTTP of Open311 GeoReport v2, and the desk's list of the clients that hold keys."""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile

from services.common import rates
from services.common.auth import CurrentPrincipal
from services.common.db import SessionDep
from services.common.idempotency import IdempotencyKey, Once, OnceDep
from services.common.problems import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    TooLarge,
    UnsupportedType,
    responses,
)
from services.common.rates import keyed_digest
from services.reports.domain import MAX_PHOTOS
from services.reports.links import Base
from services.reports.open311 import domain, service
from services.reports.open311.errors import ROOT, InOwnFormat
from services.reports.open311.formats import FORMATS, render
from services.reports.open311.schemas import (
    ClientIssued,
    ClientOut,
    Form,
    Jurisdiction,
    NewClient,
    RequestsQuery,
    make_form,
)

CLIENTS = "clients.manage"
PRODUCTION, TEST = f"{ROOT}v2", f"{ROOT}test/v2"
#: For ``create_app``: a form may bring photos.
BODY_LIMITS = {f"{prefix}/requests": domain.MULTIPART_BYTES for prefix in (PRODUCTION, TEST)}

#: Served under both prefixes.
resources = APIRouter(tags=["open311"])


def install(app: FastAPI) -> None:
    """Let refusals under ``/open311/`` leave in Open311's format; call it last: it sees all."""
    app.add_middleware(InOwnFormat)


def extension_of(
    extension: Annotated[str, Path(json_schema_extra={"enum": list(FORMATS)})],
) -> str:
    """Return the format of a path; :class:`NotFound` for another."""
    if extension not in FORMATS:
        raise NotFound(f"The formats are {' and '.join(FORMATS)}.")
    return extension


def is_test(request: Request) -> bool:
    """Tell whether the test endpoint is asked."""
    return request.url.path.startswith(TEST)


Extension = Annotated[str, Depends(extension_of)]
IsTest = Annotated[bool, Depends(is_test)]
Asked = Annotated[Jurisdiction, Query()]

_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {} for media in FORMATS.values()}},
    **{
        status: {"description": said, "content": {media: {} for media in FORMATS.values()}}
        for status, said in {
            400: "A parameter is missing or breaks a rule.",
            404: "There is no such thing, or no such jurisdiction.",
        }.items()
    },
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"description": "The api_key is missing, wrong, or another commune's."},
    413: {"description": "The form is too large."},
    429: {"description": "The client sent too many requests this hour."},
}


@resources.get("/discovery.{extension}", response_class=Response, responses=_ANSWER)
def discovery(extension: Extension, url: Base) -> Response:
    """Where production and test are reached, and when services last changed."""
    endpoints = {"production": url + PRODUCTION, "test": url + TEST}
    return render(extension, "discovery", service.discovery(endpoints))


@resources.get("/services.{extension}", response_class=Response, responses=_ANSWER)
def services(extension: Extension, session: SessionDep, asked: Asked) -> Response:
    """The kinds of problems that can be reported."""
    service.known_jurisdiction(session, asked.jurisdiction_id)
    return render(extension, "services", service.catalogue())


@resources.get("/services/{code}.{extension}", response_class=Response, responses=_ANSWER)
def definition(code: str, extension: Extension, session: SessionDep, asked: Asked) -> Response:
    """The questions that a service asks."""
    service.known_jurisdiction(session, asked.jurisdiction_id)
    return render(extension, "service_definition", service.definition(code))


@resources.get("/requests.{extension}", response_class=Response, responses=_ANSWER)
def requests(
    extension: Extension,
    session: SessionDep,
    url: Base,
    query: Annotated[RequestsQuery, Query()],
) -> Response:
    """Public reports, newest first: 90 days and 1000 of them at most."""
    found = service.find(session, query, url, datetime.now(UTC))
    return render(extension, "service_requests", found)


@resources.get("/requests/{key}.{extension}", response_class=Response, responses=_ANSWER)
def one_request(
    key: str, extension: Extension, session: SessionDep, url: Base, asked: Asked
) -> Response:
    """One public report, as a list of one."""
    found = service.one(session, key, asked.jurisdiction_id, url)
    return render(extension, "service_requests", found)


@resources.get("/tokens/{key}.{extension}", response_class=Response, responses=_ANSWER)
def token(key: str, extension: Extension, session: SessionDep, asked: Asked) -> Response:
    """The id that a token stands for; ids are given at once, and are their own tokens."""
    found = service.token(session, key, asked.jurisdiction_id)
    return render(extension, "service_requests", found)


async def read_form(request: Request) -> AsyncIterator[Form]:
    """Read a form, URL-encoded or multipart, in UTF-8; its files are closed at the end."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    charset = options.get(b"charset", b"utf-8").lower()
    if charset not in (b"utf-8", b"utf8", b"us-ascii"):
        raise UnsupportedType("Texts are sent in UTF-8.")
    if kind == b"application/x-www-form-urlencoded":
        yield make_form(_pairs(await _short_body(request)))
    elif kind == b"multipart/form-data":
        async with request.form(
            max_files=MAX_PHOTOS + 1,
            max_fields=domain.MAX_FIELDS,
            max_part_size=domain.FORM_BYTES,
        ) as form:
            sent = form.multi_items()
            yield make_form(
                [(name, value) for name, value in sent if isinstance(value, str)],
                [value.file for _, value in sent if isinstance(value, UploadFile) and value.size],
            )
    else:
        raise UnsupportedType(
            "Send a form: application/x-www-form-urlencoded or multipart/form-data."
        )


async def _short_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > domain.FORM_BYTES:
            raise TooLarge(f"A form without files may have {domain.FORM_BYTES} bytes at most.")
    return bytes(body)


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=domain.MAX_FIELDS
        )
    except ValueError:
        raise Malformed("The form cannot be read: too many fields, or no UTF-8.") from None


def fingerprint_of(form: Form, *, test: bool) -> bytes:
    """Return what tells two forms apart: multipart boundaries differ at each try, this does not."""
    files = []
    for file in form.files:
        files.append(hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]
        file.seek(0)
    said = json.dumps([test, form.texts, form.attributes, files], sort_keys=True)
    return hashlib.sha256(said.encode()).digest()


_STRING = {"type": "string"}
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "jurisdiction_id lat long address_string address_id description media_url email phone "
            "first_name last_name device_id account_id"
        ).split(),
        _STRING,
    ),
    "api_key": _STRING,
    "service_code": _STRING,
    "media": {"type": "array", "items": {"type": "string", "format": "binary"}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {
                "schema": {
                    "type": "object",
                    "required": ["api_key", "service_code"],
                    "properties": _FIELDS,
                    "additionalProperties": _STRING,
                }
            }
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data")
        },
    }
}


@resources.post(
    "/requests.{extension}",
    response_class=Response,
    responses={**_ANSWER, **_REFUSED},
    openapi_extra=_BODY,
)
def send(
    extension: Extension,
    request: Request,
    form: Annotated[Form, Depends(read_form)],
    key: IdempotencyKey,
    session: SessionDep,
    test: IsTest,
) -> Response:
    """Report a problem: attribute[code], and files for photos; answers its id at once."""
    state = request.app.state
    secret = state.settings.secret.get_secret_value()
    with state.sessions.begin() as apart:  # refusals count too
        client = service.authenticate(apart, form.get("api_key"), test=test)
        rates.hit(apart, secret, "open311 request", str(client.id), domain.REQUESTS_PER_HOUR)
    wanted = service.draft(session, client, form)
    once = Once(session, key, f"open311 {client.id}", fingerprint_of(form, test=test))
    keep = service.try_photo if test else partial(service.keep_photo, state.sessions, state.storage)
    answer = once.run(lambda: service.send(session, wanted, keep, form.files, test=test))
    told = render(extension, "service_requests", json.loads(bytes(answer.body)))
    if "idempotent-replayed" in answer.headers:
        told.headers["Idempotent-Replayed"] = "true"
    return told


# The clients that hold keys -----------------------------------------------------------------------

Commune = Annotated[
    str, Path(pattern=r"^([0-9]{4}|\*)$", description="a commune's code, or * for the country")
]
desk = APIRouter(prefix="/api/v1/desk/{commune}/clients", tags=["open311"])


@desk.post(
    "",
    status_code=201,
    response_model=ClientIssued,
    responses=responses(Forbidden, NotFound, Conflict),
)
def issue(
    commune: Commune,
    body: NewClient,
    request: Request,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Give a client a key. It is shown here and never again: only its hash is stored."""
    principal.require(CLIENTS, commune)
    key = domain.new_key(_random(request, once.key, principal.user_id, commune))
    return once.run(
        lambda: service.issue(session, commune, body, key, principal.user_id),
        status=201,
        private={"key": key},
    )


def _random(request: Request, key: UUID | None, by: UUID, commune: str) -> bytes:
    """Return 256 bits: derived where a retry must get them again, since none are stored."""
    if key is None:
        return secrets.token_bytes(32)
    secret = request.app.state.settings.secret.get_secret_value()
    return keyed_digest(secret, "open311 api key", str(by), commune, str(key))


@desk.get("", responses=responses(Forbidden))
def clients(commune: Commune, session: SessionDep, principal: CurrentPrincipal) -> list[ClientOut]:
    """The commune's clients, newest first, the revoked ones too."""
    principal.require(CLIENTS, commune)
    return service.clients(session, commune)


@desk.delete("/{client_id}", responses=responses(Forbidden, NotFound))
def revoke(
    commune: Commune, client_id: UUID, session: SessionDep, principal: CurrentPrincipal
) -> ClientOut:
    """End a client's key for good; doing it twice changes nothing more."""
    principal.require(CLIENTS, commune)
    return service.revoke(session, client_id, commune)


router = APIRouter()
router.include_router(resources, prefix=PRODUCTION)
router.include_router(resources, prefix=TEST)
router.include_router(desk)
