"""The desk's pure part: routing rules and their dry run, a round's order, small cells."""

import hashlib
import json
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.reports.domain import CATEGORIES

MAX_RULES = 200
MAX_BULK = 100
MAX_STOPS = 60
MAX_EXAMPLES = 50
#: The longest past that a dry run or the figures look at, in days.
MAX_DRY_RUN_DAYS = 366
MAX_STATS_DAYS = 3 * 366
#: A cell that counts fewer persons than this is not told.
SMALLEST_CELL = 5

MIDNIGHT = time(0)
EARTH_RADIUS_M = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Rule:
    """Send to ``agency`` what fits; a part that is None fits everything.

    Hours are local, ``from_time`` included and ``to_time`` not; they may pass midnight.
    """

    agency: str
    category: str | None = None
    arrondissement: str | None = None
    from_time: time | None = None
    to_time: time | None = None

    def fits(self, category: str, arrondissement: str | None, hour: time) -> bool:
        """Tell whether a report of this kind, place and local hour is meant."""
        return (
            self.category in (None, category)
            and self.arrondissement in (None, arrondissement)
            and self._open_at(hour)
        )

    def _open_at(self, hour: time) -> bool:
        if self.from_time is None or self.to_time is None:
            return True
        if self.from_time <= self.to_time:
            return self.from_time <= hour < self.to_time
        return hour >= self.from_time or hour < self.to_time


def route(
    rules: Sequence[Rule], category: str, arrondissement: str | None, hour: time
) -> str | None:
    """Return the agency of the first rule that fits, as the SQL function ``routed_agency`` does."""
    return next((r.agency for r in rules if r.fits(category, arrondissement, hour)), None)


def destination(
    rules: Sequence[Rule], category: str, arrondissement: str | None, hour: time
) -> str:
    """Return where a new report goes: to its category's agency when no rule fits."""
    return route(rules, category, arrondissement, hour) or CATEGORIES[category].agency


def slots(*lists: Sequence[Rule]) -> list[time]:
    """Return the hours at which a decision of any of these rules may change, midnight first.

    Between two of them all hours are alike: a day of reports is a few groups.
    """
    bounds = {MIDNIGHT}
    for rules in lists:
        bounds.update(t for rule in rules for t in (rule.from_time, rule.to_time) if t is not None)
    return sorted(bounds)


def slot_of(bounds: Sequence[time], hour: time) -> int:
    """Return the index of the slot that holds ``hour``."""
    return bisect_right(bounds, hour) - 1


@dataclass(frozen=True, slots=True)
class Group:
    """Past reports that no rule tells apart: ``slot`` is an index into :func:`slots`."""

    category: str
    arrondissement: str | None
    slot: int
    agency: str | None
    count: int

    @property
    def held_by(self) -> str:
        """The agency that has them: the category's where a report is older than agencies."""
        return self.agency or CATEGORIES[self.category].agency


@dataclass(slots=True)
class DryRun:
    """What rules would do to past reports; ``moved`` pairs each group that moves with its new end.

    ``changed`` compares with the agency that each report has today, agents' own changes included;
    ``changed_by_present`` does the same with the rules in force, as a measure; ``differs`` counts
    the reports on which the two lists disagree.
    """

    reports: int = 0
    changed: int = 0
    changed_by_present: int = 0
    differs: int = 0
    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_category: Counter[str] = field(default_factory=Counter)
    moved: list[tuple[Group, str]] = field(default_factory=list)


def dry_run(
    groups: Sequence[Group],
    bounds: Sequence[time],
    candidate: Sequence[Rule],
    present: Sequence[Rule],
) -> DryRun:
    """Evaluate ``candidate`` rules over past reports; nothing is changed."""
    found = DryRun()
    for group in groups:
        case = (group.category, group.arrondissement, bounds[group.slot])
        to, today = destination(candidate, *case), destination(present, *case)
        found.reports += group.count
        found.differs += group.count * (to != today)
        found.changed_by_present += group.count * (today != group.held_by)
        if to != group.held_by:
            found.changed += group.count
            found.matrix[group.held_by, to] += group.count
            found.by_category[group.category] += group.count
            found.moved.append((group, to))
    return found


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a hash of a list of settings: who sends it back says which list they had seen."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


