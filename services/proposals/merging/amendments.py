"""Use cases of amendments: others suggest what a proposal could say, its authors decide."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.ids import new_id
from services.common.problems import Forbidden
from services.proposals import access, service
from services.proposals.access import MANAGE
from services.proposals.domain import REASONS, TEXTS, word_diff
from services.proposals.errors import ChangedMeanwhile
from services.proposals.merging import domain, repository
from services.proposals.merging.errors import (
    AmendmentClosed,
    AmendmentNotFound,
    NothingChanges,
)
from services.proposals.merging.schemas import (
    Amendment,
    AmendmentDetail,
    Decision,
    Hiding,
    NewAmendment,
    Suggested,
)
from services.proposals.models import Campaign, Proposal


def suggest(
    session: Session,
    person: Principal,
    key: UUID | str,
    body: NewAmendment,
    *,
    at: datetime | None = None,
) -> Suggested:
    """Store a suggestion on a proposal's present text."""
    campaign, proposal = access.lock(session, key, person, "edit")
    service.require_editable(session, campaign, proposal)
    if access.speaks_for(session, proposal, person):
        raise Forbidden("This is your own proposal: change it.")
    if body.seen is not None and body.seen != proposal.version:
        raise ChangedMeanwhile(
            version_now=proposal.version,
            status_now=proposal.status,
            revision_now=proposal.revision,
            title_now=proposal.title,
        )
    wanted = body.changes.model_dump(exclude_unset=True)
    changes = {name: value for name, value in wanted.items() if getattr(proposal, name) != value}
    if not changes:
        raise NothingChanges("The proposal already says so.", "/changes")
    amendment_id = new_id()
    values = {
        "id": amendment_id,
        "proposal": proposal.id,
        "base": proposal.revision,
        "person": person.user_id,
        "name": body.name,
        "note": body.note,
        "changes": changes,
        "at": at or datetime.now(UTC),
    }
    repository.insert_amendment(session, values)
    return Suggested(
        id=amendment_id, proposal=proposal.id, state="open", base_revision=proposal.revision
    )


def decide(
    session: Session,
    person: Principal,
    amendment_id: UUID,
    body: Decision,
    *,
    at: datetime | None = None,
) -> None:
    """Accept an amendment, which makes the proposal's next revision, or refuse it."""
    now = at or datetime.now(UTC)
    found = _find(session, amendment_id, None)
    campaign, proposal = access.lock(
        session, found.proposal, person, "edit" if body.accept else None
    )
    access.require_speaker(session, proposal, person)
    amendment = _lock_open(session, amendment_id)
    revision = None
    if body.accept:
        revision = _apply(session, campaign, proposal, amendment, person, now)
    values = {
        "state": "accepted" if body.accept else "refused",
        "answer": body.answer,
        "at": now,
        "person": person.user_id,
        "revision": revision,
    }
    repository.close_amendment(session, amendment_id, values)


def withdraw(
    session: Session, person: Principal, amendment_id: UUID, *, at: datetime | None = None
) -> None:
    """Take one's own open amendment back: its words are gone from the database."""
    found = _find(session, amendment_id, person.user_id)
    access.lock(session, found.proposal, person)
    amendment = _lock_open(session, amendment_id, person.user_id)
    values = {
        "state": "withdrawn",
        "answer": "",
        "at": at or datetime.now(UTC),
        "person": person.user_id,
        "revision": None,
    }
    repository.close_amendment(session, amendment.id, values)
    repository.empty_amendment(session, amendment.id)


def hide(
    session: Session,
    agent: Principal,
    amendment_id: UUID,
    body: Hiding,
    *,
    at: datetime | None = None,
) -> None:
    """Take away an amendment's words that nobody is to read; the reason is its public answer.

    Not those that a proposal says since they were accepted: it is hidden itself, or revised.
    """
    found = _find(session, amendment_id, None)
    _, proposal = access.lock(session, found.proposal, agent)
    agent.require(MANAGE, proposal.commune)
    amendment = repository.lock_amendment(session, amendment_id)
    assert amendment is not None  # noqa: S101 - none is ever deleted
    if amendment.state not in ("open", "refused") or not amendment.changes:
        raise AmendmentClosed(state_now=amendment.state)
    values = {
        "state": "refused",
        "answer": f"{REASONS[body.reason].fr} : {body.note}",
        "at": at or datetime.now(UTC),
        "person": agent.user_id,
        "revision": None,
    }
    repository.close_amendment(session, amendment_id, values)
    repository.empty_amendment(session, amendment_id)


def _apply(
    session: Session,
    campaign: Campaign,
    proposal: Proposal,
    amendment: Row[Any],
    person: Principal,
    now: datetime,
) -> int:
    """Give the locked proposal the amended fields unless they were changed meanwhile."""
    service.require_editable(session, campaign, proposal)
    base = repository.content(session, proposal.id, amendment.base_revision)
    fields = {name: getattr(proposal, name) for name in amendment.changes}
    if changed := domain.collisions(base, fields, amendment.changes):
        raise ChangedMeanwhile(
            version_now=proposal.version,
            status_now=proposal.status,
            revision_now=proposal.revision,
            fields=changed,
        )
    author = access.is_author(session, proposal.id, person)
    return service.apply_changes(
        session,
        campaign,
        proposal,
        amendment.changes,
        None,
        kind="amendment",
        actor=person.user_id,
        actor_kind="author" if author else "agent",
        note=amendment.note,
        at=now,
    )


def _find(session: Session, amendment_id: UUID, reader: UUID | None) -> Row[Any]:
    found = repository.amendment(session, amendment_id, reader)
    if found is None:
        raise AmendmentNotFound
    return found


def _lock_open(session: Session, amendment_id: UUID, owner: UUID | None = None) -> Row[Any]:
    """Return an amendment that waits for a decision, locked; ``owner``: only that person's."""
    found = repository.lock_amendment(session, amendment_id)
    if found is None:
        raise AmendmentNotFound
    if owner not in (None, found.user_id):
        raise Forbidden("Only who suggested an amendment takes it back.")
    if found.state != "open":
        raise AmendmentClosed(state_now=found.state)
    return found


def get(session: Session, amendment_id: UUID, reader: Principal | None) -> AmendmentDetail:
    """Return one amendment word by word."""
    row = _find(session, amendment_id, reader.user_id if reader else None)
    access.find(session, row.proposal, reader)
    changes = [
        {**one, "segments": _segments(one["field"], one["before"], one["after"])}
        for one in _changes(row)
    ]
    return AmendmentDetail.model_validate({**row._mapping, "changes": changes})


def amendments(
    session: Session,
    key: UUID | str,
    reader: Principal | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Amendment]:
    """Return a proposal's amendments, newest first."""
    proposal = access.find(session, key, reader)
    person = reader.user_id if reader else None
    rows = repository.amendments(session, proposal.id, person, after, limit)
    return [Amendment.model_validate({**row._mapping, "changes": _changes(row)}) for row in rows]


def _changes(row: Row[Any]) -> list[Mapping[str, Any]]:
    return [
        {"field": name, "before": row.base.get(name), "after": row.wanted[name]}
        for name in domain.AMENDABLE
        if name in row.wanted
    ]


def _segments(field: str, before: Any, after: Any) -> list[tuple[str, str]]:
    return list(word_diff(before or "", after)) if field in TEXTS else []
