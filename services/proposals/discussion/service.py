"""Use cases of endorsing, discussing and following proposals.

Who writes, withdraws or decides holds the proposal's row: its count of comments, the state of its
words and the log of decisions stay of one mind. Who endorses or marks does not wait for that.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common import rates
from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event
from services.common.ids import new_id
from services.common.problems import Forbidden
from services.proposals import access, events, repository
from services.proposals import domain as core_domain
from services.proposals.discussion import domain
from services.proposals.discussion import repository as talk
from services.proposals.discussion.domain import Line, Sort
from services.proposals.discussion.errors import (
    AlreadyReported,
    CommentClosed,
    CommentNotFound,
    NotOpen,
    OwnWords,
)
from services.proposals.discussion.schemas import (
    AbuseReported,
    CommentCreated,
    CommentOut,
    CommentPage,
    CommentWithdrawn,
    Hidden,
    NewAbuseReport,
    NewComment,
    News,
)
from services.proposals.domain import LISTED, RULES
from services.proposals.errors import ProposalNotFound, WrongPhase
from services.proposals.models import Proposal
from services.proposals.service import reached, say

# Endorsing


def endorse(session: Session, key: UUID | str, person: UUID, *, at: datetime | None = None) -> int:
    """Count a person once behind a proposal, while it can still change; return the total.

    Without an event, but for the first time that as many people endorse it as its campaign asks.
    """
    head = _endorsable(session, key)
    counted = talk.endorse(session, head.id, person, at)
    if counted is None:
        raise NotOpen(status_now=head.status)
    if core_domain.reached(
        head.endorsements_needed, counted.endorsements, counted.threshold_reached_at
    ):
        proposal = repository.lock_proposal(session, head.id)  # held since it was counted
        told = reached(proposal, head.endorsements_needed, at or datetime.now(UTC))
        outbox.append(session, told)
    return int(counted.endorsements)


def take_back(session: Session, key: UUID | str, person: UUID) -> int:
    """Count a person no more behind a proposal; return the total."""
    return talk.take_back(session, _endorsable(session, key).id, person)


def _endorsable(session: Session, key: UUID | str) -> Row[Any]:
    """Return a public proposal of a campaign that is open to endorsements."""
    head = talk.head(session, key)
    if head is None or head.status == "draft" or head.hidden_at is not None:
        raise ProposalNotFound
    _require_open(head.phase, "endorse")
    return head


def _require_open(phase: Any, action: Any) -> None:
    if action not in RULES[phase].open_to:
        raise WrongPhase(f"The campaign's phase {phase} is not open to this.", phase=phase)


# Comments


def list_comments(
    session: Session,
    key: UUID | str,
    reader: Principal | None,
    *,
    parent: UUID | None = None,
    sort: Sort = "newest",
    after: tuple[Any, UUID] | None = None,
    limit: int = 20,
) -> tuple[CommentPage, tuple[Any, UUID] | None]:
    """Return a page of a proposal's comments, or of the replies to one, with what answers them.

    The second is where the next page begins, None after the last.
    """
    proposal = access.find(session, key, reader)
    campaign = repository.find_campaign(session, proposal.campaign_id)
    assert campaign is not None  # noqa: S101 - a foreign key says so
    person = reader.user_id if reader else None
    found = talk.comments(session, proposal.id, parent, person, sort, after, limit + 1)
    top = found[:limit]
    below = talk.replies(session, [row.id for row in top], person) if top else []
    shown = _shown(session, proposal, reader, [*top, *below])
    _nest(shown, [*top, *below])
    counted = dict.fromkeys(("for", "against", "neutral"), 0)
    page = CommentPage(
        items=[shown[row.id] for row in top],
        next=None,
        comments=proposal.comments,
        stances={**counted, **talk.stances(session, proposal.id)},
        open=proposal.status in LISTED and "discuss" in RULES[campaign.phase].open_to,
    )
    if len(found) <= limit:
        return page, None
    last = top[-1]
    return page, (last.useful if sort == "useful" else last.created_at, last.id)


def _shown(
    session: Session, proposal: Proposal, reader: Principal | None, rows: Sequence[Row[Any]]
) -> dict[UUID, CommentOut]:
    """Return comments as ``reader`` may see them: hidden words are their author's and agents'."""
    logs = talk.lines(session, [("comment", row.id) for row in rows if row.hidden_at])
    agent = access.is_agent(reader, proposal.commune)
    return {row.id: _one(row, logs.get(("comment", row.id), []), reader, agent) for row in rows}


def _one(row: Row[Any], lines: Sequence[Line], reader: Principal | None, agent: bool) -> CommentOut:
    mine = reader is not None and row.user_id == reader.user_id and not row.withdrawn_at
    line = domain.hiding(lines) if row.hidden_at and not row.withdrawn_at else None
    hidden = line and Hidden(
        reason=line.reason, note=line.note, at=line.at, appealed=domain.appealed(lines)
    )
    read = row.hidden_at is None or mine or agent
    return CommentOut(
        id=row.id,
        parent=row.parent_id,
        depth=row.depth,
        name=row.name if read else "",
        stance=row.stance if read else "neutral",
        body=row.body if read else "",
        useful=row.useful,
        created_at=row.created_at,
        withdrawn=row.withdrawn_at is not None,
        hidden=hidden,
        mine=mine,
        marked=row.marked,
    )


def _nest(shown: dict[UUID, CommentOut], rows: Sequence[Row[Any]]) -> None:
    """Put replies below what they answer, and count those that are left out."""
    for row in rows:
        if row.parent_id in shown:
            shown[row.parent_id].replies.append(shown[row.id])
    for row in rows:
        shown[row.id].more = row.children - len(shown[row.id].replies)


def comment(
    session: Session,
    key: UUID | str,
    person: Principal,
    body: NewComment,
    *,
    at: datetime | None = None,
) -> CommentCreated:
    """Add a comment, or a reply, while the campaign is open to talk."""
    _, proposal = access.lock(session, key, person, "discuss")
    if proposal.status not in LISTED:
        raise NotOpen(status_now=proposal.status)
    parent, depth = None, 0
    if body.parent is not None:
        answered = _open_comment(session, body.parent)
        if answered.proposal_id != proposal.id:
            raise CommentNotFound
        parent, depth = domain.place_of_reply(answered.id, answered.parent_id, answered.depth)
    comment_id = new_id()
    talk.add_comment(
        session,
        id=comment_id,
        proposal=proposal.id,
        parent=parent,
        depth=depth,
        user=person.user_id,
        name=body.name,
        stance=body.stance,
        body=body.body,
        at=at or datetime.now(UTC),
    )
    outbox.append(session, recounted(proposal, 1))
    return CommentCreated(id=comment_id, parent=parent, depth=depth, comments=proposal.comments)


def _open_comment(session: Session, comment_id: UUID) -> Row[Any]:
    found = talk.find_comment(session, comment_id)
    if found is None:
        raise CommentNotFound
    if found.hidden_at or found.withdrawn_at:
        raise CommentClosed
    return found


def recounted(proposal: Proposal, more: int) -> list[Event]:
    """Count ``more`` comments that all can read at a locked proposal; what to say of it."""
    if not more:
        return []
    proposal.comments += more
    told = events.ProposalDiscussed(
        id=proposal.id,
        ref=proposal.ref,
        campaign=proposal.campaign_id,
        commune=proposal.commune,
        comments=proposal.comments,
    )
    return [say(proposal, told)]


def lock_of_comment(session: Session, comment_id: UUID) -> tuple[Proposal, Row[Any]]:
    """Return a comment as it is now, and its proposal, locked.

    Whoever may read the proposal or not: what is one's own can be taken back from anywhere.
    """
    found = talk.find_comment(session, comment_id)
    if found is None:
        raise CommentNotFound
    proposal = repository.lock_proposal(session, found.proposal_id)
    found = talk.find_comment(session, comment_id)
    if found is None:
        raise CommentNotFound
    return proposal, found


def withdraw(
    session: Session, comment_id: UUID, person: Principal, *, at: datetime | None = None
) -> CommentWithdrawn:
    """Take one's own comment back, in any phase: its words are gone from the database.

    Its place stays where others replied, and goes with the last of them.
    """
    proposal, found = lock_of_comment(session, comment_id)
    if found.user_id != person.user_id or found.withdrawn_at:
        # Nobody learns more from this than from reading the discussion.
        access.find(session, proposal.id, person)
        raise CommentClosed if found.withdrawn_at else Forbidden("Only who wrote it may do this.")
    now = at or datetime.now(UTC)
    talk.handle_reports(session, "comment", comment_id, now)
    placeholder = talk.has_replies(session, comment_id)
    if placeholder:
        talk.empty_comment(session, comment_id, now)
    else:
        _forget(session, comment_id)
    outbox.append(session, recounted(proposal, 0 if found.hidden_at else -1))
    return CommentWithdrawn(id=comment_id, placeholder=placeholder, comments=proposal.comments)


def _forget(session: Session, comment_id: UUID) -> None:
    """Delete a comment, and above it the places of withdrawn ones that nothing answers now."""
    above = talk.forget_comment(session, comment_id)
    while above is not None:
        found = talk.find_comment(session, above)
        if found is None or not found.withdrawn_at or talk.has_replies(session, above):
            return
        above = talk.forget_comment(session, above)


def mark_useful(session: Session, comment_id: UUID, person: Principal) -> int:
    """Count a person once who finds another's comment useful; return the total."""
    found = _open_comment_for(session, comment_id, person)
    head = talk.head(session, found.proposal_id)
    assert head is not None  # noqa: S101 - a foreign key says so
    _require_open(head.phase, "discuss")
    if found.user_id == person.user_id:
        raise OwnWords
    counted = talk.mark(session, comment_id, person.user_id)
    if counted is None:
        raise CommentClosed
    return counted


