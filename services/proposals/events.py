"""What proposals publishes: campaigns, titles, places and money, never who wrote or endorsed.

Of what people write only a proposal's title travels; amounts are whole FCFA.
"""

from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.common.events.envelope import EventData
from services.proposals.domain import (
    EnvelopeKind,
    Origin,
    Outcome,
    Phase,
    Status,
    WorkStatus,
)

#: Who did it.
By = Literal["agent", "calendar", "count"]


class Part(BaseModel):
    """A nested object of an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PhasePlan(Part):
    """When a phase is planned."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


class EnvelopePlan(Part):
    """A part of the budget, in FCFA: the whole commune's, an arrondissement's or a theme's."""

    id: UUID
    name: str
    amount: int
    arrondissement: str | None
    kind: EnvelopeKind = "commune"
    theme: str | None = None


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
    envelope: UUID | None = None


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
    by: By = "agent"
    early: bool = Field(False, description="before the announced end, with a published reason")


class CampaignChanged(EventData):
    """A campaign's title, money or rules are others now; its text is read over HTTP."""

    event_type: ClassVar[str] = "bj.palabre.campaign.changed.v1"

    id: UUID
    commune: str
    title: str
    budget: int
    envelopes: list[EnvelopePlan]
    changed_at: datetime


class CampaignCalendarChanged(EventData):
    """A phase was prolonged, those behind it moved on: no phase ever ends earlier than told."""

    event_type: ClassVar[str] = "bj.palabre.campaign.calendar_changed.v1"

    id: UUID
    commune: str
    phase: Phase
    phases: list[PhasePlan]
    changed_at: datetime
    by: By = "agent"


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
    envelopes: list[EnvelopePlan] = Field(default=[])


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
    envelope: UUID | None = None
    origin: Origin = "web"


class ProposalRevised(EventData):
    """A proposal reads otherwise, or lies elsewhere: its ``revision``-th text."""

    event_type: ClassVar[str] = "bj.palabre.proposal.revised.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    revision: int
    arrondissement: str | None
    title: str
    theme: str | None
    estimated_cost: int
    cost: int | None = Field(description="the reviewed cost, where there is one")
    geometry: Geometry
    envelope: UUID | None
    reports: list[UUID]
    status: Status
    changed: list[str]


class ProposalThresholdReached(EventData):
    """As many people endorse the proposal as its campaign asks for."""

    event_type: ClassVar[str] = "bj.palabre.proposal.threshold_reached.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    endorsements: int


class ProposalMerged(EventData):
    """With its authors' consent the proposal goes on in another."""

    event_type: ClassVar[str] = "bj.palabre.proposal.merged.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    into: UUID
    into_ref: str
    status: Literal["merged"] = "merged"
    reports: list[UUID] = Field(description="what the proposal it goes on in answers too, now")


class ProposalUnmerged(EventData):
    """The proposal stands by itself again."""

    event_type: ClassVar[str] = "bj.palabre.proposal.unmerged.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    out_of: UUID
    out_of_ref: str
    status: Status


class ProposalWithdrawn(EventData):
    """Its authors took the proposal back."""

    event_type: ClassVar[str] = "bj.palabre.proposal.withdrawn.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    status: Literal["withdrawn"] = "withdrawn"


class ProposalVisibilityChanged(EventData):
    """The mairie hid a proposal against its rules, or showed it again."""

    event_type: ClassVar[str] = "bj.palabre.proposal.visibility_changed.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    visible: bool


class ProposalDiscussed(EventData):
    """People wrote about the proposal: how many comments all can read now."""

    event_type: ClassVar[str] = "bj.palabre.proposal.discussed.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    comments: int


class ProposalAnswered(EventData):
    """An author replied to the mairie's review, once."""

    event_type: ClassVar[str] = "bj.palabre.proposal.answered.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str


class ProposalReviewed(EventData):
    """The mairie said if it can be done and its cost; ``round`` 2 after the author's reply."""

    event_type: ClassVar[str] = "bj.palabre.proposal.reviewed.v1"

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    outcome: Outcome
    cost: int
    status: Literal["shortlisted", "not_feasible"]
    round: int = 1


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


class WorkEvent(EventData):
    """What every event of a work says; ``reports`` are the problems that led to it."""

    id: UUID
    ref: str
    proposal: UUID
    proposal_ref: str
    campaign: UUID
    commune: str


class WorkOpened(WorkEvent):
    """A funded proposal is a work now."""

    event_type: ClassVar[str] = "bj.palabre.work.opened.v1"

    envelope: UUID | None
    title: str
    theme: str | None
    voted_cost: int
    geometry: Geometry
    status: WorkStatus
    opened_at: datetime


class WorkChanged(WorkEvent):
    """A work moved on: its state, progress in percent, or dates; ``delayed`` past its first end."""

    event_type: ClassVar[str] = "bj.palabre.work.changed.v1"

    status: WorkStatus
    progress: int
    starts_on: date | None
    ends_on: date | None
    delayed: bool
    changed_at: datetime


class WorkSpent(WorkEvent):
    """An entry of a work's ledger, and the sums with it; a counter-entry's ``amount`` is negative.

    ``balance`` is the voted cost less what is paid.
    """

    event_type: ClassVar[str] = "bj.palabre.work.spent.v1"

    entry: UUID
    number: int
    kind: Literal["commitment", "invoice", "payment"]
    amount: int
    committed: int
    invoiced: int
    paid: int
    balance: int
    spent_at: datetime


