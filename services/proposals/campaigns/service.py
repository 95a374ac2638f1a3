"""Use cases of campaigns. Nothing here commits: the request's session, or the chore's, does.

What changes a campaign holds its row alone: nothing slips in after the freeze.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event, EventData, Undecodable
from services.common.ids import new_id
from services.common.problems import Invalid
from services.proposals import domain, events
from services.proposals import repository as core
from services.proposals.access import MANAGE
from services.proposals.campaigns import domain as rules
from services.proposals.campaigns import reading, repository
from services.proposals.campaigns.domain import PLAIN, RULE_FIELDS, ActorKind, HistoryKind, Part
from services.proposals.campaigns.errors import (
    NotPlanned,
    OutsideEnvelopes,
    PhaseOver,
    ReasonNeeded,
    RulesTightened,
    Shortens,
    TooManyProjects,
    WorksUnfinished,
)
from services.proposals.campaigns.schemas import (
    CampaignChanges,
    CampaignDetail,
    CampaignOut,
    Clone,
    NewCampaign,
    Prolongation,
)
from services.proposals.domain import PHASES, RULES, Phase, PhaseDates
from services.proposals.errors import (
    CampaignNotFound,
    ChangedMeanwhile,
    NothingToVote,
    OverBudget,
    UnknownArrondissement,
    UnknownCommune,
    WrongPhase,
)
from services.proposals.files import service as files
from services.proposals.models import Campaign, CampaignEnvelope, CampaignPhase, Proposal
from services.proposals.schemas import EnvelopeOut
from services.proposals.service import reached, say

#: Texts too long for a line of history: it says that they changed.
_LONG = ("description", "pictures", "envelopes")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes a campaign, when, and why; the id stays in the history's table."""

    kind: ActorKind
    at: datetime
    id: UUID | None = None
    reason: str = ""
    traceparent: str = ""


def create_campaign(
    session: Session, agent: Principal, body: NewCampaign, at: datetime | None = None
) -> CampaignDetail:
    """Announce a campaign, in preparation. ``at`` is now except for imports."""
    if not repository.commune_exists(session, body.commune):
        raise UnknownCommune("No commune has this code.", "/commune")
    agent.require(MANAGE, body.commune)
    parts = _divide(session, body.commune, body.budget, [one.part for one in body.envelopes])
    dates = [PhaseDates(p.phase, p.opens_at, p.closes_at) for p in body.phases]
    values = body.model_dump(include={"commune", "title", "budget", *PLAIN})
    actor = Actor("agent", at or datetime.now(UTC), agent.user_id)
    campaign, event = _publish(session, actor, values, parts, dates)
    if body.pictures:
        files.attach(session, agent, "campaign", campaign.id, body.pictures)
    outbox.append(session, [event])
    return reading.detail(session, campaign, agent)


def clone(
    session: Session,
    agent: Principal,
    campaign_id: UUID,
    body: Clone,
    at: datetime | None = None,
) -> CampaignDetail:
    """Begin another year's campaign with the rules, texts and envelopes of this one."""
    source = reading.find(session, campaign_id)
    agent.require(MANAGE, source.commune)
    budget = body.budget or source.budget
    parts = _divide(session, source.commune, budget, [p for p in _parts(source) if not p.is_rest])
    values = {name: getattr(source, name) for name in ("commune", *PLAIN)}
    values |= {"title": body.title, "budget": budget, "cloned_from": source.id}
    values["automatic"] = False  # nobody has looked at the moved dates yet
    dates = rules.shifted(_dates(source), timedelta(days=body.shift_days))
    actor = Actor("agent", at or datetime.now(UTC), agent.user_id)
    campaign, event = _publish(session, actor, values, parts, dates)
    outbox.append(session, [event])
    return reading.detail(session, campaign, agent)


