"""What voting does with events: a frozen ballot opens an election, which may be prolonged."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator
from sqlalchemy.orm import Session

from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Consumer
from services.voting import service

Money = Annotated[int, Field(ge=1, le=10**12)]


class FrozenEnvelope(Reader):
    """A part of the budget, whose projects compete for its amount (FCFA)."""

    id: UUID
    name: str
    amount: Money


class FrozenProject(Reader):
    """A shortlisted project as proposals froze it."""

    id: UUID
    ref: str
    number: Annotated[int, Field(ge=1, le=100_000)]
    title: str
    cost: Money
    theme: str | None = None
    arrondissement: str | None = None
    lon: float | None = None
    lat: float | None = None
    envelope: UUID | None = None


class BallotFrozen(Reader):
    """``campaign.ballot_frozen``: only ballot types and rules that can be counted are read."""

    campaign: UUID
    commune: str
    title: str
    budget: Money
    ballot_type: Literal["approval"]
    rule: Literal["greedy"]
    opens_at: AwareDatetime
    closes_at: AwareDatetime
    projects: Annotated[list[FrozenProject], Field(min_length=1)]
    envelopes: list[FrozenEnvelope] = Field(default=[])

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse what no vote can be held on."""
        if self.closes_at <= self.opens_at:
            raise ValueError("the vote closes before it opens")
        for values in ([p.id for p in self.projects], [p.number for p in self.projects]):
            if len(set(values)) != len(values):
                raise ValueError("two projects share an id or a number")
        self._check_envelopes()
        return self

    def _check_envelopes(self) -> None:
        known = {e.id for e in self.envelopes}
        if len(known) != len(self.envelopes):
            raise ValueError("two envelopes share an id")
        if sum(e.amount for e in self.envelopes) > self.budget:
            raise ValueError("the envelopes are more than the budget")
        if len(known) > 1 and not {p.envelope for p in self.projects} <= known:
            raise ValueError("a project is in none of the envelopes")


class PlannedPhase(Reader):
    """When a phase is planned."""

    phase: str
    closes_at: AwareDatetime


class CalendarChanged(Reader):
    """``campaign.calendar_changed``: ``phase`` was prolonged; ``phases`` are as they are now."""

    id: UUID
    phase: str
    phases: list[PlannedPhase]


def on_ballot_frozen(session: Session, event: Event, data: Reader) -> None:
    """Open the election of a campaign, once."""
    assert isinstance(data, BallotFrozen)  # noqa: S101 - the reader of this handler
    frozen = data.model_dump(exclude={"projects", "envelopes"})
    projects = [p.model_dump() for p in data.projects]
    envelopes = [e.model_dump(mode="json") for e in data.envelopes]
    service.open_election(
        session,
        **frozen,
        projects=projects,
        envelopes=envelopes,
        traceparent=event.traceparent,
    )


def on_calendar_changed(session: Session, _: Event, data: Reader) -> None:
    """Keep an open election open as long as its campaign now says."""
    assert isinstance(data, CalendarChanged)  # noqa: S101 - the reader of this handler
    if data.phase == "vote":
        for planned in data.phases:
            if planned.phase == "vote":
                service.prolong(session, data.id, planned.closes_at)


CONSUMER = Consumer(
    group="voting",
    sources=("proposals",),
    handlers={
        "bj.palabre.campaign.ballot_frozen.v1": (BallotFrozen, on_ballot_frozen),
        "bj.palabre.campaign.calendar_changed.v1": (CalendarChanged, on_calendar_changed),
    },
)
