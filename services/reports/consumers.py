"""What reports learns from proposals: which grew out of a report, and what became of them.

A proposal's reports may become others (merges, edits); its work, once finished, is kept so that
the desk can offer to close them. Nothing is closed here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.events.envelope import Event, Reader, Undecodable
from services.common.events.inbox import Consumer
from services.reports import access, repository, service
from services.reports.events import ReportProposalChanged
from services.reports.models import Report

SUBMITTED = "bj.palabre.proposal.submitted.v1"
REVISED = "bj.palabre.proposal.revised.v1"
MERGED = "bj.palabre.proposal.merged.v1"
WORK_CHANGED = "bj.palabre.work.changed.v1"
WORK_COMPLETED = "bj.palabre.work.completed.v1"
#: What later events make of a proposal; None: the event says the status itself.
STATUS_AFTER: Mapping[str, str | None] = {
    "bj.palabre.proposal.reviewed.v1": None,
    "bj.palabre.proposal.unmerged.v1": None,
    "bj.palabre.proposal.funded.v1": "funded",
    "bj.palabre.proposal.not_funded.v1": "not_funded",
}
#: Without an answer of the mairie a report tells nothing of a proposal: anybody may propose.
SILENT = "submitted"
#: What a proposal is without its report telling so; the one that it went on in is told of.
UNTOLD = frozenset({SILENT, "merged"})
#: A work's events count for themselves, and come after all of its proposal's.
OF_WORK = 1 << 40

_LINK = text("""
    INSERT INTO report_proposals
        (report_id, proposal_id, proposal_ref, status, updated_at, sequence)
    VALUES (:report, :proposal, :ref, :status, :at, :sequence)
    ON CONFLICT DO NOTHING
""")
_UNLINK = text("""
    DELETE FROM report_proposals
    WHERE proposal_id = :proposal AND report_id <> ALL(CAST(:reports AS uuid[]))
""")
_LINKED = text(
    "SELECT report_id FROM report_proposals WHERE proposal_id = :proposal ORDER BY report_id"
)
_MOVE = text("""
    UPDATE report_proposals SET status = :status, updated_at = :at, sequence = :sequence
    WHERE report_id = :report AND proposal_id = :proposal AND sequence < :sequence
""")
_KEEP = text("""
    INSERT INTO proposal_steps (proposal_id, sequence, status, at)
    VALUES (:proposal, :sequence, :status, :at) ON CONFLICT DO NOTHING
""")
_KEPT = text("""
    SELECT status, at, sequence FROM proposal_steps WHERE proposal_id = :proposal ORDER BY sequence
""")
_TOLD = text("""
    SELECT 1 FROM history WHERE report_id = :report AND kind = 'proposal'
    AND detail ->> 'proposal' = :ref AND detail ->> 'status' = :status
""")
# Which proposal is a hotspot's, an agent said; here only that it is no draft any more.
_SUBMITTED = text("""
    UPDATE hotspots SET proposal_submitted = true
    WHERE ref = :hotspot AND commune = :commune AND proposal_ref = :ref
""")
_FINISH = text("""
    INSERT INTO finished_works
        (work_id, ref, proposal_id, proposal_ref, commune, completed_at, sequence)
    VALUES (:work, :ref, :proposal, :proposal_ref, :commune, :at, :sequence)
    ON CONFLICT (work_id) DO UPDATE
    SET completed_at = excluded.completed_at, sequence = excluded.sequence
    WHERE finished_works.sequence < excluded.sequence
""")
_TAKE_UP_AGAIN = text("""
    UPDATE finished_works SET completed_at = NULL, sequence = :sequence
    WHERE work_id = :work AND sequence < :sequence
""")


@dataclass(frozen=True, slots=True)
class Step:
    """A status that a proposal reached, when, and the sequence of the event that said so."""

    status: str
    at: datetime
    sequence: int


class Submitted(Reader):
    """A proposal was submitted, for these reports (ids), out of this hotspot (ref)."""

    id: UUID
    ref: str
    commune: str
    status: str
    reports: list[UUID] = Field(default=[])
    hotspot: str | None = None


class Outcome(Reader):
    """A proposal came further."""

    id: UUID
    ref: str
    status: str | None = None


class Revised(Reader):
    """A proposal has another text, perhaps other reports; None: an event of before says none."""

    id: UUID
    ref: str
    commune: str
    reports: list[UUID] | None = None


class Merged(Reader):
    """A proposal goes on in another, which answers its ``reports`` too, now."""

    id: UUID
    ref: str
    commune: str
    into: UUID
    into_ref: str
    reports: list[UUID]


class WorkChanged(Reader):
    """A work came to a status."""

    id: UUID
    status: str


class WorkCompleted(Reader):
    """A work is finished, and what led to it."""

    id: UUID
    ref: str
    proposal: UUID
    proposal_ref: str
    commune: str
    reports: list[UUID]


def on_submitted(session: Session, event: Event, data: Reader) -> None:
    """Link a proposal to those of its reports that its commune has, and to its hotspot."""
    assert isinstance(data, Submitted)  # noqa: S101 - the reader of this handler
    first = Step(data.status, event.time, event.sequence)
    _link(session, data.commune, data.id, data.ref, data.reports, first)
    if data.hotspot:
        named = {"ref": data.ref, "hotspot": data.hotspot, "commune": data.commune}
        session.execute(_SUBMITTED, named)


def on_outcome(session: Session, event: Event, data: Reader) -> None:
    """Say in its reports what became of a proposal; a late event moves no status back.

    It is kept for links that come later still.
    """
    assert isinstance(data, Outcome)  # noqa: S101 - the reader of this handler
    status = STATUS_AFTER[event.type] or data.status
    if status is None:
        raise Undecodable(f"{event.type} says no status")
    _reach(session, data.id, data.ref, Step(status, event.time, event.sequence))


def on_revised(session: Session, event: Event, data: Reader) -> None:
    """Let a proposal's links be those of the reports that it names now."""
    assert isinstance(data, Revised)  # noqa: S101 - the reader of this handler
    if data.reports is None:
        return
    known = Step(SILENT, event.time, 0)
    _link(session, data.commune, data.id, data.ref, data.reports, known)
    named = [str(report) for report in data.reports]
    session.execute(_UNLINK, {"proposal": data.id, "reports": named})


