"""Campaigns and proposals over HTTP: what is answered, who may do what, and when."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.proposals.world import COTONOU, World, plan

pytestmark = pytest.mark.integration

#: All that the service answers: a path that goes or comes is a decision.
PATHS = {
    "/api/v1/abuse-reports",
    "/api/v1/amendments/{amendment_id}",
    "/api/v1/amendments/{amendment_id}/decision",
    "/api/v1/amendments/{amendment_id}/hide",
    "/api/v1/amendments/{amendment_id}/withdraw",
    "/api/v1/campaigns",
    "/api/v1/campaigns/{campaign_id}",
    "/api/v1/campaigns/{campaign_id}/calendar",
    "/api/v1/campaigns/{campaign_id}/clone",
    "/api/v1/campaigns/{campaign_id}/export/{subject}.{form}",
    "/api/v1/campaigns/{campaign_id}/forums",
    "/api/v1/campaigns/{campaign_id}/history",
    "/api/v1/campaigns/{campaign_id}/money",
    "/api/v1/campaigns/{campaign_id}/phase",
    "/api/v1/campaigns/{campaign_id}/shortlist",
    "/api/v1/comments/{comment_id}",
    "/api/v1/comments/{comment_id}/useful",
    "/api/v1/cost-estimates",
    "/api/v1/endorsement-offers",
    "/api/v1/endorsement-offers/{merge_id}",
    "/api/v1/files",
    "/api/v1/files/documents",
    "/api/v1/files/{file_id}",
    "/api/v1/follows",
    "/api/v1/merges",
    "/api/v1/merges/{merge_id}",
    "/api/v1/merges/{merge_id}/consent",
    "/api/v1/merges/{merge_id}/undo",
    "/api/v1/moderation",
    "/api/v1/moderation/appeals",
    "/api/v1/moderation/appeals/decision",
    "/api/v1/proposals",
    "/api/v1/proposals/mine",
    "/api/v1/proposals/similar",
    "/api/v1/proposals/{proposal_id}",
    "/api/v1/proposals/{proposal_id}/amendments",
    "/api/v1/proposals/{proposal_id}/coauthors",
    "/api/v1/proposals/{proposal_id}/coauthors/me",
    "/api/v1/proposals/{proposal_id}/comments",
    "/api/v1/proposals/{proposal_id}/endorsements",
    "/api/v1/proposals/{proposal_id}/follow",
    "/api/v1/proposals/{proposal_id}/invitations",
    "/api/v1/proposals/{proposal_id}/moderation",
    "/api/v1/proposals/{proposal_id}/review",
    "/api/v1/proposals/{proposal_id}/review/answer",
    "/api/v1/proposals/{proposal_id}/review/assignments",
    "/api/v1/proposals/{proposal_id}/review/assignments/{service}",
    "/api/v1/proposals/{proposal_id}/review/criteria/{criterion}",
    "/api/v1/proposals/{proposal_id}/revisions",
    "/api/v1/proposals/{proposal_id}/revisions/{number}",
    "/api/v1/proposals/{proposal_id}/submit",
    "/api/v1/proposals/{proposal_id}/withdraw",
    "/api/v1/reviews/queue",
    "/api/v1/reviews/services",
    "/api/v1/unit-costs",
    "/api/v1/unit-costs/{commune}/{code}",
    "/api/v1/works",
    "/api/v1/works/{work_id}",
    "/api/v1/works/{work_id}/completion",
    "/api/v1/works/{work_id}/confirmations",
    "/api/v1/works/{work_id}/confirmations/moderation",
    "/api/v1/works/{work_id}/delay",
    "/api/v1/works/{work_id}/entries",
    "/api/v1/works/{work_id}/entries/{entry_id}/counter",
    "/api/v1/works/{work_id}/milestones",
    "/api/v1/works/{work_id}/milestones/{milestone_id}/reached",
    "/api/v1/works/{work_id}/notes",
    "/api/v1/works/{work_id}/progress",
    "/api/v1/works/{work_id}/reopen",
    "/api/v1/works/{work_id}/status",
}

PARAKOU = "0405"


def test_a_campaign_is_announced_and_read(world: World) -> None:
    envelopes = [
        {"name": "Éclairage", "amount": 6_000_000},
        {"name": "5e", "amount": 4_000_000, "arrondissement": "0801-05"},
    ]
    agent = world.agent()
    answer = world.client.post(
        "/api/v1/campaigns",
        json={
            "commune": COTONOU,
            "title": "Budget 2027",
            "budget": 10_000_000,
            "envelopes": envelopes,
            "phases": plan("ideas", "vote"),
        },
        headers=agent,
    )
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/campaigns/{made['id']}"
    assert UUID(made["id"]).version == 7
    assert made["phase"] == "preparation"
    assert made["allowed"] == ["ideas"]
    assert [(e["name"], e["amount"], e["arrondissement"]) for e in made["envelopes"]] == [
        ("Éclairage", 6_000_000, None),
        ("5e", 4_000_000, "0801-05"),
    ]
    read = world.client.get(f"/api/v1/campaigns/{made['id']}", headers=agent).json()
    assert read == made
    for other in ({}, world.token(), world.agent(PARAKOU)):
        found = world.client.get(f"/api/v1/campaigns/{made['id']}", headers=other).json()
        assert found["allowed"] == []
    said = world.events(made["id"])
    assert [e["type"] for e in said] == ["bj.palabre.campaign.published.v1"]
    assert said[0]["payload"] == {
        key: made[key] for key in ("id", "commune", "title", "budget", "phase")
    } | {"phases": made["phases"], "envelopes": made["envelopes"]}


def test_campaigns_are_listed_newest_first_by_pages(world: World) -> None:
    made = [world.campaign("preparation", commune="0105")["id"] for _ in range(5)]
    world.campaign("ideas", commune="0105")
    url: str | None = "/api/v1/campaigns?commune=0105&phase=preparation&limit=2"
    seen: list[str] = []
    while url:
        page = world.client.get(url).json()
        seen += [item["id"] for item in page["items"]]
        url = page["next"]
    assert seen == made[::-1]


def test_a_proposal_is_submitted_and_read(world: World) -> None:
    campaign = world.campaign()
    reports = [str(uuid4()), str(uuid4())]
    author = world.token()
    draft = world.draft(campaign, theme="lighting", reports=reports, hotspot="H-7K4M2")
    answer = world.client.post("/api/v1/proposals", json=draft, headers=author)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/proposals/{made['id']}"
    assert made["ref"].startswith("P-")
    assert (made["commune"], made["status"]) == (COTONOU, "submitted")

    read = world.client.get(f"/api/v1/proposals/{made['id']}").json()
    assert read == world.client.get(f"/api/v1/proposals/{made['ref'].lower()}").json()
    assert read["geometry"]["type"] == "Point"
    assert [read["lon"], read["lat"]] == pytest.approx(world.point())
    assert read["reports"] == reports
    assert (read["theme"], read["hotspot"]) == ("lighting", "H-7K4M2")
    assert (read["review"], read["cost"], read["number"]) == (None, None, None)

    said = world.events(made["id"])[0]["payload"]
    assert said["geometry"]["coordinates"] == pytest.approx(world.point())
    assert said["arrondissement"] == made["arrondissement"]
    assert (said["reports"], said["hotspot"]) == (reports, "H-7K4M2")
    assert "description" not in said
    feature = world.client.get(f"/api/v1/proposals?campaign={campaign['id']}").json()["features"][0]
    assert feature["geometry"] == read["geometry"]
    assert set(feature["properties"]) == {
        "id",
        "ref",
        "campaign",
        "commune",
        "arrondissement",
        "envelope",
        "origin",
        "author_kind",
        "comments",
        "photo",
        "title",
        "theme",
        "estimated_cost",
        "cost",
        "number",
        "status",
        "endorsements",
        "hotspot",
        "submitted_at",
    }


def test_who_wrote_endorsed_or_reviewed_is_nowhere_to_be_read(world: World) -> None:
    campaign = world.campaign()
    made = world.propose(campaign)
    world.client.post(f"/api/v1/proposals/{made['id']}/endorsements", headers=world.token())
    world.review(made["id"])
    people = world.rows(
        "SELECT author_id AS id FROM proposals WHERE id = :id UNION ALL "
        "SELECT user_id FROM endorsements WHERE proposal_id = :id UNION ALL "
        "SELECT reviewer_id FROM reviews WHERE proposal_id = :id UNION ALL "
        "SELECT created_by FROM campaigns WHERE id = :campaign",
        id=made["id"],
        campaign=campaign["id"],
    )
    assert len(people) == 4
    public = "".join(
        world.client.get(f"/api/v1/{path}").text
        for path in (
            f"proposals/{made['id']}",
            "proposals",
            "campaigns",
            f"campaigns/{campaign['id']}",
        )
    ) + str(world.rows("SELECT * FROM outbox"))
    assert not [person for person in people if str(person["id"]) in public]


@pytest.mark.parametrize("kind", ["LineString", "Polygon"])
def test_lines_and_areas_have_a_place_too(world: World, kind: str) -> None:
    lon, lat = world.point()
    corners = [[lon, lat], [lon + 1e-3, lat], [lon + 1e-3, lat + 1e-3], [lon, lat]]
    shape = {"type": kind, "coordinates": corners[:3] if kind == "LineString" else [corners]}
    made = world.propose(world.campaign(), geometry=shape)
    read = world.client.get(f"/api/v1/proposals/{made['id']}").json()
    assert read["geometry"]["type"] == kind
    assert read["arrondissement"].startswith(COTONOU)
    assert abs(read["lon"] - lon) < 2e-3


def test_markup_and_templates_are_only_text(world: World) -> None:
    text = "<script>alert(1)</script> ${7*7} {{7*7}} `x` ' \" \\ « é » 🌳"
    campaign = world.campaign(title=text)
    made = world.propose(campaign, title=text, description=text)
    assert campaign["title"] == text
    answer = world.client.get(f"/api/v1/proposals/{made['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert (answer.json()["title"], answer.json()["description"]) == (text, text)
    assert world.events(made["id"])[0]["payload"]["title"] == text
    listed = world.client.get(f"/api/v1/proposals?campaign={campaign['id']}").json()
    assert listed["features"][0]["properties"]["title"] == text


def test_proposals_are_listed_by_pages_and_filters(world: World) -> None:
    campaign = world.campaign(commune="0203")
    made = [world.propose(campaign)["id"] for _ in range(5)]
    url: str | None = "/api/v1/proposals?commune=0203&limit=2&status=submitted,shortlisted"
    seen: list[str] = []
    pages = 0
    while url:
        page = world.client.get(url).json()
        assert page["type"] == "FeatureCollection"
        seen += [feature["id"] for feature in page["features"]]
        url, pages = page["next"], pages + 1
    assert (seen, pages) == (made[::-1], 3)
    for query in ("status=funded", "commune=0204", f"campaign={uuid4()}"):
        empty = world.client.get(f"/api/v1/proposals?{query}&commune=0203").json()
        assert query.startswith("commune") or empty["features"] == []


def test_a_person_endorses_once(world: World) -> None:
    made = world.propose(world.campaign())
    url = f"/api/v1/proposals/{made['id']}/endorsements"
    awa, bio = world.token(), world.token()
    counted = [
        world.client.post(url, headers=headers).json()["endorsements"]
        for headers in (awa, awa, bio, awa)
    ]
    assert counted == [1, 1, 2, 2]
    by_ref = world.client.post(
        f"/api/v1/proposals/{made['ref']}/endorsements", headers=world.token()
    )
    assert by_ref.json() == {"endorsements": 3}
    detail = world.client.get(f"/api/v1/proposals/{made['id']}").json()
    assert detail["endorsements"] == 3


def test_many_endorsements_at_once_are_all_counted(world: World) -> None:
    made = world.propose(world.campaign())
    people = [world.token() for _ in range(12)] * 2

    def endorse(headers: dict[str, str]) -> int:
        return world.client.post(
            f"/api/v1/proposals/{made['id']}/endorsements", headers=headers
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(endorse, people)) == {200}
    detail = world.client.get(f"/api/v1/proposals/{made['id']}").json()
    assert detail["endorsements"] == 12


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("feasible", "shortlisted"),
        ("feasible_with_changes", "shortlisted"),
        ("not_feasible", "not_feasible"),
    ],
)
def test_a_review_says_outcome_reason_and_cost(world: World, outcome: str, status: str) -> None:
    made = world.propose(world.campaign())
    answer = world.review(made["id"], outcome)
    assert (answer["status"], answer["cost"]) == (status, 4_800_000)
    read = world.client.get(f"/api/v1/proposals/{made['id']}").json()
    assert (read["status"], read["cost"], read["estimated_cost"]) == (status, 4_800_000, 4_500_000)
    assert read["review"]["outcome"] == outcome
    assert read["review"]["reason"] == "Chiffré par les services."
    assert set(read["review"]) == {
        "outcome",
        "reason",
        "cost",
        "reviewed_at",
        "round",
        "criteria",
    }
    said = world.events(made["id"])[-1]["payload"]
    assert (said["outcome"], said["status"], said["cost"]) == (outcome, status, 4_800_000)
    assert "reason" not in said


def test_of_two_reviews_at_once_one_is_kept(world: World) -> None:
    made = world.propose(world.campaign())

    def review(outcome: str) -> int:
        return world.client.post(
            f"/api/v1/proposals/{made['id']}/review",
            json={"outcome": outcome, "reason": "Vu.", "cost": 1_000_000},
            headers=world.agent(),
        ).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(review, ["feasible", "not_feasible"] * 2))
    assert codes == [200, 409, 409, 409]
    assert len(world.events(made["id"])) == 2
    again = world.client.post(
        f"/api/v1/proposals/{made['id']}/review",
        json={"outcome": "feasible", "reason": "Encore.", "cost": 1},
        headers=world.agent(),
    )
    assert again.json()["code"] == "already_reviewed"


def test_a_review_and_the_freeze_at_once_agree(world: World) -> None:
    campaign = world.campaign()
    world.review(world.propose(campaign)["id"])
    late = world.propose(campaign)["id"]

    def freeze() -> int:
        return world.client.post(
            f"/api/v1/campaigns/{campaign['id']}/phase",
            json={"phase": "vote", "reason": "Tout est étudié."},
            headers=world.agent(),
        ).status_code

    def review() -> int:
        return world.client.post(
            f"/api/v1/proposals/{late}/review",
            json={"outcome": "feasible", "reason": "Vu.", "cost": 1_000_000},
            headers=world.agent(),
        ).status_code

    with ThreadPoolExecutor(2) as pool:
        frozen, reviewed = pool.submit(freeze), pool.submit(review)
    assert frozen.result() == 200
    projects = [p["id"] for p in world.events(campaign["id"])[-2]["payload"]["projects"]]
    assert (late in projects) == (reviewed.result() == 200)


@pytest.mark.parametrize("phase", ["preparation", "review", "revision"])
def test_proposals_come_in_ideas_only(world: World, phase: str) -> None:
    draft = world.draft(world.campaign(phase))
    with world.nothing_stored():
        answer = world.client.post("/api/v1/proposals", json=draft, headers=world.token())
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_phase")
    assert answer.json()["phase"] == phase


def test_reviews_end_before_the_revision(world: World) -> None:
    campaign = world.campaign()
    made = world.propose(campaign)
    body = {"outcome": "feasible", "reason": "Vu.", "cost": 1}
    for phase in ("review", "revision"):
        world.enter(campaign["id"], phase, world.agent())
    with world.nothing_stored():
        answer = world.client.post(
            f"/api/v1/proposals/{made['id']}/review", json=body, headers=world.agent()
        )
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_phase")


def test_nothing_edits_after_the_freeze(world: World) -> None:
    campaign = world.campaign()
    world.review(world.propose(campaign)["id"])
    left = world.propose(campaign)
    world.enter(campaign["id"], "vote", world.agent())
    tries: list[tuple[str, dict[str, Any] | None]] = [
        ("proposals", world.draft(campaign)),
        (f"proposals/{left['id']}/endorsements", None),
        (f"proposals/{left['id']}/review", {"outcome": "feasible", "reason": "Vu.", "cost": 1}),
        *((f"campaigns/{campaign['id']}/phase", {"phase": p}) for p in ("ideas", "vote", "works")),
    ]
    with world.nothing_stored():
        for path, body in tries:
            answer = world.client.post(f"/api/v1/{path}", json=body, headers=world.agent())
            assert (answer.status_code, answer.json()["code"]) == (409, "wrong_phase"), path


def test_a_vote_needs_a_shortlist(world: World) -> None:
    campaign = world.campaign()
    world.review(world.propose(campaign)["id"], "not_feasible")
    assert (
        "vote"
        not in world.client.get(
            f"/api/v1/campaigns/{campaign['id']}", headers=world.agent()
        ).json()["allowed"]
    )
    with world.nothing_stored():
        answer = world.client.post(
            f"/api/v1/campaigns/{campaign['id']}/phase",
            json={"phase": "vote", "reason": "Tout est étudié."},
            headers=world.agent(),
        )
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_vote")


def test_the_same_write_twice_is_stored_once(world: World) -> None:
    campaign = world.campaign()
    headers = {**world.token(), "Idempotency-Key": str(uuid4())}
    first = world.client.post("/api/v1/proposals", json=world.draft(campaign), headers=headers)
    with world.nothing_stored():
        again = world.client.post("/api/v1/proposals", json=world.draft(campaign), headers=headers)
        other = world.client.post(
            "/api/v1/proposals", json=world.draft(campaign, title="Autre"), headers=headers
        )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_two_copies_at_once_are_one_proposal(world: World) -> None:
    campaign = world.campaign()
    draft = world.draft(campaign)
    headers = {**world.token(), "Idempotency-Key": str(uuid4())}

    def send(_: int) -> str:
        answer = world.client.post("/api/v1/proposals", json=draft, headers=headers)
        return str(answer.json()["id"])

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(send, range(6)))) == 1
    found = world.client.get(f"/api/v1/proposals?campaign={campaign['id']}").json()["features"]
    assert len(found) == 1


def test_operations_and_the_contract_of_the_api(world: World) -> None:
    assert world.client.get("/readyz").json() == {"status": "ready"}
    paths = world.client.get("/api/v1/openapi.json").json()["paths"]
    assert {p for p in paths if p.startswith("/api/v1/")} == PATHS
