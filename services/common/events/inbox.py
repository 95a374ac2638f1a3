"""Idempotent consumption: each event's effect happens once, in order per key, or is set aside.

The inbox row, the effect and (embedded) the cursor are one transaction. An undecodable event is a
dead letter at once. A handler that keeps failing makes a dead letter and its key is parked: later
events of the key join it, in order, until ``replay`` drains them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event as Flag
from typing import Protocol

from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from services.common.events.envelope import (
    Event,
    Headers,
    Reader,
    Undecodable,
    from_kafka,
    headers_from_json,
    headers_to_json,
    to_kafka,
)

log = logging.getLogger(__name__)

#: Seconds to wait before each new attempt of a failing handler.
RETRIES = (0.1, 0.5, 2.0)

#: ``handler(session, event, data)``: all its effects go through ``session``.
Handler = Callable[[Session, Event, Reader], None]


@dataclass(frozen=True)
class Consumer:
    """What one service does with events: a reader and a handler per type; other types pass by.

    ``projections`` names the tables that hold nothing but what events said: they can be rebuilt.
    """

    group: str
    sources: tuple[str, ...]
    handlers: Mapping[str, tuple[type[Reader], Handler]]
    projections: tuple[str, ...] = ()
    retries: tuple[float, ...] = field(default=RETRIES)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as a transport met it; ``event`` is None when it could not be read."""

    event: Event | None
    key: str
    headers: Headers
    value: bytes
    source: str
    place: int
    error: str = ""


class HandlerFailed(Exception):
    """A handler raised on ``delivery``; the transaction must be rolled back."""

    def __init__(self, delivery: Delivery, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.delivery = delivery


class CursorMoved(Exception):
    """Another process of the group has handled these deliveries: read again."""


class GroupMoved(Exception):
    """A rebuild switched this group to a new version: start again with it."""


def decode(source: str, place: int, key: bytes | None, headers: Headers, value: bytes) -> Delivery:
    """Read a Kafka record; what cannot be read is kept as it came."""
    raw_key = (key or b"").decode("utf-8", "replace")
    try:
        return Delivery(from_kafka(headers, value), raw_key, headers, value, source, place)
    except Undecodable as error:
        return Delivery(None, raw_key, headers, value, source, place, str(error))


def delivery_of(event: Event, place: int) -> Delivery:
    """Wrap an event read straight from its outbox."""
    return Delivery(event, event.key, [], b"", event.source, place)


_GROUP_LOCK = "hashtextextended('palabre.group.' || :group, 0)"
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_GROUP_LOCK})")
_OWN = text(f"SELECT pg_advisory_xact_lock({_GROUP_LOCK})")
_VERSION = text("SELECT version FROM consumer_groups WHERE name = :group")
_CLAIM = text(
    "INSERT INTO inbox (consumer_group, event_id) SELECT :group, unnest(CAST(:ids AS uuid[])) "
    "ON CONFLICT DO NOTHING RETURNING event_id"
)
_PARKED = text("SELECT key FROM parked_keys WHERE consumer_group = :group")
_PARK = text(
    "INSERT INTO parked_keys (consumer_group, key) VALUES (:group, :key) ON CONFLICT DO NOTHING"
)
_BURY = text(
    "INSERT INTO dead_letters "
    "(consumer_group, event_id, type, source, key, headers, value, reason, error) VALUES "
    "(:group, :event_id, :type, :source, :key, CAST(:headers AS jsonb), :value, :reason, :error)"
)


def versioned(group: str, version: int) -> str:
    """Return the name under which a group's version keeps its inbox, cursor and offsets."""
    return group if version == 1 else f"{group}.v{version}"


def current_version(session: Session, group: str) -> int:
    """Return the group's version (1 until the first rebuild)."""
    return session.scalar(_VERSION, {"group": group}) or 1


def lock_group(session: Session, group: str, *, exclusive: bool) -> None:
    """Hold a versioned group until the transaction ends: consumers share it, replay owns it."""
    session.execute(_OWN if exclusive else _SHARE, {"group": group})


def handle(
    session: Session, consumer: Consumer, version: int, deliveries: Sequence[Delivery]
) -> None:
    """Apply ``deliveries`` in order within the caller's transaction.

    Raises :class:`HandlerFailed` at the first failing handler, :class:`GroupMoved` after a rebuild.
    """
    group = versioned(consumer.group, version)
    ids = [str(d.event.id) for d in deliveries if d.event and d.event.type in consumer.handlers]
    fresh = set(session.scalars(_CLAIM, {"group": group, "ids": ids})) if ids else set()
    parked = set(session.scalars(_PARKED, {"group": group}))
    for delivery in deliveries:
        event = delivery.event
        if event is None:
            bury(session, group, delivery, "undecodable", delivery.error)
            continue
        if event.id not in fresh:
            continue
        fresh.discard(event.id)  # the same id twice in one batch is one event
        if event.key in parked:
            bury(session, group, delivery, "set_aside", "an earlier event of this key failed")
        else:
            try:
                apply(session, consumer, event)
            except Undecodable as error:
                bury(session, group, delivery, "undecodable", str(error))
            except (OperationalError, InterfaceError):
                raise  # the database, not the event: the transport waits and tries again
            except Exception as error:
                raise HandlerFailed(delivery, error) from error


