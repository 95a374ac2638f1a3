"""HTTP of similar proposals, merges, endorsement offers and amendments."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.common import rates
from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import (
    Conflict,
    Forbidden,
    Invalid,
    TooMany,
    Unauthenticated,
    responses,
)
from services.common.requests import MAX_REF, After, Limit, Text, id_or_ref, next_link
from services.proposals import access
from services.proposals.api import ProposalKey
from services.proposals.errors import ProposalNotFound
from services.proposals.merging import amendments as amending
from services.proposals.merging import domain, service
from services.proposals.merging import similar as searching
from services.proposals.merging.errors import (
    AmendmentNotFound,
    MergeNotFound,
    OfferNotFound,
)
from services.proposals.merging.schemas import (
    AmendmentDetail,
    AmendmentPage,
    Consent,
    Decision,
    Hiding,
    Merge,
    MergePage,
    NewAmendment,
    NewMerge,
    OfferDone,
    OfferPage,
    OfferReply,
    Similar,
    SimilarPage,
    Suggested,
    Undoing,
)

router = APIRouter(prefix="/api/v1", tags=["merges"])

RefQuery = Annotated[str | None, Query(max_length=MAX_REF, description="id or ref")]
Lon = Annotated[float | None, Query(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float | None, Query(ge=-90, le=90, allow_inf_nan=False)]


@router.get(
    "/proposals/similar", responses=responses(Invalid, ProposalNotFound), tags=["proposals"]
)
def similar(
    session: SessionDep,
    campaign: UUID,
    principal: MaybePrincipal,
    title: Annotated[Text, Query(max_length=120)] = "",
    description: Annotated[
        Text, Query(max_length=4000, description="only its beginning is looked at")
    ] = "",
    lon: Lon = None,
    lat: Lat = None,
    without: RefQuery = None,
    limit: Annotated[int, Query(ge=1, le=20)] = 5,
) -> SimilarPage:
    """Proposals like one being written, the likest first: by words, letters and distance.

    Accents, case, plurals and the order of words do not matter. `without` leaves one out.
    """
    if (lon is None) != (lat is None):
        raise Invalid("A place is a longitude and a latitude.", "/lat" if lat is None else "/lon")
    place = None if lon is None or lat is None else (lon, lat)
    apart = access.find(session, id_or_ref(without), principal).id if without else None
    rows = searching.similar(session, campaign, title, description, place, apart, limit)
    return SimilarPage(items=[Similar.model_validate(row) for row in rows])


@router.post(
    "/merges",
    status_code=201,
    response_model=Merge,
    responses=responses(Unauthenticated, Forbidden, Invalid, Conflict, TooMany),
)
def propose_merge(
    body: NewMerge, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Propose that proposals go on as one (an author of any of them, or the commune's agents).

    It is done once an author of each consented; what the proposer speaks for does so at once.
    """

    def effect() -> Merge:
        _count(session, "merge", principal.user_id)
        return service.get(session, service.propose(session, principal, body), principal)

    return once.run(effect, status=201, location=lambda made: f"/api/v1/merges/{made.id}")


@router.get("/merges", responses=responses(Invalid, ProposalNotFound))
def list_merges(
    request: Request,
    session: SessionDep,
    after: After,
    principal: MaybePrincipal,
    campaign: UUID | None = None,
    proposal: RefQuery = None,
    state: domain.MergeState | None = None,
    waiting: Annotated[bool, Query(description="for the bearer's consent")] = False,
    limit: Limit = 50,
) -> MergePage:
    """Merges, newest first, undone ones with their reasons; nobody's name."""
    if waiting and principal is None:
        raise Unauthenticated
    filters: dict[str, Any] = {"campaign": campaign, "state": state}
    if proposal:
        filters["proposal"] = access.find(session, id_or_ref(proposal), principal).id
    if waiting and principal:
        filters["waiting"] = principal.user_id
    if after:
        filters["after_at"], filters["after_id"] = after
    given = {name: value for name, value in filters.items() if value is not None}
    found = service.merges(session, given, principal, limit + 1)
    return MergePage(items=found[:limit], next=_next(request, found, limit))


@router.get("/merges/{merge_id}", responses=responses(MergeNotFound))
def get_merge(merge_id: UUID, session: SessionDep, principal: MaybePrincipal) -> Merge:
    """One merge; ``may`` lists what this bearer can do with it."""
    return service.get(session, merge_id, principal)


