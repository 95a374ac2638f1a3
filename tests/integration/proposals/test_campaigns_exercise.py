"""A campaign's life: announced, changed, prolonged, frozen, counted, closed, begun again."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from services.common.events.envelope import Undecodable
from services.proposals.campaigns import domain as rules
from services.proposals.campaigns import service
from tests.integration.proposals.world import COTONOU, World, plan

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
MILLION = 1_000_000
Json = dict[str, Any]


def announce(world: World, **changes: Any) -> Json:
    body = {
        "commune": COTONOU,
        "title": "Budget participatif",
        "budget": 10 * MILLION,
        "phases": plan("ideas", "review", "vote", "results"),
        **changes,
    }
    answer = world.client.post("/api/v1/campaigns", json=body, headers=world.agent())
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    assert answer.headers["Location"] == f"/api/v1/campaigns/{found['id']}"
    return found


def act(
    world: World, campaign: Mapping[str, Any], path: str, body: Json, status: int = 200
) -> Json:
    """Post as an agent; ``path`` empty: change the campaign itself."""
    url = f"/api/v1/campaigns/{campaign['id']}{path and '/' + path}"
    method = "POST" if path else "PATCH"
    answer = world.client.request(method, url, json=body, headers=world.agent())
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def go(world: World, campaign: Mapping[str, Any], *phases: str) -> Json:
    for phase in phases:
        found = act(world, campaign, "phase", {"phase": phase, "reason": "Tout est prêt."})
    return found


def shortlist(world: World, campaign: Mapping[str, Any], *costs: int, **changes: Any) -> list[str]:
    """Propose and shortlist a project for each cost; return their ids."""
    made = [world.propose(campaign, estimated_cost=MILLION, **changes)["id"] for _ in costs]
    with world.engine.begin() as connection:
        for one, cost in zip(made, costs, strict=True):
            connection.execute(
                text("UPDATE proposals SET status = 'shortlisted', cost = :cost WHERE id = :id"),
                {"cost": cost, "id": one},
            )
    return made


def history(world: World, campaign: Mapping[str, Any]) -> list[Json]:
    found = world.client.get(f"/api/v1/campaigns/{campaign['id']}/history").json()["items"]
    assert all("actor" not in line for line in found)
    return list(found)


def read(world: World, campaign: Mapping[str, Any], **headers: Any) -> Json:
    found: Json = world.client.get(f"/api/v1/campaigns/{campaign['id']}", **headers).json()
    return found


def arrondissement(world: World) -> str:
    """Return the arrondissement in which the world's proposals lie."""
    lon, lat = world.point()
    [row] = world.rows(
        "SELECT code FROM reference.arrondissements WHERE commune_code = '0801' "
        "AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))",
        lon=lon,
        lat=lat,
    )
    return str(row["code"])


def test_envelopes_and_what_they_leave_are_the_budget(world: World) -> None:
    here = arrondissement(world)
    made = announce(
        world,
        envelopes=[
            {"name": "Le quartier", "amount": 4 * MILLION, "arrondissement": here},
            {"name": "Éclairage", "amount": 1, "theme": "lighting"},
        ],
    )
    shown = [(e["name"], e["amount"], e["kind"]) for e in made["envelopes"]]
    assert shown == [
        ("Le quartier", 4 * MILLION, "arrondissement"),
        ("Éclairage", 1, "theme"),
        ("Toute la commune", 6 * MILLION - 1, "commune"),
    ]
    [event] = world.events(made["id"])
    assert event["type"] == "bj.palabre.campaign.published.v1"
    assert [(e["name"], e["theme"]) for e in event["payload"]["envelopes"]] == [
        ("Le quartier", None), ("Éclairage", "lighting"), ("Toute la commune", None),
    ]  # fmt: skip
    alone = announce(world)
    assert [(e["name"], e["amount"]) for e in alone["envelopes"]] == [
        ("Toute la commune", 10 * MILLION)
    ]


