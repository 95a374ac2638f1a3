"""Bad input: each its own clear problem, and not one row anywhere."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from services.common.auth import AUDIENCE, ISSUER
from tests.integration.proposals.world import AGENT, COTONOU, World, make_signer, plan

pytestmark = pytest.mark.integration

PARAKOU = "0405"


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code
    assert found["type"].endswith(found["code"])
    assert found["title"]
    assert found["detail"]
    return found


@pytest.fixture(scope="module")
def campaign(world: World) -> dict[str, Any]:
    return world.campaign()


@pytest.mark.parametrize(
    ("coordinates", "code", "said"),
    [
        ([1.2, 6.2], "outside_country", "The place is not in Bénin."),  # Lomé
        ([-0.19, 5.6], "outside_country", "The place is not in Bénin."),  # Accra
        ([0.0, 0.0], "outside_country", "The place is not in Bénin."),
        ([6.3667, 2.4333], "outside_country", "Longitude and latitude look swapped."),
        ([2.63, 9.35], "outside_commune", f"not inside the commune {COTONOU}"),  # Parakou
        ([2.4333, 6.335], "outside_commune", f"not inside the commune {COTONOU}"),  # at sea, near
        ([2.4333, 6.2], "outside_country", "The place is not in Bénin."),  # at sea, far
    ],
)
def test_a_place_that_cannot_be(
    world: World, campaign: dict[str, Any], coordinates: list[float], code: str, said: str
) -> None:
    draft = world.draft(campaign, geometry={"type": "Point", "coordinates": coordinates})
    with world.nothing_stored():
        answer = world.client.post("/api/v1/proposals", json=draft, headers=world.token())
    found = problem(answer)
    assert (found["status"], found["code"]) == (422, code)
    assert said in found["detail"]
    assert found["errors"][0]["pointer"] == "/geometry"
    assert ("swapped" in found["detail"]) == (coordinates[0] > 6)


def test_a_line_that_leaves_the_commune(world: World, campaign: dict[str, Any]) -> None:
    lon, lat = world.point(COTONOU)
    line = {"type": "LineString", "coordinates": [[lon, lat], [lon, lat + 0.15]]}
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/proposals", json=world.draft(campaign, geometry=line), headers=world.token()
        )
    assert problem(answer)["code"] == "outside_commune"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(world: World, campaign: dict[str, Any], value: str) -> None:
    draft = json.dumps(world.draft(campaign, geometry={"type": "Point", "coordinates": ["#", 6]}))
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/proposals",
            content=draft.replace('"#"', value),
            headers={**world.token(), "Content-Type": "application/json"},
        )
    found = problem(answer)
    assert (found["status"], found["errors"][0]["pointer"]) == (422, "/geometry")
    assert "must be finite" in found["errors"][0]["detail"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1, 2", b"\xff\xfe", b'{"title": "\\x"}', b"[" * 100_000, b"1" * 5000],
    ids=["empty", "brace", "bracket", "not UTF-8", "bad escape", "deep", "huge number"],
)
def test_malformed_json(world: World, body: bytes) -> None:
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/proposals",
            content=body,
            headers={**world.token(), "Content-Type": "application/json"},
        )
    # nothing sent is a missing body, not a malformed one
    assert problem(answer)["status"] == (400 if body else 422)


@pytest.mark.parametrize("path", ["campaigns", "proposals"])
def test_a_huge_description(world: World, campaign: dict[str, Any], path: str) -> None:
    draft = world.draft(campaign, description="x" * 5_000_000)
    with world.nothing_stored():
        answer = world.client.post(f"/api/v1/{path}", json=draft, headers=world.token())
    assert (problem(answer)["status"], problem(answer)["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"title": "x" * 121}, "/title"),
        ({"description": "x" * 4001}, "/description"),
        ({"description": "a\x00b"}, "/description"),
        ({"estimated_cost": 1.5}, "/estimated_cost"),
        ({"estimated_cost": 10**13}, "/estimated_cost"),
        ({"estimated_cost": 10_000_001}, "/estimated_cost"),
        ({"campaign": "demain"}, "/campaign"),
        ({"campaign": str(uuid4())}, "/campaign"),
        ({"geometry": {"type": "Point", "coordinates": ["2.4", "6.4"]}}, "/geometry"),
        ({"geometry": {"type": "Circle", "coordinates": [2.4, 6.4]}}, "/geometry/type"),
        ({"reports": ["S-7K4M2P"]}, "/reports/0"),
        ({"author": "me"}, "/author"),
    ],
)
def test_fields_that_break_a_rule(
    world: World, campaign: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/proposals", json={**world.draft(campaign), **change}, headers=world.token()
        )
    found = problem(answer)
    assert (found["status"], found["errors"][0]["pointer"]) == (422, pointer)


def test_half_a_character_is_refused(world: World, campaign: dict[str, Any]) -> None:
    draft = json.dumps(world.draft(campaign, title="#")).replace("#", "\\ud800")
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/proposals",
            content=draft,
            headers={**world.token(), "Content-Type": "application/json"},
        )
    assert problem(answer)["status"] == 422


GOOD = {"commune": COTONOU, "title": "Budget", "budget": 10_000_000, "phases": plan("ideas")}


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"commune": "9999"}, "unknown_commune", "/commune"),
        ({"commune": "Cotonou"}, "invalid", "/commune"),
        ({"commune": 801}, "invalid", "/commune"),
        ({"budget": 0}, "invalid", "/budget"),
        ({"phases": []}, "invalid", "/phases"),
        ({"phases": plan("vote", "ideas")}, "invalid", "/phases"),
        ({"phases": plan("party")}, "invalid", "/phases/0/phase"),
        (
            {"phases": [{"phase": "ideas", "opens_at": "2027-01-01", "closes_at": "2027-02-01"}]},
            "invalid",
            "/phases/0/opens_at",
        ),
        ({"envelopes": [{"name": "A", "amount": 10_000_001}]}, "over_budget", "/envelopes"),
        (
            {"envelopes": [{"name": "A", "amount": 1}, {"name": "A", "amount": 1}]},
            "invalid",
            "/envelopes/1/name",
        ),
        (
            {"envelopes": [{"name": "A", "amount": 1, "arrondissement": "0405-01"}]},
            "unknown_arrondissement",
            "/envelopes/0/arrondissement",
        ),
    ],
)
def test_campaigns_that_break_a_rule(
    world: World, change: dict[str, Any], code: str, pointer: str
) -> None:
    with world.nothing_stored():
        answer = world.client.post(
            "/api/v1/campaigns", json={**GOOD, **change}, headers=world.agent()
        )
    found = problem(answer)
    assert (found["status"], found["code"]) == (422, code)
    assert found["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("who", ["a citizen", "another commune's agent", "an agent of less"])
def test_only_the_communes_agents_manage(world: World, campaign: dict[str, Any], who: str) -> None:
    made = world.propose(campaign)
    headers = {
        "a citizen": world.token(),
        "another commune's agent": world.agent(PARAKOU),
        "an agent of less": world.token({COTONOU: ["reports.manage"]}),
    }[who]
    review = {"outcome": "feasible", "reason": "Vu.", "cost": 1}
    with world.nothing_stored():
        for path, body in (
            ("campaigns", GOOD),
            (f"campaigns/{campaign['id']}/phase", {"phase": "review"}),
            (f"proposals/{made['id']}/review", review),
        ):
            found = problem(world.client.post(f"/api/v1/{path}", json=body, headers=headers))
            assert (found["status"], found["code"]) == (403, "forbidden"), path


def test_national_agents_manage_every_commune(world: World) -> None:
    headers = world.token({"*": AGENT})
    assert world.client.post("/api/v1/campaigns", json=GOOD, headers=headers).status_code == 201


def test_tokens_that_are_not_ours(world: World, campaign: dict[str, Any], tmp_path: Path) -> None:
    stranger = make_signer(tmp_path / "other.pem")
    life = timedelta(minutes=5)
    theirs = stranger.sign(uuid4(), {"*": AGENT}, life)
    stranger.kid = world.signer.kid  # says it is our key
    forged = stranger.sign(uuid4(), {"*": AGENT}, life)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(uuid4()), "iat": 0, "exp": 2**40}
    unsigned = jwt.encode(claims, "", "none", {"kid": world.signer.kid})
    good = world.agent()["Authorization"].removeprefix("Bearer ")
    expired = world.token({COTONOU: AGENT}, life=-1)["Authorization"].removeprefix("Bearer ")
    tries = {
        None: "Sign in first",
        f"Bearer {expired}": "expired",
        f"Bearer {theirs}": "unknown key",
        f"Bearer {forged}": "not valid",
        f"Bearer {unsigned}": "not valid",
        f"Bearer {good[:-4]}AAAA": "not valid",
        "Bearer x.y.z": "not valid",
        f"Basic {good}": "bearer",
    }
    draft = world.draft(campaign)
    with world.nothing_stored():
        for header, said in tries.items():
            headers = {"Authorization": header} if header else {}
            for path, body in (("proposals", draft), ("campaigns", GOOD)):
                answer = world.client.post(f"/api/v1/{path}", json=body, headers=headers)
                found = problem(answer)
                assert (found["status"], found["code"]) == (401, "unauthenticated"), header
                assert said in found["detail"], header
                assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["once", "", "0" * 300])
def test_an_idempotency_key_is_a_uuid(world: World, campaign: dict[str, Any], key: str) -> None:
    headers = {**world.token(), "Idempotency-Key": key}
    with world.nothing_stored():
        answer = world.client.post("/api/v1/proposals", json=world.draft(campaign), headers=headers)
    assert problem(answer)["errors"][0]["pointer"] == "/headers/Idempotency-Key"


def test_a_refused_write_does_not_use_its_key_up(world: World, campaign: dict[str, Any]) -> None:
    headers = {**world.token(), "Idempotency-Key": str(uuid4())}
    dear = world.draft(campaign, estimated_cost=10**9)
    with world.nothing_stored():
        assert world.client.post("/api/v1/proposals", json=dear, headers=headers).status_code == 422
    again = world.client.post("/api/v1/proposals", json=world.draft(campaign), headers=headers)
    assert again.status_code == 201


NOBODY = UUID(int=7)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"campaigns/{NOBODY}", "campaign_not_found"),
        (f"proposals/{NOBODY}", "proposal_not_found"),
        ("proposals/P-222222", "proposal_not_found"),
        ("proposals/%00", "proposal_not_found"),
        ("proposals/' OR 1=1 --", "proposal_not_found"),
    ],
)
def test_unknown_things(world: World, path: str, code: str) -> None:
    found = problem(world.client.get(f"/api/v1/{path}"))
    assert (found["status"], found["code"]) == (404, code)


@pytest.mark.parametrize("action", ["endorsements", "review"])
def test_acting_on_an_unknown_proposal(world: World, action: str) -> None:
    body = {"outcome": "feasible", "reason": "Vu.", "cost": 1}
    with world.nothing_stored():
        answer = world.client.post(
            f"/api/v1/proposals/{uuid4()}/{action}", json=body, headers=world.agent()
        )
    assert problem(answer)["code"] == "proposal_not_found"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("proposals?cursor=xyz", "/cursor"),
        ("proposals?cursor=%00", "/cursor"),
        ("proposals?cursor=é", "/cursor"),
        ("proposals?limit=201", "/limit"),
        ("proposals?limit=0", "/limit"),
        ("proposals?status=lost", "/status"),
        ("proposals?status=%00", "/status"),
        ("proposals?commune=%00", "/commune"),
        ("proposals?campaign=1", "/campaign"),
        ("campaigns?phase=party", "/phase"),
        ("campaigns?commune=0801x", "/commune"),
        ("campaigns?cursor=AAAA", "/cursor"),
    ],
)
def test_bad_queries(world: World, query: str, pointer: str) -> None:
    found = problem(world.client.get(f"/api/v1/{query}"))
    assert (found["status"], found["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("missing", ["outcome", "reason", "cost"])
def test_a_review_needs_all_its_parts(world: World, campaign: dict[str, Any], missing: str) -> None:
    made = world.propose(campaign)
    body = {"outcome": "feasible", "reason": "Vu.", "cost": 1}
    del body[missing]
    url = f"/api/v1/proposals/{made['id']}/review"
    with world.nothing_stored():
        without = world.client.post(url, json=body, headers=world.agent())
        blank = world.client.post(
            url, json={"outcome": "feasible", "reason": " ", "cost": 1}, headers=world.agent()
        )
        dear = world.client.post(
            url,
            json={"outcome": "feasible", "reason": "Vu.", "cost": 10_000_001},
            headers=world.agent(),
        )
    assert problem(without)["errors"][0]["pointer"] == f"/{missing}"
    assert problem(blank)["errors"][0]["pointer"] == "/reason"
    assert (problem(dear)["code"], dear.status_code) == ("over_budget", 422)
