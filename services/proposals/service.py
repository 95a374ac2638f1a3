"""Use cases of proposals. Nothing here commits: the request's session does.

What depends on a campaign's phase holds its row shared; what changes the phase holds it alone:
nothing slips in after the freeze.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event, EventData, Undecodable, new_event
from services.common.ids import new_id, new_ref
from services.common.problems import Forbidden, Invalid
from services.proposals import domain, events, repository
from services.proposals.domain import Action, Phase, Status
from services.proposals.errors import (
    AlreadyReviewed,
    AlreadySubmitted,
    CampaignNotFound,
    Incomplete,
    NothingToVote,
    OutsideCommune,
    OutsideCountry,
    OverBudget,
    ProposalNotFound,
    StillDraft,
    UnknownArrondissement,
    UnknownCampaign,
    UnknownCommune,
    WrongPhase,
)
from services.proposals.models import Campaign, CampaignEnvelope, CampaignPhase, Proposal
from services.proposals.schemas import (
    CampaignDetail,
    CampaignOut,
    DraftChanges,
    EnvelopeIn,
    NewCampaign,
    NewProposal,
    NewReview,
    ProposalCreated,
    ProposalDetail,
    Reviewed,
    ReviewOut,
)
from services.proposals.settings import Settings

SOURCE = Settings.name
MANAGE = "campaigns.manage"
REVIEW = "proposals.review"
_REF_TRIES = 5


def create_campaign(
    session: Session, agent: Principal, body: NewCampaign, *, at: datetime | None = None
) -> CampaignDetail:
    """Announce a campaign, in preparation. ``at`` is now except for imports."""
    if not repository.commune_exists(session, body.commune):
        raise UnknownCommune("No commune has this code.", "/commune")
    agent.require(MANAGE, body.commune)
    _check_envelopes(session, body)
    campaign = Campaign(
        id=new_id(),
        commune=body.commune,
        title=body.title,
        budget=body.budget,
        phase="preparation",
        version=0,
        created_by=agent.user_id,
        created_at=at or datetime.now(UTC),
        phases=[CampaignPhase(**phase.model_dump()) for phase in body.phases],
        envelopes=[CampaignEnvelope(id=new_id(), **e.model_dump()) for e in body.envelopes],
    )
    session.add(campaign)
    shown = CampaignOut.model_validate(campaign).model_dump(exclude={"created_at"})
    outbox.append(session, [_said(campaign, events.CampaignPublished(**shown))])
    return campaign_detail(session, campaign, agent)


def _check_envelopes(session: Session, body: NewCampaign) -> None:
    if sum(envelope.amount for envelope in body.envelopes) > body.budget:
        raise OverBudget("The envelopes are more than the budget together.", "/envelopes")
    known = repository.arrondissements_of(session, body.commune)
    names: set[str] = set()
    for index, envelope in enumerate(body.envelopes):
        _check_envelope(envelope, f"/envelopes/{index}", names, known)
        names.add(envelope.name)


def _check_envelope(
    envelope: EnvelopeIn, pointer: str, names: Collection[str], known: Collection[str]
) -> None:
    if envelope.name in names:
        raise Invalid("Two envelopes have the same name.", f"{pointer}/name")
    if envelope.arrondissement and envelope.arrondissement not in known:
        raise UnknownArrondissement(
            "The commune has no arrondissement of this code.", f"{pointer}/arrondissement"
        )


def get_campaign(session: Session, campaign_id: UUID, reader: Principal | None) -> CampaignDetail:
    """Return a campaign as ``reader`` may see it."""
    campaign = repository.find_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    return campaign_detail(session, campaign, reader)


def campaign_detail(
    session: Session, campaign: Campaign, reader: Principal | None
) -> CampaignDetail:
    """Return ``campaign`` with its counts and, for its agents, the phases they may set."""
    counts = dict.fromkeys(domain.PUBLIC, 0) | repository.count_by_status(session, campaign.id)
    manages = reader is not None and reader.can(MANAGE, campaign.commune)
    return CampaignDetail(
        **CampaignOut.model_validate(campaign).model_dump(),
        counts=counts,
        allowed=domain.allowed_phases(campaign.phase, counts["shortlisted"]) if manages else [],
    )


def change_phase(
    session: Session,
    agent: Principal,
    campaign_id: UUID,
    phase: Phase,
    *,
    at: datetime | None = None,
) -> CampaignDetail:
    """Take a campaign to its next phase; to ``vote`` freezes the shortlist and its costs."""
    campaign = repository.lock_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    agent.require(MANAGE, campaign.commune)
    if phase not in domain.RULES[campaign.phase].next:
        raise WrongPhase(
            f"A campaign in phase {campaign.phase} cannot go to {phase}.", phase=campaign.phase
        )
    now = at or datetime.now(UTC)
    said = [_freeze(session, campaign, now)] if phase == "vote" else []
    said.append(_enter(campaign, phase, now))
    outbox.append(session, said)
    return campaign_detail(session, campaign, agent)


def _freeze(session: Session, campaign: Campaign, now: datetime) -> Event:
    projects = repository.number_shortlist(session, campaign.id)
    if not projects:
        raise NothingToVote
    planned = next((p.closes_at for p in campaign.phases if p.phase == "vote"), None)
    dates = domain.vote_dates(planned, now)
    repository.save_dates(session, campaign.id, dates)
    session.expire(campaign, ["phases"])
    frozen = events.CampaignBallotFrozen(
        campaign=campaign.id,
        commune=campaign.commune,
        title=campaign.title,
        budget=campaign.budget,
        ballot_type=domain.BALLOT_TYPE,
        rule=domain.RULE,
        opens_at=dates.opens_at,
        closes_at=dates.closes_at,
        projects=[events.Project(**row._mapping) for row in projects],
    )
    return _said(campaign, frozen)


def _enter(campaign: Campaign, phase: Phase, now: datetime, traceparent: str = "") -> Event:
    previous, campaign.phase = campaign.phase, phase
    changed = events.CampaignPhaseChanged(
        id=campaign.id,
        commune=campaign.commune,
        previous=previous,
        phase=phase,
        changed_at=now,
    )
    return _said(campaign, changed, traceparent)


def submit(
    session: Session, author: UUID, body: NewProposal, *, at: datetime | None = None
) -> ProposalCreated:
    """Store a citizen's proposal where it is, within the campaign's commune and budget."""
    _require_complete(body.description, body.estimated_cost)
    campaign = _campaign_of(session, body)
    _require_open(campaign, "submit")
    values = _insert(session, campaign, author, body, "submitted", at or datetime.now(UTC))
    geometry = domain.to_geojson(body.geometry.shape)
    said = _submitted({**values, "geometry": geometry})
    outbox.append(session, [new_event(SOURCE, said.id, said.commune, values["version"], said)])
    return ProposalCreated.model_validate(values)


def create_draft(session: Session, author: Principal, body: NewProposal) -> ProposalCreated:
    """Store what ``author`` may finish and submit later; nothing is published."""
    campaign = _campaign_of(session, body)
    _require_open(campaign, "prepare" if is_agent(author, campaign.commune) else "draft")
    values = _insert(session, campaign, author.user_id, body, "draft", datetime.now(UTC))
    return ProposalCreated.model_validate(values)


def change_draft(
    session: Session, person: Principal, key: UUID | str, body: DraftChanges
) -> ProposalDetail:
    """Set the fields that ``body`` names in a draft of one's own or of one's commune."""
    campaign, proposal_id = _open_campaign(session, key, person)
    _lock_draft(session, person, proposal_id)
    changes = body.model_dump(exclude_unset=True, exclude={"geometry"})
    _check_cost(campaign, body.estimated_cost)
    shape = body.geometry.shape if body.geometry else None
    if shape is not None:
        changes["arrondissement"] = _arrondissement(session, shape, campaign)
    repository.change_draft(session, proposal_id, changes, shape)
    return get_proposal(session, proposal_id, person)


def submit_draft(
    session: Session, person: Principal, key: UUID | str, *, at: datetime | None = None
) -> ProposalCreated:
    """Make a draft a proposal, once: of two at once the second meets it submitted."""
    campaign, proposal_id = _open_campaign(session, key, person)
    proposal = _lock_draft(session, person, proposal_id)
    _require_open(campaign, "submit")
    _require_complete(proposal.description, proposal.estimated_cost)
    row = repository.proposal(session, proposal_id)
    assert row is not None  # noqa: S101 - it is locked
    proposal.status = "submitted"
    proposal.submitted_at = at or datetime.now(UTC)
    said = _submitted({**row._mapping, "submitted_at": proposal.submitted_at})
    outbox.append(session, [_said(proposal, said)])
    return ProposalCreated.model_validate(proposal)


def _require_complete(description: str, cost: int | None) -> None:
    given = {"description": description, "estimated_cost": cost}
    if missing := [name for name, value in given.items() if not value]:
        raise Incomplete(missing)


def _campaign_of(session: Session, body: NewProposal) -> Campaign:
    campaign = repository.lock_campaign(session, body.campaign, shared=True)
    if campaign is None:
        raise UnknownCampaign("No campaign has this id.", "/campaign")
    return campaign


def _insert(
    session: Session,
    campaign: Campaign,
    author: UUID,
    body: NewProposal,
    status: Status,
    now: datetime,
) -> dict[str, Any]:
    """Store a proposal or a draft; return its columns without the shape."""
    _check_cost(campaign, body.estimated_cost)
    shape = body.geometry.shape
    submitted = status == "submitted"
    values = {
        "id": new_id(),
        "campaign_id": campaign.id,
        "commune": campaign.commune,
        "arrondissement": _arrondissement(session, shape, campaign),
        "title": body.title,
        "description": body.description,
        "theme": body.theme,
        "estimated_cost": body.estimated_cost,
        "reports": body.reports,
        "hotspot": body.hotspot,
        "status": status,
        "endorsements": 0,
        "author_id": author,
        "version": 1 if submitted else 0,
        "created_at": now,
        "submitted_at": now if submitted else None,
    }
    for _ in range(_REF_TRIES):
        values["ref"] = new_ref("P")
        if repository.insert_proposal(session, shape, values):
            return values
    raise RuntimeError("no free reference was found")


def _check_cost(campaign: Campaign, cost: int | None) -> None:
    if cost is not None and cost > campaign.budget:
        raise OverBudget("The cost is more than the campaign's budget.", "/estimated_cost")


def _arrondissement(session: Session, shape: BaseGeometry, campaign: Campaign) -> str | None:
    """Return where ``shape`` lies in the campaign's commune; refuse one that lies elsewhere."""
    place = repository.locate(session, shape, campaign.commune)
    _check_place(place, campaign.commune)
    return place.arrondissement


