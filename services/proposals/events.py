"""What proposals publishes: campaigns, titles, places and costs, never who wrote or endorsed."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.common.events.envelope import EventData
from services.proposals.domain import Outcome, Phase


class Part(BaseModel):
    """A nested object of an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PhasePlan(Part):
    """When a phase is planned."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


class EnvelopePlan(Part):
    """A part of the budget, in FCFA."""

    id: UUID
    name: str
    amount: int
    arrondissement: str | None


class Geometry(Part):
    """A GeoJSON geometry, WGS 84."""

    type: Literal["Point", "LineString", "Polygon"]
    coordinates: list[Any]


class Project(Part):
    """A line of the ballot: ``number`` is what voters see, ``cost`` is final (FCFA)."""

    id: UUID
    ref: str
    number: int
    title: str
    cost: int
    theme: str | None
    arrondissement: str | None
    lon: float
    lat: float


class CampaignPublished(EventData):
    """A budget campaign was announced."""

    event_type: ClassVar[str] = "bj.palabre.campaign.published.v1"

    id: UUID
    commune: str
    title: str
    budget: int
    phase: Phase
    phases: list[PhasePlan]
    envelopes: list[EnvelopePlan]


class CampaignPhaseChanged(EventData):
    """A campaign entered another phase."""

    event_type: ClassVar[str] = "bj.palabre.campaign.phase_changed.v1"

    id: UUID
    commune: str
    previous: Phase
    phase: Phase
    changed_at: datetime


class CampaignBallotFrozen(EventData):
    """The shortlist, its numbers and its costs are final; the vote may open."""

    event_type: ClassVar[str] = "bj.palabre.campaign.ballot_frozen.v1"

    campaign: UUID
    commune: str
    title: str
    budget: int
    ballot_type: str
    rule: str
    opens_at: datetime
    closes_at: datetime
    projects: list[Project]


class ProposalSubmitted(EventData):
    """A project was proposed, for the problems of ``reports`` (ids), out of ``hotspot`` (ref)."""

    event_type: ClassVar[str] = "bj.palabre.proposal.submitted.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    arrondissement: str | None
    title: str
    theme: str | None
    estimated_cost: int
    geometry: Geometry
    status: Literal["submitted"]
    submitted_at: datetime
    reports: list[UUID] = Field(default=[])
    hotspot: str | None = None


class ProposalReviewed(EventData):
    """The mairie said whether the project can be done, and its cost."""

    event_type: ClassVar[str] = "bj.palabre.proposal.reviewed.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    outcome: Outcome
    cost: int
    status: Literal["shortlisted", "not_feasible"]


class ProposalFunded(EventData):
    """The vote gave the project its money."""

    event_type: ClassVar[str] = "bj.palabre.proposal.funded.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    cost: int


class ProposalNotFunded(EventData):
    """The vote left the project without money."""

    event_type: ClassVar[str] = "bj.palabre.proposal.not_funded.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    cost: int


PUBLISHED: tuple[type[EventData], ...] = (
    CampaignPublished,
    CampaignPhaseChanged,
    CampaignBallotFrozen,
    ProposalSubmitted,
    ProposalReviewed,
    ProposalFunded,
    ProposalNotFunded,
)

_CAMPAIGN = UUID("01930000-0000-7000-8000-000000000101")
_PROPOSAL = UUID("01930000-0000-7000-8000-000000000102")
_OPENS = datetime(2026, 12, 1, 8, tzinfo=UTC)
_CLOSES = datetime(2026, 12, 15, 18, tzinfo=UTC)

EXAMPLES: tuple[EventData, ...] = (
    CampaignPublished(
        id=_CAMPAIGN,
        commune="0801",
        title="Budget participatif 2027",
        budget=45_000_000,
        phase="preparation",
        phases=[PhasePlan(phase="vote", opens_at=_OPENS, closes_at=_CLOSES)],
        envelopes=[
            EnvelopePlan(
                id=UUID("01930000-0000-7000-8000-000000000103"),
                name="Littoral est",
                amount=15_000_000,
                arrondissement="0801-01",
            )
        ],
    ),
    CampaignPhaseChanged(
        id=_CAMPAIGN, commune="0801", previous="preparation", phase="ideas", changed_at=_OPENS
    ),
    CampaignBallotFrozen(
        campaign=_CAMPAIGN,
        commune="0801",
        title="Budget participatif 2027",
        budget=45_000_000,
        ballot_type="approval",
        rule="greedy",
        opens_at=_OPENS,
        closes_at=_CLOSES,
        projects=[
            Project(
                id=_PROPOSAL,
                ref="P-7K4M2P",
                number=1,
                title="Six lampadaires au marché",
                cost=4_800_000,
                theme="lighting",
                arrondissement="0801-05",
                lon=2.4333,
                lat=6.3667,
            )
        ],
    ),
    ProposalSubmitted(
        id=_PROPOSAL,
        ref="P-7K4M2P",
        campaign=_CAMPAIGN,
        commune="0801",
        arrondissement="0801-05",
        title="Six lampadaires au marché",
        theme="lighting",
        estimated_cost=4_500_000,
        geometry=Geometry(type="Point", coordinates=[2.4333, 6.3667]),
        status="submitted",
        submitted_at=_OPENS,
        reports=[UUID("01930000-0000-7000-8000-000000000002")],
        hotspot="H-7K4M2",
    ),
    ProposalSubmitted(
        id=_PROPOSAL,
        ref="P-7K4M2P",
        campaign=_CAMPAIGN,
        commune="0801",
        arrondissement=None,
        title="Une piste cyclable",
        theme=None,
        estimated_cost=4_500_000,
        geometry=Geometry(type="LineString", coordinates=[[2.4333, 6.3667], [2.4341, 6.3671]]),
        status="submitted",
        submitted_at=_OPENS,
    ),
    ProposalReviewed(
        id=_PROPOSAL,
        ref="P-7K4M2P",
        campaign=_CAMPAIGN,
        commune="0801",
        outcome="feasible",
        cost=4_800_000,
        status="shortlisted",
    ),
    ProposalFunded(
        id=_PROPOSAL, ref="P-7K4M2P", campaign=_CAMPAIGN, commune="0801", cost=4_800_000
    ),
    ProposalNotFunded(
        id=_PROPOSAL, ref="P-7K4M2P", campaign=_CAMPAIGN, commune="0801", cost=4_800_000
    ),
)
