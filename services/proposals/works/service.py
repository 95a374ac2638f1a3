"""Use cases of works: opened by a vote, built, paid for, finished, checked by citizens.

Whoever changes a work holds its campaign's row shared and then the work's alone: the sums on the
work and the lines of its ledger are one transaction, and numbers run without a gap.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.common import rates
from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event
from services.common.ids import new_id
from services.common.problems import Invalid
from services.proposals import events
from services.proposals import repository as core_repository
from services.proposals.access import MANAGE, SPEND, WORK, require_open
from services.proposals.domain import WorkStatus
from services.proposals.errors import ChangedMeanwhile
from services.proposals.files import service as files
from services.proposals.models import Campaign, Proposal, Work
from services.proposals.service import say
from services.proposals.works import domain, repository
from services.proposals.works.domain import EntryKind, Milestone, Sums, Way
from services.proposals.works.errors import (
    AlreadyCountered,
    EndIsSet,
    EndNotSet,
    EntryNotFound,
    InvoicedOverCommitted,
    MilestoneNotFound,
    MilestoneReached,
    NotADay,
    NotCompleted,
    NoteNeeded,
    NoteNotFound,
    NotLater,
    OverVotedCost,
    PaidOverCommitted,
    WorkNotFound,
    WrongState,
)
from services.proposals.works.schemas import (
    Completion,
    Delay,
    Milestones,
    NewConfirmation,
    NewEntry,
    NewNote,
    NoteModeration,
    Progress,
    Reached,
    StatusChange,
    WorkChanges,
)

Key = UUID | str

#: What an entry of each kind is refused for without a reason.
_UNEXPLAINED: Mapping[EntryKind, type[Invalid]] = {
    "commitment": OverVotedCost,
    "invoice": InvoicedOverCommitted,
    "payment": PaidOverCommitted,
}


def open_works(
    session: Session,
    campaign: Campaign,
    proposals: Sequence[Proposal],
    *,
    at: datetime,
    traceparent: str = "",
) -> None:
    """Make each funded proposal of a locked campaign a work, once whatever comes again."""
    said = []
    for proposal in proposals:
        cost = proposal.cost
        assert cost is not None  # noqa: S101 - the ballot froze it
        work = repository.open_work(session, campaign.id, proposal, cost, at)
        if work is None:
            continue
        told = events.WorkOpened(
            **_head(session, work),
            envelope=work.envelope_id,
            title=proposal.ref if proposal.hidden_at else proposal.title,
            theme=proposal.theme,
            voted_cost=work.voted_cost,
            geometry=events.Geometry(**core_repository.geometry_of(session, proposal.id)),
            status=work.status,
            opened_at=at,
        )
        said.append(say(work, told, traceparent))
        repository.add_line(session, work, "opened", at, None)
    outbox.append(session, said)


def change(session: Session, person: Principal, key: Key, body: WorkChanges) -> UUID:
    """Say who builds and when; the planned end once."""
    work = _hold(session, key, person, WORK, body.seen)
    _require_going_on(work)
    if body.ends_on is not None and work.ends_on not in (None, body.ends_on):
        raise EndIsSet("The planned end was told: say a delay instead.", "/ends_on")
    wanted = body.model_dump(exclude={"seen"}, exclude_none=True)
    changed = {n: [getattr(work, n), v] for n, v in wanted.items() if getattr(work, n) != v}
    if not changed:
        return work.id
    for name, (_, value) in changed.items():
        setattr(work, name, value)
    if work.starts_on and work.ends_on and work.starts_on > work.ends_on:
        pointer = "/starts_on" if body.starts_on else "/ends_on"
        raise Invalid("A work begins before it ends.", pointer)
    work.first_ends_on = work.first_ends_on or work.ends_on
    kind = "contractor" if "contractor" in changed else "milestone"
    outbox.append(session, [_tell(session, person, work, kind, detail=changed)])
    return work.id


def change_status(session: Session, person: Principal, key: Key, body: StatusChange) -> UUID:
    """Take a work to another status of the table."""
    work = _hold(session, key, person, WORK, body.seen)
    previous = _move(work, body.status, "status")
    if body.status in domain.EXPLAINED and not body.note:
        raise NoteNeeded("Say why, for the public.", "/note")
    detail = {"status": [previous, work.status]}
    outbox.append(session, [_tell(session, person, work, "status", body.note, detail)])
    return work.id


def set_progress(session: Session, person: Principal, key: Key, body: Progress) -> UUID:
    """Say how much is done; what falls is explained."""
    work = _hold(session, key, person, WORK, body.seen)
    if work.status not in domain.STARTED:
        raise WrongState("Only work on the site progresses.", status_now=work.status)
    if body.progress < work.progress and not body.note:
        raise NoteNeeded("Less is done than was told: say why, for the public.", "/note")
    detail = {"progress": [work.progress, body.progress]}
    work.progress = body.progress
    said = _tell(session, person, work, "progress", body.note, detail, body.photos)
    outbox.append(session, [said])
    return work.id


def delay(session: Session, person: Principal, key: Key, body: Delay) -> UUID:
    """Tell a later end than planned, and why; the first one stays known."""
    work = _hold(session, key, person, WORK, body.seen)
    _require_going_on(work)
    if work.ends_on is None:
        raise EndNotSet
    if body.ends_on <= work.ends_on:
        raise NotLater(f"It ends on {work.ends_on} now: a delay is later.", "/ends_on")
    detail = {"ends_on": [work.ends_on, body.ends_on]}
    work.ends_on = body.ends_on
    outbox.append(session, [_tell(session, person, work, "delay", body.reason, detail)])
    return work.id


def set_milestones(session: Session, person: Principal, key: Key, body: Milestones) -> UUID:
    """Replace the steps that are still to come; reached ones stay."""
    work = _hold(session, key, person, WORK, body.seen)
    _require_going_on(work)
    wanted = [Milestone(None, one.title, one.planned_on) for one in body.milestones]
    plan = domain.replan(repository.milestones(session, work.id), wanted)
    repository.set_milestones(session, work.id, plan)
    detail = {"milestones": [one.title for one in plan]}
    outbox.append(session, [_tell(session, person, work, "milestone", detail=detail)])
    return work.id


def reach_milestone(
    session: Session,
    person: Principal,
    key: Key,
    milestone_id: UUID,
    body: Reached,
    *,
    at: datetime | None = None,
) -> UUID:
    """Say that a step was reached, once."""
    work = _hold(session, key, person, WORK)
    found = [one for one in repository.milestones(session, work.id) if one.id == milestone_id]
    if not found:
        raise MilestoneNotFound
    if found[0].reached_on is not None:
        raise MilestoneReached(reached_on=str(found[0].reached_on))
    _require_past(body.reached_on, "/reached_on", at or datetime.now(UTC))
    repository.reach(session, milestone_id, body.reached_on)
    detail = {"milestone": found[0].title, "reached_on": body.reached_on}
    said = _tell(session, person, work, "milestone", body.note, detail, body.photos)
    outbox.append(session, [said])
    return work.id


def note(session: Session, person: Principal, key: Key, body: NewNote) -> UUID:
    """Add a note to the journal."""
    work = _hold(session, key, person, WORK)
    said = _tell(session, person, work, "note", body.note, photos=body.photos)
    outbox.append(session, [said])
    return work.id


def complete(
    session: Session,
    person: Principal,
    key: Key,
    body: Completion,
    *,
    at: datetime | None = None,
) -> UUID:
    """Publish that a work is finished: the reports that led to it may be closed."""
    now = at or datetime.now(UTC)
    work = _hold(session, key, person, WORK, body.seen)
    _move(work, "completed", "completion")
    work.progress, work.completed_at = 100, now
    # Whoever follows states and dates hears it as any other change, too.
    changed = say(work, _changed(session, work, now))
    told = events.WorkCompleted(
        **_head(session, work),
        reports=session.get_one(Proposal, work.proposal_id).reports,
        paid=work.paid,
        completed_at=now,
    )
    completed = say(work, told)
    _line(session, person, work, "completed", now, body.note, photos=body.photos)
    outbox.append(session, [changed, completed])
    return work.id


def reopen(session: Session, person: Principal, key: Key, reason: str) -> UUID:
    """Take up again what was called finished, or given up."""
    work = _hold(session, key, person, WORK)
    previous = _move(work, "under_way", "reopening")
    work.completed_at = None
    detail = {"status": [previous, work.status]}
    outbox.append(session, [_tell(session, person, work, "reopened", reason, detail)])
    return work.id


def spend(
    session: Session,
    person: Principal,
    key: Key,
    body: NewEntry,
    *,
    at: datetime | None = None,
) -> tuple[UUID, UUID]:
    """Add a line to a work's ledger; return the work's id and the line's.

    What makes a sum pass the one before it (commitments the voted cost, invoices and payments the
    commitments) needs a reason, which is published.
    """
    now = at or datetime.now(UTC)
    work = _hold(session, key, person, SPEND, body.seen)
    _require_past(body.dated, "/dated", now)
    after = _sums(work).plus(body.kind, body.amount)
    if domain.passes_limit(body.kind, after) and not body.reason:
        raise _UNEXPLAINED[body.kind](
            _UNEXPLAINED[body.kind].__doc__ or "",
            "/reason",
            voted=after.voted,
            committed=after.committed,
            invoiced=after.invoiced,
            paid=after.paid,
        )
    values = body.model_dump(exclude={"files", "seen"})
    return _enter(session, person, work, values, after, now, files_=body.files)


def counter(
    session: Session,
    person: Principal,
    key: Key,
    entry_id: UUID,
    reason: str,
    *,
    at: datetime | None = None,
) -> tuple[UUID, UUID]:
    """Take a line of the ledger back with its mirror, once; return the work's id and the line's."""
    now = at or datetime.now(UTC)
    work = _hold(session, key, person, SPEND)
    found = repository.entry(session, work.id, entry_id)
    if found is None:
        raise EntryNotFound
    if found.countered_by is not None or found.counters is not None:
        raise AlreadyCountered(countered_by=found.countered_by, counters=found.counters)
    values = {
        "kind": found.kind,
        "amount": -found.amount,
        "dated": domain.local_day(now),
        "label": found.label,
        "payee": found.payee,
        "document": found.document,
        "reason": reason,
    }
    after = _sums(work).plus(found.kind, -found.amount)
    return _enter(session, person, work, values, after, now, counters=entry_id)


def _enter(
    session: Session,
    person: Principal,
    work: Work,
    values: Mapping[str, Any],
    after: Sums,
    now: datetime,
    *,
    counters: UUID | None = None,
    files_: Sequence[UUID] = (),
) -> tuple[UUID, UUID]:
    """Add a line to a locked work's ledger, and set the sums that it leads to."""
    entry_id = new_id()
    more = {"id": entry_id, "counters": counters, "actor": person.user_id, "at": now}
    repository.add_entry(session, work, {**values, **more})
    work.committed, work.invoiced, work.paid = after.committed, after.invoiced, after.paid
    work.updated_at = now
    session.flush()
    if files_:
        files.attach(session, person, "entry", entry_id, files_)
    line = repository.entry(session, work.id, entry_id)
    assert line is not None  # noqa: S101 - just stored
    told = events.WorkSpent(
        **_head(session, work),
        entry=entry_id,
        number=line.number,
        kind=line.kind,
        amount=line.amount,
        committed=after.committed,
        invoiced=after.invoiced,
        paid=after.paid,
        balance=after.balance,
        spent_at=now,
    )
    outbox.append(session, [say(work, told)])
    return work.id, entry_id


