"""The hexagon grid against PROJ, geodesics and brute force."""

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.hotspots import grid
from services.reports.hotspots.grid import Part, Territory

pytestmark = pytest.mark.unit
unhurried = settings(deadline=None)

REFERENCE = Path(__file__).resolve().parents[3] / "infra" / "reference"
CEA = "+proj=cea +lat_ts=9.3 +lon_0=2.3 +ellps=WGS84"
PROJ = pyproj.Transformer.from_crs("EPSG:4326", CEA, always_xy=True)
GEOD = pyproj.Geod(ellps="WGS84")

lons = st.floats(0.7, 3.9)
lats = st.floats(6.1, 12.5)
places = st.lists(st.tuples(lons, lats), min_size=1, max_size=40).map(np.array)


@cache
def parts(commune: str) -> tuple[Part, ...]:
    """Read a commune's arrondissements from the reference files."""
    with (REFERENCE / "arrondissements.csv").open(encoding="utf-8") as file:
        rows = {row["code"]: row for row in csv.DictReader(file)}
    shapes = json.loads((REFERENCE / "arrondissements.geojson").read_text(encoding="utf-8"))
    return tuple(
        Part(code, rows[code]["name"], int(rows[code]["population_2013"]), shapely.to_wkb(shape))
        for feature in shapes["features"]
        if (code := feature["properties"]["code"]).startswith(f"{commune}-")
        and (shape := shapely.from_geojson(json.dumps(feature)))
    )


def outline(commune: str) -> shapely.Geometry:
    """Join a commune's arrondissements."""
    return shapely.union_all([shapely.from_wkb(part.wkb) for part in parts(commune)])


def land(commune: str) -> Territory:
    """Lay the grid over a commune."""
    return grid.territory(shapely.to_wkb(outline(commune)), parts(commune))


@unhurried
@given(places)
def test_the_projection_is_the_one_of_proj(at: np.ndarray) -> None:
    x, y = grid.project(at[:, 0], at[:, 1])
    want = PROJ.transform(*at.T)
    assert np.allclose((x, y), want, rtol=0, atol=1e-6)
    assert np.allclose(grid.unproject(x, y), at.T, rtol=0, atol=1e-11)


@pytest.mark.parametrize("commune", ["0801", "0406", "0101"])
def test_areas_on_the_plane_are_those_on_the_ground(commune: str) -> None:
    shape = shapely.segmentize(outline(commune), 0.001)  # short edges: straight in both senses
    ground, _ = GEOD.geometry_area_perimeter(shape)
    assert grid.to_plane(shape).area == pytest.approx(abs(ground), rel=1e-7)


@unhurried
@given(lons, lats, st.floats(0, 360))
def test_distances_are_within_a_little_more_than_a_hundredth(
    lon: float, lat: float, azimuth: float
) -> None:
    east, north, _ = GEOD.fwd(lon, lat, azimuth, 1_000)
    x, y = grid.project(np.array([lon, east]), np.array([lat, north]))
    assert np.hypot(*np.diff([x, y])).item() == pytest.approx(1_000, rel=0.012)


@unhurried
@given(places)
def test_a_point_lies_in_the_hexagon_with_the_nearest_centre(at: np.ndarray) -> None:
    x, y = grid.project(at[:, 0], at[:, 1])
    q, r = grid.axial(x, y)
    away = [np.hypot(*(np.array(grid.centres(q + dq, r + dr)) - (x, y))) for dq, dr in grid.AROUND]
    assert np.all(away[0] <= np.min(away, axis=0) + 1e-6)
    assert np.all(away[0] <= grid.RADIUS + 1e-6)


def test_hexagons_are_equal_and_leave_no_gap() -> None:
    q, r = np.array(grid.AROUND).T + np.array([[-1322], [2750]])
    flower = shapely.union_all(grid.hexagons(q, r))
    assert flower.geom_type == "Polygon"
    assert not flower.interiors
    assert len(flower.exterior.coords) == 19  # 18 corners: none is doubled by rounding
    assert flower.area == pytest.approx(7 * grid.AREA)
    assert shapely.area(grid.hexagons(q, r)) == pytest.approx(grid.AREA)
    x, y = grid.centres(q, r)
    assert np.hypot(x[1:] - x[0], y[1:] - y[0]) == pytest.approx(grid.WIDTH)


def test_a_territory_is_every_hexagon_that_touches_the_commune() -> None:
    found = land("0801")
    shape = grid.to_plane(outline("0801"))
    west, south, east, north = shape.bounds
    height = 1.5 * grid.RADIUS
    rows = range(int(south / height) - 3, int(north / height) + 3)
    around = [
        (q, r)
        for r in rows
        for q in range(int(west / 300 - r / 2) - 3, int(east / 300 - r / 2) + 3)
    ]
    touching = shapely.intersects(grid.hexagons(*np.array(around).T), shape)
    want = {pair for pair, touches in zip(around, touching, strict=True) if touches}
    assert set(zip(found.q.tolist(), found.r.tolist(), strict=True)) == want
    assert found.neighbours.tolist() == [
        sum((q + dq, r + dr) in want for dq, dr in grid.AROUND)
        for q, r in zip(found.q.tolist(), found.r.tolist(), strict=True)
    ]


def test_people_are_spread_over_the_area_and_none_is_lost() -> None:
    found = land("0801")
    assert found.people.sum() == pytest.approx(sum(part.population for part in found.parts))
    assert np.all(found.people > 0)
    for number, part in enumerate(found.parts):
        shape = grid.to_plane(shapely.from_wkb(part.wkb))
        whole = shapely.contains(shape, grid.hexagons(found.q, found.r))
        assert whole.any()
        assert found.part[whole].tolist() == [number] * whole.sum()
        assert found.people[whole] == pytest.approx(part.population * grid.AREA / shape.area)


@unhurried
@given(st.lists(st.tuples(st.floats(2.33, 2.55), st.floats(6.3, 6.45)), min_size=1, max_size=60))
def test_points_of_the_commune_have_a_cell_and_points_far_away_none(
    pairs: list[tuple[float, float]],
) -> None:
    found, at = land("0801"), np.array(pairs)
    cells = found.locate(at[:, 0], at[:, 1])
    shape = grid.to_plane(outline("0801"))
    x, y = grid.project(at[:, 0], at[:, 1])
    inside = shapely.contains_xy(shape, x, y)
    assert np.all(cells[inside] >= 0)
    held = shapely.distance(
        grid.hexagons(found.q, found.r)[cells[cells >= 0]],
        shapely.points(x[cells >= 0], y[cells >= 0]),
    )
    assert np.all(held < 1e-6)
    assert np.all(cells[shapely.distance(shape, shapely.points(x, y)) > 2 * grid.RADIUS] == -1)


def test_points_anywhere_on_earth_are_no_error() -> None:
    lon, lat = np.array([-180.0, 180.0, 0.0, 2.4]), np.array([-90.0, 90.0, 0.0, -6.37])
    assert land("0801").locate(lon, lat).tolist() == [-1] * 4


def test_an_outline_joins_its_hexagons_and_comes_back_in_degrees() -> None:
    found = land("0801")
    cells = np.array([500, *found.around(np.array([500]))[0]])
    shape = found.outline(cells)
    assert shape.geom_type == "MultiPolygon"
    assert shape.is_valid
    assert len(shape.geoms) == 1
    assert grid.to_plane(shape).area == pytest.approx(7 * grid.AREA)
    (ring,) = found.rings(cells[:1])
    assert ring[0] == ring[-1]
    assert shape.buffer(1e-4).contains(shapely.Polygon(ring))
