"""An election from its frozen ballot to its published results."""

import json
from collections.abc import Callable
from hashlib import sha256
from threading import Event
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.events import outbox
from services.common.events.embedded import EmbeddedSubscription
from services.voting.consumers import CONSUMER
from services.voting.events import ElectionClosed, ElectionOpened, ResultsPublished
from tests.apps import Tokens, count, rows
from tests.integration.voting.conftest import EARLY, HOUR, OpenPoll, deliver, frozen
from tests.servers import Database

pytestmark = pytest.mark.integration
Send = Callable[..., Any]


def said(database: Database, election: UUID) -> list[dict[str, Any]]:
    query = f"SELECT * FROM outbox WHERE subject = '{election}' ORDER BY position"
    return rows(database, "voting", query)


def test_a_frozen_ballot_opens_an_election_once(
    client: TestClient,
    open_poll: OpenPoll,
    fresh_database: Database,
    sessions: sessionmaker[Session],
) -> None:
    poll = open_poll([6, 5, 4], 10)
    assert poll.id == uuid5(NAMESPACE_URL, f"palabre:election:{poll.campaign}")
    found = client.get(poll.path).json()
    assert (found["state"], found["voting"]) == ("open", "open")
    assert found["limits"] == {"minimum_choices": 1, "maximum_cost": 10}
    assert [(p["id"], p["number"], p["cost"]) for p in found["projects"]] == [
        (poll.projects[0], 1, 6), (poll.projects[1], 2, 5), (poll.projects[2], 3, 4),
    ]  # fmt: skip
    assert found["rule_hash"] == sha256(found["rule_definition"].encode()).hexdigest()
    assert json.loads(found["rule_definition"])["order"][1] == ["cost", "ascending"]
    assert set(found["rule_text"]) == {"fr", "en"}
    [opened] = said(fresh_database, poll.id)
    assert (opened["key"], opened["sequence"]) == ("0801", 1)
    assert opened["type"] == ElectionOpened.event_type
    assert opened["payload"]["rule_hash"] == found["rule_hash"]
    # The campaign frozen again, by another event with another budget: nothing moves.
    deliver(sessions, frozen([1], 99, campaign=str(poll.campaign)))
    assert client.get(poll.path).json() == found
    assert len(said(fresh_database, poll.id)) == 1


def test_an_election_opens_from_the_outbox_of_proposals(
    client: TestClient, fresh_database: Database, sessions: sessionmaker[Session]
) -> None:
    event = frozen([5], 10)
    engine = create_engine(fresh_database.url("proposals"))
    with Session(engine) as session, session.begin():
        outbox.append(session, [event])
    engine.dispose()
    EmbeddedSubscription(sessions.kw["bind"], CONSUMER).drain(Event())
    listed = client.get("/api/v1/elections", params={"campaign": event.data["campaign"]}).json()
    assert [item["state"] for item in listed["items"]] == ["open"]
    [opened] = said(fresh_database, UUID(listed["items"][0]["id"]))
    assert opened["traceparent"] == event.traceparent


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "phragmen"},
        {"ballot_type": "cumulative"},
        {"budget": 0},
        {"projects": []},
        {"closes_at": "2020-01-01T00:00:00Z"},
        {"opens_at": "2020-01-01T00:00:00"},
    ],
)
def test_what_cannot_be_voted_on_is_a_dead_letter(
    client: TestClient,
    fresh_database: Database,
    sessions: sessionmaker[Session],
    changes: dict[str, Any],
) -> None:
    before = count(fresh_database, "voting", "dead_letters")
    event = frozen([5], **{"budget": 10, **changes})
    deliver(sessions, event)
    assert count(fresh_database, "voting", "dead_letters") == before + 1
    listed = client.get("/api/v1/elections", params={"campaign": event.data["campaign"]}).json()
    assert listed == {"items": [], "next": None}


def test_two_projects_of_one_number_are_a_dead_letter(
    fresh_database: Database, sessions: sessionmaker[Session]
) -> None:
    before = count(fresh_database, "voting", "dead_letters")
    event = frozen([5, 5], 10)
    event.data["projects"][1]["number"] = 1
    deliver(sessions, event)
    assert count(fresh_database, "voting", "dead_letters") == before + 1


