"""The mairie studies proposals: the queue, services, the grid, the outcome, two agents at once."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest
from PIL import Image

from gateway.settings import Settings
from tests.apps import Tokens
from tests.documents import pdf
from tests.integration.gateway.desk_front import COTONOU, SAVE, plain
from tests.integration.gateway.exercise_world import Exercise, exercise_world
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

pytestmark = pytest.mark.integration

DESK = f"/mairie/{COTONOU}"
REVIEW, MANAGE = ("proposals.review",), ("campaigns.manage",)
PDF = pdf()


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


@pytest.fixture
def campaign(world: Exercise) -> str:
    """A campaign whose proposals can be studied."""
    made = world.announce()
    world.enter(made["id"], "ideas", reason="")
    return str(made["id"])


@pytest.fixture
def technician(world: Exercise) -> Visitor:
    return world.visitor({COTONOU: REVIEW})


def page_of(made: dict[str, Any]) -> str:
    return f"{DESK}/propositions/{made['ref']}"


def shut(answer: httpx.Response) -> str:
    """Return where a form led to."""
    assert answer.status_code == 303, plain(answer)
    return str(answer.headers["location"])


def judge(browser: Visitor, page: Any, criterion: str, verdict: str = "met", **more: Any) -> Any:
    files = more.pop("files", None)
    sent = {f"{criterion}_verdict": verdict, f"{criterion}_note": f"Vu pour {criterion}."}
    sent |= {f"{criterion}_{name}": value for name, value in more.items()}
    return browser.fill(page, f"/criteres/{criterion}", files=files, **sent)


def conclude(browser: Visitor, page: Any, made: dict[str, Any], **more: Any) -> httpx.Response:
    sent = {"outcome": "feasible", "cost": "4 500 000", "reason": "Chiffré sur place.", **more}
    return browser.fill(page, f"/propositions/{made['ref']}", **sent)


def rows(answer: httpx.Response) -> list[str]:
    """Return the refs of a queue in their order."""
    return re.findall(r'href="/mairie/\d+/propositions/(P-\w+)"', answer.text)


# The queue


def test_the_queue_is_for_reviewers_and_counts_what_each_service_owes(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    first = world.propose(campaign)
    second = world.propose(campaign, "Pavés de la rue 12", theme="roads", place=40)
    world.review(second["ref"], 6_000_000)
    world.tell()
    soon = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    body = {"service": "roads", "due_on": soon}
    world.call("POST", f"proposals/{first['ref']}/review/assignments", body)

    queue = f"{DESK}/etudes?campagne={campaign}"
    answer = technician.get(queue)
    said = plain(answer)
    assert rows(answer) == [first["ref"], second["ref"]], "what waits longest comes first"
    assert "2 en tout 0 À confier 1 Confié à un service" in said
    assert "0/5" in said
    assert "reste 4 000 000 F CFA" in said, "10 million for roads, less 6"
    assert "Voirie" in said
    assert "estimé" in said
    assert rows(technician.get(f"{queue}&service=roads&etat=assigned")) == [first["ref"]]
    assert rows(technician.get(f"{queue}&etat=done")) == [second["ref"]]
    assert "Rien à étudier" in plain(technician.get(f"{queue}&service=water"))
    assert technician.get(f"{DESK}/etudes?campagne=x&etat=x&service=x").status_code == 200


@pytest.mark.parametrize("grants", [{}, {SAVE: REVIEW}, {COTONOU: ("reports.manage",)}])
def test_nobody_else_enters(world: Exercise, campaign: str, grants: dict[str, Any]) -> None:
    made = world.propose(campaign)
    other = world.visitor(grants)
    for path in (f"{DESK}/etudes", page_of(made)):
        assert other.get(path).status_code == 403


def test_a_tab_is_there_only_for_who_may_open_it(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    tabs = technician.get(f"{DESK}/etudes").text.split('class="tabs')[1].split("</nav>")[0]
    assert re.findall(r'<a href="([^"]+)"', tabs) == [f"{DESK}/etudes"]
    agent = world.visitor({COTONOU: (*REVIEW, *MANAGE)})
    tabs = agent.get(f"{DESK}/etudes").text.split('class="tabs')[1].split("</nav>")[0]
    assert [f"{DESK}/{tail}" in tabs for tail in ("fusions", "moderation", "budget")] == [True] * 3
    assert f'href="{DESK}"' not in tabs


# One study


def test_a_proposal_of_another_commune_is_not_found_and_a_draft_is_its_authors(
    world: Exercise, campaign: str
) -> None:
    made = world.propose(campaign)
    both = world.visitor({COTONOU: REVIEW, SAVE: REVIEW})
    assert both.get(f"/mairie/{SAVE}/propositions/{made['ref']}").status_code == 404
    draft = world.propose(campaign, "Un brouillon", draft=True)
    assert shut(both.get(page_of(draft))) == f"/propositions/{draft['ref']}"


def test_a_proposal_is_given_to_a_service_and_taken_back(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    due = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    sent = {"assign_service": "land", "assign_due": due, "assign_note": "Voir le titre."}
    assert shut(technician.fill(page, "/services", **sent)) == f"{page}?fait=service#services"
    answer = technician.get(f"{page}?fait=service")
    said = plain(answer)
    assert "Le projet est confié à ce service." in said
    assert "Affaires domaniales" in said
    assert "Voir le titre." in said
    assert shut(technician.fill(answer, "/services/land/retrait")).endswith("retire#services")
    assert shut(technician.fill(answer, "/services/land/retrait")).endswith("retire#services")
    assert "Aucun service n'a encore été saisi" in plain(technician.get(page))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"assign_service": "x"}, "Choisissez un service de la liste."),
        ({"assign_service": "land", "assign_due": "2020-01-01"}, "Choisissez un jour à venir."),
        ({"assign_service": "land", "assign_due": "demain"}, "Choisissez un jour à venir."),
    ],
)
def test_a_wrong_assignment_is_shown_at_its_field(
    world: Exercise, campaign: str, technician: Visitor, sent: dict[str, str], said: str
) -> None:
    made = world.propose(campaign)
    answer = technician.fill(page_of(made), "/services", assign_note="À voir", **sent)
    assert answer.status_code == 422
    assert said in plain(answer)
    assert 'value="À voir"' in answer.text, "what was typed is kept"


def test_a_criterion_is_judged_with_a_plan_and_a_photo_of_which_one_is_taken_off(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(photo, "JPEG")
    files = [
        ("land_files", ("Plan foncier.pdf", PDF, "application/pdf")),
        ("land_files", ("vue.jpg", photo.getvalue(), "image/jpeg")),
    ]
    answer = judge(technician, page, "land", "conditional", service="land", files=files)
    assert shut(answer) == f"{page}?fait=critere#grille"
    answer = technician.get(page)
    assert "Sous condition" in plain(answer)
    assert "Plan foncier.pdf" in answer.text
    kept = re.findall(r'name="land_kept" value="([^"]+)"', answer.text)
    assert len(kept) == 2

    shut(judge(technician, answer, "land", kept=kept[1:]))
    answer = technician.get(page)
    assert re.findall(r'name="land_kept" value="([^"]+)"', answer.text) == kept[1:]
    assert "Critères jugés 1 / 5" in plain(answer)


def test_a_refused_criterion_keeps_its_words_and_the_files_that_came(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    files = [
        ("cost_files", ("devis.pdf", PDF, "application/pdf")),
        ("cost_files", ("lettre.docx", b"PK\x03\x04 nothing to look at", "application/zip")),
    ]
    answer = judge(technician, page, "cost", "met", files=files)
    assert answer.status_code == 422
    assert "Ce fichier n'est pas une photo que nous savons lire." in plain(answer)
    assert "1 fichier déjà reçu." in plain(answer)
    assert ">Vu pour cost.</textarea>" in answer.text
    shut(judge(technician, answer, "cost", "met"))
    assert "devis.pdf" in technician.get(page).text

    answer = judge(technician, page, "upkeep", "", note="")
    said = plain(answer)
    assert answer.status_code == 422
    assert "Choisissez un avis." in said
    assert "Écrivez quelque chose." in said
    assert technician.post(f"{page}/criteres/beauty", data={}).status_code == 403
    token = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert token
    sent = {"csrf_token": token[1]}
    assert technician.post(f"{page}/criteres/beauty", data=sent).status_code == 404


def test_two_agents_who_judge_the_same_criterion_meet_each_others_words(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    opened = technician.get(page)
    shut(judge(world.visitor({COTONOU: REVIEW}), page, "legal", "not_met"))
    answer = judge(technician, opened, "legal", "met", note="Compétence de la commune.")
    said = plain(answer)
    assert answer.status_code == 409
    assert "un collègue a écrit : Non rempli Vu pour legal." in said
    assert ">Compétence de la commune.</textarea>" in answer.text
    shut(judge(technician, answer, "legal", "met", note="Compétence de la commune."))
    assert "Compétence de la commune." in technician.get(page).text


def test_an_outcome_against_the_grid_is_explained_and_one_with_changes_passes(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    shut(judge(technician, page, "land", "not_met"))
    assert "Non rempli : Terrain." in plain(technician.get(page))
    answer = conclude(technician, page, made)
    assert answer.status_code == 422
    assert "contredit la grille, où ceci n'est pas rempli : Terrain." in plain(answer)
    assert ">Chiffré sur place.</textarea>" in answer.text
    assert shut(conclude(technician, answer, made, outcome="feasible_with_changes")).endswith(
        "?fait=etude"
    )
    said = plain(technician.get(f"{page}?fait=etude"))
    assert "L'étude est publiée." in said
    assert "4 500 000 F CFA" in said
    assert said.count("Retenu pour le vote") == 1


def test_what_an_outcome_lacks_and_what_costs_too_much_is_said_at_the_field(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign, theme="roads", place=3)
    page = page_of(made)
    answer = conclude(technician, page, made, outcome="", cost="beaucoup", reason="")
    said = plain(answer)
    assert answer.status_code == 422
    assert "Choisissez une conclusion." in said
    assert "Dites pourquoi." in said
    answer = conclude(technician, page, made, cost="10 000 001")
    assert answer.status_code == 422
    assert "C'est plus que l'enveloppe, qui est de 10 000 000 F CFA." in plain(answer)


def test_the_second_of_two_agents_reads_what_the_first_decided_and_keeps_his_words(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = page_of(made)
    opened = technician.get(page)
    world.review(made["ref"], 3_900_000)
    answer = conclude(technician, opened, made, outcome="not_feasible", reason="Terrain privé.")
    said = plain(answer)
    assert answer.status_code == 409
    assert "Quelque chose a changé pendant que vous écriviez" in said
    assert "dit : Réalisable : proposé au vote, 3 900 000 F CFA." in said
    assert "Ce que vous aviez écrit Terrain privé." in said
    assert "Publier l'étude" not in said, "nothing is left to decide"


def test_a_text_or_a_grid_that_changed_meanwhile_is_read_before_deciding(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    author = world.tokens.bearer()
    made = world.propose(campaign, headers=author)
    page = page_of(made)
    opened = technician.get(page)
    shut(judge(world.visitor({COTONOU: REVIEW}), page, "technical", "conditional"))
    world.call("PATCH", f"proposals/{made['ref']}", {"title": "Huit lampadaires"}, author)
    answer = conclude(technician, opened, made)
    said = plain(answer)
    assert answer.status_code == 409
    assert "Le texte a été modifié : version 2." in said
    assert "La grille a changé : Faisabilité technique Sous condition" in said
    assert ">Chiffré sur place.</textarea>" in answer.text
    assert 'value="feasible" required checked' in answer.text
    shut(conclude(technician, answer, made))


def test_an_answered_study_has_a_second_round_and_no_third(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    author = world.tokens.bearer()
    made = world.propose(campaign, headers=author)
    page = page_of(made)
    world.enter(campaign, "review")
    shut(conclude(technician, page, made, outcome="not_feasible", reason="Terrain privé."))
    said = plain(technician.get(page))
    assert "L'auteur peut encore répondre une fois" in said
    assert "Publier l'étude" not in said
    body = {"answer": "Le terrain a été cédé."}
    world.call("POST", f"proposals/{made['ref']}/review/answer", body, author)
    answered = technician.get(f"{DESK}/etudes?etat=answered&campagne={campaign}")
    assert rows(answered) == [made["ref"]]
    answer = technician.get(page)
    said = plain(answer)
    assert "Réponse de l'auteur Le terrain a été cédé." in said
    assert "Seconde et dernière conclusion" in said
    shut(conclude(technician, answer, made))
    said = plain(technician.get(page))
    assert "Première étude" in said
    assert "Seconde étude" in said
    assert "Publier l'étude" not in said


def test_a_proposal_that_nobody_supports_yet_waits_for_its_outcome(
    world: Exercise, technician: Visitor, campaign: str
) -> None:
    asking = world.announce(title="Avec un seuil", endorsements_needed=2)
    world.enter(asking["id"], "ideas", reason="")
    made = world.propose(asking["id"])
    said = plain(technician.get(page_of(made)))
    assert "la conclusion attend que 2 personnes soutiennent ce projet" in said
    answer = conclude(technician, page_of(made), made)
    assert answer.status_code == 409
    assert "n'a pas encore les soutiens demandés : 0 sur 2." in plain(answer)


def test_what_people_wrote_is_no_markup(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    nasty = '<script>alert("é")</script>'
    made = world.propose(campaign, nasty, description=nasty, need=nasty, beneficiaries=nasty)
    shut(judge(technician, page_of(made), "legal", note=nasty))
    for path in (page_of(made), f"{DESK}/etudes?campagne={campaign}"):
        assert "<script>alert" not in technician.get(path).text


# Merges


def test_what_a_technician_may_not_do_is_refused_whatever_is_sent(
    world: Exercise, campaign: str, technician: Visitor
) -> None:
    made = world.propose(campaign)
    page = technician.get(page_of(made))
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    sent = {"csrf_token": token[1], "do": "undo", "action": "hide", "reason": "x", "note": "x"}
    for path in ("fusions/nouvelle", f"fusions/{uuid4()}", f"moderation/{made['ref']}"):
        assert technician.post(f"{DESK}/{path}", data=sent).status_code == 403
    assert not world.call("GET", f"proposals/{made['ref']}")["hidden"]


@pytest.fixture
def agent(world: Exercise) -> Visitor:
    return world.visitor({COTONOU: (*REVIEW, *MANAGE)})


def test_similar_ones_are_ticked_on_the_study_and_proposed_as_a_merge(
    world: Exercise, campaign: str, agent: Visitor, technician: Visitor
) -> None:
    one, two = world.tokens.bearer(), world.tokens.bearer()
    target = world.propose(campaign, headers=one)
    source = world.propose(campaign, "Lampadaires au marché, six", place=1, headers=two)
    page = agent.get(page_of(target))
    assert f'name="avec" value="{source["ref"]}"' in page.text
    assert 'name="avec"' not in technician.get(page_of(target)).text, "a technician merges nothing"

    form = f"{DESK}/fusions/nouvelle?garde={target['ref']}&avec={source['ref']}"
    answer = agent.get(form)
    assert f'value="{source["ref"]}" checked' in answer.text
    sent = {"target": target["ref"], "with": source["ref"], "note": "Le même marché."}
    made = shut(agent.fill(answer, "/fusions/nouvelle", **sent))
    assert made.endswith("?fait=proposee")
    merge = made.split("?")[0]
    said = plain(agent.get(made))
    assert "C'est proposé : l'accord des auteurs est attendu." in said
    assert "Il manque l'accord d'un auteur de chacun de ces projets" in said
    path = f"merges/{merge.rsplit('/', 1)[1]}/consent"
    world.call("POST", path, {"agree": True}, one)
    said = plain(agent.get(f"{DESK}/fusions?campagne={campaign}&etat=open"))
    assert "Six lampadaires au marché" in said
    assert said.count("accord attendu") == 1
    world.call("POST", path, {"agree": True}, two)

    done, opened = agent.get(merge), agent.get(merge)
    assert "a reçu Lampadaires au marché, six" in plain(done)
    answer = agent.fill(done, merge, do="undo", reason="")
    assert answer.status_code == 422
    assert "Dites pourquoi." in plain(answer)
    shut(agent.fill(done, merge, do="undo", reason="Deux marchés différents."))
    said = plain(agent.get(f"{DESK}/fusions?campagne={campaign}&etat=undone"))
    assert "Deux marchés différents." in said
    assert "Aucune fusion" in plain(agent.get(f"{DESK}/fusions?campagne={campaign}&etat=done"))
    late = agent.fill(opened, merge, do="undo", reason="Encore.")
    assert late.status_code == 409
    assert "Cette fusion n'attend plus cela." in plain(late)


def test_an_open_merge_is_stopped_by_the_mairie(
    world: Exercise, campaign: str, agent: Visitor
) -> None:
    target, source = world.propose(campaign), world.propose(campaign, "Un forage", place=90)
    sent = {"target": target["ref"].lower(), "others": f"{source['ref'].lower()},\n", "note": ""}
    merge = shut(agent.fill(f"{DESK}/fusions/nouvelle", "/nouvelle", **sent)).split("?")[0]
    assert shut(agent.fill(merge, merge, do="refuse")) == f"{merge}?fait=arretee"
    assert "Refusée" in plain(agent.get(merge))


def test_what_cannot_be_merged_is_said_at_its_number(
    world: Exercise, campaign: str, agent: Visitor
) -> None:
    target, studied = world.propose(campaign), world.propose(campaign, "Un forage", place=90)
    world.review(studied["ref"], 3_000_000)
    other = world.announce(title="Une autre")
    world.enter(other["id"], "ideas", reason="")
    apart = world.propose(other["id"])
    cases = [
        ({"target": target["ref"], "others": ""}, 422, "Donnez le numéro d'un autre projet"),
        ({"target": "", "others": apart["ref"]}, 422, "Donnez le numéro d'un autre projet"),
        ({"target": target["ref"], "others": "P-222222"}, 422, "P-222222 : Aucun projet"),
        ({"target": "P-222222", "others": target["ref"]}, 422, "Aucun projet n'a ce numéro"),
        ({"target": target["ref"], "others": apart["ref"]}, 422, "d'une autre campagne"),
        ({"target": target["ref"], "others": target["ref"]}, 422, "chacun une fois"),
        ({"target": target["ref"], "others": studied["ref"]}, 422, "« Retenu pour le vote »"),
    ]
    for sent, status, said in cases:
        answer = agent.fill(f"{DESK}/fusions/nouvelle", "/nouvelle", **sent)
        assert (answer.status_code, said in plain(answer)) == (status, True), (sent, plain(answer))


def test_merges_are_the_managers_and_their_communes(
    world: Exercise, campaign: str, agent: Visitor, technician: Visitor
) -> None:
    for path in ("fusions", "fusions/nouvelle", f"fusions/{uuid4()}"):
        assert technician.get(f"{DESK}/{path}").status_code == 403
    assert agent.get(f"{DESK}/fusions/{uuid4()}").status_code == 404
    assert agent.get(f"{DESK}/fusions/nothing").status_code == 404
    one, two = world.propose(campaign), world.propose(campaign, "Un forage", place=9)
    made = world.call("POST", "merges", {"target": one["ref"], "sources": [two["ref"]]})
    elsewhere = world.visitor({SAVE: MANAGE})
    assert elsewhere.get(f"/mairie/{SAVE}/fusions/{made['id']}").status_code == 404
    assert "Aucune campagne" in plain(elsewhere.get(f"/mairie/{SAVE}/fusions"))
