"""Projections: any order, any repeat, the same rows; rebuilt from the log, the same tables."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gateway.projections import CONSUMER, TABLES, queries
from gateway.settings import Settings
from services.common.db import make_engine, make_sessions
from services.common.events import outbox
from services.common.events.embedded import EmbeddedSubscription
from services.common.events.envelope import Event, EventData, new_event
from services.common.events.inbox import apply, current_version
from services.common.events.rebuild import rebuild
from services.proposals import events as proposals
from services.reports import events as reports
from services.voting import events as voting
from tests.servers import Database

pytestmark = pytest.mark.integration

COMMUNE = "0801"
SOURCES = {"reports": reports, "proposals": proposals, "voting": voting}


@pytest.fixture(scope="module")
def engine(fresh_database: Database) -> Iterator[Engine]:
    made = make_engine(fresh_database.url("gateway"), threads=4)
    yield made
    made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with make_sessions(engine)() as found:
        yield found
        found.rollback()


def said(source: str, subject: UUID, sequence: int, data: EventData) -> Event:
    return new_event(source, subject, COMMUNE, sequence, data)


def example(source: str, kind: type[EventData]) -> Any:
    return next(e for e in SOURCES[source].EXAMPLES if type(e) is kind)


def story() -> list[Event]:
    """A report answered twice, and a campaign from its start to its results."""
    report = example("reports", reports.ReportReceived)
    moved = example("reports", reports.ReportStatusChanged)
    campaign = example("proposals", proposals.CampaignPublished)
    proposal = example("proposals", proposals.ProposalSubmitted)
    phase = example("proposals", proposals.CampaignPhaseChanged)
    election = example("voting", voting.ElectionOpened)
    closed = example("voting", voting.ElectionClosed)
    results = example("voting", voting.ResultsPublished)
    return [
        said("reports", report.id, 1, report),
        said("reports", report.id, 2, moved),
        said("reports", report.id, 3, moved.model_copy(update={"status": "resolved"})),
        said("proposals", campaign.id, 1, campaign),
        said("proposals", campaign.id, 2, phase),
        said("proposals", proposal.id, 1, proposal),
        said("proposals", proposal.id, 2, example("proposals", proposals.ProposalReviewed)),
        said("proposals", campaign.id, 3, example("proposals", proposals.CampaignBallotFrozen)),
        said("proposals", campaign.id, 4, phase.model_copy(update={"phase": "vote"})),
        said("voting", election.id, 1, election),
        said("voting", election.id, 2, closed),
        said("voting", election.id, 3, results),
        said("proposals", proposal.id, 3, example("proposals", proposals.ProposalFunded)),
    ]


def play(session: Session, events: Sequence[Event]) -> None:
    for event in events:
        apply(session, CONSUMER, event)


def tables(session: Session) -> dict[str, list[str]]:
    """Return every row of every projection as JSON, but for the versions of layers."""
    return {
        table: list(session.scalars(text(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1")))
        for table in TABLES
        if table != "layer_versions"
    }


def layer_versions(session: Session) -> dict[str, int]:
    found = session.execute(text("SELECT layer, version FROM layer_versions"))
    return {row.layer: row.version for row in found}


def test_a_story_is_told_by_the_tables(session: Session) -> None:
    play(session, story())
    campaign = example("proposals", proposals.CampaignPublished)
    election = example("voting", voting.ElectionOpened)
    assert queries.report_counts(session, COMMUNE) == {"resolved": 1}
    assert queries.reports_by_commune(session) == {COMMUNE: 1}
    found = queries.campaign(session, campaign.id)
    assert found is not None
    assert (found["phase"], found["budget"]) == ("vote", campaign.budget)
    assert found["phases"][0]["phase"] == "vote"
    assert [c["id"] for c in queries.campaigns(session, COMMUNE)] == [campaign.id]
    [proposal] = queries.proposals(session, campaign.id)
    assert (proposal["status"], proposal["number"], proposal["cost"]) == ("funded", 1, 4_800_000)
    assert queries.proposal_counts(session, campaign.id) == {"funded": 1}
    elected = queries.election(session, election.campaign)
    assert elected is not None
    assert elected["state"] == "published"
    results = queries.results(session, election.campaign)
    assert results is not None
    assert results["turnout"] == 431
    assert [p["votes"] for p in results["projects"]] == [302, 187]
    assert queries.results(session, uuid4()) is None


def test_repeats_and_late_events_take_nothing_back(session: Session) -> None:
    events = story()
    play(session, events)
    whole = tables(session)
    play(session, events[::-1])
    assert tables(session) == whole
    for event in events:
        play(session, [event])
        assert tables(session) == whole, event.type


@pytest.mark.parametrize("source", SOURCES)
def test_every_order_gives_the_same_rows(engine: Engine, source: str) -> None:
    events = [e for e in story() if e.source == source]
    seen = set()
    sessions = make_sessions(engine)
    orders = list(itertools.permutations(events))
    for order in orders[:: len(orders) // 50 + 1]:
        with sessions() as session:
            play(session, order)
            seen.add(json.dumps(tables(session)))
            session.rollback()
    assert len(seen) == 1


def test_only_layers_that_changed_get_a_new_version(session: Session) -> None:
    query = text("SELECT layer FROM layer_versions WHERE commune = :c ORDER BY layer")
    play(session, [e for e in story() if e.source == "reports"])
    assert list(session.scalars(query, {"c": COMMUNE})) == ["reports"]
    play(session, [e for e in story() if e.source != "reports"])
    assert list(session.scalars(query, {"c": COMMUNE})) == ["funded", "proposals", "reports"]


def test_rebuilt_from_the_log_the_tables_are_the_same(
    fresh_database: Database, engine: Engine
) -> None:
    """The live consumer works all along; both read the services' real outboxes."""
    for source in SOURCES:
        publisher = make_engine(fresh_database.url(source), threads=1)
        with make_sessions(publisher).begin() as session:
            outbox.append(session, [e for e in story() if e.source == source])
        publisher.dispose()
    stop = Flag()
    live = Thread(target=EmbeddedSubscription(engine, CONSUMER, poll=0.05).run, args=(stop,))
    live.start()
    settings = Settings(_env_file=None, database_url=fresh_database.url("gateway"), secret="s" * 16)
    sessions = make_sessions(engine)
    try:
        first = rebuild(settings, engine, CONSUMER, "gateway")
        with sessions() as session:
            before = tables(session)
            versions = dict(
                session.execute(text("SELECT layer, version FROM layer_versions")).all()
            )
            assert current_version(session, CONSUMER.group) == first
        assert all(before.values())
        assert rebuild(settings, engine, CONSUMER, "gateway") == first + 1
        with sessions() as session:
            assert tables(session) == before
            again = layer_versions(session)
        assert all(again[layer] > version for layer, version in versions.items())
        later = replace(story()[2], sequence=4)
        publisher = make_engine(fresh_database.url("reports"), threads=1)
        with make_sessions(publisher).begin() as session:
            data = dict(later.data) | {"status": "reopened"}
            outbox.append(session, [replace(later, data=data)])
        publisher.dispose()
        with sessions() as session:
            for _ in range(100):
                session.rollback()
                if queries.report_counts(session, COMMUNE) == {"reopened": 1}:
                    break
                stop.wait(0.1)
            assert queries.report_counts(session, COMMUNE) == {"reopened": 1}
    finally:
        stop.set()
        live.join()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM dead_letters")) == 0
