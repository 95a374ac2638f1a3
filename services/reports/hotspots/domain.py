"""The statistics of hotspots: pure functions of counts on the hexagons of a commune.

Sources: A. Getis and J. K. Ord, *The Analysis of Spatial Association by Use of Distance
Statistics* (1992) and *Local Spatial Autocorrelation Statistics* (1995) for Gi*; Y. Benjamini and
Y. Hochberg, *Controlling the False Discovery Rate* (1995).
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from services.reports.domain import STATUSES, Status
from services.reports.hotspots import grid
from services.reports.hotspots.grid import Bools, Floats, Ints, Territory

#: What is no problem, or is counted elsewhere; what is withdrawn or hidden nobody sees at all.
UNCOUNTED: frozenset[Status] = frozenset({"rejected", "duplicate", "withdrawn"})
COUNTED: tuple[Status, ...] = tuple(s for s in STATUSES if s not in UNCOUNTED)

#: The share of false alarms among what is called significant.
ALPHA = 0.05
#: Fewer reports are no gathering, however empty the commune: the normal law does not hold there.
LEAST_REPORTS = 5
#: Metres across a hotspot: what one team can look at in one visit.
MAX_DIAMETER = 1_000.0
#: Below so many people a rate per 1,000 tells nothing.
LEAST_PEOPLE = 100
#: An arrondissement is silent only where at least so many reports were to be expected...
LEAST_EXPECTED = 5.0
#: ...and at most this share of them came.
SILENT_SHARE = 0.5
#: A hotspot found again shares at least this much of the smaller outline.
SAME_SHARE = 0.1

MIN_DAYS, MAX_DAYS = 7, 730
#: The window in which hotspots are detected, kept and told to others.
DETECTED_DAYS = 90

TIMEZONE = ZoneInfo("Africa/Porto-Novo")

Trend = Literal["emerging", "persistent", "fading"]


@dataclass(frozen=True, slots=True)
class Window:
    """``days`` whole days of Bénin; the last one is ``until``."""

    until: date
    days: int

    @property
    def since(self) -> date:
        """Return the first day."""
        return self.until - timedelta(days=self.days - 1)

    @property
    def start(self) -> datetime:
        """Return its first instant."""
        return _midnight(self.since)

    @property
    def end(self) -> datetime:
        """Return the first instant after it."""
        return _midnight(self.until + timedelta(days=1))

    @property
    def before(self) -> "Window":
        """Return the window of as many days that ends where this one begins."""
        return Window(self.since - timedelta(days=1), self.days)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), TIMEZONE).astimezone(UTC)


def today(now: datetime) -> date:
    """Return the date in Bénin."""
    return now.astimezone(TIMEZONE).date()


def gi_star(counts: Ints, sums: Ints, neighbours: Ints) -> Floats:
    """Return the z of Getis-Ord Gi* with binary weights, each cell among its own neighbours.

    ``sums`` are the counts over each cell's ``neighbours`` (how many, itself included). Where all
    cells are alike, or one sees them all, there is nothing to tell: 0.
    """
    n, total = len(counts), int(counts.sum())
    # Whole numbers until the root: n²S² and n(Σwx − x̄Σw) of the definition.
    spread = n * int((counts.astype(np.int64) ** 2).sum()) - total * total
    k = neighbours.astype(np.float64)
    scale = np.sqrt(spread * k * (n - k) / max(n - 1, 1))
    return np.divide(n * sums - total * k, scale, out=np.zeros(n), where=scale > 0)


def p_two_sided(z: Floats) -> Floats:
    """Return how likely the normal law makes a z as far from 0, on either side."""
    return np.fromiter(map(math.erfc, (np.abs(z) / math.sqrt(2)).tolist()), float, len(z))


def fdr(p: Floats, alpha: float = ALPHA) -> Bools:
    """Tell which p pass the Benjamini-Hochberg step-up: of those, a share ``alpha`` is false."""
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered <= alpha * np.arange(1, len(p) + 1) / len(p))
    return p <= (ordered[passing[-1]] if len(passing) else -1.0)


@dataclass(frozen=True, slots=True)
class Field:
    """Counts of one window on a territory, and what they tell; arrays of one value a cell.

    ``sums`` counts each cell with those around it.
    """

    counts: Ints
    sums: Ints
    z: Floats
    p: Floats
    significant: Bools

    @property
    def hot(self) -> Bools:
        """Tell where reports gather."""
        return self.significant & (self.z > 0)


def measure(land: Territory, cells: Ints) -> Field:
    """Count reports by the cell that holds each (-1: none) and measure how they gather.

    A cell is significant when its p passes and, where it is hot, at least
    :data:`LEAST_REPORTS` reports lie in it and around it.
    """
    counts = np.bincount(cells[cells >= 0], minlength=land.size)
    sums = land.sums(counts)
    z = gi_star(counts, sums, land.neighbours)
    p = p_two_sided(z)
    return Field(counts, sums, z, p, fdr(p) & ((z < 0) | (sums >= LEAST_REPORTS)))


#: (hot now, hot in the window before) → what that is called.
TRENDS: dict[tuple[bool, bool], Trend | None] = {
    (False, False): None,
    (True, False): "emerging",
    (True, True): "persistent",
    (False, True): "fading",
}


def clusters(land: Territory, field: Field) -> list[Ints]:
    """Join hot cells that touch, strongest first, into clusters no wider than :data:`MAX_DIAMETER`.

    Chains would join half a town: each cluster grows from the strongest cell left, by its
    strongest neighbour first, as long as its farthest corners stay within the diameter.
    """
    # Centres that lie so many widths apart, squared, are too far.
    most = ((MAX_DIAMETER - 2 * grid.RADIUS) / grid.WIDTH) ** 2
    cells = np.flatnonzero(field.hot)
    # The most reports first where z is the same, as it is all around a single full cell.
    strength = np.stack((-field.z, -field.counts), axis=1)[cells].tolist()
    order = dict(zip(cells.tolist(), strength, strict=True))
    axial = dict(zip(order, np.stack((land.q, land.r), axis=1)[cells].tolist(), strict=True))
    near = dict(zip(order, land.around(cells).tolist(), strict=True))
    free = set(order)
    found = []
    for seed in sorted(order, key=lambda cell: (order[cell], cell)):
        queue = [(order[seed], seed)]
        seen = {seed}
        cluster: list[int] = []
        while queue:
            _, cell = heapq.heappop(queue)
            if cell not in free or not _within(axial[cell], [axial[c] for c in cluster], most):
                continue
            free.discard(cell)
            cluster.append(cell)
            for other in near[cell]:
                if other in free and other not in seen:
                    seen.add(other)
                    heapq.heappush(queue, (order[other], other))
        if cluster:
            found.append(np.array(cluster))
    return found


def _within(at: list[int], others: list[list[int]], most: float) -> bool:
    apart = ((q - at[0], r - at[1]) for q, r in others)
    return all(q * q + q * r + r * r <= most for q, r in apart)


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A cluster of cells: ``z`` and ``p`` are its strongest cell's, ``before`` what was counted
    in the window before; one that fades is not significant any more.
    """

    cells: Ints
    count: int
    before: int
    z: float
    p: float
    trend: Trend

    @property
    def significant(self) -> bool:
        """Tell whether it is one now."""
        return self.trend != "fading"


