"""What anybody may read of works, and where a campaign's money stands."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.proposals import domain as core
from services.proposals import repository as core_repository
from services.proposals.access import MANAGE, SPEND, WORK
from services.proposals.domain import EnvelopeKind
from services.proposals.errors import CampaignNotFound
from services.proposals.files import repository as files
from services.proposals.works import domain, repository
from services.proposals.works.errors import WorkNotFound
from services.proposals.works.schemas import (
    ConfirmationOut,
    Confirmations,
    Entry,
    EntryDone,
    EnvelopeMoney,
    Figures,
    JournalLine,
    MilestoneOut,
    Mine,
    Money,
    Named,
    Whose,
    WorkDetail,
    WorkOut,
)

#: The columns that the detail shows as they are.
_PLAIN = (
    "campaign_title", "commune", "arrondissement", "theme", "geometry", "lon", "lat", "contractor",
    "starts_on", "ends_on", "first_ends_on", "completed_at", "created_at", "updated_at", "version",
    "reports",
)  # fmt: skip


def work(session: Session, key: UUID | str, reader: Principal | None) -> WorkDetail:
    """Return a work with its journal, its ledger and what citizens say of it."""
    row = repository.whole(session, key)
    if row is None:
        raise WorkNotFound
    steps = repository.milestones(session, row.id)
    envelope = Whose(id=row.envelope_id, name=row.envelope_name) if row.envelope_id else None
    may = _may(row, reader)
    return WorkDetail(
        **_short(row).model_dump(),
        **{name: getattr(row, name) for name in _PLAIN},
        proposal=Named(id=row.proposal_id, ref=row.proposal_ref, title=row.title),
        campaign=row.campaign_id,
        envelope=envelope,
        milestones=[MilestoneOut.model_validate(one) for one in steps],
        journal=_journal(session, row.id),
        ledger=_entries(session, repository.ledger(session, row.id)),
        confirmations=_confirmations(session, row.id, row.commune, reader),
        allowed=domain.allowed(row.status) if "manage" in may else [],
        may=may,
    )


def entry(session: Session, work_id: UUID, entry_id: UUID) -> EntryDone:
    """Return a line of a ledger with the work's sums and version."""
    found, line = repository.whole(session, work_id), repository.entry(session, work_id, entry_id)
    if found is None or line is None:
        raise WorkNotFound
    sums = domain.Sums(found.voted_cost, found.committed, found.invoiced, found.paid)
    (shown,) = _entries(session, [line])
    return EntryDone(
        **shown.model_dump(), work=work_id, version=found.version, sums=_figures([sums])
    )


def features(session: Session, asked: Mapping[str, Any], limit: int) -> Sequence[Row[Any]]:
    """Return works as GeoJSON: see :func:`repository.features`."""
    rows = repository.features(session, asked, limit)
    for row in rows:
        row.feature["properties"]["delayed"] = _delayed(row)
    return rows


def confirmations(session: Session, key: UUID | str, reader: Principal | None) -> Confirmations:
    """Return what citizens say of a finished work."""
    row = repository.whole(session, key)
    if row is None:
        raise WorkNotFound
    return _confirmations(session, row.id, row.commune, reader)


def money(session: Session, campaign_id: UUID) -> Money:
    """Return where a campaign's money stands, envelope by envelope, work by work."""
    campaign = core_repository.find_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    by_envelope: dict[UUID | None, list[Row[Any]]] = {one.id: [] for one in campaign.envelopes}
    for row in repository.of_campaign(session, campaign_id):
        by_envelope.setdefault(row.envelope_id, []).append(row)
    parts = [
        _envelope(by_envelope[one.id], one.amount, one.id, one.name, one.kind,
                  one.arrondissement, one.theme)
        for one in campaign.envelopes
    ]  # fmt: skip
    if None in by_envelope:
        left = campaign.budget - sum(part.amount for part in parts)
        parts.append(_envelope(by_envelope[None], left))
    totals = _figures([domain.Sums(p.voted, p.committed, p.invoiced, p.paid) for p in parts])
    return Money(
        **totals.model_dump(),
        campaign=campaign.id,
        commune=campaign.commune,
        title=campaign.title,
        budget=campaign.budget,
        unspent=campaign.budget - totals.voted,
        envelopes=parts,
    )


