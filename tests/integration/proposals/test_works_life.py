"""A work from its vote to its completion: states, plans, delays, photos, what citizens say."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.accounts.tokens import Signer
from services.proposals.models import Campaign, Proposal
from services.proposals.works import domain as rules
from services.proposals.works import repository, service
from tests.integration.proposals.works_world import (
    MANAGER,
    TREASURER,
    Works,
    code_of,
    tomorrow,
    works_world,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def works(fresh_database: Database, signer: Signer) -> Iterator[Works]:
    with works_world(fresh_database, signer) as made:
        yield made


def test_each_funded_proposal_becomes_one_work_whatever_comes_again(works: Works) -> None:
    campaign = works.campaign()
    proposals = [works.fund(campaign, cost) for cost in (4_800_000, 2_000_000)]
    for _ in range(3):
        with works.sessions.begin() as session:
            service.open_works(
                session,
                session.get_one(Campaign, campaign["id"]),
                [session.get_one(Proposal, one) for one in proposals],
                at=datetime.now(UTC),
                traceparent=TRACE,
            )
    rows = works.rows("SELECT * FROM works WHERE campaign_id = :c", c=campaign["id"])
    assert {row["proposal_id"]: row["voted_cost"] for row in rows} == dict(
        zip(proposals, (4_800_000, 2_000_000), strict=True)
    )
    for row in rows:
        assert row["ref"].startswith("T-")
        (event,) = works.events(row["ref"])
        assert (event["type"], event["sequence"], event["traceparent"]) == ("opened", 1, TRACE)
        assert event["payload"]["voted_cost"] == row["voted_cost"]
        assert event["payload"]["geometry"]["type"] == "Point"
        found = works.get(row["ref"])
        assert [line["kind"] for line in found["journal"]] == ["opened"]
        assert (found["status"], found["progress"], found["version"]) == ("planned", 0, 1)
        assert found["balance"] == row["voted_cost"]
        with works.sessions() as session:
            assert repository.work_ref(session, row["proposal_id"]) == row["ref"]
    with works.sessions() as session:
        assert repository.work_ref(session, works.fund(campaign)) is None


def test_a_work_goes_through_its_table_and_tells_each_step(works: Works) -> None:
    ref = works.work()
    works.take(ref, "tendering", "under_way", "suspended", "under_way")
    works.post(ref, "progress", progress=40, note="Fondations coulées.")
    works.post(ref, "completion", note="Tout est posé.")
    found = works.get(ref)
    assert [line["kind"] for line in found["journal"]] == [
        "opened", "status", "status", "status", "status", "progress", "completed",
    ]  # fmt: skip
    events = works.events(ref)
    assert [one["type"] for one in events] == ["opened", *["changed"] * 6, "completed"]
    assert [one["sequence"] for one in events] == list(range(1, 9))
    assert [line["version"] for line in found["journal"]] == [1, 2, 3, 4, 5, 6, 8]
    assert [one["payload"]["status"] for one in events[1:7]] == [
        "tendering", "under_way", "suspended", "under_way", "under_way", "completed",
    ]  # fmt: skip
    assert (found["status"], found["progress"], found["version"]) == ("completed", 100, 8)
    assert found["completed_at"] is not None
    works.post(ref, "reopen", reason="Deux lampadaires ne s'allument pas.")
    found = works.get(ref)
    assert (found["status"], found["completed_at"]) == ("under_way", None)
    assert found["journal"][-1]["detail"] == {"status": ["completed", "under_way"]}


@pytest.mark.parametrize("status", rules.STATUSES)
def test_what_the_table_does_not_hold_is_refused(works: Works, status: Any) -> None:
    ref = works.work(status=status)
    allowed = works.get(ref, works.builder)["allowed"]
    assert allowed == rules.allowed(status)
    for other in set(rules.STATUSES) - set(allowed):
        with works.nothing_stored():
            answer = works.call("POST", f"{ref}/status", {"status": other, "note": "Oui."})
            assert code_of(answer) == (409, "wrong_state")
            assert (answer.json()["status_now"], answer.json()["allowed"]) == (status, allowed)
    for act, way in (("completion", "completion"), ("reopen", "reopening")):
        body = {"note": "Fini."} if act == "completion" else {"reason": "Encore."}
        if not rules.allowed(status, way):  # type: ignore[arg-type]
            with works.nothing_stored():
                answer = works.call("POST", f"{ref}/{act}", body)
                assert code_of(answer) == (409, "wrong_state")


def test_giving_up_is_explained(works: Works) -> None:
    ref = works.work()
    with works.nothing_stored():
        answer = works.call("POST", f"{ref}/status", {"status": "abandoned"})
        assert code_of(answer) == (422, "note_needed")
        assert answer.json()["errors"][0]["pointer"] == "/note"
    works.post(ref, "status", status="abandoned", note="Le terrain est en litige.")
    assert works.get(ref)["journal"][-1]["note"] == "Le terrain est en litige."


def test_progress_never_falls_in_silence(works: Works) -> None:
    ref = works.work(status="under_way")
    works.post(ref, "progress", progress=60)
    works.post(ref, "progress", progress=60)
    with works.nothing_stored():
        answer = works.call("POST", f"{ref}/progress", {"progress": 59})
        assert code_of(answer) == (422, "note_needed")
    found = works.post(ref, "progress", progress=30, note="Un mur est à refaire.")
    assert found["progress"] == 30
    assert found["journal"][-1]["detail"] == {"progress": [60, 30]}
    for value in (-1, 101, 50.5, "50", True, None):
        with works.nothing_stored():
            answer = works.call("POST", f"{ref}/progress", {"progress": value, "note": "?"})
            assert code_of(answer) == (422, "invalid")
    planned = works.work()
    with works.nothing_stored():
        answer = works.call("POST", f"{planned}/progress", {"progress": 10})
        assert code_of(answer) == (409, "wrong_state")


def test_the_first_end_stays_known_and_a_later_one_needs_a_reason(works: Works) -> None:
    ref = works.work()
    with works.nothing_stored():
        answer = works.call("POST", f"{ref}/delay", {"ends_on": tomorrow(), "reason": "Pluie"})
        assert code_of(answer) == (409, "end_not_set")
    first, later, latest = tomorrow(10), tomorrow(20), tomorrow(30)
    body = {"contractor": "Entreprise Gbégamey", "starts_on": tomorrow(), "ends_on": first}
    assert works.call("PATCH", ref, body).status_code == 200
    found = works.get(ref)
    assert (found["ends_on"], found["first_ends_on"], found["delayed"]) == (first, first, False)
    assert found["journal"][-1]["detail"] == {
        "contractor": ["", "Entreprise Gbégamey"],
        "starts_on": [None, tomorrow()],
        "ends_on": [None, first],
    }
    assert works.call("PATCH", ref, body).json()["version"] == found["version"]  # nothing new
    with works.nothing_stored():
        answer = works.call("PATCH", ref, {"ends_on": later})
        assert code_of(answer) == (422, "end_is_set")
        answer = works.call("PATCH", ref, {"starts_on": later})
        assert code_of(answer) == (422, "invalid")
        for same in (first, tomorrow(9)):
            answer = works.call("POST", f"{ref}/delay", {"ends_on": same, "reason": "Pluie"})
            assert code_of(answer) == (422, "not_later")
        assert works.call("POST", f"{ref}/delay", {"ends_on": later}).status_code == 422
        answer = works.call("POST", f"{ref}/delay", {"ends_on": later, "reason": "  "})
        assert answer.status_code == 422
    works.post(ref, "delay", ends_on=later, reason="Le ciment manque.")
    works.post(ref, "delay", ends_on=latest, reason="La saison des pluies.")
    found = works.get(ref)
    assert (found["ends_on"], found["first_ends_on"], found["delayed"]) == (latest, first, True)
    told = [line for line in found["journal"] if line["kind"] == "delay"]
    assert [(line["note"], line["detail"]["ends_on"]) for line in told] == [
        ("Le ciment manque.", [first, later]),
        ("La saison des pluies.", [later, latest]),
    ]
    assert works.events(ref)[-1]["payload"]["delayed"] is True
    assert works.call("PATCH", ref, {"contractor": "Un autre"}).json()["first_ends_on"] == first


def test_a_plan_changes_and_what_was_reached_stays(works: Works) -> None:
    ref = works.work()

    def plan(*titles: str, **more: Any) -> Any:
        body = {"milestones": [{"title": title} for title in titles], **more}
        return works.call("PUT", f"{ref}/milestones", body)

    found = plan("Marché signé", "Fouilles", "Mâts").json()
    signed, dug, _ = found["milestones"]
    today = datetime.now(UTC).date().isoformat()
    with works.nothing_stored():
        path = f"milestones/{signed['id']}/reached"
        answer = works.call("POST", f"{ref}/{path}", {"reached_on": tomorrow(2)})
        assert code_of(answer) == (422, "not_a_day")
        answer = works.call("POST", f"{ref}/milestones/{uuid4()}/reached", {"reached_on": today})
        assert code_of(answer) == (404, "milestone_not_found")
    works.post(ref, path, reached_on=today)
    with works.nothing_stored():
        answer = works.call("POST", f"{ref}/{path}", {"reached_on": today})
        assert code_of(answer) == (409, "milestone_reached")
    found = plan("Fouilles", "Câbles").json()
    assert [(one["title"], one["reached_on"]) for one in found["milestones"]] == [
        ("Marché signé", today), ("Fouilles", None), ("Câbles", None),
    ]  # fmt: skip
    assert [one["id"] for one in found["milestones"][:2]] == [signed["id"], dug["id"]]
    with works.nothing_stored():
        assert plan("Fouilles", "Fouilles").status_code == 422
        assert code_of(plan("Mâts", seen=1)) == (409, "changed_meanwhile")


def test_photos_come_with_their_place_and_only_photos(works: Works) -> None:
    ref = works.work(status="under_way")
    photo = works.photo(works.builder)
    found = works.post(ref, "progress", progress=20, photos=[photo])
    (shown,) = found["journal"][-1]["photos"]
    assert (shown["id"], shown["lon"], shown["lat"]) == (photo, 2.42, 6.37)
    with works.nothing_stored():
        for wrong in (photo, str(uuid4()), works.photo(works.treasurer)):
            answer = works.call("POST", f"{ref}/notes", {"note": "Vu.", "photos": [wrong]})
            assert code_of(answer) == (422, "unknown_file")
        paper = works.photo(works.builder, "document")
        answer = works.call("POST", f"{ref}/notes", {"note": "Vu.", "photos": [paper]})
        assert code_of(answer) == (422, "photos_only")
        assert answer.json()["errors"][0]["pointer"] == "/photos/0"


def test_who_has_seen_an_older_work_learns_what_it_is_now(works: Works) -> None:
    ref = works.work(status="tendering")
    seen = works.get(ref)["version"]
    works.spent(ref, "commitment", 1_000_000)
    with works.nothing_stored():
        answer = works.call("POST", f"{ref}/status", {"status": "under_way", "seen": seen})
        assert code_of(answer) == (409, "changed_meanwhile")
    said = answer.json()
    assert (said["version_now"], said["status_now"], said["committed_now"]) == (
        seen + 1, "tendering", 1_000_000,
    )  # fmt: skip
    works.post(ref, "status", status="under_way", seen=seen + 1)


ACTS: dict[str, dict[str, Any]] = {
    "status": {"status": "tendering"},
    "progress": {"progress": 1},
    "delay": {"ends_on": tomorrow(), "reason": "Pluie"},
    "notes": {"note": "Vu."},
    "completion": {"note": "Fini."},
    "reopen": {"reason": "Encore."},
    "entries": {"kind": "payment", "amount": 1, "dated": "2026-01-02", "label": "Avance"},
}


@pytest.mark.parametrize("act", ACTS)
def test_only_who_may_does_it_and_only_while_works_are_open(works: Works, act: str) -> None:
    campaign = works.campaign()
    (ref,) = works.open(campaign, works.fund(campaign))
    right = works.treasurer if act == "entries" else works.builder
    strangers = [
        works.token(),
        works.token(MANAGER),
        works.token({"0405": ("works.manage", "works.spend")}),
        works.builder if act == "entries" else works.token(TREASURER),
    ]
    with works.nothing_stored():
        assert works.call("POST", f"{ref}/{act}", ACTS[act], {}).status_code == 401
        for stranger in strangers:
            answer = works.call("POST", f"{ref}/{act}", ACTS[act], stranger)
            assert code_of(answer) == (403, "forbidden")
        assert works.call("POST", f"T-22222/{act}", ACTS[act], right).status_code == 404
        works.enter(campaign, "closed")
        assert code_of(works.call("POST", f"{ref}/{act}", ACTS[act], right)) == (409, "wrong_phase")


def test_anybody_reads_and_no_person_is_named(works: Works) -> None:
    ref = works.work(status="completed")
    citizen = uuid4()
    headers = works.token(user=citizen)
    body = {"verdict": "disputed", "note": "Il en manque un."}
    assert works.call("POST", f"{ref}/confirmations", body, headers).status_code == 200
    works.spent(ref, "commitment", 4_000_000)
    answer = works.client.get(f"/api/v1/works/{ref}")
    assert answer.status_code == 200
    actors = [row["id"] for row in works.rows(
        "SELECT actor::text AS id FROM journal WHERE actor IS NOT NULL "
        "UNION SELECT actor::text FROM ledger UNION SELECT user_id::text FROM confirmations"
    )]  # fmt: skip
    assert len(actors) >= 3
    assert not [one for one in (*actors, str(citizen)) if one in answer.text]
    assert (answer.json()["allowed"], answer.json()["may"]) == ([], [])
    assert works.get(ref, works.builder)["may"] == ["manage", "reopen", "confirm"]
    assert works.get(ref, works.treasurer)["may"] == ["spend", "confirm"]
    by_id = works.client.get(f"/api/v1/works/{answer.json()['id']}").json()
    assert by_id == answer.json()
    assert works.client.get("/api/v1/works/T-222222").status_code == 404


def test_a_title_that_the_mairie_hid_is_not_told_by_its_work(works: Works) -> None:
    ref = works.work(title="Un titre injurieux")
    proposal = works.get(ref)["proposal"]
    assert proposal["title"] == "Un titre injurieux"
    works.execute("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=proposal["id"])
    campaign = works.get(ref)["campaign"]
    for path in (f"works/{ref}", f"works?campaign={campaign}", f"campaigns/{campaign}/money"):
        answer = works.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert "injurieux" not in answer.text
        assert proposal["ref"] in answer.text


def test_what_was_hidden_before_the_works_began_is_not_told(works: Works) -> None:
    campaign = works.campaign()
    hidden = works.fund(campaign, title="Un titre injurieux")
    works.execute("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=hidden)
    (ref,) = works.open(campaign, hidden)
    (opened,) = works.events(ref)
    assert opened["payload"]["title"] == opened["payload"]["proposal_ref"]


def test_works_are_listed_as_geojson_page_by_page(works: Works) -> None:
    campaign = works.campaign()
    refs = works.open(campaign, *(works.fund(campaign) for _ in range(5)))
    works.take(refs[0], "tendering")
    path, seen = f"/api/v1/works?campaign={campaign['id']}&limit=2", []
    while path:
        page = works.client.get(path).json()
        seen += page["features"]
        path = page["next"]
    assert sorted(one["properties"]["ref"] for one in seen) == sorted(refs)
    assert {one["geometry"]["type"] for one in seen} == {"Point"}
    assert {one["properties"]["delayed"] for one in seen} == {False}
    path = f"/api/v1/works?campaign={campaign['id']}&status=tendering&commune=0801"
    assert [one["properties"]["ref"] for one in works.client.get(path).json()["features"]] == [
        refs[0]
    ]
    assert works.client.get("/api/v1/works?commune=0405").json()["features"] == []
    assert works.client.get("/api/v1/works?status=nowhere").status_code == 422


def test_citizens_say_whether_it_is_finished_once_each(works: Works) -> None:
    ref = works.work(status="under_way")

    def say(verdict: str, who: dict[str, str], **more: Any) -> Any:
        return works.call("POST", f"{ref}/confirmations", {"verdict": verdict, **more}, who)

    one, two = works.token(), works.token()
    with works.nothing_stored():
        assert code_of(say("confirmed", one)) == (409, "not_completed")
    works.post(ref, "completion", note="Tout est posé.")
    with works.nothing_stored():
        assert say("confirmed", {}).status_code == 401
        assert code_of(say("disputed", one)) == (422, "note_needed")
        assert say("disputed", one, note="x" * 501).status_code == 422
        assert say("perhaps", one).status_code == 422
    assert say("confirmed", one).json()["mine"]["verdict"] == "confirmed"
    said = len(works.events(ref))
    assert say("confirmed", one).json()["confirmed"] == 1  # said again, counted once
    assert len(works.events(ref)) == said
    say("confirmed", two)
    found = say("disputed", one, note="Il en manque un.").json()
    assert (found["confirmed"], found["disputed"]) == (1, 1)
    shown = works.get(ref)["confirmations"]
    assert shown["mine"] is None
    assert [(n["verdict"], n["note"], n["key"]) for n in shown["notes"]] == [
        ("disputed", "Il en manque un.", None)
    ]
    checked = [e["payload"] for e in works.events(ref) if e["type"] == "checked"]
    assert [(one["confirmed"], one["disputed"]) for one in checked] == [(1, 0), (2, 0), (1, 1)]
    assert "note" not in checked[-1]


def test_the_mairie_hides_a_note_and_the_verdict_still_counts(works: Works) -> None:
    ref = works.work(status="completed")
    body = {"verdict": "disputed", "note": "Injure !"}
    author = works.token()
    works.call("POST", f"{ref}/confirmations", body, author)
    (note,) = works.get(ref, works.manager)["confirmations"]["notes"]
    path, hide = f"{ref}/confirmations/moderation", {"key": note["key"], "hidden": True}
    with works.nothing_stored():
        assert code_of(works.call("POST", path, hide, author)) == (403, "forbidden")
        wrong = {"key": "0" * 32, "hidden": True}
        assert code_of(works.call("POST", path, wrong, works.manager)) == (404, "note_not_found")
    assert works.call("POST", path, hide, works.manager).status_code == 200
    shown = works.get(ref)["confirmations"]
    assert (shown["notes"], shown["disputed"]) == ([], 1)
    # its author cannot put it back by saying it again
    works.call("POST", f"{ref}/confirmations", body, author)
    assert works.get(ref)["confirmations"]["notes"] == []
    works.call("POST", path, {**hide, "hidden": False}, works.manager)
    assert len(works.get(ref)["confirmations"]["notes"]) == 1


def test_a_finished_work_names_the_reports_that_led_to_it(works: Works) -> None:
    reports = [uuid4(), uuid4()]
    ref = works.work(status="completed", reports=reports)
    (told,) = [one["payload"] for one in works.events(ref) if one["type"] == "completed"]
    assert told["reports"] == [str(one) for one in reports]
    assert works.get(ref)["reports"] == [str(one) for one in reports]


def test_no_stored_answer_keeps_what_citizens_wrote(works: Works) -> None:
    ref = works.work(status="completed")
    citizen = works.token()

    def post(path: str, body: dict[str, Any], who: dict[str, str]) -> Any:
        headers = {**who, "Idempotency-Key": str(uuid4())}
        first, again = (works.call("POST", f"{ref}/{path}", body, headers) for _ in range(2))
        assert (first.status_code, again.json()) == (200, first.json()), first.text
        assert again.headers["Idempotent-Replayed"] == "true"
        return first.json()

    said = post("confirmations", {"verdict": "disputed", "note": "Il en manque un."}, citizen)
    assert said["mine"]["note"] == "Il en manque un."
    whole = post("notes", {"note": "Nous vérifions."}, works.builder)
    assert whole["confirmations"]["notes"][0]["note"] == "Il en manque un."
    (note,) = works.get(ref, works.manager)["confirmations"]["notes"]
    hide = {"key": note["key"], "hidden": False}
    post("confirmations/moderation", hide, works.manager)
    assert "Il en manque un." not in str(works.rows("SELECT * FROM idempotency_keys"))


def test_the_same_request_twice_is_one_act(works: Works) -> None:
    ref = works.work()
    headers = {**works.builder, "Idempotency-Key": str(uuid4())}
    answers = [
        works.call("POST", f"{ref}/notes", {"note": "Le chantier ouvre."}, headers)
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert [line["kind"] for line in works.get(ref)["journal"]] == ["opened", "note"]
