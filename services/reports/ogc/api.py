"""HTTP of the OGC API. Its definition is its own (``/ogc/api``), not the service's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from services.common.db import SessionDep
from services.reports.links import Base
from services.reports.ogc import html, openapi, service
from services.reports.ogc.domain import (
    GEOJSON,
    HTML,
    JSON,
    OPENAPI,
    SCHEMA,
    Unreadable,
    only,
    wants_html,
)
from services.reports.ogc.errors import BadParameter
from services.reports.ogc.html import Page
from services.reports.ogc.service import ROOT, Place

router = APIRouter(prefix=ROOT, include_in_schema=False)

#: Any site's map may read it. The links in it are as the asker calls us: no cache may keep it.
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'",
    "Vary": "Accept",
}


@contextmanager
def readable() -> Iterator[None]:
    """Make what breaks a rule of the standard a 400."""
    try:
        yield
    except Unreadable as error:
        raise BadParameter(str(error)) from None


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the answer stands, and in which form it is wanted."""

    place: Place
    html: bool


def asked(request: Request, base: Base) -> Asked:
    """Read what every request says; other parameters than ``f`` are the endpoint's own matter."""
    with readable():
        page = wants_html(request.query_params.get("f"), request.headers.get("accept", ""))
    path = quote(request.scope["path"].rstrip("/"))
    return Asked(Place(base, path, tuple(request.query_params.multi_items())), page)


AnyAsked = Annotated[Asked, Depends(asked)]


def plainly_asked(asked: AnyAsked) -> Asked:
    """Refuse any parameter besides ``f``."""
    with readable():
        only(asked.place.query, ["f"])
    return asked


PlainAsked = Annotated[Asked, Depends(plainly_asked)]


def _page(page: Page) -> Response:
    return Response(html.render(page), media_type=HTML, headers=HEADERS)


def _json(document: Any, kind: str = JSON) -> Response:
    content = json.dumps(document, ensure_ascii=False)
    return Response(content, media_type=kind, headers=HEADERS)


@router.get("")
@router.get("/")
def landing(asked: PlainAsked) -> Response:
    """The landing page."""
    found = service.landing(asked.place)
    return _page(html.landing(found)) if asked.html else _json(found)


@router.get("/api")
def api(asked: PlainAsked) -> Response:
    """The definition, in JSON whatever is accepted."""
    return _json(openapi.definition(asked.place.root), OPENAPI)


@router.get("/conformance")
def conformance(asked: PlainAsked) -> Response:
    """The conformance classes."""
    found = service.conformance(asked.place)
    return _page(html.conformance(found)) if asked.html else _json(found)


@router.get("/collections")
def collections(asked: PlainAsked, session: SessionDep) -> Response:
    """The collections."""
    found = service.collections(session, asked.place)
    return _page(html.collections(found)) if asked.html else _json(found)


@router.get("/collections/{name}")
def collection(name: str, asked: PlainAsked, session: SessionDep) -> Response:
    """One collection."""
    found = service.collection(session, name, asked.place)
    return _page(html.collection(found)) if asked.html else _json(found)


@router.get("/collections/{name}/schema")
def schema(name: str, asked: PlainAsked) -> Response:
    """The JSON Schema of a collection's features."""
    return _json(openapi.schema(service.find(name), asked.place.itself()[0]["href"]), SCHEMA)


@router.get("/collections/{name}/items")
def items(name: str, asked: AnyAsked, session: SessionDep) -> Response:
    """A page of a collection's features."""
    with readable():
        found = service.items(session, name, asked.place)
    if asked.html:
        return _page(html.items(service.find(name), found))
    return Response(found.text(), media_type=GEOJSON, headers=HEADERS)


@router.get("/collections/{name}/items/{key}")
def item(name: str, key: str, asked: PlainAsked, session: SessionDep) -> Response:
    """One feature."""
    found = service.item(session, name, key, asked.place)
    if asked.html:
        return _page(html.item(service.find(name), found))
    return _json(found, GEOJSON)
