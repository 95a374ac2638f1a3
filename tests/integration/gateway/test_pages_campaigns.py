"""Campaigns as citizens read them: dates, envelopes, rules, proposals, assemblies."""

import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from gateway.settings import Settings
from tests.apps import Tokens
from tests.integration.gateway.desk_front import COTONOU, plain
from tests.integration.gateway.exercise_world import Exercise, exercise_world
from tests.servers import Database

pytestmark = pytest.mark.integration


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


@pytest.fixture(scope="module")
def campaign(world: Exercise) -> dict[str, Any]:
    """A campaign that collects ideas: one for the market, one for roads, one taken back."""
    made = world.announce(
        description="Chaque quartier compte.\nVenez.",
        proposals_per_author=3,
        author_kinds=["person", "association"],
        endorsements_needed=20,
    )
    world.enter(made["id"], "ideas", reason="")
    world.propose(made["id"])
    road = {"need": "On tombe.", "description": "Des pavés.", "theme": "roads"}
    world.propose(made["id"], "Un pavé rue 12", estimated_cost=9_000_000, place=1, **road)
    author = world.tokens.bearer()
    gone = world.propose(made["id"], "Une idée reprise", place=2, headers=author)
    world.call("POST", f"proposals/{gone['ref']}/withdraw", {}, author)
    world.tell()
    return made


def show(world: Exercise, campaign: dict[str, Any], query: str = "") -> Any:
    answer = world.visitor().get(f"/budget/{campaign['id']}{query}")
    assert answer.status_code == 200, answer.text
    return answer


def titles(answer: Any) -> list[str]:
    """The titles of the proposals that a page lists."""
    listed = answer.text.split('id="projets"', 1)[1]
    return re.findall(r'href="/propositions/[^"]+">.*?<strong>\s*(.*?)</strong>', listed, re.S)


def test_an_envelope_says_how_much_is_proposed_in_it(
    world: Exercise, campaign: dict[str, Any]
) -> None:
    said = plain(show(world, campaign))
    assert "Voirie 10 000 000 F CFA" in said
    assert re.search(r"Proposé 1 projet 9 000 000 F CFA 90 % de l'enveloppe", said)
    assert re.search(r"Proposé 1 projet 4 000 000 F CFA 20 % de l'enveloppe", said)
    assert "Retenu pour le vote 0" not in said


def test_rules_text_and_open_data_are_shown(world: Exercise, campaign: dict[str, Any]) -> None:
    page = show(world, campaign)
    said = plain(page)
    assert "Peuvent proposer : une personne, une association." in said
    assert "3 projets au plus par personne." in said
    assert "Il faut 20 soutiens" in said
    assert "Chaque quartier compte.\nVenez." in page.text
    assert f"/api/v1/campaigns/{campaign['id']}/export/proposals.csv" in page.text
    assert "export/ledger.csv" not in page.text
    assert "/travaux" not in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Un pavé rue 12", "Six lampadaires au marché"]),
        ("?theme=roads", ["Un pavé rue 12"]),
        ("?q=lampadaires", ["Six lampadaires au marché"]),
        ("?q=LAMPADAIRE&theme=roads", []),
        ("?arrondissement=0101-01", ["Un pavé rue 12", "Six lampadaires au marché"]),
        ("?status=submitted", ["Un pavé rue 12", "Six lampadaires au marché"]),
        ("?status=draft", ["Un pavé rue 12", "Six lampadaires au marché"]),
        ("?sort=endorsed&theme=nothing", ["Un pavé rue 12", "Six lampadaires au marché"]),
    ],
)
def test_proposals_are_filtered_without_a_script(
    world: Exercise, campaign: dict[str, Any], query: str, found: list[str]
) -> None:
    page = show(world, campaign, query)
    assert sorted(titles(page)) == sorted(found)
    if not found:
        assert "Aucun projet ne correspond." in plain(page)


def test_proposals_are_filtered_by_arrondissement(
    world: Exercise, campaign: dict[str, Any]
) -> None:
    listed = world.call("GET", f"proposals?campaign={campaign['id']}")["features"]
    here = {one["properties"]["arrondissement"] for one in listed}
    assert len(here) == 1
    everywhere = re.findall(
        r'value="(0801-\d\d)"', show(world, campaign).text.split('name="arrondissement"')[1]
    )
    assert here < set(everywhere)
    for code in everywhere:
        found = titles(show(world, campaign, f"?arrondissement={code}"))
        assert len(found) == (2 if code in here else 0)


