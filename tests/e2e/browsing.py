"""Driving the pages as people do, watching what goes wrong, and keeping pictures of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.e2e.running import Palabre, wait_for

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
ARTEFACTS = Path(__file__).parents[1] / "artefacts"
#: What a headless browser needs to run as root and to leave other machines alone.
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
_TELL = """document.addEventListener("securitypolicyviolation",
    (e) => console.error(`refused by the policy: ${e.violatedDirective} ${e.blockedURI}`))"""


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One person's browser: its page, and everything that it complained about."""

    def __init__(self, browser: Browser, palabre: Palabre, **options: Any) -> None:
        self.palabre = palabre
        self.faults: list[str] = []
        settings: dict[str, Any] = {"base_url": palabre.url, "locale": "fr-BJ", "viewport": DESK}
        self.context = browser.new_context(**settings | options)
        self.context.set_default_timeout(15_000)
        self.context.add_init_script(_TELL)
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on(
            "pageerror", lambda error: self.faults.append(f"{self.page.url}: script: {error}")
        )
        self.page.on("dialog", self._asked)
        self.page.on("request", self._left)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self.page.is_closed():
            ARTEFACTS.mkdir(exist_ok=True)
            self.page.screenshot(path=ARTEFACTS / f"failed-{id(self)}.png", full_page=True)
            print(f"failed at {self.page.url}: {self.faults}")
        self.context.close()
        if kind is None:
            assert not self.faults, self.faults

    def _said(self, message: ConsoleMessage) -> None:
        # What an answer's status was, `_answered` knows better.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"{self.page.url}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.faults.append(f"{self.page.url}: a dialog says {dialog.message!r}")
        dialog.accept()

    def _left(self, request: Request) -> None:
        url = urlsplit(request.url)
        here = urlsplit(self.palabre.url).netloc
        if url.scheme not in ("data", "blob") and url.netloc != here:
            self.faults.append(f"{self.page.url}: asks another host for {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the person went on before it came
            self.faults.append(f"{request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        # A form that is shown again, corrections marked, is an answer like any other.
        shown_again = response.status == 422 and response.request.is_navigation_request()
        if response.status >= 400 and not shown_again:
            self.faults.append(f"{response.status} {response.url}")


def sign_in(page: Page, palabre: Palabre, phone: str) -> None:
    """Sign in with the code of the text message, as the launcher's log has it."""
    if "/connexion" not in page.url:
        page.goto("/connexion")
    before = len(palabre.texts_to(phone))
    page.get_by_label("Téléphone").fill(phone)
    page.get_by_role("button", name="Recevoir le code").click()
    code = page.get_by_label("Code à six chiffres")
    expect(code).to_be_visible()
    texts = wait_for(lambda: palabre.texts_to(phone)[before:], 5, f"a text to {phone}")
    code.fill(texts[-1])
    page.get_by_role("button", name="Se connecter").click()
    expect(page.locator("a[href='/compte']").first).to_be_attached()


def map_of(page: Page) -> Locator:
    """Return the page's map, its outline drawn."""
    found = page.locator(".leaflet-container")
    expect(found).to_be_visible()
    expect(found.locator("path.leaflet-interactive, path").first).to_be_attached()
    return found


def touch_map(page: Page, right: float = 0.5, down: float = 0.5) -> None:
    """Touch the map at a part of its width and height; wait until it says where that is."""
    box = map_of(page)
    box.scroll_into_view_if_needed()
    size = box.bounding_box()
    assert size is not None
    box.click(position={"x": size["width"] * right, "y": size["height"] * down}, force=True)
    expect(page.get_by_role("status").filter(has_text="Lieu choisi")).to_be_attached()
    assert float(page.locator("[name=lon]").input_value())


def words(text: str, *, whole: bool = False) -> re.Pattern[str]:
    """Return a pattern of words in any typography: spaces and apostrophes are of many kinds."""
    pattern = r"\s+".join(map(re.escape, text.split())).replace("'", "['’]")
    return re.compile(rf"^\s*{pattern}\s*$" if whole else pattern)


def pick(page: Page, name: str) -> None:
    """Choose one of several by its words, as drawn."""
    page.locator("label").filter(has_text=words(name, whole=True)).click()
    expect(page.get_by_role("radio", name=words(name, whole=True))).to_be_checked()


def tick(page: Page, name: str, *, on: bool = True) -> None:
    """Choose (or give up) one of many by some of its words, as drawn."""
    page.locator("label").filter(has_text=words(name)).click()
    expect(page.get_by_role("checkbox", name=words(name))).to_be_checked(checked=on)


def press(page: Page, name: str) -> None:
    """Press a button or follow a link by its words."""
    said = words(name)
    page.get_by_role("button", name=said).or_(page.get_by_role("link", name=said)).first.click()


def shoot(page: Page, folder: Path, name: str, *, whole: bool = True) -> None:
    """Keep a picture of the page on a phone and on a desk; nothing is wider than the phone."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, view in (("1280", DESK), ("360", PHONE)):
        page.set_viewport_size(view)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}-{size}.png", full_page=whole, animations="disabled")
    assert overflow(page) == [], f"{page.url} is wider than a phone"
    page.set_viewport_size(DESK)


def overflow(page: Page) -> list[str]:
    """Return what makes the page wider than the window, if it is."""
    found: list[str] = page.evaluate(
        """() => {
          const root = document.documentElement;
          if (root.scrollWidth <= root.clientWidth) return [];
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1)
            .slice(0, 5).map((e) => e.outerHTML.slice(0, 160));
        }"""
    )
    return found
