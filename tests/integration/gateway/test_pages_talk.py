"""What people say about a project, suggest in it, and write together, without a script."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from tests.apps import Tokens
from tests.integration.gateway.desk_front import COTONOU, Front, desk_front, plain
from tests.integration.gateway.pages_world import Visitor
from tests.integration.gateway.test_pages_proposals import announce, browser, call, propose, read
from tests.servers import Database

pytestmark = pytest.mark.integration

NASTY = "<script>alert(1)</script> & « avis »"


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with desk_front(fresh_database, gateway_settings, tokens, media) as running:
        yield running


@pytest.fixture(scope="module")
def campaign(front: Front) -> str:
    return announce(front)


def say(front: Front, ref: str, who: dict[str, str], body: str, **more: Any) -> str:
    """Comment over the API; return the comment's id."""
    return str(call(front, who, f"proposals/{ref}/comments", body=body, **more)["id"])


# Comments


def test_an_opinion_is_published_and_escaped(front: Front, campaign: str) -> None:
    ref = propose(front, campaign)
    visitor = front.visitor()
    sent = visitor.fill(f"/propositions/{ref}", "/avis", body=NASTY, stance="for", name="Koffi")
    assert re.match(rf"/propositions/{ref}\?fait=avis#avis-", sent.headers["location"])
    page = visitor.get(f"/propositions/{ref}")
    assert "<script>alert" not in page.text
    assert NASTY in unescape(page.text)
    said = plain(page)
    assert "Koffi" in said
    assert "Pour 1" in said
    assert "Contre 0" in said


def test_an_empty_opinion_is_asked_again_and_its_name_kept(front: Front, campaign: str) -> None:
    ref = propose(front, campaign)
    for path in (f"/propositions/{ref}", f"/propositions/{ref}/avis"):
        answer = front.visitor().fill(path, "/avis", body=" ", stance="against", name="Koffi")
        assert answer.status_code == 422
        assert 'id="e-body"' in answer.text
        assert 'value="Koffi"' in answer.text
        assert re.search(r'value="against" checked', answer.text)


def test_a_reply_is_written_below_what_it_answers(front: Front, campaign: str) -> None:
    ref = propose(front, campaign)
    first = say(front, ref, front.tokens.bearer(), "Et le curage ?", stance="neutral", name="Awa")
    visitor = front.visitor()
    for path in (f"/propositions/{ref}", f"/propositions/{ref}/avis"):
        link = re.search(r'href="([^"]*repondre=[^"]*)"', visitor.get(path).text)
        assert link
        form = visitor.get(unescape(link[1]))
        assert "Répondre à Awa" in plain(form)
        assert visitor.fill(form, "/avis", body=f"Réponse sur {path}").status_code == 303
    page = visitor.get(f"/propositions/{ref}")
    nested = page.text.split(f'id="avis-{first}"')[1]
    assert nested.index("Réponse sur") > 0
    assert page.text.count('class="comment reply-1"') == 2


