"""What is done again and again beside a process's own work: forgetting, following a calendar."""

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from services.common import idempotency, rates

log = logging.getLogger(__name__)

INTERVAL = 3600.0

#: One transaction; several processes may run it at once.
Chore = Callable[[Session], object]
#: Every service forgets these.
KERNEL: tuple[Chore, ...] = (idempotency.purge, rates.purge)


class Housekeeper:
    """Runs chores at start and every ``interval`` seconds until stopped."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        chores: Sequence[Chore],
        interval: float = INTERVAL,
    ) -> None:
        self._sessions = sessions
        self._chores = chores
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chore at hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for chore in self._chores:
                self._do(chore)
            self._stop.wait(self._interval)

    def _do(self, chore: Chore) -> None:
        try:
            with self._sessions.begin() as session:
                chore(session)
        except SQLAlchemyError as error:  # tried again the next time
            log.warning("a chore failed: %s", type(error).__name__)
