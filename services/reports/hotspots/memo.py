"""Finished answers, given again for a moment: many people look at the same commune."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

#: How long an answer is given again, and how many are kept (about 1 MB each).
SECONDS = 30.0
SIZE = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer: its bytes, and their ETag."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Answer":
        """Make it of what is to be JSON."""
        body = to_json(content)
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:24]}"')


class Memo:
    """Answers of the last :data:`SECONDS` seconds, the newest few."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        """Return the answer of ``key``, made anew when it is not there or too old."""
        now = time.monotonic()
        with self._lock:
            at, known = self._kept.get(key, (0.0, None))
        if known is not None and now - at < SECONDS:
            return known
        made = make()
        with self._lock:
            self._kept[key] = (now, made)
            self._kept.move_to_end(key)
            while len(self._kept) > SIZE:
                self._kept.popitem(last=False)
        return made
