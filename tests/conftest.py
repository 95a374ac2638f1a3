"""Servers and databases for every test; see `tests/servers.py`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from services.accounts.tokens import Signer
from tests import servers
from tests.apps import Tokens, make_key
from tests.servers import Database, PostgresServer


@pytest.fixture(scope="session")
def run_id() -> str:
    """Name this test run, the same in each of its workers."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"pid{os.getpid()}")


@pytest.fixture(scope="session")
def postgres_server(run_id: str) -> Iterator[PostgresServer]:
    """Run one throwaway PostgreSQL with PostGIS for the whole run."""
    with servers.postgres(run_id) as server:
        yield server


@pytest.fixture(scope="session")
def make_database(postgres_server: PostgresServer) -> Iterator[Callable[[], Database]]:
    """Return a function that makes a database as `palabre setup` leaves it (0.1 s each)."""
    made: list[Database] = []

    def make() -> Database:
        made.append(postgres_server.create(postgres_server.template()))
        return made[-1]

    yield make
    for database in made:
        postgres_server.drop(database)


@pytest.fixture(scope="session")
def database(make_database: Callable[[], Database]) -> Database:
    """Return this worker's database, for tests that roll back what they do."""
    return make_database()


@pytest.fixture(scope="module")
def fresh_database(make_database: Callable[[], Database]) -> Database:
    """Return a database of the test module's own, for tests that commit."""
    return make_database()


@pytest.fixture(scope="module")
def scratch_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the owner's URL of a database with PostGIS and nothing else."""
    database = postgres_server.create()
    yield database.admin_url
    postgres_server.drop(database)


@pytest.fixture(scope="session")
def kafka_jars() -> None:
    """Skip (in CI: fail) unless Apache Kafka can be started here."""
    if "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:
        servers.require_kafka()


@pytest.fixture(scope="session")
def kafka_server(run_id: str, kafka_jars: None) -> Iterator[str]:
    """Run one Apache Kafka for the whole run; return its bootstrap servers."""
    with servers.kafka(run_id) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Debian's Chromium; skip (in CI: fail) when there is none."""
    expect.set_options(timeout=15_000)  # two browsers and a database share two cores
    return servers.chromium_path()


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "signing.pem")


@pytest.fixture(scope="session")
def tokens(signing_key: Path) -> Tokens:
    return Tokens(Signer(signing_key))
