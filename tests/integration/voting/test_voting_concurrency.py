"""One person one ballot, and a close among voters: whatever the threads do."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from services.voting import service
from tests.apps import Tokens, rows
from tests.integration.voting.conftest import EARLY, SECRET, OpenPoll
from tests.servers import Database

pytestmark = pytest.mark.integration
Send = Callable[..., Any]
THREADS = 8


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all calls together and return their answers in order."""
    gate = threading.Barrier(len(calls))

    def go(call: Callable[[], Any]) -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(go, calls))


def votes_of(database: Database, election: object) -> list[list[int]]:
    query = f"SELECT choices FROM ballots WHERE election_id = '{election}'"
    return [row["choices"] for row in rows(database, "voting", query)]


@pytest.mark.parametrize("attempt", range(3))
def test_one_person_in_many_threads_has_one_ballot(
    open_poll: OpenPoll, send: Send, fresh_database: Database, attempt: int
) -> None:
    poll, user = open_poll(), uuid4()
    calls = [
        partial(send, poll, [n % 3 + 1], user=user, key=uuid4()) for n in range(THREADS)
    ]  # fmt: skip
    answers = at_once(calls)
    assert sorted(a.status_code for a in answers) == [201] + [409] * (THREADS - 1)
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"already_voted"}
    won = next(n for n, a in enumerate(answers) if a.status_code == 201)
    assert votes_of(fresh_database, poll.id) == [[won % 3 + 1]]


def test_one_request_in_many_threads_is_answered_alike(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user, key = open_poll(), uuid4(), uuid4()
    answers = at_once([lambda: send(poll, [1], user=user, key=key)] * THREADS)
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    assert votes_of(fresh_database, poll.id) == [[1]]


def test_replacements_in_many_threads_leave_one_of_them(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user = open_poll(), uuid4()
    token = send(poll, [1], user=user).json()["replace_token"]
    calls = [
        partial(send, poll, [n % 3 + 1], user=user, key=uuid4(), replace_token=token)
        for n in range(THREADS)
    ]
    assert {a.status_code for a in at_once(calls)} == {201}
    assert len(votes_of(fresh_database, poll.id)) == 1


@pytest.mark.parametrize("attempt", range(3))
def test_a_close_among_voters_counts_every_ballot_it_accepted(
    client: TestClient,
    tokens: Tokens,
    open_poll: OpenPoll,
    send: Send,
    fresh_database: Database,
    attempt: int,
) -> None:
    poll = open_poll([4, 4, 4], 4)
    elsewhere = open_poll([1], 1)
    answers: list[Any] = []
    closed = threading.Event()

    def voter(n: int) -> None:
        for i in range(400):
            answers.append(send(poll, [(n + i) % 3 + 1]))
            if closed.is_set() and answers[-1].status_code == 409:
                return

    def closer() -> Any:
        while len(answers) < 20 * (attempt + 1):
            closed.wait(0.005)
        answer = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
        closed.set()
        return answer

    done = at_once([partial(voter, n) for n in range(5)] + [closer, closer])
    assert sorted(a.status_code for a in done[-2:]) == [200, 409]
    assert {a.status_code for a in answers} == {201, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"election_closed"}
    accepted = [a for a in answers if a.status_code == 201]
    found = client.get(f"{poll.path}/results").json()
    assert found["turnout"] == len(accepted) == len(votes_of(fresh_database, poll.id))
    assert sum(p["votes"] for p in found["projects"]) == len(accepted)
    query = f"SELECT receipt FROM receipts WHERE election_id = '{poll.id}'"
    kept = {row["receipt"] for row in rows(fresh_database, "voting", query)}
    assert kept == {a.json()["receipt"] for a in accepted}
    assert send(elsewhere, [1]).status_code == 201


def test_the_close_waits_for_a_vote_under_way(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, send: Send
) -> None:
    """A ballot that is in, but not committed, when the agent closes: it is counted."""
    poll = open_poll()
    sessions = client.app.state.sessions  # type: ignore[attr-defined]
    with sessions() as session:
        accepted = service.vote(session, SECRET, uuid4(), poll.id, [UUID(poll.projects[0])])
        with ThreadPoolExecutor(2) as pool:
            ending = pool.submit(
                client.post, f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801")
            )  # fmt: skip
            with pytest.raises(TimeoutError):
                ending.result(timeout=0.3)
            behind = pool.submit(send, poll, [2])
            with pytest.raises(TimeoutError):
                behind.result(timeout=0.3)
            session.commit()
            assert ending.result(timeout=10).json()["turnout"] == 1
            late = behind.result(timeout=10)
    assert (late.status_code, late.json()["code"]) == (409, "election_closed")
    assert accepted.receipt
