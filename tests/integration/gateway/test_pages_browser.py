"""What scripts add to the report pages, in a real browser: files, voices, no network, secrets."""

import base64
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from gateway.session import ACCESS
from gateway.settings import Settings
from tests.apps import Tokens, rows
from tests.e2e import checks
from tests.e2e.browsing import ARGUMENTS, DESK, PHONE, overflow, words
from tests.integration.gateway.pages_world import COMMUNE, PLACE, serve_pages
from tests.media import COTONOU, COTONOU_GPS, exif, photo
from tests.servers import Database

pytestmark = pytest.mark.integration

NEW = f"/communes/{COMMUNE}/signalements/nouveau"
#: A microphone that hums, and nobody to ask whether it may.
FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
#: Degrees apart, so that no test's report is near another's.
STEPS = itertools.count()
#: The first file of the form, in Base64.
CHOSEN = """() => new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.readAsDataURL(document.querySelector("[name=photos]").files[0]);
})"""
#: What is wrong with a recording, nothing when it plays.
PLAYABLE = """(audio) => new Promise((done) => {
    audio.oncanplay = () => done("");
    audio.onerror = () => done(audio.error.message);
    audio.load();
})"""
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    media = tmp_path_factory.mktemp("media")
    with serve_pages(fresh_database, gateway_settings, tokens, media) as url:
        yield url


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, *FAKE])
        yield started
        started.close()


@pytest.fixture
def visit(front: str, browser: Browser) -> Iterator[Visit]:
    """Open pages on a phone; fail for what a script or the policy complains about."""
    opened: list[BrowserContext] = []
    faults: list[str] = []

    def make(bearer: dict[str, str] | None = None) -> Page:
        context = browser.new_context(base_url=front, locale="fr-BJ", viewport=PHONE)
        context.set_default_timeout(20_000)
        context.grant_permissions(["microphone"])
        if bearer:
            token = bearer["Authorization"].split()[1]
            context.add_cookies([{"name": ACCESS, "value": token, "url": front}])
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: faults.append(said.text) if "olicy" in said.text else None,
        )
        return page

    yield make
    for context in opened:
        context.close()
    assert faults == []


def large_photo(**more: Any) -> dict[str, Any]:
    data = io.BytesIO()
    Image.effect_noise((2600, 1900), 60).convert("RGB").save(data, "JPEG", quality=92, **more)
    return {"name": "grande.jpg", "mimeType": "image/jpeg", "buffer": data.getvalue()}


def small_photo() -> dict[str, Any]:
    return {"name": "petite.jpg", "mimeType": "image/jpeg", "buffer": photo((400, 300))}


def pin(page: Page, lon: float, lat: float) -> None:
    """Choose a place as the map does."""
    page.evaluate(
        """([lon, lat]) => {
            document.querySelector("[name=lon]").value = lon;
            document.querySelector("[name=lat]").value = lat;
            document.dispatchEvent(new CustomEvent("palabre:picked"));
        }""",
        [str(lon), str(lat)],
    )


def spot() -> tuple[float, float]:
    return PLACE[0] - next(STEPS) / 100, PLACE[1]


def write(page: Page, text: str, category: str = "water") -> None:
    page.locator(f"[name=category][value={category}]").check(force=True)
    page.locator("[name=description]").fill(text)


def send(page: Page) -> None:
    page.get_by_role("button", name="Envoyer à la mairie").click()


def fine(page: Page) -> None:
    """Nothing is wider than the window, too small, too pale or without a name, on both sizes."""
    for view in (DESK, PHONE):
        page.set_viewport_size(view)
        assert overflow(page) == []
        assert checks.faults(page) == []