def test_what_is_useful_and_what_is_taken_back(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    ref = propose(front, campaign)
    one = say(front, ref, author, "Très attendu", stance="for")
    visitor = front.visitor()
    page = visitor.get(f"/propositions/{ref}")
    assert f"/avis/{one}/retrait" not in page.text
    marked = visitor.fill(page, f"/avis/{one}/utile")
    assert marked.headers["location"] == f"/propositions/{ref}#avis-{one}"
    assert "utile à 1 personne (dont vous)" in plain(visitor.get(f"/propositions/{ref}"))
    mine = browser(front, author)
    page = mine.get(f"/propositions/{ref}")
    assert f"/avis/{one}/utile" not in page.text
    mine.fill(page, f"/avis/{one}/retrait")
    said = plain(mine.get(f"/propositions/{ref}"))
    assert "Très attendu" not in said


def test_the_page_stays_light_and_the_rest_has_its_own(front: Front, campaign: str) -> None:
    ref = propose(front, campaign)
    for n in range(23):
        say(front, ref, front.tokens.bearer(), f"Avis numéro {n:02}.", stance="neutral")
    visitor = front.visitor()
    page = visitor.get(f"/propositions/{ref}")
    assert page.text.count('class="comment"') == 5
    assert f'href="/propositions/{ref}/avis"' in page.text
    whole = visitor.get(f"/propositions/{ref}/avis?tri=oldest")
    assert "Avis numéro 00." in plain(whole)
    assert "Avis numéro 22." not in plain(whole)
    more = re.search(r'rel="next" href="([^"]+)"', whole.text)
    assert more
    assert "Avis numéro 22." in plain(visitor.get(unescape(more[1])))
    assert visitor.get(f"/propositions/{ref}/avis?tri=x").status_code == 200


def test_an_abuse_is_told_and_what_is_hidden_may_be_appealed(front: Front, campaign: str) -> None:
    author, agent = front.tokens.bearer(), front.tokens.agent(COTONOU)
    ref = propose(front, campaign)
    one = say(front, ref, author, "01 97 00 00 00", stance="neutral")
    visitor = front.visitor()
    path = f"/propositions/{ref}/alerte?avis={one}"
    assert path in unescape(visitor.get(f"/propositions/{ref}").text)
    page = visitor.get(path)
    assert visitor.post(path, data={}).status_code == 403
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    nothing = visitor.post(path, data=dict(sent) | {"reason": "", "note": "Un numéro"})
    assert nothing.status_code == 422
    assert "Un numéro" in nothing.text
    told = visitor.post(path, data=dict(sent) | {"reason": "personal_data", "note": ""})
    assert told.headers["location"] == f"/propositions/{ref}?fait=alerte"
    decision = {"subject": "comment", "id": one, "action": "hide"}
    call(front, agent, "moderation", **decision, reason="personal_data", note="Un numéro de trop")
    public = visitor.get(f"/propositions/{ref}")
    assert "01 97 00 00 00" not in public.text
    assert "Masqué par la mairie : donnée personnelle" in plain(public)
    assert "Un numéro de trop" in plain(public)
    assert "1 décision de modération" in plain(public)
    mine = browser(front, author)
    own = mine.get(f"/propositions/{ref}")
    assert "01 97 00 00 00" in own.text
    appeal = f"/propositions/{ref}/recours?avis={one}"
    assert appeal in unescape(own.text)
    asked = mine.get(appeal)
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text)
    done = mine.post(appeal, data=dict(sent) | {"note": "C'est celui de la mairie"})
    assert done.headers["location"] == f"/propositions/{ref}?fait=recours"
    assert appeal not in unescape(mine.get(f"/propositions/{ref}").text)


# Suggestions


