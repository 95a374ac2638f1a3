"""A finished work in the reports that led to it: told, offered to be closed, closed by an agent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.common.events.envelope import Event, new_traceparent
from services.common.ids import new_id, new_ref
from tests.apps import Tokens, rows
from tests.integration.reports.test_report_proposals import COMMUNE, Desk, Project
from tests.servers import Database

pytestmark = pytest.mark.integration

PARAKOU = {"lon": 2.63, "lat": 9.35}


@pytest.fixture
def desk(client: TestClient, tokens: Tokens, fresh_database: Database) -> Desk:
    return Desk(client, tokens, fresh_database)


class Work:
    """The work of a proposal as its events tell it; it was finished an hour ago."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.id = str(new_id())
        self.ref = new_ref("T")

    def event(self, what: str, sequence: int, **data: Any) -> Event:
        return Event(
            id=new_id(),
            source="proposals",
            type=f"bj.palabre.work.{what}.v1",
            time=datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=sequence),
            subject=self.id,
            key=COMMUNE,
            sequence=sequence,
            traceparent=new_traceparent(),
            data={
                "id": self.id,
                "ref": self.ref,
                "proposal": self.project.id,
                "proposal_ref": self.project.ref,
                "commune": COMMUNE,
                **data,
            },
        )

    def completed(self, *reports: str, sequence: int = 3, **more: Any) -> Event:
        return self.event("completed", sequence, reports=list(reports), **more)

    def changed(self, status: str, sequence: int) -> Event:
        return self.event("changed", sequence, status=status, progress=100)


def merged(one: Project, into: Project, *reports: str, sequence: int = 2) -> Event:
    return one.event(
        "merged", sequence, into=into.id, into_ref=into.ref, reports=list(reports), status="merged"
    )


def revised(project: Project, sequence: int, *reports: str) -> Event:
    return project.event("revised", sequence, revision=2, reports=list(reports))


def offered(desk: Desk, commune: str = COMMUNE) -> dict[str, list[str]]:
    """Return the refs of open reports that each finished work is offered with."""
    path = f"/api/v1/desk/{commune}/finished-works"
    answer = desk.client.get(path, headers=desk.tokens.agent(commune))
    assert answer.status_code == 200, answer.text
    return {w["ref"]: [r["ref"] for r in w["reports"]] for w in answer.json()["items"]}


def close(desk: Desk, *refs: str, status: str = "resolved") -> None:
    body = {"refs": refs, "action": {"type": "status", "status": status, "public_note": "Fait."}}
    path = f"/api/v1/desk/{COMMUNE}/reports/bulk"
    answer = desk.client.post(path, json=body, headers=desk.tokens.agent(COMMUNE))
    assert answer.json()["done"] == len(refs), answer.text


def refs_of(desk: Desk, *reports: str) -> list[str]:
    return [desk.get(report)["ref"] for report in reports]


def test_a_finished_work_is_told_and_offered_and_closes_nothing(desk: Desk) -> None:
    reports = [desk.pin(), desk.pin()]
    project = Project()
    work = Work(project)
    desk.deliver(project.submitted(*reports), project.reviewed(), project.voted())
    assert work.ref not in offered(desk)
    desk.deliver(work.changed("completed", 2), work.completed(*reports))
    for report in reports:
        assert desk.told(report)[-1] == (project.ref, "completed", "mairie")
        found = desk.get(report)
        assert found["status"] == "received"
        assert found["proposals"] == [{"ref": project.ref, "status": "completed"}]
    refs = refs_of(desk, *reports)
    assert offered(desk)[work.ref] == refs
    close(desk, *refs)
    assert work.ref not in offered(desk)
    for report in reports:
        found = desk.get(report)
        assert (found["status"], found["history"][-1]["public_note"]) == ("resolved", "Fait.")


