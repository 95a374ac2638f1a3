"""Gi*, false discovery rate, trends, clusters and silence, against PySAL, SciPy and naive twins."""

import csv
import math
import os
from pathlib import Path

import esda
import libpysal
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from services.reports.hotspots import domain, grid
from services.reports.hotspots.domain import Field
from services.reports.hotspots.grid import Territory

pytestmark = pytest.mark.unit
unhurried = settings(deadline=None)

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("PALABRE_SHARED_DATA", ROOT.parent / "shared" / "data"))
PARIS = SHARED / "civic" / "paris_dansmarue_2023_2024.csv"


def laid_over(shape: shapely.Geometry) -> Territory:
    return grid.territory(shapely.to_wkb(shape), ())


corner = st.tuples(st.integers(0, 30), st.integers(0, 30))
side = st.integers(1, 25)
#: Shapes of up to 6 km, in one piece or several, some no wider than a hexagon.
lands = st.lists(st.tuples(corner, side, side), min_size=1, max_size=4).map(
    lambda boxes: laid_over(
        shapely.union_all(
            [
                shapely.box(
                    2.4 + x / 1000, 6.4 + y / 1000, 2.4 + (x + w) / 1000, 6.4 + (y + h) / 1000
                )
                for (x, y), w, h in boxes
            ]
        )
    )
)


@st.composite
def counted(draw: st.DrawFn) -> tuple[Territory, np.ndarray]:
    """Draw a territory and reports in it, most cells empty."""
    land = draw(lands)
    some = draw(st.lists(st.integers(0, land.size - 1), min_size=1, max_size=60))
    return land, np.array(some) % draw(st.integers(1, land.size))


def oracle(land: Territory, counts: np.ndarray) -> esda.G_Local:
    """Return PySAL's analytic Gi*, its ids in the order of the values."""
    at = {pair: n for n, pair in enumerate(zip(land.q.tolist(), land.r.tolist(), strict=True))}
    near = {
        n: [at[q + dq, r + dr] for dq, dr in grid.AROUND if (q + dq, r + dr) in at]
        for (q, r), n in at.items()
    }
    weights = libpysal.weights.W(near, id_order=list(at.values()), silence_warnings=True)
    return esda.G_Local(counts.astype(float), weights, transform="B", star=True, permutations=0)


@settings(max_examples=60, deadline=None)
@given(counted())
def test_z_and_p_are_those_of_pysal(given_: tuple[Territory, np.ndarray]) -> None:
    land, cells = given_
    field = domain.measure(land, cells)
    seen_by_all = land.neighbours == land.size
    assume(land.size > 1 and field.counts.std() > 0 and not seen_by_all.any())
    want = oracle(land, field.counts)
    assert np.allclose(field.z, want.Zs, rtol=0, atol=1e-9)
    assert np.allclose(field.p, 2 * want.p_norm, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not PARIS.exists(), reason=f"no {PARIS} (PALABRE_SHARED_DATA)")
def test_z_is_that_of_pysal_over_real_reports() -> None:
    with PARIS.open(encoding="utf-8") as file:
        at = np.array([(float(r["longitude"]), float(r["latitude"])) for r in csv.DictReader(file)])
    land = laid_over(shapely.MultiPoint(at).convex_hull)
    cells = land.locate(at[:, 0], at[:, 1])
    field = domain.measure(land, cells)
    assert field.counts.sum() == len(at) == 6003
    want = oracle(land, field.counts)
    assert np.allclose(field.z, want.Zs, rtol=0, atol=1e-9)
    passes = stats.false_discovery_control(2 * want.p_norm) <= domain.ALPHA
    enough = (want.Zs < 0) | (land.sums(field.counts) >= domain.LEAST_REPORTS)
    assert field.significant.tolist() == (passes & enough).tolist()
    assert 0 < field.hot.sum() < (want.Zs > 1.96).sum()
    spots = domain.hotspots(land, field, domain.measure(land, cells[:0]))
    assert {spot.trend for spot in spots} == {"emerging"}


