"""Persons are forgotten when their reports are long closed; the reports and counts stay."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from services.reports import retention
from tests.apps import Tokens, rows
from tests.servers import Database

pytestmark = pytest.mark.integration

TABLES = ("reports", "history", "supports", "contacts")


def test_long_closed_reports_forget_persons_and_open_ones_do_not(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    people = [uuid.uuid4() for _ in range(4)]
    author, neighbour, waiting, agent = people
    body = {"lon": 2.42, "lat": 6.37, "category": "waste", "description": "Ordures"}

    def pin(who: uuid.UUID) -> str:
        answer = client.post(
            "/api/v1/reports", json={**body, "gender": "f"}, headers=tokens.bearer(user=who)
        )
        ref = str(answer.json()["ref"])
        client.post(f"/api/v1/reports/{ref}/support", headers=tokens.bearer(user=neighbour))
        return ref

    done, open_one = pin(author), pin(waiting)
    answer = client.post(
        f"/api/v1/reports/{done}/status",
        json={"status": "resolved"},
        headers=tokens.bearer({"0801": ["reports.manage"]}, user=agent),
    )
    assert answer.status_code == 200
    engine = create_engine(fresh_database.url("reports"))
    with Session(engine) as session, session.begin():
        assert set(retention.found(session, datetime.now(UTC) - timedelta(days=1)).values()) == {0}
        soon = datetime.now(UTC) + timedelta(days=1)
        counted = retention.found(session, soon)
        assert counted == {
            "reporters and follow-up codes": 1,
            "contacts": 0,
            "authors of history": 2,
            "supporters": 1,
        }
        retention.forget(session, soon)
        assert set(retention.found(session, soon).values()) == {0}
    engine.dispose()
    dump = "".join(str(rows(fresh_database, "reports", f"SELECT * FROM {t}")) for t in TABLES)
    assert str(author) not in dump
    assert str(agent) not in dump
    assert str(waiting) in dump
    assert dump.count(str(neighbour)) == 1
    assert client.get(f"/api/v1/reports/{done}").json()["supports"] == 1
    assert client.get(f"/api/v1/reports/{open_one}").json()["supports"] == 1
