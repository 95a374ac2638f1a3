"""What reports learns from proposals: which grew out of a report, and what became of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
#: What later events make of a proposal; None: the event says the status itself.
STATUS_AFTER: Mapping[str, str | None] = {
    "bj.palabre.proposal.reviewed.v1": None,
    "bj.palabre.proposal.funded.v1": "funded",
    "bj.palabre.proposal.not_funded.v1": "not_funded",
}

_LINK = text("""
    INSERT INTO report_proposals
        (report_id, proposal_id, proposal_ref, status, updated_at, sequence)
    VALUES (:report, :proposal, :ref, :status, :at, :sequence)
    ON CONFLICT DO NOTHING
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


def on_submitted(session: Session, event: Event, data: Reader) -> None:
    """Link a proposal to those of its reports that its commune has, and to its hotspot."""
    assert isinstance(data, Submitted)  # noqa: S101 - the reader of this handler
    first = Step(data.status, event.time, event.sequence)
    later = [Step(*row) for row in session.execute(_KEPT, {"proposal": data.id})]
    for report_id in sorted(set(data.reports)):
        report = repository.find(session, report_id, lock=True)
        if report is not None and report.commune == data.commune and access.is_public(report):
            session.execute(_LINK, _values(report, data.id, first) | {"ref": data.ref})
            # Anybody may propose: the report tells of it once the mairie has answered.
            for step in later:
                _follow(session, report, data.id, data.ref, step)
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
    step = Step(status, event.time, event.sequence)
    session.execute(_KEEP, {"proposal": data.id, **asdict(step)})
    for report_id in session.scalars(_LINKED, {"proposal": data.id}).all():
        report = repository.find(session, report_id, lock=True)
        assert report is not None  # noqa: S101 - a foreign key says so
        _follow(session, report, data.id, data.ref, step)


def _values(report: Report, proposal: UUID, step: Step) -> dict[str, object]:
    return {"report": report.id, "proposal": proposal, **asdict(step)}


def _follow(session: Session, report: Report, proposal: UUID, ref: str, step: Step) -> None:
    """Take a locked report's link to ``step`` and add its line, once whatever comes again."""
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
        **dict.fromkeys(STATUS_AFTER, (Outcome, on_outcome)),
    },
)
