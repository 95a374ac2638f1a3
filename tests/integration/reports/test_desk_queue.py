"""The desk's queue: who sees it, what filters and sorts give, page after page."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest

from tests.apps import Tokens
from tests.integration.reports.desk_world import COTONOU, SAVE, DeskWorld, desk_world, refs
from tests.servers import Database

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[DeskWorld]:
    with desk_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture
def world(shared: DeskWorld) -> DeskWorld:
    shared.clear()
    return shared


READS = ["reports", "agents", "targets", "routing", "round", "stats"]
WRITES = [
    ("POST", "reports/bulk"), ("POST", "reports/S-2345678/assignment"),
    ("POST", "reports/S-2345678/notes"), ("POST", "reports/S-2345678/moderation"),
    ("PUT", "agents"), ("DELETE", "agents/01930000-0000-7000-8000-000000000009"),
    ("PUT", "targets"), ("PUT", "routing"),
    ("POST", "routing/dry-run"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [*(("GET", path) for path in READS), *WRITES])
def test_only_the_communes_agents_sit_at_its_desk(world: DeskWorld, method: str, path: str) -> None:
    before = world.snapshot()
    citizen, neighbour = world.tokens.bearer(), world.agent(SAVE)
    answers = [world.call(method, path, {}, headers=who) for who in ({}, citizen, neighbour)]
    assert [answer.status_code for answer in answers] == [401, 403, 403]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert world.snapshot() == before


def test_an_agent_everywhere_finds_no_desk_where_there_is_no_commune(world: DeskWorld) -> None:
    everywhere = world.agent("*")
    answer = world.call("GET", "reports", commune="9999", headers=everywhere)
    assert (answer.status_code, answer.json()["code"]) == (404, "commune_not_found")
    assert world.call("GET", "reports", commune=SAVE, headers=everywhere).status_code == 200


def test_an_item_says_what_an_agent_needs(world: DeskWorld) -> None:
    ref = world.report("noise", at=START)
    world.put("agents", {"name": "Akouavi", "agency": "police"})
    world.post(f"reports/{ref}/assignment", {"assignee": str(world.me)})
    (feature,) = world.get("reports")["features"]
    item = feature["properties"]
    assert feature["geometry"]["coordinates"] == [2.42, 6.37]  # exact, though noise is sensitive
    assert item["summary"] == "Tas d'ordures au carrefour"
    assert "description" not in item
    told = {
        "ref": ref, "status": "received", "version": 2, "agency": "police", "channel": "web",
        "assignee": str(world.me), "assignee_name": "Akouavi", "overdue": True, "hidden": False,
        "answered_at": None, "commune": COTONOU,
    }  # fmt: skip
    assert {name: item[name] for name in told} == told
    assert "resolved" in item["allowed"]
    assert "confirmed" not in item["allowed"]  # the citizen's word
    assert datetime.fromisoformat(item["due_at"]) > START


def test_the_default_is_what_waits_and_counts_tell_of_all(world: DeskWorld) -> None:
    waits, done, other = (world.report(at=START + timedelta(hours=n)) for n in range(3))
    world.report(arrondissement="0405-01")  # Savè's
    world.status(done, "resolved")
    world.status(other, "acknowledged")
    world.put("agents", {"name": "Akouavi"})
    world.post(f"reports/{other}/assignment", {"assignee": str(world.me)})
    fresh = world.report()  # not due yet
    page = world.get("reports")
    assert refs(page) == [fresh, other, waits]
    assert page["counts"]["status"]["resolved"] == 1
    assert page["counts"]["status"]["withdrawn"] == 0
    assert (page["counts"]["open"], page["counts"]["overdue"]) == (3, 2)
    assert page["counts"]["unassigned"] == 2


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"lamp", "pump", "hidden", "mine"}),
    ({"status": "resolved,received"}, {"lamp", "pump", "hidden", "mine", "done"}),
    ({"status": "resolved"}, {"done"}),
    ({"category": "lighting"}, {"lamp"}),
    ({"agency": "water"}, {"pump", "mine"}),
    ({"assignee": "me"}, {"mine"}),
    ({"assignee": "none"}, {"lamp", "pump", "hidden"}),
    ({"assignee": str(uuid4())}, set()),
    ({"arrondissement": "0801-02"}, {"pump"}),
    ({"overdue": True}, {"lamp"}),
    ({"overdue": False}, {"pump", "hidden", "mine"}),
    ({"hidden": True}, {"hidden"}),
    ({"hidden": False}, {"lamp", "pump", "mine"}),
    ({"channel": "sms"}, {"pump"}),
    ({"q": "marche de dantokpa"}, {"pump"}),  # accents and case are nothing
    ({"q": "éteint"}, {"lamp"}),
    ({"q": "ÉTEINT"}, {"lamp"}),
    ({"q": "100 %"}, {"mine"}),
    ({"q": "1__ %"}, set()),
    ({"q": "%"}, {"mine"}),
    ({"q": "\\"}, set()),
    ({"q": "  "}, {"lamp", "pump", "hidden", "mine"}),
    ({"q": "'; DROP TABLE reports; --"}, set()),
    ({"since": "2026-02-01T00:00:00Z"}, {"pump", "hidden", "mine"}),
    ({"until": "2026-02-01T00:00:00Z"}, {"lamp"}),
]


@pytest.fixture(scope="module")
def filled(
    make_database: Callable[[], Database], tokens: Tokens
) -> Iterator[tuple[DeskWorld, dict[str, str]]]:
    with desk_world(make_database(), tokens) as world:
        made = {
            "lamp": world.report("lighting", "Lampadaire E\u0301TEINT", at=START),
            "pump": world.report(
                "water", "Pompe", arrondissement="0801-02", landmark="Marché de DANTOKPÀ",
                channel="sms",
            ),
            "hidden": world.report("waste"),
            "done": world.report("roads", at=START),
            "mine": world.report("other", "100 % bouché"),
        }  # fmt: skip
        world.status(made["done"], "resolved")
        world.put("agents", {"name": "Moi"})
        body = {"agency": "water", "assignee": str(world.me)}
        world.post(f"reports/{made['mine']}/assignment", body)
        world.post(f"reports/{made['hidden']}/moderation", {"hidden": True, "reason": "injures"})
        yield world, made


@pytest.mark.parametrize(("asked", "expected"), FILTERS)
def test_filters_give_what_they_say(
    filled: tuple[DeskWorld, dict[str, str]], asked: dict[str, Any], expected: set[str]
) -> None:
    world, made = filled
    assert set(refs(world.get("reports", **asked))) == {made[name] for name in expected}


def test_a_reference_or_a_part_of_it_finds_its_report(
    filled: tuple[DeskWorld, dict[str, str]],
) -> None:
    world, made = filled
    assert refs(world.get("reports", q=made["pump"].lower())) == [made["pump"]]
    assert made["pump"] in refs(world.get("reports", q=made["pump"][2:7].lower()))


@pytest.mark.parametrize("sort", ["newest", "oldest", "due", "supports", "updated"])
def test_pages_of_every_sort_give_each_report_once_in_order(world: DeskWorld, sort: str) -> None:
    chance = random.Random(sort)  # noqa: S311
    moments = [START + timedelta(days=chance.randrange(5)) for _ in range(25)]  # many ties
    for moment in moments:
        world.report(chance.choice(["waste", "water"]), at=moment)
    world.execute("UPDATE reports SET supports = (random() * 3)::int")
    world.execute("UPDATE reports SET due_at = NULL WHERE category = 'water'")
    keys: dict[str, Any] = {
        "newest": lambda r: (r["created_at"], r["id"]),
        "oldest": lambda r: (r["created_at"], r["id"]),
        "due": lambda r: (r["due_at"] or datetime.max.replace(tzinfo=UTC), r["id"]),
        "supports": lambda r: (r["supports"], r["id"]),
        "updated": lambda r: (r["updated_at"], r["id"]),
    }
    every = sorted(
        world.rows("SELECT * FROM reports"),
        key=keys[sort],
        reverse=sort in ("newest", "supports", "updated"),
    )
    page = world.get("reports", sort=sort, limit=4)
    found = refs(page)
    assert page["counts"]
    while page["next"]:
        query = dict(parse_qsl(urlsplit(page["next"]).query))
        page = world.get("reports", **query)
        assert page["counts"] is None
        found += refs(page)
    assert found == [row["ref"] for row in every]


def test_a_page_holds_still_while_reports_come(world: DeskWorld) -> None:
    old = [world.report(at=START + timedelta(hours=n)) for n in range(4)]
    page = world.get("reports", limit=2)
    world.report()
    query = dict(parse_qsl(urlsplit(page["next"]).query))
    assert refs(page) + refs(world.get("reports", **query)) == old[::-1]


HOSTILE = [
    {"sort": "chance"}, {"status": "open"}, {"status": "received;"}, {"category": "x"},
    {"agency": "x"}, {"assignee": "him"}, {"overdue": "perhaps"}, {"limit": 0}, {"limit": 201},
    {"cursor": "x"}, {"cursor": "é"}, {"cursor": "WzEsIDIsIDNd"}, {"cursor": "e30="},
    {"cursor": "W1tdLCBbXSwgW11d"}, {"cursor": "x" * 301}, {"q": "x" * 101}, {"q": "a\x00b"},
    {"since": "2026-02-01"}, {"since": "1999-02-01T00:00:00Z"}, {"arrondissement": "0801"},
    {"channel": "fax"},
]  # fmt: skip


@pytest.mark.parametrize("asked", HOSTILE)
def test_what_means_nothing_is_refused(world: DeskWorld, asked: dict[str, Any]) -> None:
    answer = world.call("GET", "reports", **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_a_cursor_belongs_to_its_sort(world: DeskWorld) -> None:
    for _ in range(2):
        world.report()
    cursor = dict(parse_qsl(urlsplit(world.get("reports", limit=1)["next"]).query))["cursor"]
    assert world.call("GET", "reports", sort="due", cursor=cursor).status_code == 422
