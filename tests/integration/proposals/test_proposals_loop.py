"""From the announcement to the funded works, over HTTP and events."""

from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.common.db import make_engine, make_sessions
from services.common.events import outbox
from services.common.events.embedded import EmbeddedSubscription
from services.common.events.envelope import Event, new_traceparent
from services.common.events.inbox import delivery_of, handle
from services.proposals.consumers import CONSUMER
from tests.integration.proposals.world import COTONOU, World, plan
from tests.servers import Database

pytestmark = pytest.mark.integration

RESULTS = "bj.palabre.election.results_published.v1"


def results(campaign: str, winners: list[str]) -> Event:
    """The event as voting publishes it."""
    return Event(
        id=uuid4(),
        source="voting",
        type=RESULTS,
        time=datetime.now(UTC),
        subject=str(uuid4()),
        key=COTONOU,
        sequence=3,
        traceparent=new_traceparent(),
        data={
            "id": str(uuid4()),
            "campaign": campaign,
            "commune": COTONOU,
            "rule": "greedy",
            "winners": winners,
            "projects": [],
        },
    )


def deliver(world: World, *events: Event) -> None:
    with world.sessions.begin() as session:
        handle(session, CONSUMER, 1, [delivery_of(event, n) for n, event in enumerate(events)])


def dead_letters(world: World) -> list[dict[str, Any]]:
    return world.rows("SELECT reason, error FROM dead_letters ORDER BY id")


