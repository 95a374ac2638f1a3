"""The grid, who was asked, what the public may read of it and when, and the desk's queue."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.proposals.reviews.domain import CRITERIA, SERVICES, STATES, local_day
from tests.integration.proposals.review_world import Desk, Laid, refused
from tests.integration.proposals.world import COTONOU, World

pytestmark = pytest.mark.integration

PARAKOU = "0405"


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def day(desk: Desk, days: int) -> str:
    now = desk.world.rows("SELECT now() AS now")[0]["now"]
    return (local_day(now) + timedelta(days=days)).isoformat()


def test_a_grid_is_filled_one_criterion_at_a_time(desk: Desk) -> None:
    laid = desk.lay()
    file = desk.file()
    versions = [desk.judged(laid, one, note=f"{one} : vu") for one in reversed(CRITERIA)]
    assert versions == [1, 2, 3, 4, 5]
    again = desk.judge(
        laid, "land", "not_met", note="  Terrain privé.  ", service="land", files=[file], seen=2
    )
    sheet = again.json()
    assert [one["criterion"] for one in sheet["criteria"]] == list(CRITERIA)
    assert (sheet["criteria_version"], sheet["version"], sheet["round"]) == (6, 1, 1)
    (land,) = (one for one in sheet["criteria"] if one["criterion"] == "land")
    assert (land["verdict"], land["note"], land["service"], land["version"]) == (
        "not_met", "Terrain privé.", "land", 6,
    )  # fmt: skip
    assert [(one["id"], one["name"]) for one in land["files"]] == [(file, "avis.pdf")]
    assert land["by"] == str(desk.people[0])
    # Who judged it stays who judged it where none is named; files stay unless given.
    (land,) = (
        one
        for one in desk.judge(laid, "land", "met").json()["criteria"]
        if one["criterion"] == "land"
    )
    assert (land["service"], len(land["files"])) == ("land", 1)
    other = desk.file()
    sheet = desk.judge(laid, "land", "met", files=[other]).json()
    assert [one["id"] for c in sheet["criteria"] for one in c["files"]] == [other]
    assert desk.said(laid)[1:] == []


@pytest.mark.parametrize(
    ("criterion", "change", "pointer"),
    [
        ("beauty", {}, "/criterion"),
        ("legal", {"verdict": "perhaps"}, "/verdict"),
        ("legal", {"note": ""}, "/note"),
        ("legal", {"note": "x" * 2001}, "/note"),
        ("legal", {"service": "army"}, "/service"),
        ("legal", {"seen": -1}, "/seen"),
        ("legal", {"files": ["x"]}, "/files/0"),
        ("legal", {"by": "me"}, "/by"),
    ],
)
def test_a_bad_criterion_stores_nothing(
    desk: Desk, criterion: str, change: dict[str, Any], pointer: str
) -> None:
    laid = desk.lay()
    with desk.nothing_stored():
        refused(desk.judge(laid, criterion, **change), 422, "invalid", pointer)


def test_of_two_who_judge_the_same_the_second_learns_of_the_first(desk: Desk) -> None:
    laid = desk.lay()
    desk.judged(laid, "technical")
    desk.judged(laid, "cost", "conditional", note="Devis manquant.", seen=0)
    with desk.nothing_stored():
        told = refused(desk.judge(laid, "cost", seen=0), 409, "changed_meanwhile")
    assert told["criteria"] == [
        {"criterion": "cost", "verdict": "conditional", "note": "Devis manquant.",
         "service": None, "version": 2}
    ]  # fmt: skip
    assert desk.judged(laid, "cost", seen=2) == 3


def test_another_persons_file_is_no_proof(desk: Desk) -> None:
    laid = desk.lay()
    taken, others = desk.file(), desk.file(uuid4())
    desk.judged(laid, "legal", files=[taken])
    with desk.nothing_stored():
        for file in (others, str(uuid4()), taken):
            answer = desk.judge(laid, "cost", files=[file])
            refused(answer, 422, "unknown_file", "/files/0")


def test_before_an_outcome_the_grid_is_the_reviewers_alone(desk: Desk) -> None:
    laid = desk.lay()
    file = desk.file()
    desk.judged(laid, "legal", "not_met", note="Litige en cours.", files=[file])
    desk.assign(laid, "legal", note="À voir avec le notaire.", due_on=day(desk, 3))
    outsiders = (
        None,
        laid.author,
        desk.person({PARAKOU: ("proposals.review",)}),
        desk.person({COTONOU: ("campaigns.manage",)}),
    )
    for who in outsiders:
        sheet = desk.sheet(laid, who)
        assert (sheet["criteria"], sheet["assignments"], sheet["reviews"]) == ([], [], [])
        assert sheet["criteria_version"] == 0
        assert "Litige" not in desk.call("GET", f"proposals/{laid.id}", who).text
        assert file not in str(sheet)
    assert len(desk.sheet(laid, desk.agent)["criteria"]) == 1

    desk.decided(laid, "not_feasible")
    for who in outsiders:
        sheet = desk.sheet(laid, who)
        (legal,) = sheet["criteria"]
        assert (legal["verdict"], legal["note"]) == ("not_met", "Litige en cours.")
        assert [one["id"] for one in legal["files"]] == [file]
        assert legal["by"] is None
        # Notes between services stay inside.
        assert sheet["assignments"] == []
        assert not [one for one in desk.people if str(one) in str(sheet)]


def test_what_is_judged_again_is_published_with_the_second_outcome(desk: Desk) -> None:
    laid = desk.lay()
    desk.judged(laid, "land", "not_met", note="Terrain privé.")
    desk.judged(laid, "legal", note="Conforme.")
    desk.decided(laid, "not_feasible")
    desk.answer(laid)
    desk.judged(laid, "land", note="Titre communal vérifié.")
    assert "Titre communal" not in str(desk.sheet(laid))
    assert [one["criterion"] for one in desk.sheet(laid)["criteria"]] == ["legal"]
    assert len(desk.sheet(laid, desk.agent)["criteria"]) == 2
    desk.decided(laid)
    told = {one["criterion"]: one["note"] for one in desk.sheet(laid)["criteria"]}
    assert told == {"legal": "Conforme.", "land": "Titre communal vérifié."}


def test_a_sheet_says_what_money_there_is(desk: Desk) -> None:
    laid = desk.lay(desk.campaign(needed=7))
    sheet = desk.sheet(laid)
    assert sheet["envelope"] == {"id": str(laid.envelope), "name": "Tous", "amount": 6_000_000}
    assert (sheet["estimated_cost"], sheet["cost"]) == (4_500_000, None)
    assert (sheet["endorsements"], sheet["endorsements_needed"]) == (0, 7)
    assert (sheet["phase"], sheet["status"], sheet["ref"]) == ("review", "submitted", laid.ref)
    assert sheet["answer"] is None


def test_a_hidden_proposals_sheet_is_not_there(desk: Desk) -> None:
    laid = desk.lay()
    desk.decided(laid)
    desk.run("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=laid.id)
    path = f"proposals/{laid.id}/review"
    refused(desk.call("GET", path), 404, "proposal_not_found")
    refused(desk.call("GET", path, desk.person()), 404, "proposal_not_found")
    assert desk.call("GET", path, desk.agent).status_code == 200


def test_services_are_asked_asked_again_and_let_go(desk: Desk) -> None:
    laid = desk.lay()
    made = desk.assign(laid, "finance", due_on=day(desk, 0), note="  Chiffrer.  ")
    assert made.status_code == 201, made.text
    desk.assign(laid, "land")
    told = desk.sheet(laid, desk.agent)["assignments"]
    assert [(one["service"], one["note"], one["done"], one["overdue"]) for one in told] == [
        ("finance", "Chiffrer.", False, False),
        ("land", "", False, False),
    ]
    desk.run(
        "UPDATE review_assignments SET due_on = due_on - 1 WHERE proposal_id = :id", id=laid.id
    )
    late = {one["service"]: one["overdue"] for one in desk.sheet(laid, desk.agent)["assignments"]}
    assert late == {"finance": True, "land": False}
    desk.judged(laid, "cost", service="finance")
    assert not any(one["overdue"] for one in desk.sheet(laid, desk.agent)["assignments"])
    done = {one["service"]: one["done"] for one in desk.sheet(laid, desk.agent)["assignments"]}
    assert done == {"finance": True, "land": False}
    # Asked again, it has to look again.
    desk.assign(laid, "finance")
    assert [one["done"] for one in desk.sheet(laid, desk.agent)["assignments"]] == [False, False]

    path = f"proposals/{laid.id}/review/assignments/land"
    assert desk.call("DELETE", path, desk.agent).status_code == 200
    assert [one["service"] for one in desk.sheet(laid, desk.agent)["assignments"]] == ["finance"]
    with desk.nothing_stored():
        refused(desk.call("DELETE", path, desk.agent), 404, "assignment_not_found")
        refused(desk.call("DELETE", f"{path}s", desk.agent), 422, "invalid", "/service")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"service": "army"}, "/service"),
        ({"due_on": "yesterday"}, "/due_on"),
        ({"due_on": "2020-01-01"}, "/due_on"),
        ({"due_on": "2101-01-01"}, "/due_on"),
        ({"note": "x" * 501}, "/note"),
    ],
)
def test_a_bad_assignment_stores_nothing(desk: Desk, change: dict[str, Any], pointer: str) -> None:
    laid = desk.lay()
    with desk.nothing_stored():
        refused(desk.assign(laid, **{"service": "legal", **change}), 422, "invalid", pointer)


def lay_queue(desk: Desk, campaign: tuple[UUID, UUID]) -> dict[str, Laid]:
    """Lay one proposal in each state, and some that are not for the queue."""
    laid: dict[str, Laid] = {state: desk.lay(campaign) for state in STATES}
    desk.assign(laid["assigned"], "finance")
    desk.assign(laid["overdue"], "legal", due_on=day(desk, 0))
    desk.assign(laid["overdue"], "land")
    desk.run(
        "UPDATE review_assignments SET due_on = due_on - 1 WHERE proposal_id = :id",
        id=laid["overdue"].id,
    )
    desk.judged(laid["overdue"], "technical", service="technical")
    for state in ("answered", "done"):
        desk.decided(laid[state], "not_feasible")
    desk.answer(laid["answered"])
    hidden, gone, _ = (desk.lay(campaign, draft=draft) for draft in (False, False, True))
    desk.run("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=hidden.id)
    desk.run("UPDATE proposals SET status = 'withdrawn' WHERE id = :id", id=gone.id)
    return laid


def test_the_queue_shows_where_each_proposal_stands(desk: Desk) -> None:
    campaign = desk.campaign()
    laid = lay_queue(desk, campaign)
    page = desk.queue(campaign=str(campaign[0]))
    assert [(one["ref"], one["state"]) for one in page["items"]] == [
        (one.ref, state) for state, one in laid.items()
    ]
    assert page["counts"] == dict.fromkeys(STATES, 1)
    assert page["next"] is None
    late = page["items"][2]
    assert late["criteria"] == {"done": 1, "total": 5}
    assert [(one["service"], one["overdue"]) for one in late["assignments"]] == [
        ("legal", True),
        ("land", False),
    ]
    assert page["items"][4]["outcome"] == "not_feasible"
    for state, one in laid.items():
        found = desk.queue(campaign=str(campaign[0]), state=state)
        assert [item["ref"] for item in found["items"]] == [one.ref]
        assert found["counts"] == page["counts"]
    assert not [one for one in desk.people if str(one) in str(page)]


def test_a_service_sees_what_it_was_asked_and_its_own_delay(desk: Desk) -> None:
    campaign = desk.campaign()
    laid = lay_queue(desk, campaign)
    asked: dict[str, Any] = {"campaign": str(campaign[0])}
    for service, state in (("legal", "overdue"), ("land", "assigned")):
        (one,) = desk.queue(**asked, service=service)["items"]
        assert (one["ref"], one["state"]) == (laid["overdue"].ref, state)
        assert [item["service"] for item in one["assignments"]] == [service]
    assert desk.queue(**asked, service="water")["items"] == []
    # Once it judged, it is late no more.
    desk.judged(laid["overdue"], "legal", service="legal")
    (one,) = desk.queue(**asked, service="legal")["items"]
    assert one["state"] == "assigned"


def test_an_answer_that_comes_to_nothing_is_done_when_the_vote_opens(desk: Desk) -> None:
    campaign = desk.campaign()
    laid = lay_queue(desk, campaign)
    desk.enter(campaign[0], "vote")
    found = desk.queue(campaign=str(campaign[0]))
    assert {one["ref"]: one["state"] for one in found["items"]} == {
        laid["answered"].ref: "done",
        laid["done"].ref: "done",
    }


def test_the_queue_is_paged_by_a_cursor(desk: Desk) -> None:
    campaign = desk.campaign()
    laid = [desk.lay(campaign) for _ in range(5)]
    # All of one moment: the id decides.
    desk.run(
        "UPDATE proposals SET submitted_at = '2026-01-01' WHERE campaign_id = :id", id=campaign[0]
    )
    url: str | None = f"reviews/queue?campaign={campaign[0]}&state=waiting&limit=2"
    refs: list[str] = []
    pages = 0
    while url:
        page = desk.call("GET", url.removeprefix("/api/v1/"), desk.agent).json()
        refs += [one["ref"] for one in page["items"]]
        assert page["counts"]["waiting"] == 5
        url, pages = page["next"], pages + 1
    assert refs == [one.ref for one in sorted(laid, key=lambda one: UUID(one.id))]
    assert pages == 3


def test_the_queue_is_its_communes_reviewers_own(desk: Desk) -> None:
    campaign = desk.campaign()
    laid = desk.lay(campaign)
    for query in (f"commune={COTONOU}", f"campaign={campaign[0]}"):
        path = f"reviews/queue?{query}"
        refused(desk.call("GET", path), 401, "unauthenticated")
        for grants in ({}, {PARAKOU: ("proposals.review",)}, {COTONOU: ("campaigns.manage",)}):
            refused(desk.call("GET", path, desk.person(grants)), 403, "forbidden")
        assert desk.call("GET", f"{path}&limit=200", desk.agent).status_code == 200
    # Another commune's agent learns nothing of a campaign by naming their own commune.
    other = desk.person({PARAKOU: ("proposals.review",)})
    found = desk.queue(other, commune=PARAKOU, campaign=str(campaign[0]))
    assert laid.ref not in str(found)
    assert found["counts"] == dict.fromkeys(STATES, 0)


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("", 422, "/commune"),
        ("commune=x", 422, "/commune"),
        ("commune=0801&state=asleep", 422, "/state"),
        ("commune=0801&service=army", 422, "/service"),
        ("commune=0801&cursor=x", 422, "/cursor"),
        ("commune=0801&limit=201", 422, "/limit"),
        (f"campaign={UUID(int=1)}", 404, ""),
    ],
)
def test_a_bad_question_is_refused(desk: Desk, query: str, status: int, pointer: str) -> None:
    answer = desk.call("GET", f"reviews/queue?{query}", desk.agent)
    code = "invalid" if status == 422 else "campaign_not_found"
    refused(answer, status, code, pointer)


def test_services_are_named(desk: Desk) -> None:
    found = desk.call("GET", "reviews/services").json()["items"]
    assert [one["code"] for one in found] == list(SERVICES)
    assert found[0] == {
        "code": "technical",
        "fr": "Services techniques",
        "en": "Technical services",
    }
