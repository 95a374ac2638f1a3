"""A server that keeps its promises to the disk, and a database with very many reports."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy import create_engine, make_url, text

from infra.postgres.cluster import Cluster
from tests.servers import Database, PostgresServer

REPORTS = int(os.environ.get("PALABRE_BENCH_REPORTS", "1000000"))
COLUMNS = (
    "id, ref, commune, commune_detected, arrondissement, category, status, description, geom, "
    "reporter, created_at, updated_at, agency, due_at, landmark"
)
KINDS = ("waste", "lighting", "roads", "drainage", "water")
STATUSES = ("received", "acknowledged", "in_progress", "resolved", "resolved")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run PostgreSQL with fsync and synchronous_commit, as `make run` does."""
    folder = Path(tempfile.mkdtemp(prefix="palabre-bench-"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "cluster", log=lambda _: None)
    try:
        yield PostgresServer(cluster.start(), folder)
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


class Lines:
    """A file of rows for COPY, written as it is read."""

    def __init__(self, rows: Iterator[str]) -> None:
        self._rows = rows
        self._rest = ""

    def read(self, size: int) -> str:
        """Return about ``size`` characters."""
        parts, length = [self._rest], len(self._rest)
        while length < size:
            row = next(self._rows, None)
            if row is None:
                break
            parts.append(row)
            length += len(row)
        whole = "".join(parts)
        self._rest = whole[size:]
        return whole[:size]


def report_rows(places: list[Any], many: int) -> Iterator[str]:
    """Yield tab-separated rows: reports around the middle of every arrondissement."""
    dice = random.Random(11)  # noqa: S311 - to repeat, not to hide
    now = datetime.now(UTC)
    for n in range(many):
        part, commune, x, y = places[n % len(places)]
        at = now - timedelta(seconds=30 * n)
        lon, lat = x + dice.uniform(-0.02, 0.02), y + dice.uniform(-0.02, 0.02)
        yield "\t".join(
            (
                str(UUID(int=dice.getrandbits(128))),
                f"L-{n}",
                *(commune, commune, part, KINDS[n % 5], STATUSES[n // 7 % 5]),
                "Un problème parmi beaucoup",
                f"SRID=4326;POINT({lon:.6f} {lat:.6f})",
                str(UUID(int=dice.getrandbits(128))),
                *(at.isoformat(), at.isoformat(), "roads"),
                (at + timedelta(days=10)).isoformat(),
                "\n",
            )
        )


@pytest.fixture(scope="session")
def many_reports(postgres_server: PostgresServer) -> Iterator[Database]:
    """Return a database with :data:`REPORTS` reports, loaded by COPY."""
    database = postgres_server.create(postgres_server.template())
    url = make_url(database.url("reports")).set(drivername="postgresql")
    connection = psycopg2.connect(url.render_as_string(False))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT code, commune_code, ST_X(c), ST_Y(c) FROM (SELECT code, commune_code, "
            "ST_PointOnSurface(geom) AS c FROM reference.arrondissements ORDER BY code) a"
        )
        places = cursor.fetchall()
        lines = Lines(report_rows(places, REPORTS))
        cursor.copy_expert(f"COPY reports ({COLUMNS}) FROM STDIN", lines, 1 << 20)
    connection.close()
    engine = create_engine(database.url("reports"), isolation_level="AUTOCOMMIT")
    with engine.connect() as vacuum:
        vacuum.execute(text("VACUUM ANALYZE reports"))
    engine.dispose()
    owner = create_engine(database.admin_url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text("CHECKPOINT"))  # what was loaded is not written during a run
    owner.dispose()
    yield database
    postgres_server.drop(database)