def _publish(
    session: Session,
    actor: Actor,
    values: Mapping[str, Any],
    parts: Iterable[Part],
    dates: Iterable[PhaseDates],
) -> tuple[Campaign, Event]:
    campaign = Campaign(
        id=new_id(),
        **{"cloned_from": None, **values},
        phase="preparation",
        version=0,
        created_by=actor.id,
        created_at=actor.at,
        phases=[
            CampaignPhase(phase=one.phase, opens_at=one.opens_at, closes_at=one.closes_at)
            for one in dates
        ],
        envelopes=[_envelope(place, part) for place, part in enumerate(parts)],
    )
    session.add(campaign)
    shown = CampaignOut.model_validate(campaign).model_dump(exclude={"created_at"})
    detail: dict[str, Any] = {"budget": campaign.budget}
    if campaign.cloned_from:
        detail["cloned_from"] = str(campaign.cloned_from)
    told = events.CampaignPublished(**shown)
    return campaign, _told(session, campaign, actor, told, "published", detail)


def _envelope(place: int, part: Part) -> CampaignEnvelope:
    return CampaignEnvelope(
        id=new_id(),
        name=part.name,
        amount=part.amount,
        kind=part.kind,
        arrondissement=part.arrondissement,
        theme=part.theme,
        position=place,
    )


def _divide(session: Session, commune: str, budget: int, parts: Sequence[Part]) -> list[Part]:
    """Return the budget's envelopes, the rest among them; refuse what cannot be one."""
    known = repository.arrondissements_of(session, commune)
    names: set[str] = set()
    for index, part in enumerate(parts):
        _check_part(part, f"/envelopes/{index}", names, known)
        names.add(part.name.casefold())
    try:
        found = rules.divide(budget, parts)
    except ValueError:
        raise OverBudget(
            "The envelopes are more than the budget together.",
            "/envelopes",
            budget=budget,
            total=sum(part.amount for part in parts),
        ) from None
    if len(found) > len(parts) and rules.REST.casefold() in names:
        raise Invalid(f"The name {rules.REST} is kept for what envelopes leave.", "/envelopes")
    return found


def _check_part(part: Part, pointer: str, names: Collection[str], known: Collection[str]) -> None:
    if part.name.casefold() in names:
        raise Invalid("Two envelopes have the same name.", f"{pointer}/name")
    if part.arrondissement and part.arrondissement not in known:
        raise UnknownArrondissement(
            "The commune has no arrondissement of this code.", f"{pointer}/arrondissement"
        )


def get_campaign(session: Session, campaign_id: UUID, reader: Principal | None) -> CampaignDetail:
    """Return a campaign as ``reader`` may see it."""
    return reading.detail(session, reading.find(session, campaign_id), reader)


def change_campaign(
    session: Session, agent: Principal, campaign_id: UUID, body: CampaignChanges
) -> CampaignDetail:
    """Set the fields that ``body`` names, as far as the phase still allows."""
    campaign = _lock(session, agent, campaign_id)
    if body.seen is not None and body.seen != campaign.version:
        raise ChangedMeanwhile(
            version_now=campaign.version, phase_now=campaign.phase, title_now=campaign.title
        )
    if campaign.phase == "closed":
        raise WrongPhase("A closed campaign stays as it is.", phase=campaign.phase)
    given = body.model_dump(include=set(PLAIN) & body.model_fields_set)
    before = {name: getattr(campaign, name) for name in PLAIN}
    before |= {"budget": campaign.budget, "envelopes": _parts(campaign)}
    _check_rules(campaign, before, {**before, **given})
    parts = None
    if body.budget is not None or body.envelopes is not None:
        parts = _new_parts(session, campaign, body)
        given |= {"budget": body.budget or campaign.budget, "envelopes": parts}
    changes: dict[str, Any] = rules.differences(before, given)
    if body.pictures is not None and body.pictures != reading.pictures(session, campaign):
        files.attach(session, agent, "campaign", campaign.id, body.pictures, replace=True)
        changes["pictures"] = None
    if not changes:
        return reading.detail(session, campaign, agent)
    for name in changes.keys() & {"budget", *PLAIN}:
        setattr(campaign, name, given[name])
    if parts is not None and "envelopes" in changes:
        _replace_envelopes(session, campaign, parts)
    actor = Actor("agent", datetime.now(UTC), agent.user_id)
    passed = _reached(session, campaign, actor.at) if "endorsements_needed" in changes else []
    detail = {
        "changed": sorted(changes),
        **{name: list(pair) for name, pair in changes.items() if name not in _LONG},
    }
    told = events.CampaignChanged(
        id=campaign.id,
        commune=campaign.commune,
        title=campaign.title,
        budget=campaign.budget,
        envelopes=_envelope_plans(campaign),
        changed_at=actor.at,
    )
    outbox.append(session, [_told(session, campaign, actor, told, "changed", detail), *passed])
    return reading.detail(session, campaign, agent)


