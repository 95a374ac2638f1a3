"""What proposals learns from voting: who won, and so what is to be built."""

from uuid import UUID

from sqlalchemy.orm import Session

from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Consumer
from services.proposals.campaigns import service as campaigns
from services.proposals.models import Campaign
from services.proposals.works import service as works


class ResultsPublished(Reader):
    """The published count of a campaign's election."""

    campaign: UUID
    winners: list[UUID]
    reason: str = ""


def on_results(session: Session, event: Event, data: Reader) -> None:
    """Mark what is funded, open a work for each, and show the results, in the count's trace."""
    assert isinstance(data, ResultsPublished)  # noqa: S101 - the table below says so
    funded = campaigns.record_results(
        session,
        data.campaign,
        data.winners,
        at=event.time,
        reason=data.reason,
        traceparent=event.traceparent,
    )
    campaign = session.get_one(Campaign, data.campaign)
    works.open_works(session, campaign, funded, at=event.time, traceparent=event.traceparent)


CONSUMER = Consumer(
    group="proposals",
    sources=("voting",),
    handlers={"bj.palabre.election.results_published.v1": (ResultsPublished, on_results)},
)
