"""Languages of the pages: French first; the catalogues are read as they stand, not compiled."""

from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from fastapi import Request

FOLDER = Path(__file__).parent / "locale"
DOMAIN = "palabre"
#: First is the default. The name of a language is written in that language.
LANGUAGES = {"fr": "Français", "en": "English"}
DEFAULT = "fr"
COOKIE = "langue"


def catalogue(locale: str) -> Path:
    """Return the path of a language's catalogue."""
    return FOLDER / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


@cache
def translations(locale: str) -> NullTranslations:
    """Return the messages of ``locale`` (French for an unknown one); read once a process."""
    path = catalogue(locale if locale in LANGUAGES else DEFAULT)
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=path.parts[-3]))
    compiled.seek(0)
    found: NullTranslations = Translations(compiled, domain=DOMAIN)
    return found


def choose(request: Request) -> str:
    """Return the language picked earlier, else the browser's first that we have, else French."""
    picked = request.cookies.get(COOKIE)
    if picked in LANGUAGES:
        return str(picked)
    wanted = _accepted(request.headers.get("accept-language", ""))
    return negotiate_locale(wanted, list(LANGUAGES), sep="-") or DEFAULT


def _accepted(header: str) -> list[str]:
    """Return the languages of an ``Accept-Language`` header, best first (RFC 9110, 12.5.4)."""
    found: list[tuple[float, str]] = []
    for item in header[:500].split(","):
        name, _, weight = item.strip().partition(";q=")
        try:
            quality = float(weight or 1)
        except ValueError:
            continue
        if name and quality > 0:
            found.append((quality, name.strip()))
    return [name for _, name in sorted(found, key=lambda pair: -pair[0])]
