"""A small world for the event log's tests: one publishing schema, one consuming schema."""

import os
import random
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.db import make_engine
from services.common.events import outbox
from services.common.events.envelope import Event, EventData, Reader, new_event
from services.common.events.inbox import Consumer
from services.common.events.subscription import subscribe
from services.common.migrate import create_kernel
from services.common.settings import Settings

KEYS = ("0101", "0405", "0801", "0906")


class Counted(EventData):
    """The n-th event of its key."""

    event_type: ClassVar[str] = "bj.palabre.test.counted.v1"

    n: int
    poison: bool = False


class Ignored(EventData):
    """An event nobody reads."""

    event_type: ClassVar[str] = "bj.palabre.test.ignored.v1"


class CountedReader(Reader):
    """What the sink needs."""

    n: int
    poison: bool = False


class Poison(Exception):
    """Raised by the sink's handler while the world is poisoned."""


@dataclass
class World:
    """Names, engines and settings of one test; schemas are unique, so are topics and groups."""

    url: str
    settings: Settings
    source: str
    sink: str
    poisoned: bool = True
    seen: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publisher: Engine = make_engine(self.url, search_path=f"{self.source},public")
        self.engine: Engine = make_engine(self.url, search_path=f"{self.sink},public", threads=6)
        self.sessions = sessionmaker(self.publisher)
        self.consumer = Consumer(
            group=self.sink,
            sources=(self.source,),
            handlers={Counted.event_type: (CountedReader, self.handle)},
            projections=("effects",),
            retries=(0.01, 0.02),
        )

    def handle(self, session: Session, event: Event, data: Reader) -> None:
        """Append what was met: a table that would show a loss, a double or a wrong order."""
        assert isinstance(data, CountedReader)
        if data.poison and self.poisoned:
            raise Poison(event.key)
        self.seen.append(event)
        session.execute(
            text("INSERT INTO effects (event_id, key, n) VALUES (:id, :key, :n)"),
            {"id": event.id, "key": event.key, "n": data.n},
        )

    def create(self) -> None:
        """Make the two schemas, the kernel's tables and the tables of the test."""
        admin = create_engine(self.url)
        with admin.begin() as connection:
            connection.execute(
                text(
                    "DO $$ BEGIN CREATE ROLE palabre_events_reader NOLOGIN; "
                    "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                )
            )
            for schema in (self.source, self.sink):
                connection.execute(text(f"CREATE SCHEMA {schema}"))
                connection.execute(text(f"SET search_path = {schema}, public"))
                create_kernel(connection, schema)
            connection.execute(text(f"CREATE SCHEMA {self.sink}_rebuild"))
            connection.execute(text("CREATE SEQUENCE places"))
            connection.execute(
                text(
                    "CREATE TABLE effects (place int NOT NULL DEFAULT nextval('places'), "
                    "event_id uuid NOT NULL, key text NOT NULL, n int)"
                )
            )
            connection.execute(text(f"SET search_path = {self.source}, public"))
            connection.execute(text("CREATE TABLE counters (key text PRIMARY KEY, n int)"))
            for key in KEYS:
                connection.execute(text("INSERT INTO counters VALUES (:k, 0)"), {"k": key})
        admin.dispose()

    def dispose(self) -> None:
        """Close every connection."""
        self.publisher.dispose()
        self.engine.dispose()

    def publish(self, key: str, *, poison: bool = False, delay: float = 0.0) -> Event:
        """Write the next event of ``key`` in a transaction that takes ``delay`` s to commit."""
        with self.sessions.begin() as session:
            n = session.scalar(
                text("UPDATE counters SET n = n + 1 WHERE key = :k RETURNING n"), {"k": key}
            )
            data = Counted(n=n, poison=poison)
            subject = uuid.uuid5(uuid.NAMESPACE_OID, key)
            made = new_event(self.source, subject, key, n, data)
            outbox.append(session, [made])
            time.sleep(delay)
        return made

    def load(self, count: int, *, writers: int = 8, slowest: float = 0.03) -> None:
        """Publish ``count`` events from concurrent writers, a third of them slow to commit."""
        failures: list[BaseException] = []

        def write(seed: int) -> None:
            dice = random.Random(seed)  # noqa: S311 - to repeat, not to hide
            try:
                for _ in range(count // writers):
                    slow = dice.random() < 1 / 3
                    self.publish(dice.choice(KEYS), delay=dice.random() * slowest * slow)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures

    @contextmanager
    def consuming(self, consumer: Consumer | None = None) -> Iterator[threading.Event]:
        """Run the consumer (and, over Kafka, the relay) in threads; they must stop within 2 s."""
        stop = threading.Event()
        runs = [subscribe(self.settings, self.engine, consumer or self.consumer).run]
        if self.settings.events == "kafka":
            from services.common.events.kafka import Relay

            runs.append(
                Relay(self.publisher, self.source, self.settings.kafka_bootstrap_servers).run
            )
        failures: list[BaseException] = []

        def guarded(run: object) -> None:
            try:
                run(stop)  # type: ignore[operator]
            except BaseException as error:
                failures.append(error)
                traceback.print_exc()  # at once: the test may be waiting for what will not come

        threads = [threading.Thread(target=guarded, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        try:
            yield stop
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)
            assert not failures, failures

    def effects(self) -> dict[str, list[int]]:
        """Return what was applied, by key, in the order it was applied."""
        found: dict[str, list[int]] = {key: [] for key in KEYS}
        with self.engine.connect() as connection:
            for key, n in connection.execute(text("SELECT key, n FROM effects ORDER BY place")):
                found[key].append(n)
        return found

    def published(self) -> dict[str, int]:
        """Return how many events each key has."""
        with self.publisher.connect() as connection:
            rows = connection.execute(text("SELECT key, n FROM counters"))
            return dict(tuple(row) for row in rows)

    def whole(self) -> bool:
        """Tell whether every event was applied, once and in order."""
        published = self.published()
        return self.effects() == {key: list(range(1, n + 1)) for key, n in published.items()}

    def rows(self, sql: str) -> Sequence[tuple[object, ...]]:
        """Query the sink."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def eventually(self, check: object, seconds: float = 30) -> None:
        """Wait until ``check()`` holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if check():  # type: ignore[operator]
                return
            time.sleep(0.05)
        raise AssertionError(
            f"not reached in {seconds} s: published {self.published()}, "
            f"applied { {k: v[-5:] for k, v in self.effects().items()} }"
        )

    def applied(self) -> int:
        """Return how many effects there are."""
        return int(self.rows("SELECT count(*) FROM effects")[0][0])  # type: ignore[call-overload]


def new_world(url: str, transport: str, servers: str) -> World:
    """Make a world with names of its own."""
    name = uuid.uuid4().hex[:10]
    settings = Settings(_env_file=None, events=transport, kafka_bootstrap_servers=servers)
    world = World(url, settings, source=f"src_{name}", sink=f"sink_{name}")
    world.create()
    return world


def child(url: str, transport: str, servers: str, source: str, sink: str, death: str) -> None:
    """Be a consumer process that kills itself (``SIGKILL``) at its first chance in ``death``."""
    settings = Settings(_env_file=None, events=transport, kafka_bootstrap_servers=servers)
    world = World(url, settings, source, sink)
    handle, kill = world.handle, lambda: os.kill(os.getpid(), signal.SIGKILL)
    handled = 0

    def handler(session: Session, met: Event, data: Reader) -> None:
        nonlocal handled
        handle(session, met, data)
        handled += 1
        if death == "in_handler" and handled == 3:
            kill()

    if death == "after_commit":

        @event.listens_for(Session, "after_commit")
        def committed(_: Session) -> None:
            if handled:
                kill()

    consumer = replace(world.consumer, handlers={Counted.event_type: (CountedReader, handler)})
    subscribe(settings, world.engine, consumer).run(threading.Event())


def serve(url: str, servers: str, source: str, sink: str) -> None:
    """Be a process that relays and consumes through Kafka until it is killed."""
    settings = Settings(_env_file=None, events="kafka", kafka_bootstrap_servers=servers)
    with World(url, settings, source, sink).consuming():
        threading.Event().wait()


def relay_child(url: str, servers: str, source: str) -> None:
    """Be a relay that kills itself after its first batch is acknowledged, before it is recorded."""
    from services.common.events import kafka

    world_engine = make_engine(url, search_path=f"{source},public", threads=2)

    class Dying(kafka.TableCursor):
        def advance(self, *_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    relay = kafka.Relay(world_engine, source, servers)
    relay._cursor = Dying(kafka.RELAY_GROUP, source)
    relay.run(threading.Event())


def subject_of(key: str) -> UUID:
    """Return the aggregate that stands for ``key`` in these tests."""
    return uuid.uuid5(uuid.NAMESPACE_OID, key)
