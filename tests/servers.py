"""Real servers for tests: one PostgreSQL and one Kafka for a whole run, whatever its workers.

The worker that asks first starts a server, the last one to leave stops it. What a killed run
left behind, the next run removes.
"""

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import create_engine, make_url

from infra.kafka.server import JARS, KafkaServer
from infra.postgres.bootstrap import SERVICES, bootstrap, ensure_database
from infra.postgres.cluster import Cluster
from infra.reference import load
from infra.setup import migrate

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path(tempfile.gettempdir()) / f"palabre-tests-{os.getuid()}"
PASSWORD = "only-for-tests"
TEMPLATE = "palabre_template"


def unavailable(reason: str) -> None:
    """Skip the test, or fail it where CI promised that everything is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Database:
    """One database of the test server."""

    server_url: str
    name: str

    @property
    def admin_url(self) -> str:
        """URL as the owner, who may do everything."""
        return make_url(self.server_url).set(database=self.name).render_as_string(False)

    def url(self, service: str) -> str:
        """URL as the role of `service` (accounts, reports, proposals, voting, gateway)."""
        return (
            make_url(self.server_url)
            .set(database=self.name, username=f"palabre_{service}", password=PASSWORD)
            .render_as_string(False)
        )

    def environment(self) -> dict[str, str]:
        """The `PALABRE_…_DATABASE_URL` of every service and of the owner."""
        urls = {f"PALABRE_{name.upper()}_DATABASE_URL": self.url(name) for name in SERVICES}
        return urls | {"PALABRE_ADMIN_DATABASE_URL": self.admin_url}


class PostgresServer:
    """A server on which tests make and drop databases."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    def create(self, template: str | None = None) -> Database:
        """Return a new database: a copy of `template`, or nothing but PostGIS."""
        database = Database(self.url, f"test_{uuid.uuid4().hex[:12]}")
        if template is None:
            ensure_database(database.admin_url)
        else:
            self._execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(database.name), sql.Identifier(template)
                ),
                # A database's own rights are not copied; these are the ones bootstrap gives.
                sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(
                    sql.Identifier(database.name)
                ),
                *(
                    sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
                        sql.Identifier(database.name), sql.Identifier(f"palabre_{name}")
                    )
                    for name in SERVICES
                ),
            )
        return database

    def drop(self, database: Database) -> None:
        """Drop it, whoever is still connected."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database.name))
        )

    def template(self) -> str:
        """Name of the database with roles, reference geography and all tables; made once a run."""
        with locked(self._folder / "template.lock"):
            done = self._folder / "template.done"
            if not done.exists():
                database = Database(self.url, TEMPLATE)
                self.drop(database)
                prepare(database)
                done.touch()
        return TEMPLATE

    def _execute(self, *statements: sql.Composable) -> None:
        connection = psycopg2.connect(
            make_url(self.url)
            .set(drivername="postgresql", database="postgres")
            .render_as_string(False)
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


def prepare(database: Database) -> None:
    """Do to an empty database what `palabre setup` does."""
    bootstrap(database.admin_url, dict.fromkeys(SERVICES, PASSWORD))
    engine = create_engine(database.admin_url)
    try:
        with engine.begin() as connection:
            load(connection)
    finally:
        engine.dispose()
    migrate({name: database.url(name) for name in SERVICES})


@contextmanager
def postgres(run: str) -> Iterator[PostgresServer]:
    """Run (or join) this run's PostgreSQL; PALABRE_TEST_POSTGRES_URL names another one to use."""
    with shared(run, "postgres", _start_postgres, _stop_postgres) as (url, folder):
        yield PostgresServer(url, folder)


def _start_postgres(folder: Path) -> str:
    if given := os.environ.get("PALABRE_TEST_POSTGRES_URL"):
        return given
    return _cluster(folder).start()


def _stop_postgres(folder: Path) -> None:
    if (folder / "cluster").exists():
        _cluster(folder).destroy()


@cache  # who starts a process keeps it, or Python warns that it was forgotten
def _cluster(folder: Path) -> Cluster:
    return Cluster(folder / "cluster", throwaway=True, tied=False, log=lambda _: None)


@contextmanager
def locked(path: Path, mode: int = fcntl.LOCK_EX) -> Iterator[IO[str]]:
    """Hold the lock of the file at `path`."""
    with path.open("a+") as file:
        fcntl.flock(file, mode)
        yield file


@contextmanager
def shared(
    run: str, name: str, start: Callable[[Path], str], stop: Callable[[Path], None]
) -> Iterator[tuple[str, Path]]:
    """Yield `start`'s address and its folder; processes of the same `run` share one server.

    Each user holds `users` shared. Who gets it exclusively is the last one, and stops the server.
    """
    RUNS.mkdir(mode=0o755, exist_ok=True)
    turn = RUNS / f"{name}.lock"  # starting, stopping and sweeping: one at a time
    folder = RUNS / run / name
    with locked(turn):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (RUNS, RUNS / run, folder):
            path.chmod(0o755)  # the database server is another user
        users = (folder / "users").open("a+")
        fcntl.flock(users, fcntl.LOCK_SH)
        state = folder / "state.json"
        if not state.exists():
            _sweep(name, keep=run, stop=stop)
            state.write_text(json.dumps(start(folder)))
        address = json.loads(state.read_text())
    try:
        yield address, folder
    finally:
        with locked(turn):
            _leave(users, folder, stop)


def _leave(users: IO[str], folder: Path, stop: Callable[[Path], None]) -> None:
    """Stop and remove the server in `folder` unless somebody else still uses it."""
    with users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()


def _sweep(name: str, *, keep: str, stop: Callable[[Path], None]) -> None:
    """Remove the servers called `name` of runs that were killed."""
    for folder in RUNS.glob(f"*/{name}"):
        if folder.parent.name != keep and (folder / "users").exists():
            _leave((folder / "users").open("a+"), folder, stop)


@contextmanager
def kafka(run: str) -> Iterator[str]:
    """Run (or join) this run's Kafka; KAFKA_BOOTSTRAP_SERVERS names another one to use."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with shared(run, "kafka", lambda at: _kafka(at).start(), lambda at: _kafka(at).stop()) as found:
        yield found[0]


@cache
def _kafka(folder: Path) -> KafkaServer:
    return KafkaServer(folder / "server", tied=False)


def require_kafka() -> None:
    """Skip (in CI: fail) unless Apache Kafka can be started here."""
    if not any(JARS.glob("kafka_2.13-*.jar")):
        unavailable("Apache Kafka's jars are missing: make kafka-jars")
    if shutil.which("java") is None:
        unavailable("Java is missing: Apache Kafka cannot run")


def chromium_path() -> str:
    """Path of Debian's Chromium; skip (in CI: fail) when there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        unavailable("Chromium is missing: apt-get install chromium")
    return str(path)
