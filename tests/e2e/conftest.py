"""One real launcher a transport, one real browser, for all end-to-end tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import servers
from tests.e2e import browsing
from tests.e2e.running import Palabre

EMBEDDED = "embedded"
KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kill processes last: what that breaks must not be put down to the pages."""
    items.sort(key=lambda item: item.path.name == "test_kill.py")


@pytest.fixture(scope="session", params=[EMBEDDED, KAFKA])
def palabre(request: pytest.FixtureRequest) -> Iterator[Palabre]:
    """Run everything: with the demonstration in the one transport, empty in the other."""
    events = request.param
    if events == "kafka":
        servers.require_kafka()
    run = Palabre(events, demo=events == "embedded")
    try:
        run.start()
        yield run
        run.stop()
    finally:
        run.destroy()
        browsing.ARTEFACTS.mkdir(exist_ok=True)
        (browsing.ARTEFACTS / f"up-{events}.log").write_bytes(run.log.read_bytes())
        run.remove()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with browsing.chromium(chromium) as running:
        yield running
