"""A commune of more reports than a page can carry: its map in a browser, drawn from tiles."""

import html
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from sqlalchemy import Engine, text

from gateway.app import make_app
from gateway.layers import Show, commune_map_parts
from gateway.projections import CONSUMER
from gateway.settings import Settings
from services.common.db import make_engine, make_sessions
from services.common.events.envelope import EventData, new_event
from services.common.events.inbox import apply
from services.reports.events import ReportReceived
from tests.integration.gateway.conftest import NOWHERE, SECRET, serve
from tests.integration.gateway.test_projections import COUNTED_AGAIN
from tests.servers import Database

pytestmark = pytest.mark.e2e

COUNT = 50_000
FIRST_DATA = 60_000  # bytes
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "tiles"
# Most in the middle of the commune, some in all of it; every tenth answered.
FILL = """
INSERT INTO map_reports
    (id, ref, commune, category, status, geom, received_at, updated_at, sequence, place_sequence)
SELECT gen_random_uuid(), 'S-' || n, '0801',
    (ARRAY['waste', 'lighting', 'roads', 'drainage', 'water'])[1 + n % 5],
    CASE WHEN n % 10 = 0 THEN 'resolved' ELSE 'received' END,
    ST_SetSRID(ST_MakePoint(
        2.4245 + 0.05 * (random() - 0.5) * random(), 6.3735 + 0.03 * (random() - 0.5) * random()
    ), 4326), now(), now(), 1, 1
FROM generate_series(1, :count) AS n
"""


@pytest.fixture(scope="module")
def engine(fresh_database: Database) -> Iterator[Engine]:
    made = make_engine(fresh_database.url("gateway"), threads=2)
    with made.begin() as connection:
        connection.execute(text(FILL), {"count": COUNT})
        connection.execute(text(f"INSERT INTO report_cells {COUNTED_AGAIN}"))
        connection.execute(text("INSERT INTO layer_versions VALUES ('0801', 'reports', 1)"))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def gateway(fresh_database: Database, engine: Engine) -> Iterator[FastAPI]:
    url = fresh_database.url("gateway")
    services = dict.fromkeys(
        ("accounts_url", "reports_url", "proposals_url", "voting_url"), NOWHERE
    )
    settings = Settings(_env_file=None, database_url=url, secret=SECRET, env="demo", **services)
    app = make_app(settings)

    @app.get("/essai/{show}")
    def trial(show: Show, request: Request) -> HTMLResponse:
        view = commune_map_parts(request, "0801", show)
        css = ("/static/css/palabre.css", *view.stylesheets)
        links = "".join(f'<link rel="stylesheet" href="{path}">' for path in css)
        scripts = "".join(f'<script defer src="{path}"></script>' for path in view.scripts)
        labels = html.escape(json.dumps({"0801-05": "5e arrondissement"}))
        picks = 'data-map-picker data-lon-input="#lon" data-lat-input="#lat"'
        return HTMLResponse(
            f'<!doctype html><html lang="fr"><head><title>Carte</title>{links}{scripts}'
            '<link rel="icon" href="/static/img/favicon.svg">'
            '<meta name="viewport" content="width=device-width"></head><body><main class="wrap">'
            f'<h1>Cotonou</h1><div class="map-frame" data-labels="{labels}" '
            f"{picks if show == 'pin' else ''}>{view.html}</div>"
            '<input id="lon"><input id="lat"></main></body></html>'
        )

    with serve(app) as address:
        app.state.url = address
        yield app


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, gateway: FastAPI) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, base_url=gateway.state.url, locale="fr-BJ"
    )
    problems: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "requestfailed",
        lambda r: problems.append(r.url) if r.failure != "net::ERR_ABORTED" else None,
    )
    yield opened
    context.close()
    assert problems == []


@pytest.fixture
def happen(engine: Engine) -> Callable[..., None]:
    def happen(data: EventData, sequence: int = 1) -> None:
        found: Any = data
        with make_sessions(engine).begin() as session:
            apply(session, CONSUMER, new_event("reports", found.id, found.commune, sequence, data))

    return happen