def _open_comment_for(session: Session, comment_id: UUID, person: Principal) -> Row[Any]:
    """Return a comment that all can read, of a proposal that ``person`` may read."""
    found = talk.find_comment(session, comment_id)
    if found is None:
        raise CommentNotFound
    access.find(session, found.proposal_id, person)
    return _open_comment(session, comment_id)


# Reports of abuse


def report_abuse(
    session: Session, person: Principal, body: NewAbuseReport, *, at: datetime | None = None
) -> AbuseReported:
    """Tell the mairie what is wrong with somebody else's words, once until it is handled."""
    if body.subject == "comment":
        found = _open_comment_for(session, body.id, person)
        proposal = access.find(session, found.proposal_id, person)
        own = found.user_id == person.user_id
    else:
        proposal = access.find(session, body.id, person)
        if proposal.hidden_at or proposal.status == "draft":
            raise NotOpen("Nobody but its authors and agents can read this.")
        own = access.is_author(session, proposal.id, person)
    if own:
        raise OwnWords
    report_id = new_id()
    stored = talk.add_abuse_report(
        session,
        id=report_id,
        kind=body.subject,
        subject=body.id,
        proposal=proposal.id,
        commune=proposal.commune,
        user=person.user_id,
        reason=body.reason,
        note=body.note,
        at=at or datetime.now(UTC),
    )
    if not stored:
        raise AlreadyReported
    return AbuseReported(id=report_id, subject=body.subject, subject_id=body.id, reason=body.reason)


def count_comment(session: Session, person: Principal) -> None:
    """Count a comment against the hour's limit."""
    who = str(person.user_id)
    rates.hit(session, "", "comment", who, domain.COMMENTS_PER_HOUR)


def count_abuse_report(session: Session, person: Principal) -> None:
    """Count a report of abuse against the hour's limit."""
    who = str(person.user_id)
    rates.hit(session, "", "abuse-report", who, domain.ABUSE_REPORTS_PER_HOUR)


# Following


def follow(session: Session, key: UUID | str, person: Principal) -> None:
    """Follow a proposal."""
    talk.follow(session, access.find(session, key, person).id, person.user_id)


def unfollow(session: Session, key: UUID | str, person: Principal) -> None:
    """Follow a proposal no more, even one that was hidden meanwhile."""
    if not talk.unfollow(session, key, person.user_id):
        access.find(session, key, person)


def news(session: Session, person: Principal) -> list[News]:
    """Return what changed of the proposals that a person follows, endorses or wrote."""
    return [News.model_validate(dict(row._mapping)) for row in talk.news(session, person.user_id)]
