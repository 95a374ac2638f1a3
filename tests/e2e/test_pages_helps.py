"""What pages do for people in a hurry, on a bad line, or without JavaScript."""

import io
import re
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import PHONE, Visit, overflow, sign_in
from tests.e2e.conftest import EMBEDDED
from tests.e2e.running import Palabre

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("palabre", [EMBEDDED], indirect=True),
]

NEW = "/communes/0405/signalements/nouveau"
PUBLIC = ("/", "/communes/0405", "/communes/0405/signalements", NEW, "/communes/0405/budget")
WORDS = ("/connexion", "/a-propos", "/accessibilite")

#: What a thumb must hit and that is lower than 44 px; links inside a sentence may be (WCAG 2.5.8).
SMALL = """() => [...document.querySelectorAll("a, button, select, summary, textarea")]
  .filter((e) => !e.closest(".leaflet-container, p, h2") && e.offsetHeight && e.offsetHeight < 44)
  .map((e) => e.outerHTML.slice(0, 120))"""
UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
  .filter((e) => !e.labels.length && !e.ariaLabel).map((e) => e.outerHTML.slice(0, 120))"""


def large_photo() -> dict[str, Any]:
    data = io.BytesIO()
    Image.effect_noise((2600, 1900), 60).convert("RGB").save(data, "JPEG", quality=95)
    return {"name": "grande.jpg", "mimeType": "image/jpeg", "buffer": data.getvalue()}


def write(page: Page, text: str, category: str = "water") -> None:
    page.locator(f"[name=category][value={category}]").check(force=True)
    page.locator("[name=description]").fill(text)


def send(page: Page) -> None:
    page.get_by_role("button", name="Envoyer à la mairie").click()


@pytest.mark.parametrize("path", PUBLIC + WORDS)
def test_a_page_fits_a_phone_and_a_thumb(palabre: Palabre, browser: Browser, path: str) -> None:
    with Visit(browser, palabre, viewport=PHONE) as page:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert overflow(page) == []
        assert page.evaluate(SMALL) == []
        assert page.evaluate(UNNAMED) == []


def test_a_draft_and_its_photo_live_through_the_sign_in(palabre: Palabre, browser: Browser) -> None:
    with Visit(browser, palabre) as page:
        page.goto(NEW)
        page.locator("[name=arrondissement]").select_option(index=2)
        write(page, "Robinet cassé depuis lundi ${1+1}")
        page.locator("[name=photos]").set_input_files([large_photo()])
        expect(page.locator("img.preview")).to_be_visible()
        size = "() => document.querySelector('[name=photos]').files[0].size"
        assert page.evaluate(size) < len(large_photo()["buffer"]) / 2
        page.wait_for_timeout(600)  # the draft is written a moment after the last key
        send(page)
        expect(page).to_have_url(re.compile("/connexion"))
        sign_in(page, palabre, "+2290197000411")
        expect(page).to_have_url(re.compile(NEW))
        expect(page.locator("[name=description]")).to_have_value(
            "Robinet cassé depuis lundi ${1+1}"
        )
        expect(page.locator("[name=arrondissement]")).to_have_value("0405-02")
        send(page)
        expect(page.locator("[data-received]")).to_be_visible()
        expect(page.locator("img.photo")).to_be_visible()
        page.goto(NEW)
        expect(page.locator("[name=description]")).to_have_value("")


def test_without_a_name_the_secret_is_shown_once(palabre: Palabre, browser: Browser) -> None:
    with Visit(browser, palabre) as page:
        page.goto(NEW)
        page.locator("[name=arrondissement]").select_option(index=1)
        write(page, "Fuite dans la rue")
        page.locator("[name=anonymous]").check()
        send(page)
        expect(page.locator("#suivi")).to_have_text(re.compile(r"^\w{20,}$"))


def test_everything_can_be_sent_without_javascript(palabre: Palabre, browser: Browser) -> None:
    with Visit(browser, palabre, java_script_enabled=False, viewport=PHONE) as page:
        page.goto("/")
        page.locator("[name=q]").fill("parak")
        page.locator("[role=search] button").click()
        expect(page).to_have_url(re.compile("/communes/0405$"))
        page.goto(NEW)
        write(page, "Toit du marché percé", "markets")
        send(page)  # no place yet: refused, nothing lost
        expect(page.locator("#f-place .error")).to_be_visible()
        expect(page.locator("[name=description]")).to_have_value("Toit du marché percé")
        page.locator("[name=arrondissement]").select_option(index=1)
        page.locator("[name=landmark]").fill("Derrière la pharmacie")
        page.locator("[name=anonymous]").check()
        send(page)
        # The demonstration has open reports of the kind in that arrondissement, or none.
        other = page.get_by_role("button", name=re.compile("autre problème"))
        if other.count():
            other.click()
        expect(page.locator("[data-received]")).to_be_visible()
        expect(page.get_by_text("Derrière la pharmacie").first).to_be_visible()


def test_the_language_changes_and_the_page_stays(palabre: Palabre, browser: Browser) -> None:
    with Visit(browser, palabre) as page:
        page.goto("/communes/0405/signalements?category=water")
        page.locator("a[hreflang=en]").click()
        expect(page).to_have_url(re.compile(r"/communes/0405/signalements\?category=water$"))
        expect(page.locator("h1")).to_have_text("Reports")
        for outside in ("//other.example", "https://other.example", "/\\other.example"):
            page.goto(f"/langue/fr?retour={outside}")
            assert page.url == f"{palabre.url}/"
