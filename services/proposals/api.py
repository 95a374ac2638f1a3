"""HTTP of proposals: to propose, to draft, to revise, to read."""

import base64
import json
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.common import rates
from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    responses,
)
from services.common.requests import Limit, Text, id_or_ref, near_year
from services.proposals import domain, reading, service
from services.proposals.domain import Origin
from services.proposals.errors import (
    AlreadySubmitted,
    BadInvitation,
    ProposalNotFound,
    RevisionNotFound,
    UnknownCampaign,
    WrongPhase,
)
from services.proposals.schemas import (
    ArrondissementCode,
    CommuneCode,
    Discarded,
    Invitation,
    Joining,
    MinePage,
    NewProposal,
    ProposalChanges,
    ProposalCreated,
    ProposalDetail,
    ProposalPage,
    RevisionDetail,
    RevisionPage,
    Theme,
)

router = APIRouter(prefix="/api/v1", tags=["proposals"])

Sort = Literal["newest", "endorsed", "discussed", "number"]


def proposal_key(proposal_id: str) -> UUID | str:
    """Read a path's id or ref."""
    return id_or_ref(proposal_id)


def read_statuses(
    status: Annotated[str | None, Query(max_length=120, description="comma list")] = None,
) -> list[str]:
    """Read a comma list of statuses; :class:`Invalid` for an unknown one."""
    if status is None:
        return list(domain.LISTED)
    found = status.split(",")
    if not set(found) <= set(domain.STATUSES):
        raise Invalid(f"Statuses are {', '.join(domain.STATUSES)}.", "/status")
    return found


def read_place(
    sort: Sort = "newest",
    cursor: Annotated[str | None, Query(max_length=200, description="from `next`")] = None,
) -> tuple[Any, UUID] | None:
    """Read where a page begins: the value sorted by, and the id, of the row before it."""
    if cursor is None:
        return None
    try:
        told, value, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if told != sort:
            raise ValueError
        if sort == "newest":
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return near_year(moment), UUID(last)
        if type(value) is not int or abs(value) >= 2**62:
            raise ValueError
        return value, UUID(last)
    except (ValueError, TypeError, AttributeError):
        raise Invalid("This cursor is not ours.", "/cursor") from None


