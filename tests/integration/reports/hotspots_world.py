"""What the tests of hotspots do: lay reports in the tables, look at them, detect."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.common.app import create_app
from services.common.events.envelope import Event
from services.common.ids import new_id, new_ref
from services.reports.hotspots import service
from services.reports.hotspots.api import router
from services.reports.hotspots.memo import Memo
from services.reports.settings import Settings
from tests.apps import Tokens
from tests.servers import Database

COTONOU = "0801"
#: In the 12th arrondissement and in the 3rd, both well inside Cotonou.
HERE, THERE = (2.3903, 6.3601), (2.4502, 6.3801)
NOW = datetime.now(UTC)

_REPORT = text("""
    INSERT INTO reports (id, ref, commune, arrondissement, category, status, description, geom,
        hidden_at, duplicate_of, created_at, updated_at)
    SELECT :id, :ref, :commune, coalesce(:arrondissement, (
            SELECT a.code FROM reference.arrondissements a
            WHERE a.commune_code = :commune AND ST_Covers(a.geom, p.geom) LIMIT 1)),
        :category, :status, :description, p.geom, :hidden_at, :duplicate_of, :at, :at
    FROM (SELECT CASE WHEN CAST(:lon AS float8) IS NOT NULL
        THEN ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) END AS geom) p
""")


def make_app(database: Database, tokens: Tokens) -> FastAPI:
    """Return an application of hotspots alone."""
    settings = Settings(
        _env_file=None, database_url=database.url("reports"), secret="a secret of the tests"
    )
    app = create_app(settings, [router], title="hotspots")
    tokens.trust(app)
    return app


@dataclass
class World:
    """An application, the tables under it, and who may sign in."""

    client: TestClient
    engine: Engine
    tokens: Tokens

    def execute(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def clear(self) -> None:
        self.execute("TRUNCATE reports, history, hotspots, outbox CASCADE")
        self.forget()

    def forget(self) -> None:
        """Let the next answer be a new one."""
        self.client.app.state.hotspots = Memo()  # type: ignore[attr-defined]

    def report(
        self, at: tuple[float, float] | None = HERE, *, days_ago: float = 3, **more: Any
    ) -> UUID:
        """Lay one report."""
        lon, lat = at or (None, None)
        made = {
            "id": new_id(),
            "ref": new_ref("S", 7),
            "commune": COTONOU,
            "arrondissement": None,
            "category": "waste",
            "status": "received",
            "description": "Tas d'ordures, appelez Koffi",
            "lon": lon,
            "lat": lat,
            "hidden_at": None,
            "duplicate_of": None,
            "at": NOW - timedelta(days=days_ago),
        } | more
        self.execute(str(_REPORT), **made)
        found: UUID = made["id"]
        return found

    def gather(self, many: int, at: tuple[float, float] = HERE, **more: Any) -> list[UUID]:
        """Lay reports within some 100 m of a point, the first one last in time."""
        days_ago = more.pop("days_ago", 3)
        dice = random.Random(5)  # noqa: S311
        return [
            self.report(
                (at[0] + dice.uniform(-1, 1) / 1000, at[1] + dice.uniform(-1, 1) / 1000),
                days_ago=days_ago + n / 1000,
                **more,
            )
            for n in range(many)
        ]

    def scatter(self, many: int, **more: Any) -> None:
        """Lay reports anywhere in the middle of Cotonou."""
        dice = random.Random(7)  # noqa: S311
        for _ in range(many):
            self.report((dice.uniform(2.37, 2.46), dice.uniform(6.355, 6.39)), **more)

    def get(self, **query: Any) -> dict[str, Any]:
        """Return the hotspots of Cotonou."""
        answer = self.client.get("/api/v1/hotspots", params={"commune": COTONOU} | query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def detect(self, now: datetime = NOW) -> list[Event]:
        """Detect and commit."""
        with Session(self.engine) as session, session.begin():
            return service.detect(session, now)

    def events(self) -> list[dict[str, Any]]:
        """Return what is in the outbox."""
        return self.rows(
            "SELECT type, key, subject, sequence, payload FROM outbox ORDER BY position"
        )
