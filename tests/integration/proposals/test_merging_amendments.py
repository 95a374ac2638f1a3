"""Amendments: others suggest, authors decide, and what was suggested stays readable."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.proposals.merging_world import Made, Merging, Person, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def merging(world: World) -> Merging:
    return Merging(world)


@pytest.fixture
def made(merging: Merging) -> Made:
    return merging.propose(merging.world.campaign())


def suggest(merging: Merging, made: Made, who: Person | None = None, **changes: Any) -> str:
    body = {"changes": changes or {"title": "Huit lampadaires au marché"}, "note": "Il en manque."}
    found = merging.ok(f"proposals/{made.id}/amendments", who or merging.person(), **body)
    assert found["state"] == "open"
    return str(found["id"])


def test_an_accepted_amendment_is_the_next_revision(merging: Merging, made: Made) -> None:
    awa = merging.person()
    body = {
        "changes": {"title": "Huit lampadaires au marché", "estimated_cost": 6_000_000},
        "note": "Deux de plus pour l'entrée.",
        "name": "Awa",
    }
    answer = merging.post(f"proposals/{made.ref}/amendments", awa, **body)
    assert answer.status_code == 201
    amendment = answer.json()
    assert answer.headers["location"] == f"/api/v1/amendments/{amendment['id']}"
    (listed,) = merging.get(f"proposals/{made.id}/amendments")["items"]
    assert (listed["name"], listed["note"], listed["base_revision"]) == (
        "Awa",
        "Deux de plus pour l'entrée.",
        1,
    )
    assert listed["changes"] == [
        {
            "field": "title",
            "before": "Six lampadaires au marché",
            "after": "Huit lampadaires au marché",
        },
        {"field": "estimated_cost", "before": 4_500_000, "after": 6_000_000},
    ]
    assert amendment == {
        "id": listed["id"],
        "proposal": made.id,
        "state": "open",
        "base_revision": 1,
    }
    assert (listed["mine"], merging.get(f"amendments/{listed['id']}", awa)["mine"]) == (False, True)
    decided = merging.ok(
        f"amendments/{amendment['id']}/decision", made.author, accept=True, answer="Merci"
    )
    assert (decided["state"], decided["revision"], decided["answer"]) == ("accepted", 2, "Merci")
    assert decided["changes"][0]["segments"] == [
        ["-", "Six"],
        ["+", "Huit"],
        ["=", " lampadaires au marché"],
    ]
    row = merging.row(made)
    assert (row["title"], row["estimated_cost"], row["revision"]) == (
        "Huit lampadaires au marché",
        6_000_000,
        2,
    )
    assert merging.told(made) == ["submitted", "revised"]
    (_, revision) = merging.get(f"proposals/{made.id}/revisions")["items"]
    assert (revision["kind"], revision["note"]) == ("amendment", "Deux de plus pour l'entrée.")
    assert str(awa.id) not in str(merging.get(f"proposals/{made.id}/amendments"))


def test_a_refused_amendment_changes_nothing(merging: Merging, made: Made) -> None:
    amendment = suggest(merging, made)
    with merging.untouched(made):
        found = merging.ok(
            f"amendments/{amendment}/decision", made.author, accept=False, answer="Trop cher."
        )
    assert (found["state"], found["answer"], found["revision"]) == ("refused", "Trop cher.", None)
    for accept in (True, False):
        again = merging.post(f"amendments/{amendment}/decision", made.author, accept=accept)
        assert refused(again, 409, "amendment_closed")["state_now"] == "refused"


def test_only_authors_decide_and_only_others_suggest(merging: Merging, made: Made) -> None:
    awa = merging.person()
    amendment = suggest(merging, made, awa)
    with merging.untouched(made):
        for who in (awa, merging.person(), merging.agent()):
            refused(
                merging.post(f"amendments/{amendment}/decision", who, accept=True),
                403,
                "forbidden",
            )
        refused(
            merging.post(f"amendments/{amendment}/decision", None, accept=True),
            401,
            "unauthenticated",
        )
        refused(merging.post(f"amendments/{amendment}/withdraw", made.author), 403, "forbidden")
        body = {"changes": {"title": "Autre"}, "note": "Oui."}
        refused(
            merging.post(f"proposals/{made.id}/amendments", made.author, **body), 403, "forbidden"
        )
        refused(
            merging.post(f"proposals/{made.id}/amendments", None, **body), 401, "unauthenticated"
        )
        refused(
            merging.post(f"amendments/{uuid4()}/decision", awa, accept=True),
            404,
            "amendment_not_found",
        )
    found = merging.ok(f"amendments/{amendment}/withdraw", awa)
    assert found["state"] == "withdrawn"
    refused(
        merging.post(f"amendments/{amendment}/decision", made.author, accept=True),
        409,
        "amendment_closed",
    )


def test_what_was_changed_meanwhile_is_not_overwritten(merging: Merging, made: Made) -> None:
    amendment = suggest(merging, made, title="Huit lampadaires", need="Voir clair.")
    beside = suggest(merging, made, beneficiaries="Les vendeuses.")
    same = suggest(merging, made, title="Sept lampadaires")
    edited = merging.world.client.patch(
        f"/api/v1/proposals/{made.id}",
        json={"title": "Sept lampadaires"},
        headers=made.author.headers,
    )
    assert edited.status_code == 200, edited.text
    with merging.untouched(made):
        found = refused(
            merging.post(f"amendments/{amendment}/decision", made.author, accept=True),
            409,
            "changed_meanwhile",
        )
    assert (found["revision_now"], found["version_now"]) == (2, 2)
    assert found["fields"] == {
        "title": {
            "before": "Six lampadaires au marché",
            "now": "Sept lampadaires",
            "after": "Huit lampadaires",
        }
    }
    assert merging.get(f"amendments/{amendment}")["state"] == "open"
    kept = merging.ok(f"amendments/{beside}/decision", made.author, accept=True)
    assert kept["revision"] == 3
    row = merging.row(made)
    assert (row["title"], row["beneficiaries"]) == ("Sept lampadaires", "Les vendeuses.")
    # What it suggests is said already: accepted without another text.
    assert merging.ok(f"amendments/{same}/decision", made.author, accept=True)["revision"] == 3
    assert merging.told(made) == ["submitted", "revised", "revised"]


def test_a_suggestion_on_what_is_no_more_is_refused(merging: Merging, made: Made) -> None:
    body = {"changes": {"title": "Autre"}, "note": "Oui.", "seen": 7}
    with merging.untouched(made):
        found = refused(
            merging.post(f"proposals/{made.id}/amendments", merging.person(), **body),
            409,
            "changed_meanwhile",
        )
        assert (found["version_now"], found["title_now"]) == (1, "Six lampadaires au marché")
        body = {"changes": {"title": "Six lampadaires au marché"}, "note": "Oui."}
        refused(
            merging.post(f"proposals/{made.id}/amendments", merging.person(), **body),
            422,
            "nothing_changes",
        )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/changes"),
        ({"changes": {}}, "/changes"),
        ({"changes": {"title": ""}}, "/changes/title"),
        ({"changes": {"title": None}}, "/changes/title"),
        ({"changes": {"title": "x" * 121}}, "/changes/title"),
        ({"changes": {"title": "a\x00b"}}, "/changes/title"),
        ({"changes": {"title": "a\u202eb"}}, "/changes/title"),
        ({"changes": {"description": "  "}}, "/changes/description"),
        ({"changes": {"description": "x" * 4001}}, "/changes/description"),
        ({"changes": {"estimated_cost": 0}}, "/changes/estimated_cost"),
        ({"changes": {"estimated_cost": 1.5}}, "/changes/estimated_cost"),
        ({"changes": {"estimated_cost": "5"}}, "/changes/estimated_cost"),
        ({"changes": {"theme": "deux mots"}}, "/changes/theme"),
        ({"changes": {"status": "funded"}}, "/changes/status"),
        ({"changes": {"title": "Oui"}, "note": ""}, "/note"),
        ({"changes": {"title": "Oui"}, "note": "\u200b"}, "/note"),
        ({"changes": {"title": "Oui"}, "note": "x" * 501}, "/note"),
        ({"changes": {"title": "Oui"}, "name": "a\nb"}, "/name"),
        ({"changes": {"title": "Oui"}, "by": "moi"}, "/by"),
    ],
)
def test_bad_amendments_are_refused(
    merging: Merging, made: Made, body: dict[str, Any], pointer: str
) -> None:
    with merging.untouched(made):
        answer = merging.post(
            f"proposals/{made.id}/amendments", merging.person(), **{"note": "Oui.", **body}
        )
        found = refused(answer, 422, "invalid")
    assert pointer in [one["pointer"] for one in found["errors"]]


def test_a_cost_above_the_envelope_is_refused_when_it_is_accepted(
    merging: Merging, made: Made
) -> None:
    amendment = suggest(merging, made, estimated_cost=10_000_001)
    with merging.untouched(made):
        refused(
            merging.post(f"amendments/{amendment}/decision", made.author, accept=True),
            422,
            "over_budget",
        )
    assert merging.get(f"amendments/{amendment}")["state"] == "open"


def test_amendments_end_with_the_edits(merging: Merging, made: Made) -> None:
    amendment = suggest(merging, made)
    campaign = str(merging.row(made)["campaign_id"])
    merging.world.enter(campaign, "review", merging.world.agent())
    body = {"changes": {"title": "Autre"}, "note": "Oui."}
    with merging.untouched(made):
        refused(
            merging.post(f"proposals/{made.id}/amendments", merging.person(), **body),
            409,
            "wrong_phase",
        )
        refused(
            merging.post(f"amendments/{amendment}/decision", made.author, accept=True),
            409,
            "wrong_phase",
        )
    found = merging.ok(f"amendments/{amendment}/decision", made.author, accept=False)
    assert found["state"] == "refused"


PRIVATE = "Appelez le 97 00 00 00"


def kept(merging: Merging, amendment: str) -> str:
    """Return all that the database has of an amendment and of answers about it."""
    row = merging.world.rows("SELECT * FROM amendments WHERE id = :id", id=amendment)
    keys = merging.world.rows("SELECT CAST(body AS text) FROM idempotency_keys")
    return f"{row} {keys}"


def private(merging: Merging, made: Made, who: Person) -> str:
    body = {"changes": {"title": PRIVATE}, "note": PRIVATE, "name": PRIVATE}
    found = merging.ok(f"proposals/{made.id}/amendments", keyed(who), **body)
    assert PRIVATE in kept(merging, found["id"])
    return str(found["id"])


def keyed(who: Person) -> Person:
    return Person(who.id, {**who.headers, "Idempotency-Key": str(uuid4())})


def test_withdrawn_words_are_gone_at_once(merging: Merging, made: Made) -> None:
    awa = merging.person()
    amendment, once = private(merging, made, awa), keyed(awa)
    first = merging.ok(f"amendments/{amendment}/withdraw", once)
    assert (first["state"], first["changes"], first["note"], first["name"]) == (
        "withdrawn",
        [],
        "",
        "",
    )
    assert merging.ok(f"amendments/{amendment}/withdraw", once) == first
    assert PRIVATE not in kept(merging, amendment)
    assert merging.row(made)["title"] == "Six lampadaires au marché"


@pytest.mark.parametrize("refused_first", [False, True])
def test_the_mairie_takes_an_amendments_words_away(
    merging: Merging, made: Made, refused_first: bool
) -> None:
    amendment, agent = private(merging, made, merging.person()), merging.agent()
    path = f"amendments/{amendment}/hide"
    if refused_first:
        merging.ok(f"amendments/{amendment}/decision", keyed(made.author), accept=False)
    merging.world.enter(str(merging.row(made)["campaign_id"]), "review", merging.world.agent())
    body = {"reason": "personal_data", "note": "Un numéro de téléphone."}
    with merging.untouched(made):
        others = (
            merging.person(),
            made.author,
            merging.person("proposals.review"),
            merging.person("campaigns.manage", commune="0405"),
        )
        for who in others:
            refused(merging.post(path, who, **body), 403, "forbidden")
        refused(merging.post(path, None, **body), 401, "unauthenticated")
        for wrong in ({"reason": "ugly"}, {"note": ""}, {"note": "\u200b"}):
            refused(merging.post(path, agent, **{**body, **wrong}), 422, "invalid")
        refused(
            merging.post(f"amendments/{uuid4()}/hide", agent, **body), 404, "amendment_not_found"
        )
    assert PRIVATE in kept(merging, amendment)
    found = merging.ok(path, keyed(agent), **body)
    assert (found["state"], found["changes"], found["note"], found["name"]) == (
        "refused",
        [],
        "",
        "",
    )
    assert found["answer"] == "Donnée personnelle : Un numéro de téléphone."
    assert PRIVATE not in kept(merging, amendment)
    assert merging.get(f"proposals/{made.id}/amendments")["items"][0]["answer"] == found["answer"]
    refused(merging.post(path, agent, **body), 409, "amendment_closed")


def test_what_a_proposal_says_is_not_taken_away_as_an_amendment(
    merging: Merging, made: Made
) -> None:
    amendment = suggest(merging, made)
    merging.ok(f"amendments/{amendment}/decision", made.author, accept=True)
    body = {"reason": "spam", "note": "Publicité."}
    answer = merging.post(f"amendments/{amendment}/hide", merging.agent(), **body)
    assert refused(answer, 409, "amendment_closed")["state_now"] == "accepted"


def test_a_draft_has_no_amendments(merging: Merging) -> None:
    campaign = merging.world.campaign()
    author = merging.person()
    draft = merging.world.begin(campaign, author.headers)
    body = {"changes": {"title": "Autre"}, "note": "Oui."}
    path = f"proposals/{draft['id']}/amendments"
    refused(merging.post(path, merging.person(), **body), 404, "proposal_not_found")
    assert merging.post(path, author, **body).status_code == 409
    assert merging.world.client.get(f"/api/v1/{path}").status_code == 404


def test_amendments_are_listed_newest_first_by_pages(merging: Merging, made: Made) -> None:
    ids = [suggest(merging, made, title=f"Titre {i}") for i in range(5)]
    url: str | None = f"proposals/{made.id}/amendments?limit=2"
    seen: list[str] = []
    while url:
        page = merging.get(url.removeprefix("/api/v1/"))
        seen += [one["id"] for one in page["items"]]
        url = page["next"]
    assert seen == ids[::-1]
