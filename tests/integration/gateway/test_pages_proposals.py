"""A project is proposed, drafted, changed, followed and compared, without a script."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest
from PIL import Image

from gateway.settings import Settings
from tests.apps import Tokens
from tests.integration.gateway.desk_front import COTONOU, HERE, Front, desk_front, plain
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

pytestmark = pytest.mark.integration

TEXT = "Construire un caniveau couvert jusqu'au collecteur."
LINE = {"type": "LineString", "coordinates": [[2.3903, 6.3601], [2.3935, 6.3622]]}


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


def announce(front: Front, phase: str = "ideas", **rules: Any) -> str:
    """Announce a campaign with these rules and bring it to ``phase``; return its id."""
    agent = front.tokens.agent(COTONOU)
    begins = datetime.now(UTC) + timedelta(days=1)
    plan = {
        "phase": "ideas",
        "opens_at": begins.isoformat(),
        "closes_at": (begins + timedelta(days=30)).isoformat(),
    }
    body: dict[str, Any] = {
        "commune": COTONOU,
        "title": "Budget 2027",
        "budget": 40_000_000,
        "phases": [plan],
    }
    made = call(front, agent, "campaigns", **(body | rules))
    for step in ("ideas", "review", "revision"):
        if made["phase"] == phase:
            break
        change = {"phase": step, "reason": "Un essai"}
        made = call(front, agent, f"campaigns/{made['id']}/phase", **change)
    return str(made["id"])


def call(
    front: Front, who: dict[str, str], path: str, method: str = "POST", **body: Any
) -> dict[str, Any]:
    """Ask the API as somebody."""
    url = f"{front.url}/api/v1/{path}"
    answer = httpx.request(method, url, json=body or None, headers=who, timeout=20)
    assert answer.status_code < 300, answer.text
    found: dict[str, Any] = answer.json()
    return found


def propose(front: Front, campaign: str, who: dict[str, str] | None = None, **more: Any) -> str:
    """Propose a project over the API; return its ref."""
    body: dict[str, Any] = {
        "campaign": campaign,
        "title": "Caniveau du marché",
        "description": TEXT,
        "geometry": {"type": "Point", "coordinates": list(HERE)},
        "estimated_cost": 6_000_000,
    }
    made = call(front, who or front.tokens.bearer(), "proposals", **(body | more))
    return str(made["ref"])


def read(front: Front, ref: str, who: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a proposal as the API tells it."""
    return call(front, who or {}, f"proposals/{ref}", "GET")


def browser(front: Front, who: dict[str, str]) -> Visitor:
    """Return the browser of somebody known to the API too."""
    return front.open.enter_context(Visitor(front.url, who))


def photo() -> bytes:
    held = BytesIO()
    Image.new("RGB", (64, 48), "#47765f").save(held, "JPEG")
    return held.getvalue()


def fields(**changed: Any) -> dict[str, Any]:
    """Return the form of a new proposal as somebody fills it."""
    words = {
        "title": f"Caniveau {uuid4().hex[:6]}",
        "description": TEXT,
        "lon": str(HERE[0]),
        "lat": str(HERE[1]),
        "estimated_cost": "6 000 000",
        "theme": "drainage",
        "seen_similar": "1",
    }
    return words | changed


def test_the_rules_are_said_above_the_form(front: Front) -> None:
    rules: dict[str, Any] = {
        "author_kinds": ["person", "association"],
        "proposals_per_author": 2,
        "endorsements_needed": 30,
        "envelopes": [{"name": "Écoles", "amount": 15_000_000, "theme": "school"}],
    }
    page = front.visitor().get(f"/budget/{announce(front, **rules)}/proposer")
    said = plain(page)
    assert "une personne, une association" in said
    assert "2 projets au plus par personne" in said
    assert "Il faut 30 soutiens" in said
    assert "Écoles 15 000 000 F CFA" in said
    assert "Toute la commune 25 000 000 F CFA" in said
    assert 'value="group"' not in page.text


def test_outside_the_ideas_there_is_no_form(front: Front) -> None:
    page = front.visitor().get(f"/budget/{announce(front, 'preparation')}/proposer")
    assert "On ne peut pas proposer de projet en ce moment" in plain(page)
    assert 'name="title"' not in page.text