def test_photos_travel_while_one_writes_and_offer_their_place(
    front: str, visit: Visit, fresh_database: Database
) -> None:
    page = visit()
    page.goto(NEW)
    page.locator("[name=photos]").set_input_files(large_photo(exif=exif(COTONOU_GPS)))
    expect(page.locator(".shot.sent")).to_have_count(1)
    sent = base64.b64decode(page.evaluate(CHOSEN))
    assert Image.open(io.BytesIO(sent)).size == (1600, 1169)
    assert b"SecretPhone" not in sent
    page.get_by_role("button", name="Utiliser le lieu de la photo").click()
    assert float(page.locator("[name=lon]").input_value()) == pytest.approx(COTONOU[0], abs=1e-4)
    assert float(page.locator("[name=lat]").input_value()) == pytest.approx(COTONOU[1], abs=1e-4)

    page.locator("[name=photos]").set_input_files([small_photo() for _ in range(6)])
    expect(page.locator(".shot.sent")).to_have_count(5)
    expect(page.locator("[data-shoot]")).to_be_hidden()
    page.get_by_role("button", name="Enlever la photo 5").click()
    expect(page.locator(".shot")).to_have_count(4)
    fine(page)

    write(page, "Fuite devant la cathédrale")
    page.locator("[name=anonymous]").check()
    again: list[str] = []
    # All is there again after the page was left.
    page.reload()
    expect(page.locator(".shot.sent .preview")).to_have_count(4)
    expect(page.locator("[name=description]")).to_have_value("Fuite devant la cathédrale")
    page.on("request", lambda r: again.append(r.url) if r.url.endswith("/uploads") else None)
    send(page)
    expect(page.locator("[data-received]")).to_be_visible()
    fine(page)
    ref = re.search(r"S-\w{7}", page.locator("#lien-suivi").inner_text())
    assert ref
    made = httpx.get(f"{front}/api/v1/reports/{ref[0]}").json()
    assert len(made["photos"]) == 4
    uploads = [row["id"] for row in rows(fresh_database, "reports", "SELECT id FROM uploads")]
    assert len(uploads) == 5  # none travelled twice; one was taken out
    assert again == []
    assert page.evaluate("() => indexedDB.databases()") == []
    assert page.evaluate("() => Object.keys(localStorage)") == []


def test_who_speaks_hears_it_and_may_erase_it(front: str, visit: Visit) -> None:
    page = visit()
    page.goto(NEW)
    page.locator("[name=arrondissement]").select_option("0801-01")
    page.locator("[name=category][value=noise]").check(force=True)
    for erased in (True, False):
        page.get_by_role("button", name="Ou dites-le de vive voix").click()
        clock = page.locator("[data-time]")
        expect(clock).to_have_text("0:00 / 1:00")
        expect(clock).to_have_text("0:01 / 1:00")
        page.get_by_role("button", name="Arrêter").click()
        player = page.locator("[data-player]")
        expect(player).to_be_visible()
        assert player.evaluate(PLAYABLE) == ""
        if erased:
            page.get_by_role("button", name="Effacer le message").click()
            expect(player).to_be_hidden()
    expect(page.locator("[name=voice_id]")).not_to_have_value("")
    page.locator("[name=anonymous]").check()
    send(page)
    expect(page.locator("[data-received]")).to_be_visible()
    expect(page.get_by_text("Message vocal").first).to_be_visible()
    fine(page)


def test_a_neighbour_is_joined_in_one_tap(front: str, visit: Visit, tokens: Tokens) -> None:
    lon, lat = spot()
    body = {"lon": lon, "lat": lat, "category": "water", "description": "Fuite", "anonymous": True}
    ref = httpx.post(f"{front}/api/v1/reports", json=body).json()["ref"]
    page = visit(tokens.bearer())
    page.goto(NEW)
    pin(page, lon, lat + 0.0003)
    write(page, "Une fuite d'eau")
    near = page.locator(".near-item")
    expect(near).to_contain_text("à 33 m")
    fine(page)
    page.wait_for_timeout(500)  # the draft is written a moment after the last key
    near.get_by_role("button", name="Moi aussi").click()
    expect(page).to_have_url(re.compile(rf"/signalements/{ref}\?fait=supported"))
    page.goto(NEW)
    expect(page.locator("[name=description]")).to_have_value("")
    assert httpx.get(f"{front}/api/v1/reports/{ref}").json()["supports"] == 1


