"""Use cases of voting. Nothing here commits: the request's session does."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import new_event
from services.common.problems import DomainError, Invalid
from services.voting import domain, repository, secrecy
from services.voting.errors import (
    AlreadyVoted,
    BadReplaceToken,
    ElectionClosed,
    ElectionNotFound,
    EmptyBallot,
    KeyReused,
    NotYetOpen,
    OverBudget,
    ReasonNeeded,
    RepeatedProject,
    ResultsNotPublished,
    UnknownProject,
    VoteOver,
)
from services.voting.events import (
    ElectionClosed as ElectionClosedEvent,
)
from services.voting.events import (
    ElectionOpened,
    ProjectResult,
    ResultsPublished,
)
from services.voting.explain import rule_text, sentences
from services.voting.models import Election
from services.voting.repository import Booth
from services.voting.schemas import Accepted, EnvelopeOut, ProjectResultOut, Results
from services.voting.settings import Settings

SOURCE = Settings.name
MANAGE = "elections.manage"

#: How a ballot came in, in Pabulib's word; other channels add theirs.
INTERNET = "internet"
#: Requests that one ballot remembers, so that a late retry changes nothing.
_MARKS = 50

_WINDOW_ERRORS: dict[domain.Window, type[DomainError]] = {
    "not_yet": NotYetOpen,
    "over": VoteOver,
    "closed": ElectionClosed,
}

_FAULTS: dict[domain.FaultKind, tuple[type[Invalid], str]] = {
    "empty": (EmptyBallot, "Choose at least one project."),
    "unknown": (UnknownProject, "This project is not on the ballot."),
    "repeated": (RepeatedProject, "This project is chosen twice."),
    "over_budget": (
        OverBudget,
        "These projects cost {total} FCFA; the budget is {budget} FCFA.",
    ),
}

log = logging.getLogger(__name__)


def election_id(campaign: UUID) -> UUID:
    """Return the id of a campaign's election: the same for every delivery of its freeze."""
    return uuid5(NAMESPACE_URL, f"palabre:election:{campaign}")


def open_election(
    session: Session,
    *,
    campaign: UUID,
    commune: str,
    title: str,
    budget: int,
    ballot_type: str,
    rule: str,
    opens_at: datetime,
    closes_at: datetime,
    projects: Sequence[dict[str, Any]],
    envelopes: Sequence[dict[str, Any]] = (),
    traceparent: str = "",
) -> bool:
    """Make the election of a frozen campaign and pin its rule; False when there is one already."""
    new = election_id(campaign)
    counted = [_counted(p["number"], p["id"], p["cost"], p.get("envelope")) for p in projects]
    parts = envelopes_of(envelopes)
    definition = domain.definition(rule, ballot_type, budget, counted, parts)
    said = ElectionOpened(
        id=new,
        campaign=campaign,
        commune=commune,
        ballot_type=ballot_type,
        rule=rule,
        rule_hash=domain.fingerprint(definition),
        budget=budget,
        opens_at=opens_at,
        closes_at=closes_at,
    )
    values = {
        **said.model_dump(),
        "title": title,
        "definition": definition,
        "envelopes": list(envelopes),
    }
    if not repository.add_election(session, {**values, "state": "open", "version": 1}, projects):
        log.warning("campaign %s was frozen again: its election stays as it is", campaign)
        return False
    outbox.append(session, [new_event(SOURCE, new, commune, 1, said, traceparent)])
    return True


def envelopes_of(stored: Sequence[dict[str, Any]]) -> list[domain.Envelope]:
    """Return an election's envelopes as they are counted, in their order."""
    return [domain.Envelope(str(e["id"]), e["name"], e["amount"]) for e in stored]


def _counted(number: int, id_: UUID, cost: int, envelope: UUID | None) -> domain.Project:
    return domain.Project(number, str(id_), cost, str(envelope) if envelope else None)


def prolong(session: Session, campaign: UUID, closes_at: datetime) -> None:
    """Let the open election of a campaign, if there is one, end later; never earlier."""
    repository.prolong(session, campaign, closes_at)


def get_election(session: Session, election: UUID) -> Election:
    """Return an election or raise :class:`ElectionNotFound`."""
    found = repository.get(session, election)
    if found is None:
        raise ElectionNotFound
    return found


def vote(
    session: Session,
    secret: str,
    voter: UUID,
    election: UUID,
    choices: Sequence[UUID],
    *,
    key: UUID | None = None,
    replace_token: str | None = None,
    method: str = INTERNET,
) -> Accepted:
    """Take a ballot, replace one, or answer a retry; all or nothing.

    ``key`` is the client's random Idempotency-Key. It is not stored: the token and the receipt
    follow from it, so that a retry finds its ballot and nobody else does.
    """
    booth = repository.enter_booth(session, election, choices)
    if booth is None:
        raise ElectionNotFound
    refusal = _WINDOW_ERRORS.get(
        domain.window(booth.state, booth.opens_at, booth.closes_at, booth.now)
    )
    numbers = _numbers(booth, choices)
    key = key or uuid4()
    slip = (
        secrecy.slip_of(secret, election, voter, replace_token)
        if replace_token
        else secrecy.new_slip(secret, election, voter, key)
    )
    if slip is None:
        raise BadReplaceToken
    mark = secrecy.mark(secret, slip, key, numbers)
    if refusal is None and not replace_token:
        hour = repository.cast(
            session,
            election,
            voter=secrecy.roll_entry(secret, election, voter),
            method=method,
            choices=numbers,
            replace_hash=slip.replace_hash,
            receipt=slip.receipt,
            mark=mark,
        )
        if hour is not None:
            return Accepted(receipt=slip.receipt, replace_token=slip.token, accepted_at=hour)
    ballot = repository.lock_ballot(session, election, slip.replace_hash)
    known = secrecy.earlier(ballot.marks, mark) if ballot else None
    if known is False:
        raise KeyReused
    if ballot and (known or (replace_token and refusal is None)):
        if not known:
            ballot.choices = numbers
            ballot.marks = [*ballot.marks[1 - _MARKS :], mark]
        return Accepted(
            receipt=slip.receipt, replace_token=slip.token, accepted_at=ballot.accepted_hour
        )
    if refusal:
        # A voter who never got the answer learns that the ballot counts.
        counted = repository.has_receipt(session, election, slip.receipt)
        raise refusal(**({"receipt": slip.receipt} if counted else {}))
    raise BadReplaceToken if replace_token else AlreadyVoted