COUNTED = """() => [...document.querySelectorAll('.cluster')]
    .reduce((sum, e) => sum + Number(e.ariaLabel.replace(/[^0-9]/g, '')),
        document.querySelectorAll('.pin').length)"""


def counted(page: Page) -> int:
    """Return how many reports the map shows, in groups or alone."""
    found: int = page.evaluate(COUNTED)
    return found


def wait_for_count(page: Page, wanted: str) -> None:
    """Wait until the number of reports shown is as ``wanted`` (JavaScript, of ``n``)."""
    page.wait_for_function(f"() => {{ const n = ({COUNTED})(); return {wanted}; }}")


def open_map(page: Page, path: str = "/essai/reports") -> None:
    page.goto(path)
    page.wait_for_selector(".cluster")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 900), (1920, 1080)])
def test_the_first_data_of_50_000_reports_are_light(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    watch = page.context.new_cdp_session(page)
    watch.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: dict[str, int] = {}
    watch.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    watch.on(
        "Network.loadingFinished",
        lambda e: sizes.update({e["requestId"]: int(e["encodedDataLength"])}),
    )
    open_map(page, "/essai/all")
    data = {
        urls[request]: size
        for request, size in sizes.items()
        if "/layers/" in urls[request] or "/tiles/" in urls[request]
    }
    print(f"{width}: {sum(data.values())} bytes with headers in {len(data)} answers")
    assert sum("/tiles/" in url for url in data) > 2
    assert sum(data.values()) < FIRST_DATA
    # Nothing is lost between the tiles: the map says how many there are.
    assert counted(page) == COUNT
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"first-{width}.png", animations="disabled")


def settle(page: Page) -> None:
    """Wait until what the map shows is of the zoom that it is at."""
    page.wait_for_timeout(400)
    page.evaluate(
        """async () => {
            const shown = () => document.querySelectorAll(".pin, .cluster").length;
            for (let before = -1, same = 0; same < 5; ) {
                await new Promise((done) => setTimeout(done, 100));
                same = shown() === before ? same + 1 : 0;
                before = shown();
            }
        }"""
    )


def test_a_group_opens_by_click_and_by_keyboard_down_to_the_pins(page: Page) -> None:
    open_map(page)
    before = counted(page)
    groups = page.get_by_role("button", name=re.compile("éléments : agrandir"))
    largest = max(range(groups.count()), key=lambda n: len(groups.nth(n).inner_text()))
    groups.nth(largest).click(force=True)
    wait_for_count(page, f"n < {before}")
    for _ in range(10):
        settle(page)
        if page.locator(".pin").count() > 3:
            break
        before = counted(page)
        groups.first.focus()
        page.keyboard.press("Enter")
        wait_for_count(page, f"n !== {before}")
    page.locator(".pin").first.focus()
    page.keyboard.press("Enter")
    card = page.locator(".pin-card")
    expect(card.get_by_role("link", name="Voir le détail")).to_be_visible()
    assert re.match(r"Signalement S-\d+", card.locator(".pin-kind").inner_text())
    page.wait_for_timeout(400)
    page.screenshot(path=ARTEFACTS / "pins-1280.png", animations="disabled")


def a_report(ref: str, lon: float, lat: float) -> ReportReceived:
    return ReportReceived(
        id=f"01930000-0000-7000-8000-{abs(hash(ref)) % 10**12:012}",
        ref=ref,
        commune="0801",
        arrondissement=None,
        category="noise",
        status="received",
        lon=lon,
        lat=lat,
        received_at="2026-11-22T09:00:00Z",
    )


