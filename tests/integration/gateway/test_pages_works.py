"""Works and money as citizens read them: every franc, every delay, and what they say of the end."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Error, sync_playwright

from gateway.settings import Settings
from tests.apps import Tokens
from tests.e2e.browsing import ARGUMENTS, DESK, PHONE, overflow
from tests.integration.gateway.desk_front import plain
from tests.integration.gateway.exercise_world import Exercise, exercise_world
from tests.media import COTONOU_GPS, exif, save
from tests.servers import Database

pytestmark = pytest.mark.integration

#: What the vote chose: title, theme, voted cost.
CHOSEN = (
    ("Un pavé rue 12", "roads", 6_000_000),
    ("Six lampadaires au marché", "lighting", 4_800_000),
    ("Un forage à Fidjrossè", "water", 7_500_000),
)


@pytest.fixture(scope="module")
def world(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exercise]:
    media = tmp_path_factory.mktemp("media")
    with exercise_world(fresh_database, gateway_settings, tokens, media) as served:
        yield served


def day(ahead: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=ahead)).isoformat()


@pytest.fixture(scope="module")
def built(world: Exercise) -> dict[str, Any]:
    """Three works: one with a ledger and a delay, one finished, one to come."""
    made = world.announce()
    key = made["id"]
    world.enter(key, "ideas", reason="")
    ids = []
    for place, (title, theme, cost) in enumerate(CHOSEN):
        proposal = world.propose(key, title, theme=theme, place=place, estimated_cost=cost)
        world.review(proposal["ref"], cost)
        ids.append(proposal["id"])
    world.enter(key, "review", "vote")
    road, lamps, well = world.count(key, ids)
    world.enter(key, "works", reason="Le compte est publié.")
    world.call("PATCH", f"works/{road}", {"contractor": "Entreprise Adjovi", "ends_on": day(60)})
    for status in ("tendering", "under_way"):
        world.build(road, "status", status=status)
        world.build(lamps, "status", status=status)
    steps = [{"title": "Terrassement", "planned_on": day(10)}, {"title": "Pose"}]
    plan = world.call("PUT", f"works/{road}/milestones", {"milestones": steps})
    first = plan["milestones"][0]["id"]
    world.build(road, f"milestones/{first}/reached", reached_on=day(-1))
    photo = world.photo(save_photo())
    world.build(road, "progress", progress=40, note="La moitié <i>bientôt</i>.", photos=[photo])
    world.build(road, "delay", ends_on=day(90), reason="Les pluies ont noyé le chantier.")
    world.spend(road, "commitment", 5_500_000, payee="Entreprise Adjovi", document="M-12")
    wrong = world.spend(road, "invoice", 2_000_000, label="Situation n° 1")
    world.build(road, f"entries/{wrong['id']}/counter", reason="Saisie deux fois.")
    world.spend(road, "invoice", 1_500_000, label="Situation n° 1")
    world.spend(road, "payment", 1_500_000, label="Situation n° 1")
    world.spend(lamps, "commitment", 5_000_000, reason="Câble plus long.")
    world.spend(lamps, "payment", 5_000_000)
    world.build(lamps, "completion", note="Tout est posé.")
    world.tell()
    return {"id": key, "road": road, "lamps": lamps, "well": well}


def save_photo() -> bytes:
    return save(Image.new("RGB", (80, 60), (200, 30, 30)), exif=exif(COTONOU_GPS))


def read(cell: str) -> str:
    """Return what a cell says."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())


def rows(answer: Any, part: int = 0) -> list[list[str]]:
    """Return the cells of the lines of a page's table, heads and feet too, as they are read."""
    tables = re.findall(r"<table.*?</table>", answer.text, re.S)
    found = []
    for row in re.findall(r"<tr.*?</tr>", tables[part], re.S):
        cells = re.findall(r"<(?:td|th)[ >].*?</(?:td|th)>", row, re.S)
        found.append([read(cell) for cell in cells])
    return found


def francs(cell: str) -> int:
    """Return the amount that a cell holds."""
    sign = -1 if "−" in cell else 1
    return sign * int(re.sub(r"\D", "", cell.split("F CFA")[0]))


