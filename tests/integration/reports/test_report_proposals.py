"""What becomes of a report's proposals: linked, followed to the vote, told in its history."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from threading import Event as Flag
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from services.common.db import make_engine, make_sessions
from services.common.events import outbox
from services.common.events.embedded import EmbeddedSubscription
from services.common.events.envelope import Event, new_traceparent
from services.common.events.inbox import Consumer, delivery_of, handle
from services.common.ids import new_id, new_ref
from services.proposals.consumers import CONSUMER as PROPOSALS
from services.proposals.main import make_app as make_proposals
from services.proposals.settings import Settings as ProposalsSettings
from services.reports.consumers import CONSUMER
from tests.apps import Tokens, rows
from tests.servers import Database

pytestmark = pytest.mark.integration

COMMUNE = "0801"
PLACE = {"lon": 2.4301, "lat": 6.3702}
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


class Desk:
    """Reports, and the events of proposals that reach them."""

    def __init__(self, client: TestClient, tokens: Tokens, database: Database) -> None:
        self.client = client
        self.tokens = tokens
        self.database = database
        self.sessions: sessionmaker[Session] = client.app.state.sessions  # type: ignore[attr-defined]

    def pin(self, **more: Any) -> str:
        body = {**PLACE, "category": "waste", "description": "Ordures au carrefour", **more}
        answer = self.client.post("/api/v1/reports", json=body, headers=self.tokens.bearer())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def get(self, report: str) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/reports/{report}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def told(self, report: str) -> list[tuple[str, str, str]]:
        """Return ``(proposal, status, by)`` of the lines about proposals, in order."""
        lines = [line for line in self.get(report)["history"] if line["kind"] == "proposal"]
        return [(one["detail"]["proposal"], one["detail"]["status"], one["by"]) for one in lines]

    def links(self, proposal: str) -> list[dict[str, Any]]:
        return rows(
            self.database,
            "reports",
            "SELECT report_id::text AS report, proposal_ref AS ref, status, sequence, updated_at "
            f"FROM report_proposals WHERE proposal_id = '{proposal}' ORDER BY report_id",
        )

    def deliver(self, *events: Event) -> None:
        """Hand events over as a transport does: a batch is one transaction."""
        with self.sessions.begin() as session:
            handle(session, CONSUMER, 1, [delivery_of(e, n) for n, e in enumerate(events)])


@pytest.fixture
def desk(client: TestClient, tokens: Tokens, fresh_database: Database) -> Desk:
    return Desk(client, tokens, fresh_database)


class Project:
    """A proposal as its events tell it."""

    def __init__(self) -> None:
        self.id = str(new_id())
        self.ref = new_ref("P")

    def event(self, what: str, sequence: int, **data: Any) -> Event:
        return Event(
            id=new_id(),
            source="proposals",
            type=f"bj.palabre.proposal.{what}.v1",
            time=START + timedelta(hours=sequence),
            subject=self.id,
            key=COMMUNE,
            sequence=sequence,
            traceparent=new_traceparent(),
            data={"id": self.id, "ref": self.ref, "commune": COMMUNE, **data},
        )

    def submitted(self, *reports: str, **more: Any) -> Event:
        data = {"status": "submitted", "title": "Bacs à ordures", "reports": list(reports)}
        return self.event("submitted", 1, **data, **more)

    def reviewed(self, status: str = "shortlisted") -> Event:
        return self.event("reviewed", 2, status=status, cost=4_800_000)

    def voted(self, what: str = "funded") -> Event:
        return self.event(what, 3, cost=4_800_000)


def test_a_proposal_is_followed_from_its_reports(desk: Desk) -> None:
    first, second, other = desk.pin(), desk.pin(), desk.pin()
    before = desk.get(first)
    project = Project()
    desk.deliver(project.submitted(first, second))
    assert [(one["report"], one["status"]) for one in desk.links(project.id)] == [
        (report, "submitted") for report in sorted((first, second))
    ]
    # Anybody may propose: nothing is told before the mairie has answered.
    assert (desk.told(first), desk.get(first)["proposals"]) == ([], [])
    desk.deliver(project.reviewed(), project.voted())

    for report in (first, second):
        assert desk.told(report) == [
            (project.ref, status, "mairie") for status in ("shortlisted", "funded")
        ]
        assert desk.get(report)["proposals"] == [{"ref": project.ref, "status": "funded"}]
    found = desk.get(first)
    assert (found["version"], found["status"]) == (before["version"] + 2, before["status"])
    assert found["updated_at"] > before["updated_at"]
    lines = [line for line in found["history"] if line["kind"] == "proposal"]
    assert [line["version"] for line in lines] == [2, 3]
    assert [datetime.fromisoformat(line["at"]) for line in lines] == [
        START + timedelta(hours=n) for n in (2, 3)
    ]
    assert {(line["public_note"], line["status"]) for line in lines} == {("", "received")}
    assert desk.told(other) == []
    assert desk.get(other)["proposals"] == []


def test_each_of_these_lines_is_said_once_without_words(desk: Desk) -> None:
    report = desk.pin()
    project = Project()
    desk.deliver(project.submitted(report), project.reviewed("not_feasible"))
    said = rows(
        desk.database,
        "reports",
        f"SELECT type, payload FROM outbox WHERE subject = '{report}' ORDER BY sequence",
    )
    changed = "bj.palabre.report.proposal_changed.v1"
    assert [one["type"] for one in said] == ["bj.palabre.report.received.v1", changed]
    assert [one["payload"]["status"] for one in said[1:]] == ["not_feasible"]
    # and the report's own next event still finds its sequence free
    agent = desk.tokens.agent(COMMUNE)
    answer = desk.client.post(
        f"/api/v1/reports/{report}/status", json={"status": "acknowledged"}, headers=agent
    )
    assert answer.status_code == 200, answer.text
    found = rows(
        desk.database,
        "reports",
        f"SELECT sequence FROM outbox WHERE subject = '{report}' ORDER BY sequence",
    )
    assert [one["sequence"] for one in found] == [1, 2, 3]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_events_does_not_matter(desk: Desk, order: tuple[int, ...]) -> None:
    report = desk.pin()
    project = Project()
    later = [project.reviewed(), project.voted("not_funded"), project.submitted(report)]
    for n in order:
        desk.deliver(later[n], later[n])
    for n in order:  # the log itself repeats, under new ids
        desk.deliver(replace(later[n], id=new_id()))
    (link,) = desk.links(project.id)
    assert (link["status"], link["sequence"]) == ("not_funded", 3)
    assert link["updated_at"] == START + timedelta(hours=3)
    assert sorted(desk.told(report)) == sorted(
        (project.ref, status, "mairie") for status in ("shortlisted", "not_funded")
    )
    assert desk.get(report)["version"] == 3


def test_only_reports_that_are_there_and_of_the_commune_are_linked(desk: Desk) -> None:
    here = desk.pin()
    elsewhere = desk.pin(lon=2.63, lat=9.35)  # Parakou
    project = Project()
    desk.deliver(project.submitted(here, elsewhere, str(uuid.uuid4())), project.voted())
    assert [one["report"] for one in desk.links(project.id)] == [here]
    assert desk.told(elsewhere) == []
    assert desk.get(elsewhere)["version"] == 1


def test_two_proposals_of_one_report_have_their_own_lines(desk: Desk) -> None:
    report = desk.pin()
    one, two = Project(), Project()
    desk.deliver(one.submitted(report), two.submitted(report), one.voted(), two.voted("not_funded"))
    assert desk.told(report) == [
        (one.ref, "funded", "mairie"),
        (two.ref, "not_funded", "mairie"),
    ]
    assert desk.get(report)["proposals"] == [
        {"ref": one.ref, "status": "funded"},
        {"ref": two.ref, "status": "not_funded"},
    ]


def test_agents_and_events_at_once_each_get_their_line(desk: Desk) -> None:
    report = desk.pin()
    agent = desk.tokens.agent(COMMUNE)
    projects = [Project() for _ in range(8)]

    def work() -> list[int]:
        return [
            desk.client.post(
                f"/api/v1/reports/{report}/status", json={"status": status}, headers=agent
            ).status_code
            for status in ("in_progress", "waiting") * 4
        ]

    def consume() -> None:
        for project in projects:
            desk.deliver(project.submitted(report), project.reviewed())

    with ThreadPoolExecutor(2) as pool:
        working, consuming = pool.submit(work), pool.submit(consume)
    assert working.result() == [200] * 8
    consuming.result()
    found = desk.get(report)
    assert [line["version"] for line in found["history"]] == list(range(1, 18))
    assert found["version"] == 17
    assert sorted(ref for ref, _, _ in desk.told(report)) == sorted(p.ref for p in projects)


def test_proposals_of_nobodys_reports_and_events_of_before_pass_by(desk: Desk) -> None:
    project = Project()
    old = project.event("submitted", 1, status="submitted", title="Avant")  # names no reports
    count = "SELECT count(*) AS n FROM history"
    before = rows(desk.database, "reports", count)
    desk.deliver(old, project.reviewed(), project.voted())
    assert desk.links(project.id) == []
    assert rows(desk.database, "reports", count) == before
    assert rows(desk.database, "reports", "SELECT 1 FROM dead_letters") == []


def test_an_event_that_cannot_be_read_changes_nothing_and_holds_nothing_back(desk: Desk) -> None:
    report = desk.pin()
    project = Project()
    bad = project.event("submitted", 1, status="submitted", reports=["S-7K4M2P"])
    mute = project.event("reviewed", 2, cost=1)
    desk.deliver(bad, mute)
    desk.deliver(project.submitted(report), project.voted())
    letters = rows(desk.database, "reports", "SELECT reason FROM dead_letters")
    assert [letter["reason"] for letter in letters] == ["undecodable"] * 2
    assert desk.told(report) == [(project.ref, "funded", "mairie")]


@pytest.fixture
def hotspot(desk: Desk) -> str:
    """Return the ref of a stored hotspot of the commune."""
    ref = new_ref("H", 5)
    with desk.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO hotspots (id, ref, commune, category, days, geom, count, z, p, trend, "
                "detected_at, seen_at) VALUES (:id, :ref, :commune, 'waste', 90, "
                "ST_Multi(ST_Buffer(ST_SetSRID(ST_MakePoint(2.43, 6.37), 4326), 0.001)), "
                "23, 4.2, 0.0001, 'emerging', now(), now())"
            ),
            {"id": new_id(), "ref": ref, "commune": COMMUNE},
        )
    return ref


def is_submitted(desk: Desk, hotspot: str) -> bool:
    query = f"SELECT proposal_submitted FROM hotspots WHERE ref = '{hotspot}'"
    return bool(rows(desk.database, "reports", query)[0]["proposal_submitted"])


def record(desk: Desk, hotspot: str, proposal: str) -> None:
    """Say, as an agent, which draft is the hotspot's."""
    answer = desk.client.post(
        f"/api/v1/hotspots/{hotspot}/proposal",
        json={"proposal_ref": proposal},
        headers=desk.tokens.agent(COMMUNE),
    )
    assert answer.status_code == 200, answer.text


