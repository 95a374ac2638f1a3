"""The desk in a real browser, on an old PC and on a phone: keys, bulk, merging, the paper round."""

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.session import ACCESS
from tests.apps import Tokens
from tests.e2e.browsing import ARGUMENTS, DESK, PHONE, overflow

pytestmark = pytest.mark.integration

COMMUNE = "0405"
DESK_PAGE = f"/mairie/{COMMUNE}"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(params=[DESK, PHONE], ids=["1280", "360"])
def page(
    request: pytest.FixtureRequest, reports_front: str, browser: Browser, tokens: Tokens
) -> Iterator[Page]:
    """An agent's page; fails for what a script or the policy complains about."""
    context = browser.new_context(base_url=reports_front, locale="fr-BJ", viewport=request.param)
    context.set_default_timeout(20_000)
    token = tokens.agent(COMMUNE)["Authorization"].split()[1]
    context.add_cookies([{"name": ACCESS, "value": token, "url": reports_front}])
    faults: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if "olicy" in said.text else None)
    yield opened
    context.close()
    assert faults == []


@pytest.fixture
def pin(reports_front: str, tokens: Tokens) -> Any:
    def make(lon: float, **more: Any) -> str:
        body = {"lon": lon, "lat": 9.33, "category": "roads", "description": "Trou", **more}
        url = f"{reports_front}/api/v1/reports"
        answer = httpx.post(url, json=body, headers=tokens.bearer())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ref"])

    return make


def seen(front: str, ref: str) -> Any:
    return httpx.get(f"{front}/api/v1/reports/{ref}").json()


def test_keys_tick_reports_and_one_action_answers_them_all(
    page: Page, reports_front: str, pin: Any
) -> None:
    refs = [pin(2.61), pin(2.62), pin(2.63)]
    page.goto(DESK_PAGE)
    page.keyboard.press("j")  # the newest
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.locator("[data-ticked]")).to_have_text("(2)")
    expect(page.locator("tr.is-here")).to_have_count(1)
    page.locator("[name=action]").select_option("in_progress")
    page.locator(".bulk [name=public_note]").fill("Nous passons jeudi.")
    assert overflow(page) == []
    page.get_by_role("button", name="Appliquer").click()
    expect(page.get_by_role("status")).to_contain_text("2 signalements changés")
    assert [seen(reports_front, ref)["status"] for ref in refs] == [
        "received",
        "in_progress",
        "in_progress",
    ]
    page.keyboard.press("/")
    expect(page.locator("#f-q")).to_be_focused()


def test_only_the_fields_that_a_choice_needs_are_shown(page: Page, pin: Any) -> None:
    first = pin(2.64)
    second = pin(2.64)
    page.goto(f"{DESK_PAGE}/signalements/{second}")
    reason, other = page.locator("#f-reason"), page.locator("#f-duplicate_of")
    expect(reason).to_be_hidden()
    page.locator("[name=status][value=rejected]").check(force=True)
    expect(reason).to_be_visible()
    page.locator("[name=status][value=duplicate]").check(force=True)
    expect(reason).to_be_hidden()
    page.get_by_role("button", name=first).click()  # offered: near, of the same category
    expect(other).to_have_value(first)
    page.get_by_role("button", name="Enregistrer et répondre").click()
    expect(page.get_by_text("Réuni à")).to_be_visible()
    assert overflow(page) == []
    page.get_by_role("button", name="Séparer de nouveau").click()
    expect(page.get_by_text("Doublon séparé").first).to_be_visible()


def test_the_round_prints_its_stops_and_nothing_else(page: Page, pin: Any) -> None:
    near, far = pin(2.6100, category="water"), pin(2.6600, category="water")
    page.goto(f"{DESK_PAGE}/tournee?agency=water")
    stops = page.locator(".stop a")
    expect(stops.filter(has_text=near)).to_be_visible()
    expect(stops.filter(has_text=far)).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".stop").first).to_be_visible()
    for hidden in (".top nav", ".foot", ".tabs", ".filters", "[data-print]"):
        expect(page.locator(hidden).first).to_be_hidden()
    assert overflow(page) == []
