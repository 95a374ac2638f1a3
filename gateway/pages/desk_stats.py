"""The town hall's dashboard: a period's figures against the one before, plotted and in tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Annotated, Literal

from babel import dates, numbers
from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup

from gateway import i18n, labels, plots
from gateway.labels import N_
from gateway.pages.base import Json
from gateway.places import PlacesDep
from gateway.session import ApiDep, require
from gateway.web import TIMEZONE, render

router = APIRouter(prefix="/mairie/{code}/tableau-de-bord", include_in_schema=False)

MANAGE = "reports.manage"
PERIODS = (30, 90, 365)
USUAL = 90
#: From so many days on, volumes are told by month.
MONTHLY = 180
LONGEST = 3 * 366
EARLIEST = date(2000, 1, 1)

Kind = Literal["count", "hours", "rate"]
DateText = Annotated[str, Query(max_length=10)]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of the service's answer: where it is in a cell, and which way is better."""

    name: str
    path: tuple[str, ...]
    kind: Kind
    #: 1 where more is better, -1 where less is, 0 where neither is.
    better: int = 0

    def of(self, cell: Json | None) -> float | None:
        """Return the figure of a cell, None where it is withheld or nothing is known."""
        value: object = cell
        for part in self.path:
            value = value.get(part) if isinstance(value, dict) else None
        return float(value) if isinstance(value, int | float) else None


RECEIVED = Measure(N_("Reçus"), ("received",), "count")
CLOSED = Measure(N_("Clos"), ("closed",), "count")
ANSWER = Measure(N_("Première réponse"), ("answer_hours", "median"), "hours", -1)
ANSWER_P90 = Measure(N_("Première réponse, 9 sur 10"), ("answer_hours", "p90"), "hours", -1)
ANSWERED = Measure(N_("Réponses à temps"), ("answer_on_time", "rate"), "rate", 1)
REPAIR = Measure(N_("Réparation"), ("repair_hours", "median"), "hours", -1)
REPAIR_P90 = Measure(N_("Réparation, 9 sur 10"), ("repair_hours", "p90"), "hours", -1)
REPAIRED = Measure(N_("Réparations à temps"), ("repair_on_time", "rate"), "rate", 1)
#: The columns of every table.
MEASURES = (RECEIVED, CLOSED, ANSWER, ANSWER_P90, ANSWERED, REPAIR, REPAIR_P90, REPAIRED)
#: The figures above all, with the spread that is told under a median.
HEADLINES: tuple[tuple[Measure, Measure | None], ...] = (
    (RECEIVED, None),
    (CLOSED, None),
    (ANSWER, ANSWER_P90),
    (ANSWERED, None),
    (REPAIR, REPAIR_P90),
    (REPAIRED, None),
)
#: (better or not, more or not) → icon, tone and words of a change.
CHANGES: Mapping[tuple[int, int], tuple[str, str, str]] = {
    (1, 1): ("trending-up", "better", N_("mieux qu'avant (%(before)s)")),
    (-1, -1): ("trending-down", "better", N_("mieux qu'avant (%(before)s)")),
    (1, -1): ("trending-down", "worse", N_("moins bien qu'avant (%(before)s)")),
    (-1, 1): ("trending-up", "worse", N_("moins bien qu'avant (%(before)s)")),
    (0, 1): ("trending-up", "", N_("plus qu'avant (%(before)s)")),
    (0, -1): ("trending-down", "", N_("moins qu'avant (%(before)s)")),
}
_SAME = ("minus", "", N_("comme avant (%(before)s)"))

#: The tables: the field of the answer, its title, its first column, and what codes are called.
PARTS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    (
        "by_category",
        N_("Par catégorie"),
        N_("Catégorie"),
        {code: label.text for code, label in labels.CATEGORIES.items()},
    ),
    ("by_arrondissement", N_("Par arrondissement"), N_("Arrondissement"), {}),
    ("by_channel", N_("Par canal"), N_("Canal"), labels.CHANNELS),
    ("by_gender", N_("Par genre, quand il est donné"), N_("Genre"), labels.GENDERS),
)
#: What a row without a key is called.
NOBODY: Mapping[str, str] = {
    "by_arrondissement": N_("Sans arrondissement"),
    "by_gender": N_("Non précisé"),
}
#: The tables whose times and rates are plotted too.
WHOLE = ("by_category", "by_arrondissement")
_SAYS = N_("Barre pleine : cette période. Barre pâle : la période d'avant.")
_SPREAD = N_("Barre : la moitié a pris moins. Trait : neuf sur dix ont pris moins.")


