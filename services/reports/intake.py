"""New reports that arrive together are stored together: one statement, one commit for them all.

Each request waits for the commit that holds its row. While one batch is written the next one
gathers, so a busy moment costs fewer commits a report, and a quiet one waits for nobody.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from services.common.ids import new_ref
from services.reports import repository
from services.reports.repository import NewRow

log = logging.getLogger(__name__)

#: Rows of one statement at most.
MOST = 200
#: Batches under way at once: while one waits for the disk another may be computed.
WRITERS = 2
#: Seconds after which an idle writer's thread ends.
IDLE = 5.0
_TRIES = 3

Item = tuple[NewRow, asyncio.AbstractEventLoop, "asyncio.Future[Row[Any]]"]


class Intake:
    """Stores rows from any number of coroutines."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._writers = 0

    async def store(self, row: NewRow) -> Row[Any]:
        """Return what :func:`repository.insert_reports` says of ``row``, once it is committed."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Row[Any]] = loop.create_future()
        self._waiting.put((row, loop, done))
        with self._lock:
            if self._writers < WRITERS:
                self._writers += 1
                threading.Thread(target=self._write, name="intake", daemon=True).start()
        return await done

    def _write(self) -> None:
        held: list[Item] = []
        while True:
            batch = held or self._next()
            if not batch:
                with self._lock:
                    if self._waiting.empty():
                        self._writers -= 1
                        return
                continue
            batch, held = _apart(batch)
            self._answer(batch)

    def _next(self) -> list[Item]:
        found: list[Item] = []
        with suppress(queue.Empty):
            found.append(self._waiting.get(timeout=IDLE))
            while len(found) < MOST:
                found.append(self._waiting.get_nowait())
        return found

    def _answer(self, batch: Sequence[Item]) -> None:
        answers = self._stored([row for row, _, _ in batch])
        by_loop: dict[asyncio.AbstractEventLoop, list[Any]] = {}
        for (_, loop, done), answer in zip(batch, answers, strict=True):
            by_loop.setdefault(loop, []).append((done, answer))
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # the loop is closed: nobody waits any more
                log.warning("%d answers came after the end", len(settled))

    def _stored(self, rows: Sequence[NewRow]) -> Sequence[Row[Any] | Exception]:
        """Store together; what cannot be is tried alone, so that one row spoils no other's."""
        try:
            with self._sessions.begin() as session:
                return repository.insert_reports(session, rows)
        except IntegrityError:
            return [self._alone(row) for row in rows]
        except Exception as error:
            return [error] * len(rows)

    def _alone(self, row: NewRow) -> Row[Any] | Exception:
        failed: Exception
        for _ in range(_TRIES):
            try:
                with self._sessions.begin() as session:
                    return repository.insert_reports(session, [row])[0]
            except IntegrityError as error:
                failed = error
                row = replace(row, ref=new_ref("S", 7))
            except Exception as error:
                return error
        return failed


def _apart(batch: list[Item]) -> tuple[list[Item], list[Item]]:
    """Split off rows whose Idempotency-Key another row of the batch has: their turn is after."""
    met: set[tuple[Any, str]] = set()
    now: list[Item] = []
    later: list[Item] = []
    for item in batch:
        claim = (item[0].key, item[0].scope)
        (later if claim[0] is not None and claim in met else now).append(item)
        met.add(claim)
    return now, later


def _settle(settled: Sequence[tuple["asyncio.Future[Row[Any]]", Row[Any] | Exception]]) -> None:
    for done, answer in settled:
        if done.cancelled():
            continue
        if isinstance(answer, Exception):
            done.set_exception(answer)
        else:
            done.set_result(answer)