def test_what_was_just_sent_is_found_among_the_many(page: Page, happen: Any) -> None:
    page.goto("/essai/reports?pin=S-NEW")
    page.wait_for_selector(".cluster")
    happen(a_report("S-NEW", 2.4245, 6.3735))
    page.wait_for_selector(".pin-new")
    page.get_by_role("status").get_by_text("Voici l'endroit.").wait_for()
    assert page.locator(".pin-card .pin-title").inner_text() == "Nuisance sonore"
    page.wait_for_load_state("networkidle")
    # Its own card stays open when the tiles of the new view have come.
    expect(page.locator(".pin-card .pin-kind")).to_have_text("Signalement S-NEW")
    expect(page.locator(".pin-new")).to_have_count(1)
    page.screenshot(path=ARTEFACTS / "found-1280.png", animations="disabled")


def test_an_open_map_brings_itself_up_to_date(page: Page, happen: Any) -> None:
    page.clock.install()
    page.goto("/essai/reports")
    page.wait_for_selector(".cluster")
    page.wait_for_load_state("networkidle")
    before = counted(page)
    happen(a_report("S-LATER", 2.43, 6.37))
    page.clock.run_for(21_000)
    wait_for_count(page, f"n === {before + 1}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(21_000)
    page.wait_for_timeout(300)
    assert [url for url in asked if "/layers/" in url]
    assert [url for url in asked if "/tiles/" in url] == []  # nothing changed: nothing asked


def test_a_place_is_chosen_beside_the_groups(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_map(page, "/essai/pin")
    page.get_by_role("region").click(position={"x": 255, "y": 235})
    page.get_by_role("status").get_by_text("Lieu choisi").wait_for()
    assert 2.44 < float(page.input_value("#lon")) < 2.5
    page.screenshot(path=ARTEFACTS / "picker-360.png", animations="disabled")


def hexagons() -> dict[str, Any]:
    """Cells of some 300 m around the middle of the commune, hottest in the middle."""
    features = []
    for q in range(-4, 5):
        for r in range(-4, 5):
            lon, lat = 2.4245 + 0.0041 * q, 6.3735 + 0.0047 * (r + q / 2)
            distance = math.hypot(lon - 2.4245, lat - 6.3735)
            corners = [math.radians(60 * n) for n in range(7)]
            ring = [[lon + 0.0027 * math.cos(a), lat + 0.0027 * math.sin(a)] for a in corners]
            about = {
                "z": 8 - 420 * distance,
                "significant": distance < 0.013,
                "trend": ("emerging", "persistent", "fading")[(q + r) % 3],
                "sentence": "23 dépôts sauvages en 90 jours : le hasard n'en explique que 4.",
                "sentence_en": "23 dumps in 90 days: chance explains only 4.",
            }
            geometry = {"type": "Polygon", "coordinates": [ring]}
            features.append(
                {"type": "Feature", "id": f"{q}/{r}", "geometry": geometry, "properties": about}
            )
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize("width", [360, 1280])
def test_hotspots_are_a_layer_of_the_commune_s_map(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        route.fulfill(json=hexagons(), content_type="application/geo+json")

    page.route("**/api/v1/hotspots?**", answer)
    open_map(page, "/essai/all")
    assert asked == []
    assert page.get_by_role("button", name="Choisir ce que montre la carte").count() == 1
    page.locator(".leaflet-control-layers").hover()
    page.get_by_label("Points chauds", exact=True).check()
    page.mouse.move(5, 5)
    expect(page.get_by_role("slider")).to_be_visible()
    page.wait_for_selector("path.map-hotspot")
    assert asked[0] == "commune=0801&days=90"
    box, frame = page.locator(".map-months").bounding_box(), page.locator(".map").bounding_box()
    assert box is not None
    assert frame is not None
    assert frame["x"] < box["x"]
    assert box["x"] + box["width"] < frame["x"] + frame["width"]
    page.locator("path.map-hotspot").first.focus()
    expect(page.locator(".map-tip")).to_contain_text("23 dépôts sauvages")
    page.screenshot(path=ARTEFACTS / f"hotspots-{width}.png", animations="disabled")
