"""The round's sheet and the dashboard, held against plain recomputation."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import quantiles
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from services.reports.domain import CATEGORIES, CHANNELS, OPEN, STATUSES
from tests.apps import Tokens
from tests.integration.reports.desk_world import COTONOU, SAVE, DeskWorld, desk_world
from tests.servers import Database

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[DeskWorld]:
    with desk_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture
def world(shared: DeskWorld) -> DeskWorld:
    shared.clear()
    return shared


# The round


def test_a_round_walks_from_the_town_and_lists_apart_what_has_no_point(world: DeskWorld) -> None:
    east, near, far = (world.report(lon=lon, lat=6.37, at=START) for lon in (2.44, 2.425, 2.46))
    pump = world.report("water", "Pompe", arrondissement="0801-02", landmark="Marché")
    lamp = world.report("lighting", arrondissement="0801-01")
    done = world.report(lon=2.43, lat=6.37)
    world.status(done, "resolved")
    world.report(arrondissement="0405-01")
    found = world.get("round", lon=2.42, lat=6.37)
    assert [stop["ref"] for stop in found["stops"]] == [near, east, far]
    assert (found["start_lon"], found["start_lat"]) == (2.42, 6.37)
    # A hundredth of a degree of longitude is 1,105 m at Cotonou.
    legs = [stop["leg_m"] for stop in found["stops"]]
    assert legs == pytest.approx([553, 1658, 2210], abs=5)
    assert found["distance_m"] == pytest.approx(sum(legs), abs=0.5)
    assert [group["arrondissement"] for group in found["unplaced"]] == ["0801-01", "0801-02"]
    assert [group["reports"][0]["ref"] for group in found["unplaced"]] == [lamp, pump]
    assert found["unplaced"][1]["reports"][0]["landmark"] == "Marché"
    assert found["unplaced"][1]["name"]
    assert (found["left_out"], found["unplaced_left_out"]) == (0, 0)
    stop = found["stops"][0]
    assert (stop["overdue"], stop["agency"], stop["status"]) == (True, "hygiene", "received")
    assert not {"reporter", "description", "internal_note"} & set(stop)


def test_a_round_takes_what_is_due_first_and_what_is_asked(world: DeskWorld) -> None:
    late = [world.report(at=START + timedelta(days=n)) for n in range(3)]
    world.report("water")
    found = world.get("round", limit=2)
    assert {stop["ref"] for stop in found["stops"]} == set(late[:2])
    assert found["left_out"] == 2
    asked = world.get("round", agency="water")
    assert [stop["category"] for stop in asked["stops"]] == ["water"]
    assert world.get("round", status="resolved")["stops"] == []
    assert world.get("round", assignee="me")["distance_m"] == 0
    # The town's centre, where nothing else is said.
    (centre,) = world.rows(
        "SELECT ST_X(town) AS lon, ST_Y(town) AS lat FROM reference.communes WHERE code = :c",
        c=COTONOU,
    )
    assert (found["start_lon"], found["start_lat"]) == (centre["lon"], centre["lat"])


@pytest.mark.parametrize(
    "asked",
    [{"limit": 61}, {"limit": 0}, {"lon": 2.4}, {"lat": 6.4}, {"lon": "nan", "lat": 6.4},
     {"lon": 181, "lat": 6.4}, {"status": "x"}, {"agency": "navy"}],
)  # fmt: skip
def test_a_round_that_means_nothing_is_refused(world: DeskWorld, asked: dict[str, Any]) -> None:
    answer = world.call("GET", "round", **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_every_commune_has_a_place_to_start_from(world: DeskWorld) -> None:
    headers = world.agent("*")
    for row in world.rows("SELECT code FROM reference.communes"):
        found = world.get("round", commune=row["code"], headers=headers)
        assert 0.7 < found["start_lon"] < 3.9


# The dashboard

_ROW = """
    INSERT INTO reports (id, ref, commune, arrondissement, category, status, description, geom,
        created_at, updated_at, channel, gender, duplicate_of, answer_due_at, due_at, answered_at,
        closed_at)
    VALUES (:id, :ref, :commune, :arrondissement, :category, :status, 'x',
        ST_SetSRID(ST_MakePoint(2.42, 6.37), 4326), :created_at, :created_at, :channel, :gender,
        :duplicate_of, :answer_due_at, :due_at, :answered_at, :closed_at)