def apply(session: Session, consumer: Consumer, event: Event) -> None:
    """Run the handler of ``event``; :class:`Undecodable` when its reader refuses the data."""
    reader, handler = consumer.handlers[event.type]
    try:
        data = reader.model_validate(event.data)
    except ValidationError as error:
        raise Undecodable(f"{reader.__name__} refuses {event.type}: {error}"[:500]) from error
    handler(session, event, data)


def bury(session: Session, group: str, delivery: Delivery, reason: str, error: str) -> None:
    """Keep ``delivery`` as a dead letter, as it came."""
    headers, value = delivery.headers, delivery.value
    if delivery.event is not None and not headers:
        _, headers, value = to_kafka(delivery.event)
    session.execute(
        _BURY,
        {
            "group": group,
            "event_id": delivery.event.id if delivery.event else None,
            "type": delivery.event.type if delivery.event else None,
            "source": delivery.source,
            "key": delivery.key.replace("\x00", ""),
            "headers": headers_to_json(headers),
            "value": value,
            "reason": reason,
            "error": error[:1000].replace("\x00", ""),
        },
    )
    log.error("dead letter in group %s: %s %s", group, reason, delivery.event and delivery.event.id)


class Cursor(Protocol):
    """Where a transport keeps how far it has read, inside the consumer's transaction or outside."""

    def enter(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Start the transaction that handles ``deliveries``; may raise :class:`CursorMoved`."""

    def advance(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Record in the same transaction that ``deliveries`` are done."""


def process(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    version: int,
    deliveries: Sequence[Delivery],
    *,
    cursor: Cursor,
    stop: Flag,
) -> int:
    """Apply a batch in one transaction; when a handler fails, one event a transaction with retries.

    Returns how many deliveries are done (fewer than given only when ``stop`` was set).
    """
    try:
        _transaction(sessions, consumer, version, deliveries, cursor)
        return len(deliveries)
    except HandlerFailed as failure:
        log.warning("batch of %d falls back to single events: %s", len(deliveries), failure)
    for done, delivery in enumerate(deliveries):
        for wait in (*consumer.retries, None):
            try:
                _transaction(sessions, consumer, version, [delivery], cursor)
                break
            except HandlerFailed as failure:
                if wait is None:
                    _give_up(sessions, consumer, version, delivery, cursor, str(failure))
                elif stop.wait(wait):
                    return done
    return len(deliveries)


def _transaction(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    version: int,
    deliveries: Sequence[Delivery],
    cursor: Cursor,
) -> None:
    with sessions.begin() as session:
        _enter(session, consumer.group, version)
        cursor.enter(session, deliveries)
        handle(session, consumer, version, deliveries)
        cursor.advance(session, deliveries)


def _enter(session: Session, group: str, version: int) -> None:
    lock_group(session, versioned(group, version), exclusive=False)
    if current_version(session, group) > version:
        raise GroupMoved(group)


def _give_up(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    version: int,
    delivery: Delivery,
    cursor: Cursor,
    error: str,
) -> None:
    group = versioned(consumer.group, version)
    with sessions.begin() as session:
        _enter(session, consumer.group, version)
        cursor.enter(session, [delivery])
        assert delivery.event is not None  # noqa: S101 - only a handler can fail
        if session.scalars(_CLAIM, {"group": group, "ids": [str(delivery.event.id)]}).first():
            bury(session, group, delivery, "failed", error)
            session.execute(_PARK, {"group": group, "key": delivery.event.key})
        cursor.advance(session, [delivery])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of the list that an operator reads."""

    id: int
    consumer_group: str
    key: str
    type: str | None
    event_id: str | None
    reason: str
    error: str
    created_at: datetime


def dead_letters(session: Session) -> list[DeadLetter]:
    """Return the dead letters not replayed yet, oldest first."""
    rows = session.execute(
        text(
            "SELECT id, consumer_group, key, type, event_id::text, reason, error, created_at "
            "FROM dead_letters WHERE replayed_at IS NULL ORDER BY id"
        )
    )
    return [DeadLetter(*row) for row in rows]


def replay(sessions: sessionmaker[Session], consumer: Consumer, key: str) -> int:
    """Apply the dead letters of ``key`` in order and un-park it, all or nothing; return how many.

    Raises what a handler raises: the key then stays parked, nothing changed. What still cannot be
    read stays a dead letter.
    """
    with sessions.begin() as session:
        group = versioned(consumer.group, current_version(session, consumer.group))
        lock_group(session, group, exclusive=True)
        rows = session.execute(
            text(
                "SELECT id, headers, value FROM dead_letters WHERE consumer_group = :group "
                "AND key = :key AND replayed_at IS NULL ORDER BY id FOR UPDATE"
            ),
            {"group": group, "key": key},
        ).all()
        done = []
        for letter, headers, value in rows:
            try:
                event = from_kafka(headers_from_json(headers), bytes(value))
                session.execute(_CLAIM, {"group": group, "ids": [str(event.id)]})
                if event.type in consumer.handlers:
                    apply(session, consumer, event)
            except Undecodable:
                continue  # stays a dead letter, and holds nothing back
            done.append(letter)
        session.execute(
            text("UPDATE dead_letters SET replayed_at = :now WHERE id = ANY(:ids)"),
            {"now": datetime.now(UTC), "ids": done},
        )
        session.execute(
            text("DELETE FROM parked_keys WHERE consumer_group = :group AND key = :key"),
            {"group": group, "key": key},
        )
    return len(done)


def is_transient(error: BaseException) -> bool:
    """Tell whether the database, not the event, is at fault (connection lost, lock, shutdown)."""
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
