"""The least that the gateway reads of each event."""

from datetime import datetime
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


class Campaign(Reader):
    """A campaign was announced."""

    id: UUID
    commune: str
    title: str
    budget: int
    phase: str
    phases: list[dict[str, Any]]
    envelopes: list[dict[str, Any]]


class CampaignPhase(Reader):
    """A campaign entered another phase."""

    id: UUID
    commune: str
    phase: str


class Project(Reader):
    """A line of a ballot."""

    id: UUID
    ref: str
    number: int
    cost: int


class Ballot(Reader):
    """A shortlist is final."""

    campaign: UUID
    commune: str
    projects: list[Project]


class Proposal(Reader):
    """A proposal was submitted; ``geometry`` is GeoJSON."""

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    arrondissement: str | None
    title: str
    theme: str | None
    estimated_cost: int
    geometry: dict[str, Any]
    status: str
    submitted_at: datetime


class Review(Reader):
    """The mairie answered a proposal."""

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    cost: int
    status: str


class Outcome(Reader):
    """The vote gave a proposal its money, or did not."""

    id: UUID
    ref: str
    campaign: UUID
    commune: str
    cost: int


class Election(Reader):
    """A vote was opened."""

    id: UUID
    campaign: UUID
    commune: str
    ballot_type: str
    rule: str
    budget: int
    opens_at: datetime
    closes_at: datetime


class ElectionEnd(Reader):
    """A vote was closed."""

    id: UUID
    campaign: UUID
    commune: str


class Results(Reader):
    """A vote was counted."""

    id: UUID
    campaign: UUID
    commune: str
    rule: str
    budget: int
    total_cost: int
    turnout: int
    winners: list[UUID]
    projects: list[dict[str, Any]]
    published_at: datetime
