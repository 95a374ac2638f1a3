"""Queries of reviews: the grid, the assignments, the answer, the queue."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from services.common.ids import new_id
from services.common.requests import Place
from services.proposals.domain import RULES
from services.proposals.models import Review
from services.proposals.reviews.domain import ROUNDS

_CRITERIA = text("""
    SELECT id, criterion, verdict, note, nullif(service, '') AS service, actor, at, version
    FROM review_criteria WHERE proposal_id = :proposal
    ORDER BY array_position(ARRAY['legal', 'technical', 'cost', 'land', 'upkeep'], criterion)
""")
_JUDGE = text("""
    INSERT INTO review_criteria
        (id, proposal_id, criterion, verdict, note, service, actor, at, version)
    VALUES (:id, :proposal, :criterion, :verdict, :note, coalesce(:service, ''), :actor, :at,
        :version)
    ON CONFLICT (proposal_id, criterion) DO UPDATE
    SET verdict = excluded.verdict, note = excluded.note, actor = excluded.actor,
        service = coalesce(:service, review_criteria.service), at = excluded.at,
        version = excluded.version
    RETURNING id
""")
# What a service judged after it was asked; asked again, it has to say something again.
_DONE = """EXISTS (
    SELECT FROM review_criteria k
    WHERE k.proposal_id = s.proposal_id AND k.service = s.service AND k.at >= s.at)
"""
_ASSIGNMENTS = text(f"""
    SELECT service, due_on, note, at, done, coalesce(due_on < :today, false) AND NOT done AS overdue
    FROM (SELECT s.*, {_DONE} AS done FROM review_assignments s WHERE s.proposal_id = :proposal) q
    ORDER BY at, service
""")  # noqa: S608 - parts of ours
_ASSIGN = text("""
    INSERT INTO review_assignments (proposal_id, service, due_on, note, assigned_by, at)
    VALUES (:proposal, :service, :due_on, :note, :by, :at)
    ON CONFLICT (proposal_id, service) DO UPDATE
    SET due_on = excluded.due_on, note = excluded.note, assigned_by = excluded.assigned_by,
        at = excluded.at
""")
_TAKE_BACK = text("""
    DELETE FROM review_assignments WHERE proposal_id = :proposal AND service = :service RETURNING 1
""")
_ANSWER = text("SELECT answer, at FROM review_answers WHERE proposal_id = :proposal")
_ADD_ANSWER = text("""
    INSERT INTO review_answers (proposal_id, answer, user_id, at)
    VALUES (:proposal, :answer, :user, :at)
""")
_TYPES_SINCE = text("""
    SELECT type FROM outbox WHERE subject = :proposal AND sequence > :seen ORDER BY sequence
""")

_SHEETS = f"""
    WITH sheet AS (
        SELECT p.id, p.ref, p.title, p.campaign_id AS campaign, c.title AS campaign_title, c.phase,
            p.commune, p.arrondissement, p.theme, p.status, p.estimated_cost, p.cost,
            p.endorsements, c.endorsements_needed, p.submitted_at, p.version, r.outcome,
            k.done, coalesce(a.assignments, '[]') AS assignments,
            CASE WHEN r.round = 1 AND c.phase = ANY(:again)
                    AND EXISTS (SELECT FROM review_answers w WHERE w.proposal_id = p.id)
                    THEN 'answered'
                WHEN r.round IS NOT NULL THEN 'done'
                WHEN a.overdue THEN 'overdue'
                WHEN a.assignments IS NOT NULL THEN 'assigned'
                ELSE 'waiting' END AS state
        FROM proposals p
        JOIN campaigns c ON c.id = p.campaign_id
        LEFT JOIN LATERAL (
            SELECT round, outcome FROM reviews WHERE proposal_id = p.id
            ORDER BY round DESC LIMIT 1) r ON true
        LEFT JOIN LATERAL (
            SELECT bool_or(q.overdue) AS overdue,
                json_agg(json_build_object('service', q.service, 'due_on', q.due_on,
                    'done', q.done, 'overdue', q.overdue) ORDER BY q.at, q.service) AS assignments
            FROM (
                SELECT o.*, coalesce(o.due_on < :today, false) AND NOT o.done AS overdue
                FROM (SELECT s.*, {_DONE} AS done FROM review_assignments s
                    WHERE s.proposal_id = p.id
                    AND (CAST(:service AS text) IS NULL OR s.service = :service)) o) q
        ) a ON true
        CROSS JOIN LATERAL (
            SELECT count(*) AS done FROM review_criteria WHERE proposal_id = p.id) k
        WHERE p.commune = :commune AND p.hidden_at IS NULL
            AND p.status NOT IN ('draft', 'merged', 'withdrawn')
            AND (CAST(:campaign AS uuid) IS NULL OR p.campaign_id = :campaign)
            AND (r.round IS NOT NULL OR c.phase = ANY(:open))
            AND (CAST(:service AS text) IS NULL OR a.assignments IS NOT NULL)
    )
