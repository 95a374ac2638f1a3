"""The order of a field round: short, complete, and never worse than the plain way."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.desk.domain import (
    MAX_STOPS,
    Matrix,
    metres,
    nearest_first,
    two_opt,
    walk,
)

pytestmark = pytest.mark.unit

START = (2.42, 6.37)
points = st.tuples(st.floats(0.7, 3.9), st.floats(6.2, 12.4))
stops = st.lists(points, max_size=25)


def length(distance: Matrix, order: list[int]) -> float:
    return float(sum(distance[a, b] for a, b in pairwise(order)))


def test_distances_are_metres_on_the_ground() -> None:
    # A degree of a great circle, and one of a parallel, which is shorter.
    one = metres([(2.0, 6.0), (2.0, 7.0), (3.0, 6.0)])
    assert one[0, 1] == pytest.approx(111_195, abs=1)
    assert one[0, 2] == pytest.approx(111_195 * np.cos(np.radians(6)), rel=1e-4)
    assert np.array_equal(one, one.T)
    assert not np.diagonal(one).any()


@settings(deadline=None)
@given(points, stops)
def test_a_walk_visits_every_stop_once_and_its_legs_add_up(
    start: tuple[float, float], some: list[tuple[float, float]]
) -> None:
    found = walk(start, some)
    assert sorted(found.order) == list(range(len(some)))
    way = [start, *(some[n] for n in found.order)]
    between = [float(metres([a, b])[0, 1]) for a, b in pairwise(way)]
    assert found.legs == pytest.approx(between, abs=1e-3)


@settings(deadline=None)
@given(stops)
def test_a_walk_is_never_longer_than_the_nearest_neighbours(
    some: list[tuple[float, float]],
) -> None:
    distance = metres([START, *some])
    plain = nearest_first(distance)
    better = two_opt(distance, plain)
    assert better[0] == 0
    assert length(distance, better) <= length(distance, plain) + 1e-6
    assert sum(walk(START, some).legs) == pytest.approx(length(distance, better))


@settings(deadline=None)
@given(stops)
def test_no_turn_shortens_a_walk_any_more(some: list[tuple[float, float]]) -> None:
    distance = metres([START, *some])
    order = two_opt(distance, nearest_first(distance))
    shortest = length(distance, order)
    for i in range(1, len(order)):
        for j in range(i + 1, len(order)):
            turned = order[:i] + order[i : j + 1][::-1] + order[j + 1 :]
            assert length(distance, turned) >= shortest - 1e-3


def test_a_crossing_is_undone() -> None:
    # Along a street and back on the other side: the nearest neighbour leaves one end for last.
    street = [(2.42 + 0.001 * x, 6.37) for x in (1, -1.1, 3, -4, 8)]
    distance = metres([START, *street])
    best = min(length(distance, [0, *order]) for order in permutations(range(1, 6)))
    assert length(distance, nearest_first(distance)) > best * 1.05
    assert sum(walk(START, street).legs) < length(distance, nearest_first(distance))


def test_stops_at_one_place_and_none_at_all() -> None:
    assert walk(START, []).order == []
    found = walk(START, [START] * MAX_STOPS)
    assert sorted(found.order) == list(range(MAX_STOPS))
    assert sum(found.legs) == 0
