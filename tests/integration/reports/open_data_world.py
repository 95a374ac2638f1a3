"""What the tests of open data do: lay reports in the tables, serve them, fetch them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.common.ids import new_id, new_ref
from services.common.media.settings import MediaSettings
from services.reports.main import make_app as make_service
from services.reports.settings import Settings
from tests.apps import Tokens
from tests.servers import Database

COTONOU, PARAKOU = "0801", "0405"
BASE = "https://palabre.example"
AT = datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)


def make_app(database: Database, tokens: Tokens, public_url: str = "") -> FastAPI:
    """Return the service's application, known outside as ``public_url``."""
    settings = Settings(
        _env_file=None,
        database_url=database.url("reports"),
        secret="a secret of the tests",
        public_url=public_url,
    )
    app = make_service(settings, MediaSettings(_env_file=None, dir=Path(tempfile.gettempdir())))
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
        self.execute("TRUNCATE reports, history, attachments, uploads, contacts, agents CASCADE")

    def report(self, *, lon: float | None = 2.42, lat: float | None = 6.37, **more: Any) -> UUID:
        """Store a report of Cotonou as given; return its id."""
        row: dict[str, Any] = {
            "id": new_id(),
            "ref": new_ref("S", 7),
            "commune": COTONOU,
            "arrondissement": "0801-05",
            "category": "waste",
            "status": "received",
            "description": "Tas d'ordures au carrefour",
            "created_at": AT,
            "agency": "hygiene",
            **more,
        }
        row.setdefault("updated_at", row["created_at"])
        names = ", ".join(row)
        self.execute(
            f"INSERT INTO reports ({names}, geom) VALUES ({', '.join(f':{n}' for n in row)}, "
            "ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326))",
            **row,
            lon=lon,
            lat=lat,
        )
        found: UUID = row["id"]
        return found

    def many(self, number: int, commune: str = COTONOU, description: str = "Trou") -> None:
        """Store ``number`` reports of a commune, one a second, every tenth without a point."""
        self.execute(
            "INSERT INTO reports (id, ref, commune, arrondissement, category, status, "
            "description, geom, created_at, updated_at) "
            "SELECT gen_random_uuid(), 'M-' || :commune || '-' || n, :commune, "
            ":commune || '-01', 'roads', 'received', :description || ' ' || n, "
            "CASE WHEN n % 10 > 0 THEN ST_SetSRID("
            "ST_MakePoint(2.4 + n % 1000 / 1e5, 6.37 + n / 1000 / 1e5), 4326) END, "
            ":at + n * interval '1 second', :at + n * interval '1 second' "
            "FROM generate_series(1, CAST(:number AS int)) n",
            number=number,
            commune=commune,
            description=description,
            at=AT,
        )

    def photo(self, report: UUID, *, hidden: bool = False, kind: str = "photo") -> UUID:
        """Attach a photo (or voice note) to a report; return its id."""
        upload = new_id()
        self.execute("INSERT INTO uploads (id, kind) VALUES (:id, :kind)", id=upload, kind=kind)
        self.execute(
            "INSERT INTO attachments (report_id, position, upload_id, hidden) "
            "SELECT :report, count(*) + 1, :upload, :hidden FROM attachments "
            "WHERE report_id = :report",
            report=report,
            upload=upload,
            hidden=hidden,
        )
        return upload

    def agent(self, commune: str = COTONOU) -> dict[str, str]:
        return self.tokens.agent(commune)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a public address."""
        answer = self.client.get(path, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def open_world(database: Database, tokens: Tokens, public_url: str = BASE) -> Iterator[World]:
    """Give a world over a database of the test module's own."""
    app = make_app(database, tokens, public_url)
    with TestClient(app) as client:
        yield World(client, app.state.engine, tokens)