def hotspots(land: Territory, now: Field, before: Field) -> list[Hotspot]:
    """Return clusters with enough reports: those of now, strongest first, then those that fade."""
    found = []
    for field, fading in ((now, False), (before, True)):
        for cells in clusters(land, field):
            if field.counts[cells].sum() < LEAST_REPORTS or (fading and now.hot[cells].any()):
                continue
            peak = cells[np.argmax(now.z[cells])]
            trend = TRENDS[not fading, fading or bool(before.hot[cells].any())]
            assert trend is not None  # noqa: S101 - it was hot in one of both
            found.append(
                Hotspot(
                    cells,
                    int(now.counts[cells].sum()),
                    int(before.counts[cells].sum()),
                    float(now.z[peak]),
                    float(now.p[peak]),
                    trend,
                )
            )
    return sorted(found, key=lambda h: (not h.significant, -h.z, -h.count, int(h.cells[0])))


def centre(land: Territory, now: Field, cells: Ints) -> tuple[float, float]:
    """Return the middle of the reports in ``cells`` in degrees, of the cells without any."""
    x, y = grid.centres(land.q[cells], land.r[cells])
    weights = now.counts[cells] if now.counts[cells].any() else np.ones(len(cells))
    middle = np.average(np.array([x, y]), axis=1, weights=weights)
    lon, lat = grid.unproject(middle[:1], middle[1:])
    return round(float(lon[0]), 6), round(float(lat[0]), 6)


def per_1000(count: int, people: float) -> float | None:
    """Return reports per 1,000 inhabitants, None where too few live to say."""
    return round(1000 * count / people, 2) if people >= LEAST_PEOPLE else None


def poisson_at_most(k: int, mean: float) -> float:
    """Return how likely ``k`` events or fewer are where ``mean`` (more than 0) are expected."""
    steps = np.cumsum(np.log(mean / np.arange(1, k + 1)))
    return min(1.0, float(np.exp(np.append(steps, 0.0) - mean).sum()))


@dataclass(frozen=True, slots=True)
class Silent:
    """An arrondissement (``place`` in a list) that sends far fewer reports than its people would
    at the commune's rate.
    """

    place: int
    count: int
    expected: float
    p: float


def silent(counts: Sequence[int], people: Sequence[int]) -> list[Silent]:
    """Return the silent ones of a commune's arrondissements, the least likely first.

    The rule: at least :data:`LEAST_EXPECTED` reports were to be expected, at most
    :data:`SILENT_SHARE` of them came, and the lower Poisson tail passes the false discovery rate
    among all that could be judged.
    """
    total, everybody = sum(counts), sum(people)
    expected = [total * n / everybody if everybody else 0.0 for n in people]
    judged = [i for i, mean in enumerate(expected) if mean >= LEAST_EXPECTED]
    if not judged:
        return []
    p = np.array([poisson_at_most(counts[i], expected[i]) for i in judged])
    found = [
        Silent(i, counts[i], expected[i], float(chance))
        for i, chance, passes in zip(judged, p, fdr(p), strict=True)
        if passes and counts[i] <= SILENT_SHARE * expected[i]
    ]
    return sorted(found, key=lambda one: (one.p, one.place))


def overlaps(shapes: Sequence[BaseGeometry], others: Sequence[BaseGeometry]) -> dict[int, int]:
    """Pair shapes with others that are the same place, the largest common area first.

    The same: they share at least a tenth of the smaller one. Each is paired once at most.
    """
    pairs = []
    tree = shapely.STRtree(others)
    for i, j in tree.query(np.array(shapes, dtype=object), predicate="intersects").T.tolist():
        common = shapes[i].intersection(others[j]).area
        if common >= SAME_SHARE * min(shapes[i].area, others[j].area):
            pairs.append((-common, i, j))
    paired: dict[int, int] = {}
    for _, i, j in sorted(pairs):
        if i not in paired and j not in paired.values():
            paired[i] = j
    return paired
