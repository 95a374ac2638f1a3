"""The life of a report: merged and parted, corrected, rewritten, withdrawn, reopened, confirmed."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from services.reports.domain import STATUSES, TRANSITIONS
from tests.apps import Tokens, rows
from tests.media import photo
from tests.servers import Database

pytestmark = pytest.mark.integration

COMMUNE = "0801"
PLACE = {"lon": 2.4301, "lat": 6.3702}


class World:
    """People around some reports of one commune."""

    def __init__(self, client: TestClient, tokens: Tokens, database: Database) -> None:
        self.client = client
        self.tokens = tokens
        self.database = database
        self.agent = tokens.agent(COMMUNE)

    def pin(self, who: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        body = {**PLACE, "category": "waste", "description": "Ordures au carrefour", **more}
        headers = who if who is not None else self.tokens.bearer()
        answer = self.client.post("/api/v1/reports", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, ref: str, what: str, who: dict[str, str], code: int = 200, **body: Any) -> Any:
        answer = self.client.post(f"/api/v1/reports/{ref}/{what}", json=body, headers=who)
        assert answer.status_code == code, answer.text
        return answer.json()

    def step(self, ref: str, status: str, who: dict[str, str] | None = None, **more: Any) -> Any:
        return self.post(ref, "status", who or self.agent, status=status, **more)

    def desk(self, ref: str, **what: Any) -> Any:
        url = f"/api/v1/desk/{COMMUNE}/reports/{ref}/moderation"
        return self.client.post(url, json={"reason": "injure", **what}, headers=self.agent)

    def moderate(self, ref: str, **what: Any) -> None:
        answer = self.desk(ref, **what)
        assert answer.status_code == 200, answer.text

    def get(self, ref: str, who: dict[str, str] | None = None) -> Any:
        answer = self.client.get(f"/api/v1/reports/{ref}", headers=who or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        found = rows(
            self.database,
            "reports",
            "SELECT type, sequence, payload FROM outbox "
            f"WHERE subject = '{report['id']}' ORDER BY sequence",
        )
        return found

    def sql(self, query: str) -> list[dict[str, Any]]:
        return rows(self.database, "reports", query)


@pytest.fixture
def world(client: TestClient, tokens: Tokens, fresh_database: Database) -> World:
    return World(client, tokens, fresh_database)


def person(tokens: Tokens) -> tuple[uuid.UUID, dict[str, str]]:
    user = uuid.uuid4()
    return user, tokens.bearer(user=user)


def test_a_whole_life_status_history_events_and_followers_agree(
    world: World, tokens: Tokens
) -> None:
    author, me = person(tokens)
    neighbour, other = person(tokens)
    made = world.pin(me)
    ref = made["ref"]
    world.post(ref, "support", other)
    steps = [
        ("acknowledged", world.agent, {"public_note": "Vu.", "internal_note": "Camion 3"}),
        ("waiting", world.agent, {"public_note": "Le camion est en panne."}),
        ("in_progress", world.agent, {}),
        ("resolved", world.agent, {"public_note": "Enlevé."}),
        ("reopened", me, {"public_note": "Il en reste."}),
        ("in_progress", world.agent, {}),
        ("resolved", world.agent, {}),
        ("confirmed", me, {}),
    ]
    for status, who, more in steps:
        world.step(ref, status, who, **more)
    found = world.get(ref)
    wanted = ["received", *(status for status, _, _ in steps)]
    assert found["status"] == "confirmed"
    assert [line["status"] for line in found["history"]] == wanted
    assert [line["by"] for line in found["history"]].count("citizen") == 3
    events = world.events(made)
    assert [e["sequence"] for e in events] == list(range(1, len(wanted) + 1))
    assert [e["payload"]["status"] for e in events] == wanted
    assert found["answered_at"]
    assert found["closed_at"]
    assert found["version"] == len(wanted)
    assert "Camion 3" not in str(events) + str(found)
    assert world.get(ref, world.agent)["staff"]["followers"] == 2
    for who, own in ((me, True), (other, False)):
        mine = world.client.get("/api/v1/reports/mine", headers=who).json()
        assert [(m["ref"], m["status"], m["own"]) for m in mine] == [(ref, "confirmed", own)]
    assert str(author) not in str(events)
    assert str(neighbour) not in str(events)


def test_no_step_outside_the_table(world: World, tokens: Tokens) -> None:
    _, me = person(tokens)
    more: dict[str, dict[str, str]] = {
        "rejected": {"reason": "not_found"},
        "forwarded": {"forwarded_to": "SBEE"},
        "duplicate": {"duplicate_of": world.pin()["ref"]},
    }
    reached = {"received": world.pin(me)["ref"]}
    paths = {
        "acknowledged": ["acknowledged"],
        "in_progress": ["in_progress"],
        "waiting": ["waiting"],
        "resolved": ["resolved"],
        "confirmed": ["resolved", "confirmed"],
        "reopened": ["resolved", "reopened"],
        "rejected": ["rejected"],
        "forwarded": ["forwarded"],
        "duplicate": ["duplicate"],
        "withdrawn": ["withdrawn"],
    }
    for status, path in paths.items():
        ref = reached[status] = world.pin(me)["ref"]
        for step in path:
            citizen = step in ("confirmed", "withdrawn")
            world.step(ref, step, me if citizen else world.agent, **more.get(step, {}))
    assert set(reached) == set(STATUSES)
    for status, ref in reached.items():
        for to in set(STATUSES) - set(TRANSITIONS[status]):  # type: ignore[index]
            body = {"status": to, **more.get(to, {})}
            answer = world.client.post(
                f"/api/v1/reports/{ref}/status", json=body, headers=world.agent
            )
            assert (answer.status_code, answer.json()["code"]) == (409, "transition_not_allowed")


def test_two_agents_at_once_one_wins_and_the_other_learns_what_changed(
    world: World, tokens: Tokens
) -> None:
    ref = world.pin()["ref"]
    agents = [tokens.agent(COMMUNE) for _ in range(2)]

    def answer(agent: dict[str, str], status: str) -> Any:
        body = {"status": status, "version": 1, "internal_note": f"note {status}"}
        return world.client.post(f"/api/v1/reports/{ref}/status", json=body, headers=agent)

    with ThreadPoolExecutor(2) as pool:
        tried = list(pool.map(answer, agents, ("in_progress", "waiting")))
    assert sorted(a.status_code for a in tried) == [200, 409]
    refused = next(a.json() for a in tried if a.status_code == 409)
    won = next(a.json() for a in tried if a.status_code == 200)
    assert refused["code"] == "changed_meanwhile"
    assert (refused["version_now"], refused["status_now"]) == (2, won["status"])
    assert len(world.get(ref)["history"]) == 2


def test_merging_keeps_every_follower_and_un_merging_gives_them_back(
    world: World, tokens: Tokens
) -> None:
    (_, a), (_, b), (_, c), (_, d) = (person(tokens) for _ in range(4))
    first, second = world.pin(a), world.pin(b)
    nameless = world.pin({}, anonymous=True)
    world.post(first["ref"], "support", c)
    world.post(second["ref"], "support", c)  # the same person on both
    world.step(second["ref"], "acknowledged")
    world.step(second["ref"], "duplicate", duplicate_of=first["ref"])
    world.step(nameless["ref"], "duplicate", duplicate_of=first["id"])
    found = world.get(first["ref"], world.agent)
    # b, c and the anonymous one besides a; c is one person.
    assert found["supports"] == 3
    assert found["staff"]["followers"] == 3
    assert found["duplicates"] == [second["ref"], nameless["ref"]]
    assert world.get(second["ref"])["duplicate_of"] == first["ref"]
    # New supports while merged, on either page.
    assert world.post(second["ref"], "support", d)["supports"] == 4  # of the whole problem
    assert world.get(first["ref"])["supports"] == 4
    assert world.post(first["ref"], "support", d)["supports"] == 4
    world.post(second["ref"], "unmerge", world.agent)
    parted = world.get(second["ref"])
    assert (parted["status"], parted["duplicate_of"], parted["supports"]) == (
        "acknowledged",
        None,
        2,
    )
    assert world.get(first["ref"])["supports"] == 3  # c, d and the anonymous one
    said = [
        (e["payload"]["status"], e["payload"]["duplicate_of"]) for e in world.events(second)[2:]
    ]
    assert said == [("duplicate", first["id"]), ("acknowledged", None)]
    kinds = [line["kind"] for line in world.get(first["ref"])["history"]]
    assert kinds == ["status", "merge", "merge", "unmerge"]
    world.post(second["ref"], "unmerge", world.agent, 409)


def test_merges_never_make_a_cycle(world: World, tokens: Tokens) -> None:
    one, two, three = (world.pin() for _ in range(3))
    elsewhere = world.pin(lon=2.65, lat=9.33)
    assert elsewhere["commune"] == "0405"

    def refused(report: dict[str, Any], into: dict[str, Any], code: int) -> str:
        body = {"status": "duplicate", "duplicate_of": into["ref"]}
        url = f"/api/v1/reports/{report['ref']}/status"
        answer = world.client.post(url, json=body, headers=world.agent)
        assert answer.status_code == code, answer.text
        return str(answer.json()["code"])

    assert refused(one, one, 409) == "merge_refused"
    assert refused(one, elsewhere, 422) == "invalid"
    world.step(two["ref"], "duplicate", duplicate_of=one["ref"])
    assert refused(three, two, 409) == "merge_refused"  # named: take the one it was merged into
    assert refused(one, two, 409) == "merge_refused"
    world.step(one["ref"], "duplicate", duplicate_of=three["ref"])  # a tree is lawful
    assert refused(three, one, 409) == "merge_refused"
    assert world.get(two["ref"])["duplicate_of"] == three["ref"]
    assert world.get(three["ref"])["supports"] == 2


def test_two_merges_at_once_make_no_cycle(world: World) -> None:
    for _ in range(6):
        one, two = world.pin(), world.pin()

        def merge(pair: tuple[str, str]) -> int:
            body = {"status": "duplicate", "duplicate_of": pair[1]}
            url = f"/api/v1/reports/{pair[0]}/status"
            return world.client.post(url, json=body, headers=world.agent).status_code

        with ThreadPoolExecutor(2) as pool:
            codes = list(pool.map(merge, [(one["ref"], two["ref"]), (two["ref"], one["ref"])]))
        assert codes.count(200) == 1, codes
        assert set(codes) <= {200, 409, 503}


def test_a_wrong_category_or_commune_is_corrected_without_losing_the_report(
    world: World, tokens: Tokens
) -> None:
    _, me = person(tokens)
    made = world.pin(me, lon=2.362, lat=6.372, commune="0801")
    before = world.get(made["ref"], me)
    after = world.post(made["ref"], "correction", me, category="drainage", commune="0301")
    assert (after["category"], after["commune"]) == ("drainage", "0301")
    assert after["arrondissement"] is None or after["arrondissement"].startswith("0301-")
    assert (before["agency"], after["agency"]) == ("hygiene", "roads")
    assert after["due_at"] > before["due_at"]
    line = after["history"][-1]
    assert line["kind"] == "correction"
    assert line["detail"] == {"category": ["waste", "drainage"], "commune": ["0801", "0301"]}
    (event,) = (e for e in world.events(made) if "corrected" in e["type"])
    assert (event["sequence"], event["payload"]["commune"]) == (2, "0301")
    world.post(made["ref"], "correction", world.agent, 403, category="roads")  # not theirs now
    world.post(made["ref"], "correction", me, 422, category="drainage")  # says so already
    world.post(made["ref"], "correction", me, 422, commune="0101")
    world.post(made["ref"], "correction", me, 422)


def test_a_sensitive_place_is_shown_on_a_grid_and_exact_to_its_author_only(
    world: World, tokens: Tokens
) -> None:
    _, me = person(tokens)
    made = world.pin(me, category="noise", lon=2.430777, lat=6.370111)
    shown = world.get(made["ref"])
    assert (shown["lon"], shown["lat"]) == (2.43, 6.37)
    assert world.get(made["ref"], me)["lon"] == 2.430777
    assert world.get(made["ref"], world.agent)["lat"] == 6.370111
    assert "2.430777" not in str(world.events(made))
    # Corrected, it stays on the grid: a wrong click must not show a household for ever.
    world.post(made["ref"], "correction", me, category="waste")
    assert world.get(made["ref"])["lon"] == 2.43
    assert "2.430777" not in str(world.events(made))


def test_an_author_takes_back_what_was_too_much(world: World, tokens: Tokens) -> None:
    _, me = person(tokens)
    made = world.pin(me, description="Je suis Afi, appelez le 01 97 00 00 42", landmark="chez Afi")
    world.step(made["ref"], "resolved")
    world.step(made["ref"], "reopened", me, public_note="Afi attend au 01 97 00 00 42")
    world.post(made["ref"], "redaction", world.agent, 403, description="Rien à voir")
    world.post(made["ref"], "redaction", me, 422, description="Rien", notes={"2": "non"})
    after = world.post(
        made["ref"], "redaction", me, description="Ordures", notes={"3": "Toujours là"}
    )
    assert (after["description"], after["landmark"]) == ("Ordures", "")
    for table in ("reports", "history", "outbox", "idempotency_keys"):
        dump = str(world.sql(f"SELECT * FROM {table}"))
        assert "Afi" not in dump, table
    assert world.get(made["ref"])["history"][-1]["public_note"] == "Toujours là"


def test_a_stored_answer_keeps_no_words(world: World, tokens: Tokens) -> None:
    _, me = person(tokens)
    made = world.pin(me, description="Mots à reprendre plus tard")
    headers = {**world.agent, "Idempotency-Key": str(uuid.uuid4())}
    url = f"/api/v1/reports/{made['ref']}/status"
    answers = [
        world.client.post(url, json={"status": "acknowledged"}, headers=headers) for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[1].json() == answers[0].json()
    assert "reprendre" not in str(world.sql("SELECT * FROM idempotency_keys"))


def test_the_preview_shows_what_looks_personal(world: World) -> None:
    text = "Appelez +229 01 97 00 00 42 ou afi@exemple.bj, dossier 123456789012"
    answer = world.client.post("/api/v1/reports/preview", json={"description": text}).json()
    assert [(p["kind"], p["text"]) for p in answer["personal"]] == [
        ("phone", "+229 01 97 00 00 42"),
        ("email", "afi@exemple.bj"),
        ("number", "123456789012"),
    ]
    calm = {"description": "Depuis le 12 mars 2026, 3 lampadaires sur 10 sont éteints"}
    assert world.client.post("/api/v1/reports/preview", json=calm).json()["personal"] == []


def test_a_withdrawn_report_is_nowhere_but_with_its_author(world: World, tokens: Tokens) -> None:
    _, me = person(tokens)
    made = world.pin(me)
    world.step(made["ref"], "withdrawn", me)
    assert world.client.get(f"/api/v1/reports/{made['ref']}").status_code == 404
    assert world.get(made["ref"], me)["status"] == "withdrawn"
    listed = world.client.get("/api/v1/reports?commune=0801&limit=200").text
    assert made["ref"] not in listed
    answer = world.client.post(
        f"/api/v1/reports/{made['ref']}/support", json={}, headers=tokens.bearer()
    )
    assert answer.status_code == 404


def test_due_dates_follow_the_calendar_of_benin(world: World) -> None:
    made = world.pin()
    (row,) = world.sql(
        "SELECT created_at, due_at, answer_due_at, "
        "(SELECT count(*) FROM working_days WHERE day > (created_at AT TIME ZONE "
        "'Africa/Porto-Novo')::date AND day <= (due_at AT TIME ZONE 'Africa/Porto-Novo')::date) "
        f"AS days FROM reports WHERE id = '{made['id']}'"
    )
    assert row["days"] == 5
    # The Friday before Easter Monday 2026 and three working days: Thursday.
    (easter,) = world.sql(
        "SELECT working_day_after('2026-04-03T10:00Z', 3) AT TIME ZONE 'Africa/Porto-Novo' AS due"
    )
    assert str(easter["due"]) == "2026-04-09 23:59:59"


def test_routing_rules_choose_the_agency(world: World, fresh_database: Database) -> None:
    engine = create_engine(fresh_database.url("reports"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO routing_rules VALUES "
                "('0801', 1, 'noise', NULL, '20:00', '06:00', 'front-desk'),"
                "('0801', 2, 'waste', NULL, NULL, NULL, 'front-desk')"
            )
        )
        night, day = (
            connection.scalar(text(f"SELECT routed_agency('0801', 'noise', NULL, '{at}')"))
            for at in ("2026-05-01T23:30Z", "2026-05-01T12:00Z")
        )
    engine.dispose()
    assert (night, day) == ("front-desk", None)
    assert world.get(world.pin()["ref"])["agency"] == "front-desk"
    assert world.get(world.pin(category="roads")["ref"])["agency"] == "roads"


def test_a_hidden_duplicate_is_named_to_nobody(world: World) -> None:
    master, hidden = world.pin(), world.pin()
    world.step(hidden["ref"], "duplicate", duplicate_of=master["ref"])
    assert hidden["ref"] in str(world.get(master["ref"]))
    world.moderate(hidden["ref"], hidden=True)
    assert hidden["ref"] not in str(world.get(master["ref"]))
    assert hidden["ref"] in str(world.get(master["ref"], world.agent))
    world.moderate(master["ref"], hidden=True)
    world.moderate(hidden["ref"], hidden=False)
    assert master["ref"] not in str(world.get(hidden["ref"]))


def test_of_a_hidden_report_nothing_is_said_until_it_is_shown_again(world: World) -> None:
    made = world.pin()
    world.moderate(made["ref"], hidden=True)
    world.step(made["ref"], "in_progress")
    world.post(made["ref"], "correction", world.agent, category="drainage")
    types = [e["type"].split(".")[-2] for e in world.events(made)]
    assert types == ["received", "visibility_changed"]
    world.moderate(made["ref"], hidden=False)
    last = world.events(made)[-1]
    assert last["sequence"] == 5
    now = last["payload"]["now"]
    assert (last["payload"]["visible"], now["status"], now["category"]) == (
        True,
        "in_progress",
        "drainage",
    )


def test_a_supporter_reads_the_moderated_words(world: World, tokens: Tokens) -> None:
    _, other = person(tokens)
    made = world.pin(description="Koffi est un voleur")
    world.post(made["ref"], "support", other)
    world.moderate(made["ref"], text="Texte revu")
    mine = world.client.get("/api/v1/reports/mine", headers=other).text
    assert "Texte revu" in mine
    assert "Koffi" not in mine


def test_landmark_and_citizens_notes_are_moderated_and_can_be_put_back_by_agents_only(
    world: World, tokens: Tokens
) -> None:
    _, me = person(tokens)
    made = world.pin(me, landmark="chez Koffi")
    world.step(made["ref"], "resolved", public_note="Fait.")
    world.step(made["ref"], "reopened", me, public_note="Koffi est un voleur")
    world.moderate(made["ref"], landmark="Carrefour", notes={"3": "(retiré)"})
    seen = world.get(made["ref"])
    assert (seen["landmark"], seen["history"][-1]["public_note"]) == ("Carrefour", "(retiré)")
    assert "Koffi" not in str(seen)
    assert "Koffi" in str(world.get(made["ref"], world.agent)["history"])
    refused = world.desk(made["ref"], notes={"2": "autre"})
    assert refused.status_code == 422  # the mairie's own words are not a citizen's
    # Its author takes the words back: nobody has them any more.
    world.post(made["ref"], "redaction", me, description="Ordures", landmark="")
    assert "Koffi" not in str(world.sql("SELECT * FROM history"))


def test_followers_of_a_duplicate_follow_what_it_was_merged_into(
    world: World, tokens: Tokens
) -> None:
    _, me = person(tokens)
    _, stranger = person(tokens)
    master, mine = world.pin(), world.pin(me)
    world.step(mine["ref"], "duplicate", duplicate_of=master["ref"])
    world.step(master["ref"], "resolved")
    (listed,) = world.client.get("/api/v1/reports/mine", headers=me).json()
    assert (listed["status"], listed["merged_into"]) == ("resolved", master["ref"])
    assert world.get(master["ref"], me)["allowed"] == ["confirmed", "reopened"]
    assert world.get(master["ref"], stranger)["allowed"] == []
    world.step(master["ref"], "reopened", stranger, code=403)
    world.step(master["ref"], "reopened", me, public_note="Toujours là")
    assert world.get(master["ref"])["status"] == "reopened"
    world.post(master["ref"], "redaction", me, 403, description="Pas le mien")


def test_the_database_itself_keeps_history(world: World, fresh_database: Database) -> None:
    made = world.pin()
    world.step(made["ref"], "acknowledged", public_note="Vu.", internal_note="Interne")
    engine = create_engine(fresh_database.url("reports"))
    for change in (
        "DELETE FROM history",
        "UPDATE history SET status = 'resolved'",
        "UPDATE history SET internal_note = ''",
        "UPDATE history SET public_note = 'Autre' WHERE version = 2",
        "UPDATE history SET at = now()",
        "UPDATE history SET actor = gen_random_uuid()",
        "UPDATE history SET detail = '{\"x\": 1}' WHERE version = 2",
    ):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(f"{change}"))
    engine.dispose()


def test_what_its_author_took_away_nobody_puts_back(
    world: World, tokens: Tokens, fresh_database: Database
) -> None:
    _, me = person(tokens)
    sent = world.client.post("/api/v1/uploads", content=photo())
    upload = sent.json()["id"]
    made = world.pin(me, photos=[upload])
    assert world.client.get(f"/api/v1/uploads/{upload}").status_code == 200
    world.post(made["ref"], "redaction", me, description="Sans photo", remove=[upload])
    assert world.client.get(f"/api/v1/uploads/{upload}").status_code == 404
    body = {**PLACE, "category": "waste", "description": "La photo d'un autre", "photos": [upload]}
    again = world.client.post("/api/v1/reports", json=body, headers=tokens.bearer())
    assert (again.status_code, again.json()["code"]) == (422, "unknown_photo")


def test_no_row_joins_a_person_to_a_photo_or_to_a_code(world: World, tokens: Tokens) -> None:
    user, me = person(tokens)
    headers = {**me, "Idempotency-Key": str(uuid.uuid4())}
    upload = world.client.post("/api/v1/uploads", content=photo(), headers=headers).json()["id"]
    made = world.pin({}, anonymous=True, photos=[upload])
    code = {"X-Follow-Up-Token": made["follow_up_token"]}
    headers = {**me, **code, "Idempotency-Key": str(uuid.uuid4())}
    world.post(made["ref"], "correction", headers, category="roads")
    for table in ("idempotency_keys", "history", "reports", "supports"):
        assert str(user) not in str(world.sql(f"SELECT * FROM {table}")), table


def test_the_words_of_a_merged_report_s_author_are_not_the_master_s_to_rewrite(
    world: World, tokens: Tokens
) -> None:
    (_, mine), (_, other) = person(tokens), person(tokens)
    master, merged = world.pin(mine), world.pin(other)
    world.step(merged["ref"], "duplicate", duplicate_of=master["ref"])
    world.step(master["ref"], "resolved")
    world.step(master["ref"], "reopened", other, public_note="Toujours là")
    version = world.get(master["ref"])["version"]
    forged = {"description": "Ordures", "notes": {str(version): "Tout va bien"}}
    world.post(master["ref"], "redaction", mine, 422, **forged)
    assert world.get(master["ref"])["history"][-1]["public_note"] == "Toujours là"
    assert "merged" not in str(world.get(master["ref"])["history"])
    world.moderate(master["ref"], notes={str(version): "(retiré)"})  # the mairie may


def test_withdrawing_a_master_gives_its_duplicates_back(world: World, tokens: Tokens) -> None:
    (_, mine), (_, other) = person(tokens), person(tokens)
    master, merged = world.pin(mine), world.pin(other)
    world.step(merged["ref"], "acknowledged")
    world.step(merged["ref"], "duplicate", duplicate_of=master["ref"])
    world.step(master["ref"], "withdrawn", mine)
    found = world.get(merged["ref"], other)
    assert (found["status"], found["duplicate_of"]) == ("acknowledged", None)
    assert world.events(merged)[-1]["payload"]["status"] == "acknowledged"


def test_supports_merges_and_bulk_notes_at_once_never_block_one_another(
    world: World, tokens: Tokens
) -> None:
    master, merged = world.pin(), world.pin()
    world.step(merged["ref"], "duplicate", duplicate_of=master["ref"])
    note = {
        "refs": [merged["ref"], master["ref"]],
        "action": {"type": "note", "internal_note": "x"},
    }

    def support(_: int) -> int:
        url = f"/api/v1/reports/{merged['ref']}/support"
        return world.client.post(url, json={}, headers=tokens.bearer()).status_code

    def bulk(_: int) -> int:
        url = f"/api/v1/desk/{COMMUNE}/reports/bulk"
        return world.client.post(url, json=note, headers=world.agent).status_code

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, n) for n in range(12) for work in (support, bulk)]
    assert {one.result() for one in done} == {200}
    assert world.get(master["ref"])["supports"] == 13


def test_what_is_near_is_shown_with_its_photo_and_summary(world: World) -> None:
    upload = world.client.post("/api/v1/uploads", content=photo()).json()["id"]
    here = {"lon": 2.44, "lat": 6.38}
    made = world.pin(**here, photos=[upload], description="Ordures " * 40)
    query = "lon=2.4401&lat=6.38&category=waste"
    (found,) = world.client.get(f"/api/v1/reports/duplicates?{query}").json()["features"]
    shown = found["properties"]
    assert shown["ref"] == made["ref"]
    assert shown["photo"] == f"/api/v1/uploads/{upload}?size=thumb"
    assert world.client.get(shown["photo"]).headers["content-type"] == "image/jpeg"
    assert (len(shown["summary"]) <= 141, shown["distance_m"]) == (True, 11)
