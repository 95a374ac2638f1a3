"""The account: what one reported and supports, with what became of it."""

import itertools
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from gateway.app import make_app
from gateway.pages.account import NEWS
from gateway.settings import Settings
from services.reports.domain import STATUSES
from tests.apps import Tokens
from tests.integration.gateway.conftest import NOWHERE, serve
from tests.integration.gateway.pages_world import COMMUNE, PLACE, Visitor, serve_pages, words
from tests.servers import Database

pytestmark = pytest.mark.integration

PHONES = itertools.count(6001)
EVIL = '<b>gras</b> "${alert(1)}" {{7*7}}'


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


def signed_in(front: str) -> dict[str, str]:
    """Sign in with the demonstration's code; return the header of who did."""
    phone = f"+229019700{next(PHONES)}"
    code = httpx.post(f"{front}/api/v1/auth/codes", json={"phone": phone}).json()["demo_code"]
    made = httpx.post(f"{front}/api/v1/auth/tokens", json={"phone": phone, "code": code}).json()
    return {"Authorization": f"Bearer {made['access_token']}"}


def reported(front: str, person: dict[str, str], text: str) -> str:
    body = {"lon": PLACE[0], "lat": PLACE[1], "category": "water", "description": text}
    made = httpx.post(f"{front}/api/v1/reports", json=body, headers=person)
    assert made.status_code == 201, made.text
    return str(made.json()["ref"])


def test_own_reports_and_those_one_supports_say_where_they_stand(
    front: str, tokens: Tokens
) -> None:
    me, other = signed_in(front), tokens.bearer()
    own, supported = reported(front, me, f"Fuite {EVIL}"), reported(front, other, "Pompe cassée")
    stranger = reported(front, other, "Borne sèche")
    httpx.post(f"{front}/api/v1/reports/{supported}/support", json={}, headers=me)
    resolved = {"status": "resolved", "internal_note": "Note de la maison"}
    agent = tokens.agent(COMMUNE)
    httpx.post(f"{front}/api/v1/reports/{own}/status", json=resolved, headers=agent)
    with Visitor(front, me) as visitor:
        page = visitor.get("/compte")
    mine, theirs = words(page).split("Ceux que je soutiens")
    assert "Est-ce vrai ? Dites-le." in mine
    assert "Cotonou" in mine
    assert "Pompe cassée" in theirs
    assert EVIL not in page.text
    assert "Note de la maison" not in page.text
    assert stranger not in page.text


def test_who_reported_nothing_is_told_where_to_begin(front: str) -> None:
    with Visitor(front, signed_in(front)) as visitor:
        assert "encore rien signalé" in words(visitor.get("/compte"))


def test_the_account_stands_without_the_reports(front: str, gateway_settings: Settings) -> None:
    me = signed_in(front)
    alone = make_app(gateway_settings.model_copy(update={"reports_url": NOWHERE}))
    with serve(alone) as url, Visitor(url, me) as visitor:
        page = visitor.get("/compte")
        assert page.status_code == 200
        assert "ne peuvent pas être lus" in words(page)


def test_every_status_says_what_happened() -> None:
    assert set(NEWS) == set(STATUSES)
