"""What proposals learns from voting: who won."""

from uuid import UUID

from sqlalchemy.orm import Session

from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Consumer
from services.proposals import service


class ResultsPublished(Reader):
    """The published count of a campaign's election."""

    campaign: UUID
    winners: list[UUID]


def on_results(session: Session, event: Event, data: Reader) -> None:
    """Mark what is funded and show the campaign's results, in the trace of the count."""
    assert isinstance(data, ResultsPublished)  # noqa: S101 - the table below says so
    service.record_results(
        session, data.campaign, data.winners, at=event.time, traceparent=event.traceparent
    )


CONSUMER = Consumer(
    group="proposals",
    sources=("voting",),
    handlers={"bj.palabre.election.results_published.v1": (ResultsPublished, on_results)},
)
