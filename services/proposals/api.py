"""HTTP of campaigns and proposals."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.common import rates
from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Forbidden, Invalid, TooMany, Unauthenticated, responses
from services.common.requests import After, Limit, id_or_ref, next_link
from services.proposals import domain, repository, service
from services.proposals.domain import Phase
from services.proposals.errors import (
    AlreadyReviewed,
    AlreadySubmitted,
    CampaignNotFound,
    ProposalNotFound,
    UnknownCampaign,
    WrongPhase,
)
from services.proposals.schemas import (
    CampaignDetail,
    CampaignOut,
    CampaignPage,
    CommuneCode,
    DraftChanges,
    Endorsed,
    NewCampaign,
    NewProposal,
    NewReview,
    PhaseChange,
    ProposalCreated,
    ProposalDetail,
    ProposalPage,
    Reviewed,
)

router = APIRouter(prefix="/api/v1")


def proposal_key(proposal_id: str) -> UUID | str:
    """Read a path's id or ref."""
    return id_or_ref(proposal_id)


def read_statuses(
    status: Annotated[str | None, Query(max_length=120, description="comma list")] = None,
) -> list[str] | None:
    """Read a comma list of statuses; :class:`Invalid` for an unknown one."""
    if status is None:
        return None
    found = status.split(",")
    if not set(found) <= set(domain.STATUSES):
        raise Invalid(f"Statuses are {', '.join(domain.STATUSES)}.", "/status")
    return found


ProposalKey = Annotated[UUID | str, Depends(proposal_key)]
Statuses = Annotated[list[str] | None, Depends(read_statuses)]


@router.post(
    "/campaigns",
    status_code=201,
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, Invalid),
    tags=["campaigns"],
)
def create_campaign(
    body: NewCampaign, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Announce a budget campaign (the commune's agents); it starts in preparation."""
    return once.run(
        lambda: service.create_campaign(session, principal, body),
        status=201,
        location=lambda made: f"/api/v1/campaigns/{made.id}",
    )


@router.get("/campaigns", tags=["campaigns"])
def list_campaigns(
    request: Request,
    session: SessionDep,
    after: After,
    commune: CommuneCode | None = None,
    phase: Phase | None = None,
    limit: Limit = 50,
) -> CampaignPage:
    """Campaigns, newest first; ``next`` leads to the following page."""
    found = repository.campaigns(session, commune, phase, after, limit + 1)
    return CampaignPage(
        items=[CampaignOut.model_validate(one) for one in found[:limit]],
        next=next_link(request, found[limit - 1].created_at, found[limit - 1].id)
        if len(found) > limit
        else None,
    )


@router.get("/campaigns/{campaign_id}", responses=responses(CampaignNotFound), tags=["campaigns"])
def get_campaign(
    campaign_id: UUID, session: SessionDep, principal: MaybePrincipal
) -> CampaignDetail:
    """One campaign; ``allowed`` lists the phases that this bearer may set."""
    return service.get_campaign(session, campaign_id, principal)


@router.post(
    "/campaigns/{campaign_id}/phase",
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, WrongPhase),
    tags=["campaigns"],
)
def change_phase(
    campaign_id: UUID,
    body: PhaseChange,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Take a campaign to another phase (the commune's agents); ``vote`` freezes the ballot."""
    return once.run(lambda: service.change_phase(session, principal, campaign_id, body.phase))


@router.post(
    "/proposals",
    status_code=201,
    response_model=ProposalCreated,
    responses=responses(Unauthenticated, UnknownCampaign, WrongPhase, TooMany),
    tags=["proposals"],
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
        if body.draft:
            return service.create_draft(session, principal, body)
        return service.submit(session, principal.user_id, body)

    return once.run(
        effect,
        status=201,
        location=lambda made: f"/api/v1/proposals/{made.id}",
    )


@router.get(
    "/proposals", response_model=ProposalPage, responses=responses(Invalid), tags=["proposals"]
)
def list_proposals(
    request: Request,
    session: SessionDep,
    after: After,
    statuses: Statuses,
    principal: MaybePrincipal,
    campaign: UUID | None = None,
    commune: CommuneCode | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Public columns as GeoJSON, newest first; ``next`` leads to the following page.

    ``status=draft`` lists the bearer's own drafts and those of communes where they are an agent.
    """
    wanted = {"campaign": campaign, "commune": commune, "after": after}
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    filters = [*values, "status", "readable"]
    values["status"] = statuses or list(domain.PUBLIC)
    values["reader"] = principal and principal.user_id
    values["communes"] = service.communes_of(principal) if principal else []
    if after:
        values["after_at"], values["after_id"] = after
    rows = repository.features(session, filters, values, limit + 1)
    features = [feature for _, _, feature in rows[:limit]]
    following = next_link(request, *rows[limit - 1][:2]) if len(rows) > limit else None
    return {
        "type": "FeatureCollection",
        "features": features,
        "next": following,
    }


@router.get("/proposals/{proposal_id}", responses=responses(ProposalNotFound), tags=["proposals"])
def get_proposal(
    key: ProposalKey, session: SessionDep, principal: MaybePrincipal
) -> ProposalDetail:
    """One proposal, by id or ref, with its review; a draft for its author and agents only."""
    return service.get_proposal(session, key, principal)


@router.patch(
    "/proposals/{proposal_id}",
    response_model=ProposalDetail,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadySubmitted, Invalid),
    tags=["proposals"],
)
def change_draft(
    key: ProposalKey,
    body: DraftChanges,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Change the given fields of a draft (its author, the commune's agents)."""
    return once.run(lambda: service.change_draft(session, principal, key, body))


@router.post(
    "/proposals/{proposal_id}/submit",
    response_model=ProposalCreated,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadySubmitted, Invalid),
    tags=["proposals"],
)
def submit_draft(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Submit a draft, with a description and a cost, while the campaign collects ideas."""
    return once.run(lambda: service.submit_draft(session, principal, key))


@router.post(
    "/proposals/{proposal_id}/endorsements",
    response_model=Endorsed,
    responses=responses(Unauthenticated, ProposalNotFound, WrongPhase),
    tags=["proposals"],
)
def endorse(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Stand behind a proposal: counted once a person."""
    return once.run(lambda: Endorsed(endorsements=service.endorse(session, key, principal.user_id)))


@router.post(
    "/proposals/{proposal_id}/review",
    response_model=Reviewed,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadyReviewed),
    tags=["proposals"],
)
def review(
    key: ProposalKey,
    body: NewReview,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Answer a proposal with an outcome, a reason and a cost (the commune's agents), once."""
    return once.run(lambda: service.review(session, principal, key, body))
