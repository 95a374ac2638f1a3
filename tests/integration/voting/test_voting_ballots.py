"""Casting, retrying and replacing a ballot; everything that is refused stores nothing."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from services.accounts.tokens import Signer
from tests.apps import Tokens, make_key, rows
from tests.integration.voting.conftest import EARLY, HOUR, OpenPoll, Poll, frozen
from tests.servers import Database

pytestmark = pytest.mark.integration
Send = Callable[..., Any]


def stored(database: Database, poll: Poll) -> dict[str, Any]:
    """Return what the database holds of a poll: counts, and the choices in order."""
    where = f"WHERE election_id = '{poll.id}'"
    ballots = rows(database, "voting", f"SELECT choices FROM ballots {where}")
    return {
        "roll": len(rows(database, "voting", f"SELECT 1 AS x FROM roll {where}")),
        "receipts": len(rows(database, "voting", f"SELECT 1 AS x FROM receipts {where}")),
        "ballots": sorted(b["choices"] for b in ballots),
        "answers": len(rows(database, "voting", "SELECT 1 AS x FROM idempotency_keys")),
    }


def holds(database: Database, poll: Poll, *ballots: list[int]) -> bool:
    found = stored(database, poll)
    found.pop("answers")
    n = len(ballots)
    return found == {"roll": n, "receipts": n, "ballots": sorted(ballots)}


def test_a_ballot_is_answered_with_a_receipt_a_token_and_an_hour(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll = open_poll()
    before = stored(fresh_database, poll)["answers"]
    answer = send(poll, [3, 1], key=uuid4())
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert set(found) == {"receipt", "replace_token", "accepted_at"}
    assert re.fullmatch(r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{2}", found["receipt"])
    at = datetime.fromisoformat(found["accepted_at"])
    assert (at.minute, at.second, at.microsecond) == (0, 0, 0)
    assert holds(fresh_database, poll, [1, 3])
    assert stored(fresh_database, poll)["answers"] == before  # no stored answer joins them


def test_a_retry_gets_the_same_answer_and_stores_nothing(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user, key = open_poll(), uuid4(), uuid4()
    first = send(poll, [1, 3], user=user, key=key)
    again = send(poll, [3, 1], user=user, key=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = send(poll, [1], user=user, key=key)
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    for key_ in (uuid4(), None):
        twice = send(poll, [1, 3], user=user, key=key_)
        assert (twice.status_code, twice.json()["code"]) == (409, "already_voted")
    assert holds(fresh_database, poll, [1, 3])


def test_one_key_of_two_persons_is_two_ballots(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, key = open_poll(), uuid4()
    one, other = (send(poll, [1], user=uuid4(), key=key) for _ in range(2))
    assert (one.status_code, other.status_code) == (201, 201)
    assert one.json()["receipt"] != other.json()["receipt"]
    assert holds(fresh_database, poll, [1], [1])


def test_a_ballot_is_replaced_by_its_token_in_place(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user, key, second, third = open_poll(), uuid4(), uuid4(), uuid4(), uuid4()
    first = send(poll, [1], user=user, key=key).json()
    token = {"replace_token": first["replace_token"]}
    assert send(poll, [2, 3], user=user, key=second, **token).json() == first
    assert holds(fresh_database, poll, [2, 3])
    assert send(poll, [3], user=user, key=third, **token).json() == first
    # Late retries of the earlier requests are answered, and change nothing.
    assert send(poll, [2, 3], user=user, key=second, **token).json() == first
    assert send(poll, [1], user=user, key=key).json() == first
    assert holds(fresh_database, poll, [3])
    reused = send(poll, [1], user=user, key=second, **token)
    assert (reused.status_code, reused.json()["code"]) == (409, "key_reused")
    # Pasted from a receipt, with the blanks around it.
    assert send(poll, [2], user=user, replace_token=f" {token['replace_token']}\n").json() == first
    assert holds(fresh_database, poll, [2])


def test_many_replacements_keep_the_ballot_small(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user, key = open_poll(), uuid4(), uuid4()
    token = send(poll, [1], user=user, key=key).json()["replace_token"]
    for n in range(55):
        assert send(poll, [n % 3 + 1], user=user, replace_token=token).status_code == 201
    [ballot] = rows(
        fresh_database,
        "voting",
        f"SELECT cardinality(marks) AS n FROM ballots WHERE election_id = '{poll.id}'",
    )
    assert ballot["n"] == 50
    # The first request is forgotten by now: its retry is a person who has voted.
    assert send(poll, [1], user=user, key=key).json()["code"] == "already_voted"


def test_only_the_right_token_replaces(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, other_poll, user, thief = open_poll(), open_poll(), uuid4(), uuid4()
    token = send(poll, [1], user=user).json()["replace_token"]
    elsewhere = send(other_poll, [1], user=user).json()["replace_token"]
    tries = [(user, "x"), (user, "é" * 43), (user, elsewhere), (user, "A" * 43), (thief, token)]
    for person, shown in tries:
        answer = send(poll, [2], user=person, replace_token=shown)
        assert (answer.status_code, answer.json()["code"]) == (409, "bad_replace_token")
    assert holds(fresh_database, poll, [1])


@pytest.mark.parametrize(
    ("numbers", "code", "pointer"),
    [
        ([], "empty_ballot", "/choices"),
        ([1, 1], "repeated_project", "/choices/1"),
        ([1, 2], "over_budget", "/choices"),
    ],
)
def test_choices_that_are_no_ballot(
    open_poll: OpenPoll,
    send: Send,
    fresh_database: Database,
    numbers: list[int],
    code: str,
    pointer: str,
) -> None:
    poll = open_poll([6, 5], 10)
    answer = send(poll, numbers)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert holds(fresh_database, poll)


def test_a_replacement_must_be_a_ballot_too(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user = open_poll([6, 5], 10), uuid4()
    token = send(poll, [1], user=user).json()["replace_token"]
    answer = send(poll, [1, 2], user=user, replace_token=token)
    assert (answer.status_code, answer.json()["code"]) == (422, "over_budget")
    assert answer.json()["total"] == 11
    assert holds(fresh_database, poll, [1])


def test_projects_of_another_ballot_are_unknown(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, fresh_database: Database
) -> None:
    poll, other = open_poll(), open_poll()
    for stranger in (other.projects[0], str(uuid4())):
        answer = client.post(
            f"{poll.path}/ballots",
            json={"choices": [poll.projects[0], stranger]},
            headers=tokens.bearer(),
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_project")
        assert answer.json()["errors"][0]["pointer"] == "/choices/1"
    assert holds(fresh_database, poll)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b'{"choices": [', 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"choices": "all"}', 422, "invalid"),
        (b'{"choices": [1]}', 422, "invalid"),
        (b'{"choices": {"a": 1}}', 422, "invalid"),
        (b'{"choices": ["\\u0000"]}', 422, "invalid"),
        (b'{"choices": [], "points": 3}', 422, "invalid"),
        (b'{"choices": [], "replace_token": "' + b"x" * 101 + b'"}', 422, "invalid"),
        (b'{"choices": ["' + b"x" * 5_000_000 + b'"]}', 413, "too_large"),
    ],
    ids=lambda v: repr(v[:24]) if isinstance(v, bytes) else None,
)
def test_bodies_that_are_no_vote(
    client: TestClient,
    tokens: Tokens,
    open_poll: OpenPoll,
    fresh_database: Database,
    content: bytes,
    status: int,
    code: str,
) -> None:
    poll = open_poll()
    headers = {**tokens.bearer(), "Content-Type": "application/json"}
    answer = client.post(f"{poll.path}/ballots", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2000
    assert holds(fresh_database, poll)


def test_who_is_not_signed_in_does_not_vote(
    client: TestClient,
    tokens: Tokens,
    open_poll: OpenPoll,
    fresh_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    forger = Tokens(Signer(make_key(tmp_path_factory.mktemp("forged") / "key.pem")))
    poll = open_poll()
    good = tokens.bearer()["Authorization"]
    for headers in (
        {},
        forger.bearer(),
        tokens.bearer(life=timedelta(seconds=-1)),
        {"Authorization": good[:-4] + "AAAA"},
        {"Authorization": "Basic YTpi"},
    ):
        body = {"choices": poll.projects[:1]}
        answer = client.post(f"{poll.path}/ballots", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert holds(fresh_database, poll)


def test_a_key_must_be_a_uuid(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, fresh_database: Database
) -> None:
    poll = open_poll()
    headers = {**tokens.bearer(), "Idempotency-Key": "again"}
    body = {"choices": poll.projects[:1]}
    answer = client.post(f"{poll.path}/ballots", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/headers/Idempotency-Key"
    assert holds(fresh_database, poll)


def test_an_unknown_election_takes_no_ballot(client: TestClient, tokens: Tokens) -> None:
    answer = client.post(
        f"/api/v1/elections/{uuid4()}/ballots",
        json={"choices": [str(uuid4())]},
        headers=tokens.bearer(),
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "election_not_found")


def test_before_the_opening_and_after_the_end(
    open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    now = frozen([1], 1).time
    early = open_poll(
        opens_at=(now + HOUR).isoformat(), closes_at=(now + 2 * HOUR).isoformat()
    )  # fmt: skip
    late = open_poll(
        opens_at=(now - 2 * HOUR).isoformat(), closes_at=(now - timedelta(seconds=1)).isoformat()
    )
    for poll, code in ((early, "vote_not_open"), (late, "vote_over")):
        answer = send(poll, [1])
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert holds(fresh_database, poll)


def close(client: TestClient, tokens: Tokens, poll: Poll) -> dict[str, Any]:
    answer = client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent(poll.commune))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_after_the_close_a_lost_answer_is_found_and_nothing_changes(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    poll, user, key = open_poll(), uuid4(), uuid4()
    first = send(poll, [1], user=user, key=key).json()
    before = close(client, tokens, poll)
    retried = send(poll, [1], user=user, key=key)
    assert (retried.status_code, retried.json()["code"]) == (409, "election_closed")
    assert retried.json()["receipt"] == first["receipt"]
    replaced = send(poll, [2], user=user, replace_token=first["replace_token"])
    assert (replaced.status_code, replaced.json()["code"]) == (409, "election_closed")
    stranger = send(poll, [1])
    assert (stranger.status_code, stranger.json()["code"]) == (409, "election_closed")
    assert "receipt" not in stranger.json()
    assert holds(fresh_database, poll, [1])
    assert client.get(f"{poll.path}/results").json() == before


def test_a_retry_between_the_end_and_the_close_is_answered(
    open_poll: OpenPoll, send: Send, fresh_database: Database, client: TestClient
) -> None:
    poll, user, key = open_poll(), uuid4(), uuid4()
    first = send(poll, [1], user=user, key=key).json()
    with client.app.state.sessions.begin() as session:  # type: ignore[attr-defined]
        session.execute(
            text("UPDATE elections SET closes_at = now() WHERE id = :e"), {"e": poll.id}
        )
    again = send(poll, [1], user=user, key=key)
    assert (again.status_code, again.json()) == (201, first)
    token = {"replace_token": first["replace_token"]}
    for answer in (send(poll, [2], user=user, **token), send(poll, [2], user=user, key=uuid4())):
        assert (answer.status_code, answer.json()["code"]) == (409, "vote_over")
    assert holds(fresh_database, poll, [1])
