"""Envelopes chosen by place, public revisions, people who write together, paper and assemblies."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.proposals.world import COTONOU, World

pytestmark = pytest.mark.integration

PATH = "/api/v1/proposals"


def parts(world: World) -> list[dict[str, Any]]:
    """Two neighbouring arrondissements: code, a point inside, and a line across their border."""
    return world.rows(
        "SELECT a.code AS one, b.code AS other, "
        "ST_AsGeoJSON(ST_PointOnSurface(a.geom))::json AS inside, "
        "ST_AsGeoJSON(ST_MakeLine(ST_PointOnSurface(i), ST_PointOnSurface(j)))::json AS across "
        "FROM reference.arrondissements a JOIN reference.arrondissements b "
        "ON b.commune_code = a.commune_code AND a.code < b.code AND ST_Touches(a.geom, b.geom), "
        "LATERAL (SELECT ST_Centroid(ST_Intersection(a.geom, b.geom)) AS c) m, "
        "LATERAL (SELECT ST_Intersection(a.geom, ST_Buffer(m.c, 0.002)) AS i, "
        "ST_Intersection(b.geom, ST_Buffer(m.c, 0.002)) AS j) n, "
        "LATERAL (SELECT geom FROM reference.communes WHERE code = a.commune_code) k "
        "WHERE a.commune_code = :code AND NOT ST_IsEmpty(i) AND NOT ST_IsEmpty(j) "
        "AND ST_Covers(k.geom, ST_MakeLine(ST_PointOnSurface(i), ST_PointOnSurface(j))) "
        "ORDER BY 1, 2 LIMIT 1",
        code=COTONOU,
    )


def divided(world: World, *, whole: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """A campaign with an envelope for an arrondissement, one for a theme, perhaps the rest."""
    found = parts(world)[0]
    envelopes = [
        {"name": "Premier", "amount": 2_000_000, "arrondissement": found["one"]},
        {"name": "Eau", "amount": 1_000_000, "theme": "water"},
    ]
    campaign = world.campaign(budget=3_000_000 + whole, envelopes=envelopes)
    return campaign, found


def post(world: World, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    return world.client.post(PATH, json=body, headers=headers or world.token())


def test_the_place_chooses_the_envelope(world: World) -> None:
    campaign, found = divided(world, whole=500_000)
    names = {e["name"]: e["id"] for e in campaign["envelopes"]}
    assert set(names) == {"Premier", "Eau", "Toute la commune"}
    assert sum(e["amount"] for e in campaign["envelopes"]) == campaign["budget"]

    def envelope(**changes: Any) -> str:
        made = world.propose(campaign, estimated_cost=400_000, **changes)
        return str(world.client.get(f"{PATH}/{made['id']}").json()["envelope"]["name"])

    assert envelope(geometry=found["inside"]) == "Premier"
    assert envelope(geometry=found["inside"], theme="water") == "Premier"
    assert envelope(geometry=found["inside"], theme="water", envelope=names["Eau"]) == "Eau"
    assert envelope(geometry=found["across"], theme="water") == "Eau"
    assert envelope(geometry=found["across"]) == "Toute la commune"


def test_a_place_and_an_envelope_never_disagree(world: World) -> None:
    campaign, found = divided(world)
    names = {e["name"]: e["id"] for e in campaign["envelopes"]}
    cases = [
        ({"geometry": found["across"]}, "spans_arrondissements", "/geometry"),
        (
            {"geometry": found["across"], "envelope": names["Premier"]},
            "spans_arrondissements",
            "/geometry",
        ),
        ({"geometry": found["inside"], "envelope": names["Eau"]}, "no_envelope", "/envelope"),
        ({"geometry": found["inside"], "envelope": campaign["id"]}, "invalid", "/envelope"),
        (
            {"geometry": found["inside"], "estimated_cost": 2_000_001},
            "over_budget",
            "/estimated_cost",
        ),
    ]
    with world.nothing_stored():
        for change, code, pointer in cases:
            body = world.draft(campaign, **{"estimated_cost": 1_000_000, **change})
            answer = post(world, body)
            assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
            assert answer.json()["errors"][0]["pointer"] == pointer
    # Whoever writes: the database itself refuses a place outside the envelope.
    made = world.propose(campaign, geometry=found["inside"], estimated_cost=1)
    with pytest.raises(DBAPIError, match="envelope"), world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET geom = ST_GeomFromGeoJSON(:geom) WHERE id = :id"),
            {
                "geom": json.dumps(found["across"]),
                "id": made["id"],
            },
        )


def test_edits_are_public_revisions_with_their_difference(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    made = post(world, world.draft(campaign), author).json()
    seen = world.client.get(f"{PATH}/{made['id']}").json()["version"]
    change = {"title": "Huit lampadaires au marché", "note": "Deux de plus.", "seen": seen}
    answer = world.client.patch(f"{PATH}/{made['id']}", json=change, headers=author)
    assert (answer.status_code, answer.json()["revision"]) == (200, 2), answer.text
    nothing = world.client.patch(
        f"{PATH}/{made['id']}", json={"title": change["title"]}, headers=author
    )
    assert nothing.json()["revision"] == 2
    stale = world.client.patch(
        f"{PATH}/{made['id']}", json={"title": "Neuf", "seen": seen}, headers=author
    )
    assert (stale.status_code, stale.json()["code"]) == (409, "changed_meanwhile")
    assert stale.json()["title_now"] == change["title"]

    lines = world.client.get(f"{PATH}/{made['ref']}/revisions").json()["items"]
    assert [(line["number"], line["kind"], line["changed"]) for line in lines] == [
        (1, "submitted", []),
        (2, "edit", ["title"]),
    ]
    (told,) = world.client.get(f"{PATH}/{made['ref']}/revisions/2").json()["diff"]
    assert told["segments"] == [["-", "Six"], ["+", "Huit"], ["=", " lampadaires au marché"]]
    assert world.client.get(f"{PATH}/{made['ref']}/revisions/3").status_code == 404
    said = world.events(made["id"])[-1]
    assert said["type"] == "bj.palabre.proposal.revised.v1"
    assert (said["payload"]["revision"], said["payload"]["changed"]) == (2, ["title"])
    with pytest.raises(DBAPIError, match="only ever added"), world.engine.begin() as connection:
        connection.execute(text("UPDATE revisions SET note = 'autre'"))


def test_only_authors_edit_and_nobody_after_the_freeze(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    made = post(world, world.draft(campaign), author).json()
    with world.nothing_stored():
        for who in (world.token(), world.agent()):
            answer = world.client.patch(f"{PATH}/{made['id']}", json={"title": "x"}, headers=who)
            assert answer.status_code == 403
    world.review(made["id"])
    with world.nothing_stored():
        answer = world.client.patch(f"{PATH}/{made['id']}", json={"title": "x"}, headers=author)
        assert answer.json()["code"] == "already_reviewed"
    world.enter(campaign["id"], "vote", world.agent())
    with world.nothing_stored():
        answer = world.client.patch(f"{PATH}/{made['id']}", json={"title": "x"}, headers=author)
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_phase")


def test_the_revision_is_for_what_is_feasible_with_changes(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    asked, fine = (post(world, world.draft(campaign), author).json() for _ in range(2))
    world.review(asked["id"], "feasible_with_changes")
    world.review(fine["id"])
    for phase in ("review", "revision"):
        world.enter(campaign["id"], phase, world.agent())
    for made, status in ((asked, 200), (fine, 409)):
        answer = world.client.patch(
            f"{PATH}/{made['id']}", json={"need": "Rentrer de nuit."}, headers=author
        )
        assert answer.status_code == status, answer.text
    read = world.client.get(f"{PATH}/{asked['id']}").json()
    assert (read["status"], read["cost"], read["revision"]) == ("shortlisted", 4_800_000, 2)


def test_a_code_makes_one_coauthor(world: World) -> None:
    author, friend = world.token(), world.token()
    made = post(world, world.draft(world.campaign()), author).json()
    url = f"{PATH}/{made['id']}"
    code = world.client.post(f"{url}/invitations", headers=author).json()["code"]
    assert world.client.post(f"{url}/invitations", headers=friend).status_code == 403

    def join(headers: dict[str, str]) -> int:
        body = {"code": code.lower(), "name": "Afi"}
        return world.client.post(f"{url}/coauthors", json=body, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(join, [friend, *(world.token() for _ in range(3))]))
    assert codes == [200, 422, 422, 422]
    read = world.client.get(url).json()
    assert read["coauthors"] == [{"name": "Afi"}]
    assert code not in str(world.rows("SELECT code_hash FROM author_invitations"))
    # The first author stays; who joined may leave.
    assert world.client.delete(f"{url}/coauthors/me", headers=author).status_code == 403


def test_what_a_person_may_propose_is_a_rule_of_the_campaign(world: World) -> None:
    campaign = world.campaign(proposals_per_author=2, author_kinds=["group", "association"])
    author = world.token()
    refused = post(world, world.draft(campaign), author)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_welcome")
    unnamed = post(world, world.draft(campaign, author_kind="group"), author)
    assert unnamed.json()["errors"][0]["pointer"] == "/author_name"

    def propose(_: int) -> int:
        body = world.draft(campaign, author_kind="group", author_name="Femmes du marché")
        return int(post(world, body, author).status_code)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(propose, range(4))) == [201, 201, 409, 409]


def test_an_assembly_speaks_through_the_mairie(world: World) -> None:
    campaign = world.campaign()
    forum = world.client.post(
        f"/api/v1/campaigns/{campaign['id']}/forums",
        json={
            "name": "Forum d'Akpakpa",
            "held_on": "2026-11-01",
            "women": 41,
            "men": 33,
            "youth": 20,
        },
        headers=world.agent(),
    ).json()
    body = world.draft(campaign, origin="assembly", forum=forum["id"])
    with world.nothing_stored():
        assert post(world, body).status_code == 403
        for wrong in ({"forum": campaign["id"]}, {"forum": None}, {"origin": "paper"}):
            assert post(world, {**body, **wrong}, world.agent()).status_code == 422
    made = post(world, body, world.agent())
    assert made.status_code == 201, made.text
    read = world.client.get(f"{PATH}/{made.json()['id']}").json()
    assert (read["author"]["kind"], read["forum"]["women"]) == ("forum", 41)
    assert (read["origin"], read["mine"]) == ("assembly", False)


def test_an_estimate_is_made_of_unit_costs(world: World) -> None:
    campaign = world.campaign()
    body = world.draft(campaign, cost_lines=[{"code": "lampadaire", "quantity": 3}])
    del body["estimated_cost"]
    made = post(world, body).json()
    read = world.client.get(f"{PATH}/{made['id']}").json()
    assert read["estimated_cost"] == read["cost_lines"][0]["total"] > 0
    with world.nothing_stored():
        wrong = {**body, "cost_lines": [{"code": "fusee", "quantity": 1}]}
        assert post(world, wrong).json()["errors"][0]["pointer"] == "/cost_lines/0/code"


def test_lists_are_searched_without_accents_and_sorted_in_pages(world: World) -> None:
    campaign = world.campaign()
    for title in ("Éclairage de l'école", "Puits de Zongo", "Écoles à réparer"):
        world.propose(campaign, title=title, description="Pour tous.")
    base = f"{PATH}?campaign={campaign['id']}"

    def titles(query: str) -> list[str]:
        found = world.client.get(f"{base}&{query}").json()["features"]
        return [f["properties"]["title"] for f in found]

    assert set(titles("q=ecole")) == {"Éclairage de l'école", "Écoles à réparer"}
    assert titles("q=%25") == []
    for sort in ("newest", "endorsed", "discussed", "number"):
        seen: list[str] = []
        url: str | None = f"{base}&sort={sort}&limit=1"
        while url:
            page = world.client.get(url).json()
            seen += [f["properties"]["title"] for f in page["features"]]
            url = page["next"]
        assert len(seen) == len(set(seen)) == 3, sort
    assert world.client.get(f"{base}&cursor=WyJuZXdlc3QiLCAxXQ==").status_code == 422


def test_what_is_taken_back_is_in_no_list(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    made = post(world, world.draft(campaign), author).json()
    assert world.client.post(f"{PATH}/{made['id']}/withdraw", headers=author).status_code == 200
    assert world.client.get(f"{PATH}?campaign={campaign['id']}").json()["features"] == []
    mine = world.client.get(f"{PATH}/mine", headers=author).json()["items"]
    assert [(one["ref"], one["status"]) for one in mine] == [(made["ref"], "withdrawn")]
    assert world.events(made["id"])[-1]["type"] == "bj.palabre.proposal.withdrawn.v1"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"description": "  "}, "/description"),
        ({"estimated_cost": None}, "/estimated_cost"),
        ({"author_name": ""}, "/author_name"),
    ],
)
def test_what_is_public_stays_complete(world: World, change: dict[str, Any], pointer: str) -> None:
    author = world.token()
    body = world.draft(world.campaign(), author_kind="group", author_name="Femmes du marché")
    made = post(world, body, author).json()
    with world.nothing_stored():
        answer = world.client.patch(f"{PATH}/{made['id']}", json=change, headers=author)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_whatever_changes_in_public_is_a_revision(world: World) -> None:
    author = world.token()
    body = world.draft(world.campaign(), author_kind="group", author_name="Femmes du marché")
    made = post(world, body, author).json()
    report = "01930000-0000-7000-8000-000000000002"
    for change in ({"reports": [report]}, {"author_name": "Femmes du port"}):
        answer = world.client.patch(f"{PATH}/{made['id']}", json=change, headers=author)
        assert answer.status_code == 200, answer.text
    lines = world.client.get(f"{PATH}/{made['id']}/revisions").json()["items"]
    assert [line["changed"] for line in lines] == [[], ["reports"], ["author_name"]]
    assert world.events(made["id"])[1]["payload"]["reports"] == [report]


def test_a_chosen_envelope_stays_while_it_fits(world: World) -> None:
    campaign, found = divided(world, whole=2_000_000)
    whole = next(e["id"] for e in campaign["envelopes"] if e["kind"] == "commune")
    author = world.token()
    for draft in (True, False):
        body = world.draft(
            campaign, geometry=found["inside"], envelope=whole, estimated_cost=9, draft=draft
        )
        made = post(world, body, author).json()
        url = f"{PATH}/{made['id']}"
        lon, lat = found["inside"]["coordinates"]
        moved = {"type": "Point", "coordinates": [lon + 1e-6, lat]}
        for change in ({"title": "Autre"}, {"theme": "water"}, {"geometry": moved}):
            answer = world.client.patch(url, json=change, headers=author)
            assert answer.json()["envelope"]["id"] == whole
        if draft:
            world.client.post(f"{url}/submit", headers=author)
            assert world.client.get(url).json()["envelope"]["id"] == whole


def test_paper_is_written_by_those_who_run_the_campaigns(world: World) -> None:
    campaign = world.campaign()
    body = world.draft(campaign, origin="paper", author_name="Sossa")
    made = post(world, body, world.agent()).json()
    technician = world.token({COTONOU: ["proposals.review"]})
    with world.nothing_stored():
        for headers in (technician, world.token()):
            answer = world.client.patch(
                f"{PATH}/{made['id']}", json={"title": "x"}, headers=headers
            )
            assert answer.status_code == 403
    answer = world.client.patch(f"{PATH}/{made['id']}", json={"title": "x"}, headers=world.agent())
    assert answer.status_code == 200
    lines = world.client.get(f"{PATH}/{made['id']}/revisions").json()["items"]
    assert [line["by"] for line in lines] == ["agent", "agent"]


def test_a_cursor_that_is_not_ours_is_refused(world: World) -> None:
    cursor = base64.urlsafe_b64encode(
        json.dumps(["endorsed", True, str(uuid4())]).encode()
    ).decode()
    answer = world.client.get(f"{PATH}?sort=endorsed&cursor={cursor}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/cursor")
