"""The static map script in a real browser, under the strict policy of the site."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from maps import CommuneOutline, DataLayer, commune_parts, country_parts
from tests.integration.maps.map_site import EVIL, Site, pin
from tests.unit.maps.outlines import real, square

pytestmark = pytest.mark.e2e


@pytest.fixture
def commune(site: Site) -> Callable[..., str]:
    def make(features: list[dict[str, Any]], **options: Any) -> str:
        site.layers["/layer"] = features
        layers = [DataLayer("reports", "/layer", "Signalements")]
        parts = commune_parts(*real("0801"), layers, picker="around" in options)
        site.put("/commune", parts, **options)
        return f"{site.url}/commune"

    return make


def test_pins_are_reached_by_keyboard_and_their_text_is_text(
    page: Page, commune: Callable[..., str]
) -> None:
    page.goto(
        commune(
            [
                pin("A-1", 2.40, 6.37),
                pin("B-2", 2.45, 6.36, kind="proposal", status="funded", title=EVIL, cost=4500000),
            ]
        )
    )
    first = page.get_by_role("button", name="Éclairage public, Reçu")
    first.focus()
    page.keyboard.press("Enter")
    card = page.locator(".pin-card")
    link = card.get_by_role("link", name="Voir le détail")
    assert link.get_attribute("href") == "/signalements/A-1"
    assert card.locator("time").inner_text() == "20 novembre 2026"
    page.keyboard.press("Escape")
    page.locator(".pin-proposal").focus()
    page.keyboard.press("Enter")
    assert page.locator(".pin-card h3").last.inner_text() == EVIL
    assert page.locator(".pin-cost").inner_text().split() == ["4", "500", "000", "FCFA"]
    assert page.locator(".leaflet-labels-pane").get_by_text(EVIL).count() == 1
    assert page.get_by_role("button", name="Zoomer").first.is_visible()


def test_what_was_just_sent_appears_and_is_shown(
    page: Page, site: Site, commune: Callable[..., str]
) -> None:
    url = commune([pin(f"C-{n}", 2.40 + n / 1e5, 6.37) for n in range(20)])
    page.goto(f"{url}?pin=NEW-1")
    page.wait_for_selector(".cluster")
    site.layers["/layer"].append(pin("NEW-1", 2.40, 6.3701, category="water"))
    page.wait_for_selector(".pin-new")
    page.get_by_role("status").get_by_text("Voici l'endroit.").wait_for()
    assert page.locator(".pin-card .pin-title").inner_text() == "Eau potable"


def test_a_shown_page_asks_again_and_a_hidden_one_does_not(
    page: Page, site: Site, commune: Callable[..., str]
) -> None:
    page.clock.install()
    page.goto(commune([pin("A-1", 2.40, 6.37)]))
    page.wait_for_selector(".pin")
    site.layers["/layer"] = [pin("A-1", 2.40, 6.37, status="resolved"), pin("A-2", 2.45, 6.36)]
    page.clock.run_for(21_000)
    page.get_by_role("button", name="Éclairage public, Résolu").wait_for()
    assert page.locator(".pin").count() == 2
    page.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden' })")
    asked = site.asked.count("/layer")
    page.clock.run_for(90_000)
    page.wait_for_timeout(200)
    assert site.asked.count("/layer") == asked


def test_works_have_a_sign_of_their_own_and_say_how_far_they_are(
    page: Page, commune: Callable[..., str]
) -> None:
    work = {"kind": "work", "category": "roads", "title": EVIL, "cost": 4_500_000}
    states = ("planned", "tendering", "under_way", "suspended", "completed", "abandoned")
    page.goto(
        commune(
            [
                pin(f"T-{n}", 2.39 + n / 80, 6.37, **work, status=status, progress=20 * n)
                for n, status in enumerate(states)
            ]
        )
    )
    signs = page.locator(".pin-work")
    expect(signs).to_have_count(6)
    drawn = {
        (sign.locator("use").get_attribute("href"), sign.get_attribute("class").split("tone-")[1])  # type: ignore[union-attr]
        for sign in signs.all()
    }
    assert len(drawn) == 6
    page.get_by_role("button", name=f"{EVIL}, Suspendu").focus()
    page.keyboard.press("Enter")
    card = page.locator(".pin-card")
    assert card.locator("h3").inner_text() == EVIL
    assert card.locator(".pin-kind").inner_text() == "Travaux T-3"
    assert card.locator(".pin-progress").inner_text().split() == ["60", "%"]
    link = card.get_by_role("link", name="Voir le détail")
    assert link.get_attribute("href") == "/travaux/T-3"


def test_on_the_ballot_a_project_goes_by_its_number(
    page: Page, commune: Callable[..., str]
) -> None:
    project = {"kind": "proposal", "status": "shortlisted", "title": "Puits"}
    page.goto(commune([pin("P-1", 2.40, 6.37, **project, number=12, comments=1)]))
    head = page.get_by_role("button", name="N° 12, Puits, Retenu pour le vote")
    assert head.inner_text() == "12"
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator(".pin-kind").inner_text() == "Proposition N° 12"
    assert "1 commentaire" in page.locator(".pin-facts").inner_text()


LINE = {"type": "LineString", "coordinates": [[2.40, 6.37], [2.41, 6.375], [2.42, 6.37]]}
RING = [[2.44, 6.36], [2.45, 6.36], [2.45, 6.37], [2.44, 6.36]]


def test_what_was_drawn_is_shown_beside_its_pin(page: Page, site: Site) -> None:
    page.clock.install()
    area = {"type": "Polygon", "coordinates": [RING]}
    site.layers["/layer"] = [
        pin("P-1", 2.41, 6.375, kind="proposal", status="submitted", shape=LINE),
        pin("P-2", 2.447, 6.363, kind="proposal", status="shortlisted", shape=area),
    ]
    layers = [
        DataLayer("proposals", "/layer", "Propositions"),
        DataLayer("reports", "/reports", "Signalements"),
    ]
    site.layers["/reports"] = []
    parts = commune_parts(*real("0801"), layers)
    key = "01930000-0000-7000-8000-000000000101"
    site.put("/campaign", parts, around=f'data-campaign="{key}"')
    page.goto(f"{site.url}/campaign")
    shapes = page.locator("path.map-shape")
    expect(shapes).to_have_count(2)
    asked = dict(zip(site.asked, site.queries, strict=True))
    assert (asked["/layer"], asked["/reports"]) == (f"campaign={key}", "")
    # It is no stop of its own: its pin says it all.
    assert page.locator("path.map-shape[tabindex], path.map-shape.leaflet-interactive").count() == 0
    tones = [shape.evaluate("e => getComputedStyle(e).stroke") for shape in shapes.all()]
    assert tones == ["rgb(30, 111, 168)", "rgb(11, 107, 79)"]
    fills = [shape.evaluate("e => getComputedStyle(e).fill") for shape in shapes.all()]
    assert fills == ["none", "rgb(11, 107, 79)"]
    # One is drawn anew where another shape is told, and leaves with its pin.
    before = shapes.first.get_attribute("d")
    moved = LINE | {"coordinates": [[2.40, 6.37], [2.42, 6.372]]}
    site.layers["/layer"] = [pin("P-1", 2.41, 6.375, kind="proposal", shape=moved)]
    page.clock.run_for(21_000)
    expect(shapes).to_have_count(1)
    assert shapes.get_attribute("d") != before
    page.locator(".leaflet-control-layers").hover()
    page.get_by_label("Propositions", exact=True).uncheck()
    expect(shapes).to_have_count(0)
    page.get_by_label("Propositions", exact=True).check()
    expect(shapes).to_have_count(1)


def hexagon(lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    corners = [(0.004, 0), (0.002, 0.0035), (-0.002, 0.0035), (-0.004, 0), (-0.002, -0.0035)]
    ring = [[lon + x, lat + y] for x, y in [*corners, (0.002, -0.0035), corners[0]]]
    about = {"count": 23, "z": 4.2, "p": 0.0001, "significant": True, "trend": "emerging"}
    return {
        "type": "Feature",
        "id": f"{lon}/{lat}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": about | {"sentence": "23 dépôts ici", "sentence_en": "23 here"} | properties,
    }


HOTSPOTS = DataLayer("hotspots", "/hotspots?commune=0801&days=90", "Points chauds", show=False)


def test_hotspots_are_drawn_month_by_month(page: Page, site: Site) -> None:
    page.clock.set_fixed_time("2026-11-30T23:30:00Z")  # December already, in Bénin
    site.layers["/layer"] = [pin("A-1", 2.40, 6.37)]
    site.layers["/hotspots"] = [
        hexagon(2.42, 6.37, sentence=EVIL),
        hexagon(2.43, 6.372, z=7.0, trend="fading"),
        hexagon(2.44, 6.37, significant=False),
        hexagon(2.41, 6.37, z=-3.1),
    ]
    reports = DataLayer("reports", "/layer", "Signalements")
    site.put("/hot", commune_parts(*real("0801"), [reports, HOTSPOTS]))
    page.goto(f"{site.url}/hot")
    page.wait_for_selector(".pin")
    slider = page.get_by_role("slider", name="Points chauds sur 90 jours")
    assert slider.count() == 0
    assert "/hotspots" not in site.asked
    page.locator(".leaflet-control-layers").hover()
    page.get_by_label("Points chauds", exact=True).check()
    page.wait_for_selector("path.map-hotspot")
    areas = page.locator("path.map-hotspot")
    # Only what chance does not explain, and only where there is more than elsewhere.
    assert areas.count() == 2
    assert page.locator("path.heat-4.trend-fading").count() == 1
    said = page.locator("output")
    expect(said).to_have_text("décembre 2026 · 2 carrés colorés")
    areas.first.focus()
    assert page.locator(".map-tip").inner_text() == EVIL
    assert areas.first.get_attribute("aria-label") == EVIL
    assert slider.get_attribute("aria-valuetext") == "décembre 2026"
    site.layers["/hotspots"] = [hexagon(2.42, 6.37)]
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(said).to_have_text("novembre 2026 · 1 carré coloré")
    assert site.queries[-1] == "commune=0801&days=90&until=2026-11-30"
    page.keyboard.press("Home")
    expect(said).to_have_text("janvier 2026 · 1 carré coloré")
    assert site.queries[-1] == "commune=0801&days=90&until=2026-01-31"
    page.keyboard.press("End")
    expect(said).to_have_text("décembre 2026 · 1 carré coloré")
    assert site.queries[-1] == "commune=0801&days=90"
    page.locator(".leaflet-control-layers").hover()
    page.get_by_label("Points chauds", exact=True).uncheck()
    assert areas.count() == 0
    assert slider.count() == 0


def test_a_page_of_hotspots_says_which_ones(page: Page, site: Site) -> None:
    site.layers["/hotspots"] = [hexagon(2.42, 6.37)]
    shown = DataLayer("hotspots", "/hotspots?commune=0801&days=90", "Points chauds")
    about = 'data-hotspots="category=waste&amp;days=365"'
    site.put("/heat", commune_parts(*real("0801"), [shown]), around=about)
    page.goto(f"{site.url}/heat")
    page.wait_for_selector("path.map-hotspot")
    page.get_by_role("slider", name="Points chauds sur 365 jours").wait_for()
    assert "commune=0801&days=365&category=waste" in site.queries


PICKER = {
    "around": 'data-map-picker data-lon-input="#lon" data-lat-input="#lat" data-area-input="#area"',
    "after": '<input id="lon"><input id="lat"><input id="area">',
}


def test_a_place_is_chosen_by_click_keyboard_and_position(
    page: Page, commune: Callable[..., str]
) -> None:
    page.goto(commune([], **PICKER))
    place = page.get_by_role("region")
    place.click(position={"x": 400, "y": 180})
    assert 2.36 < float(page.input_value("#lon")) < 2.49
    assert 6.34 < float(page.input_value("#lat")) < 6.42
    by_click = page.input_value("#lon")
    assert page.input_value("#area").startswith("0801-")
    assert "Lieu choisi" in page.get_by_role("status").inner_text()
    place.focus()
    page.keyboard.press("Enter")
    assert page.input_value("#lon") != by_click
    page.get_by_role("button", name="Ma position").click()
    page.get_by_role("status").get_by_text("à 40 m près").wait_for()
    assert page.input_value("#lon") == "2.418300"
    assert page.input_value("#lat") == "6.371200"


def test_a_place_outside_the_commune_is_said(page: Page, commune: Callable[..., str]) -> None:
    page.goto(commune([], **PICKER))
    page.get_by_role("region").click(position={"x": 450, "y": 20})
    assert page.get_by_role("status").inner_text() == "Ce lieu est hors de la commune."
    assert page.locator("[data-map-picker].is-outside").count() == 1


def test_a_commune_of_the_country_leads_to_its_page(page: Page, site: Site) -> None:
    both = [CommuneOutline("0801", square(2, 6, 1)), CommuneOutline("0405", square(2, 9, 1))]
    site.put("/pays", country_parts(both))
    site.pages["/communes/0405"] = ("text/html", "<h1>Parakou</h1>")
    page.goto(f"{site.url}/pays")
    area = page.locator("path.map-country").last
    area.hover()
    assert page.locator(".map-tip").inner_text() == "Parakou"
    area.click()
    page.wait_for_url("**/communes/0405")
