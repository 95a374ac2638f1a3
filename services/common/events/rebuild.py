"""Rebuild projections from the whole log: a new group fills shadow tables, then they swap.

Readers see the old tables until the swap, then the new ones; the live consumer goes on with the
new group's cursor, so no event is missed or applied twice.
"""

import logging
import time
from threading import Event as Flag
from threading import Thread

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import sessionmaker

from services.common.db import make_engine
from services.common.events import outbox
from services.common.events.inbox import Consumer, current_version, lock_group, versioned
from services.common.events.subscription import subscribe
from services.common.settings import Settings

log = logging.getLogger(__name__)


def rebuild(settings: Settings, engine: Engine, consumer: Consumer, schema: str) -> int:
    """Rebuild ``consumer.projections`` of ``schema``; return the group's new version.

    Needs a schema ``<schema>_rebuild`` that the role owns. Raises ``ValueError`` when the consumer
    has no projections: its tables hold more than events said.
    """
    if not consumer.projections:
        raise ValueError(f"{consumer.group} has no projections to rebuild")
    shadow = f"{schema}_rebuild"
    with engine.begin() as connection:
        version = (
            connection.scalar(
                text("SELECT version FROM consumer_groups WHERE name = :g"), {"g": consumer.group}
            )
            or 1
        )
        _create_shadow(connection, consumer, schema, shadow)
        _forget(connection, versioned(consumer.group, version + 1))
    url = engine.url.render_as_string(hide_password=False)
    shadow_engine = make_engine(url, search_path=f"{shadow},{schema},public", threads=4)
    stop = Flag()
    worker = Thread(
        target=subscribe(settings, shadow_engine, consumer, version=version + 1).run, args=(stop,)
    )
    worker.start()
    try:
        _wait_caught_up(engine, consumer, version + 1, worker)
        sessions = sessionmaker(engine)
        with sessions.begin() as session:
            lock_group(session, versioned(consumer.group, version), exclusive=True)
            _wait_caught_up(engine, consumer, version + 1, worker)
            stop.set()
            worker.join()
            assert current_version(session, consumer.group) == version  # noqa: S101
            _swap(session.connection(), consumer, schema, shadow, version + 1)
    finally:
        stop.set()
        worker.join()
        shadow_engine.dispose()
    return version + 1


def _create_shadow(connection: Connection, consumer: Consumer, schema: str, shadow: str) -> None:
    for table in consumer.projections:
        connection.execute(text(f"DROP TABLE IF EXISTS {shadow}.{table} CASCADE"))
        connection.execute(
            text(f"CREATE TABLE {shadow}.{table} (LIKE {schema}.{table} INCLUDING ALL)")
        )


def _forget(connection: Connection, group: str) -> None:
    for table in ("inbox", "subscription_cursors", "dead_letters", "parked_keys"):
        connection.execute(
            text(f"DELETE FROM {table} WHERE consumer_group = :g"),  # noqa: S608
            {"g": group},
        )


def _wait_caught_up(engine: Engine, consumer: Consumer, version: int, worker: Thread) -> None:
    """Wait until the group has met every event that is in the outboxes now."""
    group = versioned(consumer.group, version)
    wanted = {source: outbox.safe_position(engine, source, 0) for source in consumer.sources}
    types = list(consumer.handlers)
    while worker.is_alive():
        with engine.connect() as connection:
            missing = sum(
                connection.scalar(
                    text(
                        f"SELECT count(*) FROM {source}.outbox o "  # noqa: S608
                        "WHERE o.position <= :upto AND o.type = ANY(:types) AND NOT EXISTS (SELECT "
                        "FROM inbox i WHERE i.consumer_group = :group AND i.event_id = o.id)"
                    ),
                    {"upto": upto, "types": types, "group": group},
                )
                for source, upto in wanted.items()
            )
        if not missing:
            return
        time.sleep(0.2)
    raise RuntimeError("the rebuilding consumer ended early")


def _swap(
    connection: Connection, consumer: Consumer, schema: str, shadow: str, version: int
) -> None:
    for table in consumer.projections:
        connection.execute(text(f"DROP TABLE {schema}.{table}"))
        connection.execute(text(f"ALTER TABLE {shadow}.{table} SET SCHEMA {schema}"))
    connection.execute(
        text(
            "INSERT INTO consumer_groups (name, version) VALUES (:name, :version) "
            "ON CONFLICT (name) DO UPDATE SET version = excluded.version"
        ),
        {"name": consumer.group, "version": version},
    )
    log.info("group %s rebuilt as version %d", consumer.group, version)