def _submitted(values: Mapping[str, Any]) -> events.ProposalSubmitted:
    fields = events.ProposalSubmitted.model_fields.keys() - {"campaign", "geometry", "status"}
    return events.ProposalSubmitted(
        **{name: values[name] for name in fields},
        campaign=values["campaign_id"],
        geometry=events.Geometry(**values["geometry"]),
        status="submitted",
    )


def _check_place(place: repository.Place, commune: str) -> None:
    if place.in_commune:
        return
    if place.in_country:
        raise OutsideCommune(f"The place is not inside the commune {commune}.", "/geometry")
    hint = " Longitude and latitude look swapped." if place.swapped else ""
    raise OutsideCountry(f"The place is not in Bénin.{hint}", "/geometry")


def is_agent(person: Principal, commune: str) -> bool:
    """Tell whether ``person`` runs the campaigns or reviews the proposals of ``commune``."""
    return any(person.can(permission, commune) for permission in (MANAGE, REVIEW))


def communes_of(person: Principal) -> list[str]:
    """Return the scopes in which ``person`` is an agent: communes, perhaps ``*``."""
    return [scope for scope in person.grants if is_agent(person, scope)]


def _writes(person: Principal | None, author: UUID, commune: str) -> bool:
    """Tell whether ``person`` may see and change a draft: its author, the commune's agents."""
    return person is not None and (person.user_id == author or is_agent(person, commune))