@pytest.mark.parametrize(
    ("envelopes", "code", "pointer"),
    [
        ([{"name": "Trop", "amount": 10 * MILLION + 1}], "over_budget", "/envelopes"),
        (
            [{"name": "Est", "amount": 1}, {"name": "EST", "amount": 1}],
            "invalid",
            "/envelopes/1/name",
        ),
        (
            [{"name": "Ailleurs", "amount": 1, "arrondissement": "0802-01"}],
            "unknown_arrondissement",
            "/envelopes/0/arrondissement",
        ),
        (
            [{"name": "Deux", "amount": 1, "arrondissement": "0801-01", "theme": "eau"}],
            "invalid",
            "/envelopes/0",
        ),
        ([{"name": "Une phrase", "amount": 1, "theme": "l'eau pour tous"}], "invalid",
         "/envelopes/0/theme"),
        ([{"name": "toute la commune", "amount": 1}], "invalid", "/envelopes"),
        ([{"name": "Moitié", "amount": 1.5}], "invalid", "/envelopes/0/amount"),
        ([{"name": "Rien", "amount": 0}], "invalid", "/envelopes/0/amount"),
        ([{"name": f"E{n}", "amount": 1} for n in range(51)], "invalid", "/envelopes"),
    ],
)  # fmt: skip
def test_envelopes_that_cannot_be(
    world: World, envelopes: list[Json], code: str, pointer: str
) -> None:
    body = {
        "commune": COTONOU, "title": "Budget", "budget": 10 * MILLION, "phases": plan("ideas"),
        "envelopes": envelopes,
    }  # fmt: skip
    with world.nothing_stored():
        answer = world.client.post("/api/v1/campaigns", json=body, headers=world.agent())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_an_early_change_of_phase_needs_a_reason_that_all_can_read(world: World) -> None:
    made = announce(world)
    opened = act(world, made, "phase", {"phase": "ideas"})  # preparation had no announced end
    assert (opened["phase"], opened["allowed"]) == ("ideas", ["review"])
    with world.nothing_stored():
        refused = act(world, made, "phase", {"phase": "review", "reason": "  "}, 422)
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("reason_needed", "/reason")
    act(world, made, "phase", {"phase": "review", "reason": "Dépôt clos par accord du conseil."})
    lines = history(world, made)
    assert [(one["kind"], one["by"], one["reason"]) for one in lines] == [
        ("published", "agent", ""),
        ("phase", "agent", ""),
        ("phase", "agent", "Dépôt clos par accord du conseil."),
    ]
    assert lines[2]["detail"] == {"previous": "ideas", "phase": "review", "early": True}
    told = world.events(made["id"])
    assert [one["payload"].get("early") for one in told] == [None, False, True]
    assert [one["sequence"] for one in told] == [line["version"] for line in lines]
    [actors] = world.rows(
        "SELECT count(actor) AS n FROM campaign_history WHERE campaign_id = :id", id=made["id"]
    )
    assert actors["n"] == 3


def test_of_two_agents_one_changes_the_phase(world: World) -> None:
    made = announce(world)
    url = f"/api/v1/campaigns/{made['id']}/phase"

    def enter(_: int) -> tuple[int, str]:
        answer = world.client.post(url, json={"phase": "ideas"}, headers=world.agent())
        return answer.status_code, answer.json().get("code", "")

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(enter, range(2)))
    assert found == [(200, ""), (409, "wrong_phase")]
    assert len(history(world, made)) == 2


