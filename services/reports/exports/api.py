"""HTTP of exports and feeds."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.common import rates
from services.common.db import SessionDep
from services.common.problems import Forbidden, TooMany, responses
from services.common.requests import Moment
from services.reports.api import parse_bbox
from services.reports.desk.api import Asked, DeskDep
from services.reports.desk.domain import MARKS
from services.reports.desk.errors import NoSuchDesk
from services.reports.desk.repository import FILTERS as DESK_FILTERS
from services.reports.exports import atom, service
from services.reports.exports.domain import EXPORTS_PER_HOUR, FORMATS, LOCAL, file_name
from services.reports.exports.errors import Busy, TooManyForOneFile, UnknownFormat
from services.reports.exports.repository import DESK_VIEW, PUBLIC_VIEW, Selection
from services.reports.exports.service import Export
from services.reports.links import Base
from services.reports.repository import FILTERS
from services.reports.schemas import (
    ArrondissementCode,
    CategoryCode,
    CommuneCode,
    Statuses,
)

router = APIRouter(prefix="/api/v1", tags=["open data"])

StatusList = Annotated[Statuses | None, Query(description="comma list")]

Form = Annotated[str, Path(description="csv, geojson or gpkg", examples=list(FORMATS))]

#: A programme on any other site may read what anybody may read; nothing here knows cookies.
OPEN = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}


def of_public(
    commune: CommuneCode | None = None,
    arrondissement: ArrondissementCode | None = None,
    category: CategoryCode | None = None,
    status: StatusList = None,
    bbox: Annotated[str | None, Query(max_length=120, description="west,south,east,north")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Selection:
    """Read the filters of ``GET /api/v1/reports``."""
    given: dict[str, Any] = {
        "commune": commune,
        "arrondissement": arrondissement,
        "category": category,
        "status": status.split(",") if status else None,
        "since": since,
        "until": until,
    }
    values = {name: value for name, value in given.items() if value is not None}
    conditions = [FILTERS[name] for name in values]
    if bbox:
        values |= dict(zip(("west", "south", "east", "north"), parse_bbox(bbox), strict=True))
        conditions.append(FILTERS["bbox"])
    return Selection(conditions, values)


def of_desk(desk: DeskDep, asked: Asked) -> Selection:
    """Read the filters of the desk's queue, and check that its agent is asking."""
    conditions = [FILTERS["commune"], *(DESK_FILTERS[name] for name in asked)]
    return Selection(conditions, {**asked, "marks": MARKS, "commune": desk.commune})


class Download(StreamingResponse):
    """A file as it is made; what it holds open is let go also when the client left."""

    def __init__(self, export: Export, form: str, name: str, headers: Mapping[str, str]) -> None:
        sent = {**headers, "Content-Disposition": f'attachment; filename="{name}"'}
        if export.file:
            sent["Content-Length"] = str(export.file.seek(0, 2))
            export.file.seek(0)
        super().__init__(export.content, headers=sent, media_type=FORMATS[form])
        self._file = export.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._file:
                self._file.close()


_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind.split(";")[0]: {} for kind in FORMATS.values()}}
}


@router.get(
    "/reports/export.{form}",
    response_class=Response,
    responses=_FILES | responses(UnknownFormat, TooManyForOneFile, TooMany, Busy),
)
def export_reports(
    form: Form, request: Request, base: Base, chosen: Annotated[Selection, Depends(of_public)]
) -> Response:
    """Public columns of public reports as a file: ``csv``, ``geojson`` or ``gpkg``."""
    state = request.app.state
    address = request.client.host if request.client else ""
    with state.sessions.begin() as session:
        secret = state.settings.secret.get_secret_value()
        rates.hit(session, secret, "export", address, EXPORTS_PER_HOUR)
    made = service.export(state.engine, form, PUBLIC_VIEW, chosen, base)
    return Download(made, form, _name(form, chosen), OPEN)


@router.get(
    "/desk/{commune}/export.{form}",
    response_class=Response,
    responses=_FILES | responses(Forbidden, UnknownFormat, NoSuchDesk, TooManyForOneFile, Busy),
)
def export_desk(
    form: Form, request: Request, base: Base, chosen: Annotated[Selection, Depends(of_desk)]
) -> Response:
    """What the desk's filter shows as a file, for the commune's agents.

    Exact places, agency, agent, due dates, channel and whether it is hidden; never internal notes
    or contacts, for a file leaves the house.
    """
    made = service.export(request.app.state.engine, form, DESK_VIEW, chosen, base)
    return Download(made, form, _name(form, chosen), {"Cache-Control": "no-store"})


def _name(form: str, chosen: Selection) -> str:
    commune = chosen.values.get("commune")
    today = datetime.now(LOCAL).date().isoformat()
    return file_name(form, [*([commune] if commune else []), today])


@router.get(
    "/feeds/reports.atom",
    response_class=Response,
    responses={200: {"content": {atom.MEDIA_TYPE: {}}}, 304: {"description": "Unchanged"}},
)
def feed(
    request: Request,
    session: SessionDep,
    base: Base,
    commune: CommuneCode | None = None,
    category: CategoryCode | None = None,
) -> Response:
    """The newest public reports as Atom 1.0 with GeoRSS points."""
    content, changed = service.feed(session, commune, category, base)
    # Only the ETag decides: hiding a report makes a feed no newer, but it must leave every reader.
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    modified = format_datetime(changed.replace(microsecond=0), usegmt=True)
    headers = {**OPEN, "ETag": etag, "Last-Modified": modified}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {"*", etag, etag.removeprefix("W/")}:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=atom.MEDIA_TYPE, headers=headers)
