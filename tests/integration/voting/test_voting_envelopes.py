"""Elections on a budget in parts, and votes that are prolonged."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from services.common.events.envelope import Event, new_traceparent
from services.common.ids import new_id
from services.voting import service
from tests.apps import Tokens, count
from tests.integration.voting.conftest import EARLY, HOUR, OpenPoll, Poll, deliver, frozen
from tests.servers import Database

pytestmark = pytest.mark.integration
Send = Callable[..., Any]


def parted(costs: list[tuple[int, int]], amounts: list[int]) -> tuple[Event, list[str]]:
    """Return a frozen ballot of (cost, envelope's place) and the envelopes' ids."""
    ids = [str(uuid4()) for _ in amounts]
    event = frozen(
        [cost for cost, _ in costs],
        sum(amounts),
        envelopes=[
            {"id": one, "name": f"Enveloppe {n}", "amount": amount, "kind": "commune"}
            for n, (one, amount) in enumerate(zip(ids, amounts, strict=True))
        ],
    )
    for project, (_, place) in zip(event.data["projects"], costs, strict=True):
        project["envelope"] = ids[place]
    return event, ids


def poll_of(event: Event) -> Poll:
    campaign = UUID(str(event.data["campaign"]))
    projects = [p["id"] for p in event.data["projects"]]
    return Poll(service.election_id(campaign), campaign, projects, event.data["commune"])


def test_an_election_by_envelope(
    client: TestClient, tokens: Tokens, sessions: sessionmaker[Session], send: Send
) -> None:
    event, ids = parted([(6, 0), (5, 0), (4, 1), (3, 1)], [10, 4])
    deliver(sessions, event)
    poll = poll_of(event)
    shown = client.get(poll.path).json()
    assert shown["envelopes"] == [
        {"id": ids[0], "name": "Enveloppe 0", "amount": 10},
        {"id": ids[1], "name": "Enveloppe 1", "amount": 4},
    ]
    assert [p["envelope"] for p in shown["projects"]] == [ids[0], ids[0], ids[1], ids[1]]
    assert ids[1] in shown["rule_definition"]

    over = send(poll, [1, 2])
    assert (over.status_code, over.json()["code"]) == (422, "over_budget")
    assert over.json()["envelope"] == {"id": ids[0], "name": "Enveloppe 0"}
    assert (over.json()["total"], over.json()["budget"]) == (11, 10)
    for numbers in ([1, 3], [1, 4], [2, 4], [1]):
        assert send(poll, numbers).status_code == 201

    found = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801")).json()
    order = [(p["number"], p["votes"], p["rank"], p["remaining"], p["funded"])
             for p in found["projects"]]  # fmt: skip
    # Project 2 fits in what the other envelope holds, but not in its own.
    assert order == [(1, 3, 1, 10, True), (2, 1, 2, 4, False), (4, 2, 1, 4, True),
                     (3, 1, 2, 1, False)]  # fmt: skip
    assert [p["envelope"] for p in found["projects"]] == [ids[0], ids[0], ids[1], ids[1]]
    assert (found["total_cost"], found["budget"], found["turnout"]) == (9, 14, 4)
    assert found["winners"] == [poll.projects[0], poll.projects[3]]
    assert "« Enveloppe 1 »" in found["projects"][2]["sentence"]
    assert client.get(f"{poll.path}/results").json() == found


def test_a_project_moved_to_another_envelope_is_found_out(
    client: TestClient, tokens: Tokens, sessions: sessionmaker[Session]
) -> None:
    event, ids = parted([(6, 0), (4, 1)], [10, 4])
    deliver(sessions, event)
    poll = poll_of(event)
    with sessions.begin() as session:
        session.execute(
            text("UPDATE projects SET envelope = :to WHERE election_id = :e AND number = 1"),
            {"to": ids[1], "e": poll.id},
        )
    careful = TestClient(client.app, raise_server_exceptions=False)
    answer = careful.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    assert answer.status_code == 500
    assert client.get(poll.path).json()["state"] == "open"


def test_envelopes_that_cannot_be_counted_are_dead_letters(
    fresh_database: Database, sessions: sessionmaker[Session]
) -> None:
    too_much, _ = parted([(1, 0), (1, 1)], [10, 4])
    too_much.data["budget"] = 13  # type: ignore[index]
    nowhere, _ = parted([(1, 0), (1, 1)], [10, 4])
    nowhere.data["projects"][0]["envelope"] = None
    twice, ids = parted([(1, 0), (1, 1)], [10, 4])
    twice.data["envelopes"][1]["id"] = ids[0]
    before = count(fresh_database, "voting", "dead_letters")
    for event in (too_much, nowhere, twice):
        deliver(sessions, event)
    assert count(fresh_database, "voting", "dead_letters") == before + 3


def calendar(poll: Poll, closes_at: datetime, phase: str = "vote", planned: str = "vote") -> Event:
    """Return the event that proposals publishes when a phase is prolonged."""
    now = datetime.now(UTC)
    dates = {"phase": planned, "opens_at": now.isoformat(), "closes_at": closes_at.isoformat()}
    data = {
        "id": str(poll.campaign), "commune": poll.commune, "phase": phase, "phases": [dates],
        "changed_at": now.isoformat(), "by": "agent",
    }  # fmt: skip
    kind = "bj.palabre.campaign.calendar_changed.v1"
    return Event(
        new_id(), "proposals", kind, now, str(poll.campaign), poll.commune, 7, new_traceparent(),
        data,
    )  # fmt: skip


def test_a_prolonged_vote_ends_later_never_earlier(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, sessions: sessionmaker[Session]
) -> None:
    poll, other = open_poll(), open_poll()

    def end(of: Poll = poll) -> datetime:
        return datetime.fromisoformat(client.get(of.path).json()["closes_at"])

    first, untouched = end(), end(other)
    later = first + 24 * HOUR
    for event in (
        calendar(poll, first - HOUR / 2),
        calendar(poll, later, phase="results"),
        calendar(poll, later, planned="results"),
    ):
        deliver(sessions, event)
        assert end() == first
    prolonged = calendar(poll, later)
    for _ in range(2):
        deliver(sessions, prolonged)
        assert end() == later
    assert end(other) == untouched

    client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    deliver(sessions, calendar(poll, later + HOUR))
    assert end() == later


def test_a_vote_that_was_prolonged_takes_ballots(
    client: TestClient, open_poll: OpenPoll, send: Send, sessions: sessionmaker[Session]
) -> None:
    now = datetime.now(UTC)
    past = {"opens_at": (now - 2 * HOUR).isoformat(), "closes_at": (now - HOUR).isoformat()}
    poll = open_poll(**past)
    assert send(poll, [1]).json()["code"] == "vote_over"
    deliver(sessions, calendar(poll, now + HOUR))
    assert client.get(poll.path).json()["voting"] == "open"
    assert send(poll, [1]).status_code == 201
