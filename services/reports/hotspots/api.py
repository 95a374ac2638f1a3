"""HTTP of hotspots."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Forbidden, responses
from services.common.requests import MAX_REF
from services.reports.access import MANAGE
from services.reports.errors import UnknownCommune
from services.reports.hotspots import domain, service
from services.reports.hotspots.domain import Window
from services.reports.hotspots.errors import HotspotNotFound, ProposalRecorded
from services.reports.hotspots.memo import Answer, Memo
from services.reports.hotspots.schemas import (
    Day,
    Days,
    DraftedProposal,
    HotspotOut,
)
from services.reports.schemas import CategoryCode, CommuneCode

router = APIRouter(prefix="/api/v1/hotspots", tags=["hotspots"])

GEOJSON = "application/geo+json"
CACHED = {"Cache-Control": "public, max-age=60"}
STAFF = {"Cache-Control": "private, no-store"}


def memo_of(request: Request) -> Memo:
    """Return the application's finished answers."""
    state = request.app.state
    if not hasattr(state, "hotspots"):
        state.hotspots = Memo()
    memo: Memo = state.hotspots
    return memo


MemoDep = Annotated[Memo, Depends(memo_of)]


def read_ref(ref: str) -> str:
    """Read a reference as a person may type it."""
    return ref.strip().upper()[:MAX_REF].replace("\x00", "")


Ref = Annotated[str, Depends(read_ref)]


@router.get(
    "",
    response_class=Response,
    responses={
        200: {"description": "A FeatureCollection of hexagons", "content": {GEOJSON: {}}},
        304: {"description": "Nothing changed since the ETag that was sent"},
        **responses(UnknownCommune),
    },
)
def list_hotspots(
    request: Request,
    session: SessionDep,
    memo: MemoDep,
    principal: MaybePrincipal,
    commune: CommuneCode,
    category: CategoryCode | None = None,
    days: Days = domain.DETECTED_DAYS,
    until: Day | None = None,
) -> Response:
    """Where reports gather: hexagons, ranked hotspots, silent arrondissements.

    ``days`` whole days up to ``until`` (today without it, or later than it).
    """
    today = domain.today(datetime.now(UTC))
    window = Window(min(until or today, today), days)
    staff = principal is not None and principal.can(MANAGE, commune)
    answer = memo.get(
        (commune, category, window, today, staff),
        lambda: Answer.of(service.overview(session, commune, category, window, today, staff=staff)),
    )
    headers = (STAFF if staff else CACHED) | {"ETag": answer.etag}
    known = {tag.strip().removeprefix("W/") for tag in _if_none_match(request).split(",")}
    if answer.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(answer.body, media_type=GEOJSON, headers=headers)


def _if_none_match(request: Request) -> str:
    return request.headers.get("if-none-match", "")


@router.get("/{ref}", responses=responses(HotspotNotFound))
def get_hotspot(ref: Ref, session: SessionDep, principal: MaybePrincipal) -> HotspotOut:
    """One stored hotspot, with its reports and the proposal made of it."""
    return service.detail(session, ref, domain.today(datetime.now(UTC)), principal)


@router.post(
    "/{ref}/proposal",
    response_model=HotspotOut,
    responses=responses(HotspotNotFound, Forbidden, ProposalRecorded),
)
def record_proposal(
    ref: Ref,
    body: DraftedProposal,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Remember which proposal was drafted from a hotspot; saying it again changes nothing."""

    def effect() -> HotspotOut:
        service.record_proposal(session, ref, body.proposal_ref, principal)
        session.flush()
        return service.detail(session, ref, domain.today(datetime.now(UTC)), principal)

    return once.run(effect)