def test_a_phase_is_prolonged_and_the_later_ones_move_on(world: World) -> None:
    made = announce(world)
    before = {one["phase"]: one for one in made["phases"]}
    ends = datetime.fromisoformat(before["review"]["closes_at"])
    body = {
        "phase": "review",
        "closes_at": (ends + 5 * DAY).isoformat(),
        "reason": "Les services techniques ont besoin de temps.",
    }
    after = {one["phase"]: one for one in act(world, made, "calendar", body)["phases"]}
    assert after["ideas"] == before["ideas"]
    for phase in ("vote", "results"):
        for end in ("opens_at", "closes_at"):
            moved = datetime.fromisoformat(after[phase][end])
            assert moved - datetime.fromisoformat(before[phase][end]) == 5 * DAY
    told = world.events(made["id"])[-1]
    assert told["type"] == "bj.palabre.campaign.calendar_changed.v1"
    assert (told["payload"]["phase"], told["payload"]["by"]) == ("review", "agent")
    assert [one["phase"] for one in told["payload"]["phases"]] == [
        "ideas", "review", "vote", "results",
    ]  # fmt: skip
    line = history(world, made)[-1]
    assert (line["kind"], line["reason"]) == ("calendar", body["reason"])
    assert [one["phase"] for one in line["detail"]["phases"]] == ["review", "vote", "results"]


def test_no_phase_is_shortened_or_changed_once_over(world: World) -> None:
    made = announce(world)
    go(world, made, "ideas", "review")
    dates = {one["phase"]: one for one in made["phases"]}

    def refused(phase: str, closes_at: str, reason: str = "Un motif") -> tuple[str, str]:
        body = {"phase": phase, "closes_at": closes_at, "reason": reason}
        url = f"/api/v1/campaigns/{made['id']}/calendar"
        with world.nothing_stored():
            answer = world.client.post(url, json=body, headers=world.agent())
        errors = answer.json().get("errors", [{}])
        return answer.json()["code"], errors[0].get("pointer", "")

    later = (datetime.now(UTC) + 300 * DAY).isoformat()
    assert refused("review", dates["review"]["closes_at"]) == ("shortens", "/closes_at")
    assert refused("vote", dates["vote"]["opens_at"]) == ("shortens", "/closes_at")
    assert refused("ideas", later) == ("phase_over", "")
    assert refused("works", later) == ("not_planned", "/phase")
    assert refused("review", later, " ") == ("invalid", "/reason")
    assert refused("review", "2127-01-01T00:00:00Z") == ("invalid", "/closes_at")
    assert read(world, made)["phases"] == made["phases"]


def test_the_vote_is_prolonged_only_while_it_is_open(world: World) -> None:
    made = announce(world)
    go(world, made, "ideas", "review")
    shortlist_in_review(world, made)
    voting = go(world, made, "vote")
    [vote] = [one for one in voting["phases"] if one["phase"] == "vote"]
    ends = datetime.fromisoformat(vote["closes_at"])
    body = {"phase": "vote", "closes_at": (ends + DAY).isoformat(), "reason": "Une panne."}
    assert act(world, made, "calendar", body)["version"] == voting["version"] + 1
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE campaign_phases SET opens_at = now() - interval '9 days', "
                "closes_at = now() - interval '1 day' WHERE campaign_id = :id AND phase = 'vote'"
            ),
            {"id": made["id"]},
        )
    body["closes_at"] = (ends + 9 * DAY).isoformat()
    assert act(world, made, "calendar", body, 409)["code"] == "phase_over"


def shortlist_in_review(world: World, campaign: Mapping[str, Any], *costs: int) -> list[str]:
    """Shortlist projects of a campaign that collects no more ideas."""
    with world.engine.begin() as connection:
        set_phase = text("UPDATE campaigns SET phase = :phase WHERE id = :id")
        connection.execute(set_phase, {"phase": "ideas", "id": campaign["id"]})
    made = shortlist(world, campaign, *(costs or (MILLION,)))
    with world.engine.begin() as connection:
        connection.execute(set_phase, {"phase": "review", "id": campaign["id"]})
    return made


