"""What every page uses: templates, redirects, money and dates.

``render`` gives a template: ``request``, ``person`` (:class:`gateway.session.Person` or None),
``csrf_token`` (put it in a hidden field of every form), ``new_key()`` (a fresh Idempotency-Key),
``locale``, ``_`` and ``{% trans %}``, ``asset(path)``, ``now``, ``money``, ``day``, ``moment``,
``can(permission, commune)``; and None for ``commune``, ``map`` and ``nav`` unless a page has one.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import jinja2
from babel import dates
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway import i18n, labels, session

HERE = Path(__file__).parent
STATIC = HERE / "static"
TIMEZONE = ZoneInfo("Africa/Porto-Novo")
NARROW = "\u202f"

Time = datetime | date | str


@cache
def templates(locale: str) -> jinja2.Environment:
    """Return the environment of one language."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.policies["ext.i18n.trimmed"] = True
    found.install_gettext_translations(  # type: ignore[attr-defined] # added by the extension
        i18n.translations(locale), newstyle=True
    )
    found.globals.update(
        locale=locale,
        asset=asset,
        money=money,
        day=lambda time: day(time, locale),
        moment=lambda time: moment(time, locale),
        labels=labels,
        languages=i18n.LANGUAGES,
        new_key=lambda: str(uuid4()),
        # What a page may leave out: its commune, its place in the menus, a map, a flash.
        **dict.fromkeys(("commune", "map", "notice")),
        nav="",
        places={},
    )
    return found


def render(request: Request, name: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return the page that template ``name`` makes of ``context``."""
    who = session.person(request)
    shared = {
        "request": request,
        "person": who,
        "can": lambda permission, commune: who is not None and who.can(permission, commune),
        "desk_of": lambda commune: session.desk_of(who, commune),
        "csrf_token": session.csrf_token(request),
        "now": datetime.now(TIMEZONE),
    }
    template = templates(i18n.choose(request)).get_template(name)
    return HTMLResponse(template.render(shared | context), status)


def gettext(request: Request) -> Callable[[str], str]:
    """Return ``_`` of the request's language, for messages made in Python."""
    return i18n.translations(i18n.choose(request)).gettext


def redirect(path: str) -> RedirectResponse:
    """Lead to ``path`` with 303; to ``/`` when it is not a path of this site."""
    return RedirectResponse(path if is_local(path) else "/", 303)


def is_local(path: str) -> bool:
    """Tell whether ``path`` stays on this site, however a browser reads it."""
    plain = all(c > " " and c != "\\" and c != "\x7f" for c in path)
    return plain and path.startswith("/") and not path.startswith("//") and len(path) < 2000


def asset(path: str) -> str:
    """Return the address of a static file, with its content's hash: it may be kept for ever."""
    return f"/static/{path}?v={fingerprint(STATIC / path)}"


def fingerprint(file: Path) -> str:
    """Return a short hash of a file's content, read again only when the file changed."""
    return _fingerprint(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=500)
def _fingerprint(file: Path, _changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def money(amount: int) -> str:
    """Return e.g. ``12 500 000 F CFA``, with narrow no-break spaces."""
    return f"{amount:,}".replace(",", NARROW) + f"{NARROW}F{NARROW}CFA"


def day(time: Time | None, locale: str = i18n.DEFAULT) -> str:
    """Return the date in Bénin, in words; empty for None. ``time`` may be ISO 8601 text."""
    return (
        _first(dates.format_date(_local(time), "d MMMM y", locale=locale), locale) if time else ""
    )


def moment(time: Time | None, locale: str = i18n.DEFAULT) -> str:
    """Return the date and the hour in Bénin; empty for None."""
    if not time:
        return ""
    written = dates.format_datetime(_local(time), "d MMMM y, HH:mm", TIMEZONE, locale=locale)
    return _first(written, locale)


def _first(written: str, locale: str) -> str:
    """Write the first of a month as French does."""
    return f"1er{written[1:]}" if locale == "fr" and written.startswith("1 ") else written


def _local(time: Time) -> date | datetime:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(TIMEZONE)
    return time
