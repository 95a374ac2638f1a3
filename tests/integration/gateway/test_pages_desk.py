"""The desk's pages over the real reports service, as an agent with an old browser uses them."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from gateway.session import ACCESS
from tests.apps import AGENT, Tokens
from tests.servers import Database

pytestmark = pytest.mark.integration

DESK = "/mairie/0801"
HOSTILE = "<script>alert(1)</script> ${x} {{7*7}}"


@pytest.fixture
def me() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
def browser(reports_front: str, tokens: Tokens, me: uuid.UUID) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=reports_front, headers={"Accept": "text/html"}) as client:
        client.cookies.set(
            ACCESS, tokens.bearer({"0801": AGENT}, user=me)["Authorization"].split()[1]
        )
        yield client


@pytest.fixture
def pin(reports_front: str, tokens: Tokens) -> Any:
    def make(**more: Any) -> str:
        body = {"lon": 2.42, "lat": 6.37, "category": "waste", "description": HOSTILE, **more}
        answer = httpx.post(f"{reports_front}/api/v1/reports", json=body, headers=tokens.bearer())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ref"])

    return make


def send(browser: httpx.Client, page: str, path: str, /, **fields: Any) -> httpx.Response:
    """Send the form of ``page`` that leads to ``path``, its hidden fields filled in."""
    found = re.search(rf'<form[^>]*action="{re.escape(path)}[^"]*".*?</form>', page, re.S)
    assert found, f"no form leads to {path}"
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', found[0]))
    return browser.post(path, data={**hidden, **fields})


def public(front: str, ref: str) -> Any:
    return httpx.get(f"{front}/api/v1/reports/{ref}").json()


def test_the_queue_shows_filters_and_exports_what_it_shows(browser: httpx.Client, pin: Any) -> None:
    waste, water = pin(), pin(category="water", landmark="Forage de Zogbo")
    page = browser.get(DESK)
    assert page.status_code == 200
    assert waste in page.text
    assert HOSTILE not in page.text
    found = browser.get(f"{DESK}?category=water&status=received&sort=due&q=zogbô").text
    assert water in found
    assert waste not in found
    nothing = browser.get(f"{DESK}?category=dragons&sort=<x>&assignee=nobody&cursor=").text
    assert waste in nothing  # a filter that means nothing filters nothing
    for kind, mark in (("csv", ";"), ("geojson", "FeatureCollection"), ("gpkg", "SQLite format")):
        file = browser.get(f"{DESK}/export.{kind}?category=water")
        assert file.status_code == 200, file.text
        assert mark.encode() in file.content
        assert "attachment" in file.headers["content-disposition"]
        if kind != "gpkg":
            assert water in file.text
            assert waste not in file.text
    assert browser.get(f"{DESK}/export.exe").status_code == 404


def test_one_action_on_many_says_what_became_of_each(
    browser: httpx.Client, reports_front: str, pin: Any
) -> None:
    one, two = pin(), pin()
    page = browser.get(DESK).text
    ticked = [f"{one}:1", f"{two}:7"]  # the second one was changed by somebody, so it seems
    answer = send(
        browser, page, f"{DESK}/lot", refs=ticked, action="acknowledged", public_note="Vu."
    )
    assert answer.status_code == 200
    assert public(reports_front, one)["history"][-1]["public_note"] == "Vu."
    assert public(reports_front, two)["status"] == "received"
    assert f'/signalements/{two}">{two}</a> :' in answer.text
    for fields in (
        {"action": "acknowledged"},
        {"refs": [f"{two}:1"], "action": ""},
        {"refs": [f"{two}:1"], "action": "rejected"},
        {"refs": [f"{two}:1"], "action": "assign", "agency": "nobody"},
    ):
        assert send(browser, page, f"{DESK}/lot", **fields).status_code == 422
    assert public(reports_front, two)["version"] == 1


def test_an_agent_answers_assigns_notes_corrects_and_moderates(
    browser: httpx.Client, reports_front: str, pin: Any, me: uuid.UUID, tokens: Tokens
) -> None:
    ref = pin()
    here = f"{DESK}/signalements/{ref}"
    directory = f"{reports_front}/api/v1/desk/0801/agents"
    named = httpx.put(
        directory, json={"name": "Afi K."}, headers=tokens.bearer({"0801": AGENT}, user=me)
    )
    assert named.status_code == 200
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        (
            "reponse",
            {"status": "in_progress", "public_note": "On vient.", "internal_note": "Koffi"},
        ),
        ("attribution", {"agency": "roads", "assignee": str(me)}),
        ("note", {"internal_note": "Clé au poste"}),
        ("correction", {"category": "drainage"}),
        ("moderation", {"text": "Texte revu", "reason": "injure"}),
    )
    for what, fields in steps:
        page = browser.get(here).text
        answer = send(browser, page, f"{here}/{what}", **fields)
        assert answer.status_code == 303, f"{what}: {answer.text}"
    page = browser.get(here).text
    for said in ("On vient.", "Koffi", "Afi K.", "Clé au poste", "Texte revu", "injure"):
        assert said in page, said
    assert HOSTILE not in page
    seen = browser.get(f"/signalements/{ref}", headers={"Cookie": ""}).text
    assert "On vient." in seen
    shown = public(reports_front, ref)
    assert (shown["category"], shown["description"]) == ("drainage", "Texte revu")
    for secret in ("Koffi", "Clé au poste", "injure", "Afi K."):
        assert secret not in str(shown)


def test_what_somebody_changed_meanwhile_is_said_and_the_words_are_kept(
    browser: httpx.Client, reports_front: str, pin: Any, tokens: Tokens
) -> None:
    ref = pin()
    here = f"{DESK}/signalements/{ref}"
    page = browser.get(here).text
    other = tokens.agent("0801")
    url = f"{reports_front}/api/v1/reports/{ref}/status"
    assert httpx.post(url, json={"status": "waiting"}, headers=other).status_code == 200
    mine = {"status": "in_progress", "public_note": "Mes mots à garder"}
    answer = send(browser, page, f"{here}/reponse", **mine)
    assert answer.status_code == 422
    assert "Mes mots à garder" in answer.text
    assert public(reports_front, ref)["status"] == "waiting"
    # The page that says so is up to date: sent again, it counts.
    again = send(browser, answer.text, f"{here}/reponse", **mine)
    assert again.status_code == 303
    assert public(reports_front, ref)["status"] == "in_progress"


def test_a_duplicate_is_merged_and_parted_by_forms(
    browser: httpx.Client, reports_front: str, pin: Any
) -> None:
    apart = {"lon": 2.44, "lat": 6.38}
    first, second = pin(**apart), pin(**apart)
    here = f"{DESK}/signalements/{second}"
    page = browser.get(here).text
    assert first in page  # offered as near
    wrong = send(browser, page, f"{here}/reponse", status="duplicate", duplicate_of=second)
    assert wrong.status_code == 422
    lost = send(browser, page, f"{here}/reponse", status="duplicate", duplicate_of="S-2222222")
    assert lost.status_code == 422
    done = send(browser, page, f"{here}/reponse", status="duplicate", duplicate_of=first)
    assert done.status_code == 303
    assert public(reports_front, second)["duplicate_of"] == first
    parted = send(browser, browser.get(here).text, f"{here}/separation")
    assert parted.status_code == 303
    assert public(reports_front, second)["duplicate_of"] is None


def test_the_round_is_a_sheet_in_walking_order(browser: httpx.Client, pin: Any) -> None:
    ref = pin(landmark="Au carrefour")
    page = browser.get(f"{DESK}/tournee?agency=hygiene")
    assert page.status_code == 200
    assert ref in page.text
    assert "☐" in page.text


def test_the_desk_is_the_commune_s_own(
    reports_front: str, tokens: Tokens, pin: Any, fresh_database: Database
) -> None:
    ref = pin()
    for who, code in ((None, 303), (tokens.agent("0405"), 403), (tokens.bearer(), 403)):
        with httpx.Client(base_url=reports_front, headers={"Accept": "text/html"}) as client:
            if who:
                client.cookies.set(ACCESS, who["Authorization"].split()[1])
            for path in (
                DESK,
                f"{DESK}/signalements/{ref}",
                f"{DESK}/tournee",
                f"{DESK}/export.csv",
            ):
                assert client.get(path).status_code == code, path
            elsewhere = client.get(f"/mairie/0405/signalements/{ref}")
            assert elsewhere.status_code in (303, 403, 404)
            assert "alert(1)" not in elsewhere.text
