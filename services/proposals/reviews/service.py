"""Use cases of reviews: to assign, to judge criteria, to decide, to answer, to decide again.

Nothing here commits: the request's session does. See :mod:`services.proposals.access` for locks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.problems import Invalid
from services.common.requests import Place
from services.proposals import access, events
from services.proposals import repository as core
from services.proposals.access import REVIEW
from services.proposals.domain import RULES, STATUS_AFTER
from services.proposals.errors import (
    AlreadyReviewed,
    CampaignNotFound,
    ChangedMeanwhile,
    OverBudget,
    StillDraft,
)
from services.proposals.files import repository as files
from services.proposals.files import service as attaching
from services.proposals.models import Campaign, Proposal, Review
from services.proposals.reviews import domain, repository
from services.proposals.reviews.errors import (
    AlreadyAnswered,
    AssignmentNotFound,
    ContradictsCriteria,
    NotEnoughEndorsements,
    NothingToAnswer,
    NotReviewable,
)
from services.proposals.reviews.schemas import (
    Assessment,
    CriterionChange,
    NewAssignment,
    NewReview,
    Reviewed,
    Sheet,
)
from services.proposals.service import say

Judged = Mapping[str, Row[Any]]


def review(
    session: Session,
    agent: Principal,
    key: UUID | str,
    body: NewReview,
    *,
    at: datetime | None = None,
) -> Reviewed:
    """Decide on a proposal: once, and once more after its author's answer.

    Of two agents at once the second meets the first one's review, as :class:`AlreadyReviewed`, or
    as :class:`ChangedMeanwhile` where it says what it had seen.
    """
    held = _hold(session, agent, key)
    campaign, proposal = held.campaign, held.proposal
    judged = _judged(session, proposal)
    _check_seen(session, held, judged, body)
    number = held.require_round()
    _require_endorsements(campaign, proposal)
    now = at or datetime.now(UTC)
    for one in body.criteria:
        _judge(session, agent, proposal, judged, one.criterion, one, now)
        judged = _judged(session, proposal)
    verdicts = {name: row.verdict for name, row in judged.items()}
    if against := domain.contradictions(body.outcome, verdicts):  # type: ignore[arg-type]
        raise ContradictsCriteria(
            "What is not met forbids this outcome, unless the project changes.",
            "/outcome",
            criteria=list(against),
        )
    status = STATUS_AFTER[body.outcome]
    if status == "shortlisted":
        _require_money(campaign, proposal, body.cost)
    proposal.status = status
    proposal.cost = body.cost
    session.add(
        Review(
            proposal_id=proposal.id,
            round=number,
            outcome=body.outcome,
            reason=body.reason,
            cost=body.cost,
            criteria=[
                {"criterion": name, "verdict": row.verdict, "note": row.note}
                for name, row in judged.items()
            ],
            reviewer_id=agent.user_id,
            reviewed_at=now,
        )
    )
    told = events.ProposalReviewed(
        id=proposal.id,
        ref=proposal.ref,
        campaign=campaign.id,
        commune=campaign.commune,
        outcome=body.outcome,
        cost=body.cost,
        status=status,
        round=number,
    )
    outbox.append(session, [say(proposal, told)])
    return Reviewed(
        id=proposal.id, ref=proposal.ref, status=status, outcome=body.outcome, cost=body.cost
    )


def judge(
    session: Session,
    agent: Principal,
    key: UUID | str,
    criterion: domain.Criterion,
    body: CriterionChange,
    *,
    at: datetime | None = None,
) -> UUID:
    """Fill a criterion of an open round; the public reads it with the outcome. Return the id."""
    held = _hold(session, agent, key)
    held.require_round()
    proposal = held.proposal
    judged = _judged(session, proposal)
    now = at or datetime.now(UTC)
    criterion_id = _judge(session, agent, proposal, judged, criterion, body, now)
    if body.files is not None:
        attaching.attach(session, agent, "criterion", criterion_id, body.files, replace=True)
    return proposal.id


def assign(
    session: Session,
    agent: Principal,
    key: UUID | str,
    body: NewAssignment,
    *,
    at: datetime | None = None,
) -> UUID:
    """Give a proposal to a technical service, or ask that one again; return the proposal's id."""
    held = _hold(session, agent, key)
    held.require_round()
    proposal = held.proposal
    now = at or datetime.now(UTC)
    today = domain.local_day(now)
    if body.due_on is not None and not today <= body.due_on <= domain.LATEST:
        raise Invalid("The due date is yet to come.", "/due_on")
    repository.assign(
        session, proposal.id, body.service, body.due_on, body.note, agent.user_id, now
    )
    return proposal.id