def confirm(
    session: Session,
    person: Principal,
    key: Key,
    body: NewConfirmation,
    *,
    at: datetime | None = None,
) -> UUID:
    """Keep whether a person finds a finished work finished; they may change their mind."""
    rates.hit(session, "", "confirmation", str(person.user_id), domain.CONFIRMATIONS_PER_HOUR)
    work = _hold(session, key, person)
    if work.status != "completed":
        raise NotCompleted(status_now=work.status)
    if body.verdict == "disputed" and not body.note:
        raise NoteNeeded("Say what is missing.", "/note")
    before = repository.confirmations(session, work.id)
    now = at or datetime.now(UTC)
    repository.confirm(session, work.id, person.user_id, body.verdict, body.note, now)
    confirmed, disputed = repository.confirmations(session, work.id)
    if (confirmed, disputed) != before:
        told = events.WorkChecked(**_head(session, work), confirmed=confirmed, disputed=disputed)
        outbox.append(session, [say(work, told)])
    return work.id


def moderate_note(session: Session, person: Principal, key: Key, body: NoteModeration) -> UUID:
    """Hide what a citizen wrote of a work, or show it again; their verdict counts as before."""
    work = _find(session, key)
    person.require(MANAGE, work.commune)
    if not repository.hide_note(session, work.id, body.key, hidden=body.hidden):
        raise NoteNotFound
    return work.id