"""


def chance(world: DeskWorld, dice: random.Random, now: datetime, count: int) -> list[Row]:
    """Store reports of any life, the first one the master of all duplicates."""
    made: list[Row] = []
    for n in range(count):
        status = dice.choice(STATUSES) if n else "received"
        created = now - timedelta(days=dice.uniform(0.1, 70))
        open_ = status in OPEN
        row = {
            "id": uuid4(),
            "ref": f"T-{n}",
            "commune": COTONOU if dice.random() < 0.9 else SAVE,
            "arrondissement": dice.choice([None, "0801-01", "0801-02", "0801-03"]),
            "category": dice.choice(list(CATEGORIES)[:4]),
            "status": status,
            "created_at": created,
            "channel": dice.choice(CHANNELS[:3]),
            "gender": dice.choice(["f", "f", "m", None]),
            "duplicate_of": made[0]["id"] if status == "duplicate" else None,
            "answer_due_at": created + timedelta(days=dice.choice([1, 2, 4])),
            "due_at": dice.choice([None, *[created + timedelta(days=d) for d in (5, 10, 40)]]),
            "answered_at": dice.choice([None, created + timedelta(days=dice.uniform(0, 6))]),
            "closed_at": None if open_ else created + timedelta(days=dice.uniform(0, 30)),
        }
        made.append(row)
        world.execute(_ROW, **row)
    return made


def naive(rows: list[Row], since: datetime, until: datetime, now: datetime) -> Row:
    """The figures of some reports, as slowly and plainly as can be."""
    came = [r for r in rows if since <= r["created_at"] < until]
    counted = [r for r in came if r["status"] not in ("duplicate", "withdrawn")]
    closed = [
        r
        for r in rows
        if r["closed_at"] is not None
        and since <= r["closed_at"] < until
        and r["status"] in ("resolved", "confirmed", "rejected", "forwarded")
    ]
    repaired = [r for r in counted if r["status"] in ("resolved", "confirmed")]
    answers, repairs = [], []
    for r in counted:
        if r["answered_at"] is not None:
            answers.append(r["answered_at"] <= r["answer_due_at"])
        elif r["status"] in OPEN and r["answer_due_at"] < now:
            answers.append(False)
    for r in counted:
        if r["due_at"] is None:
            continue
        if r["status"] in ("resolved", "confirmed"):
            repairs.append(r["closed_at"] <= r["due_at"])
        elif r["status"] in OPEN and r["due_at"] < now:
            repairs.append(False)
    return {
        "received": len(counted),
        "closed": len(closed),
        "answer_on_time": on_time(answers),
        "repair_on_time": on_time(repairs),
        "answer_hours": spread(r["answered_at"] - r["created_at"] for r in counted
                               if r["answered_at"] is not None),
        "repair_hours": spread(r["closed_at"] - r["created_at"] for r in repaired),
    }  # fmt: skip


def on_time(decided: list[bool]) -> Row:
    rate = round(sum(decided) / len(decided), 4) if decided else None
    return {"rate": rate, "on_time": sum(decided), "decided": len(decided)}


def spread(times: Any) -> Row:
    hours = sorted(t.total_seconds() / 3600 for t in times)
    if not hours:
        return {"median": None, "p90": None}
    if len(hours) == 1:
        hours *= 2
    tenths = quantiles(hours, n=10, method="inclusive")
    return {"median": round(tenths[4], 2), "p90": round(tenths[8], 2)}


def same(told: Row, expected: Row) -> None:
    for name, value in expected.items():
        if name.endswith("hours"):
            for part, hours in value.items():
                assert told[name][part] == (
                    None if hours is None else pytest.approx(hours, abs=0.011)
                )
        else:
            assert told[name] == value, name


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_a_plain_recomputation(world: DeskWorld, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - to repeat, not to hide
    now = datetime.now(UTC)
    rows = chance(world, dice, now, 220)
    until = now - timedelta(days=dice.uniform(0, 5))
    since = until - timedelta(days=30)
    previous = since - timedelta(days=30)
    told = world.get("stats", since=since.isoformat(), until=until.isoformat())
    assert datetime.fromisoformat(told["previous_since"]) == previous
    ours = [r for r in rows if r["commune"] == COTONOU]
    times = {"now": (since, until), "before": (previous, since)}

    def check(line: Row, some: list[Row]) -> None:
        for name, (begin, end) in times.items():
            if line[name] is not None:
                same(line[name], naive(some, begin, end, now))

    check(told["total"], ours)
    tables = {
        "by_category": "category", "by_arrondissement": "arrondissement", "by_channel": "channel",
        "by_gender": "gender",
    }  # fmt: skip
    for table, column in tables.items():
        for line in told[table]:
            check(line, [r for r in ours if r[column] == line["key"]])
        keys = [line["key"] for line in told[table]]
        assert len(keys) == len(set(keys))
        assert {r[column] for r in ours} <= set(keys)
    for table in ("by_category", "by_arrondissement", "by_channel"):  # a problem counts once
        assert (
            sum(line["now"]["received"] for line in told[table])
            == (told["total"]["now"]["received"])
        )
    for name, (begin, end) in times.items():
        for status, told_apart in (("duplicate", "duplicates"), ("withdrawn", "withdrawn")):
            of_these = [r for r in ours if r["status"] == status and begin <= r["created_at"] < end]
            assert told["total"][told_apart][name] == len(of_these)
    waits = [r for r in ours if r["status"] in OPEN]
    assert told["open_now"] == len(waits)
    assert told["overdue_now"] == sum(r["due_at"] is not None and r["due_at"] < now for r in waits)


@pytest.mark.parametrize("step", ["month", "week"])
def test_series_have_every_month_or_week_and_add_up(world: DeskWorld, step: str) -> None:
    now = datetime.now(UTC)
    rows = chance(world, random.Random(9), now, 120)  # noqa: S311
    since, until = now - timedelta(days=50), now - timedelta(days=1)
    told = world.get("stats", since=since.isoformat(), until=until.isoformat(), step=step)
    series = told["series"]
    assert series["step"] == step
    for name in ("now", "before"):
        for part in ("received", "closed"):
            total = told["total"][name][part]
            assert sum(volume[part] for volume in series[name]) == total
        starts = [datetime.fromisoformat(volume["start"]).date() for volume in series[name]]
        assert starts == sorted(set(starts))
        gaps = {(b - a).days for a, b in pairwise(starts)}
        assert gaps <= ({7} if step == "week" else {28, 29, 30, 31})
        assert all(day.weekday() == 0 if step == "week" else day.day == 1 for day in starts)
    counted = [
        r for r in rows
        if r["commune"] == COTONOU and r["status"] not in ("duplicate", "withdrawn")
        and since <= r["created_at"] < until
    ]  # fmt: skip
    zone = ZoneInfo("Africa/Porto-Novo")
    last = datetime.fromisoformat(series["now"][-1]["start"]).date()
    local = [r["created_at"].astimezone(zone).date() for r in counted]
    assert series["now"][-1]["received"] == sum(day >= last for day in local)


def test_silent_arrondissements_and_rates_are_told(world: DeskWorld) -> None:
    for _ in range(3):
        world.report(arrondissement="0801-02")
    lines = world.get("stats")["by_arrondissement"]
    assert len(lines) == 13  # all of Cotonou's
    told = {line["key"]: line for line in lines}
    assert told["0801-01"]["now"]["received"] == 0
    assert told["0801-01"]["per_1000"] == 0
    spoken = told["0801-02"]
    assert spoken["per_1000"] == pytest.approx(3000 / spoken["population"], abs=0.006)
    assert spoken["name"]


def test_few_persons_of_a_gender_are_not_told(world: DeskWorld) -> None:
    def some(gender: str | None, count: int) -> None:
        for _ in range(count):
            ref = world.report()
            world.execute(
                "UPDATE reports SET gender = :gender WHERE ref = :ref", gender=gender, ref=ref
            )

    some("f", 6)
    some("m", 9)
    some(None, 2)
    some("o", 1)
    told = {line["key"]: line for line in world.get("stats")["by_gender"]}
    assert told["m"]["now"]["received"] == 9
    # One "o" alone could be reckoned from the total: who did not say and, then, "f" hide it.
    for key in ("o", None, "f"):
        assert told[key]["now"] is None
        assert told[key]["suppressed"] is True
    assert (told["m"]["before"], told["m"]["suppressed"]) == (None, True)  # nobody, or a few


def test_a_merged_or_withdrawn_report_is_counted_once_and_apart(world: DeskWorld) -> None:
    first, twin, other = (world.report() for _ in range(3))
    assert world.get("stats")["total"]["now"]["received"] == 3
    world.status(twin, "duplicate", duplicate_of=first)
    world.execute("UPDATE reports SET status = 'withdrawn', closed_at = now() "
                  "WHERE ref = :ref", ref=other)  # fmt: skip
    total = world.get("stats")["total"]
    assert (total["now"]["received"], total["now"]["closed"]) == (1, 0)
    assert (total["duplicates"]["now"], total["withdrawn"]["now"]) == (1, 1)
    assert total["now"]["answer_hours"]["median"] is None  # the merge answered the twin only


@pytest.mark.parametrize(
    "asked",
    [{"since": "2020-01-01T00:00:00Z"}, {"since": "2026-01-01T00:00:00"},
     {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, {"step": "day"},
     {"until": "9999-01-01T00:00:00Z"}],
)  # fmt: skip
def test_a_period_that_is_none_is_refused(world: DeskWorld, asked: dict[str, str]) -> None:
    answer = world.call("GET", "stats", **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_an_empty_commune_has_empty_figures(make_database: Callable[[], Database],
                                            tokens: Tokens) -> None:  # fmt: skip
    with desk_world(make_database(), tokens) as world:
        told = world.get("stats", since="2000-01-01T00:00:00Z", until="2002-12-31T00:00:00Z")
        assert told["total"]["now"]["received"] == 0
        assert told["total"]["now"]["answer_on_time"]["rate"] is None
        assert len(told["series"]["now"]) == 36
