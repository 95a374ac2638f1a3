"""Projections: any order, any repeat, the same rows; rebuilt from the log, the same tables."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session

from gateway.projections import CONSUMER, TABLES, queries
from gateway.projections.handlers import Crossed
from gateway.settings import Settings
from infra.postgres.bootstrap import SERVICES, bootstrap
from services.common.db import make_engine, make_sessions
from services.common.events import outbox
from services.common.events.embedded import EmbeddedSubscription
from services.common.events.envelope import Event
from services.common.events.inbox import apply, current_version
from services.common.events.rebuild import rebuild
from services.common.migrate import upgrade
from services.proposals import events as proposals
from services.reports import events as reports
from services.voting import events as voting
from tests.integration.gateway.lives import (
    COMMUNE,
    ELSEWHERE,
    SOURCES,
    campaign_life,
    example,
    life,
    proposal_life,
    said,
    story,
    work_life,
)
from tests.servers import PASSWORD, Database

pytestmark = pytest.mark.integration


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


TOWN = (2.4183, 6.3654)
#: Every cell as the reports on the map say it.
COUNTED_AGAIN = """
    SELECT level, cell >> (2 * (30 - level)) AS cell, commune, count(*) AS reports,
        count(*) FILTER (WHERE open) AS open, sum(x) AS x, sum(y) AS y
    FROM map_reports, generate_series(4, 16, 2) AS level
    WHERE cell IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
KEPT = "SELECT * FROM report_cells ORDER BY level, cell, commune"


def cells(session: Session, query: str = KEPT) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(text(query))]


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
    [work] = queries.works(session, campaign.id)
    assert (work["status"], work["progress"], work["voted_cost"]) == ("under_way", 40, 4_800_000)
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


