"""What voting publishes: that a vote opens, closes and how it ended; nothing of a voter."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.common.events.envelope import EventData


class ElectionOpened(EventData):
    """Ballots are taken from ``opens_at``; ``rule_hash`` pins how they will be counted."""

    event_type: ClassVar[str] = "bj.palabre.election.opened.v1"

    id: UUID
    campaign: UUID
    commune: str
    ballot_type: str
    rule: str
    rule_hash: str
    budget: int
    opens_at: datetime
    closes_at: datetime


class ElectionClosed(EventData):
    """No more ballots are taken."""

    event_type: ClassVar[str] = "bj.palabre.election.closed.v1"

    id: UUID
    campaign: UUID
    commune: str
    closed_at: datetime


class ProjectResult(BaseModel):
    """How one project ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    number: int
    title: str
    cost: int
    votes: int
    funded: bool


class ResultsPublished(EventData):
    """The count; ``turnout`` is how many persons voted, ``winners`` in the order of the count.

    ``reason`` says why the vote closed before its announced end; empty when it did not.
    """

    event_type: ClassVar[str] = "bj.palabre.election.results_published.v1"

    id: UUID
    campaign: UUID
    commune: str
    rule: str
    budget: int
    total_cost: int
    turnout: int
    winners: list[UUID]
    projects: list[ProjectResult]
    published_at: datetime
    reason: str = ""


_ID = UUID("5a3e9c3e-0000-5000-8000-000000000001")
_CAMPAIGN = UUID("01930000-0000-7000-8000-000000000010")
_PROJECTS = [UUID(f"01930000-0000-7000-8000-00000000002{n}") for n in (1, 2)]
_AT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)

PUBLISHED: tuple[type[EventData], ...] = (ElectionOpened, ElectionClosed, ResultsPublished)
EXAMPLES: tuple[EventData, ...] = (
    ElectionOpened(
        id=_ID,
        campaign=_CAMPAIGN,
        commune="0801",
        ballot_type="approval",
        rule="greedy",
        rule_hash="ab" * 32,
        budget=20_000_000,
        opens_at=datetime(2026, 11, 8, 7, 0, tzinfo=UTC),
        closes_at=_AT,
    ),
    ElectionClosed(id=_ID, campaign=_CAMPAIGN, commune="0801", closed_at=_AT),
    ResultsPublished(
        id=_ID,
        campaign=_CAMPAIGN,
        commune="0801",
        rule="greedy",
        budget=20_000_000,
        total_cost=12_000_000,
        turnout=431,
        winners=[_PROJECTS[0]],
        projects=[
            ProjectResult(
                id=_PROJECTS[0],
                number=1,
                title="Éclairage solaire du marché",
                cost=12_000_000,
                votes=302,
                funded=True,
            ),
            ProjectResult(
                id=_PROJECTS[1],
                number=2,
                title="Caniveau de la rue 12",
                cost=9_500_000,
                votes=187,
                funded=False,
            ),
        ],
        published_at=_AT,
        reason="Une crue annoncée rend les quartiers du fleuve inaccessibles.",
    ),
)
