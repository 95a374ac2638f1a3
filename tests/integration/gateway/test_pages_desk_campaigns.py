"""A campaign run by forms alone: announced, changed, prolonged, opened, cloned."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import sessionmaker

from gateway.session import ACCESS
from gateway.settings import Settings
from gateway.web import TIMEZONE
from services.proposals.campaigns import service as campaigns
from services.proposals.models import Campaign
from services.proposals.works import service as works
from tests.e2e.browsing import PHONE, overflow
from tests.e2e.browsing import chromium as launch
from tests.integration.gateway.desk_campaigns import (
    BUDGET,
    NEW,
    Form,
    create,
    day,
    made,
    made_none,
    one,
    open_phase,
    propose,
    send,
    shortlist,
)
from tests.integration.gateway.desk_front import COTONOU, DESK, Front, desk_front, plain
from tests.integration.gateway.pages_world import Visitor
from tests.media import photo
from tests.servers import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with desk_front(fresh_database, gateway_settings, tokens, media) as running:
        yield running


@pytest.fixture
def front(served: Front) -> Front:
    served.clear()
    return served


@pytest.fixture
def agent(front: Front) -> Visitor:
    return front.agent()


# A new campaign


def test_a_budget_and_the_given_dates_make_a_campaign(front: Front, agent: Visitor) -> None:
    found = create(front, agent)
    assert (found["phase"], found["budget"]) == ("preparation", 40_000_000)
    assert [step["phase"] for step in found["phases"]] == ["ideas", "review", "vote"]
    assert [part["kind"] for part in found["envelopes"]] == ["commune"]
    assert found["author_kinds"] == ["person", "group", "association"]
    assert not found["automatic"]


def test_envelopes_rules_pictures_and_optional_phases_go_along(
    front: Front, agent: Visitor
) -> None:
    shown = send(agent, NEW, "Créer", do="divide", division="both", budget="40 000 000")
    assert shown.status_code == 200
    assert made_none(front)
    values = Form(shown.text, "Créer").values
    names = [values[f"envelope_name_{n}"][0] for n in range(1, 14)]
    assert names[:3] == ["1er arrondissement", "2e arrondissement", "3e arrondissement"]
    shown = send(agent, shown, "Créer", do="count", envelope_amount_1="15 000 000")
    assert "Reste pour toute la commune : 25 000 000 F CFA" in plain(shown)
    answer = send(
        agent,
        shown,
        "Créer",
        {"photos": ("place.jpg", photo(), "image/jpeg")},
        description="Décidons ensemble.",
        author_person=None,
        proposals_per_author="3",
        endorsements_needed="25",
        automatic="1",
        revision_opens=day(54),
        revision_closes=day(60),
        vote_opens=day(61),
        vote_closes=day(75),
        works_opens=day(76),
        works_closes=day(400),
    )
    assert answer.status_code == 303, plain(answer)
    found = made(front)
    assert [(p["kind"], p["amount"]) for p in found["envelopes"]] == [
        ("arrondissement", 15_000_000),
        ("commune", 25_000_000),
    ]
    phases = [step["phase"] for step in found["phases"]]
    assert phases == ["ideas", "review", "revision", "vote", "works"]
    assert found["author_kinds"] == ["group", "association"]
    assert (found["proposals_per_author"], found["endorsements_needed"]) == (3, 25)
    assert found["automatic"]
    assert len(found["pictures"]) == 1


def test_lines_share_what_is_left_without_scripts(agent: Visitor) -> None:
    shown = send(agent, NEW, "Créer", do="divide", division="arrondissement", budget="40 000 000")
    shown = send(agent, shown, "Créer", do="share", envelope_amount_2="10 000 000")
    values = Form(shown.text, "Créer").values
    sums = [int(values[f"envelope_amount_{n}"][0].replace(" ", "")) for n in range(1, 14)]
    assert sum(sums) == 40_000_000
    assert sums[1] == 10_000_000
    assert sums[2] == 2_500_000
    shown = send(agent, shown, "Créer", do="row")
    assert "envelope_name_14" in Form(shown.text, "Créer").values


def test_what_is_wrong_is_said_and_everything_typed_is_kept(front: Front, agent: Visitor) -> None:
    answer = send(
        agent,
        NEW,
        "Créer",
        budget="1 000",
        division="theme",
        envelope_name_1="Eau",
        envelope_for_1="theme:water",
        envelope_amount_1="9 000",
        author_person=None,
        author_group=None,
        author_association=None,
        proposals_per_author="0",
        review_opens=day(0),
        description="Gardé <b>tel quel</b>",
    )
    assert answer.status_code == 422
    assert made_none(front)
    said = plain(answer)
    for text in (
        "Les enveloppes dépassent le budget de 8 000 F CFA.",
        "Cochez au moins une sorte d'auteurs.",
        "Un nombre de 1 à 100, ou rien.",
        "Les dates se suivent sans se chevaucher.",
    ):
        assert text in said
    values = Form(answer.text, "Créer").values
    assert values["description"] == ["Gardé <b>tel quel</b>"]
    assert values["envelope_for_1"] == ["theme:water"]
    assert values["budget"] == ["1 000"]
    assert "author_person" not in values


def test_a_name_kept_for_the_rest_is_refused_by_the_service_and_shown(
    front: Front, agent: Visitor
) -> None:
    answer = send(
        agent,
        NEW,
        "Créer",
        budget="1 000",
        division="both",
        envelope_name_1="Toute la commune",
        envelope_for_1=f"{COTONOU}-01",
        envelope_amount_1="10",
    )
    assert answer.status_code == 422
    assert "Chaque enveloppe a un nom à elle" in plain(answer)
    assert made_none(front)


def test_only_the_communes_agents_come_in(front: Front) -> None:
    campaign = front.campaign("ideas")
    other = front.campaign("ideas", commune="0405")
    pages = (
        BUDGET,
        NEW,
        f"{DESK}/couts",
        *(
            f"{BUDGET}/{campaign}{tail}"
            for tail in ("", "/modifier", "/cloner", "/calendrier", "/assemblees", "/saisie")
        ),
    )
    for page in pages:
        assert front.visitor().get(page).status_code == 403, page
        assert front.agent(commune="0405").get(page).status_code == 403, page
        assert front.agent().get(page).status_code == 200, page
    for tail in ("", "/modifier", "/cloner", "/calendrier", "/assemblees", "/saisie"):
        assert front.agent().get(f"{BUDGET}/{other}{tail}").status_code == 404, tail


# Its page, its phases


def test_the_page_tells_the_next_step_and_what_blocks_it(front: Front, agent: Visitor) -> None:
    campaign = create(front, agent)["id"]
    page = f"{BUDGET}/{campaign}"
    assert "Ouvrir : Idées" in plain(agent.get(page))
    open_phase(agent, campaign, "ideas", "")  # preparation has no announced end: no reason
    ref = propose(front, campaign, "Six lampadaires", 2_000_000)
    said = plain(agent.get(page))
    assert "Ouvrir : Étude" in said
    assert "Ouvrir : Vote" not in said
    assert "retenez au moins un projet après étude" in said
    assert "1 projet attend encore une étude." in said
    shortlist(front, ref, 2_400_000)
    said = plain(agent.get(page))
    assert "Ouvrir : Vote" in said
    assert "retenez au moins un projet" not in said
    assert "1 projet retenu · 2 400 000 F CFA" in said
    assert f"/api/v1/campaigns/{campaign}/export/proposals.csv" in agent.get(page).text


def test_a_phase_that_ends_early_takes_a_reason_that_is_published(
    front: Front, agent: Visitor
) -> None:
    campaign = front.campaign("ideas")
    page = f"{BUDGET}/{campaign}/etape?phase=review"
    assert "doivent savoir pourquoi" in plain(agent.get(page))
    answer = send(agent, page, "Oui, ouvrir", reason=" ")
    assert answer.status_code == 422
    assert "dites pourquoi elle finit avant" in plain(answer)
    assert one(front, campaign)["phase"] == "ideas"
    answer = send(agent, answer, "Oui, ouvrir", reason="Tous les <quartiers> ont déposé.")
    assert answer.status_code == 303
    assert one(front, campaign)["phase"] == "review"
    said = plain(agent.get(f"{BUDGET}/{campaign}"))
    assert "Étape « Étude » ouverte" in said
    assert "avant la date annoncée" in said
    assert "Tous les <quartiers> ont déposé." in said


def test_the_freeze_shows_all_that_will_be_on_the_ballot_as_numbered(
    front: Front, agent: Visitor
) -> None:
    campaign = create(
        front,
        agent,
        division="both",
        envelope_name_1="Eau",
        envelope_for_1="theme:water",
        envelope_amount_1="3 000 000",
        envelope_name_2="Routes",
        envelope_for_2="theme:roads",
        envelope_amount_2="1 000 000",
    )["id"]
    open_phase(agent, campaign, "ideas")
    for title, theme in (("Pavé", None), ("Puits", "water"), ("Pompe", "water")):
        shortlist(front, propose(front, campaign, title, 1_000_000, theme=theme), 2_000_000)
    propose(front, campaign, "Sans étude", 1_000_000)
    page = f"{BUDGET}/{campaign}/etape?phase=vote"
    text = agent.get(page).text
    part = text[text.index("Ce qui sera sur le bulletin") :]
    shown = re.findall(r'muted">(\d+)</td><td><a [^>]*>([^<]+)</a>', part)
    assert shown == [("1", "Puits"), ("2", "Pompe"), ("3", "Pavé")]
    said = plain(agent.get(page))
    assert "3 projets · 6 000 000 F CFA pour un budget de 40 000 000 F CFA" in said
    assert "L'enveloppe n'y suffit pas" in said
    assert "ces enveloppes ne seront pas dépensées : Routes ( 1 000 000 F CFA )" in said
    open_phase(agent, campaign, "vote")
    frozen = front.rows("proposals", "SELECT number, title FROM proposals WHERE number > 0")
    assert {(str(row["number"]), row["title"]) for row in frozen} == set(shown)


def test_the_vote_does_not_open_on_nothing(front: Front, agent: Visitor) -> None:
    campaign = front.campaign("ideas")
    page = f"{BUDGET}/{campaign}/etape?phase=vote"
    answer = send(agent, page, "Oui, ouvrir", reason="Vite.")
    assert answer.status_code == 422
    assert "Aucun projet n'est retenu" in plain(answer)
    assert Form(answer.text, "Oui, ouvrir").values["reason"] == ["Vite."]


def test_unfinished_works_keep_a_campaign_from_its_end(front: Front, agent: Visitor) -> None:
    campaign = front.campaign("ideas")
    shortlist(front, propose(front, campaign, "Un puits", 1_000_000), 2_000_000)
    open_phase(agent, campaign, "vote")
    now = datetime.now(TIMEZONE)
    with sessionmaker(front.proposals.state.engine).begin() as session:
        winners = [row["id"] for row in front.rows("proposals", "SELECT id FROM proposals")]
        funded = campaigns.record_results(session, UUID(campaign), winners, at=now)
        works.open_works(session, session.get_one(Campaign, UUID(campaign)), funded, at=now)
    open_phase(agent, campaign, "works")
    page = f"{BUDGET}/{campaign}"
    (work,) = front.rows("proposals", "SELECT ref FROM works")
    said = plain(agent.get(page))
    assert "doivent être terminés ou abandonnés : " + work["ref"] in said
    assert "Ouvrir : Terminée" not in said
    refused = send(agent, f"{page}/etape?phase=closed", "Oui, ouvrir")
    assert refused.status_code == 422
    assert "ni terminés ni abandonnés" in plain(refused)
    front.execute("proposals", "UPDATE works SET status = 'abandoned'")
    assert "Ouvrir : Terminée" in plain(agent.get(page))
    open_phase(agent, campaign, "closed")
    said = plain(agent.get(page))
    assert "Plus rien à ouvrir" in said
    assert f"{page}/modifier" not in agent.get(page).text
    assert "reste comme elle est" in plain(agent.get(f"{page}/modifier"))
    assert "Plus aucune étape à prolonger." in plain(agent.get(f"{page}/calendrier"))


# The calendar


def test_what_moves_is_shown_before_a_phase_is_prolonged(front: Front, agent: Visitor) -> None:
    campaign = create(front, agent)
    page = f"{BUDGET}/{campaign['id']}/calendrier"
    given = {"phase": "ideas", "closes": day(40), "reason": "La pluie a coupé les pistes."}
    shown = send(agent, page, "Voir ce qui bouge", do="see", **given)
    assert shown.status_code == 200
    assert one(front, campaign["id"])["phases"] == campaign["phases"]
    moves = re.findall(r"<li><strong>(.*?)</strong><span class=\"muted\">", shown.text)
    assert [name for name in moves if "svg" not in name] == ["Idées", "Étude", "Vote"]
    answer = send(agent, shown, "Oui, prolonger", do="confirm")
    assert answer.status_code == 303
    now = {step["phase"]: step for step in one(front, campaign["id"])["phases"]}
    before = {step["phase"]: step for step in campaign["phases"]}
    assert local_day(now["ideas"]["closes_at"]) == day(40)
    assert now["review"]["opens_at"] == now["ideas"]["closes_at"]
    for phase in ("review", "vote"):
        assert lasts(now[phase]) == lasts(before[phase])
    said = plain(agent.get(f"{BUDGET}/{campaign['id']}"))
    assert "Étape « Idées » prolongée" in said
    assert "La pluie a coupé les pistes." in said


def local_day(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(TIMEZONE).date().isoformat()


def lasts(step: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(step["closes_at"]) - datetime.fromisoformat(step["opens_at"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"closes": day(2)}, "Donnez une fin plus tardive"),
        ({"closes": "bientôt"}, "Donnez une date."),
        ({"reason": ""}, "Dites pourquoi."),
        ({"phase": "works"}, "Choisissez une étape qui n'est pas finie."),
    ],
)
def test_a_prolongation_that_is_none_is_refused(
    front: Front, agent: Visitor, fields: dict[str, str], said: str
) -> None:
    campaign = create(front, agent)
    page = f"{BUDGET}/{campaign['id']}/calendrier"
    given = {"phase": "ideas", "closes": day(90), "reason": "Il pleut.", "do": "confirm"} | fields
    answer = send(agent, page, "Voir ce qui bouge", **given)
    assert answer.status_code == 422
    assert said in plain(answer)
    assert one(front, campaign["id"])["phases"] == campaign["phases"]


# Another text, another year


def test_everything_changes_in_preparation(front: Front, agent: Visitor) -> None:
    photos = {"photos": ("place.jpg", photo(), "image/jpeg")}
    campaign = create(front, agent, files=photos)
    page = f"{BUDGET}/{campaign['id']}/modifier"
    picture = campaign["pictures"][0]["id"]
    values = Form(agent.get(page).text, "Enregistrer").values
    assert values["photo_ids"] == [picture]
    assert values["budget"] == ["40 000 000"]
    answer = send(
        agent,
        page,
        "Enregistrer",
        title="Budget des quartiers",
        budget="50 000 000",
        division="both",
        envelope_name_1="Centre",
        envelope_for_1=f"{COTONOU}-01",
        envelope_amount_1="20 000 000",
        endorsements_needed="5",
        photo_ids=None,
    )
    assert answer.status_code == 303, plain(answer)
    found = one(front, campaign["id"])
    assert (found["title"], found["budget"]) == ("Budget des quartiers", 50_000_000)
    assert [p["name"] for p in found["envelopes"]] == ["Centre", "Toute la commune"]
    assert (found["endorsements_needed"], found["pictures"]) == (5, [])
    said = plain(agent.get(f"{BUDGET}/{campaign['id']}"))
    assert "40 000 000 F CFA → 50 000 000 F CFA" in said
    again = Form(agent.get(page).text, "Enregistrer").values
    assert again["envelope_name_1"] == ["Centre"]
    assert "envelope_name_2" not in again  # the rest follows the others by itself


def test_rules_only_loosen_during_the_ideas_and_money_stays(front: Front, agent: Visitor) -> None:
    campaign = front.campaign("ideas")
    page = f"{BUDGET}/{campaign}/modifier"
    shown = agent.get(page)
    assert "budget" not in Form(shown.text, "Enregistrer").values
    answer = send(agent, shown, "Enregistrer", author_person=None, budget="90 000 000")
    assert answer.status_code == 422
    assert "ne peuvent plus que s'assouplir" in plain(answer)
    answer = send(agent, page, "Enregistrer", description="Mieux dit.", budget="90 000 000")
    assert answer.status_code == 303
    found = one(front, campaign)
    assert (found["description"], found["budget"]) == ("Mieux dit.", 40_000_000)


def test_who_writes_on_an_old_page_is_told_what_changed_and_keeps_the_words(
    front: Front, agent: Visitor
) -> None:
    campaign = front.campaign("ideas")
    page = f"{BUDGET}/{campaign}/modifier"
    old = agent.get(page)
    assert send(front.agent(), page, "Enregistrer", title="Plus vite").status_code == 303
    answer = send(agent, old, "Enregistrer", description="Mon long texte.")
    assert answer.status_code == 422
    assert "elle s'appelle maintenant « Plus vite »" in plain(answer)
    assert Form(answer.text, "Enregistrer").values["description"] == ["Mon long texte."]
    assert one(front, campaign)["description"] == ""
    assert send(agent, answer, "Enregistrer").status_code == 303  # seen now: decided
    assert one(front, campaign)["description"] == "Mon long texte."


def test_last_years_campaign_begins_again_a_year_later(front: Front, agent: Visitor) -> None:
    first = create(front, agent, endorsements_needed="9", description="Comme chaque année.")
    page = f"{BUDGET}/{first['id']}/cloner"
    shown = send(agent, page, "Commencer", do="count", shift="1")
    assert shown.status_code == 200
    wrong = send(agent, page, "Commencer", shift="0")
    assert wrong.status_code == 422
    assert made(front)["id"] == first["id"]
    answer = send(agent, page, "Commencer", title="Budget suivant", shift="364", budget="5 000 000")
    assert answer.status_code == 303
    found = made(front)
    assert (found["title"], found["cloned_from"]) == ("Budget suivant", first["id"])
    assert (found["phase"], found["budget"]) == ("preparation", 5_000_000)
    assert (found["endorsements_needed"], found["description"]) == (9, "Comme chaque année.")
    moved = [
        datetime.fromisoformat(new["opens_at"]) - datetime.fromisoformat(old["opens_at"])
        for old, new in zip(first["phases"], found["phases"], strict=True)
    ]
    assert moved == [timedelta(days=364)] * 3


# In a browser


def test_what_is_left_follows_the_typing(front: Front, chromium: str) -> None:
    token = front.tokens.agent(COTONOU)["Authorization"].split()[1]
    with launch(chromium) as browser:
        phone: Any = {"viewport": PHONE}
        context = browser.new_context(base_url=front.url, locale="fr-BJ", **phone)
        context.set_default_timeout(20_000)
        context.add_cookies([{"name": ACCESS, "value": token, "url": front.url}])
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(NEW)
        page.get_by_label("Montant").fill("26000000")
        rest = page.get_by_text("Reste pour toute la commune")
        expect(rest.locator("..")).to_contain_text(re.compile(r"26\s000\s000"))
        page.locator("label").filter(has_text="Commune et arrondissements").click()
        rows = page.locator("[data-rows] [data-env]")
        expect(rows).to_have_count(13)
        page.get_by_role("button", name="Partager entre").click()
        expect(page.locator("[name=envelope_amount_1]")).to_have_value("1 000 000")
        rows.first.get_by_role("button", name="Retirer").click()
        expect(rows).to_have_count(12)
        expect(rest.locator("..")).to_contain_text(re.compile(r"14\s000\s000"))
        page.locator("[name=envelope_amount_1]").fill("90000000")
        expect(page.get_by_text("Trop :")).to_be_visible()
        page.locator("label").filter(has_text="Une seule enveloppe").click()
        expect(rows).to_have_count(0)
        page.locator("label").filter(has_text="Commune et arrondissements").click()
        expect(rows).to_have_count(12)  # as they were left
        page.locator("[name=envelope_amount_1]").fill("1 000 000")
        assert overflow(page) == []
        page.get_by_role("button", name="Créer la campagne").click()
        expect(page.get_by_role("heading", name="Étape suivante")).to_be_visible()
        assert overflow(page) == []
        context.close()
    assert faults == []
    found = made(front)
    assert len(found["envelopes"]) == 13
    assert found["envelopes"][-1]["amount"] == 14_000_000