def _find(session: Session, key: Key) -> Work:
    found = repository.find(session, key)
    if found is None:
        raise WorkNotFound
    return found


def _hold(
    session: Session,
    key: Key,
    person: Principal,
    permission: str | None = None,
    seen: int | None = None,
) -> Work:
    """Lock a work for an act of ``person``, while its campaign is open to works.

    Of two agents at once the second waits, and with ``seen`` learns what is now.
    """
    found = _find(session, key)
    if permission is not None:
        person.require(permission, found.commune)
    campaign = core_repository.lock_campaign(session, found.campaign_id, shared=True)
    assert campaign is not None  # noqa: S101 - a foreign key says so
    require_open(campaign, "work")
    work = repository.lock(session, found.id)
    if seen is not None and seen != work.version:
        raise ChangedMeanwhile(
            version_now=work.version,
            status_now=work.status,
            progress_now=work.progress,
            committed_now=work.committed,
            invoiced_now=work.invoiced,
            paid_now=work.paid,
        )
    return work


def _require_going_on(work: Work) -> None:
    if work.status in domain.ENDED:
        raise WrongState("No plan is made any more.", status_now=work.status)


def _require_past(day: date, pointer: str, now: datetime) -> None:
    if day > domain.local_day(now):
        raise NotADay("This day is still to come.", pointer)


