"""Hotspots that are kept: found again they are the same, told once, and ended."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from services.common.housekeeping import Housekeeper
from services.reports.events import HotspotDetected, HotspotEnded
from services.reports.hotspots import service
from tests.apps import Tokens
from tests.integration.reports.hotspots_world import COTONOU, HERE, NOW, THERE, World, make_app
from tests.servers import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    app = make_app(fresh_database, tokens)
    engine = create_engine(fresh_database.url("reports"))
    yield World(TestClient(app), engine, tokens)
    engine.dispose()
    app.state.engine.dispose()


@pytest.fixture
def world(shared: World) -> World:
    shared.clear()
    return shared


def kept(world: World) -> list[dict[str, Any]]:
    return world.rows(
        "SELECT id, ref, category, count, version, arrondissement, detected_at, seen_at, ended_at, "
        "trend, ST_Area(geom::geography) AS area FROM hotspots ORDER BY detected_at, category"
    )


def test_a_new_hotspot_is_a_row_and_one_event(world: World) -> None:
    world.scatter(40)
    world.gather(23)
    world.detect()
    (row,) = kept(world)
    assert (row["version"], row["trend"], row["ended_at"]) == (1, "emerging", None)
    assert row["ref"].startswith("H-")
    assert 70_000 < row["area"] < 800_000  # one hexagon to ten
    (event,) = world.events()
    assert (event["type"], event["key"]) == ("bj.palabre.hotspot.detected.v1", COTONOU)
    assert (event["subject"], event["sequence"]) == (str(row["id"]), 1)
    told = HotspotDetected.model_validate(event["payload"])
    assert (told.id, told.ref, told.count) == (row["id"], row["ref"], row["count"])
    assert (told.commune, told.category, told.days) == (COTONOU, "waste", 90)
    assert told.arrondissement == row["arrondissement"]
    assert (told.lon, told.lat) == pytest.approx(HERE, abs=0.003)
    assert "Koffi" not in str(event)


def test_found_again_it_is_the_same_and_nothing_is_told(world: World) -> None:
    world.scatter(40)
    world.gather(23)
    world.detect()
    (before,) = kept(world)
    world.gather(15, (HERE[0] + 0.0015, HERE[1]))  # it grows, and its middle moves
    assert world.detect(NOW + timedelta(hours=1)) == []
    (after,) = kept(world)
    same = ("id", "ref", "version", "detected_at", "ended_at")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["count"] >= before["count"] + 15
    assert after["seen_at"] - before["seen_at"] == timedelta(hours=1)
    assert len(world.events()) == 1


def test_a_hotspot_that_is_gone_ends_once_and_a_later_one_is_new(world: World) -> None:
    world.scatter(40)
    world.gather(23)
    world.detect()
    world.execute("UPDATE reports SET status = 'rejected' WHERE description LIKE 'Tas%'")
    ended = world.detect(NOW + timedelta(hours=1))
    assert [event.type for event in ended] == ["bj.palabre.hotspot.ended.v1"]
    assert world.detect(NOW + timedelta(hours=2)) == []
    (row,) = kept(world)
    assert (row["version"], row["ended_at"]) == (2, NOW + timedelta(hours=1))
    last = world.events()[-1]
    assert (last["subject"], last["sequence"]) == (str(row["id"]), 2)
    assert HotspotEnded.model_validate(last["payload"]).ended_at == row["ended_at"]
    told = world.client.get(f"/api/v1/hotspots/{row['ref']}").json()
    assert told["properties"]["ended_at"] is not None
    assert " du " in told["properties"]["sentence"]
    world.execute("UPDATE reports SET status = 'received'")
    world.detect(NOW + timedelta(hours=3))
    assert len({r["ref"] for r in kept(world)}) == 2


def test_each_category_has_its_own(world: World) -> None:
    world.scatter(40)
    world.scatter(40, category="roads")
    world.gather(23)
    world.gather(23, category="roads")
    world.gather(12, THERE, category="roads")
    world.detect()
    assert sorted(row["category"] for row in kept(world)) == ["roads", "roads", "waste"]
    assert len(world.events()) == 3


def test_time_alone_ends_a_hotspot(world: World) -> None:
    world.gather(23)
    world.detect()
    later = world.detect(NOW + timedelta(days=100))
    assert [event.type for event in later] == ["bj.palabre.hotspot.ended.v1"]


def test_many_processes_at_once_tell_it_once(world: World) -> None:
    world.scatter(40)
    world.gather(23)
    together = threading.Barrier(4)

    def run(_: int) -> int:
        with Session(world.engine) as session, session.begin():
            together.wait()
            return len(service.detect(session, NOW))

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(run, range(4)))
    assert told == [0, 0, 0, 1]
    assert len(world.events()) == len(kept(world)) == 1


def test_while_one_detects_another_does_nothing(world: World) -> None:
    world.gather(23)
    with Session(world.engine) as first, first.begin():
        assert len(service.detect(first, NOW)) == 1
        assert world.detect() == []
    assert world.detect() == []  # the first one's hotspot is known by now


def test_what_is_not_committed_is_not_told(world: World) -> None:
    world.gather(23)
    with Session(world.engine) as session:
        assert len(service.detect(session, NOW)) == 1
        session.rollback()
    assert (kept(world), world.events()) == ([], [])


def test_housekeeping_detects(world: World) -> None:
    world.gather(23)
    done = threading.Event()
    app = world.client.app
    keeper = Housekeeper(
        app.state.sessions,  # type: ignore[attr-defined]
        [service.detect_chore, lambda _: done.set()],
    )
    keeper.start()
    assert done.wait(30)
    keeper.stop()
    assert len(kept(world)) == 1