def _lock_draft(session: Session, person: Principal, proposal_id: UUID) -> Proposal:
    proposal = repository.lock_proposal(session, proposal_id)
    if not _writes(person, proposal.author_id, proposal.commune):
        raise Forbidden("Only its author and the commune's agents may change a proposal.")
    if proposal.status != "draft":
        raise AlreadySubmitted(status_now=proposal.status)
    return proposal


def get_proposal(
    session: Session, key: UUID | str, reader: Principal | None = None
) -> ProposalDetail:
    """Return one proposal, by id or ref; a draft is there for its author and agents only."""
    row = repository.proposal(session, key)
    if row is None or (row.status == "draft" and not _writes(reader, row.author_id, row.commune)):
        raise ProposalNotFound
    review = repository.review_of(session, row.id)
    return ProposalDetail.model_validate(
        {**row._mapping, "review": ReviewOut.model_validate(review) if review else None}
    )


def endorse(session: Session, key: UUID | str, person: UUID) -> int:
    """Count a person once behind a proposal, while it can still change; return the total."""
    campaign, proposal_id = _open_campaign(session, key)
    _require_open(campaign, "endorse")
    return repository.endorse(session, proposal_id, person)


def review(
    session: Session,
    agent: Principal,
    key: UUID | str,
    body: NewReview,
    *,
    at: datetime | None = None,
) -> Reviewed:
    """Answer a proposal, once: of two agents at once the second meets the first one's review."""
    campaign, proposal_id = _open_campaign(session, key, agent)
    agent.require(REVIEW, campaign.commune)
    _require_open(campaign, "review")
    proposal = repository.lock_proposal(session, proposal_id)
    if proposal.status == "draft":
        raise StillDraft
    if proposal.status != "submitted":
        raise AlreadyReviewed("This proposal has been reviewed.", status_now=proposal.status)
    status = domain.STATUS_AFTER[body.outcome]
    if status == "shortlisted" and body.cost > campaign.budget:
        raise OverBudget("The cost is more than the campaign's budget.", "/cost")
    proposal.status = status
    proposal.cost = body.cost
    repository.add_review(
        session,
        proposal_id=proposal.id,
        outcome=body.outcome,
        reason=body.reason,
        cost=body.cost,
        reviewer_id=agent.user_id,
        reviewed_at=at or datetime.now(UTC),
    )
    said = events.ProposalReviewed(
        id=proposal.id,
        ref=proposal.ref,
        campaign=campaign.id,
        commune=campaign.commune,
        outcome=body.outcome,
        cost=body.cost,
        status=status,
    )
    outbox.append(session, [_said(proposal, said)])
    return Reviewed(
        id=proposal.id, ref=proposal.ref, status=status, outcome=body.outcome, cost=body.cost
    )


