"""Targets in working days and routing rules: what they decide, and who changed them meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.reports.desk import repository
from services.reports.desk.domain import Rule, route
from services.reports.domain import AGENCIES, CATEGORIES
from tests.apps import Tokens
from tests.integration.reports.desk_world import COTONOU, SAVE, DeskWorld, desk_world
from tests.servers import Database

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 3, 11, tzinfo=UTC)  # a Tuesday, 12 h in Bénin
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[DeskWorld]:
    with desk_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture
def world(shared: DeskWorld) -> DeskWorld:
    shared.clear()
    return shared


def code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def end_of(year: int, month: int, day: int) -> datetime:
    """The last second of a day in Bénin, one hour east of UTC."""
    return datetime(year, month, day, 22, 59, 59, tzinfo=UTC)


def target(category: str, answer: int, repair: int) -> dict[str, Any]:
    return {"category": category, "answer_days": answer, "repair_days": repair}


# Targets


def test_without_own_targets_the_usual_ones_hold(world: DeskWorld) -> None:
    found = world.get("targets")["targets"]
    assert [t["category"] for t in found] == list(CATEGORIES)
    assert found[0] == {**target("waste", 2, 5), "own": False}
    assert not any(t["own"] for t in found)


EASTER = [
    # received (UTC), working days, due: Friday 3 April 2026 comes before Easter Monday the 6th.
    (datetime(2026, 4, 3, 9, tzinfo=UTC), 1, end_of(2026, 4, 7)),
    (datetime(2026, 4, 3, 9, tzinfo=UTC), 0, end_of(2026, 4, 3)),
    (datetime(2026, 4, 3, 22, 59, tzinfo=UTC), 1, end_of(2026, 4, 7)),
    (datetime(2026, 4, 3, 23, 1, tzinfo=UTC), 1, end_of(2026, 4, 7)),  # Saturday in Bénin
    (datetime(2026, 4, 6, 9, tzinfo=UTC), 1, end_of(2026, 4, 7)),  # on the holiday itself
    (datetime(2026, 4, 2, 9, tzinfo=UTC), 2, end_of(2026, 4, 7)),
    (datetime(2026, 4, 30, 9, tzinfo=UTC), 1, end_of(2026, 5, 4)),  # the first of May, a Friday
    (datetime(2025, 7, 31, 9, tzinfo=UTC), 1, end_of(2025, 8, 4)),  # independence, a Friday
]


@pytest.mark.parametrize(("received", "days", "due"), EASTER)
def test_targets_count_the_working_days_of_benin(
    world: DeskWorld, received: datetime, days: int, due: datetime
) -> None:
    before = world.report(at=received)
    world.put("targets", {"targets": [target("waste", 0, days)]})
    after = world.report(at=received)
    assert [world.row(ref)["due_at"] for ref in (before, after)] == [due, due]


def test_new_targets_move_what_is_open_in_the_commune_and_say_how_much(world: DeskWorld) -> None:
    moved = [world.report(at=NOON + timedelta(days=n)) for n in range(3)]
    done, water = world.report(at=NOON), world.report("water", at=NOON)
    theirs = world.report(at=NOON, arrondissement="0405-01")
    world.status(done, "resolved")
    kept = {ref: world.row(ref)["due_at"] for ref in (done, water, theirs)}
    versions = {ref: world.row(ref)["version"] for ref in moved}
    body = {"targets": [target("waste", 1, 8), target("water", 1, 7)]}
    answer = world.put("targets", body)
    assert answer["changed"] == 3  # the water's target is the usual one
    assert {t["category"] for t in answer["targets"] if t["own"]} == {"waste", "water"}
    assert world.row(moved[0])["due_at"] == end_of(2026, 3, 13)
    assert world.row(moved[0])["answer_due_at"] == end_of(2026, 3, 4)
    assert {ref: world.row(ref)["due_at"] for ref in kept} == kept
    assert {ref: world.row(ref)["version"] for ref in moved} == versions
    assert world.put("targets", body)["changed"] == 0
    assert world.get("targets", commune=SAVE, headers=world.agent(SAVE))["targets"][0]["own"] is (
        False
    )
    assert world.put("targets", {"targets": []})["changed"] == 3  # the usual ones again
    assert world.row(moved[0])["due_at"] == end_of(2026, 3, 10)


TARGETS: list[dict[str, Any]] = [
    {}, {"targets": {}}, {"targets": [target("dragons", 1, 2)]},
    {"targets": [target("waste", -1, 2)]},
    {"targets": [target("waste", 1, 251)]}, {"targets": [target("waste", 5, 2)]},
    {"targets": [target("waste", 1, 2)] * 2}, {"targets": [target("waste", 1, 2)] * 1000},
    {"targets": [], "expected": "x"}, {"targets": [{**target("waste", 1, 2), "own": True}]},
    {"targets": [{**target("waste", 1, 2), "repair_days": 2.5}]},
]  # fmt: skip


@pytest.mark.parametrize("body", TARGETS)
def test_bad_targets_change_nothing(world: DeskWorld, body: dict[str, Any]) -> None:
    world.report()
    before = world.snapshot()
    assert code(world.call("PUT", "targets", body)) == (422, "invalid")
    assert world.snapshot() == before


# Routing


def test_rules_route_what_comes_after_them(world: DeskWorld) -> None:
    before = world.report("noise", at=NOON)
    rules = [
        {"category": "noise", "from_time": "22:00", "to_time": "06:00", "agency": "front-desk"},
        {"category": "noise", "arrondissement": "0801-12", "agency": "hygiene"},
    ]
    answer = world.put("routing", {"rules": rules})
    assert answer == world.get("routing")
    blank = {"category": None, "arrondissement": None, "from_time": None, "to_time": None}
    assert answer["rules"] == [{**blank, **rule} for rule in rules]
    midnight = world.report("noise", at=NOON.replace(hour=23))
    morning = world.report("noise", at=NOON.replace(hour=5))  # six in Bénin
    placed = world.report("noise", at=NOON, arrondissement="0801-12")
    theirs = world.report("noise", at=NOON.replace(hour=23), arrondissement="0405-01")
    found = [world.row(ref)["agency"] for ref in (before, midnight, morning, placed, theirs)]
    assert found == ["police", "front-desk", "police", "hygiene", "police"]
    assert world.put("routing", {"rules": []})["rules"] == []


def test_who_looked_at_an_older_list_does_not_undo_a_newer_one(world: DeskWorld) -> None:
    for path, first, second in (
        ("routing", {"rules": [{"agency": "roads"}]}, {"rules": [{"agency": "water"}]}),
        ("targets", {"targets": [target("waste", 1, 1)]}, {"targets": [target("waste", 2, 2)]}),
    ):
        seen = world.get(path)["hash"]
        newer = world.put(path, {**first, "expected": seen})["hash"]
        late = world.call("PUT", path, {**second, "expected": seen})
        assert code(late) == (409, "changed_meanwhile")
        assert late.json()["hash_now"] == newer == world.get(path)["hash"]
        world.put(path, {**second, "expected": newer})


def test_of_two_lists_sent_at_once_one_is_kept_whole(world: DeskWorld) -> None:
    seen = world.get("routing")["hash"]
    lists = [[{"agency": agency, "category": c} for c in CATEGORIES] for agency in AGENCIES]
    with ThreadPoolExecutor(len(lists)) as pool:
        answers = list(
            pool.map(
                lambda rules: world.call("PUT", "routing", {"rules": rules, "expected": seen}),
                lists,
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (len(lists) - 1)
    kept = world.get("routing")["rules"]
    assert len({rule["agency"] for rule in kept}) == 1
    assert len(kept) == len(CATEGORIES)


RULES: list[tuple[Any, str]] = [
    ("all to roads", "invalid"),
    ([{}], "invalid"),
    ([{"agency": "navy"}], "invalid"),
    ([{"agency": "roads", "category": "dragons"}], "invalid"),
    ([{"agency": "roads", "arrondissement": "0405-01"}], "unknown_arrondissement"),
    ([{"agency": "roads", "arrondissement": "0801-99"}], "unknown_arrondissement"),
    ([{"agency": "roads", "from_time": "08:00"}], "invalid"),
    ([{"agency": "roads", "from_time": "08:00", "to_time": "08:00"}], "invalid"),
    ([{"agency": "roads", "from_time": "8:00", "to_time": "09:00"}], "invalid"),
    ([{"agency": "roads", "from_time": "08:00", "to_time": "24:00"}], "invalid"),
    ([{"agency": "roads", "from_time": "08:0O", "to_time": "09:00"}], "invalid"),
    ([{"agency": "roads", "from_time": "٠٨:٠٠", "to_time": "09:00"}], "invalid"),
    ([{"agency": "roads"}] * 201, "invalid"),
]


@pytest.mark.parametrize("path", ["PUT routing", "POST routing/dry-run"])
@pytest.mark.parametrize(("rules", "reason"), RULES)
def test_bad_rules_are_neither_kept_nor_tried(
    world: DeskWorld, path: str, rules: Any, reason: str
) -> None:
    world.put("routing", {"rules": [{"agency": "roads"}]})
    before = world.snapshot()
    answer = world.call(*path.split(" "), {"rules": rules})
    assert code(answer) == (422, reason)
    assert world.snapshot() == before


minutes = st.times().map(lambda t: t.replace(second=0, microsecond=0))
spans = st.one_of(st.just((None, None)), st.tuples(minutes, minutes))
parts = st.one_of(st.none(), st.sampled_from(["0801-01", "0801-02"]))
kinds = st.sampled_from(["waste", "noise", "water"])
rule = st.builds(
    lambda agency, category, part, span: Rule(agency, category, part, *span),
    st.sampled_from(sorted(AGENCIES)), st.one_of(st.none(), kinds), parts, spans,
)  # fmt: skip
moments = st.integers(0, 500_000_000).map(lambda ms: NOON + timedelta(milliseconds=ms))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(rule, max_size=8), st.lists(st.tuples(kinds, parts, moments), max_size=20))
def test_the_database_routes_exactly_as_the_pure_function(
    world: DeskWorld, rules: list[Rule], reports: list[tuple[str, str | None, datetime]]
) -> None:
    asked = text("SELECT routed_agency(:commune, :kind, :part, :at)")
    with Session(world.engine) as session:
        repository.set_rules(session, COTONOU, rules)
        assert repository.rules(session, COTONOU) == rules
        for kind, part, at in reports:
            values = {"commune": COTONOU, "kind": kind, "part": part, "at": at}
            local = (at + timedelta(hours=1)).time()
            edges = {local, *(t for r in rules for t in (r.from_time, r.to_time) if t)}
            for hour in edges:
                moved = {**values, "at": datetime.combine(at.date(), hour, UTC) - HOUR}
                pure = route(rules, kind, part, hour)
                assert session.scalar(asked, moved) == pure
        session.rollback()


# The dry run


def test_a_dry_run_says_what_would_change_and_changes_nothing(world: DeskWorld) -> None:
    made = [world.report(at=NOON + timedelta(hours=n)) for n in range(12)]
    lamp = world.report("lighting", at=NOON, arrondissement="0801-03")
    by_hand = world.report("water", at=NOON)
    world.post(f"reports/{by_hand}/assignment", {"agency": "roads"})
    world.report(at=NOON - timedelta(days=90))  # before the time asked
    world.report(at=NOON, arrondissement="0405-01")  # another commune's
    before = world.snapshot()
    candidate = [
        {"category": "waste", "from_time": "18:00", "to_time": "06:00", "agency": "police"},
        {"arrondissement": "0801-03", "agency": "front-desk"},
    ]
    asked = {
        "rules": candidate,
        "since": (NOON - timedelta(days=1)).isoformat(),
        "until": (NOON + timedelta(days=1)).isoformat(),
    }
    found = world.post("routing/dry-run", asked)
    assert world.snapshot() == before
    assert found["reports"] == 14
    # From 18 h in Bénin on: NOON is 12 h there, so the reports of 18 to 23 h.
    assert found["changed"] == 6 + 1 + 1
    assert found["differs"] == 6 + 1
    assert found["changed_by_present"] == 1  # what an agent moved by hand
    assert found["matrix"] == [
        {"from": "hygiene", "to": "police", "count": 6},
        {"from": "lighting", "to": "front-desk", "count": 1},
        {"from": "roads", "to": "water", "count": 1},
    ]
    assert found["by_category"] == {"waste": 6, "lighting": 1, "water": 1}
    examples = {e["ref"]: (e["from"], e["to"]) for e in found["examples"]}
    assert examples == {
        **dict.fromkeys(made[6:], ("hygiene", "police")),
        lamp: ("lighting", "front-desk"),
        by_hand: ("roads", "water"),
    }
    newest = found["examples"][0]
    assert (newest["ref"], newest["category"]) == (made[-1], "waste")
    assert datetime.fromisoformat(newest["received_at"]) == NOON + timedelta(hours=11)


def test_what_a_dry_run_promises_the_rules_then_do(world: DeskWorld) -> None:
    at = datetime.now(UTC) - timedelta(days=1)
    hours = [at + timedelta(hours=n) for n in range(20)]
    for n, hour in enumerate(hours):
        world.report(list(CATEGORIES)[n % 10], at=hour)
    rules = [
        {"from_time": "07:30", "to_time": "12:15", "agency": "water"},
        {"category": "roads", "agency": "police"},
    ]
    promised = world.post("routing/dry-run", {"rules": rules})
    assert promised["reports"] == 20
    world.put("routing", {"rules": rules})
    for n, hour in enumerate(hours):
        world.report(list(CATEGORIES)[n % 10], at=hour)
    routed = world.rows("SELECT id, agency FROM reports ORDER BY created_at, id")
    changed = sum(
        first["agency"] != second["agency"]
        for first, second in zip(routed[::2], routed[1::2], strict=True)
    )
    assert promised["changed"] == promised["differs"] == changed > 0


def test_old_reports_without_agency_count_as_their_categorys(world: DeskWorld) -> None:
    ref = world.report(at=datetime.now(UTC) - HOUR)
    world.execute("UPDATE reports SET agency = NULL WHERE ref = :ref", ref=ref)
    assert world.post("routing/dry-run", {"rules": []})["changed"] == 0
    found = world.post("routing/dry-run", {"rules": [{"agency": "water"}]})
    assert found["examples"][0]["from"] == "hygiene"


def test_examples_are_fifty_and_the_newest(world: DeskWorld) -> None:
    made = [world.report(at=NOON + timedelta(minutes=n)) for n in range(55)]
    asked = {
        "rules": [{"agency": "water"}],
        "since": NOON.isoformat(),
        "until": (NOON + timedelta(days=1)).isoformat(),
    }
    found = world.post("routing/dry-run", asked)
    assert found["changed"] == 55
    assert [e["ref"] for e in found["examples"]] == made[:4:-1]


TIMES = [
    {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
    {"since": "2026-03-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
    {"since": "2024-03-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
    {"since": "2026-03-01"}, {"since": "0001-01-01T00:00:00Z"}, {"until": "soon"},
    {"since": "2099-03-01T00:00:00Z"},
]  # fmt: skip


@pytest.mark.parametrize("asked", TIMES)
def test_a_dry_run_looks_at_a_time_that_is_one(world: DeskWorld, asked: dict[str, str]) -> None:
    answer = world.call("POST", "routing/dry-run", {"rules": [], **asked})
    assert code(answer) == (422, "invalid")