def test_a_filter_by_envelope_is_kept_on_the_next_page(world: Exercise) -> None:
    made = world.announce(title="Budget de beaucoup d'idées")
    world.enter(made["id"], "ideas", reason="")
    for number in range(21):
        world.propose(made["id"], f"Idée {number:02}", place=number % 5)
    envelope = made["envelopes"][1]["id"]
    page = show(world, made, f"?envelope={envelope}&sort=newest")
    assert len(titles(page)) == 20
    link = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert link
    following = world.visitor().get(link[1].replace("&amp;", "&"))
    assert titles(following) == ["Idée 00"]
    assert f'value="{envelope}" selected' in following.text


def test_a_proposal_shows_its_photo(world: Exercise, campaign: dict[str, Any]) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (20, 120, 60)).save(picture, "JPEG")
    author = world.tokens.bearer()
    photo = world.photo(picture.getvalue(), author)
    made = world.announce(title="Budget en images", pictures=[world.photo(picture.getvalue())])
    world.enter(made["id"], "ideas", reason="")
    world.propose(made["id"], photos=[photo], headers=author)
    page = show(world, made)
    assert f'src="/api/v1/files/{photo}?size=thumb"' in page.text
    assert world.visitor().get(f"/api/v1/files/{photo}?size=thumb").status_code == 200
    assert 'alt="Image de la campagne, 1 sur 1"' in page.text


def test_a_prolonged_phase_and_an_early_end_are_said_with_their_reason(world: Exercise) -> None:
    made = world.announce(title="Budget prolongé")
    path = f"campaigns/{made['id']}"
    ends = datetime.fromisoformat(made["phases"][0]["closes_at"]) + timedelta(days=10)
    body = {"phase": "ideas", "closes_at": ends.isoformat(), "reason": "<b>Il a plu.</b>"}
    world.enter(made["id"], "ideas", reason="")
    world.call("POST", f"{path}/calendar", body)
    page = show(world, made)
    assert "Étape « Idées » prolongée jusqu'au" in plain(page).replace("\xa0", " ")
    assert "&lt;b&gt;Il a plu.&lt;/b&gt;" in page.text
    world.enter(made["id"], "review", reason="Plus personne ne dépose.")
    said = plain(show(world, made))
    assert "Étape « Idées » finie avant la date annoncée" in said
    assert "Plus personne ne dépose." in said
    calendar = plain(world.visitor().get(f"/budget/{made['id']}/calendrier"))
    for words in (
        "Campagne annoncée",
        "par la mairie",
        "Il a plu.",
        "Plus personne ne dépose.",
        "prolongée",
        "L'étape « Idées » a fini avant la date annoncée.",
    ):
        assert words in calendar


def test_assemblies_are_listed_with_who_came(world: Exercise, campaign: dict[str, Any]) -> None:
    path = f"campaigns/{campaign['id']}/forums"
    forum = {"name": "Assemblée de Fidjrossè", "held_on": "2026-01-10", "place": "École"}
    world.call("POST", path, {**forum, "women": 41, "men": 30, "youth": 25})
    forum |= {"name": "Assemblée de Cadjèhoun", "arrondissement": "0801-12"}
    world.call("POST", path, {**forum, "women": 9, "men": 20, "youth": 5})
    answer = world.visitor().get(f"/budget/{campaign['id']}/assemblees")
    rows = re.findall(r"<tr>(.*?)</tr>", answer.text.split("<tbody>")[1], re.S)
    numbers = [[int(n) for n in re.findall(r">(\d+)</td>", row)] for row in rows]
    assert sorted(numbers) == [[9, 20, 5, 29], [41, 30, 25, 71]]
    said = plain(answer)
    assert "participations 100 femmes 50 hommes 50 dont jeunes 30" in said
    assert "100 participations" in plain(show(world, campaign))


def test_the_list_leads_to_what_the_campaign_asks(
    world: Exercise, campaign: dict[str, Any]
) -> None:
    page = world.visitor().get(f"/communes/{COTONOU}/budget")
    assert f'href="/budget/{campaign["id"]}/proposer"' in page.text
    assert world.visitor().get("/communes/0000/budget").status_code == 404


def test_a_campaign_that_is_none_has_no_page(world: Exercise) -> None:
    for path in ("", "/calendrier", "/assemblees", "/catalogue", "/travaux", "/argent"):
        for key in ("no-id", "018f0000-0000-7000-8000-000000000000"):
            assert world.visitor().get(f"/budget/{key}{path}").status_code == 404
