"""HTTP of exports."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from services.common import sheets
from services.common.db import SessionDep
from services.common.problems import responses
from services.proposals.errors import CampaignNotFound
from services.proposals.exports import service
from services.proposals.exports.errors import UnknownExport

router = APIRouter(prefix="/api/v1", tags=["open data"])

_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind.split(";")[0]: {} for kind in sheets.MEDIA_TYPES.values()}}
}


@router.get(
    "/campaigns/{campaign_id}/export/{subject}.{form}",
    response_class=Response,
    responses=_FILES | responses(CampaignNotFound, UnknownExport),
)
def export(
    campaign_id: UUID,
    subject: Annotated[str, Path(description="proposals, works, ledger or revisions")],
    form: Annotated[str, Path(description="csv or geojson; the ledger has no places")],
    request: Request,
    session: SessionDep,
) -> Response:
    """Public columns of a campaign's proposals, works, ledger or revisions as a file."""
    chosen, name = service.name_of(session, campaign_id, subject, form)
    return StreamingResponse(
        service.content(request.app.state.engine, campaign_id, chosen, form),
        media_type=sheets.MEDIA_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            # A programme on any other site may read what anybody may read.
            "Access-Control-Allow-Origin": "*",
            "Cache-Control": "no-cache",
        },
    )