def test_what_is_personal_is_pointed_at_and_taken_out(visit: Visit) -> None:
    page = visit()
    page.goto(NEW)
    page.locator("[name=description]").fill("Appelez Koffi au 97 12 34 56 vite")
    expect(page.locator("[data-look-box] .note mark")).to_have_text("97 12 34 56")
    fine(page)
    page.get_by_role("button", name="Enlever du texte").click()
    expect(page.locator("[name=description]")).to_have_value("Appelez Koffi au vite")
    expect(page.locator("[data-look-box] mark")).to_have_count(0)


def test_without_a_network_nothing_is_lost_and_it_leaves_once_when_it_can(
    visit: Visit, tokens: Tokens, fresh_database: Database
) -> None:
    page = visit(tokens.bearer())
    page.goto(NEW)
    page.wait_for_load_state("networkidle")
    pin(page, *spot())
    write(page, "Robinet cassé, loin du réseau")
    expect(page.locator("[data-nearby-box]")).to_be_empty()
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.locator("[name=photos]").set_input_files(small_photo())
    expect(page.locator(".shot.waiting")).to_be_visible()
    send(page)
    expect(page.locator("[data-network]")).to_contain_text(words("rien n'est perdu"))
    fine(page)
    page.context.set_offline(False)
    expect(page).to_have_url(re.compile(r"\?merci=1"))
    expect(page.locator("img.photo")).to_be_visible()
    sent = "SELECT count(*) AS n FROM reports WHERE description = 'Robinet cassé, loin du réseau'"
    assert rows(fresh_database, "reports", sent) == [{"n": 1}]


def test_the_secret_of_a_link_stays_in_the_browser(
    front: str, visit: Visit, tokens: Tokens, fresh_database: Database
) -> None:
    lon, lat = spot()
    body = {"lon": lon, "lat": lat, "category": "roads", "description": "Trou", "anonymous": True}
    made = httpx.post(f"{front}/api/v1/reports", json=body).json()
    code, ref = made["follow_up_token"], made["ref"]
    page = visit()
    asked: list[str] = []
    page.on("request", lambda r: asked.append(f"{r.url} {r.headers.get('referer')}"))
    page.goto(f"/signalements/{ref}#suivi={code}")
    author = page.locator("#auteur")
    expect(author).to_be_visible()
    assert page.url == f"{front}/signalements/{ref}"
    fine(page)
    author.locator("summary", has_text="Mauvaise catégorie").click()
    author.get_by_label("Catégorie").select_option("drainage")
    author.get_by_role("button", name="Corriger").click()
    # The tab remembers: its author need not give the code again, and is told that it is done.
    expect(page).to_have_url(f"{front}/signalements/{ref}?fait=corrected")
    expect(author).to_be_visible()
    expect(page.get_by_text(words("C'est corrigé."))).to_be_visible()
    author.get_by_role("button", name="Réécrire mon texte").click()
    expect(page.get_by_role("heading", name="Réécrire mon texte")).to_be_visible()
    fine(page)
    assert not [line for line in asked if code in line]
    # Another browser with the plain address is nobody.
    stranger = visit()
    stranger.goto(f"/signalements/{ref}")
    expect(stranger.locator("#auteur")).to_have_count(0)
    # A code that is wrong shows the report as anybody sees it.
    stranger.goto(f"/signalements/{ref}#suivi={'a' * 32}")
    expect(stranger.locator("h1")).to_contain_text("Caniveau")
    expect(stranger.locator("#auteur")).to_have_count(0)
    said = f"SELECT status FROM reports WHERE ref = '{ref}'"
    assert rows(fresh_database, "reports", said) == [{"status": "received"}]
