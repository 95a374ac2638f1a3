"""The transport without a broker: consumers read the outbox tables straight, by cursor."""

import logging
from collections.abc import Sequence
from threading import Event as Flag

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.events import outbox
from services.common.events.inbox import (
    Consumer,
    CursorMoved,
    Delivery,
    GroupMoved,
    current_version,
    delivery_of,
    is_transient,
    process,
    versioned,
)

log = logging.getLogger(__name__)

BATCH = 500
#: Seconds between looks at an idle outbox: well under the 2 s in which a pin must be on the map.
POLL = 0.25

_OPEN = text(
    "INSERT INTO subscription_cursors (consumer_group, source, position) "
    "VALUES (:group, :source, 0) ON CONFLICT DO NOTHING"
)
_POSITION = text(
    "SELECT position FROM subscription_cursors WHERE consumer_group = :group AND source = :source"
)
_LOCK = text(f"{_POSITION.text} FOR UPDATE")
_MOVE = text(
    "UPDATE subscription_cursors SET position = :position, moved_at = now() "
    "WHERE consumer_group = :group AND source = :source"
)


class TableCursor:
    """A ``(group, source)`` row, locked while a batch is handled and moved with it."""

    def __init__(self, group: str, source: str) -> None:
        self._ids = {"group": group, "source": source}

    def enter(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Lock the row; :class:`CursorMoved` when it already passed the first delivery."""
        if session.scalar(_LOCK, self._ids) >= deliveries[0].place:
            raise CursorMoved

    def advance(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Move the row to the last delivery."""
        session.execute(_MOVE, {**self._ids, "position": deliveries[-1].place})

    def open(self, session: Session) -> int:
        """Create the row if need be and return its position."""
        session.execute(_OPEN, self._ids)
        position: int = session.scalar(_POSITION, self._ids)
        return position


class EmbeddedSubscription:
    """A consumer group over outbox tables of the same database."""

    def __init__(
        self, engine: Engine, consumer: Consumer, *, version: int | None = None, poll: float = POLL
    ) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._consumer = consumer
        self._fixed = version
        self._poll = poll
        newest = (f"(SELECT max(position) FROM {s}.outbox)" for s in consumer.sources)  # noqa: S608
        self._newest = text(f"SELECT {', '.join(newest)}")
        self._met: dict[str, int] = {}

    def run(self, stop: Flag) -> None:
        """Handle events until ``stop`` is set; survives a database that comes and goes."""
        pause = self._poll
        while not stop.is_set():
            try:
                busy = self.drain(stop)
                pause = self._poll
            except (CursorMoved, GroupMoved):
                self._met.clear()
                continue
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("group %s waits: %s", self._consumer.group, type(error).__name__)
                busy, pause = False, min(pause * 2, 5.0)
            if not busy:
                stop.wait(pause)

    def drain(self, stop: Flag) -> bool:
        """Handle at most one batch of each source; tell whether there was any event."""
        behind = self._behind()
        if not behind:
            return False
        with self._sessions.begin() as session:
            version = self._fixed or current_version(session, self._consumer.group)
        for source in behind:
            self._drain_source(source, version, stop)
        return True

    def _behind(self) -> list[str]:
        """Return the sources that hold something beyond what this process met: one cheap query."""
        with self._engine.connect() as connection:
            newest = connection.execute(self._newest).one()
        return [
            source
            for source, position in zip(self._consumer.sources, newest, strict=True)
            if (position or 0) > self._met.get(source, -1)
        ]

    def _drain_source(self, source: str, version: int, stop: Flag) -> None:
        self._met.pop(source, None)
        cursor = TableCursor(versioned(self._consumer.group, version), source)
        with self._sessions.begin() as session:
            position = cursor.open(session)
        safe = outbox.safe_position(self._engine, source, position)
        with self._sessions.begin() as session:
            rows = outbox.read(session, source, after=position, upto=safe, limit=BATCH)
        deliveries = [delivery_of(row.event, row.position) for row in rows]
        if deliveries:
            process(self._sessions, self._consumer, version, deliveries, cursor=cursor, stop=stop)
        if len(rows) < BATCH and not stop.is_set():
            self._met[source] = safe
