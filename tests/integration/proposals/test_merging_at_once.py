"""Merges by several people at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response

from tests.integration.proposals.merging_world import Made, Merging, Person
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration

ROUNDS = 4


@pytest.fixture
def merging(world: World) -> Merging:
    return Merging(world)


def at_once(*calls: Callable[[], Response]) -> list[Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def take_back(merging: Merging, made: Made, who: Person) -> Response:
    answer: Response = merging.world.client.delete(
        f"/api/v1/proposals/{made.id}/endorsements", headers=who.headers
    )
    return answer


def waiting(merging: Merging, campaign: dict[str, Any], sources: int) -> tuple[str, list[Made]]:
    """Propose a merge to which nobody but the target's author consented."""
    made = [merging.propose(campaign) for _ in range(sources + 1)]
    merge = merging.ok(
        "merges", made[0].author, target=made[0].id, sources=[one.id for one in made[1:]]
    )
    return str(merge["id"]), made


def test_two_last_consents_at_once_merge_once(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        merge, made = waiting(merging, campaign, 2)
        awa = merging.person()
        merging.endorse(made[1], awa)
        path = f"merges/{merge}/consent"
        answers = at_once(
            *(partial(merging.post, path, one.author, agree=True) for one in made[1:])
        )
        assert [one.status_code for one in answers] == [200, 200]
        assert merging.get(f"merges/{merge}")["state"] == "done"
        for one in made[1:]:
            assert merging.told(one) == ["submitted", "merged"]
        assert merging.authors(made[0]) == {one.author.id for one in made}
        assert len(merging.get("endorsement-offers", awa)["items"]) == 1


def test_the_same_last_consent_twice_at_once_merges_once(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        merge, made = waiting(merging, campaign, 1)
        path = f"merges/{merge}/consent"
        answers = at_once(*[partial(merging.post, path, made[1].author, agree=True)] * 4)
        assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
        assert merging.told(made[1]) == ["submitted", "merged"]


def test_a_consent_and_a_refusal_at_once_agree(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        merge, made = waiting(merging, campaign, 1)
        path = f"merges/{merge}/consent"
        yes, no = at_once(
            partial(merging.post, path, made[1].author, agree=True),
            partial(merging.post, path, made[0].author, agree=False),
        )
        assert sorted((yes.status_code, no.status_code)) == [200, 409]
        merged = merging.row(made[1])["status"] == "merged"
        assert merged == (yes.status_code == 200)
        assert merging.get(f"merges/{merge}")["state"] == ("done" if merged else "refused")


def test_a_merge_and_the_freeze_at_once_agree(merging: Merging) -> None:
    for _ in range(ROUNDS):
        campaign = merging.world.campaign()
        merging.world.review(merging.propose(campaign).id)
        merge, made = waiting(merging, campaign, 1)
        agent = merging.agent()
        consent, freeze = at_once(
            partial(merging.post, f"merges/{merge}/consent", made[1].author, agree=True),
            partial(
                merging.post,
                f"campaigns/{campaign['id']}/phase",
                agent,
                phase="vote",
                reason="C'est l'heure.",
            ),
        )
        assert freeze.status_code == 200, freeze.text
        assert consent.status_code in (200, 409)
        positions = merging.world.rows(
            "SELECT type FROM outbox WHERE type LIKE '%merged%' AND subject = :id OR "
            "type LIKE '%ballot_frozen%' AND subject = :campaign ORDER BY position",
            id=made[1].id,
            campaign=campaign["id"],
        )
        kinds = [one["type"].split(".")[3] for one in positions]
        expected = ["merged", "ballot_frozen"] if consent.status_code == 200 else ["ballot_frozen"]
        assert kinds == expected
        assert (merging.row(made[1])["status"] == "merged") == (consent.status_code == 200)


def test_one_proposal_goes_into_one_of_two_merges(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        source, first, second = (merging.propose(campaign) for _ in range(3))
        answers = at_once(
            *(
                partial(
                    merging.post,
                    "merges",
                    one.author,
                    target=one.id,
                    sources=[source.id],
                )
                for one in (first, second)
            )
        )
        assert sorted(one.status_code for one in answers) == [201, 409]


def test_what_is_carried_over_while_a_merge_is_undone_leaves_no_trace(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        target, source = merging.propose(campaign), merging.propose(campaign)
        people = [merging.person() for _ in range(4)]
        merging.endorse(source, *people)
        merge = merging.merge(target, source)["id"]
        merging.ok(f"endorsement-offers/{merge}", people[0], confirm=True)

        undone, taken, *confirmed = at_once(
            partial(merging.post, f"merges/{merge}/undo", source.author, reason="Non."),
            partial(take_back, merging, target, people[0]),
            *(
                partial(
                    merging.post,
                    f"endorsement-offers/{merge}",
                    one,
                    confirm=True,
                )
                for one in people[1:]
            ),
        )
        assert (undone.status_code, taken.status_code) == (200, 200)
        assert {one.status_code for one in confirmed} <= {200, 404}
        assert merging.endorsers(target) == set()
        assert merging.endorsers(source) == {one.id for one in people}
        assert merging.told(source) == ["submitted", "merged", "unmerged"]


def test_who_endorses_and_confirms_at_once_counts_once(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        target, source = merging.propose(campaign), merging.propose(campaign)
        awa = merging.person()
        merging.endorse(source, awa)
        merge = merging.merge(target, source)["id"]
        answers = at_once(
            partial(merging.post, f"endorsement-offers/{merge}", awa, confirm=True),
            partial(merging.post, f"proposals/{target.id}/endorsements", awa),
        )
        assert [one.status_code for one in answers] == [200, 200]
        assert merging.endorsers(target) == {awa.id}


def test_an_endorsement_during_the_merge_is_offered_or_refused(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        merge, made = waiting(merging, campaign, 1)
        awa = merging.person()
        _, endorsed = at_once(
            partial(merging.post, f"merges/{merge}/consent", made[1].author, agree=True),
            partial(merging.post, f"proposals/{made[1].id}/endorsements", awa),
        )
        assert merging.row(made[1])["status"] == "merged"
        counted = endorsed.status_code == 200
        assert merging.endorsers(made[1]) == ({awa.id} if counted else set())
        assert len(merging.get("endorsement-offers", awa)["items"]) == counted


def test_two_decisions_on_an_amendment_at_once_make_one_revision(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        made = merging.propose(campaign)
        amendment = merging.ok(
            f"proposals/{made.id}/amendments",
            merging.person(),
            changes={"title": "Huit lampadaires"},
            note="Mieux.",
        )["id"]
        answers = at_once(
            *[
                partial(
                    merging.post,
                    f"amendments/{amendment}/decision",
                    made.author,
                    accept=True,
                )
            ]
            * 3
        )
        assert sorted(one.status_code for one in answers) == [200, 409, 409]
        assert merging.told(made) == ["submitted", "revised"]
        assert merging.row(made)["revision"] == 2


def test_a_merge_into_and_an_unmerging_out_of_one_proposal_at_once(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        ids = [str(uuid4()) for _ in range(3)]
        target, old, new = (merging.propose(campaign, reports=[one]) for one in ids)
        done = merging.merge(target, old)["id"]
        coming = merging.ok("merges", target.author, target=target.id, sources=[new.id])["id"]
        answers = at_once(
            partial(merging.post, f"merges/{done}/undo", old.author, reason="Non."),
            partial(merging.post, f"merges/{coming}/consent", new.author, agree=True),
        )
        assert [one.status_code for one in answers] == [200, 200]
        assert [str(one) for one in merging.row(target)["reports"]] == [ids[0], ids[2]]
        assert merging.authors(target) == {target.author.id, new.author.id}
        assert merging.told(old) == ["submitted", "merged", "unmerged"]
        assert merging.told(new) == ["submitted", "merged"]
        assert merging.told(target) == ["submitted", *["revised"] * 3]


def test_offers_for_one_target_are_answered_once_while_one_is_undone(merging: Merging) -> None:
    campaign = merging.world.campaign()
    for _ in range(ROUNDS):
        target, first, second = (merging.propose(campaign) for _ in range(3))
        awa = merging.person()
        merging.endorse(first, awa)
        merging.endorse(second, awa)
        ids = [merging.merge(target, one)["id"] for one in (first, second)]
        *confirmed, undone = at_once(
            *(
                partial(
                    merging.post,
                    f"endorsement-offers/{one}",
                    awa,
                    confirm=True,
                )
                for one in ids
            ),
            partial(merging.post, f"merges/{ids[1]}/undo", second.author, reason="Non."),
        )
        assert undone.status_code == 200, undone.text
        assert confirmed[0].status_code == 200
        assert confirmed[1].status_code in (200, 404)
        assert merging.endorsers(target) == {awa.id}