@dataclass(frozen=True, slots=True)
class Period:
    """The days that are looked at: the last ``days``, or from one date to another."""

    since: datetime
    until: datetime
    days: int | None

    @property
    def step(self) -> str:
        """Return how volumes are told."""
        return "month" if (self.until - self.since).days >= MONTHLY else "week"


def period(now: datetime, days: str, since: str, until: str) -> Period:
    """Read an address: two dates that make sense, else a number of days that is offered."""
    first, last = _day(since), _day(until)
    if first and last and first <= last and first <= now.date() and (last - first).days < LONGEST:
        end = datetime.combine(last + timedelta(days=1), time(), TIMEZONE)
        return Period(datetime.combine(first, time(), TIMEZONE), min(end, now), None)
    chosen = next((n for n in PERIODS if days == str(n)), USUAL)
    return Period(now - timedelta(days=chosen), now, chosen)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if EARLIEST <= day <= date(2100, 1, 1) else None


@dataclass(frozen=True, slots=True)
class Words:
    """How figures are written in a language."""

    locale: str

    def gettext(self, text: str) -> str:
        """Return a message."""
        return i18n.translations(self.locale).gettext(text)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with ``digits`` after the point, if they tell anything."""
        return str(numbers.format_decimal(round(value, digits), locale=self.locale))

    def say(self, kind: Kind, value: float | None) -> str:
        """Return a figure as people read it; a dash where nothing is known."""
        if value is None:
            return "–"
        ways: Mapping[Kind, Callable[[float], str]]
        ways = {"count": self.number, "hours": self.lasting, "rate": self.rate}
        return ways[kind](value)

    def lasting(self, hours: float) -> str:
        """Return a time: in hours below two days, then in days."""
        if hours < 48:
            return self.gettext("%(number)s h") % {"number": self.number(hours)}
        days = hours / 24
        return self.gettext("%(number)s j") % {"number": self.number(days, 1 if days < 10 else 0)}

    def rate(self, share: float) -> str:
        """Return a share as a percentage."""
        return str(numbers.format_percent(round(share, 2), locale=self.locale))

    def change(self, measure: Measure, now: float | None, before: float | None) -> Json:
        """Return what became of a figure, in words beside an icon and a tone."""
        if now is None or before is None:
            return {"icon": "minus", "tone": "", "text": self.gettext("rien à comparer")}
        seen, past = (self.say(measure.kind, value) for value in (now, before))
        way = 0 if seen == past else 1 if now > before else -1
        icon, tone, text = CHANGES.get((measure.better, way), _SAME)
        return {"icon": icon, "tone": tone, "text": self.gettext(text) % {"before": past}}


def headlines(words: Words, total: Json) -> list[Json]:
    """Return the big figures, each with its spread and what became of it."""
    found = []
    for measure, spread in HEADLINES:
        now, before = measure.of(total["now"]), measure.of(total["before"])
        far = spread.of(total["now"]) if spread else None
        found.append(
            {
                "name": words.gettext(measure.name),
                "value": words.say(measure.kind, now),
                "spread": "" if far is None else words.say(measure.kind, far),
                "change": words.change(measure, now, before),
            }
        )
    return found


def rows(words: Words, lines: Iterable[Json], names: Mapping[str, str], nobody: str) -> list[Json]:
    """Return the lines of a table, the most reports first: names, and each measure in words."""
    found = []
    for line in sorted(lines, key=lambda line: (not line["key"], -(RECEIVED.of(line["now"]) or 0))):
        key = line["key"]
        cells = [
            {
                "now": words.say(measure.kind, measure.of(line["now"])),
                "before": words.say(measure.kind, measure.of(line["before"])),
            }
            for measure in MEASURES
        ]
        name = line["name"] or (
            words.gettext(names[key]) if key in names else words.gettext(nobody)
        )
        found.append({**line, "name": name, "cells": cells, "key": key or ""})
    return found


def _bars(
    words: Words, lines: Sequence[Json], measure: Measure, far: Measure | None = None
) -> list[plots.Bar]:
    found = []
    for line in lines:
        now, before = measure.of(line["now"]), measure.of(line["before"])
        said = f"{words.say(measure.kind, now)} ({words.say(measure.kind, before)})"
        spread = far.of(line["now"]) if far else None
        found.append(plots.Bar(line["name"], now, before, said, spread))
    return found


def drawn(words: Words, part: str, title: str, lines: Sequence[Json]) -> list[Json]:
    """Return the plots of a table, each with its title."""

    def plot(measure: Measure, far: Measure | None = None, most: float = 0) -> Json:
        name = words.gettext(measure.name)
        says = words.gettext(_SAYS) + (f" {words.gettext(_SPREAD)}" if far else "")
        key = f"{part}-{measure.path[0]}".replace("_", "-")
        told = _bars(words, lines, measure, far)
        return {
            "title": name,
            "says": far and words.gettext(_SPREAD),
            "svg": plots.bars(key, f"{title} : {name}", says, told, most=most),
        }

    if part not in WHOLE:
        return [plot(RECEIVED)]
    return [plot(RECEIVED), plot(REPAIR, REPAIR_P90), plot(REPAIRED, most=1)]


def moments(words: Words, series: Json) -> list[Json]:
    """Return the months or weeks of a series beside those of the period before, in order."""
    found = []
    for now, before in zip_longest(series["now"], series["before"]):
        starts = [date.fromisoformat(one["start"]) if one else None for one in (now, before)]
        found.append(
            {
                "now": now,
                "before": before,
                "name": _moment(words, starts[0], series["step"]),
                "was": _moment(words, starts[1], series["step"]),
                "short": _moment(words, starts[0], series["step"], short=True),
            }
        )
    return found


def _moment(words: Words, start: date | None, step: str, *, short: bool = False) -> str:
    if start is None:
        return "–"
    pattern = "d MMM" if step == "week" else "MMM" if short else "MMM y"
    return str(dates.format_date(start, pattern, locale=words.locale))


def volumes(words: Words, shown: Sequence[Json]) -> dict[str, Markup]:
    """Return the plot of a series, for a phone and for a desk."""

    def value(one: Json | None, name: str) -> float | None:
        return one[name] if one else None

    columns = [
        plots.Column(
            moment["short"],
            value(moment["now"], "received"),
            value(moment["before"], "received"),
            value(moment["now"], "closed"),
        )
        for moment in shown
    ]
    says = words.gettext(
        "Colonne pleine : reçus dans cette période. Colonne pâle : reçus dans la période d'avant. "
        "Ligne : clos dans cette période."
    )
    title = words.gettext("Reçus et clos")
    return {
        "narrow": plots.columns("volumes-narrow", title, says, columns),
        "wide": plots.columns(
            "volumes-wide", title, says, columns, width=plots.WIDE, height=plots.HIGH
        ),
    }


@router.get("")
def dashboard(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    days: DateText = "",
    since: DateText = "",
    until: DateText = "",
) -> Response:
    """Show a period's figures against the one before it."""
    commune = places.commune(code)
    require(request, MANAGE, code)
    words = Words(i18n.choose(request))
    chosen = period(datetime.now(TIMEZONE), days, since, until)
    stats = api.desk(
        code,
        "stats",
        since=chosen.since.isoformat(),
        until=chosen.until.isoformat(),
        step=chosen.step,
    )
    parts = []
    for part, title, head, names in PARTS:
        lines = rows(words, stats[part], names, NOBODY.get(part, N_("Autre")))
        parts.append(
            {
                "id": part.replace("_", "-"),
                "title": words.gettext(title),
                "head": words.gettext(head),
                "rows": lines,
                "plots": drawn(words, part, words.gettext(title), lines),
                "rates": part == "by_arrondissement",
                "suppressed": any(line["suppressed"] for line in lines),
            }
        )
    shown = moments(words, stats["series"])
    both = [stats["total"][name] or {"received": 0, "closed": 0} for name in ("now", "before")]
    return render(
        request,
        "desk/stats.html",
        commune=commune,
        nav="desk",
        tab="stats",
        periods=PERIODS,
        chosen=chosen,
        first=chosen.since.date(),
        last=(chosen.until - timedelta(microseconds=1)).date(),
        stats=stats,
        nothing=not any(cell["received"] or cell["closed"] for cell in both),
        headlines=headlines(words, stats["total"]),
        series=shown,
        volumes=volumes(words, shown),
        parts=parts,
        number=words.number,
    )
