"""Use cases of proposals: to propose, to draft, to revise, to write together, to withdraw.

Nothing here commits: the request's session does. See :mod:`services.proposals.access` for locks.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event, EventData, new_event
from services.common.ids import REF_ALPHABET, new_id, new_ref
from services.common.problems import Forbidden, Invalid
from services.proposals import access, costs, domain, events, repository
from services.proposals.access import MANAGE, is_agent, require_open
from services.proposals.domain import Status
from services.proposals.errors import (
    AlreadyReviewed,
    AlreadySubmitted,
    BadInvitation,
    ChangedMeanwhile,
    EnvelopeNeeded,
    Incomplete,
    NoEnvelope,
    NotWelcome,
    OutsideCommune,
    OutsideCountry,
    OverBudget,
    SpansArrondissements,
    UnknownCampaign,
)
from services.proposals.files import service as files
from services.proposals.models import Campaign, Proposal, Work
from services.proposals.schemas import NewProposal, ProposalChanges, ProposalCreated
from services.proposals.settings import Settings

SOURCE = Settings.name
_REF_TRIES = 5
_CODE_LENGTH = 10

RevisionKind = Literal["submitted", "edit", "amendment"]
ActorKind = Literal["author", "agent"]
#: What a revision keeps of a proposal, beside its place.
CONTENT = ("title", "need", "description", "beneficiaries", "theme", "estimated_cost")


def say(aggregate: Campaign | Proposal | Work, data: EventData, traceparent: str = "") -> Event:
    """Count the locked aggregate's version up and make its next event."""
    aggregate.version += 1
    return new_event(SOURCE, aggregate.id, aggregate.commune, aggregate.version, data, traceparent)


def reached(proposal: Proposal, needed: int, at: datetime) -> list[Event]:
    """Note that a locked proposal has as many endorsements as ``needed``; what to say of it.

    Nothing where there are fewer, or there were as many before.
    """
    if not domain.reached(needed, proposal.endorsements, proposal.threshold_reached_at):
        return []
    proposal.threshold_reached_at = at
    told = events.ProposalThresholdReached(
        id=proposal.id,
        ref=proposal.ref,
        campaign=proposal.campaign_id,
        commune=proposal.commune,
        endorsements=proposal.endorsements,
    )
    return [say(proposal, told)]


def submit(
    session: Session, author: Principal, body: NewProposal, *, at: datetime | None = None
) -> ProposalCreated:
    """Store a proposal where it is, within its campaign's commune, rules and envelope."""
    now = at or datetime.now(UTC)
    campaign = _campaign_of(session, body)
    require_open(campaign, "submit")
    _check_author(session, campaign, author, body)
    proposal = _insert(session, campaign, author, body, "draft", now)
    return _publish(session, campaign, proposal, author, now)


def create_draft(session: Session, author: Principal, body: NewProposal) -> ProposalCreated:
    """Store what ``author`` may finish and submit later; nothing is published."""
    campaign = _campaign_of(session, body)
    agent = is_agent(author, campaign.commune)
    require_open(campaign, "prepare" if agent else "draft")
    _check_author(session, campaign, author, body, draft=True)
    proposal = _insert(session, campaign, author, body, "draft", datetime.now(UTC))
    return ProposalCreated.model_validate(proposal)


def submit_draft(
    session: Session, person: Principal, key: UUID | str, *, at: datetime | None = None
) -> ProposalCreated:
    """Make a draft a proposal, once: of two at once the second meets it submitted."""
    campaign, proposal = access.lock(session, key, person)
    access.require_speaker(session, proposal, person)
    _require_draft(proposal)
    require_open(campaign, "submit")
    _check_share(session, campaign, proposal.author_id, proposal.origin)
    return _publish(session, campaign, proposal, person, at or datetime.now(UTC))