def test_the_freeze_numbers_by_envelope_what_all_can_see(world: World) -> None:
    here = arrondissement(world)
    made = announce(
        world,
        envelopes=[
            {"name": "Le quartier", "amount": 4 * MILLION, "arrondissement": here},
            {"name": "Eau", "amount": 3 * MILLION, "theme": "water"},
        ],
    )
    go(world, made, "ideas")
    names = [e["id"] for e in made["envelopes"]]
    last, hidden = shortlist(world, made, 3 * MILLION, 2 * MILLION, envelope=names[2])
    first, second = shortlist(world, made, MILLION, 2 * MILLION)
    [third] = shortlist(world, made, MILLION, theme="water", envelope=names[1])
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET hidden_at = now() WHERE id = :id"), {"id": hidden}
        )
    order = [first, second, third, last]
    before = world.client.get(f"/api/v1/campaigns/{made['id']}/shortlist").json()["envelopes"]
    assert [p["id"] for e in before for p in e["proposals"]] == order
    assert all(p["number"] is None for e in before for p in e["proposals"])

    assert go(world, made, "vote")["counts"]["shortlisted"] == 4
    frozen, entered = world.events(made["id"])[-2:]
    assert frozen["type"] == "bj.palabre.campaign.ballot_frozen.v1"
    projects = frozen["payload"]["projects"]
    assert [(p["id"], p["number"]) for p in projects] == list(zip(order, [1, 2, 3, 4], strict=True))
    assert [p["envelope"] for p in projects] == [names[0], names[0], names[1], names[2]]
    assert [e["amount"] for e in frozen["payload"]["envelopes"]] == [
        4 * MILLION, 3 * MILLION, 3 * MILLION,
    ]  # fmt: skip
    assert entered["payload"]["phase"] == "vote"
    found = world.client.get(f"/api/v1/campaigns/{made['id']}/shortlist").json()["envelopes"]
    assert [[p["number"] for p in e["proposals"]] for e in found] == [[1, 2], [3], [4]]
    assert [e["total"] for e in found] == [3 * MILLION, MILLION, 3 * MILLION]
    # Shown again, it is not on the ballot all the same.
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET hidden_at = NULL WHERE id = :id"), {"id": hidden}
        )
    again = world.client.get(f"/api/v1/campaigns/{made['id']}/shortlist").json()["envelopes"]
    assert again == found

    with world.sessions.begin() as session:
        funded = service.record_results(session, UUID(made["id"]), [UUID(third), UUID(first)])
        assert [str(one.id) for one in funded] == [first, third]
    statuses = world.rows(
        "SELECT id::text, status FROM proposals WHERE campaign_id = :id", id=made["id"]
    )
    assert {one["id"]: one["status"] for one in statuses} == {
        first: "funded", second: "not_funded", third: "funded", last: "not_funded",
        hidden: "shortlisted",
    }  # fmt: skip
    line = history(world, made)[-1]
    assert (line["by"], line["detail"]["phase"]) == ("count", "results")
    assert world.events(made["id"])[-1]["payload"]["by"] == "count"
    # The same count again: trying it is no use.
    with world.sessions() as session, pytest.raises(Undecodable):
        service.record_results(session, UUID(made["id"]), [UUID(third)])


def test_a_late_vote_moves_what_was_planned_after_it(world: World) -> None:
    past = plan("ideas", "vote", "results", start=datetime.now(UTC) - 80 * DAY)
    made = announce(world, phases=past)
    go(world, made, "ideas")
    shortlist(world, made, MILLION)
    voting = {one["phase"]: one for one in go(world, made, "vote")["phases"]}
    assert datetime.fromisoformat(voting["vote"]["closes_at"]) > datetime.now(UTC) + 13 * DAY
    assert voting["results"]["opens_at"] == voting["vote"]["closes_at"]
    kinds = [one["type"].split(".")[3] for one in world.events(made["id"])[-3:]]
    assert kinds == ["ballot_frozen", "calendar_changed", "phase_changed"]