def on_merged(session: Session, event: Event, data: Reader) -> None:
    """Let the reports of a merged proposal follow the one that it goes on in."""
    assert isinstance(data, Merged)  # noqa: S101 - the reader of this handler
    _link(
        session, data.commune, data.into, data.into_ref, data.reports, Step(SILENT, event.time, 0)
    )
    _reach(session, data.id, "", Step("merged", event.time, event.sequence))


def on_work_changed(session: Session, event: Event, data: Reader) -> None:
    """Offer to close nothing more for a work that was taken up again."""
    assert isinstance(data, WorkChanged)  # noqa: S101 - the reader of this handler
    if data.status != "completed":
        session.execute(_TAKE_UP_AGAIN, {"work": data.id, "sequence": event.sequence})


def on_work_completed(session: Session, event: Event, data: Reader) -> None:
    """Say in its reports that the work is finished, and keep it for the desk's offer."""
    assert isinstance(data, WorkCompleted)  # noqa: S101 - the reader of this handler
    known = Step(SILENT, event.time, 0)
    _link(session, data.commune, data.proposal, data.proposal_ref, data.reports, known)
    step = Step("completed", event.time, OF_WORK + event.sequence)
    _reach(session, data.proposal, data.proposal_ref, step)
    finished = {
        "work": data.id,
        "ref": data.ref,
        "proposal": data.proposal,
        "proposal_ref": data.proposal_ref,
        "commune": data.commune,
        "at": event.time,
        "sequence": event.sequence,
    }
    session.execute(_FINISH, finished)


def _link(
    session: Session, commune: str, proposal: UUID, ref: str, reports: Iterable[UUID], first: Step
) -> None:
    """Link a proposal to those of ``reports`` that its commune has, and take them to its steps."""
    later = [Step(*row) for row in session.execute(_KEPT, {"proposal": proposal})]
    for report_id in sorted(set(reports)):
        report = repository.find(session, report_id, lock=True)
        if report is not None and report.commune == commune and access.is_public(report):
            session.execute(_LINK, _values(report, proposal, first) | {"ref": ref})
            for step in later:
                _follow(session, report, proposal, ref, step)


def _reach(session: Session, proposal: UUID, ref: str, step: Step) -> None:
    """Take a proposal's links to ``step``, and keep it for links that come later still."""
    session.execute(_KEEP, {"proposal": proposal, **asdict(step)})
    for report_id in session.scalars(_LINKED, {"proposal": proposal}).all():
        report = repository.find(session, report_id, lock=True)
        assert report is not None  # noqa: S101 - a foreign key says so
        _follow(session, report, proposal, ref, step)


def _values(report: Report, proposal: UUID, step: Step) -> dict[str, object]:
    return {"report": report.id, "proposal": proposal, **asdict(step)}


def _follow(session: Session, report: Report, proposal: UUID, ref: str, step: Step) -> None:
    """Take a locked report's link to ``step`` and add its line, once whatever comes again."""
    if step.status in UNTOLD:
        session.execute(_MOVE, _values(report, proposal, replace(step, status=SILENT)))
        return
    session.execute(_MOVE, _values(report, proposal, step))
    if session.scalar(_TOLD, {"report": report.id, "ref": ref, "status": step.status}):
        return
    detail = {"proposal": ref, "status": step.status}
    service.record(session, report, "proposal", "mairie", actor=None, at=step.at, detail=detail)
    said = ReportProposalChanged(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        proposal=ref,
        status=step.status,
        changed_at=step.at,
    )
    service.publish(session, report, said)
    # Who asks for what changed since a time must meet a line that came late.
    report.updated_at = datetime.now(UTC)


CONSUMER = Consumer(
    group="reports",
    sources=("proposals",),
    handlers={
        SUBMITTED: (Submitted, on_submitted),
        REVISED: (Revised, on_revised),
        MERGED: (Merged, on_merged),
        WORK_CHANGED: (WorkChanged, on_work_changed),
        WORK_COMPLETED: (WorkCompleted, on_work_completed),
        **dict.fromkeys(STATUS_AFTER, (Outcome, on_outcome)),
    },
)