def frozen(world: World) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a campaign whose vote is open, and its three proposals, the last not feasible."""
    campaign = world.campaign()
    proposals = [world.propose(campaign, title=f"Projet {n}") for n in (1, 2, 3)]
    world.review(proposals[0]["id"])
    world.review(proposals[1]["id"], "feasible_with_changes", 6_000_000)
    world.review(proposals[2]["id"], "not_feasible", 99_000_000)
    return world.enter(campaign["id"], "vote", world.agent()), proposals


def test_the_whole_loop(world: World) -> None:
    campaign, (first, second, third) = frozen(world)
    assert campaign["phase"] == "vote"
    assert campaign["counts"] == {
        "submitted": 0,
        "shortlisted": 2,
        "not_feasible": 1,
        "funded": 0,
        "not_funded": 0,
    }
    assert campaign["allowed"] == []

    counted = results(campaign["id"], [second["id"]])
    deliver(world, counted)
    deliver(world, counted)  # the same delivery again, as a transport may

    after = world.client.get(f"/api/v1/campaigns/{campaign['id']}", headers=world.agent()).json()
    assert (after["phase"], after["allowed"]) == ("results", ["works"])
    assert after["counts"]["funded"] == after["counts"]["not_funded"] == 1
    statuses = [
        world.client.get(f"/api/v1/proposals/{p['ref']}").json()["status"]
        for p in (first, second, third)
    ]
    assert statuses == ["not_funded", "funded", "not_feasible"]

    said = world.events(campaign["id"], first["id"], second["id"], third["id"])
    assert [(e["type"].removeprefix("bj.palabre."), e["subject"], e["sequence"]) for e in said] == [
        ("campaign.published.v1", campaign["id"], 1),
        ("campaign.phase_changed.v1", campaign["id"], 2),
        ("proposal.submitted.v1", first["id"], 1),
        ("proposal.submitted.v1", second["id"], 1),
        ("proposal.submitted.v1", third["id"], 1),
        ("proposal.reviewed.v1", first["id"], 2),
        ("proposal.reviewed.v1", second["id"], 2),
        ("proposal.reviewed.v1", third["id"], 2),
        ("campaign.ballot_frozen.v1", campaign["id"], 3),
        ("campaign.phase_changed.v1", campaign["id"], 4),
        ("proposal.not_funded.v1", first["id"], 3),
        ("proposal.funded.v1", second["id"], 3),
        ("campaign.phase_changed.v1", campaign["id"], 5),
    ]
    assert {e["key"] for e in said} == {COTONOU}
    assert {e["traceparent"] for e in said[-3:]} == {counted.traceparent}
    assert said[-2]["payload"]["cost"] == 6_000_000


def test_the_history_says_why_a_vote_was_shortened(world: World) -> None:
    campaign, (first, _, _) = frozen(world)
    counted = results(campaign["id"], [first["id"]])
    counted.data["reason"] = "La crue arrive."
    deliver(world, counted)
    lines = world.client.get(f"/api/v1/campaigns/{campaign['id']}/history").json()["items"]
    assert (lines[-1]["by"], lines[-1]["reason"]) == ("count", "La crue arrive.")
    assert lines[-1]["detail"] == {"previous": "vote", "phase": "results", "early": True}


def test_the_ballot_carries_numbers_costs_and_places(world: World) -> None:
    campaign, (first, second, _) = frozen(world)
    ballot = world.events(campaign["id"])[-2]["payload"]
    lon, lat = world.point()
    assert [(p["id"], p["number"], p["cost"]) for p in ballot["projects"]] == [
        (first["id"], 1, 4_800_000),
        (second["id"], 2, 6_000_000),
    ]
    assert ballot["projects"][0]["lon"] == pytest.approx(lon)
    assert ballot["projects"][0]["lat"] == pytest.approx(lat)
    assert ballot["projects"][0]["arrondissement"].startswith(f"{COTONOU}-")
    assert (ballot["ballot_type"], ballot["rule"]) == ("approval", "greedy")
    listed = world.client.get(f"/api/v1/proposals?campaign={campaign['id']}&status=shortlisted")
    assert [f["properties"]["number"] for f in listed.json()["features"]] == [2, 1]


def test_the_vote_opens_now_and_ends_as_planned(world: World) -> None:
    campaign, _ = frozen(world)
    ballot = world.events(campaign["id"])[-2]["payload"]
    opens = datetime.fromisoformat(ballot["opens_at"])
    assert abs(opens - datetime.now(UTC)) < timedelta(minutes=1)
    vote = next(p for p in campaign["phases"] if p["phase"] == "vote")
    assert (vote["opens_at"], vote["closes_at"]) == (ballot["opens_at"], ballot["closes_at"])
    assert datetime.fromisoformat(ballot["closes_at"]) - opens > timedelta(days=89)


@pytest.mark.parametrize(
    "phases",
    [plan("ideas"), plan("ideas", "vote", start=datetime(2026, 1, 1, tzinfo=UTC))],
    ids=["not planned", "planned to be over"],
)
def test_a_vote_without_a_future_end_lasts_two_weeks(
    world: World, phases: list[dict[str, str]]
) -> None:
    campaign = world.campaign(phases=phases)
    world.review(world.propose(campaign)["id"])
    world.enter(campaign["id"], "vote", world.agent())
    ballot = world.events(campaign["id"])[-2]["payload"]
    opens, closes = (datetime.fromisoformat(ballot[k]) for k in ("opens_at", "closes_at"))
    assert closes - opens == timedelta(days=14)


def test_results_out_of_votings_own_log_move_the_campaign_once(
    world: World, fresh_database: Database
) -> None:
    campaign, (first, *_) = frozen(world)
    voting = make_engine(fresh_database.url("voting"), threads=1)
    with make_sessions(voting).begin() as session:
        outbox.append(session, [results(campaign["id"], [first["id"]])])
    voting.dispose()
    for _ in range(2):  # a second process of the group finds nothing left to do
        subscription = EmbeddedSubscription(world.engine, CONSUMER)
        while subscription.drain(Flag()):
            pass
    assert world.client.get(f"/api/v1/proposals/{first['id']}").json()["status"] == "funded"
    assert [e["payload"]["phase"] for e in world.events(campaign["id"])[3:]] == ["vote", "results"]


def test_results_nobody_can_apply_are_dead_letters_and_change_nothing(world: World) -> None:
    campaign, (first, second, third) = frozen(world)
    before = len(dead_letters(world))
    with world.nothing_stored():
        deliver(
            world,
            results(str(uuid4()), []),
            results(campaign["id"], [third["id"]]),
            results(campaign["id"], [first["id"], str(uuid4())]),
            results("not a campaign", []),
        )
    letters = dead_letters(world)[before:]
    assert [letter["reason"] for letter in letters] == ["undecodable"] * 4
    assert "no vote under way" in letters[0]["error"]
    assert "1 winners were not on the ballot" in letters[1]["error"]
    assert world.rows("SELECT 1 FROM parked_keys") == []
    # the honest result still comes through
    deliver(world, results(campaign["id"], [first["id"], second["id"]]))
    counts = world.client.get(f"/api/v1/campaigns/{campaign['id']}").json()["counts"]
    assert counts["funded"] == 2


def test_nobody_won_is_a_result_too(world: World) -> None:
    campaign, _ = frozen(world)
    deliver(world, results(campaign["id"], []))
    counts = world.client.get(f"/api/v1/campaigns/{campaign['id']}").json()["counts"]
    assert (counts["funded"], counts["not_funded"]) == (0, 2)


def act(
    world: World, proposal: str, what: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    """Write to the work of a proposal."""
    ref = world.client.get(f"/api/v1/proposals/{proposal}").json()["work"]
    answer = world.client.post(f"/api/v1/works/{ref}/{what}", json=body, headers=headers)
    assert answer.status_code in (200, 201), answer.text


def test_works_end_the_campaign(world: World) -> None:
    campaign, (first, *_) = frozen(world)
    deliver(world, results(campaign["id"], [first["id"]]))
    world.enter(campaign["id"], "works", world.agent())
    agent = world.agent()
    for status in ("tendering", "under_way"):
        act(world, first["id"], "status", {"status": status, "note": "Suite."}, agent)
    act(world, first["id"], "completion", {"note": "Livré."}, agent)
    closed = world.enter(campaign["id"], "closed", agent)
    assert closed["allowed"] == []
    assert UUID(closed["id"])
