"""Report pages over the real reports service: an anonymous reporter's code, hostile queries."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2 as httpx
import pytest

from gateway.app import make_app
from gateway.session import ACCESS
from gateway.settings import Settings
from services.common.auth import FixedKeys
from services.reports.main import make_app as make_reports
from services.reports.settings import Settings as ReportsSettings
from tests.apps import Tokens, rows
from tests.integration.gateway.conftest import serve
from tests.servers import Database

pytestmark = pytest.mark.integration

REPORT = {
    "lon": 2.42,
    "lat": 6.37,
    "category": "waste",
    "description": "Tas d'ordures au carrefour",
    "anonymous": True,
}
NOTE = "Il en reste la moitié"


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    media: Path = tmp_path_factory.mktemp("media")
    settings = ReportsSettings(
        _env_file=None,
        database_url=fresh_database.url("reports"),
        secret="secret",
        media_dir=media,
    )
    reports = make_reports(settings)
    reports.state.keys = FixedKeys(tokens.signer.jwks)
    with serve(reports) as url:
        gateway = make_app(gateway_settings.model_copy(update={"reports_url": url}))
        gateway.state.keys = reports.state.keys
        with serve(gateway) as front:
            yield front


@pytest.fixture
def browser(front: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front, headers={"Accept": "text/html"}) as client:
        yield client


@pytest.fixture
def closed(front: str, tokens: Tokens) -> dict[str, str]:
    """An anonymous report that the mairie calls resolved."""
    found: dict[str, str] = httpx.post(f"{front}/api/v1/reports", json=REPORT).json()
    path = f"{front}/api/v1/reports/{found['id']}/status"
    agent = tokens.agent("0801")
    assert httpx.post(path, json={"status": "resolved"}, headers=agent).status_code == 200
    return found


def send(browser: httpx.Client, report: dict[str, str], **fields: str) -> httpx.Response:
    page = browser.get(f"/signalements/{report['ref']}").text
    form = re.search(r'<form[^>]*action="([^"]*/rouvrir)".*?</form>', page, re.S)
    assert form
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', form[0]))
    return browser.post(form[1], data={**hidden, "public_note": NOTE, **fields})


def status(front: str, report: dict[str, str]) -> str:
    return str(httpx.get(f"{front}/api/v1/reports/{report['id']}").json()["status"])


@pytest.mark.parametrize("signed_in", [False, True])
def test_an_anonymous_reporter_reopens_with_the_code_alone(
    browser: httpx.Client,
    front: str,
    closed: dict[str, str],
    tokens: Tokens,
    fresh_database: Database,
    signed_in: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if signed_in:
        browser.cookies.set(ACCESS, tokens.bearer()["Authorization"].split()[1])
    code = closed["follow_up_token"]
    answer = send(browser, closed, follow_up=f" {code[:16]} {code[16:].upper()} ")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/signalements/{closed['ref']}"
    assert status(front, closed) == "reopened"
    assert NOTE in browser.get(answer.headers["location"]).text
    assert code not in caplog.text
    # Nobody is joined to the report, even who was signed in while sending the code.
    who = "SELECT scope FROM idempotency_keys WHERE body->>'id' = '{}'".format(closed["id"])
    assert {row["scope"] for row in rows(fresh_database, "reports", who)} == {"anonymous"}


def test_a_wrong_code_changes_nothing_and_says_so(
    browser: httpx.Client, front: str, closed: dict[str, str]
) -> None:
    for code in ("", "a" * 32, "é", "a\r\nX-Evil: 1", "x" * 5000, "\0", "a b/ç"):
        answer = send(browser, closed, follow_up=code)
        assert answer.status_code == 422
        assert 'id="e-follow_up"' in answer.text
        assert NOTE in answer.text  # what was written is not lost
    assert status(front, closed) == "resolved"


def test_a_tampered_key_is_refused_calmly(
    browser: httpx.Client, front: str, closed: dict[str, str]
) -> None:
    for key in ("é", "a\r\nb", "x"):
        answer = send(browser, closed, follow_up=closed["follow_up_token"], idempotency_key=key)
        assert answer.status_code == 422
    assert status(front, closed) == "resolved"


def test_without_a_code_one_signs_in(browser: httpx.Client, closed: dict[str, str]) -> None:
    page = browser.get(f"/signalements/{closed['ref']}").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    answer = browser.post(f"/signalements/{closed['ref']}/rouvrir", data={"csrf_token": token[1]})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/connexion?")


HOSTILE = ["\0", "x", "é'\"<", "received,resolved", "9" * 40, "%00", "\ud7ff\U0010ffff"]


def test_unknown_filters_are_ignored(
    browser: httpx.Client, tokens: Tokens, closed: dict[str, str]
) -> None:
    browser.cookies.set(ACCESS, tokens.agent("0801")["Authorization"].split()[1])
    for value in HOSTILE:
        for name in ("category", "status"):
            query = f"{name}={quote(value)}"
            assert closed["ref"] in browser.get(f"/communes/0801/signalements?{query}").text
            assert browser.get(f"/mairie/0801?{query}").status_code == 200


#: base64 of times that cannot be, and of no time.
CURSORS = ["\0", "x", "====", "MDAwMS0wMS0wMVQwMDowMDowMCswMDowMCB4", "OTk5OQ==", "é", "%00"]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_bad_cursor_is_a_calm_page(browser: httpx.Client, cursor: str) -> None:
    answer = browser.get(f"/communes/0801/signalements?cursor={quote(cursor)}")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1" in answer.text