def shown(desk: Desk, hotspot: str) -> str | None:
    found: str | None = desk.client.get(f"/api/v1/hotspots/{hotspot}").json()["properties"][
        "proposal_ref"
    ]
    return found


def test_a_hotspot_s_project_is_the_agents_choice_and_public_once_submitted(
    desk: Desk, hotspot: str
) -> None:
    stranger, ours = Project(), Project()
    desk.deliver(stranger.submitted(hotspot=hotspot))  # any citizen may name a hotspot
    assert shown(desk, hotspot) is None
    record(desk, hotspot, ours.ref)
    assert shown(desk, hotspot) is None  # a draft is nobody else's business
    desk.deliver(ours.submitted(hotspot="H-22222"), ours.submitted(hotspot=hotspot, commune="0405"))
    assert not is_submitted(desk, hotspot)
    desk.deliver(ours.submitted(hotspot=hotspot))
    assert is_submitted(desk, hotspot)
    assert shown(desk, hotspot) == ours.ref


def test_a_hidden_report_is_linked_to_nothing(desk: Desk) -> None:
    report = desk.pin()
    answer = desk.client.post(
        f"/api/v1/desk/{COMMUNE}/reports/{report}/moderation",
        json={"hidden": True, "reason": "injure"},
        headers=desk.tokens.agent(COMMUNE),
    )
    assert answer.status_code == 200, answer.text
    project = Project()
    desk.deliver(project.submitted(report), project.voted())
    assert desk.links(project.id) == []


