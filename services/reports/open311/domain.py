"""What Open311 asks for each category, and how its parameters are read: pure rules.

Source: GeoReport v2 and its service discovery, open311.org. What cannot be read is a ``ValueError``
whose words are safe to show.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from services.reports.domain import OPEN, STATUSES, Status

SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
#: When categories or attributes last changed (discovery): clients fetch them anew after it.
CHANGESET = "2026-11-24T20:00:00+01:00"
TIMEZONE = ZoneInfo("Africa/Porto-Novo")

#: The longest span of time that one question may cover, and how many reports it gets at once.
WINDOW = timedelta(days=90)
PAGE = 1_000
#: How far down a list pages lead; beyond, a narrower window is asked for.
DEEPEST = 10_000
MAX_IDS = 1_000
MAX_RADIUS_M = 10_000
#: What one client may send in an hour.
REQUESTS_PER_HOUR = 1_000
#: Bytes of a form without files, and of one with; fields of a form; characters of a text.
FORM_BYTES = 256 * 1024
MULTIPART_BYTES = 25 * 1024 * 1024
MAX_FIELDS = 200
MAX_STRING = 200
MAX_TEXT = 2_000
MAX_URL = 2_000

#: Every jurisdiction: a client of the whole country.
EVERYWHERE = "*"
TEST_PREFIX = "TEST-"

State = Literal["open", "closed"]
STATES: Mapping[State, tuple[Status, ...]] = {
    "open": tuple(status for status in STATUSES if status in OPEN),
    "closed": tuple(status for status in STATUSES if status not in OPEN),
}

Datatype = Literal["string", "number", "datetime", "text", "singlevaluelist", "multivaluelist"]
Answer = str | int | float | list[str]

#: What helps a person to fill in a field, by datatype.
HELP: Mapping[Datatype, str] = {
    "string": "Quelques mots, sur une ligne",
    "number": "Un nombre",
    "datetime": "Une date, avec l'heure si elle est connue",
    "text": "Quelques phrases",
    "singlevaluelist": "Un choix dans la liste",
    "multivaluelist": "Un ou plusieurs choix dans la liste",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A question that a service asks besides the description; ``values`` maps keys to names.

    One that is not ``variable`` only tells something.
    """

    code: str
    datatype: Datatype
    description: str
    required: bool = False
    variable: bool = True
    values: Mapping[str, str] = field(default_factory=dict)


_DANGER = "Un câble à nu ou tombé tue : n'y touchez pas, éloignez les enfants et prévenez la SBEE."

#: Category → its questions, in display order. After a change, CHANGESET moves too.
ATTRIBUTES: Mapping[str, Sequence[Attribute]] = {
    "waste": (
        Attribute("kind", "multivaluelist", "Quelles sortes de déchets ?", values={
            "household": "Ordures ménagères",
            "plastic": "Plastiques",
            "rubble": "Gravats",
            "plants": "Déchets de plantes",
            "carcass": "Animal mort",
            "hazardous": "Huiles, piles, déchets de soins",
        }),
        Attribute("size", "singlevaluelist", "Quelle quantité ?", values={
            "bag": "Un sac",
            "barrow": "Une brouette",
            "cart": "Une charrette",
            "truck": "Un camion ou plus",
        }),
    ),
    "lighting": (
        Attribute("danger", "text", _DANGER, variable=False),
        Attribute("pole", "string", "Numéro peint sur le poteau, s'il y en a un"),
        Attribute("lamps", "number", "Nombre de lampes éteintes"),
        Attribute("fault", "singlevaluelist", "Que fait la lampe ?", values={
            "off": "Éteinte",
            "day": "Allumée le jour",
            "blinking": "Clignote",
            "broken": "Cassée ou tombée",
        }),
    ),
    "roads": (
        Attribute("passable", "singlevaluelist", "Peut-on encore passer ?", values={
            "yes": "Oui",
            "motorcycle": "À moto ou à pied seulement",
            "no": "Non",
        }),
    ),
    "drainage": (
        Attribute("houses", "number", "Nombre de maisons inondées"),
        Attribute("since", "datetime", "Depuis quand l'eau est-elle là ?"),
    ),
    "water": (
        Attribute("source", "singlevaluelist", "Quel point d'eau ?", values={
            "tap": "Robinet ou réseau",
            "standpipe": "Borne-fontaine",
            "pump": "Pompe ou forage",
            "well": "Puits",
        }),
        Attribute("since", "datetime", "Depuis quand ?"),
        Attribute("detail", "text", "Goût, couleur, ce qui est cassé"),
    ),
    "buildings": (
        Attribute("building", "singlevaluelist", "Quel bâtiment ?", required=True, values={
            "school": "École",
            "health": "Centre de santé",
            "latrines": "Latrines publiques",
            "office": "Bureau de la mairie ou de l'arrondissement",
            "other": "Autre",
        }),
        Attribute("name", "string", "Nom du bâtiment"),
    ),
}  # fmt: skip


def attributes_of(category: str) -> Sequence[Attribute]:
    """Return a category's questions, none for one that asks nothing."""
    return ATTRIBUTES.get(category, ())


def check_attributes(
    category: str, given: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Answer], list[tuple[str, str]]]:
    """Return the answers to a category's questions, and ``(code, what is wrong)`` of the others."""
    asked = {a.code: a for a in attributes_of(category) if a.variable}
    answers: dict[str, Answer] = {}
    wrong = [(code, f"{category} has no such attribute") for code in given if code not in asked]
    for code, attribute in asked.items():
        if code not in given:
            if attribute.required:
                wrong.append((code, f"required for {category}"))
            continue
        try:
            answers[code] = read_answer(attribute, given[code])
        except ValueError as error:
            wrong.append((code, str(error)))
    return answers, wrong