def record_results(
    session: Session,
    campaign_id: UUID,
    winners: Collection[UUID],
    *,
    at: datetime | None = None,
    traceparent: str = "",
) -> None:
    """Mark the shortlist funded or not and show the campaign's results.

    :class:`Undecodable` when no vote of ours can have had these winners: trying again is no use.
    """
    campaign = repository.lock_campaign(session, campaign_id)
    if campaign is None or campaign.phase != "vote":
        raise Undecodable(f"campaign {campaign_id} has no vote under way")
    shortlist = repository.lock_shortlist(session, campaign_id)
    if unknown := set(winners) - {proposal.id for proposal in shortlist}:
        raise Undecodable(f"{len(unknown)} winners were not on the ballot of {campaign_id}")
    said = [_fund(proposal, proposal.id in winners, traceparent) for proposal in shortlist]
    said.append(_enter(campaign, "results", at or datetime.now(UTC), traceparent))
    outbox.append(session, said)


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
    return _said(proposal, said, traceparent)


def _open_campaign(
    session: Session, key: UUID | str, person: Principal | None = None
) -> tuple[Campaign, UUID]:
    """Return a proposal's campaign, locked shared, and its id; drafts are not everybody's."""
    head = repository.find_head(session, key)
    if head is None or (
        head.status == "draft" and not _writes(person, head.author_id, head.commune)
    ):
        raise ProposalNotFound
    campaign = repository.lock_campaign(session, head.campaign_id, shared=True)
    assert campaign is not None  # noqa: S101 - a foreign key says so
    return campaign, head.id


def _require_open(campaign: Campaign, action: Action) -> None:
    if action not in domain.RULES[campaign.phase].open_to:
        raise WrongPhase(
            f"The campaign's phase {campaign.phase} is not open to this.", phase=campaign.phase
        )


def _said(aggregate: Campaign | Proposal, data: EventData, traceparent: str = "") -> Event:
    """Count the locked aggregate's version up and make its next event."""
    aggregate.version += 1
    return new_event(SOURCE, aggregate.id, aggregate.commune, aggregate.version, data, traceparent)