def test_everything_of_a_proposal_is_kept(front: Front) -> None:
    campaign = announce(front)
    sent = fields(
        need="L'eau reste trois jours",
        beneficiaries="Les vendeuses",
        geometry=json.dumps(LINE),
        estimated_cost="",
        cost_code_1="caniveau",
        cost_quantity_1="100",
        author_kind="association",
        author_name="Femmes du marché",
    )
    pictures = [("photos", (f"{n}.jpg", photo(), "image/jpeg")) for n in range(2)]
    path = f"/budget/{campaign}/proposer"
    answer = front.visitor().fill(path, "/proposer", files=pictures, **sent)
    ref = re.fullmatch(r"/propositions/(P-\w+)\?merci=1", answer.headers["location"])
    assert ref
    made = read(front, ref[1])
    assert made["geometry"] == LINE
    assert made["estimated_cost"] == 6_500_000
    assert made["cost_lines"][0]["quantity"] == 100
    assert made["author"] == {"kind": "association", "name": "Femmes du marché"}
    assert (made["need"], made["beneficiaries"]) == (sent["need"], sent["beneficiaries"])
    assert len(made["photos"]) == 2
    page = front.visitor().get(f"/propositions/{ref[1]}")
    said = plain(page)
    for words in (
        "L'eau reste trois jours",
        "Les vendeuses",
        "Femmes du marché",
        "6 500 000 F CFA",
    ):
        assert words in said
    assert said.count(TEXT) == 1
    assert 'class="way"' in page.text  # the line is drawn
    assert page.text.count("/api/v1/files/") >= 2


def test_the_estimate_adds_up_without_a_script(front: Front) -> None:
    visitor = front.visitor()
    path = f"/budget/{announce(front)}/proposer"
    lines = {"cost_code_1": "caniveau", "cost_quantity_1": "10", "estimated_cost": ""}
    counted = visitor.fill(path, "/proposer", do="count", **fields(**lines))
    assert counted.status_code == 200
    assert "650 000 F CFA" in plain(counted)
    assert 'name="estimated_cost" type="text" value="650000"' in counted.text
    # One more line; what was counted follows the lines, what somebody wrote does not.
    more = fields(**(lines | {"cost_quantity_1": "20", "computed": "650000"}))
    grown = visitor.fill(path, "/proposer", do="line", **(more | {"estimated_cost": "650000"}))
    assert 'value="1300000"' in grown.text
    assert 'name="cost_code_4"' in grown.text
    own = visitor.fill(path, "/proposer", do="count", **(more | {"estimated_cost": "900 000"}))
    assert 'value="900 000"' in own.text


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"title": ""}, "title"),
        ({"description": ""}, "description"),
        ({"lon": "", "lat": ""}, "place"),
        ({"lon": "", "lat": "", "geometry": "[[["}, "place"),
        ({"lon": "", "lat": "", "geometry": '{"type":"Point","coordinates":[1]}'}, "place"),
        ({"geometry": '{"type":"Point","coordinates":[48.1,2.3]}'}, "place"),
        ({"estimated_cost": "beaucoup"}, "estimated_cost"),
        ({"estimated_cost": "900 000 000"}, "estimated_cost"),
        ({"cost_code_1": "caniveau", "cost_quantity_1": "dix"}, "cost_lines"),
        ({"author_kind": "association"}, "author_name"),
        ({"author_kind": "forum", "author_name": "Nous"}, "author_kind"),
    ],
)
def test_what_is_wrong_is_marked_and_the_rest_kept(
    front: Front, changed: dict[str, str], at: str
) -> None:
    sent = fields(need="Gardé tel quel", **changed)
    files = [("photos", ("a.jpg", photo(), "image/jpeg"))]
    path = f"/budget/{announce(front)}/proposer"
    answer = front.visitor().fill(path, "/proposer", files=files, **sent)
    assert answer.status_code == 422
    assert f'id="e-{at}"' in answer.text
    assert "Gardé tel quel" in answer.text
    assert "Photo 1, déjà reçue" in plain(answer)


