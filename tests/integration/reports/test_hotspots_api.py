"""Hotspots over HTTP on real PostGIS: what is counted, what is told, who may write."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from sqlalchemy import create_engine

from services.reports.hotspots import domain
from tests.apps import Tokens
from tests.integration.reports.hotspots_world import COTONOU, HERE, NOW, THERE, World, make_app
from tests.servers import Database

pytestmark = pytest.mark.integration

URL = "/api/v1/hotspots"
PROPERTIES = [
    "cell", "count", "z", "p", "significant", "trend", "per_1000", "sentence", "sentence_en",
    "category", "since", "until",
]  # fmt: skip
TODAY = domain.today(NOW)


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    app = make_app(fresh_database, tokens)
    engine = create_engine(fresh_database.url("reports"))
    with TestClient(app) as client:
        yield World(client, engine, tokens)
    engine.dispose()


@pytest.fixture
def world(shared: World) -> World:
    shared.clear()
    return shared


def holding(found: dict[str, Any], at: tuple[float, float]) -> dict[str, Any]:
    """Return the properties of the cell that holds a point."""
    (feature,) = [
        f
        for f in found["features"]
        if shapely.from_geojson(json.dumps(f)).covers(shapely.Point(at))
    ]
    properties: dict[str, Any] = feature["properties"]
    return properties


def test_a_gathering_is_a_hotspot_with_its_reports_and_a_sentence(world: World) -> None:
    world.scatter(40)
    made = world.gather(23)
    found = world.get(category="waste", days=90)
    assert found["type"] == "FeatureCollection"
    assert all(list(f["properties"]) == PROPERTIES for f in found["features"])
    assert all(
        f["properties"]["count"] > 0 or f["properties"]["significant"] for f in found["features"]
    )
    assert sum(f["properties"]["count"] for f in found["features"]) == found["reports"] == 63
    here = holding(found, HERE)
    assert (here["significant"], here["trend"], here["category"]) == (True, "emerging", "waste")
    assert here["since"] == (TODAY - timedelta(days=89)).isoformat()
    assert here["until"] == TODAY.isoformat()
    assert here["p"] == pytest.approx(domain.p_two_sided(np.array([here["z"]]))[0])
    (spot,) = found["hotspots"]
    assert (spot["ref"], spot["trend"], spot["significant"]) == (None, "emerging", True)
    assert spot["arrondissement"] == "0801-03"
    assert 23 <= spot["count"] <= 26
    assert (spot["lon"], spot["lat"]) == pytest.approx(HERE, abs=0.003)
    assert here["cell"] in spot["cells"]
    newest = world.rows("SELECT ref FROM reports WHERE id = :id", id=made[0])[0]["ref"]
    assert len(spot["reports"]) == 20
    assert newest in spot["reports"][:3]
    assert f"{spot['count']} signalements dans le 12e arrondissement" in spot["sentence"]
    assert "point chaud émergent" in spot["sentence"]
    assert "an emerging hotspot" in spot["sentence_en"]
    assert "Koffi" not in str(found)


def test_only_real_problems_that_anybody_may_see_are_counted(world: World) -> None:
    world.scatter(40)
    first, *_ = world.gather(9, status="resolved")
    world.gather(30, status="rejected")
    world.gather(30, status="withdrawn")
    world.gather(30, hidden_at=NOW)
    world.gather(30, status="duplicate", duplicate_of=first)
    world.gather(30, category="roads")
    world.gather(30, days_ago=100)
    found = world.get(category="waste")
    assert found["reports"] == 49
    assert found["hotspots"] == [] or found["hotspots"][0]["count"] < 12
    assert sum(f["properties"]["count"] for f in found["features"]) == 49


def test_without_a_category_cells_count_all_and_hotspots_are_of_one(world: World) -> None:
    world.scatter(30)
    world.gather(20, HERE, category="roads")
    world.gather(12, THERE, category="waste")
    found = world.get()
    assert found["reports"] == 62
    assert {f["properties"]["category"] for f in found["features"]} == {None}
    assert "Tous les problèmes" in holding(found, HERE)["sentence"]
    listed = {(s["category"], s["significant"]) for s in found["hotspots"]}
    assert listed == {("roads", True), ("waste", True)}


def test_sensitive_reports_are_counted_where_they_are_shown(world: World) -> None:
    world.scatter(30, category="noise")
    real = (2.3911, 6.3609)
    for _ in range(15):
        world.report(real, category="noise")
    shown = world.rows(
        "SELECT ST_X(geom) AS x, ST_Y(geom) AS y FROM public_reports "
        "WHERE category = 'noise' GROUP BY geom HAVING count(*) >= 15"
    )[0]
    assert (shown["x"], shown["y"]) != pytest.approx(real, abs=1e-5)
    found = world.get(category="noise")
    assert holding(found, (shown["x"], shown["y"]))["count"] >= 15


def test_a_slider_steps_through_the_months(world: World) -> None:
    world.scatter(20)
    world.scatter(20, days_ago=50)
    world.gather(15, HERE, days_ago=45)
    world.gather(15, THERE, days_ago=5)
    now = world.get(category="waste", days=30)
    assert [(s["trend"], s["count"] >= 15) for s in now["hotspots"]] == [
        ("emerging", True),
        ("fading", False),
    ]
    fading = now["hotspots"][1]
    assert (fading["lon"], fading["lat"]) == pytest.approx(HERE, abs=0.005)
    assert "point chaud en recul" in fading["sentence"]
    past = (TODAY - timedelta(days=30)).isoformat()
    then = world.get(category="waste", days=30, until=past)
    (spot,) = then["hotspots"]
    assert (spot["trend"], then["until"]) == ("emerging", past)
    assert (spot["lon"], spot["lat"]) == pytest.approx(HERE, abs=0.003)
    assert " au " in spot["sentence"]
    both = world.get(category="waste", days=90)
    assert len(both["hotspots"]) == 2


def test_a_day_that_has_not_come_is_today(world: World) -> None:
    later = (TODAY + timedelta(days=40)).isoformat()
    assert world.get(until=later)["until"] == TODAY.isoformat()


def test_silent_arrondissements_are_named_with_what_was_to_be_expected(world: World) -> None:
    world.gather(80, HERE)
    world.report(None, arrondissement="0801-10", days_ago=4)
    found = world.get(category="waste")
    assert found["reports"] == 81  # also the one without a point
    counts = {one["arrondissement"]: one["count"] for one in found["silent"]}
    assert counts["0801-10"] == 1
    loud = found["hotspots"][0]["arrondissement"]
    assert loud == "0801-03"
    for one in found["silent"]:
        assert one["arrondissement"] != loud
        assert one["count"] <= one["expected"] / 2
        assert "ferait attendre" in one["sentence"]
        assert f"{one['population']:,} inhabitants" in one["sentence_en"]


def test_reports_beyond_the_outline_are_told_apart(world: World) -> None:
    world.gather(5)
    world.report((2.30, 6.42))  # Abomey-Calavi, given to Cotonou by its author
    found = world.get()
    assert (found["reports"], found["outside"]) == (6, 1)
    assert sum(f["properties"]["count"] for f in found["features"]) == 5


def test_an_empty_commune_has_an_empty_answer(world: World) -> None:
    found = world.get()
    assert (found["features"], found["hotspots"], found["silent"]) == ([], [], [])


def test_an_answer_that_is_known_is_not_sent_again(world: World) -> None:
    world.gather(10)
    first = world.client.get(URL, params={"commune": COTONOU})
    assert first.headers["content-type"] == "application/geo+json"
    assert "max-age" in first.headers["cache-control"]
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = world.client.get(URL, params={"commune": COTONOU}, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = world.client.get(URL, params={"commune": COTONOU}, headers={"If-None-Match": '"other"'})
    assert other.content == first.content
    world.forget()
    world.report()
    changed = world.client.get(URL, params={"commune": COTONOU}, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


@pytest.mark.parametrize(
    "query",
    [
        "", "commune=", "commune=abc", "commune=0801'--", "commune=%00", "commune=9999",
        "commune=0801&category=dragons", "commune=0801&category=%00", "commune=0801&category=",
        "commune=0801&days=6", "commune=0801&days=731", "commune=0801&days=NaN",
        "commune=0801&days=1e99", "commune=0801&until=yesterday",
        "commune=0801&until=2026-13-01", "commune=0801&until=0001-01-01",
        "commune=0801&until=9999-12-31", "commune=0801&until=%00",
    ],
)  # fmt: skip
def test_bad_queries(world: World, query: str) -> None:
    answer = world.client.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def stored(world: World) -> str:
    """Make one stored hotspot; return its ref."""
    world.scatter(40)
    world.gather(23)
    world.detect()
    (row,) = world.rows("SELECT ref FROM hotspots WHERE ended_at IS NULL")
    ref: str = row["ref"]
    return ref


def test_a_stored_hotspot_is_in_the_list_and_alone(world: World) -> None:
    ref = stored(world)
    listed = world.get(category="waste")["hotspots"]
    assert [spot["ref"] for spot in listed] == [ref]
    assert [spot["ref"] for spot in world.get()["hotspots"]] == [ref]
    assert [spot["ref"] for spot in world.get(days=60)["hotspots"]] == [None]
    hidden = world.gather(1, hidden_at=NOW)[0]
    answer = world.client.get(f"{URL}/{ref.lower()}")
    assert answer.status_code == 200
    found = answer.json()
    told = found["properties"]
    assert (found["type"], found["id"], told["ref"]) == ("Feature", ref, ref)
    assert found["geometry"]["type"] == "MultiPolygon"
    assert told["count"] == len(found["reports"]) == listed[0]["count"]
    assert told["sentence"] == listed[0]["sentence"]
    assert (told["ended_at"], told["proposal_ref"]) == (None, None)
    assert {r["ref"] for r in found["reports"]} >= set(listed[0]["reports"])
    assert found["reports"][0]["summary"] == "Tas d'ordures, appelez Koffi"
    assert str(hidden) not in answer.text


def test_a_proposal_is_drafted_from_a_hotspot_once(world: World) -> None:
    ref = stored(world)
    agent = world.tokens.agent(COTONOU)
    url, body = f"{URL}/{ref}/proposal", {"proposal_ref": "P-7K4M2P"}
    assert world.client.post(url, json=body).status_code == 401
    for stranger in (world.tokens.bearer(), world.tokens.agent("0405")):
        assert world.client.post(url, json=body, headers=stranger).status_code == 403
    assert world.rows("SELECT proposal_ref FROM hotspots")[0]["proposal_ref"] is None
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for headers in (agent, agent, agent | key, agent | key):
        answer = world.client.post(url, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["properties"]["proposal_ref"] == "P-7K4M2P"
    other = world.client.post(url, json={"proposal_ref": "P-ABCDEF"}, headers=agent)
    assert (other.status_code, other.json()["code"]) == (409, "proposal_recorded")
    assert other.json()["proposal_ref"] == "P-7K4M2P"
    world.forget()
    assert world.get(category="waste")["hotspots"][0]["proposal_ref"] is None  # still a draft
    listed = world.client.get(f"{URL}?commune={COTONOU}&category=waste", headers=agent)
    assert listed.json()["hotspots"][0]["proposal_ref"] == "P-7K4M2P"
    assert "no-store" in listed.headers["cache-control"]
    world.detect()  # found again, it keeps its proposal
    assert world.rows("SELECT proposal_ref FROM hotspots")[0]["proposal_ref"] == "P-7K4M2P"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"proposal_ref": ""}, {"proposal_ref": "S-7K4M2P"}, {"proposal_ref": "P-7K4M2P\x00"},
        {"proposal_ref": "P-<script>"}, {"proposal_ref": None}, {"proposal_ref": ["P-7K4M2P"]},
        {"proposal_ref": "P-7K4M2P", "surprise": 1}, [], "P-7K4M2P",
    ],
)  # fmt: skip
def test_bad_proposals_are_refused(world: World, body: Any) -> None:
    agent = world.tokens.agent(COTONOU)
    answer = world.client.post(f"{URL}/H-23456/proposal", json=body, headers=agent)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("ref", ["H-ZZZZZ", "%00", "H-23456%00", "..", "a" * 500, "'; DROP"])
def test_unknown_refs(world: World, ref: str) -> None:
    assert world.client.get(f"{URL}/{ref}").status_code == 404
    body, agent = {"proposal_ref": "P-7K4M2P"}, world.tokens.agent(COTONOU)
    answer = world.client.post(f"{URL}/{ref}/proposal", json=body, headers=agent)
    assert answer.status_code in (404, 405)
