"""The mairie moderates: what people report, decisions with reasons, appeals, two agents at once."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest

from gateway.settings import Settings
from tests.apps import Tokens
from tests.integration.gateway.desk_front import COTONOU, SAVE, plain
from tests.integration.gateway.exercise_world import Exercise, exercise_world
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

pytestmark = pytest.mark.integration

PAGE = f"/mairie/{COTONOU}/moderation"
MANAGE = ("campaigns.manage",)
WORDS = "Le maire est un voleur <b>!</b>"


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
def proposal(world: Exercise) -> Iterator[dict[str, Any]]:
    made = world.announce()
    world.enter(made["id"], "ideas", reason="")
    yield world.propose(made["id"])
    world.execute("proposals", "UPDATE abuse_reports SET handled_at = now()")


@pytest.fixture
def author(world: Exercise) -> Mapping[str, str]:
    return world.tokens.bearer()


@pytest.fixture
def comment(world: Exercise, proposal: dict[str, Any], author: Mapping[str, str]) -> str:
    """Somebody's comment that two people report."""
    body = {"body": WORDS, "stance": "against", "name": "Koffi"}
    made = world.call("POST", f"proposals/{proposal['ref']}/comments", body, author)
    report(world, "comment", made["id"], "insult", "Il insulte le maire.")
    report(world, "comment", made["id"], "off_topic")
    return str(made["id"])


@pytest.fixture
def agent(world: Exercise) -> Visitor:
    return world.visitor({COTONOU: MANAGE})


def report(world: Exercise, subject: str, about: str, reason: str, note: str = "") -> None:
    body = {"subject": subject, "id": about, "reason": reason, "note": note}
    world.call("POST", "abuse-reports", body, world.tokens.bearer())


def decide(browser: Visitor, page: Any, **more: Any) -> httpx.Response:
    """Send the case's form as it stands: an action without ``action`` of its own."""
    found = browser.get(page) if isinstance(page, str) else page
    sent = {"action": "hide", "reason": "insult", "note": "Des injures.", **more}
    text = found.text.replace('<form method="post" data-once>', '<form action="/here" >')
    again = httpx.Response(200, text=text, request=found.request)
    form = again.text.split('action="/here"')[1].split("</form>")[0]
    hidden = dict(
        part.split('" value="')
        for part in (
            piece.split('"', 1)[1].split('name="', 1)[1].split('">')[0]
            for piece in form.split("<input type=")[1:]
            if piece.startswith('"hidden"')
        )
    )
    return browser.post(str(found.request.url), data={**hidden, **sent})


def test_the_queue_shows_words_and_counted_reasons_what_harms_first(
    world: Exercise, proposal: dict[str, Any], comment: str, agent: Visitor
) -> None:
    other = {"body": "Achetez mes poulets", "name": "Awa"}
    path = f"proposals/{proposal['ref']}/comments"
    late = world.call("POST", path, other, world.tokens.bearer())
    report(world, "comment", late["id"], "spam")
    answer = agent.get(PAGE)
    said = plain(answer)
    assert said.index("voleur") < said.index("poulets"), "an insult before an advertisement"
    assert "Insulte ou menace 1" in said
    assert "Hors sujet 1" in said
    assert "<b>!</b>" not in answer.text
    assert f'href="{PAGE}/{proposal["ref"]}/avis/{comment}"' in answer.text


@pytest.mark.parametrize("grants", [{}, {SAVE: MANAGE}, {COTONOU: ("proposals.review",)}])
def test_nobody_else_moderates(
    world: Exercise, proposal: dict[str, Any], comment: str, grants: dict[str, Any]
) -> None:
    other = world.visitor(grants)
    case = f"{PAGE}/{proposal['ref']}"
    for path in (PAGE, case, f"{case}/avis/{comment}"):
        assert other.get(path).status_code == 403
    elsewhere = world.visitor({SAVE: MANAGE, COTONOU: ()})
    assert elsewhere.get(f"/mairie/{SAVE}/moderation/{proposal['ref']}").status_code == 404