def drain(subscription: EmbeddedSubscription) -> None:
    while subscription.drain(Flag()):
        pass


@pytest.fixture
def proposals(fresh_database: Database, tokens: Tokens) -> Iterator[TestClient]:
    """The proposals service beside ours, over the same database, as on one machine."""
    settings = ProposalsSettings(_env_file=None, database_url=fresh_database.url("proposals"))
    with tokens.trust(make_proposals(settings)) as made:
        yield made


def count(database: Database, campaign: str, winners: list[str]) -> None:
    """Publish a count as voting does."""
    data = {"campaign": campaign, "commune": COMMUNE, "winners": winners, "projects": []}
    said = Event(
        id=new_id(),
        source="voting",
        type="bj.palabre.election.results_published.v1",
        time=datetime.now(UTC),
        subject=str(new_id()),
        key=COMMUNE,
        sequence=3,
        traceparent=new_traceparent(),
        data=data,
    )
    engine = make_engine(database.url("voting"), threads=1)
    with make_sessions(engine).begin() as session:
        outbox.append(session, [said])
    engine.dispose()


def test_from_a_hotspot_to_the_vote_and_back_to_who_reported(
    desk: Desk, proposals: TestClient, hotspot: str
) -> None:
    agent = desk.tokens.agent(COMMUNE)

    def send(path: str, who: dict[str, str] = agent, **body: Any) -> dict[str, Any]:
        answer = proposals.post(f"/api/v1/{path}", json=body, headers=who)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def consume(consumer: Consumer, client: TestClient) -> None:
        drain(EmbeddedSubscription(client.app.state.engine, consumer))  # type: ignore[attr-defined]

    report = desk.pin()
    phase = {
        "phase": "vote",
        "opens_at": "2027-01-01T00:00:00Z",
        "closes_at": "2027-02-01T00:00:00Z",
    }
    campaign = send(
        "campaigns", commune=COMMUNE, title="Budget 2027", budget=10_000_000, phases=[phase]
    )["id"]
    place = {"type": "Point", "coordinates": [2.4301, 6.3702]}
    draft = send(
        "proposals",
        campaign=campaign,
        title="Bacs à ordures",
        geometry=place,
        reports=[report],
        hotspot=hotspot,
        draft=True,
    )
    consume(CONSUMER, desk.client)
    assert desk.told(report) == []
    record(desk, hotspot, draft["ref"])
    assert shown(desk, hotspot) is None

    send(f"campaigns/{campaign}/phase", phase="ideas")
    changed = proposals.patch(
        f"/api/v1/proposals/{draft['id']}",
        json={"description": "Trois bacs et un curage.", "estimated_cost": 3_000_000},
        headers=agent,
    )
    assert changed.status_code == 200, changed.text
    send(f"proposals/{draft['id']}/submit")
    consume(CONSUMER, desk.client)
    assert desk.told(report) == []
    assert shown(desk, hotspot) == draft["ref"]

    send(f"proposals/{draft['id']}/review", outcome="feasible", reason="Vu.", cost=3_100_000)
    send(f"campaigns/{campaign}/phase", phase="vote")
    count(desk.database, campaign, [draft["id"]])
    consume(PROPOSALS, proposals)
    for _ in range(2):  # a second process of the group finds nothing left to do
        consume(CONSUMER, desk.client)
    assert desk.told(report) == [
        (draft["ref"], status, "mairie") for status in ("shortlisted", "funded")
    ]
    assert desk.get(report)["proposals"] == [{"ref": draft["ref"], "status": "funded"}]
