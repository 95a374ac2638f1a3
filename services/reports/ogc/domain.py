"""The collections of the OGC API, and how its parameters are read (17-069r4, 7.15)."""

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

from services.reports import domain
from services.reports.exports.domain import PUBLIC, Column

JSON = "application/json"
GEOJSON = "application/geo+json"
HTML = "text/html"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
SCHEMA = "application/schema+json"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
ODBL = "https://opendatacommons.org/licenses/odbl/1-0/"
CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}"
    for name in ("core", "oas30", "geojson")
)
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
MAX_VALUE = 200


class Unreadable(ValueError):
    """A parameter that breaks a rule of the standard, said in a sentence."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter that keeps the features whose property of its name has this value.

    ``values`` are all there can be, else ``pattern`` is their form; ``many`` takes a comma list.
    """

    name: str
    label: str
    values: tuple[str, ...] = ()
    pattern: str = r"[^\x00]+"
    many: bool = False

    def read(self, given: str) -> str | list[str]:
        """Return the value or values; :class:`Unreadable`."""
        parts = given.split(",") if self.many else [given]
        for part in parts:
            fits = part in self.values if self.values else re.fullmatch(self.pattern, part)
            if not fits:
                known = f"one of {', '.join(self.values)}" if self.values else self.pattern
                raise Unreadable(f"{self.name} must be {known}.")
        return parts if self.many else given


#: By what the pages of a collection are ordered: the newest first, or by code.
Order = Literal["newest", "code"]


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of features; a collection of the newest first has ``created_at`` as its time."""

    id: str
    title: str
    description: str
    order: Order
    columns: Sequence[Column]
    filters: Sequence[Filter]
    geometry: Literal["Point", "MultiPolygon"]
    licence: str | None = None

    @property
    def temporal(self) -> bool:
        """Whether its features lie in time."""
        return self.order == "newest"


_COMMUNE = Filter("commune", "Code de la commune (0801 est Cotonou)", pattern="[0-9]{4}")
_BOUNDARIES = "Limites © les contributeurs d'OpenStreetMap (ODbL 1.0) ; population : RGPH-4, 2013."

COLLECTIONS: Mapping[str, Collection] = {
    c.id: c
    for c in (
        Collection(
            "signalements",
            "Signalements",
            "Les problèmes signalés par les citoyens et ce que les mairies en ont fait, du plus "
            "récent au plus ancien. Les catégories sensibles sont placées à 200 m près ; un "
            "signalement sans GPS n'a pas de point.",
            "newest",
            PUBLIC,
            (
                _COMMUNE,
                Filter("arrondissement", "Code de l'arrondissement", pattern="[0-9]{4}-[0-9]{2}"),
                Filter("category", "Catégorie", tuple(domain.CATEGORIES)),
                Filter("status", "Statut, ou plusieurs séparés par des virgules", domain.STATUSES,
                       many=True),
            ),
            "Point",
        ),
        Collection(
            "communes",
            "Communes",
            f"Les 77 communes du Bénin. {_BOUNDARIES}",
            "code",
            (
                Column("code", "text", "Code"),
                Column("name", "text", "Nom"),
                Column("department", "text", "Département"),
                Column("population_2013", "integer", "Population (2013)"),
            ),
            (Filter("department", "Département"),),
            "MultiPolygon",
            ODBL,
        ),
        Collection(
            "arrondissements",
            "Arrondissements",
            f"Les 546 arrondissements du Bénin. {_BOUNDARIES}",
            "code",
            (
                Column("code", "text", "Code"),
                Column("name", "text", "Nom"),
                Column("commune", "text", "Code de la commune"),
                Column("commune_name", "text", "Commune"),
                Column("population_2013", "integer", "Population (2013)"),
            ),
            (_COMMUNE,),
            "MultiPolygon",
            ODBL,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a collection: at most ``limit`` features that fit ``where``.

    ``where`` maps a filter's name to its value, besides ``bbox`` (boxes of west, south, east,
    north), ``start`` and ``end`` (half open) and ``after`` (where the page begins).
    """

    limit: int
    where: Mapping[str, Any]


_NAME = re.compile("[A-Za-z0-9_-]{1,40}")


