"""Reports of an earlier version get an agency, due dates and times of answer and end."""

import pytest
from sqlalchemy import text

from services.common.db import make_engine
from services.common.migrate import upgrade
from tests.servers import Database

pytestmark = pytest.mark.integration

PACKAGE = "services/reports"
REPORT = text(
    "INSERT INTO reports (id, ref, commune, arrondissement, category, status, description, "
    "version, created_at, updated_at) VALUES (gen_random_uuid(), :ref, '0801', '0801-01', "
    "'waste', :status, 'Ordures', 3, :at, :at) RETURNING id"
)
STEP = text(
    "INSERT INTO status_changes (report_id, version, status, at, actor_kind) "
    "VALUES (:id, :version, :status, :at, :by)"
)
STEPS = (
    (1, "received", "2026-04-03T10:00Z", "citizen"),
    (2, "acknowledged", "2026-04-07T10:00Z", "mairie"),
    (3, "resolved", "2026-04-10T10:00Z", "mairie"),
)


def test_stored_reports_get_what_the_desk_needs(
    fresh_database: Database, scratch_database: str
) -> None:
    # fresh_database: only for the roles of the server, which the migrations grant rights to
    engine = make_engine(scratch_database, search_path="reports,public", threads=2)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA reports"))
    upgrade(engine, PACKAGE, "0001")
    with engine.begin() as connection:
        done = connection.scalar(REPORT, {"ref": "A", "status": "resolved", "at": STEPS[0][2]})
        connection.execute(REPORT, {"ref": "B", "status": "received", "at": STEPS[0][2]})
        for version, status, at, by in STEPS:
            values = {"id": done, "version": version, "status": status, "at": at, "by": by}
            connection.execute(STEP, values)
    upgrade(engine, PACKAGE)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT ref, agency, channel, (due_at AT TIME ZONE 'Africa/Porto-Novo')::text AS "
                "due, answered_at::text, closed_at::text FROM reports ORDER BY ref"
            )
        ).all()
    engine.dispose()
    # Five working days after a Friday, over Easter Monday.
    due = "2026-04-13 23:59:59"
    assert [tuple(row) for row in rows] == [
        ("A", "hygiene", "web", due, "2026-04-07 10:00:00+00", "2026-04-10 10:00:00+00"),
        ("B", "hygiene", "web", due, None, None),
    ]