@router.post(
    "/merges/{merge_id}/consent",
    response_model=Merge,
    responses=responses(Unauthenticated, Forbidden, MergeNotFound, Conflict),
)
def consent(
    merge_id: UUID,
    body: Consent,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Agree for the parts that one speaks for, or refuse, which ends the merge."""

    def effect() -> Merge:
        service.answer(session, principal, merge_id, body.agree)
        return service.get(session, merge_id, principal)

    return once.run(effect)


@router.post(
    "/merges/{merge_id}/undo",
    response_model=Merge,
    responses=responses(Unauthenticated, Forbidden, MergeNotFound, Conflict),
)
def undo_merge(
    merge_id: UUID,
    body: Undoing,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Let what was merged stand by itself again (an author of it, or the commune's agents)."""

    def effect() -> Merge:
        service.undo(session, principal, merge_id, body.reason)
        return service.get(session, merge_id, principal)

    return once.run(effect)


@router.get("/endorsement-offers", responses=responses(Unauthenticated))
def list_offers(session: SessionDep, principal: CurrentPrincipal) -> OfferPage:
    """Where what the bearer endorsed goes on in another proposal: endorse that one too?"""
    return OfferPage(items=service.offers(session, principal))


@router.post(
    "/endorsement-offers/{merge_id}",
    response_model=OfferDone,
    responses=responses(Unauthenticated, OfferNotFound, Conflict),
)
def reply_to_offer(
    merge_id: UUID,
    body: OfferReply,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Carry one's endorsement over, or decline; nothing is carried over unasked."""
    return once.run(lambda: service.reply(session, principal, merge_id, body.confirm))


@router.post(
    "/proposals/{proposal_id}/amendments",
    status_code=201,
    response_model=Suggested,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, Conflict, Invalid, TooMany),
    tags=["amendments"],
)
def suggest_amendment(
    key: ProposalKey,
    body: NewAmendment,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Suggest to its authors what a proposal could say; for their own they edit it."""

    def effect() -> Suggested:
        _count(session, "amendment", principal.user_id)
        return amending.suggest(session, principal, key, body)

    return once.run(effect, status=201, location=lambda made: f"/api/v1/amendments/{made.id}")


@router.get(
    "/proposals/{proposal_id}/amendments",
    responses=responses(ProposalNotFound),
    tags=["amendments"],
)
def list_amendments(
    request: Request,
    key: ProposalKey,
    session: SessionDep,
    after: After,
    principal: MaybePrincipal,
    limit: Limit = 50,
) -> AmendmentPage:
    """A proposal's amendments, newest first, each field as it was and as it would be."""
    found = amending.amendments(session, key, principal, after, limit + 1)
    return AmendmentPage(items=found[:limit], next=_next(request, found, limit))


@router.get(
    "/amendments/{amendment_id}",
    responses=responses(AmendmentNotFound, ProposalNotFound),
    tags=["amendments"],
)
def get_amendment(
    amendment_id: UUID, session: SessionDep, principal: MaybePrincipal
) -> AmendmentDetail:
    """One amendment, word by word."""
    return amending.get(session, amendment_id, principal)


@router.post(
    "/amendments/{amendment_id}/decision",
    response_model=AmendmentDetail,
    responses=responses(Unauthenticated, Forbidden, AmendmentNotFound, Conflict, Invalid),
    tags=["amendments"],
)
def decide_amendment(
    amendment_id: UUID,
    body: Decision,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Accept an amendment (the proposal's next revision), or refuse it: its authors."""
    return once.run(
        lambda: amending.decide(session, principal, amendment_id, body),
        shown=lambda: amending.get(session, amendment_id, principal),
    )


@router.post(
    "/amendments/{amendment_id}/withdraw",
    response_model=AmendmentDetail,
    responses=responses(Unauthenticated, Forbidden, AmendmentNotFound, Conflict),
    tags=["amendments"],
)
def withdraw_amendment(
    amendment_id: UUID, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Take one's own amendment back while it is undecided: its words are gone at once."""
    return once.run(
        lambda: amending.withdraw(session, principal, amendment_id),
        shown=lambda: amending.get(session, amendment_id, principal),
    )


@router.post(
    "/amendments/{amendment_id}/hide",
    response_model=AmendmentDetail,
    responses=responses(Unauthenticated, Forbidden, AmendmentNotFound, Conflict, Invalid),
    tags=["amendments"],
)
def hide_amendment(
    amendment_id: UUID,
    body: Hiding,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Take away an amendment's words (the commune's agents); reason and note are its answer."""
    return once.run(
        lambda: amending.hide(session, principal, amendment_id, body),
        shown=lambda: amending.get(session, amendment_id, principal),
    )


def _count(session: SessionDep, kind: str, person: UUID) -> None:
    rates.hit(session, "", kind, str(person), domain.SUGGESTIONS_PER_HOUR)


def _next(request: Request, found: list[Any], limit: int) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return next_link(request, last.created_at, last.id)