def take_back(session: Session, agent: Principal, key: UUID | str, service: domain.Service) -> UUID:
    """Take a proposal from a service; return the proposal's id."""
    held = _hold(session, agent, key)
    held.require_round()
    proposal = held.proposal
    if not repository.take_back(session, proposal.id, service):
        raise AssignmentNotFound
    return proposal.id


def answer(
    session: Session,
    person: Principal,
    key: UUID | str,
    words: str,
    *,
    at: datetime | None = None,
) -> UUID:
    """Reply to the first review (an author), once; return the proposal's id."""
    campaign, proposal = access.lock(session, key, person)
    access.require_speaker(session, proposal, person)
    access.require_open(campaign, "answer")
    _require_standing(proposal)
    standing = core.review_of(session, proposal.id)
    if repository.answer(session, proposal.id) is not None:
        raise AlreadyAnswered
    if standing is None or standing.round == domain.LAST_ROUND:
        raise NothingToAnswer
    now = at or datetime.now(UTC)
    repository.add_answer(session, proposal.id, words, person.user_id, now)
    told = events.ProposalAnswered(
        id=proposal.id, ref=proposal.ref, campaign=campaign.id, commune=campaign.commune
    )
    outbox.append(session, [say(proposal, told)])
    return proposal.id


def sheet(session: Session, key: UUID | str, reader: Principal | None) -> Sheet:
    """Return a proposal's review as far as ``reader`` may know it.

    Before an outcome, and from then what was judged again since, is the reviewers' alone.
    """
    proposal = access.find(session, key, reader)
    campaign = session.get_one(Campaign, proposal.campaign_id)
    inside = reader is not None and reader.can(REVIEW, proposal.commune)
    reviews = repository.reviews(session, proposal.id)
    reply = repository.answer(session, proposal.id)
    published = reviews[-1].reviewed_at if reviews else None
    shown = [
        row
        for row in repository.criteria(session, proposal.id)
        if inside or (published is not None and row.at <= published)
    ]
    attached = files.of(session, "criterion", [row.id for row in shown])
    today = domain.local_day(datetime.now(UTC))
    envelope = next((one for one in campaign.envelopes if one.id == proposal.envelope_id), None)
    number = domain.next_round(reviews[-1].round if reviews else None, answered=reply is not None)
    values = {
        **{
            name: getattr(proposal, name)
            for name in (
                "id", "ref", "title", "commune", "status", "version", "estimated_cost", "cost",
                "endorsements",
            )
        },
        "campaign": campaign.id,
        "phase": campaign.phase,
        "endorsements_needed": campaign.endorsements_needed,
        "envelope": envelope,
        "round": number,
        "criteria": [
            {**row._mapping, "by": row.actor if inside else None, "files": attached[row.id]}
            for row in shown
        ],
        "criteria_version": max((row.version for row in shown), default=0),
        "assignments": repository.assignments(session, proposal.id, today) if inside else [],
        "reviews": reviews,
        "answer": reply,
        "may": _may(session, campaign, proposal, reader, number),
    }  # fmt: skip
    return Sheet.model_validate(values)


