"""Report pages over the real reports service: what all see, and what an author may do."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
from sqlalchemy import create_engine, text

from gateway.settings import Settings
from tests.apps import Tokens, rows
from tests.integration.gateway.pages_world import COMMUNE, PLACE, Visitor, serve_pages, words
from tests.media import photo
from tests.servers import Database

pytestmark = pytest.mark.integration

REPORT = {
    "lon": PLACE[0],
    "lat": PLACE[1],
    "category": "waste",
    "description": "Tas d'ordures au carrefour",
    "landmark": "chez Koffi",
}
LIST = f"/communes/{COMMUNE}/signalements"
NOTE = "Il en reste la moitié"
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


@pytest.fixture
def person(tokens: Tokens) -> dict[str, str]:
    return tokens.bearer(user=uuid.uuid4())


@pytest.fixture
def author(front: str, person: dict[str, str]) -> Iterator[Visitor]:
    with Visitor(front, person) as visitor:
        yield visitor


@pytest.fixture
def browser(front: str) -> Iterator[Visitor]:
    with Visitor(front) as visitor:
        yield visitor


class Service:
    """The reports service, asked straight."""

    def __init__(self, front: str, agent: dict[str, str], person: dict[str, str]) -> None:
        self.url = f"{front}/api/v1"
        self.agent = agent
        self.person = person

    def report(self, *, anonymous: bool = False, **more: Any) -> dict[str, Any]:
        headers = {} if anonymous else self.person
        body = {**REPORT, "anonymous": anonymous, **more}
        made = httpx.post(f"{self.url}/reports", json=body, headers=headers)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found

    def upload(self) -> str:
        return str(httpx.post(f"{self.url}/uploads", content=photo()).json()["id"])

    def change(self, report: dict[str, Any], status: str, **more: Any) -> None:
        path = f"{self.url}/reports/{report['ref']}/status"
        answer = httpx.post(path, json={"status": status, **more}, headers=self.agent)
        assert answer.status_code == 200, answer.text

    def seen(self, report: dict[str, Any]) -> dict[str, Any]:
        path = f"{self.url}/reports/{report['ref']}"
        found: dict[str, Any] = httpx.get(path, headers=self.agent).json()
        return found


@pytest.fixture
def service(front: str, tokens: Tokens, person: dict[str, str]) -> Service:
    return Service(front, tokens.agent(COMMUNE), person)


def path_of(report: dict[str, Any]) -> str:
    return f"/signalements/{report['ref']}"


# What all see.


def test_the_whole_public_history_is_told_and_nothing_of_the_house(
    browser: Visitor, service: Service
) -> None:
    report = service.report(description=f"Ordures {EVIL}", photos=[service.upload()])
    other = service.report()
    service.change(
        report, "acknowledged", public_note=f"Merci {EVIL}", internal_note="La SBEE dort"
    )
    service.change(report, "forwarded", forwarded_to="SBEE")
    service.change(report, "reopened")
    httpx.post(
        f"{service.url}/reports/{report['ref']}/correction",
        json={"category": "drainage"},
        headers=service.agent,
    )
    service.change(other, "duplicate", duplicate_of=report["ref"])
    service.change(report, "rejected", reason="not_found")
    page = browser.get(path_of(report))
    said = words(page)
    assert EVIL not in page.text
    assert "SBEE dort" not in page.text
    order = (
        "Rejeté",
        "Rien n'a été trouvé sur place",
        "Un doublon y est réuni",
        other["ref"],
        "Corrigé",
        "Catégorie : Dépôt sauvage, ordures, puis Caniveau, inondation.",
        "Rouvert",
        "Transmis à un autre organisme",
        "Pris en compte",
        "Réponse de la mairie",
        "Reçu",
    )
    history = said.split("Où en est-on")[1]
    at = [history.find(word) for word in order]
    assert at == sorted(at), list(zip(order, at, strict=True))
    assert at[0] >= 0
    assert "1 autre signalement y est réuni" in said
    merged = words(browser.get(path_of(other)))
    assert f"Voir le signalement {report['ref']}" in merged
    assert "Moi aussi" not in merged


def test_what_was_promised_is_told_and_late_is_called_late(
    browser: Visitor, service: Service, fresh_database: Database
) -> None:
    report = service.report()
    said = words(browser.get(path_of(report)))
    assert "Service Hygiène et salubrité" in said
    assert "Promis avant le" in said
    assert "En retard" not in said
    engine = create_engine(fresh_database.url("reports"))
    with engine.begin() as connection:
        past = text("UPDATE reports SET due_at = now() - interval '1 day' WHERE ref = :ref")
        connection.execute(past, {"ref": report["ref"]})
    engine.dispose()
    assert "En retard" in words(browser.get(path_of(report)))
    service.change(report, "resolved")
    assert "En retard" not in words(browser.get(path_of(report)))


def test_a_project_that_grew_out_of_it_is_told(
    browser: Visitor, service: Service, fresh_database: Database
) -> None:
    report = service.report()
    told = {"report": report["id"], "ref": "P-7K4M2P"}
    linked = text(
        "INSERT INTO report_proposals VALUES (:report, gen_random_uuid(), :ref, 'funded', now(), 2)"
    )
    line = text(
        "INSERT INTO history (report_id, version, kind, status, at, actor_kind, public_note, "
        "internal_note, detail) VALUES (:report, :version, 'proposal', 'received', now(), "
        "'mairie', '', '', jsonb_build_object('proposal', CAST(:ref AS text), 'status', "
        "CAST(:status AS text)))"
    )
    engine = create_engine(fresh_database.url("reports"))
    with engine.begin() as connection:
        connection.execute(linked, told)
        for version, status in ((2, "submitted"), (3, "funded")):
            connection.execute(line, {**told, "version": version, "status": status})
    engine.dispose()
    page = browser.get(path_of(report))
    card, history = words(page).split("Où en est-on")
    assert "Un projet est né de ce signalement Financé P-7K4M2P" in card
    assert history.index("Financé") < history.index("Déposé")
    assert page.text.count('href="/propositions/P-7K4M2P"') == 3


def test_what_is_not_there_offers_the_code_and_says_no_more(
    browser: Visitor, service: Service
) -> None:
    hidden = service.report()
    httpx.post(
        f"{service.url}/reports/{hidden['ref']}/status",
        json={"status": "withdrawn"},
        headers=service.person,
    )
    for path in (path_of(hidden), "/signalements/S-NOTHING", f"/signalements/{quote(EVIL[3:7])}"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert 'name="follow_up"' in answer.text
        assert "ordures" not in words(answer)


def test_me_too_counts_once_and_needs_a_person(
    browser: Visitor, author: Visitor, service: Service, front: str, tokens: Tokens
) -> None:
    report = service.report()
    assert (
        f'href="/connexion?retour={path_of(report)}%3Fmoi%3D1"' in browser.get(path_of(report)).text
    )
    with Visitor(front, tokens.bearer()) as other:
        invited = other.get(f"{path_of(report)}?moi=1")
        assert "Plus qu'un geste" in words(invited)
        for _ in range(2):
            thanks = other.fill(path_of(report), "/soutien")
            assert thanks.status_code == 303
        assert "2 personnes concernées" in words(other.get(thanks.headers["location"]))
    assert "Moi aussi" not in words(author.get(path_of(report)))


# What an author may do, by their account.


def test_an_author_confirms_or_reopens(author: Visitor, service: Service) -> None:
    report = service.report()
    service.change(report, "resolved", public_note="Nettoyé", internal_note="secret interne")
    page = author.get(path_of(report))
    assert "Est-ce vrai" in page.text
    assert "secret" not in page.text
    done = author.fill(page, "/etat", status="reopened", public_note=NOTE)
    assert done.headers["location"] == f"{path_of(report)}?fait=reopened"
    said = words(author.get(done.headers["location"]))
    assert "C'est rouvert" in said
    assert NOTE in said
    service.change(report, "resolved")
    done = author.fill(path_of(report), "/etat")
    assert done.headers["location"].endswith("?fait=confirmed")
    assert service.seen(report)["status"] == "confirmed"


def test_a_change_meanwhile_is_said_and_nothing_is_lost(author: Visitor, service: Service) -> None:
    report = service.report()
    service.change(report, "resolved")
    page = author.get(path_of(report))
    service.change(report, "reopened")
    service.change(report, "resolved", public_note="Cette fois c'est bon")
    answer = author.fill(page, "/etat", status="reopened", public_note=NOTE)
    assert answer.status_code == 422
    said = words(answer)
    assert "a changé pendant que vous écriviez" in said
    assert "Cette fois c'est bon" in said
    assert NOTE in said
    assert service.seen(report)["status"] == "resolved"
    # What was shown now is what the next sending saw.
    assert author.fill(answer, "/etat", status="reopened").status_code == 303


def test_an_author_corrects_and_withdraws(
    author: Visitor, browser: Visitor, service: Service
) -> None:
    report = service.report()
    page = author.get(path_of(report))
    # The commune is offered with those near by only.
    options = re.findall(r'<option value="(\d{4})"', page.text)
    assert COMMUNE in options
    assert len(options) < 10
    done = author.fill(page, "/correction", category="roads", commune=COMMUNE)
    assert done.headers["location"].endswith("?fait=corrected")
    assert service.seen(report)["category"] == "roads"
    far = author.fill(path_of(report), "/correction", category="roads", commune="0203")
    assert far.status_code == 422
    assert 'id="e-commune"' in far.text
    forged = author.fill(path_of(report), "/correction", category="nothing")
    assert forged.status_code == 422
    gone = author.fill(path_of(report), "/etat", status="withdrawn")
    assert gone.headers["location"] == f"{LIST}?fait=withdrawn"
    assert "est retiré" in words(author.get(gone.headers["location"]))
    assert report["ref"] not in browser.get(LIST).text
    assert "Retiré par son auteur" in words(author.get(path_of(report)))


def test_a_stranger_changes_nothing(front: str, service: Service, tokens: Tokens) -> None:
    report = service.report()
    with Visitor(front, tokens.bearer()) as stranger:
        page = stranger.get(path_of(report))
        assert 'action="/signalements/' + report["ref"] + '/etat"' not in page.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token
        for action in ("etat", "correction", "modifier"):
            fields = {"csrf_token": token[1], "status": "withdrawn", "category": "roads"}
            answer = stranger.post(f"{path_of(report)}/{action}", data=fields)
            assert answer.status_code in (403, 422)
        assert stranger.get(f"{path_of(report)}/modifier").status_code == 303
    assert service.seen(report)["version"] == 1


def test_an_author_rewrites_after_seeing_it_as_all_will(
    author: Visitor, browser: Visitor, service: Service, fresh_database: Database
) -> None:
    kept, dropped = service.upload(), service.upload()
    report = service.report(photos=[kept, dropped], description="Voir Awa au 97 12 34 56")
    service.change(report, "resolved")
    author.fill(path_of(report), "/etat", status="reopened", public_note="Chez Awa, rue 12")
    rewrite = f"{path_of(report)}/modifier"
    page = author.get(rewrite)
    assert page.headers["cache-control"] == "no-store"
    note = re.search(r'name="(note-\d+)"', page.text)
    assert note
    texts = {"description": f"Ordures. 0197001122 {EVIL}", "landmark": "", note[1]: "Rue 12"}
    shown = author.fill(page, "/modifier", step="look", **texts, **{f"remove-{dropped}": dropped})
    assert "<mark>0197001122</mark>" in shown.text
    assert EVIL not in shown.text
    assert service.seen(report)["description"] == "Voir Awa au 97 12 34 56"
    assert f'name="remove-{dropped}" value="{dropped}" checked' in shown.text
    texts["description"] = "Ordures"
    done = author.fill(shown, "/modifier", step="store", **texts, **{f"remove-{dropped}": dropped})
    assert done.headers["location"].endswith("?fait=redacted")
    said = words(browser.get(path_of(report)))
    assert "Awa" not in said
    assert "Rue 12" in said
    assert [p["id"] for p in service.seen(report)["photos"]] == [kept]
    stored = "SELECT description, landmark FROM reports WHERE ref = '{}'".format(report["ref"])
    assert rows(fresh_database, "reports", stored) == [{"description": "Ordures", "landmark": ""}]
    assert author.fill(rewrite, "/modifier", step="store", description="").status_code == 422


# What an author may do by the code of a report without a name.


@pytest.fixture
def secret(service: Service) -> dict[str, Any]:
    """An anonymous report that the mairie calls resolved."""
    report = service.report(anonymous=True)
    service.change(report, "resolved")
    return report


def opened(browser: Visitor, report: dict[str, Any], code: str) -> httpx.Response:
    return browser.fill(path_of(report), "/suivi", follow_up=code)


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_code_opens_what_its_author_may_do(
    front: str,
    secret: dict[str, Any],
    tokens: Tokens,
    service: Service,
    fresh_database: Database,
    signed_in: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    code = secret["follow_up_token"]
    with Visitor(front, tokens.bearer() if signed_in else None) as browser:
        page = opened(browser, secret, f" {code[:16]} {code[16:].upper()} ")
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert "Est-ce vrai" in page.text
        done = browser.fill(page, "/etat", status="reopened", public_note=NOTE)
        assert done.status_code == 303
        assert done.headers["location"] == f"{path_of(secret)}?fait=reopened"
        page = opened(browser, secret, code)
        rewriting = browser.fill(page, "/modifier", step="open")
        assert "Tas d&#39;ordures au carrefour</textarea>" in rewriting.text
        assert (
            browser.fill(
                rewriting, "/modifier", step="store", description="Tas d'ordures"
            ).status_code
            == 303
        )
        gone = browser.fill(opened(browser, secret, code), "/etat", status="withdrawn")
        assert gone.headers["location"] == f"{LIST}?fait=withdrawn"
        # Nobody sees it any more but who has the code.
        assert browser.get(path_of(secret)).status_code == 404
        assert "Retiré par son auteur" in words(opened(browser, secret, code))
    assert code not in caplog.text
    # Nobody is joined to the report, even who was signed in while sending the code.
    who = "SELECT actor FROM history WHERE report_id = '{}' AND actor_kind = 'citizen'"
    lines = rows(fresh_database, "reports", who.format(secret["id"]))
    assert {line["actor"] for line in lines} == {None}
    keys = "SELECT DISTINCT scope FROM idempotency_keys WHERE body::text LIKE '%{}%'"
    scopes = rows(fresh_database, "reports", keys.format(secret["id"]))
    assert {row["scope"] for row in scopes} <= {"anonymous"}


def test_a_wrong_code_opens_nothing_and_says_so(
    browser: Visitor, secret: dict[str, Any], service: Service
) -> None:
    version = service.seen(secret)["version"]
    page = browser.get(path_of(secret))
    for code in ("", "a" * 32, "é", "a\r\nX-Evil: 1", "x" * 5000, "\0", "a b/ç"):
        answer = browser.fill(page, "/suivi", follow_up=code)
        assert answer.status_code == 422
        assert 'id="e-follow_up"' in answer.text
        assert "Est-ce vrai" not in answer.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token
        for action, fields in (
            ("etat", {"status": "reopened", "public_note": NOTE}),
            ("modifier", {"step": "store", "description": "Rien"}),
            ("correction", {"category": "roads"}),
        ):
            sent = {"csrf_token": token[1], "follow_up": code, **fields}
            answer = browser.post(f"{path_of(secret)}/{action}", data=sent)
            assert answer.status_code == 422
    assert service.seen(secret)["version"] == version


def test_another_report_s_code_opens_nothing(
    browser: Visitor, secret: dict[str, Any], service: Service
) -> None:
    other = service.report(anonymous=True)
    assert opened(browser, secret, other["follow_up_token"]).status_code == 422


def test_a_tampered_key_is_refused_calmly(
    browser: Visitor, secret: dict[str, Any], service: Service
) -> None:
    page = opened(browser, secret, secret["follow_up_token"])
    for key in ("é", "a\r\nb", "x"):
        answer = browser.fill(page, "/etat", status="reopened", idempotency_key=key)
        assert answer.status_code == 422
    assert service.seen(secret)["status"] == "resolved"


def test_without_a_code_one_signs_in(browser: Visitor, secret: dict[str, Any]) -> None:
    page = browser.get(path_of(secret)).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    fields = {"csrf_token": token[1], "status": "reopened"}
    answer = browser.post(f"{path_of(secret)}/etat", data=fields)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/connexion?")


# The list.


def test_the_list_filters_and_leads_to_open_data(browser: Visitor, service: Service) -> None:
    waiting, done = service.report(category="noise"), service.report(category="noise")
    service.change(waiting, "waiting")
    service.change(done, "resolved")
    part = service.seen(done)["arrondissement"]
    found = browser.get(f"{LIST}?category=noise&status=open&arrondissement={part}").text
    assert waiting["ref"] in found
    assert done["ref"] not in found
    assert waiting["ref"] not in browser.get(f"{LIST}?arrondissement=0801-13").text
    links = re.findall(r'href="(/api/v1/[^"]+)"', found.replace("&amp;", "&"))
    assert f"/api/v1/feeds/reports.atom?commune={COMMUNE}&category=noise" in links
    for link in links:
        answer = browser.get(link)
        assert answer.status_code == 200
        assert (done["ref"] not in answer.text) or "feeds" in link
    assert len(links) == 5  # the feed in the head too
    assert '<link rel="alternate" type="application/atom+xml"' in found


HOSTILE = ["\0", "x", "é'\"<", "received,resolved", "9" * 40, "%00", "\ud7ff\U0010ffff"]


def test_unknown_filters_are_ignored(front: str, tokens: Tokens, service: Service) -> None:
    report = service.report()
    with Visitor(front, tokens.agent(COMMUNE)) as agent:
        for value in HOSTILE:
            for name in ("category", "status", "arrondissement", "fait"):
                query = f"{name}={quote(value)}"
                assert report["ref"] in agent.get(f"{LIST}?{query}").text
                assert agent.get(f"{path_of(report)}?{query}&moi={quote(value)}").status_code == 200
                assert agent.get(f"/mairie/{COMMUNE}?{query}").status_code == 200


#: base64 of times that cannot be, and of no time.
CURSORS = ["\0", "x", "====", "MDAwMS0wMS0wMVQwMDowMDowMCswMDowMCB4", "OTk5OQ==", "é", "%00"]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_bad_cursor_is_a_calm_page(browser: Visitor, cursor: str) -> None:
    answer = browser.get(f"{LIST}?cursor={quote(cursor)}")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1" in answer.text
