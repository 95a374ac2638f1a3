"""Transactional outbox: events are rows of the transaction that caused them.

No event is lost to a late commit: writers hold an advisory lock *shared* while they take
positions and commit; a reader takes it *exclusive* for an instant, when no position is in flight,
to learn the highest one, and reads up to there. ADR 0003 says why.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.common.events.envelope import Event

_LOCK = "hashtextextended('palabre.outbox.' || :source, 0)"
# Its own statement, before any position is drawn: inside the INSERT the order is not promised.
_HOLD = text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
_APPEND = text(
    "INSERT INTO outbox (id, source, type, time, subject, key, sequence, traceparent, payload) "
    "VALUES (:id, :source, :type, :time, :subject, :key, :sequence, :traceparent, :payload)"
)
_COLUMNS = "position, id, source, type, time, subject, key, sequence, traceparent, payload"


@dataclass(frozen=True, slots=True)
class Positioned:
    """An event and its place in its source's outbox."""

    position: int
    event: Event


def append(session: Session, events: Sequence[Event]) -> None:
    """Write ``events`` last in the caller's transaction, all of one source.

    The caller has locked each aggregate's row before it allotted the sequence.
    """
    if not events:
        return
    session.flush()
    hold(session, events[0].source)
    session.execute(
        _APPEND,
        [
            {
                "id": e.id,
                "source": e.source,
                "type": e.type,
                "time": e.time,
                "subject": e.subject,
                "key": e.key,
                "sequence": e.sequence,
                "traceparent": e.traceparent,
                "payload": json.dumps(e.data, ensure_ascii=False),
            }
            for e in events
        ],
    )


def hold(session: Session, source: str) -> None:
    """Take the writers' shared lock until the transaction ends."""
    session.execute(_HOLD, {"source": source})


def safe_position(engine: Engine, source: str, after: int) -> int:
    """Return a position up to which every event is visible, 0 or ``after`` when nothing is new.

    Looks without the lock first: an idle reader never makes a writer wait.
    """
    newest = text(f"SELECT coalesce(max(position), 0) FROM {source}.outbox")  # noqa: S608
    with engine.connect() as connection:
        if connection.scalar(newest) <= after:
            return after
        connection.rollback()
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"), {"source": source})
        # A new statement: it sees every commit that released the lock.
        position: int = connection.scalar(newest)
        connection.rollback()
    return position


def read(
    session: Session, source: str, *, after: int, upto: int, limit: int = 500
) -> list[Positioned]:
    """Return the events with ``after < position <= upto``, in order."""
    rows = session.execute(
        text(
            f"SELECT {_COLUMNS} FROM {source}.outbox "  # noqa: S608 - a name from our own table
            "WHERE position > :after AND position <= :upto ORDER BY position LIMIT :limit"
        ),
        {"after": after, "upto": upto, "limit": limit},
    )
    return [Positioned(row.position, _event(row)) for row in rows]


def _event(row: Any) -> Event:
    return Event(
        id=row.id,
        source=row.source,
        type=row.type,
        time=row.time,
        subject=row.subject,
        key=row.key,
        sequence=row.sequence,
        traceparent=row.traceparent,
        data=row.payload,
    )