def test_no_vote_without_a_shortlist(world: World) -> None:
    made = announce(world)
    go(world, made, "ideas")
    with world.nothing_stored():
        body = {"phase": "vote", "reason": "Vite."}
        assert act(world, made, "phase", body, 409)["code"] == "nothing_to_vote"


def test_no_vote_on_more_than_a_message_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rules.MOST_ON_A_BALLOT == 1000
    monkeypatch.setattr(rules, "MOST_ON_A_BALLOT", 2)
    start = datetime.now(UTC) + DAY
    made = announce(world, automatic=True, phases=plan("ideas", "vote", start=start))
    go(world, made, "ideas")
    first, *_ = shortlist(world, made, MILLION, MILLION, MILLION)
    with world.nothing_stored():
        body = {"phase": "vote", "reason": "Vite."}
        refused = act(world, made, "phase", body, 409)
        assert (refused["code"], refused["shortlisted"], refused["most"]) == (
            "too_many_projects", 3, 2,
        )  # fmt: skip
        with world.sessions.begin() as session:  # nor does the calendar stumble over it
            service.advance(session, start + 31 * DAY)
    assert read(world, made)["phase"] == "ideas"
    [row] = world.rows("SELECT number FROM proposals WHERE id = :id", id=first)
    assert row["number"] is None
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET hidden_at = now() WHERE id = :id"), {"id": first}
        )
    assert go(world, made, "vote")["phase"] == "vote"


def test_a_campaign_closes_once_its_works_are_finished(world: World) -> None:
    made = announce(world)
    go(world, made, "ideas")
    [won] = shortlist(world, made, MILLION)
    go(world, made, "vote")
    with world.sessions.begin() as session:
        service.record_results(session, UUID(made["id"]), [UUID(won)])
    go(world, made, "works")
    work = text(
        "INSERT INTO works (id, ref, proposal_id, campaign_id, commune, status, voted_cost, "
        "version, created_at, updated_at) "
        "VALUES (:id, 'T-UNDONE', :won, :campaign, '0801', 'under_way', 5, 1, now(), now())"
    )
    with world.engine.begin() as connection:
        connection.execute(work, {"id": uuid4(), "won": won, "campaign": made["id"]})
    assert read(world, made, headers=world.agent())["allowed"] == []
    refused = act(world, made, "phase", {"phase": "closed"}, 409)
    assert (refused["code"], refused["works"]) == ("works_unfinished", ["T-UNDONE"])
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE works SET status = 'abandoned' WHERE ref = 'T-UNDONE'"))
    assert go(world, made, "closed")["phase"] == "closed"
    changed = act(world, made, "", {"title": "Trop tard"}, 409)
    assert changed["code"] == "wrong_phase"


def test_the_calendar_leads_automatic_campaigns_on(world: World) -> None:
    start = datetime.now(UTC) + DAY
    led = announce(world, automatic=True, phases=plan("ideas", "review", "vote", start=start))
    by_hand = announce(world, phases=plan("ideas", "review", "vote", start=start))
    sessions = sessionmaker(world.engine)

    def advance(days: float) -> str:
        with sessions.begin() as session:
            service.advance(session, start + days * DAY)
        return str(read(world, led)["phase"])

    assert advance(-0.5) == "preparation"
    assert advance(0) == "ideas"
    assert advance(29.9) == "ideas"
    projects = shortlist(world, led, MILLION)
    assert advance(30) == "review"
    with world.engine.begin() as connection:
        hide = text("UPDATE proposals SET hidden_at = :at WHERE id = :id")
        connection.execute(hide, {"at": start, "id": projects[0]})
    assert advance(61) == "review"  # without a shortlist it stays
    with world.engine.begin() as connection:
        connection.execute(hide, {"at": None, "id": projects[0]})
    assert advance(61) == "vote"
    assert advance(400) == "vote"  # the count leads on
    assert read(world, by_hand)["phase"] == "preparation"
    lines = [(one["by"], one["detail"]["phase"]) for one in history(world, led)[1:]]
    assert lines == [("calendar", "ideas"), ("calendar", "review"), ("calendar", "vote")]
    told = [one for one in world.events(led["id"]) if "phase_changed" in one["type"]]
    assert {(one["payload"]["by"], one["payload"]["early"]) for one in told} == {
        ("calendar", False)
    }