def test_works_are_listed_by_state(world: Exercise, built: dict[str, Any]) -> None:
    page = world.visitor().get(f"/budget/{built['id']}/travaux")
    states = ("under_way", "planned", "completed")
    order = [page.text.index(f'<h2 id="{state}"') for state in states]
    assert order == sorted(order)
    said = plain(page)
    for words in ("Un pavé rue 12", "En retard", "fait à 40 %", "payé : 1 500 000 F CFA"):
        assert words in said
    assert f'href="/travaux/{built["road"]}"' in page.text
    assert 'id="suspended"' not in page.text


def test_a_work_says_its_dates_its_delay_and_its_steps(
    world: Exercise, built: dict[str, Any]
) -> None:
    page = world.visitor().get(f"/travaux/{built['road']}")
    said = plain(page)
    for words in (
        "Entreprise Adjovi",
        "Les pluies ont noyé le chantier.",
        "fin reportée du",
        "Fin annoncée d'abord",
        "Terrassement atteinte le",
        "Avancement",
        "0 % → 40 %",
        "6.3555, 2.4400",
    ):
        assert words in said
    assert "La moitié &lt;i&gt;bientôt&lt;/i&gt;." in page.text
    photo = re.search(r'src="(/api/v1/files/[^"]+size=thumb)"', page.text)
    assert photo
    assert world.visitor().get(photo[1]).status_code == 200
    assert "/avis" not in page.text  # it is not said to be finished
    assert "/mairie/" not in page.text


def test_every_franc_of_a_ledger_is_there_and_adds_up(
    world: Exercise, built: dict[str, Any]
) -> None:
    page = world.visitor().get(f"/travaux/{built['road']}")
    _, *lines, foot = rows(page)
    assert [francs(line[3]) for line in lines] == [
        5_500_000, 2_000_000, -2_000_000, 1_500_000, 1_500_000,
    ]  # fmt: skip
    assert "annulée par la ligne 3" in lines[1][2]
    assert "annule la ligne 2" in lines[2][2]
    assert "Motif : Saisie deux fois." in lines[2][2]
    after = [[francs(cell) for cell in line[4:]] for line in lines]
    assert after == [
        [5_500_000, 0, 0, 6_000_000],
        [5_500_000, 2_000_000, 0, 6_000_000],
        [5_500_000, 0, 0, 6_000_000],
        [5_500_000, 1_500_000, 0, 6_000_000],
        [5_500_000, 1_500_000, 1_500_000, 4_500_000],
    ]
    assert [francs(cell) for cell in foot[1:]] == after[-1]
    sum_up = "6 000 000 F CFA − 1 500 000 F CFA = 4 500 000 F CFA"
    assert f"Solde = voté − payé : {sum_up}" in plain(page)


def test_more_paid_than_voted_is_a_negative_balance(world: Exercise, built: dict[str, Any]) -> None:
    page = world.visitor().get(f"/travaux/{built['lamps']}")
    said = plain(page)
    assert "4 800 000 F CFA − 5 000 000 F CFA = −200 000 F CFA" in said
    assert "Motif : Câble plus long." in said


def test_the_money_of_a_campaign_adds_up_line_by_line(
    world: Exercise, built: dict[str, Any]
) -> None:
    page = world.visitor().get(f"/budget/{built['id']}/argent")
    assert page.status_code == 200
    roads, commune, whole = rows(page, 0), rows(page, 1), rows(page, 2)
    envelopes = {}
    for name, (_, *lines, foot) in (("Voirie", roads), ("Toute la commune", commune)):
        sums = [[francs(cell) for cell in line[1:]] for line in lines]
        envelopes[name] = [sum(column) for column in zip(*sums, strict=True)]
        assert [francs(cell) for cell in foot[1:]] == envelopes[name]
    assert envelopes["Voirie"] == [6_000_000, 5_500_000, 1_500_000, 1_500_000, 4_500_000]
    _, *parts, total = whole
    told = {part[0]: [francs(cell) for cell in part[1:]] for part in parts}
    assert told["Voirie"] == [10_000_000, *envelopes["Voirie"], 4_000_000]
    assert told["Toute la commune"] == [20_000_000, *envelopes["Toute la commune"], 7_700_000]
    assert [francs(cell) for cell in total[1:]] == [
        sum(column) for column in zip(*told.values(), strict=True)
    ]
    assert francs(total[1]) == 30_000_000
    for ref in (built["road"], built["lamps"], built["well"]):
        assert f'href="/travaux/{ref}"' in page.text
    assert f"/api/v1/campaigns/{built['id']}/export/ledger.csv" in page.text
    assert "payé à 25 %, engagé à 92 %" in plain(page)


