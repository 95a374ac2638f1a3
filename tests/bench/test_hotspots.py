"""Hotspots of a commune with 50,000 reports, from raw points to GeoJSON, beside PySAL.

Prints ratios; asserts only that z is the same to 1e-9. ``make bench``.
"""

import time
from collections.abc import Callable
from datetime import date
from statistics import median
from typing import Any

import esda
import geopandas
import numpy as np
import pytest
import shapely
from libpysal.graph import Graph

from services.reports.hotspots import domain, grid, repository, service, words
from services.reports.hotspots.domain import Window
from services.reports.hotspots.memo import Answer
from tests.unit.reports.test_hotspots_grid import land as land_of

pytestmark = pytest.mark.bench
REPORTS = 50_000
SPOTS = 60
TODAY = date(2026, 11, 22)
WINDOW = Window(TODAY, 90)


def points_in(land: grid.Territory) -> tuple[np.ndarray, np.ndarray]:
    """Return degrees of reports: half around a few spots, half anywhere."""
    dice = np.random.default_rng(11)
    spots = dice.choice(land.size, SPOTS)
    cells = np.concatenate([dice.choice(spots, REPORTS // 2), dice.choice(land.size, REPORTS // 2)])
    x, y = grid.centres(land.q[cells], land.r[cells])
    spread = np.where(np.arange(REPORTS) < REPORTS // 2, 350, 150)
    return grid.unproject(x + dice.normal(0, spread), y + dice.normal(0, spread))


def clock(work: Callable[[], Any], times: int = 7) -> float:
    """Return the median seconds of ``work``."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


@pytest.mark.parametrize(("commune", "name"), [("0801", "Cotonou"), ("0301", "Abomey-Calavi")])
def test_gi_star_beside_pysal(commune: str, name: str) -> None:
    land = land_of(commune)
    lon, lat = points_in(land)
    place = repository.Place(name, b"", land.parts)
    # What both are given: the commune's hexagons, as each likes them best.
    degrees = geopandas.GeoSeries(
        shapely.polygons(np.stack(grid.unproject(*grid.corners(land.q, land.r)), axis=-1).round(9)),
        crs=4326,
    )
    index = degrees.sindex

    def answer(cells: np.ndarray, now: domain.Field) -> Answer:
        survey = service.Survey(
            place, land, np.zeros(len(cells), repository.POINT), cells, np.ones(len(cells), bool)
        )
        shown = service.shown_cells(now)[: service.MAX_CELLS]
        when = words.period(WINDOW, TODAY)
        before = domain.measure(land, cells[:0])
        features = service.cell_features(survey, (now, before), shown, "waste", WINDOW, when)
        return Answer.of({"type": "FeatureCollection", "features": features})

    def ours() -> Answer:
        cells = land.locate(lon, lat)
        return answer(cells, domain.measure(land, cells))

    def binned() -> np.ndarray:
        points = geopandas.points_from_xy(lon, lat)
        _, cells = index.query(points, predicate="intersects")
        return np.bincount(cells, minlength=land.size)

    def theirs(counts: np.ndarray, graph: Graph) -> esda.G_Local:
        return esda.G_Local(counts.astype(float), graph, transform="B", star=True, permutations=0)

    def written(counts: np.ndarray, found: esda.G_Local) -> str:
        frame = geopandas.GeoDataFrame(
            {"count": counts, "z": found.Zs, "p": 2 * found.p_norm}, geometry=degrees
        )
        shown = frame[frame["count"] > 0].nlargest(service.MAX_CELLS, "z")
        text: str = shown.to_json()
        return text

    def pysal() -> tuple[esda.G_Local, str]:
        counts = binned()
        found = theirs(counts, Graph.build_contiguity(degrees, rook=True))
        return found, written(counts, found)

    def graph_from_our_grid() -> Graph:
        near = land.around(np.arange(land.size))
        focal, side = np.nonzero(near >= 0)
        return Graph.from_arrays(focal, near[focal, side], np.ones(len(focal)))

    field = domain.measure(land, land.locate(lon, lat))
    found, _ = pysal()
    lent = theirs(field.counts, graph_from_our_grid())
    assert found.n == lent.n == land.size
    assert np.allclose(field.z, found.Zs, rtol=0, atol=1e-9)
    assert np.allclose(field.z, lent.Zs, rtol=0, atol=1e-9)
    assert ours().body.count(b'"Feature"') == min(
        service.MAX_CELLS, ((field.counts > 0) | field.significant).sum()
    )

    cells = land.locate(lon, lat)
    stages: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "points to GeoJSON": (ours, pysal),
        "- points to cells": (lambda: land.locate(lon, lat), binned),
        "- counts to z": (
            lambda: domain.measure(land, cells),
            lambda: theirs(field.counts, graph_from_our_grid()),
        ),
        "- z to GeoJSON": (lambda: answer(cells, field), lambda: written(field.counts, found)),
    }
    print(f"\n{name}: {REPORTS:,} points, {land.size:,} hexagons")
    for stage, (mine, other) in stages.items():
        here, there = clock(mine), clock(other)
        print(
            f"{stage:18} ours {here * 1e3:6.1f} ms   PySAL {there * 1e3:7.1f} ms"
            f"   {there / here:6.1f} ×"
        )
