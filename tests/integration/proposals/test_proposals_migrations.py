"""Proposals of an earlier version keep what they said when drafts come."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.common.db import make_engine
from services.common.migrate import upgrade
from tests.servers import Database

pytestmark = pytest.mark.integration

PACKAGE = "services/proposals"
INSERT = text(
    "INSERT INTO proposals (id, ref, campaign_id, commune, title, description, estimated_cost, "
    "geom, reports, status, author_id, version, submitted_at) VALUES (gen_random_uuid(), :ref, "
    ":campaign, '0801', 'Banc', :description, :cost, ST_SetSRID(ST_MakePoint(2.4, 6.4), 4326), "
    "'{}', :status, gen_random_uuid(), 1, :at)"
)
WHOLE = {"description": "Un banc.", "cost": 1, "status": "submitted", "at": "2026-11-01T08:00:00Z"}


def test_stored_proposals_pass_to_drafts(fresh_database: Database, scratch_database: str) -> None:
    # fresh_database: only for the roles of the server, which the migrations grant rights to
    engine = make_engine(scratch_database, search_path="proposals,public", threads=2)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA proposals"))
        # All that a migration asks of the reference geography: nothing is in it.
        connection.execute(text("CREATE SCHEMA reference"))
        connection.execute(
            text("CREATE TABLE reference.arrondissements (code text, geom geometry)")
        )
    upgrade(engine, PACKAGE, "0001")
    campaign = uuid4()
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by) "
                "VALUES (:id, '0801', 'Budget', 10, 'ideas', 1, gen_random_uuid())"
            ),
            {"id": campaign},
        )
        connection.execute(INSERT, {"ref": "P-222222", "campaign": campaign, **WHOLE})
    upgrade(engine, PACKAGE, "0002")
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM proposals")).one()
    assert row.created_at == row.submitted_at
    assert (row.status, row.hotspot, row.estimated_cost) == ("submitted", None, 1)
    broken = (
        {"at": None},
        {"cost": None},
        {"description": ""},
        {"status": "draft"},
        {"status": "lost"},
    )
    for change in broken:
        values = {"ref": "P-333333", "campaign": campaign, **WHOLE, **change}
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(INSERT, values)
    draft = {"description": "", "cost": None, "status": "draft", "at": None}
    with engine.begin() as connection:
        connection.execute(INSERT, {"ref": "P-333333", "campaign": campaign, **draft})
    upgrade(engine, PACKAGE)
    with engine.connect() as connection:
        kept = connection.execute(
            text(
                "SELECT p.ref, e.name, e.amount, a.role, r.content ->> 'description' AS words "
                "FROM proposals p JOIN envelopes e ON e.id = p.envelope_id "
                "JOIN authors a ON a.proposal_id = p.id "
                "LEFT JOIN revisions r ON r.proposal_id = p.id ORDER BY p.ref"
            )
        ).all()
    assert [tuple(row) for row in kept] == [
        ("P-222222", "Toute la commune", 10, "author", "Un banc."),
        ("P-333333", "Toute la commune", 10, "author", None),
    ]
    engine.dispose()
