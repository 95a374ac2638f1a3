"""GeoJSON in: what is refused before the database is asked."""

import math
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.proposals import domain
from services.proposals.events import EXAMPLES, PUBLISHED
from services.proposals.schemas import NewProposal

pytestmark = pytest.mark.unit

positions = st.tuples(
    st.floats(-180, 180, allow_nan=False), st.floats(-90, 90, allow_nan=False)
).map(list)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


@given(positions)
def test_points_come_back_as_they_were(position: list[float]) -> None:
    shape = domain.read_geometry("Point", position)
    again = domain.to_geojson(shape)
    assert again["type"] == "Point"
    assert again["coordinates"] == pytest.approx(position)


@given(kind=st.sampled_from(["Point", "LineString", "Polygon"]), coordinates=json_values)
def test_anything_else_is_a_value_error_or_a_good_shape(kind: str, coordinates: object) -> None:
    try:
        shape = domain.read_geometry(kind, coordinates)
    except ValueError:
        return
    assert shape.geom_type == kind
    assert shape.is_valid
    assert shape.is_simple
    assert all(map(math.isfinite, shapely.get_coordinates(shape).flat))


@given(
    st.lists(positions, min_size=1, max_size=6),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.data(),
)
def test_nothing_infinite_passes(line: list[list[float]], bad: float, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(line) - 1))
    line[place][data.draw(st.integers(0, 1))] = bad
    with pytest.raises(ValueError, match="finite"):
        domain.read_geometry("LineString", [[2.4, 6.4], *line])


SQUARE = [[2.4, 6.36], [2.41, 6.36], [2.41, 6.37], [2.4, 6.37], [2.4, 6.36]]


@pytest.mark.parametrize(
    ("kind", "coordinates", "said"),
    [
        ("Point", [2.4, 96.4], "latitude lies between"),
        ("Point", [10**400, 6.4], "longitude lies between"),
        ("Point", [True, 6.4], "longitude is a number"),
        ("Point", ["2.4", 6.4], "longitude is a number"),
        ("Point", [2.4, 6.4, 12.0], "two numbers"),
        ("Point", [], "two numbers"),
        ("LineString", [[2.4, 6.4]], "2 to 1000 positions"),
        ("LineString", [[2.4, 6.4], [2.4, 6.4]], "not valid"),
        ("LineString", [[0, 0], [1, 1], [1, 0], [0, 1]], "crosses itself"),
        ("LineString", [[2.4, 6.4]] * 1001, "2 to 1000 positions"),
        ("Polygon", [], "1 to 20 rings"),
        ("Polygon", [SQUARE[:4]], "ends where it begins"),
        ("Polygon", [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]], "not valid"),
        ("Polygon", [SQUARE, [[3, 3], [3.1, 3], [3.1, 3.1], [3, 3]]], "not valid"),
    ],
)
def test_bad_geometries_are_told_apart(kind: str, coordinates: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        domain.read_geometry(kind, coordinates)


def test_vertices_are_counted_over_all_rings() -> None:
    def ring(lon: float, n: int, radius: float) -> list[list[float]]:
        turn = [2 * math.pi * i / n for i in range(n)]
        found = [[lon + radius * math.cos(t), 9 + radius * math.sin(t)] for t in turn]
        return [*found, found[0]]

    holes = [ring(2.05 + 0.1 * i, 300, 0.01) for i in range(4)]
    with pytest.raises(ValueError, match="1000 positions at most"):
        domain.read_geometry("Polygon", [ring(2.2, 300, 0.5), *holes])


GOOD: dict[str, Any] = {
    "campaign": "01930000-0000-7000-8000-000000000101",
    "title": "Un puits",
    "description": "Au quartier.",
    "geometry": {"type": "Point", "coordinates": [2.4, 6.4]},
    "estimated_cost": 3_000_000,
}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "\ud800"}, "title"),
        ({"description": "x" * 4001}, "description"),
        ({"theme": "two words"}, "theme"),
        ({"theme": "<script>"}, "theme"),
        ({"reports": ["01930000-0000-7000-8000-000000000101"] * 2}, "reports"),
        ({"reports": ["S-7K4M2P"]}, "reports"),
        ({"geometry": {"type": "MultiPoint", "coordinates": [[2.4, 6.4]]}}, "geometry"),
        ({"geometry": None}, "geometry"),
        ({"estimated_cost": 0}, "estimated_cost"),
        ({"author_id": "me"}, "author_id"),
    ],
)
def test_fields_that_break_a_rule_are_named(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NewProposal.model_validate({**GOOD, **change})
    assert {error["loc"][0] for error in caught.value.errors()} == {where}


def test_twenty_reports_are_enough() -> None:
    ids = [f"01930000-0000-7000-8000-0000000001{n:02}" for n in range(21)]
    assert len(NewProposal.model_validate({**GOOD, "reports": ids[:20]}).reports) == 20
    with pytest.raises(ValidationError):
        NewProposal.model_validate({**GOOD, "reports": ids})


def test_texts_are_kept_as_they_are() -> None:
    text = "<script>alert(1)</script> ${7*7} `x` « déjà » 🌳"
    found = NewProposal.model_validate({**GOOD, "title": text, "description": text})
    assert (found.title, found.description) == (text, text)


def test_events_name_no_person_and_have_examples() -> None:
    assert {type(example) for example in EXAMPLES} == set(PUBLISHED)
    for kind in PUBLISHED:
        assert not {"author", "author_id", "user_id", "description", "reason"} & set(
            kind.model_fields
        )
