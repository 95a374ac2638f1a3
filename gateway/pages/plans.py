"""A campaign's calendar and envelopes as the desk's forms hold them: pure."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile

from gateway.pages.base import Json, amount
from gateway.web import TIMEZONE

#: The usual calendar: days that each phase lasts, one after the other.
PLANNED: Mapping[str, int] = {"ideas": 30, "review": 21, "vote": 14}
#: Phases that a calendar may have, and those that it may go without.
PHASES = ("ideas", "review", "revision", "vote", "results", "works")
OPTIONAL = frozenset(PHASES) - PLANNED.keys()
END_OF_DAY = time(23, 59, 59)

MOST_ROWS = 50
#: A new campaign begins so divided; ``both``: citywide and by arrondissement.
ONE, BY_AREA, BY_THEME, BOTH = "one", "arrondissement", "theme", "both"
DIVISIONS = (ONE, BY_AREA, BY_THEME, BOTH)
#: What the service calls the envelope of the rest.
REST = "Toute la commune"
_THEME = "theme:"


def usual_dates(first: date) -> dict[str, str]:
    """Return a form's dates of the usual calendar from ``first`` on."""
    found = {}
    for phase, days in PLANNED.items():
        found[f"{phase}_opens"] = first.isoformat()
        first += timedelta(days=days)
        found[f"{phase}_closes"] = first.isoformat()
        first += timedelta(days=1)
    return found


def read_day(text: str) -> date | None:
    """Read a date as browsers send it, or None."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def begins(day: date) -> str:
    """Return the first moment of a day in Bénin, ISO 8601 in UTC."""
    return datetime.combine(day, time.min, TIMEZONE).astimezone(UTC).isoformat()


def ends(day: date) -> str:
    """Return the last second of a day in Bénin, ISO 8601 in UTC."""
    return datetime.combine(day, END_OF_DAY, TIMEZONE).astimezone(UTC).isoformat()


def read_phases(values: Mapping[str, str]) -> tuple[list[Json], list[str]]:
    """Read a form's calendar; return the phases as the service takes them, and the wrong ones."""
    phases, wrong = [], []
    latest = date.min
    for phase in PHASES:
        typed = [values.get(f"{phase}_{end}", "") for end in ("opens", "closes")]
        if phase in OPTIONAL and not any(typed):
            continue
        opens, closes = map(read_day, typed)
        if not opens or not closes or closes < opens or opens <= latest:
            wrong.append(phase)
            continue
        latest = closes
        phases.append({"phase": phase, "opens_at": begins(opens), "closes_at": ends(closes)})
    return phases, wrong


@dataclass(frozen=True, slots=True)
class Dates:
    """When a phase is planned."""

    phase: str
    opens_at: datetime
    closes_at: datetime


def dates_of(campaign: Json) -> list[Dates]:
    """Return a campaign's planned phases."""
    moments = datetime.fromisoformat
    return [
        Dates(p["phase"], moments(p["opens_at"]), moments(p["closes_at"]))
        for p in campaign["phases"]
    ]


def moved(planned: Sequence[Dates], phase: str, closes_at: datetime) -> list[tuple[Dates, Dates]]:
    """Return the phases that move, before and after, when ``phase`` ends at ``closes_at``.

    Those behind it move on by as much as they would overlap, and keep their lengths.
    """
    place = next(n for n, one in enumerate(planned) if one.phase == phase)
    found = [(planned[place], replace(planned[place], closes_at=closes_at))]
    for one in planned[place + 1 :]:
        late = max(found[-1][1].closes_at - one.opens_at, timedelta(0))
        found.append((one, shifted(one, late)))
    return [(before, after) for before, after in found if before != after]


def shifted(one: Dates, by: timedelta) -> Dates:
    """Return a phase's dates ``by`` later."""
    return Dates(one.phase, one.opens_at + by, one.closes_at + by)


# Envelopes


