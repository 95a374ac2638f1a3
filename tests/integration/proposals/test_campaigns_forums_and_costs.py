"""Forums held for a campaign, unit costs, estimates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.proposals.world import COTONOU, World, plan

pytestmark = pytest.mark.integration

Json = dict[str, Any]
FORUM: Json = {
    "name": "Forum du 1er arrondissement",
    "held_on": "2026-01-17",
    "arrondissement": "0801-01",
    "place": "École de Dandji",
    "women": 64,
    "men": 41,
    "youth": 38,
}


@pytest.fixture(scope="module")
def campaign(world: World) -> str:
    body = {
        "commune": COTONOU, "title": "Budget", "budget": 1_000_000, "phases": plan("ideas"),
    }  # fmt: skip
    made = world.client.post("/api/v1/campaigns", json=body, headers=world.agent())
    return str(made.json()["id"])


def test_a_forum_is_entered_once_and_shown_to_all(world: World, campaign: str) -> None:
    url = f"/api/v1/campaigns/{campaign}/forums"
    made = world.client.post(url, json=FORUM, headers=world.agent())
    assert made.status_code == 201, made.text
    assert made.json() == {"id": made.json()["id"], **FORUM}
    again = world.client.post(url, json=FORUM, headers=world.agent())
    assert (again.status_code, again.json()["code"]) == (409, "forum_exists")
    earlier = {**FORUM, "held_on": "2026-01-10", "arrondissement": None}
    first = world.client.post(url, json=earlier, headers=world.agent())
    assert first.status_code == 201
    assert world.client.get(url).json()["items"] == [first.json(), made.json()]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"youth": 106}, ""),
        ({"women": -1}, "/women"),
        ({"men": 1.5}, "/men"),
        ({"held_on": (datetime.now(UTC) + timedelta(days=2)).date().isoformat()}, "/held_on"),
        ({"held_on": "1999-12-31"}, "/held_on"),
        ({"arrondissement": "0802-01"}, "/arrondissement"),
        ({"name": " "}, "/name"),
    ],
)
def test_forums_that_cannot_be(world: World, campaign: str, changes: Json, pointer: str) -> None:
    body = {**FORUM, "name": "Un autre forum", **changes}
    url = f"/api/v1/campaigns/{campaign}/forums"
    answer = world.client.post(url, json=body, headers=world.agent())
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    names = [one["name"] for one in world.client.get(url).json()["items"]]
    assert "Un autre forum" not in names


def costs(world: World, commune: str = COTONOU) -> dict[str, Json]:
    items = world.client.get("/api/v1/unit-costs", params={"commune": commune}).json()["items"]
    return {one["code"]: one for one in items}


def test_a_mairie_keeps_its_own_unit_costs(world: World) -> None:
    house = costs(world)
    assert not house["lampadaire"]["own"]
    body = {"name": "Lampadaire solaire", "unit": "pièce", "cost": 900_000, "theme": "lighting"}
    url = "/api/v1/unit-costs/0801/lampadaire"
    put = world.client.put(url, json=body, headers=world.agent())
    assert put.json() == {"code": "lampadaire", **body, "own": True}
    new = {"name": "Ponceau", "unit": "ponceau", "cost": 2_000_000}
    world.client.put("/api/v1/unit-costs/0801/ponceau", json=new, headers=world.agent())
    assert costs(world) == house | {
        "lampadaire": put.json(),
        "ponceau": {"code": "ponceau", **new, "theme": None, "own": True},
    }
    assert costs(world, "0303") == house
    body["cost"] = 950_000
    world.client.put(url, json=body, headers=world.agent())
    assert costs(world)["lampadaire"]["cost"] == 950_000
    left = world.client.delete(url, headers=world.agent())
    assert house["lampadaire"] in left.json()["items"]
    gone = world.client.delete(url, headers=world.agent())
    assert (gone.status_code, gone.json()["code"]) == (404, "unit_cost_not_found")


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("0801/puits", {"cost": 0}),
        ("0801/puits", {"cost": 10.5}),
        ("0801/puits", {"unit": ""}),
        ("0801/Puits perdu", {}),
        ("9999/puits", {}),
    ],
)
def test_unit_costs_that_cannot_be(world: World, path: str, changes: Json) -> None:
    body = {"name": "Puits", "unit": "puits", "cost": 1, **changes}
    everywhere = world.token({"*": ["campaigns.manage"]})
    answer = world.client.put(f"/api/v1/unit-costs/{path}", json=body, headers=everywhere)
    assert answer.status_code == 422
    assert "puits" not in costs(world)


def test_an_estimate_adds_up(world: World) -> None:
    known = costs(world, "0303")
    lines = [{"code": "forage", "quantity": 2}, {"code": "table-banc", "quantity": 150}]
    found = world.client.post("/api/v1/cost-estimates", json={"commune": "0303", "lines": lines})
    assert found.status_code == 200, found.text
    totals = [known["forage"]["cost"] * 2, known["table-banc"]["cost"] * 150]
    assert [line["total"] for line in found.json()["lines"]] == totals
    assert found.json()["total"] == sum(totals)
    assert found.json()["lines"][0]["unit"] == known["forage"]["unit"]
    for wrong, pointer in [
        ([lines[0], {"code": "soucoupe", "quantity": 1}], "/lines/1/code"),
        ([{"code": "forage", "quantity": 0}], "/lines/0/quantity"),
        ([], "/lines"),
    ]:
        body = {"commune": "0303", "lines": wrong}
        refused = world.client.post("/api/v1/cost-estimates", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    unknown = world.client.get("/api/v1/unit-costs", params={"commune": "9999"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_commune")
