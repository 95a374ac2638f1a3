"""Pages of hotspots: the ranked sentences, each with its reports, and what is said of silence."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx2 as httpx
import pytest

from gateway.settings import Settings
from services.common.db import make_engine, make_sessions
from services.reports.hotspots.service import detect
from tests.apps import Tokens
from tests.integration.gateway.pages_world import COMMUNE, PLACE, Visitor, serve_pages, words
from tests.servers import Database

pytestmark = pytest.mark.integration

PAGE = f"/communes/{COMMUNE}/points-chauds"
GATHERED = 12


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Serve pages over one place with many reports, and a few far from each other."""
    media = tmp_path_factory.mktemp("media")
    with serve_pages(fresh_database, gateway_settings, tokens, media) as url:
        person = tokens.bearer()
        there = [(PLACE[0] + n / 1e5, PLACE[1]) for n in range(GATHERED)]
        alone = [(2.36 + n / 50, 6.365) for n in range(3)]
        for lon, lat in [*there, *alone]:
            body = {"lon": lon, "lat": lat, "category": "waste", "description": "Tas d'ordures"}
            made = httpx.post(f"{url}/api/v1/reports", json=body, headers=person)
            assert made.status_code == 201, made.text
        yield url


@pytest.fixture
def browser(front: str) -> Iterator[Visitor]:
    with Visitor(front) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def ref(front: str, fresh_database: Database) -> str:
    """Return the ref of the hotspot that housekeeping stores."""
    engine = make_engine(fresh_database.url("reports"))
    with make_sessions(engine).begin() as session:
        detect(session, datetime.now(UTC))
    engine.dispose()
    found = httpx.get(f"{front}/api/v1/hotspots?commune={COMMUNE}&days=30").json()["hotspots"]
    assert [one["count"] for one in found] == [GATHERED]
    stored = httpx.get(f"{front}/api/v1/hotspots?commune={COMMUNE}").json()["hotspots"]
    return str(stored[0]["ref"])


def test_each_is_one_sentence_with_its_numbers_and_its_reports(browser: Visitor, ref: str) -> None:
    page = browser.get(PAGE)
    said = words(page)
    assert f"Dépôt sauvage, ordures : {GATHERED} signalements" in said
    assert "Émergent" in said
    assert "pour 1 000 habitants" in said
    assert f'href="{PAGE}/{ref}"' in page.text
    # Over another window nothing is stored: the reports are named straight.
    other = browser.get(f"{PAGE}?days=30&category=waste")
    assert len(set(re.findall(r'href="/signalements/(S-\w+)"', other.text))) == GATHERED
    assert '<option value="30" selected>' in other.text


def test_in_english_the_sentence_is_english(browser: Visitor) -> None:
    page = browser.get(PAGE, headers={"Accept-Language": "en"})
    assert f"Illegal dumping, waste: {GATHERED} reports" in words(page)


def test_a_category_without_any_says_so(browser: Visitor) -> None:
    assert "Pas de point chaud" in words(browser.get(f"{PAGE}?category=noise"))


def test_one_hotspot_tells_its_reports(browser: Visitor, ref: str) -> None:
    page = browser.get(f"{PAGE}/{ref}")
    assert page.status_code == 200
    assert page.text.count("Tas d&#39;ordures") == GATHERED
    assert "repéré le" in words(page)
    assert browser.get(f"/communes/0405/points-chauds/{ref}").status_code == 404
    for odd in ("H-NOTHING", "%00", quote("<b>'")):
        assert browser.get(f"{PAGE}/{odd}").status_code == 404


def test_the_commune_s_page_asks_for_its_first_hotspots_apart(browser: Visitor, ref: str) -> None:
    commune = browser.get(f"/communes/{COMMUNE}").text
    assert f'data-load="{PAGE}/apercu"' in commune
    assert f'href="{PAGE}"' in commune
    piece = browser.get(f"{PAGE}/apercu")
    assert piece.text.count("<li>") == 1
    assert f"{GATHERED} signalements" in words(piece)
    assert f'href="{PAGE}/{ref}"' in piece.text


@pytest.mark.parametrize("value", ["", "\0", "x", "é'\"<", "0", "-1", "9" * 40, "1e3", "91"])
def test_unknown_filters_are_ignored(browser: Visitor, value: str) -> None:
    for name in ("days", "category"):
        page = browser.get(f"{PAGE}?{name}={quote(value)}")
        assert page.status_code == 200
        assert '<option value="90" selected>' in page.text