def test_too_much_for_the_envelope_names_the_amount(front: Front) -> None:
    envelope = {"name": "Voirie", "amount": 5_000_000, "theme": "roads"}
    path = f"/budget/{announce(front, envelopes=[envelope])}/proposer"
    answer = front.visitor().fill(path, "/proposer", **fields(theme="roads"))
    assert answer.status_code == 422
    assert "qui est de 5 000 000 F CFA" in plain(answer)


def test_a_sixth_photo_is_refused(front: Front) -> None:
    files = [("photos", (f"{n}.jpg", photo(), "image/jpeg")) for n in range(6)]
    path = f"/budget/{announce(front)}/proposer"
    answer = front.visitor().fill(path, "/proposer", files=files, **fields())
    assert answer.status_code == 422
    assert "Photo 5, déjà reçue" in plain(answer)
    assert "Photo 6" not in plain(answer)
    assert 'id="e-photos"' in answer.text


def test_like_ones_are_shown_once_before(front: Front) -> None:
    campaign = announce(front)
    other = propose(front, campaign)
    visitor = front.visitor()
    sent = fields(title="Un caniveau au marché", seen_similar="")
    between = visitor.fill(f"/budget/{campaign}/proposer", "/proposer", **sent)
    assert between.status_code == 200
    said = plain(between)
    assert "Ces projets se ressemblent" in said
    assert "Caniveau du marché" in said
    changed = visitor.fill(between, "/proposer", do="change")
    assert "Un caniveau au marché" in changed.text
    made = visitor.fill(between, "/proposer")
    assert re.fullmatch(r"/propositions/P-\w+\?merci=1", made.headers["location"])
    # Or the other one is endorsed instead.
    chosen = visitor.fill(between, f"{other}/soutien")
    assert chosen.headers["location"] == f"/propositions/{other}?fait=soutien"
    assert read(front, other)["endorsements"] == 1


def test_the_piece_of_like_ones_comes_while_one_writes(front: Front) -> None:
    campaign = announce(front)
    propose(front, campaign)
    visitor = front.visitor()
    page = visitor.get(f"/budget/{campaign}/proposer")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    path = f"/budget/{campaign}/proposer/ressemblances"
    sent = {"csrf_token": token[1], "title": "Caniveau au marché"}
    piece = visitor.post(path, data=sent)
    assert "Soutenir celui-ci" in plain(piece)
    assert "<html" not in piece.text
    assert visitor.post(path, data=sent | {"title": ""}).text.strip() == ""


def test_a_draft_needs_little_and_is_its_authors(front: Front) -> None:
    author = front.tokens.bearer()
    mine = browser(front, author)
    path = f"/budget/{announce(front)}/proposer"
    sent = fields(description="", estimated_cost="", do="draft")
    answer = mine.fill(path, "/proposer", **sent)
    ref = re.fullmatch(r"/propositions/(P-\w+)\?merci=brouillon", answer.headers["location"])
    assert ref
    assert "Votre brouillon est gardé" in plain(mine.get(answer.headers["location"]))
    assert front.visitor().get(f"/propositions/{ref[1]}").status_code == 404
    edit = mine.get(f"/propositions/{ref[1]}/modifier")
    done = mine.fill(edit, "/modifier", **{**fields(), "do": "submit", "area": ""})
    assert done.headers["location"] == f"/propositions/{ref[1]}?merci=1"
    assert read(front, ref[1])["status"] == "submitted"


def test_the_photos_of_a_draft_are_its_authors(front: Front) -> None:
    author = front.tokens.bearer()
    mine = browser(front, author)
    path = f"/budget/{announce(front)}/proposer"
    sent = fields(description="", estimated_cost="", do="draft")
    files = {"photos": ("a.jpg", photo(), "image/jpeg")}
    page = mine.fill(path, "/proposer", files, **sent).headers["location"]
    (link,) = re.findall(r'src="(/fichiers/[0-9a-f-]+)"', mine.get(page).text)
    shown = mine.get(link)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert shown.headers["cache-control"] == "private, no-store"
    assert Image.open(BytesIO(shown.content)).format == "JPEG"
    assert browser(front, front.tokens.bearer()).get(link).status_code == 404
    assert link in mine.get(page.partition("?")[0] + "/modifier").text


