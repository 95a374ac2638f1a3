"""Use cases of moderation: the queue, decisions with their reasons, appeals, the public log.

Each act holds the proposal's row: of two agents at once the second meets what the first decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event
from services.common.ids import new_id
from services.common.problems import Forbidden
from services.proposals import access, events, repository
from services.proposals.access import MANAGE
from services.proposals.discussion import domain
from services.proposals.discussion import repository as talk
from services.proposals.discussion.domain import Line, LogAction, Subject
from services.proposals.discussion.errors import (
    AlreadyAppealed,
    CommentClosed,
    CommentNotFound,
    NotHidden,
    NothingToDecide,
    SameAgent,
)
from services.proposals.discussion.schemas import (
    AppealAnswer,
    Decided,
    LastDecision,
    NewAppeal,
    NewDecision,
    PublicLine,
    PublicLog,
    QueueItem,
)
from services.proposals.discussion.service import lock_of_comment, recounted
from services.proposals.errors import ChangedMeanwhile, ProposalNotFound
from services.proposals.models import Proposal
from services.proposals.service import say


@dataclass(frozen=True, slots=True)
class _Held:
    """What a decision is about, its proposal locked; ``author`` is None for a proposal."""

    subject: Subject
    id: UUID
    proposal: Proposal
    author: UUID | None
    hidden: bool
    lines: Sequence[Line]

    def wrote(self, session: Session, person: Principal) -> bool:
        """Tell whether these are the words of ``person``."""
        if self.author is not None:
            return self.author == person.user_id
        return access.is_author(session, self.proposal.id, person)


def queue(
    session: Session,
    agent: Principal,
    commune: str,
    after: tuple[str, UUID] | None,
    limit: int,
) -> tuple[list[QueueItem], tuple[str, UUID] | None]:
    """Return what waits for the commune's agents, and where the next page begins."""
    agent.require(MANAGE, commune)
    rows = talk.queue(session, commune, agent.user_id, after, limit + 1)
    logs = talk.lines(session, [(row.subject_kind, row.subject_id) for row in rows[:limit]])
    items = []
    for row in rows[:limit]:
        lines = logs.get((row.subject_kind, row.subject_id), [])
        items.append(
            QueueItem(
                subject=row.subject_kind,
                id=row.subject_id,
                proposal=row.proposal_id,
                waiting_since=row.since,
                last=_last(lines),
                seen=len(lines),
                may=[] if row.own else _may(lines, row.hidden, agent),
                **{name: getattr(row, name) for name in _QUEUED},
            )
        )
    more = len(rows) > limit
    return items, (rows[limit - 1].place, rows[limit - 1].subject_id) if more else None


_QUEUED = (
    "ref",
    "title",
    "words",
    "name",
    "written_at",
    "urgent",
    "reports",
    "reasons",
    "notes",
    "appeal",
    "hidden",
)


def _may(lines: Sequence[Line], hidden: bool, agent: Principal) -> list[str]:
    line = domain.hiding(lines)
    others = hidden and domain.appeal_waits(lines) and line and line.actor != agent.user_id
    return [*domain.DECISIONS[hidden], *(("uphold", "reverse") if others else ())]


def _last(lines: Sequence[Line]) -> LastDecision | None:
    decisions = [line for line in lines if line.action != "appeal"]
    if not decisions:
        return None
    last = decisions[-1]
    return LastDecision(action=last.action, reason=last.reason, note=last.note, at=last.at)


def decide(
    session: Session, agent: Principal, body: NewDecision, *, at: datetime | None = None
) -> Decided:
    """Hide words, show them again, or keep them: with a reason and a note for all to read.

    Not one's own.
    """
    held = _held(session, agent, body.subject, body.id)
    agent.require(MANAGE, held.proposal.commune)
    if held.wrote(session, agent):
        raise SameAgent
    _check_seen(held, body.seen)
    if body.action not in domain.DECISIONS[held.hidden]:
        raise _overtaken(held)
    now = _moment(held, at)
    handled = talk.handle_reports(session, body.subject, body.id, now)
    if body.action == "keep" and not handled:
        raise _overtaken(held)
    return _record(session, agent, held, body.action, body.reason, body.note, now)


def appeal(
    session: Session, person: Principal, body: NewAppeal, *, at: datetime | None = None
) -> Decided:
    """Ask for one's hidden words to be looked at again, once for each time they were hidden.

    The answer is without the note: answers are kept, and that is the mairie's to read.
    """
    held = _held(session, person, body.subject, body.id)
    if not held.wrote(session, person):
        access.find(session, held.proposal.id, person)
        raise Forbidden("Only who wrote this may appeal.")
    line = domain.hiding(held.lines)
    if not held.hidden or line is None:
        raise NotHidden
    if domain.appealed(held.lines):
        raise AlreadyAppealed
    now = _moment(held, at)
    decided = _record(session, person, held, "appeal", line.reason, body.note, now)
    return decided.model_copy(update={"note": ""})