def test_only_agents_of_the_commune_see_offers_and_what_they_need_to_close(desk: Desk) -> None:
    report, project = desk.pin(landmark="Derrière le marché"), Project()
    work = Work(project)
    desk.deliver(project.submitted(report), work.completed(report))
    path = f"/api/v1/desk/{COMMUNE}/finished-works"
    for headers, status in (
        ({}, 401),
        (desk.tokens.bearer(), 403),
        (desk.tokens.agent("0405"), 403),
    ):
        assert desk.client.get(path, headers=headers).status_code == status
    items = desk.client.get(path, headers=desk.tokens.agent(COMMUNE)).json()["items"]
    (found,) = [one for one in items if one["ref"] == work.ref]
    known = desk.get(report)
    assert found["proposal"] == project.ref
    assert found["reports"] == [
        {
            "id": report,
            "ref": known["ref"],
            "version": known["version"],
            "status": "received",
            "category": "waste",
            "summary": "Ordures au carrefour",
            "landmark": "Derrière le marché",
        }
    ]


def test_what_was_closed_since_is_never_offered_again(desk: Desk) -> None:
    answered, other, project = desk.pin(), desk.pin(), Project()
    first, second = refs_of(desk, answered, other)
    close(desk, first)  # before the work was finished: that was another repair
    desk.deliver(project.submitted(answered, other))
    work = Work(project)
    path = f"/api/v1/reports/{answered}/status"
    agent = desk.tokens.agent(COMMUNE)
    assert desk.client.post(path, json={"status": "reopened"}, headers=agent).status_code == 200
    finished = replace(work.completed(answered, other), time=datetime.now(UTC))
    desk.deliver(finished)
    assert offered(desk)[work.ref] == [first, second]
    close(desk, first)
    assert offered(desk)[work.ref] == [second]
    assert desk.client.post(path, json={"status": "reopened"}, headers=agent).status_code == 200
    desk.deliver(replace(finished, id=new_id()))
    assert offered(desk)[work.ref] == [second]


def test_replays_tell_once_and_take_nothing_back(desk: Desk) -> None:
    report, project = desk.pin(), Project()
    work = Work(project)
    events = [project.submitted(report), project.voted(), work.completed(report)]
    for _ in range(3):
        desk.deliver(*(replace(one, id=new_id()) for one in events))
    assert desk.told(report) == [
        (project.ref, "funded", "mairie"), (project.ref, "completed", "mairie"),
    ]  # fmt: skip
    assert desk.get(report)["proposals"] == [{"ref": project.ref, "status": "completed"}]
    assert offered(desk)[work.ref] == refs_of(desk, report)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_events_does_not_matter(desk: Desk, order: tuple[int, ...]) -> None:
    report, project = desk.pin(), Project()
    work = Work(project)
    events = [project.submitted(report), project.voted(), work.completed(report)]
    for n in order:
        desk.deliver(events[n])
    assert {status for _, status, _ in desk.told(report)} == {"funded", "completed"}
    (link,) = desk.links(project.id)
    assert link["status"] == "completed"
    assert offered(desk)[work.ref] == refs_of(desk, report)


def test_a_work_taken_up_again_is_offered_no_more_until_it_is_finished_again(desk: Desk) -> None:
    report, project = desk.pin(), Project()
    work = Work(project)
    finished, again = work.completed(report), work.changed("under_way", 4)
    desk.deliver(project.submitted(report), finished, again)
    assert work.ref not in offered(desk)
    desk.deliver(replace(finished, id=new_id()))  # an old event, told again
    assert work.ref not in offered(desk)
    desk.deliver(work.changed("completed", 5), work.completed(report, sequence=6))
    desk.deliver(replace(again, id=new_id()))
    assert offered(desk)[work.ref] == refs_of(desk, report)
    assert [status for _, status, _ in desk.told(report)] == ["completed"]


