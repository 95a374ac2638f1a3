"""What a copy of the tables, the events and the logs tells of who voted what (ADR 0006)."""

import logging
import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from tests.apps import Tokens, rows
from tests.integration.voting.conftest import EARLY, SECRET, OpenPoll
from tests.servers import Database

pytestmark = pytest.mark.integration
Send = Callable[..., Any]
VOTERS = 60


def dump(database: Database) -> str:
    """Return every column of every table of voting as text, system columns left out."""
    engine = create_engine(database.url("voting"))
    try:
        with engine.connect() as connection:
            tables = connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'voting'")
            ).all()
            return "\n".join(
                str(row)
                for table in tables
                for row in connection.execute(text(f"SELECT t::text FROM {table} t"))
            )
    finally:
        engine.dispose()


def physical(database: Database, table: str, election: object) -> list[dict[str, Any]]:
    """Return a table's rows in the order of the file, with their transactions."""
    query = (
        f"SELECT ctid::text AS place, xmin::text AS transaction, * FROM {table} "
        f"WHERE election_id = '{election}' ORDER BY ctid"
    )
    return rows(database, "voting", query)


def test_no_person_key_token_or_secret_is_stored_or_logged(
    client: TestClient,
    tokens: Tokens,
    open_poll: OpenPoll,
    send: Send,
    fresh_database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    poll, user, key = open_poll(), uuid4(), uuid4()
    given = send(poll, [1, 3], user=user, key=key).json()
    refused = send(poll, [1], user=user, key=uuid4())
    assert refused.status_code == 409
    logged = caplog.text
    for state in ("open", "closed"):
        found = dump(fresh_database)
        for secret in (given["replace_token"], SECRET, *(str(u) for u in (user, key))):
            assert secret not in found, state
            assert secret.replace("-", "") not in found, state
            assert secret not in logged
        assert given["receipt"] in found
        if state == "open":
            client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    assert not any(project in logged for project in poll.projects)
    events = rows(fresh_database, "voting", "SELECT payload::text AS p FROM outbox")
    assert not any(given["receipt"] in event["p"] for event in events)


def test_the_close_leaves_no_order_transaction_or_token_to_join_by(
    client: TestClient, tokens: Tokens, open_poll: OpenPoll, send: Send, fresh_database: Database
) -> None:
    """Each voter chooses a ballot of their own: before the close the order tells, after it not."""
    poll = open_poll([1] * 6, 6)
    generator = random.Random(5)  # noqa: S311
    choices = [sorted(generator.sample(range(1, 7), 3)) for _ in range(VOTERS)]
    receipts = [send(poll, numbers).json()["receipt"] for numbers in choices]
    before = [b["choices"] for b in physical(fresh_database, "ballots", poll.id)]
    # PostgreSQL may begin a new page early, but what the close must undo is there to be undone.
    assert sorted(before) == sorted(choices)
    assert sum(b == was for b, was in zip(before, choices, strict=True)) > VOTERS // 2
    rolled = [r["voter"] for r in physical(fresh_database, "roll", poll.id)]

    client.post(f"{poll.path}/close", json=EARLY, headers=tokens.agent("0801"))
    after = {t: physical(fresh_database, t, poll.id) for t in ("roll", "ballots", "receipts")}
    assert sorted(b["choices"] for b in after["ballots"]) == sorted(choices)
    assert sorted(r["receipt"] for r in after["receipts"]) == sorted(receipts)
    assert sorted(bytes(r["voter"]) for r in after["roll"]) == sorted(map(bytes, rolled))
    # One transaction wrote everything, and no place tells more than chance (60 places: 1 hit
    # expected; 10 or more happens once in ten million runs).
    assert len({row["transaction"] for table in after.values() for row in table}) == 1
    for table, column, order in (
        ("roll", "voter", rolled),
        ("receipts", "receipt", receipts),
    ):
        hits = sum(row[column] == was for row, was in zip(after[table], order, strict=True))
        assert hits < 10
    same = sum(b["choices"] == was for b, was in zip(after["ballots"], choices, strict=True))
    assert same < VOTERS // 2
    assert all(b["replace_hash"] is None and b["marks"] == [] for b in after["ballots"])


def test_the_database_refuses_a_finer_time(fresh_database: Database, open_poll: OpenPoll) -> None:
    poll = open_poll()
    engine = create_engine(fresh_database.url("voting"))
    insert = text(
        "INSERT INTO ballots (election_id, id, choices, voting_method, accepted_hour, marks) "
        "VALUES (:e, gen_random_uuid(), '{1}', 'internet', '2026-12-01 10:00:01+00', '{}')"
    )
    try:
        with pytest.raises(Exception, match="accepted_hour"), engine.begin() as connection:
            connection.execute(insert, {"e": poll.id})
    finally:
        engine.dispose()
