"""Drawing a project's place as a point, a line or an area, on a small touch screen."""

import html
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import shapely
from playwright.sync_api import Browser, Page, expect
from shapely.geometry import shape

from gateway.layers import drawing_words
from maps import DataLayer, commune_parts
from tests.integration.maps.map_site import GATEWAY, Site, pin
from tests.unit.maps.outlines import real

pytestmark = pytest.mark.e2e
SCRIPT = GATEWAY / "static" / "js" / "map-draw.js"
AROUND = 'data-map-picker data-lon-input="#lon" data-lat-input="#lat" data-area-input="#area"'
FIELDS = (
    '<input type="hidden" id="lon" name="lon" value="{lon}">'
    '<input type="hidden" id="lat" name="lat" value="{lat}"><input id="area" name="area">'
    '<input type="hidden" name="geometry" value="{geometry}"></form>'
)
SQUARE = [[2.42, 6.36], [2.43, 6.36], [2.43, 6.37], [2.42, 6.37]]


@dataclass
class Drawing:
    """The form as a test meets it. Places are pixels of the map."""

    page: Page

    @property
    def geometry(self) -> Any:
        value = self.page.locator("[name=geometry]").input_value()
        return json.loads(value) if value else None

    @property
    def corners(self) -> Any:
        """What was drawn, as whatever holds its places."""
        return self.geometry["coordinates"]

    @property
    def said(self) -> str:
        said = self.page.get_by_role("status").inner_text()
        return said.replace("\u00a0", " ").replace("\u202f", " ")

    def choose(self, what: str) -> None:
        self.page.locator(".draw-kind", has_text=what).tap()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button).tap()

    def tap(self, *places: tuple[float, float]) -> None:
        box = self.page.locator(".map").bounding_box()
        assert box is not None
        for x, y in places:
            self.page.touchscreen.tap(box["x"] + x, box["y"] + y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        box = self.page.locator(".map").bounding_box()
        assert box is not None
        mouse = self.page.mouse
        mouse.move(box["x"] + start[0], box["y"] + start[1])
        mouse.down()
        mouse.move(box["x"] + end[0], box["y"] + end[1], steps=6)
        mouse.up()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    problems: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("requestfailed", lambda request: problems.append(request.url))
    yield opened
    context.close()
    assert problems == []


@pytest.fixture
def form(site: Site, phone: Page) -> Callable[..., Drawing]:
    def open_form(
        geometry: Any = None, pins: Any = (), lon: str = "", lat: str = "", language: str = "fr"
    ) -> Drawing:
        site.layers["/layer"] = list(pins)
        layers = [DataLayer("proposals", "/layer", "Propositions")]
        parts = commune_parts(*real("0801"), layers, picker=True)
        words = f'<div data-draw-words="{html.escape(drawing_words(language))}"'
        value = html.escape(json.dumps(geometry)) if geometry else ""
        site.put(
            "/form",
            replace(parts, html=parts.html.replace("<div", words, 1)),
            around=AROUND,
            before="<form data-draw>",
            after=FIELDS.format(geometry=value, lon=lon, lat=lat),
        )
        phone.goto(f"{site.url}/form")
        phone.wait_for_selector(".draw-bar")
        return Drawing(phone)

    return open_form


def test_an_area_is_drawn_corner_by_corner(form: Callable[..., Drawing]) -> None:
    drawn = form()
    assert drawn.page.get_by_label("Un point").is_checked()
    drawn.choose("Une zone")
    assert drawn.said == "Touchez la carte à chaque coin de la zone."
    drawn.tap((120, 120), (240, 120))
    assert drawn.said == "Points posés : 2. Il en faut au moins 3."
    assert drawn.geometry is None
    assert drawn.page.locator("#lon").input_value() == ""
    drawn.tap((240, 200))
    assert drawn.said.startswith("Points posés : 3. ")
    assert drawn.geometry["type"] == "Polygon"
    [ring] = drawn.corners
    assert len(ring) == 4
    assert ring[0] == ring[-1]
    assert shapely.is_ccw(shapely.LinearRing(ring))
    for lon, lat in ring:
        assert (lon, lat) == (round(lon, 6), round(lat, 6))
        assert 2.3 < lon < 2.6
        assert 6.3 < lat < 6.5
    assert drawn.page.locator("#lon").input_value() != ""
    whole = drawn.geometry
    # The way from the third corner would cross that between the first two.
    drawn.tap((180, 60))
    assert drawn.said == "La zone se croiserait : choisissez un autre endroit."
    assert drawn.geometry == whole
    drawn.tap((120, 200))
    assert len(drawn.corners[0]) == 5
    drawn.press("Annuler le dernier point")
    assert drawn.geometry == whole
    drawn.press("Terminer")
    assert drawn.said == "Dessin terminé. Les points peuvent encore glisser."
    drawn.tap((120, 200))
    assert drawn.geometry == whole
    drawn.press("Recommencer")
    assert drawn.geometry is None
    assert drawn.page.locator(".draw-corner").count() == 0


def test_where_a_drawing_lies_is_said_and_filled_in(form: Callable[..., Drawing]) -> None:
    drawn = form()
    drawn.choose("Un tracé")
    drawn.tap((150, 150), (210, 150))
    first, last = ([f"{n:.6f}" for n in corner] for corner in (drawn.corners[0], drawn.corners[-1]))
    assert [drawn.page.locator(f"#{n}").input_value() for n in ("lon", "lat")] == first
    assert first != last
    assert "Lieu choisi" in drawn.said
    # From one end of the commune to the other it lies in several: none is written down.
    drawn.press("Recommencer")
    drawn.tap((40, 160), (320, 160))
    assert drawn.geometry["type"] == "LineString"
    assert drawn.page.locator("#area").input_value() == ""
    drawn.press("Recommencer")
    drawn.tap((150, 10), (240, 20))
    assert "hors de la commune" in drawn.said


def test_a_line_may_cross_itself_and_back_at_its_start_it_ends(
    form: Callable[..., Drawing],
) -> None:
    drawn = form()
    drawn.choose("Un tracé")
    drawn.tap((100, 100), (200, 200), (200, 100), (100, 200))
    assert len(drawn.corners) == 4
    drawn.tap((101, 201))  # the second half of a double tap
    drawn.page.locator(".draw-corner").first.tap()
    assert drawn.said.startswith("Dessin terminé")
    drawn.press("Annuler le dernier point")
    drawn.tap((260, 160))
    assert len(drawn.corners) == 4


def test_a_line_is_drawn_by_keyboard(form: Callable[..., Drawing]) -> None:
    drawn = form()
    page = drawn.page
    page.get_by_label("Un point").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("Un tracé").is_checked()
    cross = page.locator(".map-cross")
    expect(cross).to_be_hidden()
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Recommencer")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".map")).to_be_focused()
    expect(cross).to_be_visible()
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        page.wait_for_timeout(400)  # the map glides there
    page.keyboard.press("Enter")
    (west, south), (east, north) = drawn.corners
    assert west < east
    assert south < north
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert drawn.said == "Dessin terminé. Les points peuvent encore glisser."
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert drawn.geometry is None


def test_a_corner_is_dragged_and_goes_back_where_the_area_would_cross(
    form: Callable[..., Drawing],
) -> None:
    drawn = form()
    drawn.choose("Une zone")
    drawn.tap((120, 100), (240, 100), (240, 200), (120, 200))
    before = drawn.geometry
    drawn.drag((240, 200), (270, 230))
    after = drawn.geometry
    assert after != before
    assert shape(after).area > shape(before).area
    drawn.drag((270, 230), (180, 60))
    assert drawn.said == "La zone se croiserait : choisissez un autre endroit."
    assert drawn.geometry == after
    path = drawn.page.locator("path.map-shape").get_attribute("d")
    assert path is not None
    drawn.press("Terminer")
    drawn.drag((120, 200), (90, 230))
    assert drawn.geometry != after


def test_a_point_is_what_one_tap_makes(form: Callable[..., Drawing]) -> None:
    drawn = form()
    drawn.tap((180, 150))
    assert drawn.geometry["type"] == "Point"
    first = drawn.corners
    assert f"{first[0]:.6f}" == drawn.page.locator("#lon").input_value()
    drawn.tap((120, 150))
    assert drawn.corners[0] < first[0]
    expect(drawn.page.locator(".draw-buttons")).to_be_hidden()
    # A line begins where the point was; a point does not know of corners.
    first = drawn.corners
    drawn.choose("Un tracé")
    drawn.tap((220, 190))
    assert drawn.corners[0] == first
    assert drawn.page.locator(".pick").count() == 0
    drawn.choose("Un point")
    assert drawn.geometry == {"type": "Point", "coordinates": first}
    assert drawn.page.locator(".draw-corner").count() == 0
    assert drawn.page.locator(".pick").count() == 1


def test_what_was_drawn_before_is_there_to_be_changed(form: Callable[..., Drawing]) -> None:
    given = {"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]]]}
    drawn = form(given, lon="2.420000", lat="6.360000")
    assert drawn.page.get_by_label("Une zone").is_checked()
    assert drawn.geometry == given
    expect(drawn.page.locator(".draw-corner")).to_have_count(4)
    assert drawn.page.locator(".pick").count() == 0
    view = drawn.page.locator(".map").bounding_box()
    for corner in drawn.page.locator(".draw-corner").all():
        box = corner.bounding_box()
        assert box is not None
        assert view is not None
        assert view["x"] <= box["x"] + 20 <= view["x"] + view["width"]
    drawn.press("Annuler le dernier point")
    assert drawn.corners == [[*SQUARE[:3], SQUARE[0]]]


def test_a_point_chosen_before_drawing_was_known_is_kept(form: Callable[..., Drawing]) -> None:
    drawn = form(lon="2.420000", lat="6.370000")
    assert drawn.geometry == {"type": "Point", "coordinates": [2.42, 6.37]}
    assert drawn.page.locator(".pick").count() == 1


@pytest.mark.parametrize("broken", ["x", [1], {"type": "Polygon"}, {"type": "Circle"}])
def test_a_broken_drawing_is_begun_anew(form: Callable[..., Drawing], broken: Any) -> None:
    drawn = form(broken)
    assert drawn.page.get_by_label("Un point").is_checked()
    drawn.tap((180, 150))
    assert drawn.geometry["type"] == "Point"


def test_a_pin_in_the_way_is_a_corner_like_any_place(form: Callable[..., Drawing]) -> None:
    drawn = form(pins=[pin("P-1", 2.42, 6.37, kind="proposal", title="Puits")])
    drawn.choose("Un tracé")
    drawn.page.locator(".pin").tap()
    drawn.tap((120, 250))
    assert drawn.corners[0] == [2.42, 6.37]
    expect(drawn.page.locator(".pin-card")).to_have_count(0)


def test_it_fits_a_small_screen_and_sends_nothing_but_its_fields(
    form: Callable[..., Drawing],
) -> None:
    drawn = form(language="en")
    drawn.page.locator(".draw-kind").last.tap()
    page = drawn.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for control in page.locator(".draw-kind, .draw-buttons button").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    names = page.evaluate("[...new FormData(document.forms[0]).keys()]")
    assert sorted(names) == ["area", "geometry", "lat", "lon"]


ASK = """async (cases) => {
  const { simple, toGeometry } = await import('/static/js/map-draw.js');
  return cases.map((corners) => [simple(corners, true), simple(corners, false),
    toGeometry('area', corners)]);
}"""


def rings() -> Iterator[list[list[float]]]:
    """Corners on a coarse grid, so that many lie on one line, meet, or come twice."""
    dice = random.Random(3)  # noqa: S311
    for _ in range(1500):
        yield [
            [round(2.4 + dice.randrange(6) / 1e6, 6), round(6.3 + dice.randrange(6) / 1e6, 6)]
            for _ in range(dice.randrange(3, 8))
        ]


def test_what_crosses_is_what_a_geometry_library_calls_so(page: Page, site: Site) -> None:
    site.pages["/blank"] = ("text/html", "<!doctype html><title>x</title>")
    page.goto(f"{site.url}/blank")
    cases = list(rings())
    answers = page.evaluate(ASK, cases)
    exact = [[[round((x - 2.4) * 1e6), round((y - 6.3) * 1e6)] for x, y in one] for one in cases]
    expected = [(shapely.Polygon(one).is_valid, shapely.LineString(one).is_simple) for one in exact]
    twice = [len({tuple(c) for c in one}) < len(one) for one in exact]
    kinds = set()
    for corners, (closed, way, area), (valid, plain), again in zip(
        cases, answers, expected, twice, strict=True
    ):
        assert closed == (valid and not again), corners
        # A way that ends where it began is simple to the library; a corner here is not had twice.
        assert way == (plain and not again), corners
        assert (area is not None) == closed
        if area:
            assert shapely.is_ccw(shape(area).exterior)
        kinds.add((closed, way))
    assert len(kinds) >= 3


def test_the_script_is_light() -> None:
    assert len(Path(SCRIPT).read_bytes()) < 6 * 1024