def test_reports_of_another_commune_are_left_out(desk: Desk) -> None:
    here, there, project = desk.pin(), desk.pin(**PARAKOU), Project()
    work = Work(project)
    desk.deliver(project.submitted(here, there), work.completed(here, there, str(new_id())))
    assert offered(desk)[work.ref] == refs_of(desk, here)
    commune = desk.get(there)["commune"]
    assert commune != COMMUNE
    assert work.ref not in offered(desk, commune)
    assert desk.told(there) == []
    # what moved to another commune after it was linked is no matter of this desk either
    moved = desk.pin(lon=2.362, lat=6.372, commune=COMMUNE)  # by Cotonou's border
    other = Project()
    work = Work(other)
    desk.deliver(other.submitted(moved), work.completed(moved))
    assert offered(desk)[work.ref] == refs_of(desk, moved)
    answer = desk.client.post(
        f"/api/v1/reports/{moved}/correction",
        json={"commune": "0301"},
        headers=desk.tokens.agent(COMMUNE),
    )
    assert answer.status_code == 200, answer.text
    assert work.ref not in offered(desk)
    assert work.ref not in offered(desk, "0301")


def test_reports_follow_the_proposal_that_theirs_goes_on_in(desk: Desk) -> None:
    own, brought = desk.pin(), desk.pin()
    one, target = Project(), Project()
    work = Work(target)
    desk.deliver(one.submitted(brought), target.submitted(own))
    desk.deliver(merged(one, target, brought))
    # Anybody may propose, and merge what they proposed: nothing is told before the mairie answered.
    assert (desk.told(brought), desk.get(brought)["proposals"]) == ([], [])
    desk.deliver(target.reviewed(), target.voted(), work.completed(own, brought))
    for report in (own, brought):
        assert [(ref, status) for ref, status, _ in desk.told(report)] == [
            (target.ref, status) for status in ("shortlisted", "funded", "completed")
        ]
        assert desk.get(report)["proposals"] == [{"ref": target.ref, "status": "completed"}]
    assert sorted(offered(desk)[work.ref]) == sorted(refs_of(desk, own, brought))


def test_a_merge_that_is_undone_parts_the_reports_again(desk: Desk) -> None:
    own, brought = desk.pin(), desk.pin()
    one, target = Project(), Project()
    desk.deliver(one.submitted(brought), target.submitted(own), one.reviewed())
    desk.deliver(merged(one, target, brought, sequence=3), revised(target, 2, own, brought))
    assert desk.get(brought)["proposals"] == []
    apart = one.event("unmerged", 4, out_of=target.id, out_of_ref=target.ref, status="shortlisted")
    desk.deliver(apart, revised(target, 3, own), replace(target.voted(), sequence=4))
    assert desk.get(brought)["proposals"] == [{"ref": one.ref, "status": "shortlisted"}]
    assert [ref for ref, _, _ in desk.told(brought)] == [one.ref]
    assert [ref for ref, _, _ in desk.told(own)] == [target.ref]


def test_links_are_those_of_the_reports_that_a_proposal_names(desk: Desk) -> None:
    old, new, there, project = desk.pin(), desk.pin(), desk.pin(**PARAKOU), Project()
    desk.deliver(project.submitted(old), project.reviewed(), revised(project, 3, new, there))
    assert [one["report"] for one in desk.links(project.id)] == [new]
    assert [status for _, status, _ in desk.told(new)] == ["shortlisted"]
    silent = project.event("revised", 4, revision=3)  # an event of before says none
    desk.deliver(silent)
    assert [one["report"] for one in desk.links(project.id)] == [new]
    desk.deliver(revised(project, 5))
    assert desk.links(project.id) == []
    assert rows(desk.database, "reports", "SELECT 1 FROM dead_letters") == []


def test_followers_hear_it_without_words(desk: Desk) -> None:
    report, project = desk.pin(), Project()
    desk.deliver(project.submitted(report), Work(project).completed(report))
    (said,) = rows(
        desk.database,
        "reports",
        f"SELECT payload FROM outbox WHERE subject = '{report}' AND type LIKE '%proposal_changed%'",
    )
    assert (said["payload"]["proposal"], said["payload"]["status"]) == (project.ref, "completed")
