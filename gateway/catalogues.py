"""Keep the catalogues complete: ``python -m gateway.catalogues`` after changing a page.

French is what templates and pages are written in, so its entries are made: the same words with
the spaces and apostrophes of French typography. A new entry of another language is left empty, and
the tests refuse that.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from gateway.i18n import DEFAULT, LANGUAGES, catalogue

HERE = Path(__file__).parent
#: What is read for messages, and how.
SOURCES = [("labels.py", "python"), ("pages/**.py", "python"), ("templates/**.html", "jinja2")]
#: Functions that mark a message: `N_` in tables whose text is translated where it is shown.
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
#: A fixed date: a catalogue changes only when a message does.
WRITTEN = datetime(2026, 11, 22, tzinfo=UTC)

#: A message: its one form, or its singular and plural.
Text = str | tuple[str, ...] | list[str]


def extract() -> Catalog:
    """Return the messages that the pages use."""
    template = Catalog(project="Palabre", charset="utf-8")
    found = extract_from_dir(HERE, SOURCES, OPTIONS, KEYWORDS)
    for path, line, message, _, _ in found:
        template.add(message, locations=[(path, line)])
    return template


def read(locale: str) -> Catalog:
    """Return a language's catalogue as it stands in the tree."""
    with catalogue(locale).open("rb") as file:
        return read_po(file, locale=locale)


def update(locale: str, template: Catalog) -> int:
    """Bring a catalogue in step with ``template``; return how many entries are left empty."""
    path = catalogue(locale)
    known = read(locale) if path.exists() else Catalog(locale=locale, project="Palabre")
    known.update(template, no_fuzzy_matching=True)
    known.obsolete.clear()
    known.fuzzy = False
    known.header_comment = f"# Palabre, pages: {LANGUAGES[locale]}."
    known.creation_date = WRITTEN
    empty = 0
    for message in known:
        if message.id and locale == DEFAULT:
            message.string = _typeset(message.id)
        if message.id and not all(_forms(message.string)):
            empty += 1
        message.locations = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, known, width=98, sort_output=True, omit_header=False)
    return empty


def _typeset(text: Text) -> str | tuple[str, ...]:
    """Return French with ’ and with the spaces that keep « », ; ! ? and : on their line."""
    if not isinstance(text, str):
        return tuple(str(_typeset(part)) for part in text)
    text = re.sub(r" ([;!?»])", "\u202f\\1", text.replace("'", "’").replace("« ", "«\u202f"))
    return text.replace(" :", "\u00a0:").replace("F CFA", "F\u202fCFA")


def _forms(string: Text | None) -> tuple[str, ...]:
    return (string or "",) if isinstance(string, str | None) else tuple(string)


if __name__ == "__main__":
    for name in LANGUAGES:
        messages = extract()  # each catalogue takes the messages themselves
        print(f"{name}: {len(messages)} messages, {update(name, messages)} to translate")