def _publish(
    session: Session, campaign: Campaign, proposal: Proposal, person: Principal, now: datetime
) -> ProposalCreated:
    """Turn a locked draft into a proposal: its first revision, its first event."""
    _require_complete(_content(session, proposal))
    place = repository.place_of(session, proposal.id)
    envelope = _envelope(campaign, place, proposal.theme, proposal.envelope_id)
    _check_cost(envelope.amount, proposal.estimated_cost, "/estimated_cost")
    proposal.envelope_id = envelope.id
    proposal.status, proposal.submitted_at = "submitted", now
    session.flush()
    kind: ActorKind = "author" if access.is_author(session, proposal.id, person) else "agent"
    content = _content(session, proposal)
    _add_revision(session, proposal, "submitted", kind, person.user_id, "", now, content)
    told = events.ProposalSubmitted(
        id=proposal.id,
        ref=proposal.ref,
        campaign=campaign.id,
        commune=campaign.commune,
        arrondissement=proposal.arrondissement,
        title=proposal.title,
        theme=proposal.theme,
        estimated_cost=content["estimated_cost"],
        geometry=events.Geometry(**content["geometry"]),
        status="submitted",
        submitted_at=now,
        reports=proposal.reports,
        hotspot=proposal.hotspot,
        envelope=envelope.id,
        origin=proposal.origin,
    )
    outbox.append(session, [say(proposal, told)])
    return ProposalCreated.model_validate(proposal)


def change(session: Session, person: Principal, key: UUID | str, body: ProposalChanges) -> UUID:
    """Set the fields that ``body`` names: in a draft at once, else as a new public revision.

    Returns the proposal's id. While ideas are collected a proposal that waits for its review may
    be edited; in the revision, one that the mairie found feasible with changes.
    """
    campaign, proposal = access.lock(session, key, person)
    access.require_speaker(session, proposal, person)
    shape = body.geometry.shape if body.geometry else None
    changes = body.model_dump(
        exclude_unset=True, exclude={"geometry", "note", "seen", "photos", "cost_lines"}
    )
    _seen(proposal, body.seen)
    if proposal.status != "draft":
        require_open(campaign, "edit")
        require_editable(session, campaign, proposal)
    else:
        require_open(campaign, "prepare" if is_agent(person, campaign.commune) else "draft")
    if "envelope" in changes:
        changes["envelope_id"] = changes.pop("envelope")
    if body.cost_lines is not None:
        changes |= _estimated(session, campaign.commune, body.cost_lines, changes)
    elif "estimated_cost" in changes:
        changes["cost_lines"] = []  # they said how another sum was made
    if "author_name" in changes and not changes["author_name"]:
        if proposal.author_kind in ("group", "association"):
            raise Invalid("Give the name of the group or association.", "/author_name")
    if proposal.status == "draft":
        _set(session, campaign, proposal, changes, shape)
        _show_photos(session, person, proposal, body.photos)
    else:
        actor_kind: ActorKind = (
            "author" if access.is_author(session, proposal.id, person) else "agent"
        )
        apply_changes(
            session,
            campaign,
            proposal,
            changes,
            shape,
            kind="edit",
            actor=person.user_id,
            actor_kind=actor_kind,
            note=body.note,
            at=datetime.now(UTC),
            besides=lambda: _show_photos(session, person, proposal, body.photos),
        )
    return proposal.id


def _show_photos(
    session: Session, person: Principal, proposal: Proposal, photos: list[UUID] | None
) -> None:
    if photos is not None:
        files.attach(session, person, "proposal", proposal.id, photos, replace=True)


def apply_changes(
    session: Session,
    campaign: Campaign,
    proposal: Proposal,
    changes: Mapping[str, Any],
    shape: BaseGeometry | None,
    *,
    kind: RevisionKind,
    actor: UUID,
    actor_kind: ActorKind,
    note: str,
    at: datetime,
    besides: Callable[[], None] = lambda: None,
) -> int:
    """Give a locked proposal its next revision and say so; return the revision's number.

    What changes nothing makes no revision. ``besides`` changes what is not a column.
    """
    before = _content(session, proposal)
    _require_complete({**before, **changes})
    _set(session, campaign, proposal, changes, shape)
    besides()
    after = _content(session, proposal)
    changed = [name for name, value in after.items() if value != before[name]]
    if not changed:
        return proposal.revision
    proposal.revision += 1
    _add_revision(session, proposal, kind, actor_kind, actor, note, at, after)
    outbox.append(session, [revised(proposal, after, changed)])
    return proposal.revision