def test_lists_page_by_cursor(client: TestClient, open_poll: OpenPoll) -> None:
    polls = {str(open_poll(commune="0303").id) for _ in range(5)}
    seen: list[str] = []
    url = "/api/v1/elections?commune=0303&limit=2"
    while url:
        page = client.get(url).json()
        seen += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= 2
        url = page["next"]
    assert len(seen) == 5
    assert set(seen) == polls
    for cursor in ("x", "é", "MjAyMCB4"):
        answer = client.get("/api/v1/elections", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert client.get("/api/v1/elections", params={"commune": "801"}).status_code == 422


def test_the_close_counts_and_publishes(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll = open_poll([6, 5, 4, 3, 4], 10)
    for numbers in ([1], [1, 3], [3, 1], [2], [2, 4], [3]):
        assert send(poll, numbers).status_code == 201
    before = client.get(f"{poll.path}/results")
    assert (before.status_code, before.json()["code"]) == (409, "results_not_published")

    agent = {**tokens.agent("0801"), "Idempotency-Key": str(uuid4())}
    closed = client.post(f"{poll.path}/close", json=EARLY, headers=agent)
    assert closed.status_code == 200, closed.text
    found = client.get(f"{poll.path}/results").json()
    assert closed.json() == found
    # Votes: 1 and 3 have three each and 3 is cheaper; 2 has two; 4 one; 5 none.
    order = [(p["number"], p["votes"], p["funded"], p["outcome"]) for p in found["projects"]]
    assert order == [
        (3, 3, True, "funded"),
        (1, 3, True, "funded"),
        (2, 2, False, "does_not_fit"),
        (4, 1, False, "does_not_fit"),
        (5, 0, False, "too_few_votes"),
    ]
    assert found["winners"] == [poll.projects[2], poll.projects[0]]
    assert (found["turnout"], found["total_cost"], found["budget"]) == (6, 10, 10)
    assert all(p["sentence"].endswith(".") and p["sentence_en"] for p in found["projects"])

    opened, ended, published = said(fresh_database, poll.id)
    assert [e["sequence"] for e in (opened, ended, published)] == [1, 2, 3]
    assert ended["type"] == ElectionClosed.event_type
    results = ResultsPublished.model_validate(published["payload"])
    assert [str(w) for w in results.winners] == found["winners"]
    assert [p.votes for p in results.projects] == [3, 3, 2, 1, 0]

    again = client.post(f"{poll.path}/close", json=EARLY, headers=agent)
    assert (again.status_code, again.json()) == (200, found)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    assert (other.status_code, other.json()["code"]) == (409, "election_closed")
    assert len(said(fresh_database, poll.id)) == 3
    state = client.get(poll.path).json()
    assert (state["state"], state["voting"]) == ("closed", "closed")
    assert state["closed_at"] == found["closed_at"]


def test_who_shortens_a_vote_tells_everybody_why(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, fresh_database: Database
) -> None:
    poll = open_poll()
    path, agent = f"{poll.path}/close", tokens.agent("0801")
    for body in (None, {}, {"reason": "  "}):
        refused = client.post(path, json=body, headers=agent)
        assert (refused.status_code, refused.json()["code"]) == (422, "reason_needed")
        assert refused.json()["errors"][0]["pointer"] == "/reason"
    for reason in ("x" * 1001, "\x00", "\u200b", 5):
        assert client.post(path, json={"reason": reason}, headers=agent).status_code == 422
    assert client.get(poll.path).json()["state"] == "open"
    assert len(said(fresh_database, poll.id)) == 1
    closed = client.post(path, json={"reason": " La crue arrive. "}, headers=agent)
    assert closed.json()["reason"] == "La crue arrive."
    assert client.get(f"{poll.path}/results").json() == closed.json()
    *_, published = said(fresh_database, poll.id)
    assert published["payload"]["reason"] == "La crue arrive."


@pytest.mark.parametrize("body", [None, {}, {"reason": "Personne ne la lira."}])
def test_a_vote_whose_time_is_over_needs_no_reason(
    client: TestClient,
    tokens: Tokens,
    open_poll: OpenPoll,
    fresh_database: Database,
    body: dict[str, str] | None,
) -> None:
    now = frozen([1], 1).time
    poll = open_poll(
        opens_at=(now - 2 * HOUR).isoformat(), closes_at=(now - HOUR).isoformat()
    )  # fmt: skip
    closed = client.post(f"{poll.path}/close", json=body, headers=tokens.agent("0801"))
    assert (closed.status_code, closed.json()["reason"]) == (200, "")
    assert said(fresh_database, poll.id)[-1]["payload"]["reason"] == ""


def test_an_election_without_ballots_funds_nothing(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll
) -> None:
    poll = open_poll()
    found = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801")).json()
    assert (found["winners"], found["turnout"], found["total_cost"]) == ([], 0, 0)


def test_only_the_communes_agents_close(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, fresh_database: Database
) -> None:
    poll = open_poll()
    path = f"{poll.path}/close"
    for headers, status, code in [
        ({}, 401, "unauthenticated"),
        (tokens.bearer(), 403, "forbidden"),
        (tokens.agent("0802"), 403, "forbidden"),
        (tokens.bearer({"0801": ["reports.manage"]}), 403, "forbidden"),
    ]:
        answer = client.post(path, json=EARLY, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
    unknown = client.post(
        f"/api/v1/elections/{uuid4()}/close", json=EARLY, headers=tokens.agent("0801")
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "election_not_found")
    assert len(said(fresh_database, poll.id)) == 1


def test_a_vote_that_has_not_begun_is_not_closed(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll
) -> None:
    begins = frozen([1], 1).time + HOUR
    poll = open_poll(opens_at=begins.isoformat(), closes_at=(begins + HOUR).isoformat())
    answer = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    assert (answer.status_code, answer.json()["code"]) == (409, "vote_not_open")


def test_what_was_pinned_is_what_is_counted(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, sessions: sessionmaker[Session]
) -> None:
    """A cost changed behind the service's back is found out, and nothing is published."""
    poll = open_poll()
    with sessions.begin() as session:
        session.execute(
            text("UPDATE projects SET cost = 1 WHERE election_id = :e AND number = 1"),
            {"e": poll.id},
        )
    careful = TestClient(client.app, raise_server_exceptions=False)
    answer = careful.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert client.get(poll.path).json()["state"] == "open"


def test_unknown_elections(client: TestClient) -> None:
    for path in ("", "/results"):
        answer = client.get(f"/api/v1/elections/{uuid4()}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "election_not_found")
    assert client.get("/api/v1/elections/none").status_code == 422