"""  # noqa: S608
_QUEUE = text(f"""
    {_SHEETS} SELECT * FROM sheet
    WHERE (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:after_at AS timestamptz) IS NULL
        OR (submitted_at, id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
    ORDER BY submitted_at, id LIMIT :limit
""")  # noqa: S608
_COUNTS = text(f"{_SHEETS} SELECT state, count(*) AS n FROM sheet GROUP BY state")  # noqa: S608
_PHASES = {
    name: [phase for phase, rule in RULES.items() if ROUNDS[number] in rule.open_to]
    for name, number in (("open", 1), ("again", 2))
}


def reviews(session: Session, proposal_id: UUID) -> Sequence[Review]:
    """Return a proposal's reviews, the first round first."""
    found = select(Review).where(Review.proposal_id == proposal_id).order_by(Review.round)
    return session.scalars(found).all()


def criteria(session: Session, proposal_id: UUID) -> Sequence[Row[Any]]:
    """Return what is judged of a proposal's grid, in the grid's order."""
    return session.execute(_CRITERIA, {"proposal": proposal_id}).all()


def judge(session: Session, proposal_id: UUID, values: Mapping[str, Any]) -> UUID:
    """Store a criterion's verdict, a new one or over the one before; return the criterion's id.

    ``values``: criterion, verdict, note, service (None: as before), actor, at, version.
    """
    given = {"id": new_id(), "proposal": proposal_id, **values}
    found: UUID = session.execute(_JUDGE, given).scalar_one()
    return found


def assignments(session: Session, proposal_id: UUID, today: date) -> Sequence[Row[Any]]:
    """Return the services that were given a proposal, the first one first."""
    return session.execute(_ASSIGNMENTS, {"proposal": proposal_id, "today": today}).all()


def assign(
    session: Session,
    proposal_id: UUID,
    service: str,
    due_on: date | None,
    note: str,
    by: UUID,
    at: datetime,
) -> None:
    """Give a proposal to a service, or give it again."""
    values = {"service": service, "due_on": due_on, "note": note, "by": by, "at": at}
    session.execute(_ASSIGN, {"proposal": proposal_id, **values})


def take_back(session: Session, proposal_id: UUID, service: str) -> bool:
    """Take a proposal from a service; False when it had it not."""
    values = {"proposal": proposal_id, "service": service}
    return session.scalar(_TAKE_BACK, values) is not None


def answer(session: Session, proposal_id: UUID) -> Row[Any] | None:
    """Return the author's reply, ``(answer, at)``."""
    return session.execute(_ANSWER, {"proposal": proposal_id}).one_or_none()


def add_answer(session: Session, proposal_id: UUID, words: str, user: UUID, at: datetime) -> None:
    """Store the author's reply."""
    values = {"proposal": proposal_id, "answer": words, "user": user, "at": at}
    session.execute(_ADD_ANSWER, values)


def types_since(session: Session, proposal_id: UUID, seen: int) -> Sequence[str]:
    """Return the types of a proposal's events behind its version ``seen``."""
    values = {"proposal": str(proposal_id), "seen": seen}
    return session.scalars(_TYPES_SINCE, values).all()


def queue(
    session: Session,
    filters: Mapping[str, Any],
    state: str | None,
    after: Place | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return proposals by how long they wait.

    ``filters`` holds commune, campaign, service (None: all) and today.
    """
    after_at, after_id = after or (None, None)
    values = {"after_at": after_at, "after_id": after_id, "state": state, "limit": limit}
    return session.execute(_QUEUE, {**filters, **_PHASES, **values}).all()


def counts(session: Session, filters: Mapping[str, Any]) -> dict[str, int]:
    """Return how many proposals are in each state that any is in."""
    return {row.state: row.n for row in session.execute(_COUNTS, {**filters, **_PHASES})}
