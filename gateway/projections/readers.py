"""The least that the gateway reads of each event."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.common.events.envelope import Reader


class OfReport(Reader):
    """What every event about a report says."""

    id: UUID
    ref: str
    commune: str


class Place(Reader):
    """Where and what a report is."""

    arrondissement: str | None
    category: str
    status: str
    lon: float | None = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float | None = Field(ge=-90, le=90, allow_inf_nan=False)
    received_at: datetime


class Report(OfReport, Place):
    """A report was received or corrected."""


class ReportStatus(OfReport):
    """A report moved in its workflow."""

    status: str


class ReportVisibility(OfReport):
    """The mairie hid a report, or showed it again as it is ``now``."""

    visible: bool
    now: Place | None = None


class OfCampaign(Reader):
    """What every event about a campaign says."""

    id: UUID
    commune: str


class Campaign(OfCampaign):
    """A campaign was announced."""

    title: str
    budget: int
    phase: str
    phases: list[dict[str, Any]]
    envelopes: list[dict[str, Any]]


class CampaignChange(OfCampaign):
    """A campaign's title, money or rules are others now."""

    title: str
    budget: int
    envelopes: list[dict[str, Any]]


class CampaignPhase(OfCampaign):
    """A campaign entered another phase."""

    phase: str


class CampaignCalendar(OfCampaign):
    """A phase was prolonged: all dates, as they are now."""

    phases: list[dict[str, Any]]


class Project(Reader):
    """A line of a ballot."""

    id: UUID
    ref: str
    number: int


class Ballot(Reader):
    """A shortlist is final."""

    campaign: UUID
    commune: str
    title: str
    budget: int
    projects: list[Project]
    envelopes: list[dict[str, Any]] = Field(default=[])


class OfProposal(Reader):
    """What every event about a proposal says."""

    id: UUID
    ref: str
    campaign: UUID
    commune: str


class ProposalContent(OfProposal):
    """What a proposal is; ``geometry`` is GeoJSON."""

    arrondissement: str | None
    title: str
    theme: str | None
    estimated_cost: int
    geometry: dict[str, Any]
    envelope: UUID | None = None
    status: str


class Proposal(ProposalContent):
    """A proposal was submitted."""

    submitted_at: datetime


class ProposalRevision(ProposalContent):
    """A proposal was revised; ``cost`` is the mairie's, where there is one."""

    cost: int | None


class Review(OfProposal):
    """The mairie answered a proposal."""

    cost: int
    status: str


class Outcome(OfProposal):
    """The vote gave a proposal its money, or did not."""

    cost: int


class ProposalStatus(OfProposal):
    """A proposal was merged into another, parted from it, or withdrawn."""

    status: str


class ProposalVisibility(OfProposal):
    """The mairie hid a proposal, or showed it again."""

    visible: bool


class Discussion(OfProposal):
    """So many comments can be read now."""

    comments: int


class OfWork(Reader):
    """What every event about a work says."""

    id: UUID
    ref: str
    proposal: UUID
    proposal_ref: str
    campaign: UUID
    commune: str


class Work(OfWork):
    """A funded proposal is a work now; ``geometry`` is GeoJSON."""

    envelope: UUID | None
    title: str
    theme: str | None
    voted_cost: int
    geometry: dict[str, Any]
    status: str
    opened_at: datetime


class WorkState(OfWork):
    """A work moved on."""

    status: str
    progress: int
    ends_on: date | None
    delayed: bool


class WorkMoney(OfWork):
    """The sums of a work's ledger, FCFA."""

    committed: int
    invoiced: int
    paid: int


class WorkEnd(OfWork):
    """A work was finished."""

    completed_at: datetime


class WorkCheck(OfWork):
    """So many find it finished, so many do not."""

    confirmed: int
    disputed: int


class OfElection(Reader):
    """What every event about a vote says."""

    id: UUID
    campaign: UUID
    commune: str


class Election(OfElection):
    """A vote was opened."""

    ballot_type: str
    rule: str
    budget: int
    opens_at: datetime
    closes_at: datetime


class ElectionEnd(OfElection):
    """A vote was closed."""


class Results(OfElection):
    """A vote was counted."""

    rule: str
    budget: int
    total_cost: int
    turnout: int
    winners: list[UUID]
    projects: list[dict[str, Any]]
    published_at: datetime
