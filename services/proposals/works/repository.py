"""Queries of works: what each is, its journal, its ledger, what citizens say of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from services.common.ids import new_id, new_ref
from services.proposals.models import Proposal, Work
from services.proposals.works.domain import Milestone

_REF_TRIES = 5

# A title that the mairie hid is hidden here too; the money stays to be seen.
_TITLE = "CASE WHEN p.hidden_at IS NULL THEN p.title ELSE p.ref END"
_SHORT = f"""w.id, w.ref, {_TITLE} AS title, w.status, w.progress, w.voted_cost, w.committed,
    w.invoiced, w.paid, w.voted_cost - w.paid AS balance, w.ends_on, w.first_ends_on"""
_WHOLE = f"""
    SELECT {_SHORT}, w.proposal_id, p.ref AS proposal_ref, w.campaign_id, c.title AS campaign_title,
        c.phase, w.commune, p.arrondissement, w.envelope_id, e.name AS envelope_name, p.theme,
        ST_AsGeoJSON(p.geom, 6)::json AS geometry,
        ST_X(ST_PointOnSurface(p.geom)) AS lon, ST_Y(ST_PointOnSurface(p.geom)) AS lat,
        w.contractor, w.starts_on, w.completed_at, w.created_at, w.updated_at, w.version, p.reports
    FROM works w JOIN proposals p ON p.id = w.proposal_id
    JOIN campaigns c ON c.id = w.campaign_id LEFT JOIN envelopes e ON e.id = w.envelope_id
    WHERE
"""  # noqa: S608
_FEATURES = f"""
    SELECT w.created_at AS at, w.id, w.status, w.ends_on, w.first_ends_on,
        json_build_object('type', 'Feature', 'id', w.id, 'geometry', ST_AsGeoJSON(p.geom, 6)::json,
            'properties', json_build_object('id', w.id, 'ref', w.ref, 'proposal', p.ref,
                'title', {_TITLE}, 'campaign', w.campaign_id, 'commune', w.commune,
                'arrondissement', p.arrondissement, 'envelope', w.envelope_id, 'theme', p.theme,
                'status', w.status, 'progress', w.progress, 'voted_cost', w.voted_cost,
                'committed', w.committed, 'invoiced', w.invoiced, 'paid', w.paid,
                'balance', w.voted_cost - w.paid, 'starts_on', w.starts_on,
                'ends_on', w.ends_on, 'contractor', w.contractor,
                'completed_at', w.completed_at)) AS feature
    FROM works w JOIN proposals p ON p.id = w.proposal_id
"""  # noqa: S608
_FILTERS: Mapping[str, str] = {
    "campaign": "w.campaign_id = :campaign",
    "commune": "w.commune = :commune",
    "status": "w.status = :status",
    "after": "(w.created_at, w.id) < (:after_at, :after_id)",
}
_OF_CAMPAIGN = text(f"""
    SELECT {_SHORT}, w.envelope_id FROM works w JOIN proposals p ON p.id = w.proposal_id
    WHERE w.campaign_id = :campaign ORDER BY p.number, w.id
""")  # noqa: S608
_WORK_REF = text("SELECT ref FROM works WHERE proposal_id = :proposal")

_ADD_LINE = text("""
    INSERT INTO journal (id, work_id, version, kind, at, actor, note, detail)
    VALUES (:id, :work, :version, :kind, :at, :actor, :note, CAST(:detail AS jsonb))
""")
_JOURNAL = text("""
    SELECT id, version, kind, at, note, detail FROM journal WHERE work_id = :work
    ORDER BY version, kind
""")
_MILESTONES = text("""
    SELECT id, title, planned_on, reached_on FROM milestones WHERE work_id = :work
    ORDER BY position
""")
_ADD_MILESTONE = text("""
    INSERT INTO milestones (id, work_id, position, title, planned_on, reached_on)
    VALUES (:id, :work, :position, :title, :planned_on, :reached_on)
""")
_REACH = text("UPDATE milestones SET reached_on = :day WHERE id = :id")

_ADD_ENTRY = text("""
    INSERT INTO ledger (id, work_id, number, kind, amount, dated, label, payee, document, reason,
        counters, actor, at)
    SELECT :id, :work, 1 + coalesce(max(number), 0), :kind, :amount, :dated, :label, :payee,
        :document, :reason, :counters, :actor, :at
    FROM ledger WHERE work_id = :work
    RETURNING number
