"""What agents do at the desk: assign, note, moderate, to one or many, and two at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import Response

from tests.apps import Tokens
from tests.integration.reports.desk_world import COTONOU, SAVE, DeskWorld, desk_world, refs
from tests.servers import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared(fresh_database: Database, tokens: Tokens) -> Iterator[DeskWorld]:
    with desk_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture
def world(shared: DeskWorld) -> DeskWorld:
    shared.clear()
    return shared


def code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# Assignment


def test_an_assignment_is_told_in_the_history_and_in_no_event(world: DeskWorld) -> None:
    ref = world.report()
    world.put("agents", {"name": "Akouavi", "agency": "roads"})
    body = {"agency": "roads", "assignee": str(world.me), "internal_note": "Camion le lundi"}
    found = world.post(f"reports/{ref}/assignment", body)
    assert (found["agency"], found["assignee"], found["version"]) == ("roads", str(world.me), 2)
    line = world.history(ref)[-1]
    assert (line["kind"], line["version"], line["status"]) == ("assignment", 2, "received")
    assert (line["actor_kind"], line["actor"]) == ("mairie", world.me)
    assert line["internal_note"] == "Camion le lundi"
    assert line["detail"] == {"agency": ["hygiene", "roads"], "assignee": [None, str(world.me)]}
    assert world.events(ref) == []
    world.post(f"reports/{ref}/assignment", {"assignee": None})
    assert world.row(ref)["assignee"] is None
    assert world.row(ref)["agency"] == "roads"  # not said, not changed
    assert world.history(ref)[-1]["detail"] == {"assignee": [str(world.me), None]}


ASSIGNMENTS = [
    ({}, 422, "invalid"),
    ({"agency": None}, 422, "invalid"),
    ({"agency": "navy"}, 422, "invalid"),
    ({"assignee": "me"}, 422, "invalid"),
    ({"assignee": str(uuid4())}, 422, "unknown_agent"),
    ({"agency": "roads", "version": 0}, 422, "invalid"),
    ({"agency": "roads", "surprise": 1}, 422, "invalid"),
    ({"agency": "roads", "internal_note": "x" * 2001}, 422, "invalid"),
    ({"agency": "roads", "internal_note": "a\x00b"}, 422, "invalid"),
    ({"agency": "hygiene"}, 409, "unchanged"),
    ({"agency": "roads", "version": 7}, 409, "changed_meanwhile"),
]


@pytest.mark.parametrize(("body", "status", "reason"), ASSIGNMENTS)
def test_bad_assignments_change_nothing(
    world: DeskWorld, body: dict[str, Any], status: int, reason: str
) -> None:
    ref = world.report()
    before = world.snapshot()
    assert code(world.call("POST", f"reports/{ref}/assignment", body)) == (status, reason)
    assert world.snapshot() == before


def test_an_agent_of_elsewhere_is_no_agent_here(world: DeskWorld) -> None:
    ref, other = world.report(), uuid4()
    headers = world.agent(SAVE, other)
    world.put("agents", {"name": "Bio"}, commune=SAVE, headers=headers)
    answer = world.call("POST", f"reports/{ref}/assignment", {"assignee": str(other)})
    assert code(answer) == (422, "unknown_agent")


def test_what_is_closed_is_assigned_to_nobody(world: DeskWorld) -> None:
    ref = world.report()
    world.status(ref, "resolved")
    answer = world.call("POST", f"reports/{ref}/assignment", {"agency": "roads"})
    assert code(answer) == (409, "transition_not_allowed")
    assert answer.json()["status_now"] == "resolved"


WRITES = [
    ("assignment", {"agency": "roads"}), ("notes", {"internal_note": "n"}),
    ("moderation", {"hidden": True, "reason": "r"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_desk_touches_its_own_communes_reports_only(
    world: DeskWorld, path: str, body: dict[str, Any]
) -> None:
    theirs = world.report(arrondissement="0405-01")
    both = world.tokens.bearer({COTONOU: ["reports.manage"], SAVE: ["reports.manage"]})
    before = world.snapshot()
    by_path = world.call("POST", f"reports/{theirs}/{path}", body, headers=both)
    assert code(by_path) == (404, "report_not_found")
    assert world.call("POST", f"reports/{theirs}/{path}", body).status_code == 403
    for key in (uuid4(), "S-2222222", "%00", "x" * 500):
        assert world.call("POST", f"reports/{key}/{path}", body).status_code == 404
    assert world.snapshot() == before


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_write_sent_twice_with_one_key_happens_once(
    world: DeskWorld, path: str, body: dict[str, Any]
) -> None:
    ref = world.report()
    headers = {**world.headers, "Idempotency-Key": str(uuid4())}
    first, again = (
        world.call("POST", f"reports/{ref}/{path}", body, headers=headers) for _ in range(2)
    )
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.history(ref)) == 2


# Notes


def test_a_public_note_is_an_answer_and_an_internal_one_is_not(world: DeskWorld) -> None:
    ref = world.report()
    world.post(f"reports/{ref}/notes", {"internal_note": "Voisin difficile"})
    assert world.row(ref)["answered_at"] is None
    world.post(f"reports/{ref}/notes", {"public_note": "Nous passons jeudi."})
    answered = world.row(ref)["answered_at"]
    assert answered == world.history(ref)[-1]["at"]
    world.post(f"reports/{ref}/notes", {"public_note": "Reporté à vendredi."})
    assert world.row(ref)["answered_at"] == answered  # the first one counts
    kinds = [(line["kind"], line["status"]) for line in world.history(ref)]
    assert kinds == [("status", "received"), *[("note", "received")] * 3]
    # Followers hear that something was said, twice; never what.
    assert world.events(ref) == ["noted.v1"] * 2
    assert code(world.call("POST", f"reports/{ref}/notes", {})) == (422, "invalid")


# Moderation


def attach(world: DeskWorld, ref: str) -> UUID:
    """Attach a photo."""
    upload = uuid4()
    world.execute("INSERT INTO uploads (id) VALUES (:id)", id=upload)
    world.execute(
        "INSERT INTO attachments (report_id, position, upload_id) "
        "SELECT id, (SELECT count(*) FROM attachments), :upload FROM reports WHERE ref = :ref",
        upload=upload,
        ref=ref,
    )
    return upload


def public(world: DeskWorld, ref: str) -> list[dict[str, Any]]:
    return world.rows("SELECT * FROM public_reports WHERE ref = :ref", ref=ref)


def photos(world: DeskWorld) -> list[UUID]:
    found = world.rows("SELECT upload_id FROM public_photos ORDER BY position")
    return [row["upload_id"] for row in found]


def test_hiding_and_showing_a_report_is_an_event_each(world: DeskWorld) -> None:
    ref = world.report()
    hide = {"hidden": True, "reason": "Injures envers un voisin"}
    assert world.post(f"reports/{ref}/moderation", hide)["hidden"] is True
    assert public(world, ref) == []
    assert code(world.call("POST", f"reports/{ref}/moderation", hide)) == (409, "unchanged")
    world.post(f"reports/{ref}/moderation", {"hidden": False, "reason": "Erreur"})
    assert len(public(world, ref)) == 1
    assert world.events(ref) == ["visibility_changed.v1"] * 2
    said = world.rows("SELECT payload, sequence FROM outbox ORDER BY position")[1:]
    assert [(e["payload"]["visible"], e["sequence"]) for e in said] == [(False, 2), (True, 3)]
    line = world.history(ref)[1]
    assert (line["kind"], line["internal_note"]) == ("moderation", "Injures envers un voisin")
    assert (line["detail"], line["public_note"]) == ({"hidden": True}, "")


def test_a_moderated_text_stands_for_the_reporters_until_it_is_taken_back(
    world: DeskWorld,
) -> None:
    ref = world.report(description="M. Dossou, 97 00 00 00, jette ses ordures")
    path = f"reports/{ref}/moderation"
    world.post(path, {"text": "Un voisin jette ses ordures", "reason": "nom et numéro"})
    assert public(world, ref)[0]["description"] == "Un voisin jette ses ordures"
    assert world.row(ref)["description"].startswith("M. Dossou")
    world.post(path, {"text": None, "reason": "accord de M. Dossou"})
    assert public(world, ref)[0]["description"].startswith("M. Dossou")
    assert world.events(ref) == []
    details = [line["detail"] for line in world.history(ref)[1:]]
    assert details == [{"text": "replaced"}, {"text": "restored"}]  # the words are nowhere else


def test_photos_are_hidden_one_by_one(world: DeskWorld) -> None:
    ref = world.report()
    first, second = attach(world, ref), attach(world, ref)
    path = f"reports/{ref}/moderation"
    world.post(path, {"hide": [str(first)], "reason": "visage"})
    assert photos(world) == [second]
    world.post(path, {"hide": [str(second)], "show": [str(first)], "reason": "l'autre"})
    assert photos(world) == [first]
    assert world.history(ref)[-1]["detail"] == {"hide": [str(second)], "show": [str(first)]}
    assert world.events(ref) == []


def test_photos_of_another_report_are_not_touched(world: DeskWorld) -> None:
    ref, other = world.report(), world.report()
    photo = attach(world, other)
    answer = world.call(
        "POST", f"reports/{ref}/moderation",
        {"hidden": True, "hide": [str(photo)], "reason": "visage"},
    )  # fmt: skip
    assert code(answer) == (422, "unknown_photo")
    assert world.row(ref)["hidden_at"] is None  # nothing half done
    assert photos(world) == [photo]


MODERATIONS: list[dict[str, Any]] = [
    {"reason": "rien"}, {"hidden": True}, {"hidden": True, "reason": ""},
    {"hidden": True, "reason": "  "}, {"text": "x", "reason": "court"}, {"text": 7, "reason": "r"},
    {"hide": ["../x"], "reason": "r"}, {"hide": [str(UUID(int=1))] * 7, "reason": "r"},
    {"hide": [str(UUID(int=1))], "show": [str(UUID(int=1))], "reason": "r"},
]  # fmt: skip


@pytest.mark.parametrize("body", MODERATIONS)
def test_a_moderation_says_what_and_why(world: DeskWorld, body: dict[str, Any]) -> None:
    ref = world.report()
    before = world.snapshot()
    assert code(world.call("POST", f"reports/{ref}/moderation", body)) == (422, "invalid")
    assert world.snapshot() == before


# Two agents at once


def at_once(*calls: Any) -> list[Response]:
    barrier = Barrier(len(calls))

    def run(call: Any) -> Response:
        barrier.wait()
        answer: Response = call()
        return answer

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_of_two_agents_at_once_one_wins_and_the_other_learns_what_changed(
    world: DeskWorld,
) -> None:
    ref = world.report()
    path = f"reports/{ref}/assignment"
    agencies = ["roads", "water", "police", "lighting"]
    answers = at_once(
        *(
            lambda agency=agency: world.call(
                "POST", path, {"agency": agency, "version": 1}, headers=world.agent()
            )
            for agency in agencies
        )
    )
    won = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert len(won) == 1
    for n in set(range(len(answers))) - set(won):
        problem = answers[n].json()
        assert (answers[n].status_code, problem["code"]) == (409, "changed_meanwhile")
        assert (problem["version_now"], problem["changed"]) == (2, "assignment")
    assert world.row(ref)["agency"] == agencies[won[0]]
    assert [line["version"] for line in world.history(ref)] == [1, 2]


def test_without_versions_nothing_of_either_is_lost(world: DeskWorld) -> None:
    ref = world.report()
    answers = at_once(
        *(
            lambda n=n: world.call("POST", f"reports/{ref}/notes", {"internal_note": f"note {n}"})
            for n in range(8)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 10))
    notes = {line["internal_note"] for line in world.history(ref)}
    assert notes == {"", *(f"note {n}" for n in range(8))}


def test_bulks_in_opposite_orders_do_not_wait_for_each_other(world: DeskWorld) -> None:
    pinned = [world.report() for _ in range(12)]

    def bulk(order: list[str], n: int) -> Response:
        action = {"type": "note", "internal_note": f"tournée {n}"}
        return world.call("POST", "reports/bulk", {"refs": order, "action": action})

    answers = at_once(*(lambda n=n: bulk(pinned[:: -1 if n % 2 else 1], n) for n in range(4)))
    assert [answer.json()["done"] for answer in answers] == [12] * 4
    assert {len(world.history(ref)) for ref in pinned} == {5}


def test_two_merges_that_meet_make_no_circle(world: DeskWorld) -> None:
    one, two = world.report(), world.report()

    def merge(ref: str, into: str) -> Response:
        action = {"type": "status", "status": "duplicate", "duplicate_of": into}
        return world.call("POST", "reports/bulk", {"refs": [ref], "action": action})

    answers = at_once(lambda: merge(one, two), lambda: merge(two, one))
    assert sorted(answer.json()["done"] for answer in answers) == [0, 1]
    (lost,) = [a.json()["outcomes"][0] for a in answers if not a.json()["done"]]
    assert lost["problem"]["code"] in ("merge_refused", "transition_not_allowed")
    assert sorted(world.row(ref)["status"] for ref in (one, two)) == ["duplicate", "received"]


# Bulk


def test_a_bulk_does_what_it_can_and_says_what_it_could_not(world: DeskWorld) -> None:
    fresh, done, seen, theirs = (
        world.report(), world.report(), world.report(), world.report(arrondissement="0405-01")
    )  # fmt: skip
    world.status(done, "resolved")
    world.status(seen, "acknowledged")
    wanted = [theirs, done, "S-2222222", seen, fresh.lower(), fresh]
    action = {"type": "status", "status": "acknowledged", "public_note": "Bien reçu"}
    body = {"refs": wanted, "action": action, "versions": {seen: 1, fresh: 1}}
    found = world.post("reports/bulk", body)
    assert (found["done"], found["refused"]) == (1, 4)
    told = {o["ref"]: o["problem"] and o["problem"]["code"] for o in found["outcomes"]}
    assert told == {
        theirs: "report_not_found",
        done: "transition_not_allowed",
        "S-2222222": "report_not_found",
        seen: "changed_meanwhile",
        fresh: None,
    }
    assert [o["ref"] for o in found["outcomes"]] == [theirs, done, "S-2222222", seen, fresh]
    assert found["outcomes"][3]["problem"]["version_now"] == 2
    assert found["outcomes"][4]["version"] == 2
    assert found["outcomes"][4]["status"] == world.row(fresh)["status"] == "acknowledged"
    assert [world.row(ref)["version"] for ref in (theirs, done, seen)] == [1, 2, 2]
    assert world.events(fresh) == ["status_changed.v1"]
    assert world.events(theirs) == []


def test_a_refusal_in_a_bulk_leaves_nothing_half_done(world: DeskWorld) -> None:
    ref, other = world.report(), world.report()
    photo = attach(world, ref)
    action = {"type": "moderate", "hidden": True, "hide": [str(photo)], "reason": "visage"}
    found = world.post("reports/bulk", {"refs": [other, ref], "action": action})
    assert [o["ok"] for o in found["outcomes"]] == [False, True]  # the photo is of one only
    assert found["outcomes"][0]["problem"]["code"] == "unknown_photo"
    assert world.row(other)["hidden_at"] is None
    assert len(world.history(other)) == 1
    assert world.row(ref)["hidden_at"] is not None
    assert (world.events(other), world.events(ref)) == ([], ["visibility_changed.v1"])


def test_every_action_works_in_bulk(world: DeskWorld) -> None:
    kept, twin, third = (world.report() for _ in range(3))
    world.put("agents", {"name": "Akouavi"})

    def bulk(action: dict[str, Any], *on: str) -> int:
        done: int = world.post("reports/bulk", {"refs": list(on), "action": action})["done"]
        return done

    assert bulk({"type": "assign", "assignee": str(world.me)}, kept, twin, third) == 3
    assert refs(world.get("reports", assignee="me")) == [third, twin, kept]
    merge = {"type": "status", "status": "duplicate", "duplicate_of": kept.lower()}
    assert bulk(merge, twin, third, kept) == 2  # not into itself
    assert [world.row(ref)["status"] for ref in (kept, twin, third)] == [
        "received", "duplicate", "duplicate"
    ]  # fmt: skip
    assert bulk({"type": "unmerge"}, twin, third) == 2
    assert world.row(twin)["status"] == "received"
    assert bulk({"type": "correct", "category": "drainage"}, twin, third) == 2
    assert {world.row(ref)["category"] for ref in (twin, third)} == {"drainage"}
    assert bulk({"type": "note", "public_note": "Merci"}, kept, twin) == 2
    assert world.row(kept)["answered_at"] is not None


BULKS: list[dict[str, Any]] = [
    {}, {"refs": [], "action": {"type": "note", "internal_note": "n"}},
    {"refs": ["S-2222222"] * 101, "action": {"type": "note", "internal_note": "n"}},
    {"refs": ["S-2222222"], "action": {"type": "burn"}},
    {"refs": ["S-2222222"], "action": {"type": "note"}},
    {"refs": ["S-2222222"], "action": {"type": "status", "status": "rejected"}},
    {"refs": ["S-2222222"], "action": {"type": "note", "internal_note": "n", "version": 3}},
    {"refs": ["x" * 41], "action": {"type": "note", "internal_note": "n"}},
    {"refs": ["\x00"], "action": {"type": "note", "internal_note": "n"}},
    {"refs": [["S-2222222"]], "action": {"type": "note", "internal_note": "n"}},
    {"refs": ["S-2222222"], "action": {"type": "note", "internal_note": "n"}, "versions": [1]},
]  # fmt: skip


@pytest.mark.parametrize("body", BULKS)
def test_a_bulk_that_means_nothing_is_refused_whole(world: DeskWorld, body: dict[str, Any]) -> None:
    assert code(world.call("POST", "reports/bulk", body)) == (422, "invalid")


def test_a_hundred_reports_are_one_bulk_and_a_replay_is_none(world: DeskWorld) -> None:
    pinned = [world.report() for _ in range(100)]
    body = {"refs": pinned, "action": {"type": "status", "status": "in_progress"}}
    headers = {**world.headers, "Idempotency-Key": str(uuid4())}
    first = world.post("reports/bulk", body, headers=headers)
    assert first["done"] == 100
    assert world.post("reports/bulk", body, headers=headers) == first
    assert {len(world.history(ref)) for ref in pinned} == {2}


# The directory


def test_agents_enter_themselves_and_who_grants_roles_enters_others(world: DeskWorld) -> None:
    colleague = uuid4()
    world.put("agents", {"name": "Akouavi", "agency": "roads"})
    other = {"name": "Bio", "user_id": str(colleague)}
    assert code(world.call("PUT", "agents", other)) == (403, "forbidden")
    admin = world.agent(COTONOU, None, "roles.grant")
    world.put("agents", other, headers=admin)
    world.put("agents", {"name": "Akouavi D.", "agency": None})  # a second time corrects
    assert world.get("agents") == [
        {"user_id": str(world.me), "name": "Akouavi D.", "agency": None},
        {"user_id": str(colleague), "name": "Bio", "agency": None},
    ]
    for body in ({"name": ""}, {"name": "a\nb"}, {"name": "x" * 81}, {"name": "A", "agency": "x"}):
        assert code(world.call("PUT", "agents", body)) == (422, "invalid")


def test_who_has_open_reports_stays_in_the_directory(world: DeskWorld) -> None:
    ref = world.report()
    world.put("agents", {"name": "Akouavi"})
    world.post(f"reports/{ref}/assignment", {"assignee": str(world.me)})
    path = f"agents/{world.me}"
    assert code(world.call("DELETE", path)) == (409, "agent_busy")
    assert code(world.call("DELETE", path, headers=world.agent())) == (403, "forbidden")
    world.status(ref, "resolved")
    assert world.call("DELETE", path).json() == []
    assert code(world.call("DELETE", path)) == (404, "agent_not_found")