def test_the_calendar_passes_over_a_campaign_that_somebody_holds(world: World) -> None:
    start = datetime.now(UTC) - DAY
    held = announce(world, automatic=True, phases=plan("ideas", start=start))
    with world.sessions.begin() as other, world.sessions.begin() as session:
        lock = text("SELECT 1 FROM campaigns WHERE id = :id FOR UPDATE")
        other.execute(lock, {"id": held["id"]})
        service.advance(session)
    assert read(world, held)["phase"] == "preparation"
    with world.sessions.begin() as session:
        assert service.advance(session) == 1
    assert read(world, held)["phase"] == "ideas"


def test_another_year_is_begun_from_the_last_one(world: World) -> None:
    here = arrondissement(world)
    last = announce(
        world,
        description="Les habitants décident.",
        author_kinds=["association", "person"],
        proposals_per_author=2,
        endorsements_needed=7,
        automatic=True,
        envelopes=[{"name": "Le quartier", "amount": 4 * MILLION, "arrondissement": here}],
    )
    body = {"title": "Budget participatif, encore", "budget": 12 * MILLION}
    made = act(world, last, "clone", body, 201)
    assert (made["phase"], made["cloned_from"], made["title"]) == (
        "preparation", last["id"], body["title"],
    )  # fmt: skip
    # No calendar leads on what nobody has looked at.
    assert (last["automatic"], made["automatic"]) == (True, False)
    for name in ("description", "author_kinds", "proposals_per_author", "endorsements_needed"):
        assert made[name] == last[name]
    assert [(e["name"], e["amount"]) for e in made["envelopes"]] == [
        ("Le quartier", 4 * MILLION), ("Toute la commune", 8 * MILLION),
    ]  # fmt: skip
    for old, new in zip(last["phases"], made["phases"], strict=True):
        years = [datetime.fromisoformat(one["opens_at"]) for one in (old, new)]
        assert (old["phase"], years[1] - years[0]) == (new["phase"], 365 * DAY)
    over = {"title": "Trop peu", "budget": 4 * MILLION - 1}
    assert act(world, last, "clone", over, 422)["code"] == "over_budget"


def test_what_may_be_changed_shrinks_with_the_phases(world: World) -> None:
    made = announce(world, proposals_per_author=2, endorsements_needed=5)
    here = arrondissement(world)
    kept = made["envelopes"][0]["id"]
    envelopes = [{"name": "Le quartier", "amount": MILLION, "arrondissement": here}]
    changed = act(
        world, made, "", {"budget": 8 * MILLION, "envelopes": envelopes, "seen": made["version"]}
    )
    assert sorted(e["amount"] for e in changed["envelopes"]) == [MILLION, 7 * MILLION]
    assert kept in [e["id"] for e in changed["envelopes"]]
    act(world, made, "", {"endorsements_needed": 6})
    line = history(world, made)[1]
    assert (line["kind"], line["detail"]["changed"]) == ("changed", ["budget", "envelopes"])
    assert line["detail"]["budget"] == [10 * MILLION, 8 * MILLION]
    refused = act(world, made, "", {"title": "Autre", "seen": made["version"]}, 409)
    assert (refused["code"], refused["phase_now"]) == ("changed_meanwhile", "preparation")

    go(world, made, "ideas")
    [proposal] = shortlist(world, made, MILLION)
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET endorsements = 4 WHERE id = :id"), {"id": proposal}
        )
    assert act(world, made, "", {"budget": 9 * MILLION}, 409)["code"] == "wrong_phase"
    assert act(world, made, "", {"envelopes": []}, 409)["code"] == "wrong_phase"
    tighter = {"proposals_per_author": 1}
    assert act(world, made, "", tighter, 409)["code"] == "rules_tightened"
    looser = {"proposals_per_author": None, "endorsements_needed": 4}
    assert act(world, made, "", looser)["proposals_per_author"] is None
    # Who has enough endorsements now is told so.
    reached = world.events(proposal)[-1]
    assert reached["type"] == "bj.palabre.proposal.threshold_reached.v1"
    assert reached["payload"]["endorsements"] == 4

    go(world, made, "review")
    assert act(world, made, "", {"endorsements_needed": 0}, 409)["code"] == "wrong_phase"
    with world.nothing_stored():
        act(world, made, "", {"endorsements_needed": 4})  # as it is: nothing to tell
    act(world, made, "", {"title": "Un autre titre", "description": "Plus clair."})
    line = history(world, made)[-1]
    assert line["detail"] == {
        "changed": ["description", "title"], "title": ["Budget participatif", "Un autre titre"],
    }  # fmt: skip
    assert world.events(made["id"])[-1]["payload"]["title"] == "Un autre titre"
    assert act(world, made, "", {"title": None}, 422)["code"] == "invalid"