""")
_LEDGER = """
    SELECT l.id, l.number, l.kind, l.amount, l.dated, l.label, l.payee, l.document, l.reason,
        l.at, (SELECT o.number FROM ledger o WHERE o.id = l.counters) AS counters,
        (SELECT o.number FROM ledger o WHERE o.counters = l.id) AS countered_by
    FROM ledger l WHERE l.work_id = :work
"""

# A person is nowhere named: a note's key tells it apart from the work's others, and leads nowhere.
_KEY = "left(encode(sha256(convert_to(k.work_id::text || k.user_id::text, 'UTF8')), 'hex'), 32)"
_CONFIRM = text("""
    INSERT INTO confirmations (work_id, user_id, verdict, note, at)
    VALUES (:work, :user, :verdict, :note, :at)
    ON CONFLICT (work_id, user_id) DO UPDATE
    SET verdict = excluded.verdict, note = excluded.note, at = excluded.at
""")
_COUNT = text("""
    SELECT count(*) FILTER (WHERE verdict = 'confirmed') AS confirmed,
        count(*) FILTER (WHERE verdict = 'disputed') AS disputed
    FROM confirmations WHERE work_id = :work
""")
_NOTES = text(f"""
    SELECT verdict, note, at, hidden, {_KEY} AS key FROM confirmations k
    WHERE work_id = :work AND note <> '' AND (:all OR NOT hidden)
    ORDER BY at DESC, user_id LIMIT :limit
""")  # noqa: S608
_MINE = text("""
    SELECT verdict, note, at FROM confirmations WHERE work_id = :work AND user_id = :user
""")
_HIDE = text(f"""
    UPDATE confirmations k SET hidden = :hidden WHERE work_id = :work AND {_KEY} = :key
""")  # noqa: S608


def open_work(
    session: Session, campaign_id: UUID, proposal: Proposal, voted_cost: int, at: datetime
) -> Work | None:
    """Store a funded proposal's work; None when it has one."""
    for _ in range(_REF_TRIES):
        statement = upsert(Work).values(
            id=new_id(),
            ref=new_ref("T"),
            proposal_id=proposal.id,
            campaign_id=campaign_id,
            envelope_id=proposal.envelope_id,
            commune=proposal.commune,
            status="planned",
            progress=0,
            voted_cost=voted_cost,
            version=0,
            created_at=at,
            updated_at=at,
        )
        stored = session.scalar(statement.on_conflict_do_nothing().returning(Work.id))
        if stored is not None:
            return session.get_one(Work, stored)
        if work_ref(session, proposal.id) is not None:
            return None
    raise RuntimeError("no free reference was found")


def work_ref(session: Session, proposal_id: UUID) -> str | None:
    """Return the reference of a proposal's work, where it has one."""
    found: str | None = session.scalar(_WORK_REF, {"proposal": proposal_id})
    return found


def find(session: Session, key: UUID | str) -> Work | None:
    """Return a work by id or ref, unlocked."""
    column = Work.id if isinstance(key, UUID) else Work.ref
    return session.scalars(select(Work).where(column == key)).one_or_none()


def lock(session: Session, work_id: UUID) -> Work:
    """Return a work as it is now, locked."""
    return session.get_one(Work, work_id, with_for_update=True, populate_existing=True)


def whole(session: Session, key: UUID | str) -> Row[Any] | None:
    """Return one work by id or ref, with its proposal, campaign and envelope."""
    where = "w.id = :key" if isinstance(key, UUID) else "w.ref = :key"
    return session.execute(text(_WHOLE + where), {"key": key}).one_or_none()


def features(session: Session, values: Mapping[str, Any], limit: int) -> Sequence[Row[Any]]:
    """Return ``(at, id, status, ends_on, first_ends_on, feature)`` of works, newest first.

    ``values`` holds names of the filters; with ``after`` also ``after_at`` and ``after_id``.
    """
    where = " AND ".join(_FILTERS[name] for name in values if name in _FILTERS) or "true"
    query = text(f"{_FEATURES} WHERE {where} ORDER BY w.created_at DESC, w.id DESC LIMIT :limit")
    return session.execute(query, {**values, "limit": limit}).all()


