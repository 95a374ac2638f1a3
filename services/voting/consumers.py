"""What voting does with events: a frozen ballot opens an election."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator
from sqlalchemy.orm import Session

from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Consumer
from services.voting import service

Money = Annotated[int, Field(ge=1, le=10**12)]


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

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse what no vote can be held on."""
        if self.closes_at <= self.opens_at:
            raise ValueError("the vote closes before it opens")
        for values in ([p.id for p in self.projects], [p.number for p in self.projects]):
            if len(set(values)) != len(values):
                raise ValueError("two projects share an id or a number")
        return self


def on_ballot_frozen(session: Session, event: Event, data: Reader) -> None:
    """Open the election of a campaign, once."""
    assert isinstance(data, BallotFrozen)  # noqa: S101 - the reader of this handler
    frozen = data.model_dump(exclude={"projects"})
    projects = [p.model_dump() for p in data.projects]
    service.open_election(session, **frozen, projects=projects, traceparent=event.traceparent)


CONSUMER = Consumer(
    group="voting",
    sources=("proposals",),
    handlers={"bj.palabre.campaign.ballot_frozen.v1": (BallotFrozen, on_ballot_frozen)},
)
