"""One grid of equal hexagons over Bénin, and a commune's part of it.

Points are put on a plane by the Lambert cylindrical equal-area projection of the WGS 84
ellipsoid (EPSG method 9835; J. P. Snyder, *Map Projections: A Working Manual*, USGS Professional
Paper 1395, 1987, equations 3-12, 3-16 and 10-13 to 10-17). It is true at 9.3° N; anywhere in
Bénin shapes are within 1.1 % of theirs, and areas are exact.

Hexagons stand on a corner and are named by axial coordinates ``(q, r)``, q to the east and r to
the north (Amit Patel, *Hexagonal Grids*, redblobgames.com). They are never stored: which one
holds a point is arithmetic.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.signedinteger[Any]]
Bools = NDArray[np.bool_]

_A = 6_378_137.0
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)
_E = math.sqrt(_E2)
_TRUE_AT = math.radians(9.3)
_LON_0 = 2.3
_K0 = math.cos(_TRUE_AT) / math.sqrt(1 - _E2 * math.sin(_TRUE_AT) ** 2)

#: Metres between opposite sides of a hexagon: one holds 0.078 km².
WIDTH = 300.0
#: Metres from its centre to a corner.
RADIUS = WIDTH / math.sqrt(3)
AREA = WIDTH * RADIUS * 1.5
# Centres and corners lie on a lattice of these steps, so that hexagons that touch share the very
# same numbers and join without slivers.
_STEP_X, _STEP_Y = WIDTH / 2, RADIUS / 2
_CORNERS_X = np.array([1, 0, -1, -1, 0, 1, 1])
_CORNERS_Y = np.array([1, 2, 1, -1, -2, -1, 1])
#: The hexagon itself and the six around it, as (q, r).
AROUND = ((0, 0), (1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))


def project(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return metres east of 2.3° E and north of the equator for WGS 84 degrees."""
    sine = np.sin(np.radians(lat))
    q = (1 - _E2) * (sine / (1 - _E2 * sine * sine) + np.arctanh(_E * sine) / _E)
    return _A * _K0 * np.radians(lon - _LON_0), _A * q / (2 * _K0)