def of_campaign(session: Session, campaign_id: UUID) -> Sequence[Row[Any]]:
    """Return a campaign's works in short with their ``envelope_id``, as the ballot numbered."""
    return session.execute(_OF_CAMPAIGN, {"campaign": campaign_id}).all()


def add_line(
    session: Session,
    work: Work,
    kind: str,
    at: datetime,
    actor: UUID | None,
    note: str = "",
    detail: Mapping[str, Any] | None = None,
) -> UUID:
    """Add a line to a locked work's journal at its present version; return the line's id."""
    line = new_id()
    session.execute(
        _ADD_LINE,
        {
            "id": line,
            "work": work.id,
            "version": work.version,
            "kind": kind,
            "at": at,
            "actor": actor,
            "note": note,
            "detail": json.dumps(detail or {}, ensure_ascii=False, default=str),
        },
    )
    return line


def journal(session: Session, work_id: UUID) -> Sequence[Row[Any]]:
    """Return the lines of a work's journal, oldest first."""
    return session.execute(_JOURNAL, {"work": work_id}).all()


def milestones(session: Session, work_id: UUID) -> list[Milestone]:
    """Return a work's steps in order."""
    return [Milestone(*row) for row in session.execute(_MILESTONES, {"work": work_id})]


def set_milestones(session: Session, work_id: UUID, plan: Sequence[Milestone]) -> None:
    """Replace a locked work's steps; those known before keep their id."""
    session.execute(text("DELETE FROM milestones WHERE work_id = :work"), {"work": work_id})
    rows = [
        {**asdict(one), "id": one.id or new_id(), "work": work_id, "position": n}
        for n, one in enumerate(plan)
    ]
    if rows:
        session.execute(_ADD_MILESTONE, rows)


def reach(session: Session, milestone_id: UUID, day: date) -> None:
    """Say when a step of a locked work was reached."""
    session.execute(_REACH, {"id": milestone_id, "day": day})


def add_entry(session: Session, work: Work, values: Mapping[str, Any]) -> None:
    """Add the next line to the ledger of a locked work: numbers run from 1 without a gap."""
    session.execute(_ADD_ENTRY, {**values, "work": work.id})


def ledger(session: Session, work_id: UUID) -> Sequence[Row[Any]]:
    """Return the lines of a work's ledger in order."""
    return session.execute(text(_LEDGER + " ORDER BY l.number"), {"work": work_id}).all()


def entry(session: Session, work_id: UUID, entry_id: UUID) -> Row[Any] | None:
    """Return a line of a work's ledger."""
    query = text(_LEDGER + " AND l.id = :entry")
    return session.execute(query, {"work": work_id, "entry": entry_id}).one_or_none()


def confirm(
    session: Session, work_id: UUID, user_id: UUID, verdict: str, note: str, at: datetime
) -> None:
    """Keep what a person says of a finished work, in the place of what they said before."""
    values = {"work": work_id, "user": user_id, "verdict": verdict, "note": note, "at": at}
    session.execute(_CONFIRM, values)


def confirmations(session: Session, work_id: UUID) -> tuple[int, int]:
    """Return how many persons confirm a finished work, and how many dispute it."""
    row = session.execute(_COUNT, {"work": work_id}).one()
    return row.confirmed, row.disputed


def notes(
    session: Session, work_id: UUID, limit: int, *, hidden_too: bool = False
) -> Sequence[Row[Any]]:
    """Return the newest notes of citizens."""
    values = {"work": work_id, "all": hidden_too, "limit": limit}
    return session.execute(_NOTES, values).all()


def confirmation_of(session: Session, work_id: UUID, user_id: UUID) -> Row[Any] | None:
    """Return what a person said of a work."""
    return session.execute(_MINE, {"work": work_id, "user": user_id}).one_or_none()


def hide_note(session: Session, work_id: UUID, key: str, *, hidden: bool) -> bool:
    """Hide the note of this key or show it again; False when there is none."""
    values = {"work": work_id, "key": key, "hidden": hidden}
    return int(session.execute(_HIDE, values).rowcount) > 0  # type: ignore[attr-defined]