@unhurried
@given(counted(), st.randoms(use_true_random=False))
def test_the_order_of_reports_does_not_matter(
    given_: tuple[Territory, np.ndarray], dice: "np.random.Generator"
) -> None:
    land, cells = given_
    shuffled = cells.tolist()
    dice.shuffle(shuffled)
    one, other = domain.measure(land, cells), domain.measure(land, np.array(shuffled))
    assert one.z.tolist() == other.z.tolist()
    assert one.significant.tolist() == other.significant.tolist()


@unhurried
@given(st.integers(-400, 400), st.integers(-400, 400), st.integers(0, 2**32 - 1))
def test_it_does_not_matter_where_on_the_grid_all_lies(dq: int, dr: int, seed: int) -> None:
    east, north = grid.centres(np.array([dq]), np.array([dr]))
    plane = grid.to_plane(shapely.box(2.4, 6.4, 2.42, 6.43))
    moved = shapely.transform(plane, lambda at: at + np.hstack([east, north]))
    land, other = (laid_over(grid.to_degrees(shape)) for shape in (plane, moved))
    x, y = np.random.default_rng(seed).normal(plane.centroid.coords[0], 500, (200, 2)).T
    one = domain.measure(land, land.locate(*grid.unproject(x, y)))
    same = domain.measure(other, other.locate(*grid.unproject(x + east, y + north)))
    assert (other.q - land.q).tolist() == [dq] * land.size
    assert one.counts.tolist() == same.counts.tolist()
    assert one.z.tolist() == same.z.tolist()


def test_reports_outside_are_not_counted() -> None:
    land = laid_over(shapely.box(2.4, 6.4, 2.42, 6.43))
    field = domain.measure(land, np.array([3, -1, 3, -1]))
    assert (field.counts.sum(), field.counts[3]) == (2, 2)


@pytest.mark.parametrize("each", [0, 4])
def test_where_all_is_alike_there_is_nothing_to_tell(each: int) -> None:
    land = laid_over(shapely.box(2.4, 6.4, 2.42, 6.43))
    field = domain.measure(land, np.repeat(np.arange(land.size), each))
    assert not field.z.any()
    assert field.p.tolist() == [1.0] * land.size
    assert not field.significant.any()


def test_one_cell_is_no_commune_to_compare_with() -> None:
    point = shapely.Point(2.4, 6.4).buffer(1e-6)
    land = laid_over(point)
    assert land.size == 1
    field = domain.measure(land, np.zeros(9, dtype=int))
    assert (field.z.tolist(), field.significant.tolist()) == ([0.0], [False])


def test_few_reports_are_no_gathering_in_an_empty_commune() -> None:
    land = laid_over(shapely.box(2.4, 6.4, 2.6, 6.6))
    middle = land.size // 2
    few, enough = np.full(4, middle), np.full(5, middle)
    assert domain.measure(land, few).z[middle] > 10
    assert not domain.measure(land, few).significant.any()
    assert domain.measure(land, enough).hot.sum() == 7


probabilities = st.floats(0, 1)


@unhurried
@given(st.lists(probabilities, min_size=1, max_size=60), st.floats(0.001, 0.3))
def test_the_false_discovery_rate_is_the_step_up_of_the_paper(
    values: list[float], alpha: float
) -> None:
    ranked = sorted(range(len(values)), key=lambda i: values[i])
    last = max(
        (k for k, i in enumerate(ranked, 1) if values[i] <= alpha * k / len(values)), default=0
    )
    limit = values[ranked[last - 1]] if last else -1.0
    assert domain.fdr(np.array(values), alpha).tolist() == [value <= limit for value in values]


@unhurried
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=20))
def test_p_is_that_of_scipy(values: list[float]) -> None:
    z = np.array(values)
    assert np.allclose(domain.p_two_sided(z), 2 * stats.norm.sf(abs(z)), rtol=1e-9, atol=1e-300)


@unhurried
@given(st.integers(0, 3_000), st.floats(0.01, 3_000))
def test_the_poisson_tail_is_that_of_scipy(k: int, mean: float) -> None:
    want = stats.poisson.cdf(k, mean)
    assert domain.poisson_at_most(k, mean) == pytest.approx(want, rel=1e-9, abs=1e-300)