def test_a_suggestion_becomes_a_version(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    ref = propose(front, campaign, author, beneficiaries="600 élèves")
    mine, other, path = browser(front, author), front.visitor(), f"/propositions/{ref}/suggestions"
    assert 'id="suggerer"' not in mine.get(path).text
    page = other.get(path)
    now = read(front, ref)
    text = {"title": now["title"], "description": now["description"], "name": "Koffi"}
    same = other.fill(page, "/suggestions", **text, beneficiaries="600 élèves", note="Rien")
    assert same.status_code == 422
    assert "Rien n'est changé" in plain(same)
    why = {"beneficiaries": "640 élèves", "note": "Recomptés"}
    assert other.fill(page, "/suggestions", **text, **why).status_code == 303
    assert "1 suggestion attend votre réponse" in plain(mine.get(f"/propositions/{ref}"))
    assert "1 suggestion attend votre réponse" in plain(mine.get("/mes-projets"))
    shown = mine.get(path)
    assert re.search(r"<ins>.*?640.*?</ins>", shown.text)
    (one,) = re.findall(rf'action="{path}/([0-9a-f-]+)"', shown.text)
    assert "Accepter" not in plain(other.get(path))
    done = mine.fill(shown, one, do="accept", answer="Merci")
    assert done.headers["location"] == f"{path}?fait=acceptee"
    assert read(front, ref)["beneficiaries"] == "640 élèves"
    assert "Devenue la version 2" in plain(other.get(path))


def test_a_suggestion_on_an_older_text_shows_what_it_is_now(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    ref = propose(front, campaign, author)
    wish: dict[str, Any] = {"changes": {"title": "Caniveau du port"}, "note": "C'est au port"}
    call(front, front.tokens.bearer(), f"proposals/{ref}/amendments", **wish)
    call(front, author, f"proposals/{ref}", "PATCH", title="Caniveau de l'école")
    mine, path = browser(front, author), f"/propositions/{ref}/suggestions"
    shown = mine.get(path)
    (one,) = re.findall(rf'action="{path}/([0-9a-f-]+)"', shown.text)
    late = mine.fill(shown, one, do="accept")
    assert late.status_code == 409
    assert "Ce texte a changé depuis la suggestion" in plain(late)
    assert read(front, ref)["title"] == "Caniveau de l'école"


def test_the_mairie_takes_a_suggestions_words_away(front: Front, campaign: str) -> None:
    ref = propose(front, campaign)
    wish: dict[str, Any] = {"changes": {"title": "Caniveau du port"}, "note": "Nul, 97 00 00 00"}
    call(front, front.tokens.bearer(), f"proposals/{ref}/amendments", **wish)
    path = f"/propositions/{ref}/suggestions"
    assert "97 00 00 00" in plain(front.visitor().get(path))
    assert "Retirer ce texte" not in plain(front.visitor().get(path))
    agent = front.agent()
    shown = agent.get(path)
    (one,) = re.findall(rf'action="{path}/([0-9a-f-]+)"', shown.text)
    why = {"do": "hide", "reason": "personal_data", "note": "Un numéro de téléphone."}
    assert agent.fill(shown, one, **why).headers["location"] == f"{path}?fait=retiree"
    after = plain(front.visitor().get(path))
    assert "97 00 00 00" not in after
    assert "Un numéro de téléphone." in after


# Writing together


def test_a_code_said_aloud_makes_a_coauthor_once(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    ref = propose(front, campaign, author)
    mine = browser(front, author)
    invited = mine.fill(f"/propositions/{ref}", "/invitation")
    shown = re.search(r'id="code"[^>]*><span>(\w+)</span> <span>(\w+)</span>', invited.text)
    assert shown
    spoken = f"{shown[1].lower()} {shown[2]}"
    assert shown[1] not in str(invited.url)
    assert shown[1] not in mine.get(f"/propositions/{ref}").text
    friend, path = front.visitor(), f"/propositions/{ref}/rejoindre"
    wrong = friend.fill(path, "/rejoindre", code="AAAAA BBBBB", name="Awa")
    assert wrong.status_code == 422
    assert 'id="e-code"' in wrong.text
    assert 'value="Awa"' in wrong.text
    joined = friend.fill(path, "/rejoindre", code=spoken, name="Awa")
    assert joined.headers["location"] == f"/propositions/{ref}?fait=auteur"
    page = friend.get(f"/propositions/{ref}")
    assert "Avec : Awa" in plain(page)
    assert f"/propositions/{ref}/modifier" in page.text
    assert front.visitor().fill(path, "/rejoindre", code=spoken, name="B").status_code == 422
    first = mine.fill(f"/propositions/{ref}", "/quitter")
    assert first.status_code == 409
    assert "Le premier auteur reste" in plain(first)
    gone = friend.fill(page, "/quitter")
    assert gone.headers["location"] == f"/propositions/{ref}?fait=quitte"
    assert "Avec :" not in plain(friend.get(f"/propositions/{ref}"))


def test_a_drafts_code_works_before_anybody_may_read_it(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    ref = propose(front, campaign, author, title="Un secret", draft=True)
    code = call(front, author, f"proposals/{ref}/invitations")["code"]
    friend = front.visitor()
    asked = friend.get(f"/propositions/{ref}/rejoindre")
    assert asked.status_code == 200
    assert "Un secret" not in asked.text
    assert friend.fill(asked, "/rejoindre", code=code).status_code == 303
    assert "Un secret" in plain(friend.get(f"/propositions/{ref}"))


# Merges


def test_two_projects_become_one_and_part_again(front: Front, campaign: str) -> None:
    authors = [front.tokens.bearer() for _ in range(2)]
    target = propose(front, campaign, authors[0], title="Puits du marché Vossa")
    source = propose(front, campaign, authors[1], title="Puits au marché de Vossa")
    supporter = front.tokens.bearer()
    call(front, supporter, f"proposals/{source}/endorsements")
    first, second = (browser(front, who) for who in authors)
    page = second.get(f"/propositions/{source}/reunir")
    assert "Puits du marché Vossa" in plain(page)
    form = r'type="hidden" name="(\w+)" value="([^"]*)"'
    sent = dict(re.findall(form, page.text)) | {"keep": "other", "note": "Le même puits"}
    nothing = second.post(page.url, data=sent)
    assert nothing.status_code == 422
    assert "Le même puits" in nothing.text
    unknown = second.post(page.url, data=sent | {"ref": "P-000000"})
    assert 'id="e-other"' in unknown.text
    done = second.post(page.url, data=sent | {"other": target})
    assert done.headers["location"] == f"/propositions/{target}?fait=reunion"
    # The other author finds it where they look, with both texts.
    assert "Votre accord est demandé" in plain(first.get(f"/propositions/{target}"))
    waiting = first.get("/mes-projets")
    link = re.search(rf'href="(/propositions/{target}/reunions/[0-9a-f-]+)"', waiting.text)
    assert link
    both = first.get(link[1])
    assert "Puits du marché Vossa" in plain(both)
    assert "Puits au marché de Vossa" in plain(both)
    assert "Je suis d'accord" not in plain(front.visitor().get(link[1]))
    merged = first.fill(both, link[1], do="agree")
    assert merged.headers["location"] == f"/propositions/{target}?fait=reuni"
    old = front.visitor().get(f"/propositions/{source}")
    assert "Ce projet continue dans un autre" in plain(old)
    assert f"/propositions/{target}" in old.text
    # Nobody's endorsement moves unasked.
    fan = browser(front, supporter)
    offers = fan.get("/mes-projets")
    assert "Reporter votre soutien ?" in plain(offers)
    (offer,) = re.findall(r'action="(/mes-projets/reports/[0-9a-f-]+)"', offers.text)
    assert read(front, target)["endorsements"] == 0
    assert fan.fill(offers, offer, do="confirm").headers["location"] == "/mes-projets?fait=confirme"
    assert read(front, target)["endorsements"] == 1
    assert "Reporter votre soutien" not in plain(fan.get("/mes-projets"))
    again = second.get(link[1])
    mute = second.fill(again, link[1], do="undo", reason=" ")
    assert mute.status_code == 422
    apart = second.fill(again, link[1], do="undo", reason="Deux puits, finalement")
    assert apart.status_code == 303
    assert read(front, source)["status"] == "submitted"
    assert "Deux puits, finalement" in plain(front.visitor().get(link[1]))


def test_a_merge_may_be_refused(front: Front, campaign: str) -> None:
    author = front.tokens.bearer()
    target = propose(front, campaign, author, title="Bancs publics à Fidjrossè")
    source = propose(front, campaign, title="Bancs de Fidjrossè")
    merge = call(
        front, front.tokens.agent(COTONOU), "merges", target=target, sources=[source], note="Unis"
    )
    mine, path = browser(front, author), f"/propositions/{target}/reunions/{merge['id']}"
    assert mine.fill(path, path, do="refuse").status_code == 303
    assert "Refusée" in plain(mine.get(path))
    closed = mine.get(path)
    assert "Je refuse" not in plain(closed)
    assert mine.get(f"/propositions/{target}/reunions/x").status_code == 404


@pytest.mark.parametrize("path", ["/mes-projets", "/propositions/P-000000/rejoindre"])
def test_nobody_signs_in_first(front: Front, path: str) -> None:
    nobody = front.open.enter_context(Visitor(front.url))
    answer = nobody.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/connexion?retour=")