def test_an_envelope_that_goes_leaves_its_drafts_without_one(world: World) -> None:
    envelopes = [{"name": "Eau", "amount": MILLION, "theme": "water"}]
    made = announce(world, envelopes=envelopes)
    draft = world.begin(made, world.agent(), theme="water", envelope=made["envelopes"][0]["id"])
    act(world, made, "", {"envelopes": [{"name": "Eau", "amount": MILLION, "theme": "roads"}]})
    [row] = world.rows("SELECT envelope_id FROM proposals WHERE id = :id", id=draft["id"])
    assert row["envelope_id"] is None


def test_only_the_communes_agents_run_campaigns(world: World) -> None:
    made = announce(world)
    url = f"/api/v1/campaigns/{made['id']}"
    later = plan("ideas")[0]["closes_at"]
    writes: list[tuple[str, str, Json]] = [
        ("POST", f"{url}/phase", {"phase": "ideas"}),
        ("POST", f"{url}/calendar", {"phase": "ideas", "closes_at": later, "reason": "Motif"}),
        ("POST", f"{url}/clone", {"title": "Encore"}),
        ("PATCH", url, {"title": "Autre"}),
        ("POST", f"{url}/forums", {"name": "Forum", "held_on": "2026-01-01", "women": 1, "men": 1,
                                   "youth": 1}),
        ("PUT", "/api/v1/unit-costs/0801/puits", {"name": "Puits", "unit": "puits", "cost": 1}),
        ("DELETE", "/api/v1/unit-costs/0801/puits", {}),
    ]  # fmt: skip
    with world.nothing_stored():
        for method, path, body in writes:
            for headers, status in [
                ({}, 401),
                (world.token(), 403),
                (world.agent("0802"), 403),
                (world.token({COTONOU: ["proposals.review", "works.manage"]}), 403),
            ]:
                answer = world.client.request(method, path, json=body, headers=headers)
                assert answer.status_code == status, (method, path, answer.text)
    for path in ("", "/history", "/shortlist", "/forums"):
        missing = world.client.get(f"/api/v1/campaigns/{uuid4()}{path}")
        assert (missing.status_code, missing.json()["code"]) == (404, "campaign_not_found")


def test_the_bearer_learns_what_they_may(world: World) -> None:
    made = announce(world)
    grants = {COTONOU: ["campaigns.manage", "works.spend", "reports.manage"]}
    agent = read(world, made, headers=world.token(grants))
    assert (agent["may"], agent["allowed"]) == (["campaigns.manage", "works.spend"], ["ideas"])
    citizen = read(world, made, headers=world.token())
    assert (citizen["may"], citizen["allowed"]) == ([], [])