def _numbers(booth: Booth, choices: Sequence[UUID]) -> list[int]:
    """Return the numbers of the chosen projects in order, or raise what is wrong with them."""
    ids = [str(choice) for choice in choices]
    costs = {name: cost for name, (_, cost, _) in booth.projects.items()}
    inside = {name: envelope for name, (_, _, envelope) in booth.projects.items()}
    fault = domain.fault(ids, costs, booth.budget, envelopes_of(booth.envelopes), inside)
    if fault is None:
        return sorted(booth.projects[name][0] for name in ids)
    error, detail = _FAULTS[fault.kind]
    place = "" if fault.place is None else f"/{fault.place}"
    if fault.envelope:
        part = fault.envelope
        raise error(
            f"These projects cost {fault.total} FCFA; the envelope {part.name} holds "
            f"{part.amount} FCFA.",
            f"/choices{place}",
            total=fault.total,
            budget=part.amount,
            envelope={"id": part.id, "name": part.name},
        )
    sums = {"total": fault.total, "budget": booth.budget} if fault.total else {}
    raise error(detail.format(**sums), f"/choices{place}", **sums)


def close(session: Session, election: UUID, agent: Principal, reason: str = "") -> Results:
    """Close the vote, count, publish, and destroy what could link a voter to a ballot.

    A ballot under way is waited for and counted; one that comes later is refused. Before the
    announced end it takes a ``reason``, which is published; later there is none to give.
    """
    agent.require(MANAGE, get_election(session, election).commune)
    found = repository.own_poll(session, election)
    now = repository.now(session)
    if found.state != "open":
        raise ElectionClosed
    if now < found.opens_at:
        raise NotYetOpen("The vote has not begun: it cannot be closed yet.")
    early = now < found.closes_at
    if early and not reason:
        raise ReasonNeeded(ReasonNeeded.__doc__ or "", "/reason")
    reason = reason if early else ""
    roll, ballots, receipts = repository.counts(session, election)
    if not roll == ballots == receipts:
        raise RuntimeError(f"election {election}: {roll} voters, {ballots} ballots, {receipts}")
    results = _count(session, found, turnout=ballots, now=now, reason=reason)
    repository.unlink(session, election)
    found.state, found.closed_at = "closed", now
    found.results = results.model_dump(mode="json")
    found.version += 2
    about = {"id": found.id, "campaign": found.campaign, "commune": found.commune}
    closed = ElectionClosedEvent(**about, closed_at=now)
    published = ResultsPublished(
        **about,
        rule=found.rule,
        budget=found.budget,
        total_cost=results.total_cost,
        turnout=results.turnout,
        winners=results.winners,
        projects=[
            ProjectResult(**p.model_dump(include=set(ProjectResult.model_fields)))
            for p in results.projects
        ],
        published_at=now,
        reason=reason,
    )
    outbox.append(
        session,
        [
            new_event(SOURCE, found.id, found.commune, found.version - 1, closed),
            new_event(SOURCE, found.id, found.commune, found.version, published),
        ],
    )
    return results


def _count(
    session: Session, election: Election, *, turnout: int, now: datetime, reason: str
) -> Results:
    """Apply the pinned rule to the ballots."""
    known = {p.number: p for p in election.projects}
    projects = [_counted(p.number, p.id, p.cost, p.envelope) for p in known.values()]
    parts = envelopes_of(election.envelopes)
    pinned = domain.definition(
        election.rule, election.ballot_type, election.budget, projects, parts
    )
    if domain.fingerprint(pinned) != election.rule_hash:
        raise RuntimeError(f"election {election.id} is not what was pinned when it opened")
    ballots = repository.merged_ballots(session, election.id)
    result = domain.tally(election.rule, projects, ballots, election.budget, parts)
    said = sentences(result)
    return Results(
        election=election.id,
        campaign=election.campaign,
        commune=election.commune,
        title=election.title,
        rule=election.rule,
        rule_hash=election.rule_hash,
        rule_text=rule_text(domain.is_parted(parts)),
        budget=election.budget,
        total_cost=int(result.total_cost),
        envelopes=[EnvelopeOut(**one) for one in election.envelopes],
        turnout=turnout,
        winners=[known[p.number].id for p in result.winners],
        projects=[
            ProjectResultOut(
                id=known[r.project.number].id,
                ref=known[r.project.number].ref,
                number=r.project.number,
                title=known[r.project.number].title,
                cost=int(r.project.cost),
                votes=int(r.votes),
                rank=r.rank,
                remaining=int(r.remaining),
                outcome=r.outcome,
                funded=r.outcome == "funded",
                envelope=known[r.project.number].envelope,
                sentence=said[r.project.number].fr,
                sentence_en=said[r.project.number].en,
            )
            for r in result.rounds
        ],
        reason=reason,
        closed_at=now,
        published_at=now,
    )


def results(session: Session, election: UUID) -> dict[str, Any]:
    """Return the results as they were published; :class:`ResultsNotPublished` before."""
    found = get_election(session, election).results
    if found is None:
        raise ResultsNotPublished
    return found