def _move(work: Work, status: WorkStatus, way: Way) -> WorkStatus:
    """Take a locked work to ``status``; return the one before."""
    if domain.TRANSITIONS[work.status].get(status) != way:
        raise WrongState(
            f"A work that is {work.status} does not become {status} like this.",
            status_now=work.status,
            allowed=domain.allowed(work.status, way),
        )
    previous, work.status = work.status, status
    return previous


def _sums(work: Work) -> Sums:
    return Sums(work.voted_cost, work.committed, work.invoiced, work.paid)


def _head(session: Session, work: Work) -> dict[str, Any]:
    """Return what every event of a work says."""
    return {
        "id": work.id,
        "ref": work.ref,
        "proposal": work.proposal_id,
        "proposal_ref": session.get_one(Proposal, work.proposal_id).ref,
        "campaign": work.campaign_id,
        "commune": work.commune,
    }


def _changed(session: Session, work: Work, now: datetime) -> events.WorkChanged:
    late = domain.is_delayed(work.status, work.ends_on, work.first_ends_on, domain.local_day(now))
    return events.WorkChanged(
        **_head(session, work),
        status=work.status,
        progress=work.progress,
        starts_on=work.starts_on,
        ends_on=work.ends_on,
        delayed=late,
        changed_at=now,
    )


def _tell(
    session: Session,
    person: Principal,
    work: Work,
    kind: str,
    said: str = "",
    detail: Mapping[str, Any] | None = None,
    photos: Sequence[UUID] = (),
) -> Event:
    """Add the line of an act to a locked work's journal; return the event of its version."""
    now = datetime.now(UTC)
    event = say(work, _changed(session, work, now))
    _line(session, person, work, kind, now, said, detail, photos)
    return event


def _line(
    session: Session,
    person: Principal,
    work: Work,
    kind: str,
    now: datetime,
    said: str,
    detail: Mapping[str, Any] | None = None,
    photos: Sequence[UUID] = (),
) -> None:
    work.updated_at = now
    line = repository.add_line(session, work, kind, now, person.user_id, said, detail)
    if photos:
        files.attach(session, person, "journal", line, photos)
