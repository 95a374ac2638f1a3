"""What agents enter for others: assemblies, proposals on paper, what usual works cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from gateway.settings import Settings
from tests.integration.gateway.desk_campaigns import (
    BUDGET,
    Form,
    create,
    day,
    one,
    open_phase,
    send,
)
from tests.integration.gateway.desk_front import COTONOU, DESK, HERE, Front, desk_front, plain
from tests.integration.gateway.pages_world import Visitor
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


# Assemblies and paper


def hold(agent: Visitor, campaign: str, **fields: str) -> httpx.Response:
    given = {"name": "Forum du centre", "held_on": day(0), "place": "École", "women": "57"}
    given |= {"men": "49", "youth": "38"} | fields
    return send(agent, f"{BUDGET}/{campaign}/assemblees", "Enregistrer l'assemblée", **given)


def test_assemblies_are_entered_and_summed(front: Front, agent: Visitor) -> None:
    campaign = front.campaign("ideas")
    assert hold(agent, campaign).status_code == 303
    assert hold(agent, campaign, name="Forum du port", men="1").status_code == 303
    said = plain(agent.get(f"{BUDGET}/{campaign}/assemblees"))
    assert "2 assemblées 114 50 76 164 personnes" in said
    again = hold(agent, campaign)
    assert again.status_code == 422
    assert "déjà saisie" in plain(again)
    assert len(one(front, campaign, "/forums")["items"]) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"youth": "200"}, "Les jeunes sont parmi les femmes et les hommes"),
        ({"women": "beaucoup"}, "Un nombre de personnes."),
        ({"held_on": day(3)}, "Donnez le jour où elle s'est tenue"),
        ({"name": ""}, "Donnez un nom"),
    ],
)
def test_an_assembly_that_cannot_be_is_refused(
    front: Front, agent: Visitor, fields: dict[str, str], said: str
) -> None:
    campaign = front.campaign("ideas")
    answer = hold(agent, campaign, **fields)
    assert answer.status_code == 422
    assert said in plain(answer)
    assert Form(answer.text, "Enregistrer l'assemblée").values["place"] == ["École"]
    assert one(front, campaign, "/forums")["items"] == []


def test_several_proposals_in_a_row_keep_forum_and_envelope(front: Front, agent: Visitor) -> None:
    campaign = front.campaign("ideas")
    hold(agent, campaign, arrondissement=f"{COTONOU}-02")
    forum = one(front, campaign, "/forums")["items"][0]["id"]
    envelope = one(front, campaign)["envelopes"][0]["id"]
    page = f"{BUDGET}/{campaign}/saisie?forum={forum}&enveloppe={envelope}"
    refs = []
    for title in ("Un puits", "Une pompe"):
        shown = agent.get(page)
        assert Form(shown.text, "le suivant").values["arrondissement"] == [f"{COTONOU}-02"]
        answer = send(
            agent,
            shown,
            "le suivant",
            title=title,
            description="Pour boire.",
            estimated_cost="300 000",
            theme="water",
        )
        assert answer.status_code == 303, plain(answer)
        page = answer.headers["location"]
        assert (f"forum={forum}" in page, f"enveloppe={envelope}" in page) == (True, False)
        refs.append(page.rpartition("=")[2])
    said = plain(agent.get(page))
    assert f"Enregistré sous le numéro {refs[1]} : Une pompe" in said
    rows = front.rows(
        "proposals", "SELECT ref, origin, author_kind, arrondissement, status FROM proposals"
    )
    assert {row.pop("ref") for row in rows} == set(refs)
    expected = {
        "origin": "assembly",
        "author_kind": "forum",
        "arrondissement": f"{COTONOU}-02",
        "status": "submitted",
    }
    assert rows == [expected, expected]


def test_a_paper_form_speaks_in_the_name_of_who_signed_it(front: Front, agent: Visitor) -> None:
    campaign = create(
        front,
        agent,
        division="both",
        envelope_name_1="Eau",
        envelope_for_1="theme:water",
        envelope_amount_1="9 000 000",
    )
    open_phase(agent, campaign["id"], "ideas")
    water = next(e["id"] for e in campaign["envelopes"] if e["name"] == "Eau")
    page = f"{BUDGET}/{campaign['id']}/saisie"
    given = {
        "title": "Une pompe",
        "description": "Pour boire.",
        "estimated_cost": "300 000",
        "theme": "water",
        "envelope": water,
        "author_kind": "association",
    }
    answer = send(agent, page, "le suivant", **given)
    assert answer.status_code == 422
    said = plain(answer)
    assert "Montrez le lieu sur la carte" in said
    assert "Donnez un nom" in said
    assert Form(answer.text, "le suivant").values["envelope"] == [water]
    lon, lat = (str(x) for x in HERE)
    answer = send(agent, answer, "le suivant", author_name="Les femmes du port", lon=lon, lat=lat)
    assert answer.status_code == 303
    assert "femmes" not in answer.headers["location"]
    assert f"enveloppe={water}" in answer.headers["location"]
    rows = front.rows("proposals", "SELECT origin, author_kind, author_name FROM proposals")
    assert rows == [
        {"origin": "paper", "author_kind": "association", "author_name": "Les femmes du port"}
    ]
    too_much = send(agent, page, "le suivant", **given | {"estimated_cost": "9 500 000"})
    assert too_much.status_code == 422


def test_paper_waits_for_the_ideas(front: Front, agent: Visitor) -> None:
    campaign = create(front, agent)["id"]
    said = plain(agent.get(f"{BUDGET}/{campaign}/saisie"))
    assert "que pendant l'étape « Idées »" in said
    assert "Titre du projet" not in said


# Unit costs


def test_the_mairie_keeps_its_own_figures(front: Front, agent: Visitor) -> None:
    page = f"{DESK}/couts"
    front.execute("proposals", "DELETE FROM unit_costs")
    assert "Forage équipé d'une pompe" in plain(agent.get(page))
    shown = agent.get(f"{page}?modifier=forage")
    answer = save(agent, shown, cost="9 900 000")
    assert answer.status_code == 303
    costs = {one["code"]: one for one in costs_of(front)}
    assert (costs["forage"]["cost"], costs["forage"]["own"]) == (9_900_000, True)
    given = {"name": "Puits busé", "unit": "puits", "cost": "2 000 000", "theme": "water"}
    assert save(agent, page, **given).status_code == 303
    assert {"puits-buse"} == {one["code"] for one in costs_of(front)} - costs.keys()
    twice = save(agent, page, **given)
    assert twice.status_code == 422
    assert "a déjà ce nom" in plain(twice)
    shown = agent.get(f"{page}?modifier=forage")
    form = Form(shown.text, "Retirer le chiffre").values
    assert agent.post(page, data=form | {"do": "remove"}).status_code == 303
    costs = {one["code"]: one for one in costs_of(front)}
    assert (costs["forage"]["cost"], costs["forage"]["own"]) == (8_500_000, False)


def save(agent: Visitor, page: str | httpx.Response, **fields: str) -> httpx.Response:
    shown = agent.get(page) if isinstance(page, str) else page
    values = Form(shown.text, "Garder ce chiffre").values | fields
    return agent.post(f"{DESK}/couts", data=values)


def costs_of(front: Front) -> list[dict[str, Any]]:
    url = f"{front.url}/api/v1/unit-costs"
    found: list[dict[str, Any]] = httpx.get(url, params={"commune": COTONOU}).json()["items"]
    return found


def test_a_figure_that_is_none_is_refused(front: Front, agent: Visitor) -> None:
    answer = save(agent, f"{DESK}/couts", name="§", unit="", cost="cher")
    assert answer.status_code == 422
    said = plain(answer)
    assert "Donnez le coût d'une unité en chiffres." in said
    assert "Dites l'unité" in said
    missing = save(agent, f"{DESK}/couts", name="X", unit="x", cost="5", code="inconnu")
    assert missing.status_code == 404