Matrix = NDArray[np.float64]


def metres(points: Sequence[tuple[float, float]]) -> Matrix:
    """Return the distance between all pairs of (longitude, latitude): the haversine formula."""
    lon, lat = np.radians(np.array(points, dtype=float).reshape(-1, 2)).T
    half = (
        np.sin((lat[:, None] - lat) / 2) ** 2
        + np.cos(lat[:, None]) * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
    )
    found: Matrix = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return found


def nearest_first(distance: Matrix) -> list[int]:
    """Return an open path from 0 through all points that always takes the nearest one left."""
    order, left = [0], list(range(1, len(distance)))
    while left:
        order.append(min(left, key=lambda point: distance[order[-1], point]))
        left.remove(order[-1])
    return order


def two_opt(distance: Matrix, order: Sequence[int]) -> list[int]:
    """Shorten an open path by turning parts of it round until no turn helps; 0 stays first."""
    path = np.array(order)
    while len(path) > 2:
        along = distance[np.ix_(path, path)]
        step = np.diagonal(along, 1)
        # Turning i..j round replaces the step into i and the step out of j (none after the last).
        out = np.append(step, 0.0)
        new_out = np.hstack([along[:, 1:], np.zeros((len(path), 1))])
        gain = step[:, None] + out[None, :] - along[:-1, :] - new_out[1:, :]
        gain = np.triu(gain, 2)  # row i-1, column j: only i < j turns anything
        best = int(np.argmax(gain))
        before, last = divmod(best, len(path))
        if gain[before, last] <= 1e-6:  # a micrometre is rounding
            break
        path[before + 1 : last + 1] = path[before + 1 : last + 1][::-1].copy()
    return [int(point) for point in path]


@dataclass(frozen=True, slots=True)
class Walk:
    """``order`` indexes the stops; ``legs`` are the metres to each from the one before it."""

    order: list[int]
    legs: list[float]


def walk(start: tuple[float, float], stops: Sequence[tuple[float, float]]) -> Walk:
    """Return a short way from ``start`` through all ``stops``: nearest neighbour, then 2-opt."""
    distance = metres([start, *stops])
    path = two_opt(distance, nearest_first(distance))
    legs = [float(distance[a, b]) for a, b in pairwise(path)]
    return Walk(order=[point - 1 for point in path[1:]], legs=legs)


Key = TypeVar("Key", bound=Hashable)


def withheld(counts: Mapping[Key, int], never_small: frozenset[Key] = frozenset()) -> set[Key]:
    """Return the cells of a table not to tell: small ones, and as many more as hide these.

    With the total known, what is withheld together must count :data:`SMALLEST_CELL` at least.
    ``never_small`` cells name no persons: they are withheld only to hide others.
    """
    hidden = {key for key, n in counts.items() if n < SMALLEST_CELL and key not in never_small}
    together = sum(counts[key] for key in hidden)
    rest = sorted((key for key in counts if key not in hidden), key=lambda key: counts[key])
    while rest and 0 < together < SMALLEST_CELL:
        more = rest.pop(0)
        hidden.add(more)
        together += counts[more]
    return hidden


#: What a search takes off letters: the accents of French and of Bénin's languages, decomposed.
MARKS = "\u0300\u0301\u0302\u0303\u0304\u0308\u030a\u030c\u0323\u0327"
_TAKEN_OFF = str.maketrans("", "", MARKS)


def folded(value: str) -> str:
    """Return lower-case text without accents, as the queue's search compares it."""
    return unicodedata.normalize("NFD", value).lower().translate(_TAKEN_OFF)
