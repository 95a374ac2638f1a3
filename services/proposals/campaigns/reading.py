"""What readers see of a campaign: itself, its history, its shortlist."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.proposals import domain
from services.proposals import repository as core
from services.proposals.access import MANAGE, REVIEW, SPEND, WORK
from services.proposals.campaigns import repository
from services.proposals.campaigns.domain import FROZEN, PLAIN
from services.proposals.campaigns.schemas import (
    CampaignDetail,
    CampaignOut,
    FileOut,
    HistoryLine,
    Shortlist,
    Shortlisted,
    ShortlistEnvelope,
)
from services.proposals.domain import Phase
from services.proposals.errors import CampaignNotFound
from services.proposals.files import repository as files
from services.proposals.models import Campaign
from services.proposals.schemas import EnvelopeOut


def find(session: Session, campaign_id: UUID) -> Campaign:
    """Return a campaign or raise :class:`CampaignNotFound`."""
    campaign = core.find_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    return campaign


def detail(session: Session, campaign: Campaign, reader: Principal | None) -> CampaignDetail:
    """Return ``campaign`` with its counts and, for its agents, the phases they may set."""
    found = repository.count_by_status(session, campaign.id)
    counts = {status: found.get(status, 0) for status in domain.LISTED}
    kept = (MANAGE, REVIEW, WORK, SPEND)
    may = [one for one in kept if reader is not None and reader.can(one, campaign.commune)]
    allowed: list[Phase] = []
    if MANAGE in may:
        allowed = domain.allowed_phases(campaign.phase, counts["shortlisted"])
        if "closed" in allowed and repository.unfinished_works(session, campaign.id):
            allowed.remove("closed")
    return CampaignDetail(
        **CampaignOut.model_validate(campaign).model_dump(),
        **{name: getattr(campaign, name) for name in PLAIN if name != "title"},
        cloned_from=campaign.cloned_from,
        version=campaign.version,
        pictures=[FileOut.model_validate(one) for one in _pictures(session, campaign)],
        counts=counts,
        allowed=allowed,
        may=may,
    )


def pictures(session: Session, campaign: Campaign) -> list[UUID]:
    """Return the ids of a campaign's pictures in their order."""
    return [one["id"] for one in _pictures(session, campaign)]


def _pictures(session: Session, campaign: Campaign) -> list[dict[str, Any]]:
    return files.of(session, "campaign", [campaign.id])[campaign.id]


def history(session: Session, campaign_id: UUID) -> list[HistoryLine]:
    """Return the public lines of a campaign's history."""
    found = repository.history(session, find(session, campaign_id).id)
    return [HistoryLine.model_validate(one) for one in found]


def shortlist(session: Session, campaign_id: UUID) -> Shortlist:
    """Return what is, or was, to be voted on, by envelope."""
    campaign = find(session, campaign_id)
    frozen = campaign.phase in FROZEN
    rows = repository.shortlist(session, campaign_id, numbered=frozen)
    found = []
    for envelope in campaign.envelopes:
        inside = [row for row in rows if row.envelope_id == envelope.id]
        found.append(
            ShortlistEnvelope(
                **EnvelopeOut.model_validate(envelope).model_dump(),
                total=sum(row.cost for row in inside),
                proposals=[Shortlisted.model_validate(row) for row in inside],
            )
        )
    return Shortlist(envelopes=found)