def test_every_order_of_a_report_s_life_gives_the_same_rows(engine: Engine) -> None:
    events = life()
    orders = list(itertools.permutations(events))
    seen = set()
    with make_sessions(engine)() as session:
        for order in orders[:: len(orders) // 120]:
            # Some events come twice, right away or at the end.
            play(session, [*order, *order[:2]])
            assert cells(session) == cells(session, COUNTED_AGAIN)
            seen.add(json.dumps(tables(session)))
            session.rollback()
    assert len(seen) == 1
    [row] = [json.loads(line) for line in json.loads(seen.pop())["map_reports"]]
    assert (row["commune"], row["category"], row["status"]) == (ELSEWHERE, "drainage", "waiting")
    assert row["visible"]


LIVES = {"campaigns": campaign_life, "map_proposals": proposal_life, "map_works": work_life}


@pytest.mark.parametrize("table", LIVES)
def test_every_order_of_a_life_gives_the_same_rows(engine: Engine, table: str) -> None:
    events = LIVES[table]()
    dice = random.Random(11)  # noqa: S311
    seen = set()
    with make_sessions(engine)() as session:
        for _ in range(60):
            order = dice.sample(events, len(events))
            # Some events come twice, right away or at the end.
            play(session, [*order, *(replace(e, id=uuid4()) for e in order[:3])])
            seen.add(json.dumps(tables(session)[table]))
            session.rollback()
        play(session, events)
        assert seen == {json.dumps(tables(session)[table])}


def test_every_order_of_two_events_gives_the_same_rows(engine: Engine) -> None:
    """Whatever else is still to come: no event leans on another that came before it."""
    events = [*campaign_life(), *proposal_life(), *work_life()]
    told = {type(e) for e in proposals.EXAMPLES if e.event_type in CONSUMER.handlers}
    assert {e.type for e in events} == {kind.event_type for kind in told}
    with make_sessions(engine)() as session:
        for pair in itertools.combinations(events, 2):
            found = []
            for order in (pair, pair[::-1]):
                play(session, order)
                found.append([session.scalars(text(q)).all() for q in LIVED])
                session.rollback()
            assert found[0] == found[1], [e.type for e in pair]


LIVED = [f"SELECT to_jsonb(t)::text FROM {table} t" for table in LIVES]


def test_the_rows_say_what_was_said_last(session: Session) -> None:
    play(session, [*campaign_life(), *proposal_life()[:-3], *work_life()])
    key = example("proposals", proposals.CampaignPublished).id
    campaign = queries.campaign(session, key)
    assert campaign is not None
    assert campaign["title"] == "Budget 2027, dernier titre"
    assert (campaign["budget"], campaign["phase"]) == (41_000_000, "vote")
    assert [e["amount"] for e in campaign["envelopes"]] == [13_000_000]
    assert len(campaign["phases"]) == 2
    [proposal] = queries.proposals(session, key)
    assert (proposal["title"], proposal["cost"], proposal["number"], proposal["comments"]) == (
        "Dix lampadaires",
        5_200_000,
        1,
        12,
    )
    assert (proposal["status"], proposal["theme"], proposal["envelope"]) == (
        "shortlisted",
        None,
        None,
    )
    [work] = queries.works(session, key)
    assert (work["status"], work["delayed"], work["paid"]) == ("completed", True, 1_200_000)
    assert (work["confirmed"], work["disputed"]) == (2, 3)
    assert work["completed_at"] - work["opened_at"] == timedelta(days=40)


def test_a_ballot_of_before_envelopes_leaves_those_that_were_told(session: Session) -> None:
    published, *_ = campaign_life()
    frozen = example("proposals", proposals.CampaignBallotFrozen)
    old = {k: v for k, v in frozen.model_dump(mode="json").items() if k != "envelopes"}
    play(session, [published, replace(said("proposals", frozen.campaign, 2, frozen), data=old)])
    found = queries.campaign(session, example("proposals", proposals.CampaignPublished).id)
    assert found is not None
    assert [e["name"] for e in found["envelopes"]] == ["Littoral est"]


@pytest.mark.parametrize("until", [4, 6, 11])
def test_a_proposal_merged_hidden_or_withdrawn_is_counted_nowhere(
    session: Session, until: int
) -> None:
    events = proposal_life()
    key = example("proposals", proposals.ProposalSubmitted).campaign
    on_the_map = text("SELECT count(*) FROM map_proposals WHERE cell IS NOT NULL")
    play(session, events[:3])
    assert queries.proposal_counts(session, key) == {"submitted": 1}
    assert session.scalar(on_the_map) == 1
    play(session, events[3:until])
    assert queries.proposal_counts(session, key) == {}
    assert session.scalar(on_the_map) == (0 if until == 6 else 1)


def test_after_each_event_the_cells_are_what_the_reports_say(session: Session) -> None:
    """Many reports, each with its life, mixed as several partitions would mix them."""
    dice = random.Random(7)  # noqa: S311
    lives = []
    for n in range(25):
        lon, lat = TOWN[0] + dice.gauss(0, 0.05), TOWN[1] + dice.gauss(0, 0.05)
        spot = {"id": str(uuid4()), "ref": f"S-{n}", "lon": lon, "lat": lat}
        lives.append(
            [
                replace(e, data=dict(e.data) | {k: v for k, v in spot.items() if k in e.data})
                for e in life(dice.choice((COMMUNE, ELSEWHERE)))
            ]
        )
    events = [event for one in lives for event in one]
    dice.shuffle(events)
    for event in events:
        play(session, [event])
        assert cells(session) == cells(session, COUNTED_AGAIN)
    assert {(c[2], c[3], c[4]) for c in cells(session) if c[0] == 4} == {(ELSEWHERE, 25, 25)}


def test_what_is_hidden_or_taken_back_is_nowhere_and_not_counted(session: Session) -> None:
    received, hidden, *_ = life()
    on_the_map = text("SELECT count(*) FROM map_reports WHERE cell IS NOT NULL")
    play(session, [received])
    assert (session.scalar(on_the_map), len(cells(session))) == (1, 7)
    play(session, [hidden])
    assert (session.scalar(on_the_map), cells(session)) == (0, [])
    assert queries.report_counts(session, COMMUNE) == {}
    assert queries.reports_by_commune(session) == {}
    shown = replace(hidden, sequence=3, data=dict(hidden.data) | {"visible": True})
    play(session, [shown])
    assert (session.scalar(on_the_map), len(cells(session))) == (1, 7)
    assert queries.report_counts(session, COMMUNE) == {"received": 1}
    withdrawn = example("reports", reports.ReportStatusChanged)
    data = withdrawn.model_copy(update={"status": "withdrawn"})
    play(session, [said("reports", data.id, 4, data)])
    assert (session.scalar(on_the_map), cells(session)) == (0, [])
    assert queries.report_counts(session, COMMUNE) == {}


def test_a_report_that_moves_gives_both_communes_a_new_version(session: Session) -> None:
    received, _, corrected, *_ = life()
    play(session, [received])
    session.execute(text("UPDATE layer_versions SET version = 1"))
    play(session, [corrected])
    found = session.execute(text("SELECT commune, version > 1 FROM layer_versions ORDER BY 1"))
    assert [tuple(row) for row in found] == [(ELSEWHERE, True), (COMMUNE, True)]


def test_two_consumers_that_meet_a_new_report_at_once_count_it_once(engine: Engine) -> None:
    received, _, corrected, *_ = life()
    first, second = make_sessions(engine)(), make_sessions(engine)()
    failures: list[type[BaseException]] = []

    def meanwhile() -> None:
        try:
            play(second, [corrected])
        except Exception as error:
            failures.append(type(error))
        second.rollback()

    try:
        play(first, [received])
        thread = Thread(target=meanwhile)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        first.commit()
        thread.join()
        assert failures == [Crossed]
        play(second, [corrected])  # the next attempt, as a consumer makes it
        assert cells(second) == cells(second, COUNTED_AGAIN)
        assert {c[2] for c in cells(second)} == {ELSEWHERE}
    finally:
        second.rollback()
        first.execute(text("TRUNCATE map_reports, report_cells, layer_versions"))
        first.commit()
        first.close()
        second.close()


def test_only_layers_that_changed_get_a_new_version(session: Session) -> None:
    query = text("SELECT layer FROM layer_versions WHERE commune = :c ORDER BY layer")
    play(session, [e for e in story() if e.source == "reports"])
    assert list(session.scalars(query, {"c": COMMUNE})) == ["reports"]
    play(session, [e for e in story() if e.source != "reports"])
    assert list(session.scalars(query, {"c": COMMUNE})) == [
        "funded",
        "proposals",
        "reports",
        "shortlist",
        "works",
    ]


def test_what_happens_to_a_work_changes_the_layer_of_works_alone(session: Session) -> None:
    play(session, work_life())
    assert layer_versions(session).keys() == {"works"}


OLD_BUDGET = """
    INSERT INTO campaigns (id, commune, title, budget, phase, phases, envelopes, published_at,
        updated_at, sequence)
    VALUES (:campaign, '0801', 'Budget', 1000000, 'review', '[]', '[]', now(), now(), 3);
    INSERT INTO map_proposals (id, ref, campaign, commune, title, cost, status, geom, submitted_at,
        updated_at, sequence)
    VALUES (:proposal, 'P-OLD', :campaign, '0801', 'Puits', 900000, 'shortlisted',
        ST_SetSRID(ST_MakePoint(2.41, 6.37), 4326), now(), now(), 2);
"""


def test_a_projection_of_before_is_carried_over(scratch_database: str) -> None:
    bootstrap(scratch_database, dict.fromkeys(SERVICES, PASSWORD))
    name = make_url(scratch_database).database
    assert name is not None
    engine = make_engine(Database(scratch_database, name).url("gateway"), threads=2)
    upgrade(engine, "gateway", "0001")
    insert = text(
        "INSERT INTO map_reports (id, ref, commune, category, status, geom, updated_at, sequence) "
        "VALUES (:id, :ref, '0801', :category, :status, "
        "ST_SetSRID(ST_MakePoint(:lon, 6.37), 4326), now(), 2)"
    )
    values: list[dict[str, Any]] = [
        {"id": uuid4(), "ref": "S-1", "category": "waste", "status": "received", "lon": 2.41},
        {"id": uuid4(), "ref": "S-2", "category": "waste", "status": "resolved", "lon": 2.41},
        {"id": uuid4(), "ref": "S-3", "category": "waste", "status": "rejected", "lon": 2.42},
        {"id": uuid4(), "ref": "S-4", "category": None, "status": "received", "lon": None},
    ]
    with engine.begin() as connection:
        connection.execute(insert, values)
        connection.execute(text(OLD_BUDGET), {"campaign": uuid4(), "proposal": uuid4()})
    upgrade(engine, "gateway")
    with make_sessions(engine)() as session:
        [campaign] = queries.campaigns(session, COMMUNE)
        [proposal] = queries.proposals(session, campaign["id"])
        # Late news of before the change still takes nothing back; newer news is heard.
        change = example("proposals", proposals.CampaignChanged)
        for sequence, title in ((1, "Old"), (2, "New")):
            changed = change.model_copy(update={"id": campaign["id"], "title": title})
            play(session, [said("proposals", campaign["id"], sequence, changed)])
        reviewed = example("proposals", proposals.ProposalReviewed).model_copy(
            update={"id": proposal["id"], "campaign": campaign["id"], "cost": 7}
        )
        play(session, [said("proposals", proposal["id"], 2, reviewed)])
        [proposal] = queries.proposals(session, campaign["id"])
        assert (proposal["cost"], proposal["status"]) == (900_000, "shortlisted")
        assert queries.campaigns(session, COMMUNE)[0]["title"] == "New"
        assert cells(session) == cells(session, COUNTED_AGAIN)
        assert {(level, reports, open_) for level, _, _, reports, open_, *_ in cells(session)} == {
            (level, 2, 1) for level in range(4, 17, 2)
        }
    engine.dispose()


def another_life() -> list[Event]:
    """The events of :func:`life`, of another report."""
    other = {"id": str(uuid4()), "ref": "S-OTHER"}
    return [replace(event, subject=other["id"], data=dict(event.data) | other) for event in life()]


def publish(database: Database, source: str, events: Sequence[Event]) -> None:
    publisher = make_engine(database.url(source), threads=1)
    with make_sessions(publisher).begin() as session:
        outbox.append(session, events)
    publisher.dispose()


def test_rebuilt_from_the_log_the_tables_are_the_same(
    fresh_database: Database, engine: Engine
) -> None:
    """The live consumer works all along; both read the services' real outboxes."""
    for source in SOURCES:
        publish(fresh_database, source, [e for e in story() if e.source == source])
    publish(fresh_database, "reports", another_life())
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
            assert cells(session) == cells(session, COUNTED_AGAIN)
        assert all(before.values())
        assert rebuild(settings, engine, CONSUMER, "gateway") == first + 1
        with sessions() as session:
            assert tables(session) == before
            again = layer_versions(session)
        assert all(again[layer] > version for layer, version in versions.items())
        later = replace(story()[2], sequence=4)
        data = dict(later.data) | {"status": "reopened"}
        publish(fresh_database, "reports", [replace(later, data=data)])
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
