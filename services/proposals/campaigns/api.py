"""HTTP of campaigns, forums and unit costs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Conflict, Forbidden, Invalid, Unauthenticated, responses
from services.common.requests import After, Limit, next_link
from services.proposals.campaigns import local, reading, repository, service
from services.proposals.campaigns.errors import (
    ForumExists,
    ReasonNeeded,
    Shortens,
    UnitCostNotFound,
)
from services.proposals.campaigns.schemas import (
    CampaignChanges,
    CampaignDetail,
    CampaignOut,
    CampaignPage,
    Clone,
    Estimate,
    EstimateIn,
    ForumDetail,
    ForumPage,
    History,
    NewCampaign,
    NewForum,
    PhaseChange,
    Prolongation,
    Shortlist,
    UnitCostIn,
    UnitCostOut,
    UnitCostPage,
)
from services.proposals.domain import Phase
from services.proposals.errors import CampaignNotFound, ChangedMeanwhile, UnknownCommune
from services.proposals.schemas import CommuneCode

router = APIRouter(prefix="/api/v1", tags=["campaigns"])

Commune = Annotated[CommuneCode, Path()]
UnitCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


@router.post(
    "/campaigns",
    status_code=201,
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, Invalid),
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


@router.get("/campaigns", responses=responses(Invalid))
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


@router.get("/campaigns/{campaign_id}", responses=responses(CampaignNotFound))
def get_campaign(
    campaign_id: UUID, session: SessionDep, principal: MaybePrincipal
) -> CampaignDetail:
    """One campaign; ``allowed`` lists the phases that this bearer may set."""
    return service.get_campaign(session, campaign_id, principal)


@router.patch(
    "/campaigns/{campaign_id}",
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, ChangedMeanwhile, Invalid),
)
def change_campaign(
    campaign_id: UUID,
    body: CampaignChanges,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Change the given fields (the commune's agents).

    Budget and envelopes in preparation only; the rules of who proposes may still be loosened while
    ideas are collected; title, text and pictures until the campaign is closed.
    """
    return once.run(lambda: service.change_campaign(session, principal, campaign_id, body))


@router.post(
    "/campaigns/{campaign_id}/clone",
    status_code=201,
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, Invalid),
)
def clone_campaign(
    campaign_id: UUID,
    body: Clone,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Begin another year's campaign after this one's rules, texts, envelopes and calendar."""
    return once.run(
        lambda: service.clone(session, principal, campaign_id, body),
        status=201,
        location=lambda made: f"/api/v1/campaigns/{made.id}",
    )


@router.post(
    "/campaigns/{campaign_id}/phase",
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, Conflict, ReasonNeeded),
)
def change_phase(
    campaign_id: UUID,
    body: PhaseChange,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Take a campaign to another phase (the commune's agents); ``vote`` freezes the ballot.

    Before the announced end of the present phase a ``reason`` is needed, which is published.
    """
    return once.run(
        lambda: service.change_phase(session, principal, campaign_id, body.phase, body.reason)
    )


@router.post(
    "/campaigns/{campaign_id}/calendar",
    response_model=CampaignDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, Conflict, Shortens),
)
def prolong(
    campaign_id: UUID,
    body: Prolongation,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Let a phase that is not over end later (the commune's agents); no phase is shortened."""
    return once.run(lambda: service.prolong(session, principal, campaign_id, body))


@router.get("/campaigns/{campaign_id}/history", responses=responses(CampaignNotFound))
def history(campaign_id: UUID, session: SessionDep) -> History:
    """What was done to a campaign, by the commune's agents, its calendar or the count, and why."""
    return History(items=reading.history(session, campaign_id))


@router.get("/campaigns/{campaign_id}/shortlist", responses=responses(CampaignNotFound))
def shortlist(campaign_id: UUID, session: SessionDep) -> Shortlist:
    """What is, or was, to be voted on, by envelope."""
    return reading.shortlist(session, campaign_id)


@router.post(
    "/campaigns/{campaign_id}/forums",
    status_code=201,
    response_model=ForumDetail,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, ForumExists, Invalid),
)
def add_forum(
    campaign_id: UUID,
    body: NewForum,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Enter an assembly that was held, and how many women, men and young people came."""
    return once.run(lambda: local.add_forum(session, principal, campaign_id, body), status=201)


@router.get("/campaigns/{campaign_id}/forums", responses=responses(CampaignNotFound))
def list_forums(campaign_id: UUID, session: SessionDep) -> ForumPage:
    """The assemblies held for a campaign."""
    found = local.forums(session, campaign_id)
    return ForumPage(items=[ForumDetail.model_validate(one) for one in found])


@router.get("/unit-costs", responses=responses(UnknownCommune))
def list_unit_costs(commune: CommuneCode, session: SessionDep) -> UnitCostPage:
    """What usual works cost in a commune: the mairie's figures, the house's where it has none."""
    return local.unit_costs(session, commune)


@router.put(
    "/unit-costs/{commune}/{code}",
    response_model=UnitCostOut,
    responses=responses(Unauthenticated, Forbidden, Conflict, Invalid),
)
def put_unit_cost(
    commune: Commune,
    code: UnitCode,
    body: UnitCostIn,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Keep the mairie's own figure (the commune's agents)."""
    return once.run(lambda: local.put_unit_cost(session, principal, commune, code, body))


@router.delete(
    "/unit-costs/{commune}/{code}",
    response_model=UnitCostPage,
    responses=responses(Unauthenticated, Forbidden, UnitCostNotFound),
)
def drop_unit_cost(
    commune: Commune,
    code: UnitCode,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Forget the mairie's own figure; what the commune then has is answered."""
    return once.run(lambda: local.drop_unit_cost(session, principal, commune, code))


@router.post("/cost-estimates", responses=responses(Invalid))
def estimate(body: EstimateIn, session: SessionDep) -> Estimate:
    """What so many of each cost together at a commune's unit costs; nothing is stored."""
    return local.estimate(session, body)
