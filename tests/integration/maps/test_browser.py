"""The static map script in a real browser, under the strict policy of the site."""

import functools
import html
import json
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.layers import words
from maps import CommuneOutline, DataLayer, MapParts, commune_parts, country_parts
from tests.unit.maps.outlines import real, square

pytestmark = pytest.mark.e2e
GATEWAY = Path(__file__).parents[3] / "gateway"
POLICY = "default-src 'self'; img-src 'self' data:"
EVIL = '<img src=x onerror=alert(1)> ${alert(1)} `" </script>'
LABELS = {"0801-05": "1er arrondissement", "0801-10": EVIL, "0801": "Cotonou", "0405": "Parakou"}


def pin(ref: str, lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    about = {
        "id": ref,
        "ref": ref,
        "kind": "report",
        "category": "lighting",
        "status": "received",
        "created_at": "2026-11-20T10:00:00Z",
    }
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": about | properties,
    }


class Site:
    """A server of one page a map, the static files, and layers that a test may change."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, str]] = {}
        self.layers: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.queries: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                site.asked.append(path)
                site.queries.append(query)
                if path in site.pages:
                    kind, body = site.pages[path]
                elif path in site.layers:
                    features = {"type": "FeatureCollection", "features": site.layers[path]}
                    kind, body = "application/geo+json", json.dumps(features)
                else:
                    super().do_GET()
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(GATEWAY))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.pages["/favicon.ico"] = ("image/x-icon", "")

    def put(self, path: str, parts: MapParts, around: str = "", after: str = "") -> None:
        self.pages[f"{path}.js"] = ("text/javascript", parts.script)
        links = "".join(f'<link rel="stylesheet" href="{url}">' for url in parts.stylesheets)
        scripts = "".join(
            f'<script defer src="{url}"></script>' for url in (*parts.scripts, f"{path}.js")
        )
        labels = html.escape(json.dumps(LABELS))
        told = html.escape(words("fr"))
        self.pages[path] = (
            "text/html",
            (
                f'<!doctype html><html lang="fr"><head><title>Carte</title>{links}{scripts}</head>'
                f'<body><div data-labels="{labels}" data-words="{told}" {around}>{parts.html}</div>'
                f"{after}</body></html>"
            ),
        )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 900, "height": 700},
        permissions=["geolocation"],
        geolocation={"longitude": 2.4183, "latitude": 6.3712, "accuracy": 40},
    )
    problems: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    opened.on("requestfailed", lambda request: problems.append(request.url))
    yield opened
    context.close()
    assert problems == []


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
    assert site.queries[-1] == "commune=0801&days=365&category=waste"


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
