"""Plots are well-formed, honest about lengths, and safe whatever they are given."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import plots
from gateway.plots import Bar, Column
from gateway.web import STATIC

pytestmark = pytest.mark.unit

CSS = (STATIC / "css" / "desk.css").read_text()
SVG = "{http://www.w3.org/2000/svg}"

names = st.text(max_size=60).filter(lambda text: text.isprintable())
amounts = st.none() | st.floats(0, 1e7, allow_nan=False, allow_infinity=False)
lines = st.lists(st.builds(Bar, names, amounts, amounts, names, amounts), max_size=15)
moments = st.lists(st.builds(Column, names, amounts, amounts, amounts), max_size=40)


def read(svg):
    """Read a plot as XML: malformed or wrongly escaped ones raise."""
    whole = str(svg).replace("<svg", f'<svg xmlns="{SVG[1:-1]}"', 1)
    return ElementTree.fromstring(whole)  # noqa: S314 - our own


def rects(svg, kind):
    return [
        {name: float(rect.get(name)) for name in ("x", "y", "width", "height")}
        for rect in read(svg).iter(f"{SVG}rect")
        if rect.get("class") == kind
    ]


def words(svg):
    return [text.text or "" for text in read(svg).iter(f"{SVG}text")]


@given(lines, st.sampled_from([plots.NARROW, plots.WIDE]))
def test_bars_stay_inside_whatever_they_are_given(given_lines, width):
    svg = plots.bars("k", "<b>Reçus</b> & co", 'dit "tout"', given_lines, width=width)
    root = read(svg)
    _, _, box_width, box_height = map(float, root.get("viewBox").split())
    assert box_width == width
    for rect in [*rects(svg, "bar"), *rects(svg, "bar before")]:
        assert 0 <= rect["x"] <= rect["x"] + rect["width"] <= width + 0.1
        assert 0 <= rect["y"] <= rect["y"] + rect["height"] <= box_height
    assert len(rects(svg, "bar")) == sum(line.now is not None for line in given_lines)
    assert len(rects(svg, "bar before")) == sum(line.before is not None for line in given_lines)
    assert root.find(f"{SVG}title").text == "<b>Reçus</b> & co"
    assert root.find(f"{SVG}desc").text == 'dit "tout"'


@given(moments, st.sampled_from([(plots.NARROW, plots.LOW), (plots.WIDE, plots.HIGH)]))
def test_columns_stay_inside_whatever_they_are_given(given_moments, size):
    width, height = size
    svg = plots.columns("k", "t", "d", given_moments, width=width, height=height)
    assert read(svg).get("viewBox") == f"0 0 {width} {height}"
    for rect in [*rects(svg, "bar"), *rects(svg, "bar before")]:
        assert 0 <= rect["x"] <= rect["x"] + rect["width"] <= width + 0.1
        assert 0 <= rect["y"] <= rect["y"] + rect["height"] <= height
    assert len(rects(svg, "bar")) == sum(m.now is not None for m in given_moments)


@pytest.mark.parametrize(
    "svg",
    [
        plots.bars("a", "t", "d", [Bar("Eau", 3.0, 1.0, "3 (1)", far=4.0)]),
        plots.columns("b", "t", "d", [Column("nov.", 3, 1, 2), Column("déc.", 4, 1, 2)]),
    ],
)
def test_a_plot_is_an_image_with_a_name_and_nothing_that_the_policy_refuses(svg):
    root = read(svg)
    assert root.get("role") == "img"
    labelled = root.get("aria-labelledby").split()
    assert labelled == [root.find(f"{SVG}title").get("id"), root.find(f"{SVG}desc").get("id")]
    assert not re.search(r"\bstyle=|<style|<script|\bon\w+=|href", str(svg))
    # Each class is drawn by the stylesheet: an unknown one would be black.
    drawn = {kind for element in root.iter() if (kind := element.get("class")) and kind != "plot"}
    assert drawn
    for kind in drawn:
        assert f".plot .{kind.replace(' ', '.')} {{" in CSS


def test_lengths_are_in_proportion():
    told = [Bar("a", 40, 20, "40"), Bar("b", 10, None, "10"), Bar("c", 0, 0, "0")]
    svg = plots.bars("k", "t", "d", told)
    assert [rect["width"] for rect in rects(svg, "bar")] == [288, 72, 0]
    assert [rect["width"] for rect in rects(svg, "bar before")] == [144, 0]
    half = plots.bars("k", "t", "d", [Bar("a", 0.5, 0.25, "50 %")], most=1)
    assert [rect["width"] for rect in rects(half, "bar")] == [144]


def test_heights_are_in_proportion_and_share_one_floor():
    svg = plots.columns("k", "t", "d", [Column("a", 10, 5, 0), Column("b", 2, None, 0)])
    ten, two = rects(svg, "bar")
    (five,) = rects(svg, "bar before")
    assert ten["height"] == pytest.approx(2 * five["height"], abs=0.1)
    assert ten["height"] == pytest.approx(5 * two["height"], abs=0.3)
    floors = {round(rect["y"] + rect["height"]) for rect in (ten, two, five)}
    assert len(floors) == 1


def test_nothing_known_is_no_bar():
    svg = plots.bars("k", "t", "d", [Bar("Eau", None, None, "– (–)", far=3.0)])
    assert rects(svg, "bar") == rects(svg, "bar before") == []
    assert words(svg) == ["Eau", "– (–)"]


@pytest.mark.parametrize(
    ("value", "top"),
    [(0.2, 1), (1, 1), (1.5, 2), (3, 5), (10, 10), (11, 20), (51, 100), (1234, 2000)],
)
def test_a_scale_ends_at_a_round_number(value, top):
    assert plots.ceiling(value) == top


@given(st.floats(0.001, 1e9))
def test_a_scale_holds_everything_and_wastes_little(value):
    top = plots.ceiling(value)
    assert value <= top
    assert top == 1 or top <= 2.5 * value


def test_names_never_run_into_values():
    said = "12,4 j (10,1 j)"
    long = "Bâtiment public dégradé depuis plusieurs années"
    name, value = words(plots.bars("k", "t", "d", [Bar(long, 1, 1, said)]))
    assert value == said
    assert name.endswith("…")
    assert long.startswith(name[:-1])
    assert (len(name) + len(value)) * 7.2 <= plots.NARROW


@given(st.integers(1, 60))
def test_names_of_moments_never_run_into_one_another(many):
    told = [Column(f"{n % 28 + 1} sept.", 1, 1, 1) for n in range(many)]
    for width in (plots.NARROW, plots.WIDE):
        svg = plots.columns("k", "t", "d", told, width=width)
        spans = sorted(
            (float(text.get("x")) - half, float(text.get("x")) + half)
            for text in read(svg).iter(f"{SVG}text")
            if text.get("text-anchor") == "middle"
            for half in [len(text.text) * 3.6]
        )
        assert spans
        assert spans[0][0] >= 0
        assert spans[-1][1] <= width + 0.1
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
