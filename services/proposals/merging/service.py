"""Use cases of merges and of the endorsements that may be carried over.

A merge is locked after its campaign (shared: the phase stays) and before its proposals, these in
the order of their ids; offers, then endorsements, between them. The last consent does it all.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event
from services.common.ids import new_id
from services.common.problems import Forbidden, Invalid
from services.common.requests import id_or_ref
from services.proposals import access, events
from services.proposals import repository as proposals
from services.proposals.access import MANAGE
from services.proposals.domain import RULES, Action
from services.proposals.errors import ProposalNotFound
from services.proposals.merging import domain, repository
from services.proposals.merging.errors import (
    AlreadyAnswered,
    AlreadyMerging,
    MergeClosed,
    MergeNotFound,
    NotMergeable,
    NotOpen,
    OfferNotFound,
    OtherCampaign,
    UnknownProposal,
)
from services.proposals.merging.schemas import Merge, NewMerge, Offer, OfferDone, Part
from services.proposals.models import Campaign, Proposal
from services.proposals.service import reached, reports_changed, say


def propose(
    session: Session, person: Principal, body: NewMerge, *, at: datetime | None = None
) -> UUID:
    """Ask the authors of several proposals to go on as one; return the merge's id.

    What the proposer speaks for consents at once; where that is all of it, it is done.
    """
    now = at or datetime.now(UTC)
    target = _part(session, person, body.target, "/target")
    sources = [
        _part(session, person, key, f"/sources/{place}") for place, key in enumerate(body.sources)
    ]
    ids = [one.id for one in (target, *sources)]
    if len(set(ids)) < len(ids):
        raise Invalid("Each proposal is given once.", "/sources")
    for place, one in enumerate(sources):
        if one.campaign_id != target.campaign_id:
            raise OtherCampaign(
                "Only proposals of one campaign can be merged.", f"/sources/{place}"
            )
    campaign = _campaign(session, target.campaign_id, "merge")
    parts = _lock(session, ids)
    _require_mergeable(parts.values())
    spoken = _spoken_for(session, parts.values(), person)
    agent = person.can(MANAGE, campaign.commune)
    if not spoken and not agent:
        raise Forbidden("A merge is proposed by an author of one of its parts, or by the mairie.")
    if (other := repository.open_merge_with(session, ids, domain.MERGEABLE)) is not None:
        raise AlreadyMerging(merge=str(other))
    merge_id = new_id()
    values = {
        "id": merge_id,
        "campaign": campaign.id,
        "person": person.user_id,
        "kind": "author" if any(access.is_author(session, one, person) for one in ids) else "agent",
        "note": body.note,
        "at": now,
    }
    repository.insert_merge(session, values, target.id, ids[1:])
    _consent(session, person, merge_id, parts, spoken, now)
    return merge_id


def answer(
    session: Session,
    person: Principal,
    merge_id: UUID,
    agree: bool,
    *,
    at: datetime | None = None,
) -> None:
    """Take an author's yes for what they speak for, or a no, which ends the merge.

    Its proposer, and the commune's agents, may end it too, and that in every phase.
    """
    now = at or datetime.now(UTC)
    campaign, merge, parts = _hold(session, merge_id, "merge" if agree else None)
    spoken = _spoken_for(session, parts.values(), person)
    mine = merge.proposed_by == person.user_id or person.can(MANAGE, campaign.commune)
    if not spoken and (agree or not mine):
        raise Forbidden("Only the authors of its parts answer for a merge.")
    if merge.state != "open":
        raise MergeClosed(state_now=merge.state)
    if not agree:
        repository.decide(session, merge_id, "refused", now)
        return
    _require_mergeable(parts.values())
    _consent(session, person, merge_id, parts, spoken, now)


def undo(
    session: Session,
    person: Principal,
    merge_id: UUID,
    reason: str,
    *,
    at: datetime | None = None,
) -> None:
    """Let every source of a merge stand by itself again, as it was; what came with it leaves.

    Out of a target that was withdrawn or hidden too, but of none that was reviewed.
    """
    campaign, merge, parts = _hold(session, merge_id, "merge", carried=True)
    target = parts.pop(merge.target_id)
    spoken = _spoken_for(session, parts.values(), person)
    if not spoken and not person.can(MANAGE, campaign.commune):
        raise Forbidden("A merge is undone by an author of what was merged, or by the mairie.")
    if merge.state != "done":
        raise MergeClosed(state_now=merge.state)
    if target.status not in domain.UNDOABLE:
        raise NotMergeable(proposal=target.ref, status_now=target.status)
    sources = list(parts.values())
    repository.part_authors(session, merge_id, target.id)
    target.endorsements -= repository.part_endorsements(session, merge_id, target.id)
    told = _give_back(session, target, sources)
    repository.mark_undone(session, merge_id, reason, at or datetime.now(UTC))
    outbox.append(session, told)


def _give_back(session: Session, target: Proposal, sources: Sequence[Proposal]) -> list[Event]:
    """Make the sources what they were, without their reports in the target; what to say of it."""
    ids = [one.id for one in sources]
    reports = domain.left(
        target.reports,
        {report for one in sources for report in one.reports},
        repository.came(session, target.id, events.ProposalMerged.event_type),
        repository.kept_reports(session, target.id, ids),
    )
    told = []
    for one in sources:
        one.status = one.status_before_merge or "submitted"
        one.merged_into = one.status_before_merge = None
        unmerged = events.ProposalUnmerged(
            id=one.id,
            ref=one.ref,
            campaign=one.campaign_id,
            commune=one.commune,
            out_of=target.id,
            out_of_ref=target.ref,
            status=one.status,
        )
        told.append(say(one, unmerged))
    return told + _with_reports(session, target, reports)


def _consent(
    session: Session,
    person: Principal,
    merge_id: UUID,
    parts: Mapping[UUID, Proposal],
    spoken: Iterable[Proposal],
    now: datetime,
) -> None:
    """Note consents for locked parts; with the last one, merge."""
    repository.consent(session, merge_id, [one.id for one in spoken], person.user_id, now)
    rows = repository.parts(session, merge_id)
    if not all(row.consented for row in rows):
        return
    target = next(parts[row.proposal_id] for row in rows if row.role == "target")
    sources = [parts[row.proposal_id] for row in rows if row.role == "source"]
    ids = [one.id for one in sources]
    repository.join_authors(session, merge_id, target.id, ids, now)
    repository.offer(session, merge_id, target.id, ids)
    repository.decide(session, merge_id, "done", now)
    outbox.append(session, _take_in(session, target, sources))


def _take_in(session: Session, target: Proposal, sources: Iterable[Proposal]) -> list[Event]:
    """Make the sources parts of the target, with their reports; what to say of it."""
    reports, told = list(target.reports), []
    for one in sources:
        new = domain.brought(reports, one.reports)
        reports += new
        one.status_before_merge = one.status
        one.status, one.merged_into = "merged", target.id
        merged = events.ProposalMerged(
            id=one.id,
            ref=one.ref,
            campaign=one.campaign_id,
            commune=one.commune,
            into=target.id,
            into_ref=target.ref,
            reports=new,
        )
        told.append(say(one, merged))
    return told + _with_reports(session, target, reports)


def _with_reports(session: Session, target: Proposal, reports: list[UUID]) -> list[Event]:
    if reports == target.reports:
        return []
    target.reports = reports
    session.flush()
    return [reports_changed(session, target)]


def _part(session: Session, person: Principal, key: str, pointer: str) -> Proposal:
    """Return a proposal that a request names, unlocked."""
    try:
        return access.find(session, id_or_ref(key), person)
    except ProposalNotFound:
        raise UnknownProposal("No proposal has this id or reference.", pointer) from None


def _campaign(session: Session, campaign_id: UUID, action: Action | None = None) -> Campaign:
    """Return a campaign, locked shared; one that is open to ``action``."""
    campaign = proposals.lock_campaign(session, campaign_id, shared=True)
    assert campaign is not None  # noqa: S101 - a foreign key says so
    if action is not None:
        access.require_open(campaign, action)
    return campaign


def _lock(session: Session, ids: Iterable[UUID]) -> dict[UUID, Proposal]:
    """Return proposals, locked in one order for all."""
    return {one: proposals.lock_proposal(session, one) for one in sorted(ids)}


def _hold(
    session: Session, merge_id: UUID, action: Action | None, *, carried: bool = False
) -> tuple[Campaign, Row[Any], dict[UUID, Proposal]]:
    """Return a merge, its campaign and its parts, all locked; ``carried`` endorsements too."""
    found = repository.find_merge(session, merge_id)
    if found is None:
        raise MergeNotFound
    campaign = _campaign(session, found.campaign_id, action)
    merge = repository.lock_merge(session, merge_id)
    if carried:
        repository.hold_endorsements(session, merge_id, merge.target_id)
    ids = [row.proposal_id for row in repository.parts(session, merge_id)]
    return campaign, merge, _lock(session, ids)


def _require_mergeable(parts: Iterable[Proposal]) -> None:
    for one in parts:
        if one.status != domain.MERGEABLE or one.hidden_at is not None:
            raise NotMergeable(proposal=one.ref, status_now=one.status)


def _spoken_for(session: Session, parts: Iterable[Proposal], person: Principal) -> list[Proposal]:
    return [one for one in parts if access.speaks_for(session, one, person)]


# Endorsements


def offers(session: Session, person: Principal) -> list[Offer]:
    """Return what the bearer is asked to endorse in place of what they endorsed."""
    rows = repository.offers(session, person.user_id, domain.ENDORSABLE)
    return [Offer.model_validate(row) for row in rows]


def reply(
    session: Session,
    person: Principal,
    merge_id: UUID,
    confirm: bool,
    *,
    at: datetime | None = None,
) -> OfferDone:
    """Carry the bearer's endorsement over, or do not; the same answer again changes nothing."""
    now = at or datetime.now(UTC)
    found = repository.find_merge(session, merge_id)
    if found is None:
        raise MergeNotFound
    campaign = _campaign(session, found.campaign_id)
    merge = repository.lock_merge(session, merge_id, shared=True)
    offer = repository.lock_offer(session, merge_id, merge.target_id, person.user_id)
    if offer is None or merge.state != "done":
        raise OfferNotFound
    wanted: domain.OfferAnswer = "confirmed" if confirm else "declined"
    if offer.answer not in (None, wanted):
        raise AlreadyAnswered(answer_now=offer.answer)
    if offer.answer is None:
        repository.answer_offers(session, merge.target_id, person.user_id, wanted, now)
        if confirm:
            _carry_over(session, campaign, merge, person.user_id, now)
    return OfferDone(
        answer=wanted, endorsements=repository.endorsements_of(session, merge.target_id)
    )


