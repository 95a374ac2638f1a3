"""Pages for paper: HTML of our own made into PDF, one at a time, and kept.

Rendering is work for a processor, not for the network: some hundredths of a second a project. A
document is known by what it says: the same HTML and style are rendered once.
"""

import hashlib
import re
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import NoReturn

from markupsafe import Markup

from gateway.web import STATIC, fingerprint
from services.common.problems import Unavailable

STYLE = STATIC / "css" / "print.css"
SPRITE = STATIC / "vendor" / "icons.svg"
#: How many documents are kept; how many readers wait at once, and how long each of them, seconds.
KEPT = 20
WAITING = 6
PATIENCE = 20.0


class Busy(Unavailable):
    """Many documents are being made now; try again in a moment."""

    code = "busy"


class Press:
    """Renders documents one after the other and keeps the last ones asked for."""

    def __init__(
        self, kept: int = KEPT, waiting: int = WAITING, patience: float = PATIENCE
    ) -> None:
        self._most = kept
        self._patience = patience
        self._room = threading.BoundedSemaphore(waiting)
        self._turn = threading.Lock()
        self._shelf = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], tuple[str, bytes]] = OrderedDict()

    def pdf(self, key: tuple[str, ...], html: str) -> bytes:
        """Return ``html`` as PDF; one document is kept for each ``key``.

        :class:`Busy` when too many wait, or those before this one take too long.
        """
        wanted = version(html)
        found = self._find(key, wanted)
        if found is not None:
            return found
        if not self._room.acquire(blocking=False):
            raise Busy
        try:
            return self._make(key, wanted, html)
        finally:
            self._room.release()

    def _make(self, key: tuple[str, ...], wanted: str, html: str) -> bytes:
        if not self._turn.acquire(timeout=self._patience):
            raise Busy
        try:
            made = self._find(key, wanted)
            if made is None:  # nobody made it meanwhile
                made = render(html)
                self._keep(key, wanted, made)
            return made
        finally:
            self._turn.release()

    def _find(self, key: tuple[str, ...], wanted: str) -> bytes | None:
        with self._shelf:
            known = self._kept.get(key)
            if known is None or known[0] != wanted:
                return None
            self._kept.move_to_end(key)
            return known[1]

    def _keep(self, key: tuple[str, ...], wanted: str, made: bytes) -> None:
        with self._shelf:
            self._kept[key] = (wanted, made)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def version(html: str) -> str:
    """Return the hash of what a document says and how it looks."""
    return hashlib.sha256(f"{fingerprint(STYLE)}{html}".encode()).hexdigest()[:32]


def render(html: str) -> bytes:
    """Return ``html`` as PDF in the style of ``css/print.css``; nothing is fetched for it."""
    import weasyprint  # type: ignore[import-untyped] # half a second, and only for this

    class Closed(weasyprint.URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: object = None) -> NoReturn:  # noqa: ARG002
            raise ValueError(f"A document refers to nothing outside of itself: {url}")

    closed = Closed()
    style = weasyprint.CSS(string=STYLE.read_text(encoding="utf-8"), url_fetcher=closed)
    document = weasyprint.HTML(string=html, url_fetcher=closed)
    made: bytes = document.write_pdf(stylesheets=[style])
    return made


def drawn(icon: str) -> Markup:
    """Return an icon of the sprite as an SVG of its own, for what cannot refer to another file."""
    return Markup(  # noqa: S704 - from our own file
        '<svg class="sign" viewBox="0 0 24 24" fill="none" stroke="#000" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{_shapes(icon, fingerprint(SPRITE))}</svg>'
    )


@lru_cache(maxsize=200)
def _shapes(icon: str, _version: str) -> str:
    found = re.search(
        rf'<symbol id="icon-{re.escape(icon)}"[^>]*>(.*?)</symbol>',
        SPRITE.read_text(encoding="utf-8"),
        re.S,
    )
    if found is None:
        raise LookupError(icon)
    return found[1]
