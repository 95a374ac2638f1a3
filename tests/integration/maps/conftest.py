"""One site and one browser for the tests of maps; a page's errors fail its test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.maps.map_site import Site


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
