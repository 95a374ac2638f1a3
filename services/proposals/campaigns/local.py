"""What a mairie keeps beside its campaigns: the forums it held and what usual works cost."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.ids import new_id
from services.common.problems import Invalid
from services.proposals import costs
from services.proposals import repository as core
from services.proposals.access import MANAGE
from services.proposals.campaigns import domain, repository
from services.proposals.campaigns.errors import (
    ForumExists,
    TooManyUnitCosts,
    UnitCostNotFound,
    UnknownUnitCost,
)
from services.proposals.campaigns.schemas import (
    Estimate,
    EstimateIn,
    EstimateLine,
    ForumDetail,
    NewForum,
    UnitCostIn,
    UnitCostOut,
    UnitCostPage,
)
from services.proposals.errors import (
    CampaignNotFound,
    UnknownArrondissement,
    UnknownCommune,
    WrongPhase,
)


def add_forum(session: Session, agent: Principal, campaign_id: UUID, body: NewForum) -> ForumDetail:
    """Enter an assembly that was held for a campaign, and how many came."""
    campaign = core.lock_campaign(session, campaign_id, shared=True)
    if campaign is None:
        raise CampaignNotFound
    agent.require(MANAGE, campaign.commune)
    if campaign.phase == "closed":
        raise WrongPhase("A closed campaign stays as it is.", phase=campaign.phase)
    if body.held_on > repository.today(session):
        raise Invalid("A forum is entered once it was held.", "/held_on")
    known = repository.arrondissements_of(session, campaign.commune)
    if body.arrondissement and body.arrondissement not in known:
        raise UnknownArrondissement(
            "The commune has no arrondissement of this code.", "/arrondissement"
        )
    forum = new_id()
    values = body.model_dump()
    if not repository.add_forum(session, forum, campaign_id, agent.user_id, **values):
        raise ForumExists
    return ForumDetail(id=forum, **values)


def forums(session: Session, campaign_id: UUID) -> list[Any]:
    """Return a campaign's forums."""
    if core.find_campaign(session, campaign_id) is None:
        raise CampaignNotFound
    return repository.forums(session, campaign_id)


def unit_costs(session: Session, commune: str) -> UnitCostPage:
    """Return what usual works cost in a commune."""
    _require_commune(session, commune)
    found = costs.unit_costs(session, commune)
    return UnitCostPage(items=[UnitCostOut.model_validate(one) for one in found])


def put_unit_cost(
    session: Session, agent: Principal, commune: str, code: str, body: UnitCostIn
) -> UnitCostOut:
    """Keep the mairie's own figure, in place of the house's where there is one."""
    agent.require(MANAGE, commune)
    _require_commune(session, commune)
    if repository.other_unit_costs(session, commune, code) >= domain.MAX_UNIT_COSTS:
        raise TooManyUnitCosts
    values = body.model_dump()
    repository.put_unit_cost(session, commune, code, agent.user_id, **values)
    return UnitCostOut(code=code, **values, own=True)


def drop_unit_cost(session: Session, agent: Principal, commune: str, code: str) -> UnitCostPage:
    """Forget the mairie's own figure: the house's, if there is one, is used again."""
    agent.require(MANAGE, commune)
    if not repository.drop_unit_cost(session, commune, code):
        raise UnitCostNotFound
    return unit_costs(session, commune)


def estimate(session: Session, body: EstimateIn) -> Estimate:
    """Return what so many of each cost together."""
    _require_commune(session, body.commune)
    known = {one.code for one in costs.unit_costs(session, body.commune)}
    for place, line in enumerate(body.lines):
        if line.code not in known:
            raise UnknownUnitCost(UnknownUnitCost.__doc__ or "", f"/lines/{place}/code")
    wanted = [(line.code, line.quantity) for line in body.lines]
    found = [EstimateLine(**one) for one in costs.estimate(session, body.commune, wanted)]
    return Estimate(lines=found, total=sum(line.total for line in found))


def _require_commune(session: Session, commune: str) -> None:
    if not repository.commune_exists(session, commune):
        raise UnknownCommune("No commune has this code.", "/commune")
