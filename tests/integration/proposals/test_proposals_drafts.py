"""Drafts: whose they are, what they may lack, and how they become proposals."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.proposals.world import COTONOU, World

pytestmark = pytest.mark.integration

PARAKOU = "0405"
IN_PARAKOU = {"type": "Point", "coordinates": [2.63, 9.35]}
WHOLE = {"description": "La nuit on n'y voit rien.", "estimated_cost": 4_500_000}


def url(draft: Mapping[str, Any], action: str = "") -> str:
    return f"/api/v1/proposals/{draft['id']}{action}"


def ids(world: World, query: str, headers: Mapping[str, str] | None = None) -> list[str]:
    answer = world.client.get(f"/api/v1/proposals?{query}", headers=dict(headers or {}))
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["code"]) == (status, code)
    return found


def test_a_draft_needs_a_title_and_a_place_only(world: World) -> None:
    author = world.token()
    campaign = world.campaign()
    reports = [str(uuid4())]
    made = world.begin(campaign, author, reports=reports, hotspot="H-7K4M2P")
    assert made["status"] == "draft"
    assert made["ref"].startswith("P-")
    read = world.client.get(url(made), headers=author).json()
    assert (read["description"], read["estimated_cost"], read["submitted_at"]) == ("", None, None)
    assert (read["reports"], read["hotspot"]) == (reports, "H-7K4M2P")
    assert (read["status"], read["arrondissement"]) == ("draft", made["arrondissement"])
    assert world.events(made["id"]) == []


def test_a_draft_is_seen_by_its_author_and_the_communes_agents(world: World) -> None:
    author = world.token()
    campaign = world.campaign()
    made = world.begin(campaign, author, **WHOLE)
    seeing = {
        "author": author,
        "agent": world.agent(),
        "who runs campaigns": world.token({COTONOU: ["campaigns.manage"]}),
        "who reviews": world.token({COTONOU: ["proposals.review"]}),
        "national agent": world.token({"*": ["proposals.review"]}),
    }
    others = {
        "nobody": {},
        "citizen": world.token(),
        "agent of reports": world.token({COTONOU: ["reports.manage"]}),
        "agent elsewhere": world.agent(PARAKOU),
    }
    queries = [
        "status=draft",
        f"status=draft,submitted&campaign={campaign['id']}",
        f"status=draft&commune={COTONOU}",
    ]
    for who, headers in seeing.items():
        assert world.client.get(url(made), headers=headers).status_code == 200, who
        assert all(made["id"] in ids(world, query, headers) for query in queries), who
    for who, headers in others.items():
        for key in (made["id"], made["ref"]):
            answer = world.client.get(f"/api/v1/proposals/{key}", headers=headers)
            refused(answer, 404, "proposal_not_found")
        assert not any(made["id"] in ids(world, query, headers) for query in queries), who
    for who, headers in (seeing | others).items():
        # what is not asked for is in nobody's list: pages that show proposals show no draft
        assert ids(world, f"campaign={campaign['id']}", headers) == [], who


def test_drafts_are_listed_by_pages_newest_first(world: World) -> None:
    author = world.token()
    campaign = world.campaign()
    made = [world.begin(campaign, author)["id"] for _ in range(5)]
    world.begin(campaign, world.token())
    path: str | None = f"/api/v1/proposals?campaign={campaign['id']}&status=draft&limit=2"
    seen: list[str] = []
    while path:
        page = world.client.get(path, headers=author).json()
        seen += [feature["id"] for feature in page["features"]]
        path = page["next"]
    assert seen == made[::-1]


def test_a_draft_is_counted_nowhere_and_on_no_ballot(world: World) -> None:
    campaign = world.campaign()
    world.begin(campaign, world.token(), **WHOLE)
    done = world.propose(campaign)
    for headers in ({}, world.agent()):
        counts = world.client.get(f"/api/v1/campaigns/{campaign['id']}", headers=headers).json()[
            "counts"
        ]
        assert counts["submitted"] == sum(counts.values()) == 1
        assert "draft" not in counts
    world.review(done["id"])
    world.enter(campaign["id"], "vote", world.agent())
    ballot = world.events(campaign["id"])[-2]["payload"]
    assert [project["id"] for project in ballot["projects"]] == [done["id"]]


def test_nobody_endorses_or_reviews_a_draft(world: World) -> None:
    author = world.token()
    made = world.begin(world.campaign(), author, **WHOLE)
    review = {"outcome": "feasible", "reason": "Vu.", "cost": 1}
    with world.nothing_stored():
        for headers in (world.token(), author, world.agent()):
            answer = world.client.post(url(made, "/endorsements"), headers=headers)
            refused(answer, 404, "proposal_not_found")
        for headers, status, code in (
            (world.token(), 404, "proposal_not_found"),
            (world.agent(PARAKOU), 404, "proposal_not_found"),
            (author, 403, "forbidden"),
            (world.agent(), 409, "still_draft"),
        ):
            answer = world.client.post(url(made, "/review"), json=review, headers=headers)
            refused(answer, status, code)
    assert world.client.get(url(made), headers=author).json()["review"] is None


@pytest.mark.parametrize(
    ("phase", "citizen", "agent"),
    [
        ("preparation", 409, 201),
        ("ideas", 201, 201),
        ("review", 409, 409),
        ("revision", 409, 409),
    ],
)
def test_who_drafts_when(world: World, phase: str, citizen: int, agent: int) -> None:
    campaign = world.campaign(phase)
    body = world.draft(campaign, draft=True)
    for headers, status in (
        (world.token(), citizen),
        (world.agent(PARAKOU), citizen),
        (world.agent(), agent),
        (world.token({COTONOU: ["proposals.review"]}), agent),
    ):
        answer = world.client.post("/api/v1/proposals", json=body, headers=headers)
        assert answer.status_code == status
        if status == 409:
            assert refused(answer, 409, "wrong_phase")["phase"] == phase


def test_a_draft_is_edited_field_by_field(world: World) -> None:
    author = world.token()
    made = world.begin(world.campaign(), author, theme="lighting")
    lon, lat = world.point()
    line = {"type": "LineString", "coordinates": [[lon, lat], [lon + 1e-3, lat]]}
    reports = [str(uuid4()), str(uuid4())]
    changes: list[dict[str, Any]] = [
        {"title": "Dix lampadaires"},
        {"description": "La nuit on n'y voit rien.", "estimated_cost": 5_000_000},
        {"geometry": line},
        {"theme": "roads", "reports": reports},
        {"theme": None, "estimated_cost": None, "reports": []},
        {},
    ]
    before = world.client.get(url(made), headers=author).json()
    for change, who in zip(changes, (author, world.agent()) * 3, strict=True):
        answer = world.client.patch(url(made), json=change, headers=who)
        assert answer.status_code == 200, answer.text
        after = answer.json()
        assert {k for k in after if after[k] != before[k]} - {"lon", "lat", "may", "mine"} == set(
            change
        )
        assert all(after[k] == v for k, v in change.items() if k != "geometry")
        before = after
    assert before["geometry"]["type"] == "LineString"
    after = world.client.get(url(made), headers=author).json()
    assert before == {**after, "may": before["may"], "mine": False}
    assert world.events(made["id"]) == []


def test_a_draft_moves_to_the_arrondissement_of_its_new_place(world: World) -> None:
    author = world.token()
    made = world.begin(world.campaign(), author)
    row = world.rows(
        "SELECT code, ST_X(p) AS lon, ST_Y(p) AS lat FROM (SELECT code, ST_PointOnSurface(geom) "
        "AS p FROM reference.arrondissements WHERE commune_code = :code AND code <> :not) q "
        "ORDER BY code LIMIT 1",
        code=COTONOU,
        **{"not": made["arrondissement"]},
    )[0]
    place = {"type": "Point", "coordinates": [row["lon"], row["lat"]]}
    after = world.client.patch(url(made), json={"geometry": place}, headers=author).json()
    assert after["arrondissement"] == row["code"]


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"title": None}, "invalid", "/title"),
        ({"title": " "}, "invalid", "/title"),
        ({"description": None}, "invalid", "/description"),
        ({"description": "x" * 4001}, "invalid", "/description"),
        ({"geometry": None}, "invalid", "/geometry"),
        ({"geometry": IN_PARAKOU}, "outside_commune", "/geometry"),
        ({"reports": None}, "invalid", "/reports"),
        ({"reports": [str(UUID(int=1))] * 2}, "invalid", "/reports"),
        ({"estimated_cost": 10_000_001}, "over_budget", "/estimated_cost"),
        ({"estimated_cost": 0}, "invalid", "/estimated_cost"),
        ({"theme": "deux mots"}, "invalid", "/theme"),
        ({"campaign": str(UUID(int=1))}, "invalid", "/campaign"),
        ({"status": "submitted"}, "invalid", "/status"),
        ({"hotspot": "H-7K4M2"}, "invalid", "/hotspot"),
    ],
)
def test_changes_that_break_a_rule(
    world: World, change: dict[str, Any], code: str, pointer: str
) -> None:
    author = world.token()
    made = world.begin(world.campaign(), author, **WHOLE)
    before = world.client.get(url(made), headers=author).json()
    answer = world.client.patch(url(made), json={"theme": "eau", **change}, headers=author)
    assert refused(answer, 422, code)["errors"][0]["pointer"] == pointer
    assert world.client.get(url(made), headers=author).json() == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"hotspot": "H-7K4M"}, "/hotspot"),
        ({"hotspot": "h-7k4m2"}, "/hotspot"),
        ({"hotspot": "H-7K4M2PQRS"}, "/hotspot"),
        ({"hotspot": "H-7K4M2\n"}, None),  # stripped as every text
        ({"draft": "yes"}, "/draft"),
        ({"draft": None}, "/draft"),
        ({"title": ""}, "/title"),
        ({"estimated_cost": 10_000_001}, "/estimated_cost"),
    ],
)
def test_a_draft_keeps_the_rules_of_its_fields(
    world: World, change: dict[str, Any], pointer: str | None
) -> None:
    body = {**world.draft(world.campaign()), "draft": True, **change}
    answer = world.client.post("/api/v1/proposals", json=body, headers=world.token())
    assert answer.status_code == (422 if pointer else 201)
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer


def test_others_do_not_change_or_submit_a_draft(world: World) -> None:
    campaign = world.campaign()
    made = world.begin(campaign, world.token(), **WHOLE)
    done = world.propose(campaign)
    with world.nothing_stored():
        for headers in (world.token(), world.agent(PARAKOU)):
            for found, status, code in (
                (made, 404, "proposal_not_found"),
                (done, 403, "forbidden"),
            ):
                answer = world.client.patch(url(found), json={"title": "Rien"}, headers=headers)
                refused(answer, status, code)
                refused(world.client.post(url(found, "/submit"), headers=headers), status, code)
        for answer in (
            world.client.patch(url(made), json={"title": "Rien"}),
            world.client.post(url(made, "/submit")),
        ):
            refused(answer, 401, "unauthenticated")
    unknown = {"id": str(uuid4())}
    answer = world.client.post(url(unknown, "/submit"), headers=world.agent())
    refused(answer, 404, "proposal_not_found")
    assert world.client.get(url(made), headers=world.agent()).json()["title"] != "Rien"


def test_a_submitted_draft_is_a_proposal_as_any_other(world: World) -> None:
    author = world.token()
    campaign = world.campaign()
    reports = [str(uuid4())]
    made = world.begin(campaign, author, **WHOLE, reports=reports, hotspot="H-7K4M2", theme="eau")
    early = world.propose(campaign)
    answer = world.client.post(url(made, "/submit"), headers=author)
    assert answer.status_code == 200
    assert answer.json() == {**made, "status": "submitted"}

    (said,) = world.events(made["id"])
    assert (said["type"], said["sequence"]) == ("bj.palabre.proposal.submitted.v1", 1)
    assert (said["payload"]["reports"], said["payload"]["hotspot"]) == (reports, "H-7K4M2")
    direct = world.events(early["id"])[0]["payload"]
    assert said["payload"].keys() == direct.keys()
    differing = {"id", "ref", "submitted_at", "reports", "hotspot", "theme"}
    same = said["payload"].keys() - differing - {"geometry"}
    assert {k: said["payload"][k] for k in same} == {k: direct[k] for k in same}
    assert said["payload"]["geometry"]["coordinates"] == pytest.approx(world.point(), abs=1e-6)

    read = world.client.get(url(made)).json()
    assert read["status"] == "submitted"
    assert read["submitted_at"] == said["payload"]["submitted_at"]
    # in the order of submission, not of drafting
    assert ids(world, f"campaign={campaign['id']}") == [made["id"], early["id"]]
    assert world.client.post(url(made, "/endorsements"), headers=world.token()).json() == {
        "endorsements": 1
    }
    world.review(made["id"])
    assert [e["sequence"] for e in world.events(made["id"])] == [1, 2]


def test_an_agents_draft_waits_for_the_ideas(world: World) -> None:
    agent = world.agent()
    campaign = world.campaign("preparation")
    made = world.begin(campaign, agent, **WHOLE, hotspot="H-7K4M2")
    with world.nothing_stored():
        answer = world.client.post(url(made, "/submit"), headers=agent)
        assert refused(answer, 409, "wrong_phase")["phase"] == "preparation"
    world.enter(campaign["id"], "ideas", agent)
    # another agent of the commune may finish what a colleague began
    assert world.client.post(url(made, "/submit"), headers=world.agent()).status_code == 200


def test_a_draft_left_behind_by_the_ideas_stays_one(world: World) -> None:
    author = world.token()
    campaign = world.campaign()
    made = world.begin(campaign, author, **WHOLE)
    world.enter(campaign["id"], "review", world.agent())
    with world.nothing_stored():
        refused(world.client.post(url(made, "/submit"), headers=author), 409, "wrong_phase")
    assert world.client.get(url(made), headers=author).json()["status"] == "draft"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["/description", "/estimated_cost"]),
        ({"description": "Vu."}, ["/estimated_cost"]),
        ({"estimated_cost": 1}, ["/description"]),
    ],
)
def test_only_a_whole_proposal_is_submitted(
    world: World, given: dict[str, Any], missing: list[str]
) -> None:
    author = world.token()
    campaign = world.campaign()
    made = world.begin(campaign, author, **given)
    direct = {k: v for k, v in world.draft(campaign).items() if f"/{k}" not in missing}
    with world.nothing_stored():
        for answer in (
            world.client.post(url(made, "/submit"), headers=author),
            world.client.post("/api/v1/proposals", json=direct, headers=author),
        ):
            found = refused(answer, 422, "invalid")
            assert [error["pointer"] for error in found["errors"]] == missing


def test_a_draft_is_submitted_once(world: World) -> None:
    author = world.token()
    made = world.begin(world.campaign(), author, **WHOLE)

    def submit() -> int:
        return world.client.post(url(made, "/submit"), headers=author).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(lambda _: submit(), range(4)))
    assert codes == [200, 409, 409, 409]
    assert len(world.events(made["id"])) == 1
    again = world.client.post(url(made, "/submit"), headers=author)
    assert refused(again, 409, "already_submitted")["status_now"] == "submitted"
    # What is public from then on changes in public.
    late = world.client.patch(url(made), json={"title": "Autre chose"}, headers=author)
    assert (late.status_code, late.json()["revision"]) == (200, 2)


def test_a_draft_is_deleted_by_who_may_write_it(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    before = world.counts()
    made = world.begin(campaign, author, **WHOLE)
    assert world.client.delete(url(made), headers=world.token()).status_code == 404
    assert world.client.delete(url(made), headers=author).json() == {"ref": made["ref"]}
    assert world.client.get(url(made), headers=author).status_code == 404
    assert world.counts() == before
    told = world.propose(campaign)
    refused(world.client.delete(url(told), headers=world.agent()), 403, "forbidden")


def test_the_same_draft_and_the_same_submission_twice_are_one(world: World) -> None:
    campaign = world.campaign()
    author = world.token()
    first = {**author, "Idempotency-Key": str(uuid4())}
    body = world.draft(campaign, draft=True)
    made = [
        world.client.post("/api/v1/proposals", json=body, headers=first).json() for _ in range(2)
    ]
    assert made[0] == made[1]
    assert ids(world, f"status=draft&campaign={campaign['id']}", author) == [made[0]["id"]]
    for method, path, sent in (
        ("PATCH", "", {"estimated_cost": 4_000_000}),
        ("POST", "/submit", None),
    ):
        headers = {**author, "Idempotency-Key": str(uuid4())}
        answers = [
            world.client.request(method, url(made[0], path), json=sent, headers=headers)
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["idempotent-replayed"] == "true"
    assert len(world.events(made[0]["id"])) == 1
