"""The databases that other tests build on."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from infra.postgres.bootstrap import SERVICES, bootstrap
from tests.servers import PASSWORD, Database

pytestmark = pytest.mark.integration


def scalar(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return connection.scalar(text(statement))
    finally:
        engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_each_role_reads_the_reference_and_owns_its_schema(
    fresh_database: Database, service: str
) -> None:
    url = fresh_database.url(service)
    assert scalar(url, "SELECT count(*) FROM reference.communes") == 77
    assert scalar(url, "SELECT current_schema()") == service
    assert scalar(url, "SELECT pg_has_role('palabre_events_reader', 'MEMBER')") is True


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM reference.communes",
        "CREATE TABLE public.intruder ()",
        "CREATE SCHEMA intruder",
        "CREATE TABLE reports.intruder ()",
    ],
)
def test_a_role_may_not_leave_its_schema(fresh_database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        scalar(fresh_database.url("voting"), statement)


def test_bootstrap_again_changes_nothing(fresh_database: Database) -> None:
    bootstrap(fresh_database.admin_url, dict.fromkeys(SERVICES, PASSWORD))
    assert scalar(fresh_database.url("gateway"), "SELECT current_schema()") == "gateway"


def test_a_scratch_database_has_postgis_only(scratch_database: str) -> None:
    assert scalar(scratch_database, "SELECT ST_SRID(ST_Point(2.4, 6.4, 4326))") == 4326
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'reports'"
    assert scalar(scratch_database, schemas) == 0