def test_a_draft_is_deleted_for_good(front: Front) -> None:
    mine = browser(front, front.tokens.bearer())
    campaign = announce(front)
    sent = fields(description="", estimated_cost="", do="draft")
    page = mine.fill(f"/budget/{campaign}/proposer", "/proposer", **sent).headers["location"]
    path = page.partition("?")[0]
    assert mine.fill(page, "/suppression").headers["location"] == f"/budget/{campaign}"
    assert mine.get(path).status_code == 404
    assert path not in mine.get(f"/budget/{campaign}").text


# Versions


def edit(
    front: Front, mine: Visitor, ref: str, page: httpx.Response | None = None, **new: str
) -> httpx.Response:
    """Change the form of a submitted proposal as it stands."""
    found = page or mine.get(f"/propositions/{ref}/modifier")
    now = read(front, ref)
    words = {name: now[name] for name in ("title", "need", "description", "beneficiaries")}
    sent = words | {"estimated_cost": str(now["estimated_cost"]), "area": "", "do": "save"} | new
    return mine.fill(found, "/modifier", **sent)


def test_a_change_is_a_public_version_with_its_reason(front: Front) -> None:
    author = front.tokens.bearer()
    mine, campaign = browser(front, author), announce(front)
    ref = propose(front, campaign, author, geometry=LINE, theme="drainage")
    changed = TEXT.replace("couvert", "ouvert <b>")
    answer = edit(front, mine, ref, description=changed, theme="drainage", note="Moins cher")
    assert answer.headers["location"] == f"/propositions/{ref}?fait=modifie"
    now = read(front, ref)
    assert (now["revision"], now["description"], now["geometry"]) == (2, changed, LINE)
    everybody = front.open.enter_context(Visitor(front.url))
    listed = plain(everybody.get(f"/propositions/{ref}/versions"))
    assert "2 versions" in listed
    assert "Moins cher" in listed
    page = everybody.get(f"/propositions/{ref}/versions/2")
    assert re.search(r"<del>.*?couvert.*?</del>", page.text)
    assert re.search(r"<ins>.*?ouvert &lt;b&gt;.*?</ins>", page.text)
    assert "retiré : couvert" in plain(page).replace("[", "").replace("]", "")
    assert everybody.get(f"/propositions/{ref}/versions/3").status_code == 404
    assert everybody.get(f"/propositions/{ref}/versions/x").status_code in (404, 422)
    assert not httpx.get(f"{front.url}/propositions/{ref}/modifier").is_success


def test_a_version_made_meanwhile_is_shown_and_nothing_is_lost(front: Front) -> None:
    author = front.tokens.bearer()
    mine = browser(front, author)
    ref = propose(front, announce(front), author)
    opened = mine.get(f"/propositions/{ref}/modifier")
    call(front, author, f"proposals/{ref}", "PATCH", title="Caniveau de l'école")
    # What people say meanwhile is no conflict; another text is.
    call(front, front.tokens.bearer(), f"proposals/{ref}/comments", body="Bien", stance="for")
    late = edit(front, mine, ref, opened, title="Caniveau du port", note="Le port")
    assert late.status_code == 409
    said = plain(late)
    assert "Ce qui a changé entre-temps" in said
    assert "l'école" in said
    assert 'value="Caniveau du port"' in late.text
    assert read(front, ref)["title"] == "Caniveau de l'école"
    again = edit(front, mine, ref, late, title="Caniveau du port")
    assert again.status_code == 303
    assert read(front, ref)["title"] == "Caniveau du port"


def test_only_its_authors_see_how_to_change_it(front: Front) -> None:
    author = front.tokens.bearer()
    ref = propose(front, announce(front), author)
    mine, other = browser(front, author), front.visitor()
    assert f"/propositions/{ref}/modifier" in mine.get(f"/propositions/{ref}").text
    assert f"/propositions/{ref}/modifier" not in other.get(f"/propositions/{ref}").text
    away = other.get(f"/propositions/{ref}/modifier")
    assert away.headers["location"] == f"/propositions/{ref}"
    gone = mine.fill(f"/propositions/{ref}", "/retrait")
    assert gone.headers["location"] == f"/propositions/{ref}?fait=retrait"
    assert "Retiré par son auteur" in plain(mine.get(f"/propositions/{ref}"))