def revised(proposal: Proposal, content: Mapping[str, Any], changed: list[str]) -> Event:
    """Make the event of a locked proposal's new content."""
    told = events.ProposalRevised(
        id=proposal.id,
        ref=proposal.ref,
        campaign=proposal.campaign_id,
        commune=proposal.commune,
        revision=proposal.revision,
        arrondissement=proposal.arrondissement,
        title=proposal.ref if proposal.hidden_at else proposal.title,
        theme=proposal.theme,
        estimated_cost=content["estimated_cost"],
        cost=proposal.cost,
        geometry=events.Geometry(**content["geometry"]),
        envelope=proposal.envelope_id,
        reports=proposal.reports,
        status=proposal.status,
        changed=changed,
    )
    return say(proposal, told)


def reports_changed(session: Session, proposal: Proposal) -> Event:
    """Make the event of a locked proposal whose ``reports`` are others now."""
    return revised(proposal, _content(session, proposal), ["reports"])


def withdraw(session: Session, person: Principal, key: UUID | str) -> UUID:
    """Take a submitted proposal back, before its review; what people wrote about it stays."""
    campaign, proposal = access.lock(session, key, person, "edit")
    access.require_speaker(session, proposal, person)
    if proposal.status != "submitted":
        raise AlreadyReviewed("This cannot be taken back any more.", status_now=proposal.status)
    if repository.came_by_merge(session, proposal.id, person.user_id):
        raise Forbidden("It was others' before yours was merged into it: undo the merge instead.")
    proposal.status = "withdrawn"
    told = events.ProposalWithdrawn(
        id=proposal.id, ref=proposal.ref, campaign=campaign.id, commune=campaign.commune
    )
    outbox.append(session, [say(proposal, told)])
    return proposal.id


def discard(session: Session, person: Principal, key: UUID | str) -> str:
    """Delete a draft with all that is in it; return its reference."""
    _, proposal = access.lock(session, key, person)
    access.require_speaker(session, proposal, person)
    _require_draft(proposal)
    repository.delete_draft(session, proposal.id)
    return proposal.ref


def invite(session: Session, person: Principal, key: UUID | str) -> str:
    """Return a code with which one person may join a proposal's authors, once."""
    _, proposal = access.lock(session, key, person)
    if not access.is_author(session, proposal.id, person):
        raise Forbidden("Only its authors may invite others to write a proposal.")
    code = "".join(secrets.choice(REF_ALPHABET) for _ in range(_CODE_LENGTH))
    repository.add_invitation(session, _hash(code), proposal.id, person.user_id)
    return code


def join(session: Session, person: Principal, key: UUID | str, code: str, name: str) -> UUID:
    """Make the holder of a code a co-author; return the proposal's id."""
    plain = "".join(c for c in code.upper() if c.isalnum())
    found = repository.find_proposal(session, key)
    if found is None or not repository.use_invitation(session, _hash(plain), found.id):
        raise BadInvitation("This code is not known, or was used.", "/code")
    _, proposal = access.lock(session, found.id, None) if found.status != "draft" else (0, found)
    repository.add_author(session, proposal.id, person.user_id, "coauthor", name)
    return proposal.id


def leave(session: Session, person: Principal, key: UUID | str) -> UUID:
    """Take oneself from a proposal's co-authors; its first author stays."""
    _, proposal = access.lock(session, key, person)
    if proposal.author_id == person.user_id:
        raise Forbidden("Its first author stays: a proposal may be withdrawn instead.")
    repository.remove_author(session, proposal.id, person.user_id)
    return proposal.id


def _hash(code: str) -> bytes:
    """Return the SHA-256 of an invitation's code (48 random bits, used once)."""
    return hashlib.sha256(code.encode()).digest()


def _campaign_of(session: Session, body: NewProposal) -> Campaign:
    campaign = repository.lock_campaign(session, body.campaign, shared=True)
    if campaign is None:
        raise UnknownCampaign("No campaign has this id.", "/campaign")
    return campaign


def _check_author(
    session: Session,
    campaign: Campaign,
    author: Principal,
    body: NewProposal,
    *,
    draft: bool = False,
) -> None:
    """Hold an author against the campaign's rules; paper and assemblies are the mairie's."""
    if body.origin != "web":
        author.require(MANAGE, campaign.commune)
        if (body.origin == "assembly") != (body.forum is not None):
            raise Invalid("What comes out of an assembly names its forum, nothing else.", "/forum")
        if body.forum and not repository.has_forum(session, campaign.id, body.forum):
            raise Invalid("The campaign has no such forum.", "/forum")
    elif body.forum is not None or body.author_kind == "forum":
        raise Invalid("Only an assembly speaks in the name of a forum.", "/author_kind")
    if body.author_kind in ("group", "association") and not body.author_name:
        raise Invalid("Give the name of the group or association.", "/author_name")
    if body.origin == "web" and body.author_kind not in campaign.author_kinds:
        raise NotWelcome("The campaign's rules do not admit this kind of author.")
    if not draft:
        _check_share(session, campaign, author.user_id, body.origin)


