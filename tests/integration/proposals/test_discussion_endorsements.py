"""Standing behind a proposal, taking that back, thresholds, following and its news."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.proposals.talking import Person, Proposed, Talk, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def talk(world: World) -> Talk:
    return Talk(world)


def endorse(talk: Talk, made: Proposed, who: Person | None = None) -> int:
    answer = talk.post(f"proposals/{made.id}/endorsements", who or talk.person())
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"endorsements"}
    return int(answer.json()["endorsements"])


def take_back(talk: Talk, made: Proposed, who: Person) -> int:
    answer = talk.delete(f"proposals/{made.id}/endorsements", who)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["endorsements"])


def test_a_person_counts_once_and_may_take_it_back(talk: Talk) -> None:
    made = talk.proposal()
    awa, bio = talk.person(), talk.person()
    assert [endorse(talk, made, who) for who in (awa, awa, bio, awa)] == [1, 1, 2, 2]
    assert talk.post(f"proposals/{made.ref}/endorsements", talk.person()).json() == {
        "endorsements": 3
    }
    assert [take_back(talk, made, awa), take_back(talk, made, awa)] == [2, 2]
    assert take_back(talk, made, talk.person()) == 2
    assert endorse(talk, made, awa) == 3
    kept = talk.world.rows("SELECT * FROM endorsements WHERE proposal_id = :id", id=made.id)
    assert (len(kept), talk.row(made)["endorsements"]) == (3, 3)


def test_nobody_unknown_endorses(talk: Talk) -> None:
    made = talk.proposal()
    with talk.nothing_stored():
        refused(talk.post(f"proposals/{made.id}/endorsements", None), 401, "unauthenticated")
        refused(talk.delete(f"proposals/{made.id}/endorsements", None), 401, "unauthenticated")
        refused(
            talk.post("proposals/P-222222/endorsements", talk.person()), 404, "proposal_not_found"
        )


@pytest.mark.parametrize("phase", ["preparation", "vote", "results", "works", "closed"])
def test_endorsing_ends_with_its_phases(talk: Talk, phase: str) -> None:
    made = talk.proposal(phase=phase)
    path = f"proposals/{made.id}/endorsements"
    with talk.nothing_stored():
        assert refused(talk.post(path, talk.person()), 409, "wrong_phase")["phase"] == phase
        refused(talk.delete(path, talk.person()), 409, "wrong_phase")


def test_what_is_withdrawn_hidden_or_a_draft_is_not_endorsed(talk: Talk) -> None:
    withdrawn, draft = talk.proposal(status="withdrawn"), talk.proposal(status="draft")
    hidden = talk.proposal()
    talk.hide(talk.agent(), "proposal", hidden.id)
    with talk.nothing_stored():
        answer = talk.post(f"proposals/{withdrawn.id}/endorsements", talk.person())
        assert refused(answer, 409, "not_open")["status_now"] == "withdrawn"
        for made in (draft, hidden):
            for who in (talk.person(), made.author, talk.agent()):
                answer = talk.post(f"proposals/{made.id}/endorsements", who)
                refused(answer, 404, "proposal_not_found")


def test_a_crowd_is_counted_without_an_event_for_each(talk: Talk) -> None:
    made = talk.proposal()
    crowd = [talk.person() for _ in range(20)] * 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda who: endorse(talk, made, who), crowd))
    assert (talk.row(made)["endorsements"], talk.said(made)) == (20, [])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda who: take_back(talk, made, who), crowd[:10] * 2))
    assert talk.row(made)["endorsements"] == 10


def test_the_threshold_is_said_once_whoever_comes_and_goes(talk: Talk) -> None:
    made = talk.proposal(needed=5)
    crowd = [talk.person() for _ in range(12)]
    for who in crowd[:4]:
        endorse(talk, made, who)
    assert (talk.said(made), talk.row(made)["threshold_reached_at"]) == ([], None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda who: endorse(talk, made, who), crowd))
    reached_at = talk.row(made)["threshold_reached_at"]
    for who in crowd[:9]:
        take_back(talk, made, who)
    for who in crowd[:3]:
        endorse(talk, made, who)
    assert talk.said(made) == [
        (
            "threshold_reached",
            {
                "id": str(made.id),
                "ref": made.ref,
                "campaign": str(made.campaign),
                "commune": "0801",
                "endorsements": 5,
            },
        )
    ]
    assert talk.row(made)["endorsements"] == 6
    assert talk.row(made)["threshold_reached_at"] == reached_at is not None


def test_people_hear_what_changed_of_what_they_follow_endorse_or_wrote(talk: Talk) -> None:
    followed, endorsed, other = talk.proposal(), talk.proposal(), talk.proposal()
    awa = talk.person()
    for _ in range(2):
        answer = talk.post(f"proposals/{followed.ref}/follow", awa)
        assert (answer.status_code, answer.json()) == (200, {"following": True})
    endorse(talk, endorsed, awa)
    assert talk.get("follows", awa).json() == {"items": []}
    for made in (followed, endorsed, other):
        talk.comment(made)
    found = talk.get("follows", awa).json()["items"]
    assert [one["id"] for one in found] == [str(endorsed.id), str(followed.id)]
    assert {name: found[0][name] for name in ("ref", "title", "status", "comments")} == {
        "ref": endorsed.ref,
        "title": "Six lampadaires",
        "status": "submitted",
        "comments": 1,
    }
    assert found[0]["since"] < found[0]["changed_at"]
    own = talk.get("follows", other.author).json()["items"]
    assert [one["id"] for one in own] == [str(other.id)]

    answer = talk.delete(f"proposals/{followed.id}/follow", awa)
    assert (answer.status_code, answer.json()) == (200, {"following": False})
    assert [one["id"] for one in talk.get("follows", awa).json()["items"]] == [str(endorsed.id)]


def test_what_is_hidden_is_news_for_its_author_alone_and_can_be_left(talk: Talk) -> None:
    made, awa = talk.proposal(), talk.person()
    talk.post(f"proposals/{made.id}/follow", awa)
    talk.hide(talk.agent(), "proposal", made.id)
    assert talk.get("follows", awa).json()["items"] == []
    assert [one["id"] for one in talk.get("follows", made.author).json()["items"]] == [str(made.id)]
    assert talk.delete(f"proposals/{made.id}/follow", awa).json() == {"following": False}
    for answer in (
        talk.delete(f"proposals/{made.id}/follow", awa),
        talk.post(f"proposals/{made.id}/follow", awa),
    ):
        refused(answer, 404, "proposal_not_found")