def only(given: Sequence[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """Return the parameters; :class:`Unreadable` for one that is unknown, double or endless."""
    found: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            said = f"The parameter {name}" if _NAME.fullmatch(name) else "A parameter"
            raise Unreadable(f"{said} is not known here; there are: {', '.join(known)}.")
        if name in found:
            raise Unreadable(f"{name} is given more than once.")
        if len(value) > MAX_VALUE:
            raise Unreadable(f"{name} is too long.")
        found[name] = value
    return found


def read_query(collection: Collection, given: Sequence[tuple[str, str]]) -> Query:
    """Read the parameters of ``items``; :class:`Unreadable`."""
    filters = {f.name: f for f in collection.filters}
    found = only(given, (*filters, "bbox", "datetime", "limit", "cursor", "f"))
    where: dict[str, Any] = {n: f.read(found[n]) for n, f in filters.items() if n in found}
    if "bbox" in found:
        where["bbox"] = read_bbox(found["bbox"])
    if "datetime" in found:
        start, end = read_datetime(found["datetime"])
        if collection.temporal:  # what lies in no time fits every time
            where |= {name: at for name, at in (("start", start), ("end", end)) if at}
    if "cursor" in found:
        where["after"] = read_cursor(collection.order, found["cursor"])
    return Query(read_limit(found.get("limit", str(DEFAULT_LIMIT))), where)


def read_limit(value: str) -> int:
    """Read a positive whole number; more than the most is the most."""
    if not re.fullmatch("[0-9]{1,9}", value, re.ASCII) or int(value) < 1:
        raise Unreadable(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return min(int(value), MAX_LIMIT)


Box = tuple[float, float, float, float]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def read_bbox(value: str) -> list[Box]:
    """Read four numbers (or six with heights): one box, two where it crosses the 180th meridian."""
    parts = value.split(",")
    if len(parts) not in (4, 6) or not all(_NUMBER.fullmatch(part) for part in parts):
        raise Unreadable("bbox must be four or six numbers: west,south,east,north in degrees.")
    numbers = [float(part) for part in parts]
    (west, south), (east, north) = numbers[:2], numbers[len(numbers) // 2 :][:2]
    if not (all(abs(x) <= 180 for x in (west, east)) and all(abs(y) <= 90 for y in (south, north))):
        raise Unreadable("bbox must lie within 180 degrees of longitude and 90 of latitude.")
    if not all(map(math.isfinite, numbers)) or south > north:
        raise Unreadable("bbox must have its south before its north.")
    if len(numbers) == 6 and numbers[2] > numbers[5]:
        raise Unreadable("bbox must have its lower height before its upper one.")
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2}))?", re.ASCII
)


def read_datetime(value: str) -> tuple[datetime | None, datetime | None]:
    """Read an instant or an interval: from (included) and to (not), each open when None.

    A second lasts a second and a date, which the standard does not ask for, a UTC day: features
    show their times by the second, and what is shown must be found.
    """
    first, slash, last = value.partition("/")
    if not slash:
        return _span(first)
    start = None if first in ("", "..") else _span(first)[0]
    end = None if last in ("", "..") else _span(last)[1]
    if first in ("", "..") and last in ("", ".."):
        raise Unreadable("datetime may be open on one side only.")
    if start and end and start >= end:
        raise Unreadable("datetime must have its start before its end.")
    return start, end


def _span(value: str) -> tuple[datetime, datetime | None]:
    if not _MOMENT.fullmatch(value):
        raise Unreadable(
            "datetime must be 2026-11-22T10:00:00Z (RFC 3339) or two such with a slash between, "
            "one of them perhaps `..`."
        )
    try:
        if len(value) == len("2026-11-22"):
            start = datetime.combine(date.fromisoformat(value), time(), UTC)
            length = timedelta(days=1)
        else:
            # Python reads at most six decimals.
            start = datetime.fromisoformat(re.sub(r"\.\d+", "", value).upper()).astimezone(UTC)
            length = timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise Unreadable("datetime names no moment of the calendar.") from None
    try:
        return start, start + length
    except OverflowError:  # the last second of the year 9999, which many write for "ever"
        return start, None


def write_cursor(*key: object) -> str:
    """Return the cursor of the page that follows the feature of this key."""
    parts = (part.isoformat() if isinstance(part, datetime) else str(part) for part in key)
    return base64.urlsafe_b64encode(" ".join(parts).encode()).decode()


def read_cursor(order: Order, cursor: str) -> tuple[Any, ...]:
    """Read a cursor back: a time and an id, or a code; :class:`Unreadable` for another text."""
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
        if order == "code":
            if re.fullmatch("[0-9]{4}(-[0-9]{2})?", text):
                return (text,)
            raise ValueError
        at, last = text.split(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC), UUID(last)
    except (ValueError, OverflowError, binascii.Error):
        raise Unreadable("This cursor is not ours.") from None


_QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*$")


def wants_html(f: str | None, accept: str) -> bool:
    """Tell whether HTML is asked for: by ``f``, else by Accept; JSON when both are as good."""
    if f is not None:
        if f not in ("json", "html"):
            raise Unreadable("f must be json or html.")
        return f == "html"
    best = {"html": 0.0, "json": 0.0}
    for part in accept.split(","):
        kind = part.split(";")[0].strip().lower()
        found = _QUALITY.search(part)
        quality = float(found[1]) if found else 1.0
        for name in best:
            if name in kind or (name == "json" and kind == "*/*"):
                best[name] = max(best[name], quality)
    return best["html"] > best["json"]