def _check_share(session: Session, campaign: Campaign, author: UUID, origin: str) -> None:
    most = campaign.proposals_per_author
    if origin == "web" and most is not None:
        repository.hold_author(session, campaign.id, author)
        if repository.count_of_author(session, campaign.id, author) >= most:
            raise NotWelcome(f"A person may propose {most} projects in this campaign.", most=most)


def _insert(
    session: Session,
    campaign: Campaign,
    author: Principal,
    body: NewProposal,
    status: Status,
    now: datetime,
) -> Proposal:
    """Store a draft with its photos and its first author; return it, locked by being new."""
    place = _place(session, body.geometry.shape, campaign)
    envelope = None
    if body.envelope is not None or not body.draft:
        envelope = _envelope(campaign, place, body.theme, body.envelope)
        _check_cost(envelope.amount, body.estimated_cost, "/estimated_cost")
    else:
        _check_cost(campaign.budget, body.estimated_cost, "/estimated_cost")
    values: dict[str, Any] = {
        "id": new_id(),
        "campaign_id": campaign.id,
        "commune": campaign.commune,
        "arrondissement": place.arrondissement,
        "envelope_id": envelope.id if envelope else None,
        **{name: getattr(body, name) for name in CONTENT},
        "cost_lines": [],
        "reports": body.reports,
        "hotspot": body.hotspot,
        "status": status,
        "endorsements": 0,
        "author_id": author.user_id,
        "author_kind": "forum" if body.origin == "assembly" else body.author_kind,
        "author_name": body.author_name,
        "origin": body.origin,
        "forum_id": body.forum,
        "version": 0,
        "created_at": now,
        "submitted_at": None,
    }
    if body.cost_lines:
        values |= _estimated(session, campaign.commune, body.cost_lines, values)
    for _ in range(_REF_TRIES):
        values["ref"] = new_ref("P")
        if repository.insert_proposal(session, body.geometry.shape, values):
            break
    else:
        raise RuntimeError("no free reference was found")
    if body.origin == "web":
        repository.add_author(session, values["id"], author.user_id, "author", body.author_name)
    if body.photos:
        files.attach(session, author, "proposal", values["id"], body.photos)
    return repository.lock_proposal(session, values["id"])