def read_answer(attribute: Attribute, given: Sequence[str]) -> Answer:
    """Return the typed answer to a question."""
    if attribute.values:
        unknown = [key for key in given if key not in attribute.values]
        if unknown:
            raise ValueError(f"one of {', '.join(attribute.values)}")
    if attribute.datatype == "multivaluelist":
        return list(dict.fromkeys(given))
    if len(given) > 1:
        raise ValueError("one value only")
    (value,) = given
    match attribute.datatype:
        case "number":
            return read_number(value)
        case "datetime":
            return read_moment(value).isoformat()
        case "text":
            return read_text(value, MAX_TEXT)
        case _:
            return read_line(value)


_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,30})?|\.\d{1,30})", re.ASCII)


def read_number(value: str) -> float | int:
    """Read a plain decimal number: no exponent, infinity or NaN."""
    if not _NUMBER.fullmatch(value):
        raise ValueError("a number is written like 12 or 6.37")
    found = float(value)
    return int(found) if found.is_integer() else found


def read_count(value: str, most: int) -> int:
    """Read a whole number from 1 to ``most``."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and 1 <= int(value) <= most):
        raise ValueError(f"a whole number from 1 to {most}")
    return int(value)


def read_text(value: str, longest: int) -> str:
    """Read a text of some lines."""
    if len(value) > longest:
        raise ValueError(f"{longest} characters at most")
    if any(unicodedata.category(c) == "Cc" and c not in "\t\n\r" for c in value):
        raise ValueError("control characters are not allowed")
    return value


def read_line(value: str, longest: int = MAX_STRING) -> str:
    """Read one line of text; what separates lines or columns becomes a space."""
    return read_text(" ".join(value.split()), longest)


def read_url(value: str) -> str:
    """Read a web address: what staff may open by hand, and this server never does."""
    if len(value) > MAX_URL or not value.isascii() or any(c <= " " for c in value):
        raise ValueError(f"a URL of {MAX_URL} ASCII characters at most")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http or https URL")
    return value


def read_moment(value: str, *, end_of_day: bool = False) -> datetime:
    """Read a W3C date and time with its zone, or a date: its first or last moment in Bénin.

    A space stands for the ``+`` that a careless client left unescaped in a URL.
    """
    try:
        text = value.replace(" ", "+")
        if len(text) == len("2026-11-24"):
            edge = time.max if end_of_day else time.min
            found = datetime.combine(date.fromisoformat(text), edge, TIMEZONE)
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a date is written like 2026-11-24T08:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("a time zone must be given: Z, or +01:00")
    if not 2000 <= found.year <= 2100:
        raise ValueError("a date lies between 2000 and 2100")
    return found.astimezone(UTC)


def window(
    start: datetime | None, end: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return the span to search, both ends included; with one end given, 90 days from it.

    Answers tell whole seconds: the second that ``end`` names is included to its last moment.
    """
    if start and end and start > end:
        raise ValueError("start_date lies after end_date")
    if start and end and end - start > WINDOW:
        raise ValueError(f"start_date and end_date may not lie more than {WINDOW.days} days apart")
    last = end or (start + WINDOW if start else now)
    first = start or last - WINDOW
    return first, last.replace(microsecond=999_999)


def w3c(moment: datetime | None) -> str | None:
    """Return a time as answers tell it: whole seconds, with Bénin's zone."""
    return moment.astimezone(TIMEZONE).isoformat(timespec="seconds") if moment else None


def state_of(status: str) -> State:
    """Return what Open311 calls a status."""
    return "open" if status in OPEN else "closed"


_ORDINAL = re.compile(r"\b(\d+) ?(?:er|ere|e|eme|nd|nde)\b")
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Return the words of ``text`` in lower case, without accents; ordinals end in ``e``."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return _ORDINAL.sub(r"\1e", " ".join(words))


def match_place(address: str, commune: str, places: Iterable[tuple[str, str]]) -> str:
    """Return the code of the one arrondissement that ``address`` names.

    ``places`` are ``(code, name)``. The commune's own name, which addresses end in, names an
    arrondissement only when nothing else does.
    """
    said = fold(address)
    names = {code: name for code, name in places if _holds(said, fold(name))}
    found = {
        code: name
        for code, name in names.items()
        if not any(_holds(fold(other), fold(name)) for other in names.values() if other != name)
    }
    if len(found) > 1:
        found = {code: name for code, name in found.items() if fold(name) != fold(commune)}
    if not found:
        raise ValueError(
            f"no arrondissement of {commune} is named in it; give lat and long, or address_id"
        )
    if len(found) > 1:
        raise ValueError(f"it names several arrondissements: {', '.join(found.values())}")
    return next(iter(found))


def _holds(text: str, name: str) -> bool:
    """Tell whether the words of ``name`` stand in ``text``, both folded."""
    return f" {name} " in f" {text} "


def split_list(value: str) -> list[str]:
    """Return the members of a comma list, without the empty ones."""
    return [part.strip() for part in value.split(",") if part.strip()]


def new_key(random: bytes) -> str:
    """Return an API key made of 256 random bits: its prefix lets scanners find a leaked one."""
    return "palabre_" + base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def key_hash(key: str) -> bytes:
    """Return what is stored of a key (256 random bits need no salt)."""
    return hashlib.sha256(key.encode()).digest()