class WorkCompleted(WorkEvent):
    """The mairie published that a work is finished: the reports behind it may be closed."""

    event_type: ClassVar[str] = "bj.palabre.work.completed.v1"

    reports: list[UUID]
    paid: int
    completed_at: datetime


class WorkChecked(WorkEvent):
    """Citizens said whether a finished work is: how many each."""

    event_type: ClassVar[str] = "bj.palabre.work.checked.v1"

    confirmed: int
    disputed: int


PUBLISHED: tuple[type[EventData], ...] = (
    CampaignPublished,
    CampaignChanged,
    CampaignPhaseChanged,
    CampaignCalendarChanged,
    CampaignBallotFrozen,
    ProposalSubmitted,
    ProposalRevised,
    ProposalThresholdReached,
    ProposalMerged,
    ProposalUnmerged,
    ProposalWithdrawn,
    ProposalVisibilityChanged,
    ProposalDiscussed,
    ProposalReviewed,
    ProposalAnswered,
    ProposalFunded,
    ProposalNotFunded,
    WorkOpened,
    WorkChanged,
    WorkSpent,
    WorkCompleted,
    WorkChecked,
)


_CAMPAIGN = UUID("01930000-0000-7000-8000-000000000101")
_PROPOSAL = UUID("01930000-0000-7000-8000-000000000102")
_OPENS = datetime(2026, 12, 1, 8, tzinfo=UTC)
_CLOSES = datetime(2026, 12, 15, 18, tzinfo=UTC)
_ENVELOPE = UUID("01930000-0000-7000-8000-000000000103")
_OF_PROPOSAL: dict[str, Any] = {
    "id": _PROPOSAL,
    "ref": "P-7K4M2P",
    "campaign": _CAMPAIGN,
    "commune": "0801",
}
_OF_WORK: dict[str, Any] = {
    "id": UUID("01930000-0000-7000-8000-000000000105"),
    "ref": "T-7K4M2P",
    "proposal": _PROPOSAL,
    "proposal_ref": "P-7K4M2P",
    "campaign": _CAMPAIGN,
    "commune": "0801",
}

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
    CampaignChanged(
        id=_CAMPAIGN,
        commune="0801",
        title="Budget participatif 2027",
        budget=45_000_000,
        envelopes=[],
        changed_at=_OPENS,
    ),
    CampaignCalendarChanged(
        id=_CAMPAIGN,
        commune="0801",
        phase="vote",
        phases=[PhasePlan(phase="vote", opens_at=_OPENS, closes_at=_CLOSES)],
        changed_at=_OPENS,
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
    ProposalReviewed(**_OF_PROPOSAL, outcome="feasible", cost=4_800_000, status="shortlisted"),
    ProposalFunded(**_OF_PROPOSAL, cost=4_800_000),
    ProposalNotFunded(**_OF_PROPOSAL, cost=4_800_000),
    ProposalRevised(
        id=_PROPOSAL,
        ref="P-7K4M2P",
        campaign=_CAMPAIGN,
        commune="0801",
        revision=2,
        arrondissement="0801-05",
        title="Huit lampadaires au marché",
        theme="lighting",
        estimated_cost=5_500_000,
        cost=None,
        geometry=Geometry(type="Point", coordinates=[2.4333, 6.3667]),
        envelope=_ENVELOPE,
        reports=[UUID("01930000-0000-7000-8000-000000000002")],
        status="submitted",
        changed=["title", "estimated_cost"],
    ),
    ProposalThresholdReached(**_OF_PROPOSAL, endorsements=50),
    ProposalMerged(
        **_OF_PROPOSAL,
        into=UUID("01930000-0000-7000-8000-000000000104"),
        into_ref="P-2B7CDE",
        reports=[UUID("01930000-0000-7000-8000-000000000002")],
    ),
    ProposalUnmerged(
        **_OF_PROPOSAL,
        out_of=UUID("01930000-0000-7000-8000-000000000104"),
        out_of_ref="P-2B7CDE",
        status="submitted",
    ),
    ProposalWithdrawn(**_OF_PROPOSAL),
    ProposalVisibilityChanged(**_OF_PROPOSAL, visible=False),
    ProposalDiscussed(**_OF_PROPOSAL, comments=12),
    ProposalAnswered(**_OF_PROPOSAL),
    WorkOpened(
        **_OF_WORK,
        envelope=_ENVELOPE,
        title="Six lampadaires au marché",
        theme="lighting",
        voted_cost=4_800_000,
        geometry=Geometry(type="Point", coordinates=[2.4333, 6.3667]),
        status="planned",
        opened_at=_CLOSES,
    ),
    WorkChanged(
        **_OF_WORK,
        status="under_way",
        progress=40,
        starts_on=date(2027, 2, 1),
        ends_on=date(2027, 6, 30),
        delayed=False,
        changed_at=_CLOSES,
    ),
    WorkSpent(
        **_OF_WORK,
        entry=UUID("01930000-0000-7000-8000-000000000106"),
        number=3,
        kind="payment",
        amount=1_200_000,
        committed=4_700_000,
        invoiced=1_200_000,
        paid=1_200_000,
        balance=3_600_000,
        spent_at=_CLOSES,
    ),
    WorkCompleted(
        **_OF_WORK,
        reports=[UUID("01930000-0000-7000-8000-000000000002")],
        paid=4_700_000,
        completed_at=_CLOSES,
    ),
    WorkChecked(**_OF_WORK, confirmed=14, disputed=1),
)
