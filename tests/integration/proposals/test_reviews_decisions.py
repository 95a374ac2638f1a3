"""The mairie's decision: what it may be, once, and once more after the author's answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.common.auth import Principal
from services.proposals.reviews import service
from services.proposals.reviews.schemas import NewReview
from tests.integration.proposals.review_world import BUDGET, Desk, refused
from tests.integration.proposals.world import COTONOU, World

pytestmark = pytest.mark.integration

PARAKOU = "0405"


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("feasible", "shortlisted"),
        ("feasible_with_changes", "shortlisted"),
        ("not_feasible", "not_feasible"),
    ],
)
@pytest.mark.parametrize("phase", ["ideas", "review"])
def test_an_outcome_is_answered_published_and_told(
    desk: Desk, outcome: str, status: str, phase: str
) -> None:
    laid = desk.lay(phase=phase)
    answer = desk.decided(laid, outcome, reason="  Chiffré par les services.  ")
    told = {"id": laid.id, "ref": laid.ref, "outcome": outcome, "cost": 4_800_000}
    assert answer == told | {"status": status}
    row = desk.row(laid)
    assert (row["status"], row["cost"]) == (status, 4_800_000)
    (said,) = desk.sheet(laid)["reviews"]
    assert (said["outcome"], said["reason"], said["cost"], said["round"]) == (
        outcome, "Chiffré par les services.", 4_800_000, 1,
    )  # fmt: skip
    kind, data = desk.said(laid)[-1]
    assert kind == "reviewed"
    assert data == told | {
        "campaign": str(laid.campaign), "commune": COTONOU, "status": status, "round": 1,
    }  # fmt: skip
    assert "reason" not in data


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"reason": ""}, "/reason"),
        ({"reason": "   "}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"reason": "x" * 2001}, "/reason"),
        ({"reason": "a\x00b"}, "/reason"),
        ({"cost": None}, "/cost"),
        ({"cost": 0}, "/cost"),
        ({"cost": -5}, "/cost"),
        ({"cost": 1.5}, "/cost"),
        ({"cost": 4_800_000.0}, "/cost"),
        ({"cost": "4800000"}, "/cost"),
        ({"cost": 10**13}, "/cost"),
        ({"outcome": "maybe"}, "/outcome"),
        ({"seen": -1}, "/seen"),
        ({"bonus": 1}, "/bonus"),
        ({"criteria": [{"criterion": "beauty", "verdict": "met", "note": "x"}]},
         "/criteria/0/criterion"),
        ({"criteria": [{"criterion": "legal", "verdict": "met", "note": ""}]}, "/criteria/0/note"),
        ({"criteria": [{"criterion": "legal", "verdict": "met", "note": "x"}] * 2}, "/criteria"),
    ],
)  # fmt: skip
def test_a_decision_without_a_reason_or_a_whole_cost_is_refused(
    desk: Desk, change: dict[str, Any], pointer: str
) -> None:
    laid = desk.lay()
    with desk.nothing_stored():
        refused(desk.decide(laid, **change), 422, "invalid", pointer)


@pytest.mark.parametrize("field", ["outcome", "reason", "cost"])
def test_nothing_of_a_decision_may_lack(desk: Desk, field: str) -> None:
    laid = desk.lay()
    body = {"outcome": "not_feasible", "reason": "Non.", "cost": 1}
    del body[field]
    with desk.nothing_stored():
        answer = desk.call("POST", f"proposals/{laid.id}/review", desk.agent, body)
        refused(answer, 422, "invalid", f"/{field}")


@pytest.mark.parametrize("outcome", ["feasible", "feasible_with_changes"])
def test_what_is_done_costs_no_more_than_its_envelope(desk: Desk, outcome: str) -> None:
    laid = desk.lay()
    with desk.nothing_stored():
        told = refused(desk.decide(laid, outcome, cost=6_000_001), 422, "over_budget", "/cost")
    assert told["most"] == 6_000_000 < BUDGET
    assert desk.decided(laid, outcome, cost=6_000_000)["cost"] == 6_000_000


def test_too_dear_a_project_may_be_refused_at_its_cost(desk: Desk) -> None:
    assert desk.decided(desk.lay(), "not_feasible", cost=90_000_000)["cost"] == 90_000_000


@pytest.mark.parametrize("criterion", ["legal", "land"])
def test_law_and_land_forbid_plain_feasibility(desk: Desk, criterion: str) -> None:
    laid = desk.lay()
    desk.judged(laid, criterion, "not_met")
    desk.judged(laid, "technical", "not_met")
    with desk.nothing_stored():
        told = refused(desk.decide(laid), 422, "contradicts_criteria", "/outcome")
    assert told["criteria"] == [criterion]
    assert desk.decided(laid, "feasible_with_changes")["status"] == "shortlisted"


def test_criteria_given_with_the_outcome_count_and_are_stored_with_it(desk: Desk) -> None:
    laid = desk.lay()
    version = desk.judged(laid, "land", "not_met")
    given: dict[str, Any] = {"criterion": "land", "note": "Titre foncier trouvé.", "seen": version}
    with desk.nothing_stored():
        bad = [{**given, "criterion": "legal", "verdict": "not_met", "seen": 0}]
        answer = desk.decide(laid, criteria=bad)
        assert refused(answer, 422, "contradicts_criteria")["criteria"] == ["legal", "land"]
    desk.decided(laid, criteria=[{**given, "verdict": "met"}])
    (told,) = desk.sheet(laid)["criteria"]
    assert (told["criterion"], told["verdict"], told["note"]) == (
        "land", "met", "Titre foncier trouvé.",
    )  # fmt: skip


def test_only_the_communes_reviewers_decide(desk: Desk) -> None:
    laid = desk.lay()
    others = (
        desk.person(),
        laid.author,
        desk.person({PARAKOU: ("proposals.review",)}),
        desk.person({COTONOU: ("campaigns.manage", "works.manage", "works.spend")}),
    )
    with desk.nothing_stored():
        for who in others:
            refused(desk.decide(laid, who=who), 403, "forbidden")
            refused(desk.judge(laid, who=who), 403, "forbidden")
            path = f"proposals/{laid.id}/review/assignments"
            refused(desk.call("POST", path, who, {"service": "land"}), 403, "forbidden")
            refused(desk.call("DELETE", f"{path}/land", who), 403, "forbidden")
        body = {"outcome": "feasible", "reason": "Oui.", "cost": 1}
        answer = desk.call("POST", f"proposals/{laid.id}/review", None, body)
        refused(answer, 401, "unauthenticated")
        refused(
            desk.call("POST", f"proposals/{uuid4()}/review", desk.agent, body),
            404,
            "proposal_not_found",
        )
    everywhere = desk.person({"*": ("proposals.review",)})
    assert desk.decide(laid, who=everywhere).status_code == 200


@pytest.mark.parametrize("phase", ["preparation", "vote", "results", "works", "closed"])
def test_the_phase_closes_everything_of_a_review(desk: Desk, phase: str) -> None:
    laid, decided = desk.lay(), desk.lay()
    desk.assign(laid)
    desk.decided(decided, "not_feasible")
    desk.enter(laid.campaign, phase)
    desk.enter(decided.campaign, phase)
    with desk.nothing_stored():
        for answer in (
            desk.decide(laid),
            desk.judge(laid),
            desk.assign(laid, "finance"),
            desk.call("DELETE", f"proposals/{laid.id}/review/assignments/technical", desk.agent),
            desk.answer(decided),
        ):
            assert refused(answer, 409, "wrong_phase")["phase"] == phase
    assert desk.sheet(laid, desk.agent)["may"] == []
    assert desk.sheet(decided, decided.author)["may"] == []


def test_the_revision_is_for_second_looks_only(desk: Desk) -> None:
    laid, decided, answered = desk.lay(), desk.lay(), desk.lay()
    for one in (decided, answered):
        desk.decided(one, "not_feasible")
    desk.answer(answered)
    for one in (laid, decided, answered):
        desk.enter(one.campaign, "revision")
    with desk.nothing_stored():
        for answer in (desk.decide(laid), desk.judge(laid), desk.assign(laid)):
            refused(answer, 409, "wrong_phase")
        refused(desk.decide(decided), 409, "already_reviewed")
    assert desk.sheet(laid, desk.agent)["may"] == []
    assert desk.queue(campaign=str(laid.campaign))["items"] == []
    (waiting,) = desk.queue(campaign=str(answered.campaign))["items"]
    assert waiting["state"] == "answered"
    assert desk.sheet(answered, desk.agent)["may"] == ["review"]
    desk.judged(answered, "land")
    assert desk.decided(answered)["status"] == "shortlisted"


def test_an_answer_is_not_looked_at_while_ideas_are_collected(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid, "not_feasible")
    desk.answer(laid)
    desk.enter(laid.campaign, "ideas")
    with desk.nothing_stored():
        refused(desk.decide(laid), 409, "wrong_phase")


def test_a_draft_is_not_judged(desk: Desk) -> None:
    laid = desk.lay(draft=True)
    with desk.nothing_stored():
        for answer in (desk.decide(laid), desk.judge(laid), desk.assign(laid)):
            refused(answer, 409, "still_draft")
        refused(desk.answer(laid), 409, "still_draft")


@pytest.mark.parametrize("what", ["merged", "withdrawn", "hidden"])
def test_what_is_gone_or_hidden_is_not_judged(desk: Desk, what: str) -> None:
    campaign = desk.campaign()
    target, laid = desk.lay(campaign), desk.lay(campaign)
    change = {
        "merged": "status = 'merged', status_before_merge = status, merged_into = :target",
        "withdrawn": "status = 'withdrawn'",
        "hidden": "hidden_at = now()",
    }[what]
    values = {"target": target.id} if what == "merged" else {}
    desk.run(f"UPDATE proposals SET {change} WHERE id = :id", id=laid.id, **values)
    with desk.nothing_stored():
        for answer in (desk.decide(laid), desk.judge(laid), desk.assign(laid)):
            told = refused(answer, 409, "not_reviewable")
            assert told["hidden"] == (what == "hidden")
    assert desk.sheet(laid, desk.agent)["may"] == []


def test_a_campaigns_threshold_comes_before_its_review(desk: Desk) -> None:
    laid = desk.lay(desk.campaign(needed=3))
    desk.run("UPDATE proposals SET endorsements = 2 WHERE id = :id", id=laid.id)
    with desk.nothing_stored():
        for outcome in ("feasible", "not_feasible"):
            told = refused(desk.decide(laid, outcome), 409, "not_enough_endorsements")
            assert (told["endorsements"], told["needed"]) == (2, 3)
    desk.judged(laid)  # the services may look at it meanwhile
    desk.run("UPDATE proposals SET endorsements = 3 WHERE id = :id", id=laid.id)
    desk.decided(laid)


def test_a_threshold_once_reached_stays_reached(desk: Desk) -> None:
    laid = desk.lay(desk.campaign(needed=3))
    desk.run("UPDATE proposals SET threshold_reached_at = now() WHERE id = :id", id=laid.id)
    desk.decided(laid)


def test_what_came_on_paper_has_its_people_behind_it(desk: Desk) -> None:
    agent = desk.person({COTONOU: ("campaigns.manage",)})
    laid = desk.lay(desk.campaign(needed=3), origin="paper", author=agent)
    desk.decided(laid)


def test_a_second_decision_meets_the_first(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid, "not_feasible", cost=7_000_000)
    with desk.nothing_stored():
        for answer in (desk.decide(laid), desk.judge(laid), desk.assign(laid)):
            told = refused(answer, 409, "already_reviewed")
            assert (told["outcome"], told["cost"], told["round"], told["status_now"]) == (
                "not_feasible", 7_000_000, 1, "not_feasible",
            )  # fmt: skip
            assert datetime.fromisoformat(told["reviewed_at"]).utcoffset() is not None
            assert str(desk.people[0]) not in answer.text


@pytest.mark.parametrize("says", [False, True])
def test_of_two_agents_at_once_one_learns_what_changed(desk: Desk, says: bool) -> None:
    laid = desk.lay()
    seen = {"seen": desk.sheet(laid, desk.agent)["version"]} if says else {}
    agents = [desk.person({COTONOU: ("proposals.review",)}) for _ in range(4)]
    costs = iter((1_000_000, 2_000_000, 3_000_000, 4_000_000))

    def decide(who: dict[str, str]) -> Any:
        return desk.decide(laid, who=who, cost=next(costs), **seen)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(decide, agents))
    (won,) = (one for one in answers if one.status_code == 200)
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
    for lost in (one for one in answers if one is not won):
        told = refused(lost, 409, "changed_meanwhile" if says else "already_reviewed")
        assert told["cost"] == won.json()["cost"]
        if says:
            assert (told["changed"], told["version_now"]) == (["reviewed"], 2)
    assert [kind for kind, _ in desk.said(laid)] == ["submitted", "reviewed"]
    assert len(desk.sheet(laid)["reviews"]) == 1


def test_a_text_changed_meanwhile_is_said_and_not_decided_on(desk: Desk) -> None:
    laid = desk.lay(phase="ideas")
    seen = desk.sheet(laid, desk.agent)["version"]
    change = {"title": "Huit lampadaires"}
    answer = desk.call("PATCH", f"proposals/{laid.id}", laid.author, change)
    assert answer.status_code == 200, answer.text
    with desk.nothing_stored():
        told = refused(desk.decide(laid, seen=seen), 409, "changed_meanwhile")
    assert told["changed"] == ["revised"]
    assert (told["title_now"], told["revision_now"], told["status_now"]) == (
        "Huit lampadaires", 2, "submitted",
    )  # fmt: skip
    assert "outcome" not in told
    desk.decided(laid, seen=told["version_now"])


def test_a_version_that_never_was_is_no_licence(desk: Desk) -> None:
    laid = desk.lay()
    with desk.nothing_stored():
        refused(desk.decide(laid, seen=99), 409, "changed_meanwhile")


def test_a_comment_meanwhile_does_not_stop_a_decision(desk: Desk) -> None:
    laid = desk.lay()
    seen = desk.sheet(laid, desk.agent)["version"]
    desk.run(
        "INSERT INTO outbox (id, source, type, time, subject, key, sequence, traceparent, payload)"
        " VALUES (gen_random_uuid(), 'proposals', 'bj.palabre.proposal.discussed.v1', now(), :id,"
        " '0801', 2, '', '{}')",
        id=laid.id,
    )
    desk.run("UPDATE proposals SET version = 2 WHERE id = :id", id=laid.id)
    desk.decided(laid, seen=seen)


def test_a_criterion_judged_meanwhile_is_said(desk: Desk) -> None:
    laid = desk.lay()
    desk.judged(laid, "technical")
    sheet = desk.sheet(laid, desk.agent)
    version = desk.judged(laid, "upkeep", "conditional", note="Qui paie l'entretien ?")
    seen = {"seen": sheet["version"], "seen_criteria": sheet["criteria_version"]}
    with desk.nothing_stored():
        told = refused(desk.decide(laid, **seen), 409, "changed_meanwhile")
        one = {"criterion": "upkeep", "verdict": "met", "note": "Oui.", "seen": 0}
        also = refused(desk.decide(laid, criteria=[one]), 409, "changed_meanwhile")
    assert told["changed"] == also["changed"] == ["criteria"]
    assert told["criteria"] == [
        {"criterion": "upkeep", "verdict": "conditional", "note": "Qui paie l'entretien ?",
         "service": None, "version": version}
    ]  # fmt: skip
    desk.decided(laid, seen=sheet["version"], seen_criteria=version)


def test_the_author_answers_once_and_the_mairie_decides_again(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid, "not_feasible", reason="Terrain privé.")
    assert desk.sheet(laid, laid.author)["may"] == ["answer"]
    answer = desk.answer(laid, words="  Le terrain est communal.  ")
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"]["answer"] == "Le terrain est communal."
    assert answer.json()["may"] == []
    with desk.nothing_stored():
        refused(desk.answer(laid), 409, "already_answered")
    assert desk.sheet(laid, desk.agent)["may"] == ["review"]
    # What people wrote travels in no event.
    assert desk.said(laid)[-1] == (
        "answered",
        {"id": laid.id, "ref": laid.ref, "campaign": str(laid.campaign), "commune": COTONOU},
    )

    assert desk.decided(laid, "feasible", cost=5_000_000)["status"] == "shortlisted"
    row = desk.row(laid)
    assert (row["status"], row["cost"]) == ("shortlisted", 5_000_000)
    sheet = desk.sheet(laid)
    assert [(one["round"], one["outcome"]) for one in sheet["reviews"]] == [
        (1, "not_feasible"),
        (2, "feasible"),
    ]
    assert desk.said(laid)[-1][1]["round"] == 2
    with desk.nothing_stored():
        assert refused(desk.decide(laid), 409, "already_reviewed")["round"] == 2
        refused(desk.answer(laid), 409, "already_answered")
    detail = desk.call("GET", f"proposals/{laid.id}").json()
    assert detail["review"]["round"] == 2
    assert [one["round"] for one in detail["reviews"]] == [1, 2]


def test_two_agents_at_the_second_round_are_one_too_many(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid, "not_feasible")
    desk.answer(laid)
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(one.status_code for one in pool.map(lambda _: desk.decide(laid), range(2)))
    assert codes == [200, 409]
    assert len(desk.sheet(laid)["reviews"]) == 2


def test_two_answers_at_once_are_one(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid)
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(one.status_code for one in pool.map(lambda _: desk.answer(laid), range(2)))
    assert codes == [200, 409]
    assert [kind for kind, _ in desk.said(laid)].count("answered") == 1


def test_who_may_answer_and_when(desk: Desk) -> None:
    laid, early = desk.lay(), desk.lay(phase="ideas")
    with desk.nothing_stored():
        refused(desk.answer(laid), 409, "nothing_to_answer")
    desk.decided(laid)
    desk.decided(early)
    with desk.nothing_stored():
        refused(desk.answer(laid, desk.person()), 403, "forbidden")
        refused(desk.answer(laid, desk.agent), 403, "forbidden")
        refused(desk.answer(early), 409, "wrong_phase")
        refused(desk.answer(laid, words=" "), 422, "invalid", "/answer")
        refused(desk.answer(laid, words="x" * 2001), 422, "invalid", "/answer")
        path = f"proposals/{laid.id}/review/answer"
        refused(desk.call("POST", path, None, {"answer": "Oui."}), 401, "unauthenticated")
    desk.enter(early.campaign, "revision")
    assert desk.answer(early).status_code == 200


def test_the_same_key_decides_once(desk: Desk) -> None:
    laid = desk.lay()
    key = str(uuid4())
    body = {"outcome": "feasible", "reason": "Oui.", "cost": 1_000_000}
    path = f"proposals/{laid.id}/review"
    first, again = (
        desk.call("POST", path, desk.agent, body, **{"Idempotency-Key": key}) for _ in range(2)
    )
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert [kind for kind, _ in desk.said(laid)].count("reviewed") == 1


def test_a_decision_may_be_dated(desk: Desk) -> None:
    """The demonstration lays down a past: what was judged then is published all the same."""
    laid = desk.lay()
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    agent = Principal(uuid4(), {COTONOU: frozenset({"proposals.review"})})
    body = NewReview(outcome="feasible", reason="Oui.", cost=1_000_000, criteria=[])
    with desk.world.sessions.begin() as session:
        service.review(session, agent, laid.ref, body, at=at)
    (said,) = desk.sheet(laid)["reviews"]
    assert datetime.fromisoformat(said["reviewed_at"]) == at
