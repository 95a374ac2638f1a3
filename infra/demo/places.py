"""Plausible places: where people live, gathered around a few spots, inside the arrondissement."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

#: Degrees: about 60 m, 350 m and 2 km at Bénin's latitude.
TIGHT, NEAR, WIDE = 0.0006, 0.0032, 0.018


@dataclass(frozen=True, slots=True)
class Area:
    """An arrondissement with the share of the commune's people who live there."""

    code: str
    name: str
    shape: BaseGeometry
    people: int


@dataclass(frozen=True, slots=True)
class Town:
    """A commune's inhabited places; ``spots`` are where problems come back."""

    code: str
    name: str
    areas: Sequence[Area]
    spots: Sequence[shapely.Point]


def town(connection: Connection, code: str, dice: random.Random, spots: int) -> Town:
    """Read a commune from the reference geography and choose where its problems gather."""
    name, lon, lat = connection.execute(
        text("SELECT name, ST_X(town), ST_Y(town) FROM reference.communes WHERE code = :c"),
        {"c": code},
    ).one()
    rows = connection.execute(
        text(
            "SELECT code, name, ST_AsBinary(geom), population_2013 FROM reference.arrondissements "
            "WHERE commune_code = :c ORDER BY code"
        ),
        {"c": code},
    )
    areas = [Area(r[0], r[1], shapely.from_wkb(bytes(r[2])), r[3]) for r in rows]
    centre = shapely.Point(lon, lat)
    found = Town(code, name, areas, [])
    chosen = [scattered(found, dice, centre, WIDE) for _ in range(spots)]
    return Town(code, name, areas, chosen)


def scattered(
    place: Town, dice: random.Random, centre: shapely.Point, spread: float
) -> shapely.Point:
    """Return a point around ``centre`` that lies well inside the commune."""
    for _ in range(200):
        point = shapely.Point(
            round(dice.gauss(centre.x, spread), 6), round(dice.gauss(centre.y, spread), 6)
        )
        if any(area.shape.contains(point) for area in place.areas):
            return point
    return shapely.Point(area_of(place, dice).shape.representative_point())


def area_of(place: Town, dice: random.Random) -> Area:
    """Draw an arrondissement by its people."""
    (area,) = dice.choices(place.areas, [area.people for area in place.areas])
    return area


def anywhere(place: Town, dice: random.Random) -> shapely.Point:
    """Return a place of a problem: two in three at a known spot, else where people live."""
    if dice.random() < 2 / 3:
        spot = dice.choices(place.spots, range(len(place.spots), 0, -1))[0]
        return scattered(place, dice, spot, dice.choice((TIGHT, TIGHT, NEAR)))
    centre = area_of(place, dice).shape.representative_point()
    return scattered(place, dice, centre, NEAR)


def geometry(point: shapely.Point, shape: str, dice: random.Random) -> dict[str, Any]:
    """Return a project's GeoJSON: a point, a street of some 200 m or a plot of some 60 m."""
    x, y = point.x, point.y
    if shape == "line":
        dx, dy = dice.uniform(0.0006, 0.0014), dice.uniform(-0.0008, 0.0008)
        line = [[x, y], [round(x + dx / 2, 6), round(y + dy, 6)], [round(x + dx, 6), y]]
        return {"type": "LineString", "coordinates": line}
    if shape == "area":
        d = 0.0003
        ring = [[x, y], [x + d, y], [x + d, y + d], [x, y + d], [x, y]]
        rounded = [[round(a, 6), round(b, 6)] for a, b in ring]
        return {"type": "Polygon", "coordinates": [rounded]}
    return {"type": "Point", "coordinates": [x, y]}