def _envelope(
    rows: Sequence[Row[Any]],
    amount: int,
    envelope_id: UUID | None = None,
    name: str = "",
    kind: EnvelopeKind = "commune",
    arrondissement: str | None = None,
    theme: str | None = None,
) -> EnvelopeMoney:
    figures = _figures(
        [domain.Sums(row.voted_cost, row.committed, row.invoiced, row.paid) for row in rows]
    )
    return EnvelopeMoney(
        **figures.model_dump(),
        id=envelope_id,
        name=name,
        kind=kind,
        arrondissement=arrondissement,
        theme=theme,
        amount=amount,
        unspent=amount - figures.voted,
        works=[_short(row) for row in rows],
    )


def _figures(sums: Sequence[domain.Sums]) -> Figures:
    return Figures(
        voted=sum(one.voted for one in sums),
        committed=sum(one.committed for one in sums),
        invoiced=sum(one.invoiced for one in sums),
        paid=sum(one.paid for one in sums),
        balance=sum(one.balance for one in sums),
    )


def _delayed(row: Row[Any]) -> bool:
    today = domain.local_day(datetime.now(UTC))
    return domain.is_delayed(row.status, row.ends_on, row.first_ends_on, today)


def _short(row: Row[Any]) -> WorkOut:
    return WorkOut(
        id=row.id,
        ref=row.ref,
        title=row.title,
        status=row.status,
        progress=row.progress,
        delayed=_delayed(row),
        voted_cost=row.voted_cost,
        committed=row.committed,
        invoiced=row.invoiced,
        paid=row.paid,
        balance=row.balance,
    )


def _journal(session: Session, work_id: UUID) -> list[JournalLine]:
    lines = repository.journal(session, work_id)
    photos = files.of(session, "journal", [line.id for line in lines])
    return [JournalLine(**line._asdict(), photos=photos[line.id]) for line in lines]


def _entries(session: Session, lines: Sequence[Row[Any]]) -> list[Entry]:
    papers = files.of(session, "entry", [line.id for line in lines])
    return [Entry(**line._asdict(), files=papers[line.id]) for line in lines]


def _confirmations(
    session: Session, work_id: UUID, commune: str, reader: Principal | None
) -> Confirmations:
    agent = reader is not None and reader.can(MANAGE, commune)
    confirmed, disputed = repository.confirmations(session, work_id)
    notes = repository.notes(session, work_id, domain.SHOWN_NOTES, hidden_too=agent)
    mine = repository.confirmation_of(session, work_id, reader.user_id) if reader else None
    return Confirmations(
        confirmed=confirmed,
        disputed=disputed,
        notes=[
            ConfirmationOut(**{**row._asdict(), "key": row.key if agent else None}) for row in notes
        ],
        mine=Mine.model_validate(mine) if mine else None,
    )


def _may(row: Row[Any], reader: Principal | None) -> list[str]:
    """Return the acts that are open to ``reader``: see :class:`WorkDetail`."""
    if reader is None:
        return []
    can_work = reader.can(WORK, row.commune)
    may = {
        "manage": can_work,
        "complete": can_work and bool(domain.allowed(row.status, "completion")),
        "reopen": can_work and bool(domain.allowed(row.status, "reopening")),
        "spend": reader.can(SPEND, row.commune),
        "confirm": row.status == "completed",
    }
    is_open = "work" in core.RULES[row.phase].open_to
    found = [act for act, can in may.items() if can and is_open]
    return [*found, "moderate"] if reader.can(MANAGE, row.commune) else found