# Who stands behind it


def test_endorsing_following_and_the_way_back(front: Front) -> None:
    ref = propose(front, announce(front, endorsements_needed=3))
    visitor, path = front.visitor(), f"/propositions/{ref}"
    page = visitor.get(path)
    assert "Encore 3 soutiens" in plain(page)
    visitor.fill(page, "/soutien")
    page = visitor.get(path)
    assert "1 soutien sur 3 demandés" in plain(page)
    assert "Vous soutenez ce projet" in plain(page)
    visitor.fill(page, "/soutien/retrait")
    assert "Je soutiens" in plain(visitor.get(path))
    visitor.fill(path, "/suivi")
    mine = plain(visitor.get("/mes-projets"))
    assert "Ceux que je suis" in mine
    assert "Caniveau du marché" in mine
    visitor.fill(path, "/suivi/fin")
    assert "Caniveau du marché" not in plain(visitor.get("/mes-projets"))
    nobody = httpx.get(f"{front.url}{path}", headers={"Accept": "text/html"})
    assert f"/connexion?retour=/propositions/{ref}" in nobody.text
    assert 'method="post"' not in nobody.text


def test_the_threshold_says_since_when(front: Front) -> None:
    ref = propose(front, announce(front, endorsements_needed=1))
    visitor = front.visitor()
    visitor.fill(f"/propositions/{ref}", "/soutien")
    assert "Le nombre demandé est atteint" in plain(visitor.get(f"/propositions/{ref}"))


def test_an_assembly_speaks_with_who_came(front: Front) -> None:
    agent, campaign = front.tokens.agent(COTONOU), announce(front)
    forum: dict[str, Any] = {
        "name": "Assemblée de Vossa",
        "held_on": "2026-10-03",
        "women": 48,
        "men": 35,
    }
    made = call(front, agent, f"campaigns/{campaign}/forums", youth=22, **forum)
    ref = propose(front, campaign, agent, origin="assembly", forum=made["id"], author_kind="forum")
    said = plain(front.visitor().get(f"/propositions/{ref}"))
    for words in ("Assemblée de Vossa", "femmes 48", "hommes 35", "dont jeunes 22"):
        assert words in said


def test_the_review_is_told_and_answered_once(front: Front) -> None:
    author, agent = front.tokens.bearer(), front.tokens.agent(COTONOU)
    campaign = announce(front)
    ref = propose(front, campaign, author)
    call(front, agent, f"campaigns/{campaign}/phase", phase="review", reason="Un essai")
    judged = {"verdict": "conditional", "note": "Il faut une pompe.", "service": "water"}
    call(front, agent, f"proposals/{ref}/review/criteria/technical", "PUT", **judged)
    mine, path = browser(front, author), f"/propositions/{ref}"
    assert "Il faut une pompe" not in plain(mine.get(path))
    found: dict[str, Any] = {
        "outcome": "not_feasible",
        "reason": "Trop près de la digue.",
        "cost": 7_000_000,
    }
    call(front, agent, f"proposals/{ref}/review", **found)
    page = mine.get(path)
    said = plain(page)
    for words in ("Non réalisable", "Trop près de la digue", "7 000 000 F CFA"):
        assert words in said
    for words in ("Faisabilité technique", "Sous condition", "Il faut une pompe", "Eau et assain"):
        assert words in said
    assert "/reponse" not in front.visitor().get(path).text
    empty = mine.fill(page, "/reponse", answer=" ")
    assert empty.status_code == 422
    done = mine.fill(page, "/reponse", answer="Nous le reculons de dix mètres.")
    assert done.status_code == 303
    after = mine.get(path)
    assert "Nous le reculons de dix mètres" in plain(after)
    assert f'action="{path}/reponse"' not in after.text