def next_page(request: Request, sort: str, place: Any, last: UUID) -> str:
    """Return the relative URL of the page behind the row of this place and id."""
    value = place.isoformat() if isinstance(place, datetime) else place
    told = json.dumps([sort, value, str(last)], separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(told.encode()).decode()
    return f"{request.url.path}?{urlencode({**request.query_params, 'cursor': cursor})}"


ProposalKey = Annotated[UUID | str, Depends(proposal_key)]
Statuses = Annotated[list[str], Depends(read_statuses)]
From = Annotated[tuple[Any, UUID] | None, Depends(read_place)]


@router.post(
    "/proposals",
    status_code=201,
    response_model=ProposalCreated,
    responses=responses(Unauthenticated, Forbidden, UnknownCampaign, Conflict, TooMany),
)
def create_proposal(
    body: NewProposal, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Propose a project, with its place and its cost, while the campaign collects ideas.

    A ``draft`` may lack its description and cost, and waits to be submitted; the commune's agents
    may draft before the ideas open. So many an hour: each may name other people's reports.
    """

    def effect() -> ProposalCreated:
        rates.hit(session, "", "proposal", str(principal.user_id), domain.PROPOSALS_PER_HOUR)
        make = service.create_draft if body.draft else service.submit
        return make(session, principal, body)

    return once.run(
        effect,
        status=201,
        location=lambda made: f"/api/v1/proposals/{made.id}",
    )


@router.get("/proposals", response_model=ProposalPage, responses=responses(Invalid))
def list_proposals(
    request: Request,
    session: SessionDep,
    after: From,
    statuses: Statuses,
    principal: MaybePrincipal,
    campaign: UUID | None = None,
    commune: CommuneCode | None = None,
    envelope: UUID | None = None,
    theme: Theme | None = None,
    arrondissement: ArrondissementCode | None = None,
    origin: Origin | None = None,
    q: Annotated[Text | None, Query(max_length=100)] = None,
    sort: Sort = "newest",
    limit: Limit = 50,
) -> dict[str, Any]:
    """Public columns as GeoJSON, newest first unless sorted; ``next`` leads to the next page.

    ``status=draft`` lists the bearer's own drafts and those of communes where they are an agent.
    ``q`` finds words whatever their accents.
    """
    wanted = {
        "campaign": campaign,
        "commune": commune,
        "envelope": envelope,
        "theme": theme,
        "arrondissement": arrondissement,
        "origin": origin,
        "q": q or None,
    }
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    values["status"] = statuses
    rows = reading.features(session, values, principal, sort, after, limit + 1)
    more = len(rows) > limit
    return {
        "type": "FeatureCollection",
        "features": [feature for _, _, feature in rows[:limit]],
        "next": next_page(request, sort, *rows[limit - 1][:2]) if more else None,
    }


@router.get("/proposals/mine", response_model=MinePage, responses=responses(Unauthenticated))
def my_proposals(session: SessionDep, principal: CurrentPrincipal) -> dict[str, Any]:
    """What the bearer wrote, endorses or follows, the latest change first (200 at most)."""
    return {"items": reading.mine(session, principal)}


@router.get("/proposals/{proposal_id}", responses=responses(ProposalNotFound))
def get_proposal(
    key: ProposalKey, session: SessionDep, principal: MaybePrincipal
) -> ProposalDetail:
    """One proposal, by id or ref; a draft for its authors and agents only."""
    return reading.detail(session, key, principal)


@router.patch(
    "/proposals/{proposal_id}",
    response_model=ProposalDetail,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, Conflict, Invalid),
)
def change_proposal(
    key: ProposalKey,
    body: ProposalChanges,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Change the given fields (its authors): a submitted proposal gets a new public revision."""
    return once.run(
        lambda: service.change(session, principal, key, body),
        shown=lambda: reading.detail(session, key, principal),
    )


@router.delete(
    "/proposals/{proposal_id}",
    response_model=Discarded,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadySubmitted),
)
def discard(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Delete a draft (its authors, the commune's agents); what was submitted is withdrawn."""
    return once.run(lambda: Discarded(ref=service.discard(session, principal, key)))


@router.post(
    "/proposals/{proposal_id}/submit",
    response_model=ProposalCreated,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadySubmitted, Invalid),
)
def submit_draft(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Submit a draft, with a description and a cost, while the campaign collects ideas."""
    return once.run(lambda: service.submit_draft(session, principal, key))


@router.post(
    "/proposals/{proposal_id}/withdraw",
    response_model=ProposalDetail,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, WrongPhase),
)
def withdraw(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Take a proposal back (its authors), while ideas are collected."""
    return once.run(
        lambda: service.withdraw(session, principal, key),
        shown=lambda: reading.detail(session, key, principal),
    )


@router.get(
    "/proposals/{proposal_id}/revisions",
    response_model=RevisionPage,
    responses=responses(ProposalNotFound),
)
def list_revisions(
    key: ProposalKey, session: SessionDep, principal: MaybePrincipal
) -> dict[str, Any]:
    """All texts a proposal had: when, by whom of whom, and which fields changed."""
    return {"items": reading.revisions(session, key, principal)}


@router.get(
    "/proposals/{proposal_id}/revisions/{number}",
    response_model=RevisionDetail,
    responses=responses(NotFound, RevisionNotFound),
)
def get_revision(
    key: ProposalKey, number: int, session: SessionDep, principal: MaybePrincipal
) -> dict[str, Any]:
    """One text of a proposal, compared word by word with the one before."""
    return reading.revision(session, key, number, principal)


@router.post(
    "/proposals/{proposal_id}/invitations",
    status_code=201,
    response_model=Invitation,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, TooMany),
)
def invite(key: ProposalKey, session: SessionDep, principal: CurrentPrincipal) -> Invitation:
    """Make a code with which one person may join the authors: shown once, used once."""
    rates.hit(session, "", "invitation", str(principal.user_id), domain.INVITATIONS_PER_HOUR)
    return Invitation(code=service.invite(session, principal, key))


@router.post(
    "/proposals/{proposal_id}/coauthors",
    response_model=ProposalDetail,
    responses=responses(Unauthenticated, BadInvitation, TooMany),
)
def join(
    key: ProposalKey,
    body: Joining,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Join a proposal's authors with an invitation's code."""

    def effect() -> UUID:
        rates.hit(session, "", "joining", str(principal.user_id), domain.INVITATIONS_PER_HOUR)
        return service.join(session, principal, key, body.code, body.name)

    return once.run(effect, shown=lambda: reading.detail(session, key, principal))


@router.delete(
    "/proposals/{proposal_id}/coauthors/me",
    response_model=ProposalDetail,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound),
)
def leave(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Leave the co-authors."""
    return once.run(
        lambda: service.leave(session, principal, key),
        shown=lambda: reading.detail(session, key, principal),
    )