def test_a_citizen_confirms_or_disputes_once_and_may_change_their_mind(
    world: Exercise, built: dict[str, Any]
) -> None:
    path = f"/travaux/{built['lamps']}"
    person = world.visitor()
    answer = person.fill(path, "/avis", verdict="disputed", note="")
    assert answer.status_code == 422
    assert "Écrivez quelque chose." in plain(answer)
    assert re.search(r'value="disputed" checked', answer.text)
    answer = person.fill(path, "/avis", note="Je ne sais pas.")
    assert answer.status_code == 422
    assert "Je ne sais pas." in answer.text
    answer = person.fill(path, "/avis", verdict="disputed", note="Deux <b>lampes</b> éteintes.")
    assert answer.status_code == 303
    page = person.get(answer.headers["location"])
    assert "Merci, votre avis est compté." in plain(page)
    assert "1 personne conteste" in plain(page)
    assert "Deux &lt;b&gt;lampes&lt;/b&gt; éteintes." in page.text
    assert person.fill(path, "/avis", verdict="confirmed", note="Réparées.").status_code == 303
    said = plain(world.visitor().get(path))
    assert "1 personne confirme" in said
    assert re.search("0 personnes? conteste", said)


def test_nobody_answers_without_an_account_nor_for_a_work_that_goes_on(
    world: Exercise, built: dict[str, Any]
) -> None:
    stranger = world.stranger()
    page = stranger.get(f"/travaux/{built['lamps']}")
    assert "Connectez-vous pour donner votre avis" in plain(page)
    assert 'action="/travaux' not in page.text
    person = world.visitor()
    form = person.get(f"/travaux/{built['lamps']}")
    sent = form.text.replace(f"{built['lamps']}/avis", f"{built['road']}/avis")
    form = type(form)(200, text=sent, request=form.request)
    answer = person.fill(form, "/avis", verdict="confirmed")
    assert answer.status_code == 409
    assert "rien n'a été enregistré" in plain(answer)


def test_an_empty_campaign_says_so(world: Exercise) -> None:
    made = world.announce(title="Budget à venir")
    page = plain(world.visitor().get(f"/budget/{made['id']}/travaux"))
    assert "Aucun projet n'est encore en travaux" in page
    money = plain(world.visitor().get(f"/budget/{made['id']}/argent"))
    assert "30 000 000 F CFA − 0 F CFA = 30 000 000 F CFA" in money


def test_a_work_that_is_none_has_no_page(world: Exercise) -> None:
    for ref in ("T-0000000", "nothing", "..%2Fworks"):
        assert world.visitor().get(f"/travaux/{ref}").status_code == 404


def test_pages_fit_a_phone_and_a_desk(
    world: Exercise, built: dict[str, Any], chromium: str
) -> None:
    campaign = f"/budget/{built['id']}"
    parts = ("", "/calendrier", "/assemblees", "/catalogue", "/travaux", "/argent")
    paths = [*(campaign + part for part in parts), f"/travaux/{built['road']}"]
    faults: list[str] = []

    def complain(error: Error) -> None:
        faults.append(str(error))

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for viewport in (DESK, PHONE):
            page = browser.new_page(base_url=world.url, locale="fr-BJ")
            page.set_viewport_size({"width": viewport["width"], "height": viewport["height"]})
            page.on("pageerror", complain)
            for path in paths:
                page.goto(path)
                assert (path, overflow(page)) == (path, [])
                tables = page.locator(".table")
                for number in range(tables.count()):
                    assert not tables.nth(number).evaluate("e => e.scrollWidth > e.clientWidth")
            page.close()
        browser.close()
    assert faults == []