def _estimated(
    session: Session, commune: str, lines: list[Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the lines of an estimate at the mairie's unit costs, and their sum.

    A cost that is given beside them stands; the lines then say only how it was thought of, and
    those that would cost more than it are refused.
    """
    found = costs.estimate(session, commune, [(line.code, line.quantity) for line in lines])
    if not lines:
        return {"cost_lines": []}
    total = sum(line["total"] for line in found)
    cost = given.get("estimated_cost") or total
    if cost < total:
        raise Invalid("The lines cost more than the estimate.", "/estimated_cost", total=total)
    return {"cost_lines": found, "estimated_cost": cost}


def _set(
    session: Session,
    campaign: Campaign,
    proposal: Proposal,
    changes: Mapping[str, Any],
    shape: BaseGeometry | None,
) -> None:
    """Set columns of a locked proposal; its place and its envelope stay of one mind."""
    values = dict(changes)
    place = (
        _place(session, shape, campaign)
        if shape is not None
        else repository.place_of(session, proposal.id)
    )
    values["arrondissement"] = place.arrondissement
    theme = values.get("theme", proposal.theme)
    kept = proposal.envelope_id
    if kept is not None and not _fits(campaign, place, theme, kept):
        kept = None  # it is for another place or theme: the nearest one is found
    wanted = values.get("envelope_id", kept)
    if proposal.status == "draft" and wanted is None:
        values["envelope_id"] = None  # found when it is submitted
    else:
        envelope = _envelope(campaign, place, theme, wanted)
        values["envelope_id"] = envelope.id
        _check_cost(envelope.amount, proposal.cost, "/envelope")
        estimated = values.get("estimated_cost", proposal.estimated_cost)
        _check_cost(envelope.amount, estimated, "/estimated_cost")
    _check_cost(campaign.budget, values.get("estimated_cost"), "/estimated_cost")
    repository.change_proposal(session, proposal, values, shape)


def _place(session: Session, shape: BaseGeometry, campaign: Campaign) -> repository.Place:
    """Return where ``shape`` lies in the campaign's commune; refuse one that lies elsewhere."""
    place = repository.locate(session, shape, campaign.commune)
    if place.in_commune:
        return place
    if place.in_country:
        raise OutsideCommune(
            f"The place is not inside the commune {campaign.commune}.", "/geometry"
        )
    hint = " Longitude and latitude look swapped." if place.swapped else ""
    raise OutsideCountry(f"The place is not in Bénin.{hint}", "/geometry")


def _envelope(
    campaign: Campaign, place: repository.Place, theme: str | None, wanted: UUID | None
) -> domain.Envelope:
    """Return the envelope of a proposal: the wanted one if it is for it, else the nearest one."""
    envelopes = _envelopes(campaign)
    if wanted is not None and wanted not in {e.id for e in envelopes}:
        raise Invalid("The campaign has no such envelope.", "/envelope")
    found = domain.choose_envelope(envelopes, place.arrondissement, place.whole, theme, wanted)
    if isinstance(found, domain.Envelope):
        return found
    errors = {
        "spans": SpansArrondissements(
            "The place must lie whole in the arrondissement of its envelope.", "/geometry"
        ),
        "none": NoEnvelope("No envelope is for this place and theme.", "/envelope"),
        "several": EnvelopeNeeded("Several envelopes are for this: choose one.", "/envelope"),
    }
    raise errors[found]


def _envelopes(campaign: Campaign) -> list[domain.Envelope]:
    return [
        domain.Envelope(e.id, e.amount, e.kind, e.arrondissement, e.theme)
        for e in campaign.envelopes
    ]


def _fits(campaign: Campaign, place: repository.Place, theme: str | None, envelope: UUID) -> bool:
    found = domain.choose_envelope(
        _envelopes(campaign), place.arrondissement, place.whole, theme, envelope
    )
    return isinstance(found, domain.Envelope)


def _check_cost(most: int, cost: int | None, pointer: str) -> None:
    if cost is not None and cost > most:
        raise OverBudget("The cost is more than its envelope holds.", pointer, most=most)


def _require_complete(content: Mapping[str, Any]) -> None:
    if missing := [name for name in ("description", "estimated_cost") if not content[name]]:
        raise Incomplete(missing)


def _require_draft(proposal: Proposal) -> None:
    if proposal.status != "draft":
        raise AlreadySubmitted(status_now=proposal.status)


def require_editable(session: Session, campaign: Campaign, proposal: Proposal) -> None:
    """Raise :class:`AlreadyReviewed` unless a public proposal's text may change now."""
    if campaign.phase == "revision":
        last = repository.review_of(session, proposal.id)
        if last and last.outcome == "feasible_with_changes":
            return
    elif proposal.status == "submitted":
        return
    raise AlreadyReviewed("This proposal cannot be changed now.", status_now=proposal.status)


def _seen(proposal: Proposal, seen: int | None) -> None:
    if seen is not None and seen != proposal.version:
        raise ChangedMeanwhile(
            version_now=proposal.version,
            status_now=proposal.status,
            revision_now=proposal.revision,
            title_now=proposal.title,
        )


def _content(session: Session, proposal: Proposal) -> dict[str, Any]:
    """Return what a revision keeps of a proposal."""
    return {
        **{name: getattr(proposal, name) for name in CONTENT},
        "reports": [str(one) for one in proposal.reports],
        "author_name": proposal.author_name,
        "photos": [str(one) for one in repository.photos_of(session, proposal.id)],
        "envelope": str(proposal.envelope_id) if proposal.envelope_id else None,
        "arrondissement": proposal.arrondissement,
        "geometry": repository.geometry_of(session, proposal.id),
    }


def _add_revision(
    session: Session,
    proposal: Proposal,
    kind: RevisionKind,
    actor_kind: ActorKind,
    actor: UUID,
    note: str,
    at: datetime,
    content: Mapping[str, Any],
) -> None:
    line = repository.Revision(
        proposal.id, proposal.revision, kind, at, actor_kind, actor, note, content
    )
    repository.add_revision(session, asdict(line))