def unproject(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the WGS 84 degrees that :func:`project` puts at ``(x, y)``, to a micrometre."""
    q = 2 * _K0 * y / _A
    phi = np.arcsin(q / 2)
    for _ in range(4):
        sine = np.sin(phi)
        flat = 1 - _E2 * sine * sine
        rest = q / (1 - _E2) - sine / flat - np.arctanh(_E * sine) / _E
        phi = phi + flat * flat / (2 * np.cos(phi)) * rest
    return _LON_0 + np.degrees(x / (_A * _K0)), np.degrees(phi)


def axial(x: Floats, y: Floats) -> tuple[Ints, Ints]:
    """Return ``(q, r)`` of the hexagons that hold points of the plane."""
    r = y / (1.5 * RADIUS)
    q = x / WIDTH - r / 2
    s = -q - r
    near_q, near_r, near_s = np.rint(q), np.rint(r), np.rint(s)
    off_q, off_r, off_s = abs(near_q - q), abs(near_r - r), abs(near_s - s)
    # The three coordinates sum to 0: the one that was rounded furthest follows from the others.
    wrong_q = (off_q > off_r) & (off_q > off_s)
    wrong_r = ~wrong_q & (off_r > off_s)
    found_q = np.where(wrong_q, -near_r - near_s, near_q)
    found_r = np.where(wrong_r, -near_q - near_s, near_r)
    return found_q.astype(np.int64), found_r.astype(np.int64)


def centres(q: Ints, r: Ints) -> tuple[Floats, Floats]:
    """Return the centres of hexagons on the plane."""
    return (2 * q + r) * _STEP_X, 3 * r * _STEP_Y


def corners(q: Ints, r: Ints) -> tuple[Floats, Floats]:
    """Return the corners of hexagons on the plane, ``(n, 7)`` each, closed, counter-clockwise."""
    x = (2 * q + r)[:, None] + _CORNERS_X
    y = (3 * r)[:, None] + _CORNERS_Y
    return x * _STEP_X, y * _STEP_Y


def hexagons(q: Ints, r: Ints) -> NDArray[np.object_]:
    """Return hexagons as shapely polygons of the plane."""
    polygons: NDArray[np.object_] = shapely.polygons(np.stack(corners(q, r), axis=-1))
    return polygons


def to_plane(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape in degrees on the plane."""
    return shapely.transform(shape, lambda at: np.column_stack(project(at[:, 0], at[:, 1])))


def to_degrees(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape of the plane in degrees."""
    return shapely.transform(shape, lambda at: np.column_stack(unproject(at[:, 0], at[:, 1])))


@dataclass(frozen=True, slots=True)
class Part:
    """An arrondissement: its shape in degrees as WKB, and its people in 2013."""

    code: str
    name: str
    population: int
    wkb: bytes


@dataclass(frozen=True, eq=False, slots=True)
class Territory:
    """The n hexagons that touch a commune, empty ones too; nothing in it is ever changed.

    ``index`` is a table over axial coordinates, from ``(q0, r0)``, with a margin of one: the
    place of a hexagon in the arrays below, or -1. ``flat`` is the way back. ``neighbours`` counts
    the commune's hexagons around each one, itself included. ``people`` live in it if an
    arrondissement's population is spread evenly over its area; ``part`` is the arrondissement
    that has most of it, -1 for none.
    """

    q0: int
    r0: int
    index: Ints
    flat: Ints
    q: Ints
    r: Ints
    neighbours: Ints
    people: Floats
    part: Ints
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Return n."""
        return len(self.flat)

    def locate(self, lon: Floats, lat: Floats) -> Ints:
        """Return the hexagon of each point (degrees), -1 for those that lie in none."""
        q, r = axial(*project(lon, lat))
        q, r = q - self.q0, r - self.r0
        rows, columns = self.index.shape
        known = (q >= 0) & (q < columns) & (r >= 0) & (r < rows)
        found = self.index.ravel()[np.where(known, r * columns + q, 0)]
        return np.where(known, found, -1)

    def sums(self, values: Ints) -> Ints:
        """Return the sum of ``values`` over each hexagon and those around it."""
        # A dense table with a margin of zeros makes a neighbour one addition away.
        table = np.zeros(self.index.size, dtype=np.int64)
        table[self.flat] = values
        found = table[self.flat]
        for step in self._steps():
            found += table[self.flat + step]
        return found

    def around(self, cells: Ints) -> Ints:
        """Return the six hexagons next to each of ``cells``, ``(n, 6)``, -1 outside."""
        around: Ints = self.index.ravel()[self.flat[cells][:, None] + self._steps()]
        return around

    def _steps(self) -> list[int]:
        return [r * self.index.shape[1] + q for q, r in AROUND[1:]]

    def cell_ids(self, cells: Ints) -> list[str]:
        """Return the names of hexagons, the same in every commune."""
        pairs = zip(self.q[cells].tolist(), self.r[cells].tolist(), strict=True)
        return [f"{q}:{r}" for q, r in pairs]

    def rings(self, cells: Ints) -> list[list[list[float]]]:
        """Return the outlines of hexagons in degrees, as GeoJSON has them."""
        x, y = corners(self.q[cells], self.r[cells])
        outlines: list[list[list[float]]] = np.stack(unproject(x, y), axis=-1).round(5).tolist()
        return outlines

    def outline(self, cells: Ints) -> BaseGeometry:
        """Return what hexagons cover together, in degrees, as a MultiPolygon."""
        joined = shapely.union_all(hexagons(self.q[cells], self.r[cells]))
        parts = joined.geoms if joined.geom_type == "MultiPolygon" else [joined]
        return to_degrees(shapely.MultiPolygon(list(parts)))


@lru_cache(maxsize=96)
def territory(commune: bytes, parts: tuple[Part, ...]) -> Territory:
    """Return a commune's hexagons from its shape (WKB, degrees) and its arrondissements.

    The 77 communes stay at hand: what is cached depends on nothing but the arguments.
    """
    shape = to_plane(shapely.from_wkb(commune))
    q, r, _ = _touching(shape)
    q0, r0 = int(q.min()) - 1, int(r.min()) - 1
    index = np.full((int(r.max()) - r0 + 2, int(q.max()) - q0 + 2), -1, dtype=np.int32)
    flat = (r - r0) * index.shape[1] + (q - q0)
    index.ravel()[flat] = np.arange(len(flat))
    neighbours = np.zeros(len(flat), dtype=np.int8)
    for dq, dr in AROUND:
        neighbours += index.ravel()[flat + dr * index.shape[1] + dq] >= 0
    people, best = np.zeros(len(flat)), np.zeros(len(flat))
    part = np.full(len(flat), -1, dtype=np.int16)
    for number, this in enumerate(parts):
        cells, share = _shares(index, q0, r0, this)
        people[cells] += share * this.population
        most = share > best[cells]
        part[cells[most]] = number
        best[cells[most]] = share[most]
    flat, q, r = (array.astype(np.int32) for array in (flat, q, r))
    return Territory(q0, r0, index, flat, q, r, neighbours, people, part, parts)


def _touching(shape: BaseGeometry) -> tuple[Ints, Ints, Bools]:
    """Return the hexagons that touch ``shape``, and which of them lie in it whole."""
    west, south, east, north = shape.bounds
    rows = np.arange(math.floor(south / (3 * _STEP_Y)) - 1, math.ceil(north / (3 * _STEP_Y)) + 2)
    first = np.floor(west / WIDTH - rows / 2).astype(np.int64) - 1
    columns = np.arange(math.ceil((east - west) / WIDTH) + 4)
    q, r = (first[:, None] + columns).ravel(), np.repeat(rows, len(columns))
    x, y = centres(q, r)
    shapely.prepare(shape)
    inside = shapely.contains_xy(shape, x, y)
    border = shape.boundary
    shapely.prepare(border)
    edge = shapely.dwithin(shapely.points(x, y), border, RADIUS)
    touches = inside.copy()
    touches[edge] |= shapely.intersects(hexagons(q[edge], r[edge]), shape)
    return q[touches], r[touches], (inside & ~edge)[touches]


def _shares(index: Ints, q0: int, r0: int, part: Part) -> tuple[Ints, Floats]:
    """Return the commune's hexagons that touch an arrondissement, and how much of it each holds."""
    shape = to_plane(shapely.from_wkb(part.wkb))
    q, r, whole = _touching(shape)
    known = (q >= q0) & (q < q0 + index.shape[1]) & (r >= r0) & (r < r0 + index.shape[0])
    q, r, whole = q[known], r[known], whole[known]
    covered = np.full(len(q), AREA)
    covered[~whole] = shapely.area(shapely.intersection(hexagons(q[~whole], r[~whole]), shape))
    cells = index[r - r0, q - q0]
    known = cells >= 0
    return cells[known], covered[known] / shape.area