def decide_appeal(
    session: Session, agent: Principal, body: AppealAnswer, *, at: datetime | None = None
) -> Decided:
    """Uphold what hides somebody's words or take it back: never who hid them, nor who wrote."""
    held = _held(session, agent, body.subject, body.id)
    agent.require(MANAGE, held.proposal.commune)
    _check_seen(held, body.seen)
    line = domain.hiding(held.lines)
    if line is None or not domain.appeal_waits(held.lines):
        raise _overtaken(held)
    if line.actor == agent.user_id or held.wrote(session, agent):
        raise SameAgent
    now = _moment(held, at)
    return _record(session, agent, held, body.action, line.reason, body.note, now)


def _held(session: Session, person: Principal, subject: Subject, subject_id: UUID) -> _Held:
    """Lock what a decision is about; whoever may not know of it learns nothing."""
    if subject == "comment":
        proposal, found = lock_of_comment(session, subject_id)
        author: UUID | None = found.user_id
        if author != person.user_id and not access.may_read(session, proposal, person):
            raise CommentNotFound
        if found.withdrawn_at:
            raise CommentClosed
        hidden = found.hidden_at is not None
    else:
        _, proposal = access.lock(session, subject_id, person)
        if proposal.status == "draft":
            raise ProposalNotFound
        author, hidden = None, proposal.hidden_at is not None
    logs = talk.lines(session, [(subject, subject_id)])
    lines = logs.get((subject, subject_id), [])
    return _Held(subject, subject_id, proposal, author, hidden, lines)


def _moment(held: _Held, at: datetime | None) -> datetime:
    """Return when a line is written: after the one before it, whatever clocks say."""
    now = at or datetime.now(UTC)
    return max(now, held.lines[-1].at + timedelta(microseconds=1)) if held.lines else now


def _check_seen(held: _Held, seen: int | None) -> None:
    if seen is not None and seen != len(held.lines):
        raise _overtaken(held)


def _overtaken(held: _Held) -> ChangedMeanwhile | NothingToDecide:
    """Return the refusal of what another decision made void, with that decision."""
    last = _last(held.lines)
    if last is None:
        return NothingToDecide(hidden_now=held.hidden, seen_now=len(held.lines))
    return ChangedMeanwhile(
        action_now=last.action,
        reason_now=last.reason,
        note_now=last.note,
        decided_at=last.at.isoformat(),
        hidden_now=held.hidden,
        seen_now=len(held.lines),
    )


#: What an act does to its subject: whether it is hidden afterwards; None leaves it.
_HIDES: dict[LogAction, bool | None] = {
    "hide": True,
    "show": False,
    "reverse": False,
    "keep": None,
    "appeal": None,
    "uphold": None,
}


def _record(
    session: Session,
    person: Principal,
    held: _Held,
    action: LogAction,
    reason: str,
    note: str,
    now: datetime,
) -> Decided:
    """Add a line to the log, and let the subject be hidden or shown as it says."""
    talk.add_line(
        session,
        id=new_id(),
        kind=held.subject,
        subject=held.id,
        proposal=held.proposal.id,
        commune=held.proposal.commune,
        action=action,
        reason=reason,
        note=note,
        actor=person.user_id,
        at=now,
    )
    hides = _HIDES[action]
    if hides is not None:
        outbox.append(session, _set_hidden(session, held, now if hides else None))
    return Decided(
        subject=held.subject,
        id=held.id,
        action=action,
        reason=reason,
        note=note,
        at=now,
        hidden=held.hidden if hides is None else hides,
        seen=len(held.lines) + 1,
    )


def _set_hidden(session: Session, held: _Held, at: datetime | None) -> list[Event]:
    proposal = held.proposal
    if held.subject == "comment":
        talk.set_hidden(session, held.id, at)
        return recounted(proposal, -1 if at else 1)
    proposal.hidden_at = at
    told = events.ProposalVisibilityChanged(
        id=proposal.id,
        ref=proposal.ref,
        campaign=proposal.campaign_id,
        commune=proposal.commune,
        visible=at is None,
    )
    return [say(proposal, told)]


def public_log(session: Session, key: UUID | str) -> PublicLog:
    """Return what was decided about a proposal and its comments: what, when and why.

    A hidden proposal's too: that it was hidden, and the reason, are no secret; its words are.
    """
    proposal = repository.find_proposal(session, key)
    if proposal is None or proposal.status == "draft":
        raise ProposalNotFound
    rows = talk.public_log(session, proposal.id)
    return PublicLog(
        ref=proposal.ref,
        hidden=proposal.hidden_at is not None,
        items=[PublicLine.model_validate(dict(row._mapping)) for row in rows],
    )