def queue(
    session: Session,
    agent: Principal,
    commune: str | None,
    campaign: UUID | None,
    service: domain.Service | None,
    state: domain.State | None,
    after: Place | None,
    limit: int,
) -> tuple[Sequence[Row[Any]], Mapping[domain.State, int]]:
    """Return a page of the desk's queue and how many proposals are in each state."""
    if commune is None:
        if campaign is None:
            raise Invalid("Name a commune or a campaign.", "/commune")
        found = core.find_campaign(session, campaign)
        if found is None:
            raise CampaignNotFound
        commune = found.commune
    agent.require(REVIEW, commune)
    filters = {
        "commune": commune,
        "campaign": campaign,
        "service": service,
        "today": domain.local_day(datetime.now(UTC)),
    }
    counted = repository.counts(session, filters)
    return (
        repository.queue(session, filters, state, after, limit),
        {one: counted.get(one, 0) for one in domain.STATES},
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """A locked proposal, its last review, and the round that may be decided now."""

    campaign: Campaign
    proposal: Proposal
    standing: Review | None
    number: int | None

    def require_round(self) -> int:
        """Return the open round, or say what stands."""
        if self.number is None:
            raise AlreadyReviewed(status_now=self.proposal.status, **_said(self.standing))
        return self.number


def _hold(session: Session, agent: Principal, key: UUID | str) -> _Held:
    """Lock a proposal for a reviewer, while its campaign's phase is open to its round."""
    campaign, proposal = access.lock(session, key, agent)
    agent.require(REVIEW, campaign.commune)
    standing = core.review_of(session, proposal.id)
    answered = repository.answer(session, proposal.id) is not None
    number = domain.next_round(standing.round if standing else None, answered=answered)
    # Where no round is left, a phase that is open to any says what stands.
    rounds = domain.ROUNDS.values() if number is None else [domain.ROUNDS[number]]
    if not RULES[campaign.phase].open_to.intersection(rounds):
        access.require_open(campaign, next(iter(rounds)))
    _require_standing(proposal)
    return _Held(campaign, proposal, standing, number)


def _require_standing(proposal: Proposal) -> None:
    if proposal.status == "draft":
        raise StillDraft
    if proposal.status in ("merged", "withdrawn") or proposal.hidden_at is not None:
        raise NotReviewable(status_now=proposal.status, hidden=proposal.hidden_at is not None)


def _require_endorsements(campaign: Campaign, proposal: Proposal) -> None:
    """Hold a proposal against its campaign's threshold, which counts once it was reached.

    What came on paper or out of an assembly has its people behind it.
    """
    reached = proposal.threshold_reached_at is not None
    missing = proposal.endorsements < campaign.endorsements_needed
    if proposal.origin == "web" and missing and not reached:
        raise NotEnoughEndorsements(
            endorsements=proposal.endorsements, needed=campaign.endorsements_needed
        )


def _require_money(campaign: Campaign, proposal: Proposal, cost: int) -> None:
    amounts = {one.id: one.amount for one in campaign.envelopes}
    most = amounts.get(proposal.envelope_id, campaign.budget)  # type: ignore[arg-type]
    if cost > most:
        raise OverBudget("The cost is more than its envelope holds.", "/cost", most=most)


def _judged(session: Session, proposal: Proposal) -> Judged:
    return {row.criterion: row for row in repository.criteria(session, proposal.id)}


def _grid_version(judged: Judged) -> int:
    """Return the version of a whole grid: that of the criterion judged last."""
    return max((row.version for row in judged.values()), default=0)


def _judge(
    session: Session,
    agent: Principal,
    proposal: Proposal,
    judged: Judged,
    criterion: domain.Criterion,
    body: Assessment,
    now: datetime,
) -> UUID:
    before = judged.get(criterion)
    version = before.version if before else 0
    if body.seen is not None and body.seen != version:
        raise ChangedMeanwhile(changed=["criteria"], criteria=_told(judged, body.seen, criterion))
    values = {
        "criterion": criterion,
        "verdict": body.verdict,
        "note": body.note,
        "service": body.service,
        "actor": agent.user_id,
        "at": now,
        "version": _grid_version(judged) + 1,
    }
    return repository.judge(session, proposal.id, values)


def _check_seen(
    session: Session,
    held: _Held,
    judged: Judged,
    body: NewReview,
) -> None:
    """Refuse a decision on what is not any more: the text, a review, the grid.

    Comments and supporters that came meanwhile change nothing of it.
    """
    proposal = held.proposal
    changed: list[str] = []
    if body.seen is not None and body.seen != proposal.version:
        types = repository.types_since(session, proposal.id, body.seen)
        changed = domain.changes(types) if body.seen < proposal.version else ["version"]
    if body.seen_criteria is not None and body.seen_criteria != _grid_version(judged):
        changed.append("criteria")
    if changed:
        raise ChangedMeanwhile(
            changed=changed,
            version_now=proposal.version,
            status_now=proposal.status,
            revision_now=proposal.revision,
            title_now=proposal.title,
            criteria=_told(judged, body.seen_criteria or 0),
            **_said(held.standing),
        )


def _told(judged: Judged, since: int, only: str | None = None) -> list[dict[str, Any]]:
    """Return the criteria judged behind a version, as they are now."""
    return [
        {
            name: getattr(row, name)
            for name in ("criterion", "verdict", "note", "service", "version")
        }
        for name, row in judged.items()
        if row.version > since and only in (None, name)
    ]


def _said(standing: Review | None) -> dict[str, Any]:
    if standing is None:
        return {}
    return {
        "outcome": standing.outcome,
        "cost": standing.cost,
        "reviewed_at": standing.reviewed_at.isoformat(),
        "round": standing.round,
    }


def _may(
    session: Session,
    campaign: Campaign,
    proposal: Proposal,
    reader: Principal | None,
    number: int | None,
) -> list[str]:
    """Return what this reader may do with a review now, ``number`` being the open round."""
    gone = proposal.status in ("draft", "merged", "withdrawn") or proposal.hidden_at is not None
    if reader is None or gone:
        return []
    open_to = RULES[campaign.phase].open_to
    found = []
    open_round = number is not None and domain.ROUNDS[number] in open_to
    if open_round and reader.can(REVIEW, proposal.commune):
        found.append("review")
    standing = core.review_of(session, proposal.id)
    first = standing is not None and standing.round == 1 and number is None
    if first and "answer" in open_to and access.speaks_for(session, proposal, reader):
        found.append("answer")
    return found