def test_a_comment_is_hidden_with_a_reason_and_shown_again(
    world: Exercise, proposal: dict[str, Any], comment: str, agent: Visitor
) -> None:
    case = f"{PAGE}/{proposal['ref']}/avis/{comment}"
    answer = agent.get(case)
    said = plain(answer)
    assert "2 personnes le signalent" in said
    assert "Il insulte le maire." in said
    assert "Visible de tous" in said
    assert "Rien n'a encore été décidé." in said
    done = decide(agent, answer)
    assert done.headers["location"] == f"{PAGE}?fait=hide"
    said = plain(agent.get(f"{PAGE}?fait=hide"))
    assert "C'est masqué." in said
    assert "Rien à modérer" in said
    public = httpx.get(
        f"{world.url}/propositions/{proposal['ref']}", headers={"Accept": "text/html"}
    )
    assert "voleur" not in public.text

    answer = agent.get(case)
    said = plain(answer)
    assert "Masqué" in said
    assert "voleur" in said
    assert "Des injures." in said
    assert 'value="show" required checked' in answer.text
    assert decide(agent, answer, action="show", note="Après relecture.").status_code == 303
    said = plain(agent.get(f"{PAGE}?projet={proposal['ref'].lower()}"))
    assert said.index("Après relecture.") < said.index("Des injures."), "the newest first"


def test_a_proposal_is_kept_or_hidden(
    world: Exercise, proposal: dict[str, Any], agent: Visitor
) -> None:
    report(world, "proposal", proposal["id"], "spam")
    case = f"{PAGE}/{proposal['ref']}"
    assert "La nuit on n'y voit rien." in plain(agent.get(case))
    assert decide(agent, case, action="keep", reason="spam", note="Sérieux.").status_code == 303
    assert 'value="keep"' not in agent.get(case).text, "nobody reports it now"
    assert decide(agent, case, action="hide", note="Un numéro de téléphone.").status_code == 303
    assert "Masqué" in plain(agent.get(case))


def test_what_a_decision_lacks_is_said_and_what_was_typed_kept(
    proposal: dict[str, Any], comment: str, agent: Visitor
) -> None:
    case = f"{PAGE}/{proposal['ref']}/avis/{comment}"
    answer = decide(agent, case, action="x", reason="x", note="Mes mots.")
    said = plain(answer)
    assert answer.status_code == 422
    assert "Choisissez une décision." in said
    assert "Choisissez une raison de la liste." in said
    assert ">Mes mots.</textarea>" in answer.text
    answer = decide(agent, case, note=" ")
    assert answer.status_code == 422
    assert "Écrivez la raison que tous liront" in plain(answer)


def test_the_second_of_two_agents_reads_what_the_first_decided(
    world: Exercise, proposal: dict[str, Any], comment: str, agent: Visitor
) -> None:
    case = f"{PAGE}/{proposal['ref']}/avis/{comment}"
    opened = agent.get(case)
    first = world.visitor({COTONOU: MANAGE})
    assert decide(first, case, action="keep", note="Une opinion.").status_code == 303
    answer = decide(agent, opened, note="Il faut le masquer.")
    said = plain(answer)
    assert answer.status_code == 409
    assert "Un collègue vient d'en décider" in said
    assert "Laissé tel quel" in said
    assert "Une opinion." in said
    assert ">Il faut le masquer.</textarea>" in answer.text
    assert decide(agent, answer, note="Il faut le masquer.").status_code == 303, "seen now"


def test_an_appeal_is_answered_by_another_agent(
    world: Exercise,
    proposal: dict[str, Any],
    comment: str,
    agent: Visitor,
    author: Mapping[str, str],
) -> None:
    case = f"{PAGE}/{proposal['ref']}/avis/{comment}"
    decide(agent, case)
    body = {"subject": "comment", "id": comment, "note": "C'est une critique, pas une injure."}
    world.call("POST", "moderation/appeals", body, author)
    said = plain(agent.get(PAGE))
    assert "Nouvel examen demandé" in said
    assert "Vous avez masqué ce texte" in said
    mine = agent.get(case)
    assert 'value="reverse"' not in mine.text
    assert 'value="show"' in mine.text
    answer = decide(agent, mine, action="uphold")
    assert answer.status_code == 422
    assert "Un autre agent doit en décider" in plain(answer)

    other = world.visitor({COTONOU: MANAGE})
    answer = other.get(case)
    assert "C'est une critique, pas une injure." in plain(answer)
    done = decide(other, answer, action="reverse", note="C'est une opinion.")
    assert done.headers["location"] == f"{PAGE}?fait=reverse"
    said = plain(other.get(case))
    assert "Visible de tous" in said
    assert "Décision annulée" in said


def test_what_is_not_there_is_not_found(proposal: dict[str, Any], agent: Visitor) -> None:
    case = f"{PAGE}/{proposal['ref']}"
    for path in (f"{case}/avis/{uuid4()}", f"{case}/avis/x", f"{PAGE}/P-222222"):
        assert agent.get(path).status_code == 404
    assert "Aucun projet de la commune n'a ce numéro." in plain(agent.get(f"{PAGE}?projet=P-2"))
    said = plain(agent.get(f"{PAGE}?projet={proposal['ref']}"))
    assert "Rien n'a été décidé sur ce projet" in said