@dataclass(frozen=True, slots=True)
class Row:
    """An envelope as typed; ``purpose``: an arrondissement, ``theme:…``, or nothing: all."""

    name: str = ""
    purpose: str = ""
    amount: str = ""

    @property
    def francs(self) -> int:
        """The amount in FCFA, 0 where it is none."""
        return amount(self.amount) or 0

    @property
    def wrong(self) -> bool:
        """Tell whether the amount cannot be read, or is nobody's."""
        return bool(self.amount) and not (self.francs and self.name)

    @property
    def sent(self) -> Json:
        """The envelope as the service takes it."""
        theme = self.purpose.removeprefix(_THEME) if self.purpose.startswith(_THEME) else None
        area = None if theme else self.purpose or None
        return {
            "name": self.name,
            "amount": self.francs,
            "theme": theme,
            "arrondissement": area,
        }


def written(francs: int) -> str:
    """Write an amount as people type it."""
    return f"{francs:,}".replace(",", " ")


def read_rows(values: Mapping[str, str], purposes: Iterable[str]) -> list[Row]:
    """Read the rows ``envelope_name_1``, ``envelope_for_1``, ``envelope_amount_1``…"""
    known = {"", *purposes}
    found = []
    for n in range(1, MOST_ROWS + 1):
        name, purpose, francs = (
            values.get(f"envelope_{part}_{n}", "") for part in ("name", "for", "amount")
        )
        if name or francs:
            found.append(Row(name, purpose if purpose in known else "", francs))
    return found


def rows_of(campaign: Json) -> list[Row]:
    """Return a campaign's envelopes as a form has them; what they leave is in none of them."""
    return [
        Row(
            one["name"],
            one["arrondissement"] or (f"{_THEME}{one['theme']}" if one["theme"] else ""),
            written(one["amount"]),
        )
        for one in campaign["envelopes"]
        if one["name"] != REST or one["kind"] != "commune"
    ]


def division_of(campaign: Json) -> str:
    """Return how a campaign's budget is divided."""
    kinds = {one["kind"] for one in campaign["envelopes"]}
    if "theme" in kinds and "arrondissement" not in kinds:
        return BY_THEME
    if "arrondissement" in kinds:
        return BOTH if "commune" in kinds else BY_AREA
    return ONE if not rows_of(campaign) else BOTH


def preset(division: str, areas: Mapping[str, str], themes: Mapping[str, str]) -> list[Row]:
    """Return the rows that a way of dividing begins with, without amounts."""
    if division in (BY_AREA, BOTH):
        return [Row(name, code) for code, name in areas.items()]
    if division == BY_THEME:
        return [Row(name, f"{_THEME}{code}") for code, name in themes.items() if code != "other"]
    return []


def rest(budget: int, rows: Iterable[Row]) -> int:
    """Return what rows leave of a budget, in FCFA; below 0 they are more than it."""
    return budget - sum(row.francs for row in rows)


def share(budget: int, rows: Sequence[Row], division: str) -> list[Row]:
    """Give the rows without an amount equal parts of what the others leave, in whole thousands.

    The first one takes the odd francs. Where the commune has its own part too, half of the budget
    is left to it.
    """
    kept = budget // 2 if division == BOTH else 0
    empty = [n for n, row in enumerate(rows) if not row.amount]
    left = rest(budget, rows) - kept
    part = left // len(empty) // 1000 * 1000 if empty else 0
    if part <= 0:
        return list(rows)
    found = list(rows)
    for n in empty:
        odd = left - part * len(empty) if n == empty[0] and not kept else 0
        found[n] = replace(rows[n], amount=written(part + odd))
    return found


def counted(names: Mapping[str, str]) -> dict[str, str]:
    """Return the arrondissements as people count them: the 2nd before the 10th, then by name."""

    def place(item: tuple[str, str]) -> tuple[int, str]:
        digits = "".join(takewhile(str.isdecimal, item[1]))
        return int(digits) if digits else 0, item[1]

    return dict(sorted(names.items(), key=place))


# Unit costs


def slug(name: str) -> str:
    """Return a code of letters, digits and hyphens for a name; empty where it has none."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())[:40].strip("-")