@unhurried
@given(lands, st.data())
def test_clusters_share_out_the_cells_hang_together_and_are_not_too_wide(
    land: Territory, data: st.DataObject
) -> None:
    members = np.array(
        data.draw(st.lists(st.booleans(), min_size=land.size, max_size=land.size)), dtype=bool
    )
    z = np.round(np.sin(np.arange(land.size) * 7.7) * 3, 1)
    # z is above 0 or below, and often the same: only what is above is hot.
    field = Field(np.arange(land.size) % 3, members, z, z, members)
    found = domain.clusters(land, field)
    assert (
        sorted(np.concatenate([*found, []]).tolist()) == np.flatnonzero(members & (z > 0)).tolist()
    )
    for cells in found:
        joined = land.outline(cells)
        assert len(joined.geoms) == 1
        edge = shapely.get_coordinates(grid.to_plane(joined))
        widest = max(math.dist(a, b) for a in edge for b in edge)
        assert widest <= domain.MAX_DIAMETER + 1e-6
        assert z[cells[0]] == z[cells].max()


def test_a_long_street_is_several_hotspots() -> None:
    land = laid_over(shapely.box(2.4, 6.4, 2.46, 6.43))
    row = land.r == int(np.median(land.r))
    cells = np.repeat(np.flatnonzero(row), 30)
    field = domain.measure(land, cells)
    spots = domain.hotspots(land, field, nothing(land))
    assert len(spots) > 4
    assert sum(spot.count for spot in spots) == field.counts[field.hot].sum() > 600


def nothing(land: Territory) -> Field:
    return domain.measure(land, np.array([], dtype=int))


def test_trends_follow_from_two_windows() -> None:
    land = laid_over(shapely.box(2.4, 6.4, 2.5, 6.5))
    new, old, gone = land.locate(np.array([2.42, 2.45, 2.48]), np.array([6.42, 6.45, 6.48]))
    now = domain.measure(land, np.repeat([new, old, 1], [20, 30, 1]))
    before = domain.measure(land, np.repeat([old, gone, 1], [25, 15, 1]))
    spots = domain.hotspots(land, now, before)
    told = [(s.trend, s.count, s.before, s.significant) for s in spots]
    assert told == [
        ("persistent", 30, 25, True),
        ("emerging", 20, 0, True),
        ("fading", 0, 15, False),
    ]
    assert [land.cell_ids(s.cells[:1])[0] for s in spots] == [
        f"{land.q[cell]}:{land.r[cell]}" for cell in (old, new, gone)
    ]
    assert spots[0].z > spots[1].z > 0
    assert all(len(spot.cells) == 7 for spot in spots)
    # The middle of the reports is the middle of the one cell that holds them.
    lon, lat = grid.unproject(*grid.centres(land.q[[old]], land.r[[old]]))
    assert domain.centre(land, now, spots[0].cells) == pytest.approx((lon[0], lat[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "people", "silent"),
    [
        ([100, 2], [50_000, 50_000], [1]),
        ([100, 45], [50_000, 50_000], []),  # fewer, but not far fewer
        ([100, 0], [50_000, 2_000], []),  # four were to be expected: too few to judge
        ([100, 0], [50_000, 0], []),  # nobody lives there
        ([0, 0], [50_000, 50_000], []),  # a silent commune has no loud part
        ([], [], []),
        ([300, 1, 9], [40_000, 60_000, 30_000], [1, 2]),
    ],
)
def test_silent_arrondissements(counts: list[int], people: list[int], silent: list[int]) -> None:
    found = domain.silent(counts, people)
    assert [one.place for one in found] == silent
    for one in found:
        assert one.expected == pytest.approx(sum(counts) * people[one.place] / sum(people))
        assert one.p == pytest.approx(stats.poisson.cdf(one.count, one.expected), rel=1e-9)


def test_rates_need_people() -> None:
    assert domain.per_1000(23, 10_000) == 2.3
    assert domain.per_1000(1, 99.9) is None


def box(x: float, width: float = 10) -> shapely.Geometry:
    return shapely.box(x, 0, x + width, 10)


def test_a_hotspot_is_paired_with_what_it_covers_most() -> None:
    stored = [box(0), box(100), box(200)]
    assert domain.overlaps([box(103), box(4), box(98)], stored) == {1: 0, 2: 1}
    assert domain.overlaps([box(9.5), box(210)], stored) == {}  # a twentieth; a common side
    assert domain.overlaps([], stored) == domain.overlaps(stored, []) == {}