def _check_rules(campaign: Campaign, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Hold new rules of who proposes against the phase: set first, then loosened, then kept."""
    if (
        all(before[name] == after[name] for name in RULE_FIELDS)
        or campaign.phase in rules.RULES_SET
    ):
        return
    if campaign.phase not in rules.RULES_LOOSENED:
        raise WrongPhase(
            "The rules of who proposes stay as they were while ideas were collected.",
            phase=campaign.phase,
        )
    if not rules.loosens(before, after):
        raise RulesTightened


def _new_parts(session: Session, campaign: Campaign, body: CampaignChanges) -> list[Part]:
    if campaign.phase != "preparation":
        raise WrongPhase(
            "The budget and its envelopes change in preparation only.", phase=campaign.phase
        )
    if body.envelopes is None:
        wanted = [part for part in _parts(campaign) if not part.is_rest]
    else:
        wanted = [one.part for one in body.envelopes]
    return _divide(session, campaign.commune, body.budget or campaign.budget, wanted)


def _replace_envelopes(session: Session, campaign: Campaign, parts: Sequence[Part]) -> None:
    """Give a campaign these envelopes; one for the same purpose stays, and so do its drafts."""
    kept = {part.purpose: (place, part) for place, part in enumerate(parts)}
    for envelope in list(campaign.envelopes):
        found = kept.pop((envelope.name, envelope.arrondissement, envelope.theme), None)
        if found:
            envelope.position, envelope.amount = found[0], found[1].amount
        else:
            repository.leave_envelope(session, envelope.id)
            session.delete(envelope)
    session.flush()  # a name that goes may come back for another purpose
    for place, part in kept.values():
        new = _envelope(place, part)
        new.campaign_id = campaign.id
        session.add(new)
    session.flush()
    session.expire(campaign, ["envelopes"])


def _reached(session: Session, campaign: Campaign, at: datetime) -> list[Event]:
    """Tell of the proposals that a lower threshold lets pass."""
    if campaign.endorsements_needed == 0:
        return []
    needed = campaign.endorsements_needed
    found = repository.lock_over(session, campaign.id, needed)
    return [told for proposal in found for told in reached(proposal, needed, at)]


def change_phase(
    session: Session,
    agent: Principal,
    campaign_id: UUID,
    phase: Phase,
    reason: str = "",
    at: datetime | None = None,
) -> CampaignDetail:
    """Take a campaign to its next phase; to ``vote`` freezes the shortlist and its costs.

    Before the announced end of the present phase it takes a reason, which is published.
    """
    campaign = _lock(session, agent, campaign_id)
    if phase not in RULES[campaign.phase].next:
        raise WrongPhase(
            f"A campaign in phase {campaign.phase} cannot go to {phase}.", phase=campaign.phase
        )
    now = at or datetime.now(UTC)
    if _early(campaign, now) and not reason:
        raise ReasonNeeded(ReasonNeeded.__doc__ or "", "/reason")
    if phase == "closed" and (works := repository.unfinished_works(session, campaign.id)):
        raise WorksUnfinished(works=works)
    actor = Actor("agent", now, agent.user_id, reason)
    outbox.append(session, _enter(session, campaign, phase, actor))
    return reading.detail(session, campaign, agent)


def advance(session: Session, now: datetime | None = None) -> int:
    """Lead automatic campaigns on as their calendars say, each by one phase; return how many.

    A campaign without a shortlist that a ballot can hold waits before its vote, one with unfinished
    works before its end. One that somebody holds is left to the next time.
    """
    moment = now or datetime.now(UTC)
    said: list[Event] = []
    moved = 0
    for seen in repository.automatic(session):
        if rules.due(_dates(seen), seen.phase, moment) is None:
            continue
        campaign = repository.lock_if_free(session, seen.id)
        if campaign is None or not campaign.automatic:
            continue
        phase = rules.due(_dates(campaign), campaign.phase, moment)
        if phase is None or not _ready(session, campaign, phase):
            continue
        said += _enter(session, campaign, phase, Actor("calendar", moment))
        moved += 1
    outbox.append(session, said)
    return moved


def _ready(session: Session, campaign: Campaign, phase: Phase) -> bool:
    """Tell whether a campaign has what the calendar needs to take it to ``phase``."""
    if phase == "vote":
        rows = repository.shortlist(session, campaign.id, numbered=False)
        fits = 0 < len(rows) <= rules.MOST_ON_A_BALLOT
        return fits and all(row.envelope_id for row in rows)
    return phase != "closed" or not repository.unfinished_works(session, campaign.id)


def _enter(session: Session, campaign: Campaign, phase: Phase, actor: Actor) -> list[Event]:
    """Take a locked campaign to ``phase``; return what is to be told."""
    early = _early(campaign, actor.at)
    said = _freeze(session, campaign, actor) if phase == "vote" else []
    previous, campaign.phase = campaign.phase, phase
    told = events.CampaignPhaseChanged(
        id=campaign.id,
        commune=campaign.commune,
        previous=previous,
        phase=phase,
        changed_at=actor.at,
        by=actor.kind,
        early=early,
    )
    detail = {"previous": previous, "phase": phase, "early": early}
    said.append(_told(session, campaign, actor, told, "phase", detail))
    return said


def _freeze(session: Session, campaign: Campaign, actor: Actor) -> list[Event]:
    """Number the shortlist and fix the vote's dates; what was planned after it moves on."""
    projects = repository.number_shortlist(session, campaign.id)
    if not projects:
        raise NothingToVote
    if len(projects) > rules.MOST_ON_A_BALLOT:
        raise TooManyProjects(shortlisted=len(projects), most=rules.MOST_ON_A_BALLOT)
    if outside := [row.ref for row in projects if row.envelope is None]:
        raise OutsideEnvelopes(proposals=outside[:20])
    planned = _dates(campaign)
    vote = domain.vote_dates(rules.announced_end(planned, "vote"), actor.at)
    later = [one for one in planned if PHASES.index(one.phase) > PHASES.index("vote")]
    moved = [one for one in rules.moved_on([vote, *later]) if one not in planned]
    repository.save_dates(session, campaign, moved)
    said = events.CampaignBallotFrozen(
        campaign=campaign.id,
        commune=campaign.commune,
        title=campaign.title,
        budget=campaign.budget,
        ballot_type=domain.BALLOT_TYPE,
        rule=domain.RULE,
        opens_at=vote.opens_at,
        closes_at=vote.closes_at,
        projects=[events.Project(**row._mapping) for row in projects],
        envelopes=_envelope_plans(campaign),
    )
    told = [say(campaign, said, actor.traceparent)]
    if any(one.phase != "vote" for one in moved):
        told.append(_calendar_changed(session, campaign, actor, moved))
    return told


def record_results(
    session: Session,
    campaign_id: UUID,
    winners: Collection[UUID],
    *,
    at: datetime | None = None,
    reason: str = "",
    traceparent: str = "",
) -> list[Proposal]:
    """Mark the ballot's proposals funded or not, show the results; return the funded ones.

    ``reason`` says why the vote was closed before its announced end, and is published.

    :class:`Undecodable` when no vote of ours can have had these winners: trying again is no use.
    """
    campaign = core.lock_campaign(session, campaign_id)
    if campaign is None or campaign.phase != "vote":
        raise Undecodable(f"campaign {campaign_id} has no vote under way")
    ballot = repository.lock_ballot(session, campaign_id)
    if unknown := set(winners) - {proposal.id for proposal in ballot}:
        raise Undecodable(f"{len(unknown)} winners were not on the ballot of {campaign_id}")
    said = [_fund(proposal, proposal.id in winners, traceparent) for proposal in ballot]
    actor = Actor("count", at or datetime.now(UTC), reason=reason, traceparent=traceparent)
    outbox.append(session, [*said, *_enter(session, campaign, "results", actor)])
    return [proposal for proposal in ballot if proposal.status == "funded"]


def _fund(proposal: Proposal, funded: bool, traceparent: str) -> Event:
    kind = events.ProposalFunded if funded else events.ProposalNotFunded
    proposal.status = "funded" if funded else "not_funded"
    assert proposal.cost is not None  # noqa: S101 - only a review shortlists, with a cost
    said = kind(
        id=proposal.id,
        ref=proposal.ref,
        campaign=proposal.campaign_id,
        commune=proposal.commune,
        cost=proposal.cost,
    )
    return say(proposal, said, traceparent)


def prolong(
    session: Session,
    agent: Principal,
    campaign_id: UUID,
    body: Prolongation,
    at: datetime | None = None,
) -> CampaignDetail:
    """Let a phase that is not over end later; those behind it move on so that none overlaps."""
    campaign = _lock(session, agent, campaign_id)
    now = at or datetime.now(UTC)
    planned = _dates(campaign)
    ends = rules.announced_end(planned, body.phase)
    if ends is None:
        raise NotPlanned(NotPlanned.__doc__ or "", "/phase")
    entered = PHASES.index(campaign.phase)
    voted = body.phase == campaign.phase == "vote" and ends <= now
    if PHASES.index(body.phase) < entered or campaign.phase == "closed" or voted:
        raise PhaseOver(phase=campaign.phase, closes_at=ends.isoformat())
    if body.closes_at <= ends or body.closes_at <= now:
        raise Shortens(
            "A phase may be prolonged, never shortened: give an end that is later and to come.",
            "/closes_at",
            closes_at=ends.isoformat(),
        )
    changed = rules.prolonged(planned, body.phase, body.closes_at)
    repository.save_dates(session, campaign, changed)
    actor = Actor("agent", now, agent.user_id, body.reason)
    outbox.append(session, [_calendar_changed(session, campaign, actor, changed)])
    return reading.detail(session, campaign, agent)


def _calendar_changed(
    session: Session, campaign: Campaign, actor: Actor, changed: Sequence[PhaseDates]
) -> Event:
    """Tell of stored dates; the first one changed is the phase that was prolonged."""
    told = events.CampaignCalendarChanged(
        id=campaign.id,
        commune=campaign.commune,
        phase=changed[0].phase,
        phases=[
            events.PhasePlan(phase=one.phase, opens_at=one.opens_at, closes_at=one.closes_at)
            for one in rules.in_order(_dates(campaign))
        ],
        changed_at=actor.at,
        by=actor.kind,
    )
    detail = {
        "phase": changed[0].phase,
        "phases": [
            {
                "phase": one.phase,
                "opens_at": one.opens_at.isoformat(),
                "closes_at": one.closes_at.isoformat(),
            }
            for one in changed
        ],
    }
    return _told(session, campaign, actor, told, "calendar", detail)


def _told(
    session: Session,
    campaign: Campaign,
    actor: Actor,
    data: EventData,
    kind: HistoryKind,
    detail: Mapping[str, Any],
) -> Event:
    """Make a locked campaign's next event and keep the line of history that goes with it."""
    event = say(campaign, data, actor.traceparent)
    line = repository.Line(
        campaign.id,
        campaign.version,
        kind,
        actor.at,
        actor.kind,
        actor.id,
        actor.reason,
        detail,
    )
    repository.add_line(session, line)
    return event


def _lock(session: Session, agent: Principal, campaign_id: UUID) -> Campaign:
    """Return a campaign that ``agent`` may change, locked alone."""
    campaign = core.lock_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    agent.require(MANAGE, campaign.commune)
    return campaign


def _dates(campaign: Campaign) -> list[PhaseDates]:
    return [PhaseDates(one.phase, one.opens_at, one.closes_at) for one in campaign.phases]


def _early(campaign: Campaign, now: datetime) -> bool:
    ends = rules.announced_end(_dates(campaign), campaign.phase)
    return ends is not None and now < ends


def _parts(campaign: Campaign) -> list[Part]:
    return [Part(e.name, e.amount, e.arrondissement, e.theme) for e in campaign.envelopes]


def _envelope_plans(campaign: Campaign) -> list[events.EnvelopePlan]:
    return [
        events.EnvelopePlan(**EnvelopeOut.model_validate(one).model_dump())
        for one in campaign.envelopes
    ]