def _carry_over(
    session: Session, campaign: Campaign, merge: Row[Any], person: UUID, now: datetime
) -> None:
    """Count a person behind the target; say so the first time that they are as many as needed."""
    access.require_open(campaign, "endorse")
    counted = repository.carry_over(
        session, merge.id, merge.target_id, person, now, domain.ENDORSABLE
    )
    if counted is None:
        raise NotOpen
    if 0 < campaign.endorsements_needed <= counted:
        target = proposals.lock_proposal(session, merge.target_id)  # held since it was counted
        outbox.append(session, reached(target, campaign.endorsements_needed, now))


# Reading


def get(session: Session, merge_id: UUID, reader: Principal | None) -> Merge:
    """Return a merge as ``reader`` sees it."""
    row = repository.merge(session, merge_id, _seen_by(reader))
    if row is None:
        raise MergeNotFound
    return _shown(row, reader)


def merges(
    session: Session, filters: Mapping[str, Any], reader: Principal | None, limit: int
) -> list[Merge]:
    """Return merges, newest first, as ``filters`` choose them (see the repository's)."""
    rows = repository.merges(session, filters, _seen_by(reader), limit)
    return [_shown(row, reader) for row in rows]


def _seen_by(reader: Principal | None) -> dict[str, Any]:
    return {
        "reader": reader.user_id if reader else None,
        "communes": [one for one in reader.grants if reader.can(MANAGE, one)] if reader else [],
    }


def _shown(row: Row[Any], reader: Principal | None) -> Merge:
    target = next(part for part in row.parts if part["role"] == "target")
    sources = [part for part in row.parts if part["role"] == "source"]
    return Merge.model_validate(
        {
            **row._mapping,
            "target": Part.model_validate(target),
            "sources": [Part.model_validate(one) for one in sources],
            "may": _may(row, target, sources, reader),
        }
    )


def _may(
    row: Row[Any],
    target: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    reader: Principal | None,
) -> list[str]:
    """Return what ``reader`` can do with a merge now."""
    if reader is None:
        return []
    still = "merge" in RULES[row.phase].open_to
    agent = reader.can(MANAGE, row.commune)
    mine = [part for part in (target, *sources) if part["mine"]]
    if row.state == "open":
        waits = still and any(not part["consented"] for part in mine)
        consent = ["consent"] if waits else []
        return consent + (["refuse"] if mine or agent or row.proposed else [])
    undoes = still and (agent or any(part["mine"] for part in sources))
    done = row.state == "done" and target["status"] in domain.UNDOABLE
    return ["undo"] if done and undoes else []
