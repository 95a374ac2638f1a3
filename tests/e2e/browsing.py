"""Driving the pages as people do, and keeping pictures of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
CHROMIUM = os.environ.get("PALABRE_CHROMIUM", "/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def visitor(browser: Browser, url: str, *, language: str = "fr-BJ", **options: object) -> Page:
    """Open a new visitor's page at ``url``; ``page.faults`` gathers what the console refused."""
    context: BrowserContext = browser.new_context(base_url=url, locale=language, **options)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.faults = faults  # type: ignore[attr-defined]
    return page


def sign_in(page: Page, phone: str) -> None:
    """Go through the sign-in with the code that the demonstration shows."""
    if "/connexion" not in page.url:
        page.goto("/connexion")
    page.fill("[name=phone]", phone)
    page.click("form[action='/connexion'] button")
    page.fill("[name=code]", page.locator("[data-demo-code]").inner_text())
    page.click("form[action='/connexion/code'] button")
    expect(page.locator("a[href='/compte']").first).to_be_attached()


def shoot(page: Page, folder: Path, name: str, *, whole: bool = True) -> None:
    """Keep a picture of the page on a phone and on a desk."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, view in (("360", PHONE), ("1280", DESK)):
        page.set_viewport_size(view)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}-{size}.png", full_page=whole)


def fits(page: Page) -> bool:
    """Tell whether nothing is wider than the window."""
    return bool(
        page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )
