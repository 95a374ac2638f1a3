"""What the tests of the desk do: pin reports, work at the desk, look at the tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker

from services.common.app import create_app
from services.common.auth import Principal
from services.reports import service
from services.reports.desk.api import router
from services.reports.schemas import NewReport, StatusUpdate
from services.reports.settings import Settings
from tests.apps import AGENT, Tokens
from tests.servers import Database

COTONOU, SAVE = "0801", "0405"
POINT = {"lon": 2.42, "lat": 6.37}


@dataclass
class DeskWorld:
    """The desk's application over a database of its own; Cotonou's unless told otherwise."""

    client: TestClient
    engine: Engine
    tokens: Tokens

    def __post_init__(self) -> None:
        self.me = uuid4()
        self.headers = self.agent(user=self.me)

    def agent(self, commune: str = COTONOU, user: UUID | None = None, *more: str) -> dict[str, str]:
        return self.tokens.bearer({commune: (*AGENT, *more)}, user)

    def principal(self, commune: str = COTONOU) -> Principal:
        return Principal(self.me, {commune: frozenset(AGENT)})

    def report(
        self,
        category: str = "waste",
        description: str = "Tas d'ordures au carrefour",
        *,
        at: datetime | None = None,
        reporter: UUID | None = None,
        channel: str = "web",
        **place: Any,
    ) -> str:
        """Pin a report at ``at``, at a point of Cotonou unless told otherwise; return its ref."""
        body = NewReport(category=category, description=description, **(place or POINT))
        with sessionmaker(self.engine).begin() as session:
            made = service.create_report(
                session, body, reporter=reporter or uuid4(), channel=channel, at=at
            )
        return made.ref

    def status(self, ref: str, status: str, at: datetime | None = None, **more: Any) -> None:
        """Move a report as an agent of its commune, at ``at``."""
        commune = self.row(ref)["commune"]
        body = StatusUpdate(status=status, **more)
        with sessionmaker(self.engine).begin() as session:
            service.change_status(session, ref, body, self.principal(commune), at=at)

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def row(self, ref: str) -> dict[str, Any]:
        (found,) = self.rows("SELECT * FROM reports WHERE ref = :ref", ref=ref)
        return found

    def history(self, ref: str) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT h.* FROM history h JOIN reports r ON r.id = h.report_id WHERE r.ref = :ref "
            "ORDER BY h.version",
            ref=ref,
        )

    def events(self, ref: str) -> list[str]:
        """Return the types of a report's events after its first."""
        found = self.rows(
            "SELECT type FROM outbox WHERE payload ->> 'ref' = :ref ORDER BY position", ref=ref
        )
        return [row["type"].removeprefix("bj.palabre.report.") for row in found][1:]

    def execute(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return all that a refused or dry call must leave alone."""
        tables = ("reports", "history", "attachments", "agents", "targets", "routing_rules",
                  "outbox", "idempotency_keys")  # fmt: skip
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}

    def clear(self) -> None:
        """Take all reports and rules away."""
        self.execute(
            "TRUNCATE reports, history, attachments, supports, contacts, report_proposals, "
            "uploads, agents, targets, routing_rules, outbox, idempotency_keys"
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        commune: str = COTONOU,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Response:
        """Ask the desk of ``commune``."""
        return self.client.request(
            method,
            f"/api/v1/desk/{commune}/{path}",
            json=body,
            params=query,
            headers=self.headers if headers is None else headers,
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, **more: Any) -> Any:
        answer = self.call("POST", path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, path: str, body: Any, **more: Any) -> Any:
        answer = self.call("PUT", path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def desk_world(database: Database, tokens: Tokens) -> Iterator[DeskWorld]:
    """Run the desk over ``database``."""
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(database.url("reports")),
        secret=SecretStr("secret"),
    )
    app = create_app(settings, [router], title="desk")
    with tokens.trust(app) as client:
        yield DeskWorld(client, app.state.engine, tokens)


def refs(answer: dict[str, Any]) -> list[str]:
    """Return the refs of a queue's page."""
    return [feature["properties"]["ref"] for feature in answer["features"]]
