"""Queries of merges, endorsement offers, amendments and where merged proposals went."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

_INSERT = text("""
    INSERT INTO merges (id, campaign_id, target_id, state, proposed_by, proposed_by_kind, note,
        created_at)
    VALUES (:id, :campaign, :target, 'open', :person, :kind, :note, :at)
""")
_INSERT_PART = text("""
    INSERT INTO merge_parts (merge_id, proposal_id, role) VALUES (:merge, :proposal, :role)
""")
_FIND = text("SELECT id, campaign_id FROM merges WHERE id = :id")
_LOCK = {
    False: text("SELECT * FROM merges WHERE id = :id FOR UPDATE"),
    True: text("SELECT * FROM merges WHERE id = :id FOR SHARE"),
}
_PARTS = text("""
    SELECT proposal_id, role, consented_at IS NOT NULL AS consented FROM merge_parts
    WHERE merge_id = :id ORDER BY proposal_id
""")
_OPEN_WITH = text("""
    SELECT m.id FROM merges m JOIN merge_parts p ON p.merge_id = m.id
    WHERE m.state = 'open' AND p.proposal_id = ANY(:proposals)
        AND NOT EXISTS (SELECT FROM merge_parts k JOIN proposals o ON o.id = k.proposal_id
            WHERE k.merge_id = m.id AND o.status <> :mergeable)
    ORDER BY m.id LIMIT 1
""")
_CONSENT = text("""
    UPDATE merge_parts SET consented_at = :at, consented_by = :person
    WHERE merge_id = :merge AND proposal_id = ANY(:proposals) AND consented_at IS NULL
""")
_DECIDE = text("UPDATE merges SET state = :state, decided_at = :at WHERE id = :id")
_UNDO = text("""
    UPDATE merges SET state = 'undone', undone_at = :at, undone_reason = :reason WHERE id = :id
""")

# Who entered a paper or an assembly's proposal is an agent, no author of what it goes on in.
_JOIN_AUTHORS = text("""
    INSERT INTO authors (proposal_id, user_id, role, name, joined_at, via_merge)
    SELECT DISTINCT ON (a.user_id) CAST(:target AS uuid), a.user_id, 'coauthor', a.name,
        CAST(:at AS timestamptz), CAST(:merge AS uuid)
    FROM authors a JOIN proposals p ON p.id = a.proposal_id
    WHERE a.proposal_id = ANY(:sources) AND (p.origin = 'web' OR a.role = 'coauthor')
    ORDER BY a.user_id, a.name = '', a.proposal_id
    ON CONFLICT DO NOTHING
""")
# Who also came with another merge that still holds stays, as of that one.
_PART_AUTHORS = text("""
    WITH others AS (
        SELECT DISTINCT ON (a.user_id) a.user_id, m.id AS merge_id
        FROM merges m JOIN merge_parts k ON k.merge_id = m.id AND k.role = 'source'
            JOIN proposals p ON p.id = k.proposal_id
            JOIN authors a ON a.proposal_id = p.id AND (p.origin = 'web' OR a.role = 'coauthor')
        WHERE m.target_id = :target AND m.state = 'done' AND m.id <> :merge
        ORDER BY a.user_id, m.id
    ), stay AS (
        UPDATE authors a SET via_merge = o.merge_id FROM others o
        WHERE a.proposal_id = :target AND a.via_merge = :merge AND o.user_id = a.user_id
        RETURNING a.user_id
    )
    DELETE FROM authors a WHERE a.proposal_id = :target AND a.via_merge = :merge
        AND NOT EXISTS (SELECT FROM others o WHERE o.user_id = a.user_id)
""")
# Who had not answered an offer to go on in a source is asked about the target instead.
_OFFER = text("""
    INSERT INTO endorsement_offers (merge_id, user_id, source_id)
    SELECT DISTINCT ON (asked.user_id) CAST(:merge AS uuid), asked.user_id, asked.source_id
    FROM (
        SELECT user_id, proposal_id AS source_id FROM endorsements
        WHERE proposal_id = ANY(:sources)
        UNION ALL
        SELECT o.user_id, m.target_id FROM endorsement_offers o JOIN merges m ON m.id = o.merge_id
        WHERE m.target_id = ANY(:sources) AND m.state = 'done' AND o.answer IS NULL
    ) asked
    WHERE NOT EXISTS (SELECT FROM endorsements e
        WHERE e.proposal_id = :target AND e.user_id = asked.user_id)
    ORDER BY asked.user_id, asked.source_id
""")
_OFFERS = text("""
    SELECT o.merge_id AS merge, m.campaign_id AS campaign, m.decided_at AS merged_at,
        json_build_object('id', s.id, 'ref', s.ref, 'title', s.title) AS source,
        json_build_object('id', t.id, 'ref', t.ref, 'title', t.title) AS target
    FROM endorsement_offers o JOIN merges m ON m.id = o.merge_id
        JOIN proposals s ON s.id = o.source_id JOIN proposals t ON t.id = m.target_id
    WHERE o.user_id = :person AND o.answer IS NULL AND m.state = 'done'
        AND t.status = ANY(:endorsable) AND t.hidden_at IS NULL AND s.hidden_at IS NULL
        AND NOT EXISTS (SELECT FROM endorsements e
            WHERE e.proposal_id = t.id AND e.user_id = o.user_id)
    ORDER BY m.decided_at DESC, m.id LIMIT 200
""")
# All that ask the same are locked, in one order: one answer is for all of them.
_LOCK_OFFERS = text("""
    SELECT o.merge_id, o.answer FROM endorsement_offers o JOIN merges m ON m.id = o.merge_id
    WHERE o.user_id = :person AND m.target_id = :target ORDER BY o.merge_id FOR UPDATE OF o
""")
_ANSWER = text("""
    UPDATE endorsement_offers o SET answer = :answer, answered_at = :at FROM merges m
    WHERE m.id = o.merge_id AND m.target_id = :target AND m.state = 'done'
        AND o.user_id = :person AND o.answer IS NULL
""")
_CARRY = text("""
    WITH new AS (
        INSERT INTO endorsements (proposal_id, user_id, via_merge, at)
        VALUES (:target, :person, :merge, :at) ON CONFLICT DO NOTHING RETURNING 1
    )
    UPDATE proposals SET endorsements = endorsements + (SELECT count(*) FROM new)
    WHERE id = :target AND status = ANY(:endorsable) AND hidden_at IS NULL
    RETURNING endorsements
""")
_COUNTED = text("SELECT endorsements FROM proposals WHERE id = :target")
_DROP_OFFERS = text("DELETE FROM endorsement_offers WHERE merge_id = :merge AND answer IS NULL")
_HOLD_OFFERS = text("""
    SELECT user_id FROM endorsement_offers WHERE merge_id = :merge ORDER BY user_id FOR UPDATE
""")
_HOLD_ENDORSEMENTS = text("""
    SELECT user_id FROM endorsements WHERE proposal_id = :target AND via_merge = :merge
    ORDER BY user_id FOR UPDATE
""")
_KEEP_ENDORSEMENTS = text("""
    UPDATE endorsements e SET via_merge = o.merge_id FROM (
        SELECT DISTINCT ON (o.user_id) o.user_id, o.merge_id
        FROM endorsement_offers o JOIN merges m ON m.id = o.merge_id
        WHERE m.target_id = :target AND m.state = 'done' AND m.id <> :merge
            AND o.answer = 'confirmed'
        ORDER BY o.user_id, o.merge_id) o
    WHERE e.proposal_id = :target AND e.via_merge = :merge AND e.user_id = o.user_id
""")
_DROP_ENDORSEMENTS = text("""
    DELETE FROM endorsements WHERE proposal_id = :target AND via_merge = :merge RETURNING 1
""")
# What came with merges is what their events told.
_CAME = text("""
    SELECT DISTINCT CAST(r.value AS uuid) FROM merges m
        JOIN merge_parts k ON k.merge_id = m.id AND k.role = 'source'
        JOIN outbox o ON o.subject = CAST(k.proposal_id AS text)
            AND o.type = :type AND o.payload ->> 'into' = CAST(m.target_id AS text),
        jsonb_array_elements_text(o.payload -> 'reports') r
    WHERE m.target_id = :target
""")
_KEPT_REPORTS = text("""
    SELECT DISTINCT unnest(reports) FROM proposals
    WHERE merged_into = :target AND NOT id = ANY(:sources)
""")

_MERGE = """
    SELECT m.id, m.campaign_id AS campaign, c.commune, c.phase, m.state,
        m.proposed_by = :reader AS proposed, m.proposed_by_kind AS by, m.note, m.created_at,
        m.decided_at, m.undone_at, m.undone_reason, parts.items AS parts,
        CASE WHEN m.state = 'done' THEN (
            SELECT count(DISTINCT r) FROM merge_parts k JOIN proposals s ON s.id = k.proposal_id,
                unnest(s.reports) r
            WHERE k.merge_id = m.id AND k.role = 'source' AND NOT r = ANY(t.reports))
        ELSE 0 END AS reports_left_out
    FROM merges m JOIN campaigns c ON c.id = m.campaign_id JOIN proposals t ON t.id = m.target_id
    CROSS JOIN LATERAL (
        SELECT json_agg(json_build_object('id', p.id, 'ref', p.ref, 'role', k.role,
            'title', CASE WHEN p.hidden_at IS NULL THEN p.title END, 'status', p.status,
            'endorsements', p.endorsements, 'consented', k.consented_at IS NOT NULL,
            'mine', CASE WHEN p.origin <> 'web'
                THEN p.commune = ANY(:communes) OR '*' = ANY(:communes)
                ELSE EXISTS (SELECT FROM authors a
                    WHERE a.proposal_id = p.id AND a.user_id = :reader) END)
            ORDER BY p.ref) AS items
        FROM merge_parts k JOIN proposals p ON p.id = k.proposal_id WHERE k.merge_id = m.id) parts
"""
_ONE = text(_MERGE + "WHERE m.id = :id")
_FILTERS: Mapping[str, str] = {
    "campaign": "m.campaign_id = :campaign",
    "state": "m.state = :state",
    "proposal": "EXISTS (SELECT FROM merge_parts k "
    "WHERE k.merge_id = m.id AND k.proposal_id = :proposal)",
    "waiting": "m.state = 'open' AND EXISTS (SELECT FROM merge_parts k "
    "JOIN authors a ON a.proposal_id = k.proposal_id "
    "WHERE k.merge_id = m.id AND k.consented_at IS NULL AND a.user_id = :waiting)",
    "after_id": "(m.created_at, m.id) < (:after_at, :after_id)",
}

# A merge's target is unmerged then, and a source is no target of an open way back: no cycles.
_AMENDMENT = """
    SELECT a.id, a.proposal_id AS proposal, a.state, a.name, a.note, a.base_revision,
        a.changes AS wanted, r.content AS base, a.answer, a.revision, a.created_at, a.decided_at,
        coalesce(a.user_id = :reader, false) AS mine
    FROM amendments a
        JOIN revisions r ON r.proposal_id = a.proposal_id AND r.number = a.base_revision
"""
_AN_AMENDMENT = text(_AMENDMENT + "WHERE a.id = :id")
_AMENDMENTS = {
    False: text(
        _AMENDMENT + "WHERE a.proposal_id = :proposal ORDER BY a.created_at DESC, a.id DESC "
        "LIMIT :limit"
    ),
    True: text(
        _AMENDMENT + "WHERE a.proposal_id = :proposal "
        "AND (a.created_at, a.id) < (:after_at, :after_id) "
        "ORDER BY a.created_at DESC, a.id DESC LIMIT :limit"
    ),
}
_LOCK_AMENDMENT = text("SELECT * FROM amendments WHERE id = :id FOR UPDATE")
_CONTENT = text("SELECT content FROM revisions WHERE proposal_id = :proposal AND number = :number")
_INSERT_AMENDMENT = text("""
    INSERT INTO amendments (id, proposal_id, base_revision, user_id, name, note, changes, state,
        created_at)
    VALUES (:id, :proposal, :base, :person, :name, :note, CAST(:changes AS jsonb), 'open', :at)
""")
_CLOSE_AMENDMENT = text("""
    UPDATE amendments SET state = :state, answer = :answer, decided_at = :at,
        decided_by = :person, revision = :revision WHERE id = :id
""")
_EMPTY_AMENDMENT = text("""
    UPDATE amendments SET changes = '{}', note = '', name = '' WHERE id = :id
""")


def insert_merge(
    session: Session, values: Mapping[str, Any], target: UUID, sources: Iterable[UUID]
) -> None:
    """Store an open merge and its parts, none of which consented yet."""
    session.execute(_INSERT, {**values, "target": target})
    roles = [(target, "target"), *((one, "source") for one in sources)]
    session.execute(
        _INSERT_PART,
        [{"merge": values["id"], "proposal": one, "role": role} for one, role in roles],
    )


def find_merge(session: Session, merge_id: UUID) -> Row[Any] | None:
    """Return a merge's ``id, campaign_id``, unlocked: they never change."""
    return session.execute(_FIND, {"id": merge_id}).one_or_none()


def lock_merge(session: Session, merge_id: UUID, *, shared: bool = False) -> Row[Any]:
    """Return a merge as it is now, locked. Merges are locked after campaigns, before proposals."""
    return session.execute(_LOCK[shared], {"id": merge_id}).one()


def parts(session: Session, merge_id: UUID) -> Sequence[Row[Any]]:
    """Return a merge's parts ``proposal_id, role, consented``, by id."""
    return session.execute(_PARTS, {"id": merge_id}).all()


def open_merge_with(session: Session, proposals: Iterable[UUID], mergeable: str) -> UUID | None:
    """Return an open merge that one of the proposals is in, all of it still ``mergeable``."""
    values = {"proposals": list(proposals), "mergeable": mergeable}
    found: UUID | None = session.scalar(_OPEN_WITH, values)
    return found


def consent(
    session: Session, merge_id: UUID, proposals: Iterable[UUID], person: UUID, at: datetime
) -> None:
    """Note a person's consent for parts that had none."""
    values = {"merge": merge_id, "proposals": list(proposals), "person": person, "at": at}
    session.execute(_CONSENT, values)


def decide(session: Session, merge_id: UUID, state: str, at: datetime) -> None:
    """End an open merge."""
    session.execute(_DECIDE, {"id": merge_id, "state": state, "at": at})


def join_authors(
    session: Session, merge_id: UUID, target: UUID, sources: Iterable[UUID], at: datetime
) -> None:
    """Make the sources' authors co-authors of the target, each once."""
    values = {"merge": merge_id, "target": target, "sources": list(sources), "at": at}
    session.execute(_JOIN_AUTHORS, values)


def offer(session: Session, merge_id: UUID, target: UUID, sources: Iterable[UUID]) -> None:
    """Ask the sources' endorsers, but for the target's, whether they endorse that too."""
    session.execute(_OFFER, {"merge": merge_id, "target": target, "sources": list(sources)})


def mark_undone(session: Session, merge_id: UUID, reason: str, at: datetime) -> None:
    """Note that a merge was undone, and why."""
    session.execute(_UNDO, {"id": merge_id, "reason": reason, "at": at})


def part_authors(session: Session, merge_id: UUID, target: UUID) -> None:
    """Take from the target the authors that came with a merge alone."""
    session.execute(_PART_AUTHORS, {"merge": merge_id, "target": target})


def hold_endorsements(session: Session, merge_id: UUID, target: UUID) -> None:
    """Lock a merge's offers and what was carried over: as who endorses does, before proposals."""
    values = {"merge": merge_id, "target": target}
    session.execute(_HOLD_OFFERS, values)
    session.execute(_HOLD_ENDORSEMENTS, values)


def part_endorsements(session: Session, merge_id: UUID, target: UUID) -> int:
    """Remove unanswered offers and what was carried over by this merge alone; return how many."""
    values = {"merge": merge_id, "target": target}
    session.execute(_DROP_OFFERS, {"merge": merge_id})
    session.execute(_KEEP_ENDORSEMENTS, values)
    return len(session.execute(_DROP_ENDORSEMENTS, values).all())


def came(session: Session, target: UUID, event_type: str) -> set[UUID]:
    """Return the reports that ever came to a proposal with a merge."""
    return set(session.scalars(_CAME, {"target": target, "type": event_type}))


def kept_reports(session: Session, target: UUID, leaving: Iterable[UUID]) -> set[UUID]:
    """Return the reports of a target's sources other than those that part from it."""
    return set(session.scalars(_KEPT_REPORTS, {"target": target, "sources": list(leaving)}))


def offers(session: Session, person: UUID, endorsable: Sequence[str]) -> Sequence[Row[Any]]:
    """Return a person's unanswered offers, newest first."""
    return session.execute(_OFFERS, {"person": person, "endorsable": list(endorsable)}).all()


def lock_offer(session: Session, merge_id: UUID, target: UUID, person: UUID) -> Row[Any] | None:
    """Return a person's offer of a merge (``answer``), locked with the others for its target."""
    rows = session.execute(_LOCK_OFFERS, {"target": target, "person": person}).all()
    return next((row for row in rows if row.merge_id == merge_id), None)


def answer_offers(session: Session, target: UUID, person: UUID, answer: str, at: datetime) -> None:
    """Answer all the open offers that ask a person about one target."""
    values = {"target": target, "person": person, "answer": answer, "at": at}
    session.execute(_ANSWER, values)


def carry_over(
    session: Session,
    merge_id: UUID,
    target: UUID,
    person: UUID,
    at: datetime,
    endorsable: Sequence[str],
) -> int | None:
    """Count a person once behind the target; return the total, None where it is not endorsable.

    On None the caller rolls back. The target's row is held from then on.
    """
    values = {"merge": merge_id, "target": target, "person": person, "at": at}
    found: int | None = session.scalar(_CARRY, {**values, "endorsable": list(endorsable)})
    return found


def endorsements_of(session: Session, target: UUID) -> int:
    """Return how many persons stand behind a proposal."""
    return int(session.execute(_COUNTED, {"target": target}).scalar_one())


def merge(session: Session, merge_id: UUID, reader: Mapping[str, Any]) -> Row[Any] | None:
    """Return a merge as ``reader`` (``reader``: id, ``communes``: where an agent) sees it."""
    return session.execute(_ONE, {**reader, "id": merge_id}).one_or_none()


def merges(
    session: Session, filters: Mapping[str, Any], reader: Mapping[str, Any], limit: int
) -> Sequence[Row[Any]]:
    """Return merges, newest first; ``filters``: names of :data:`_FILTERS`, and ``after_at``."""
    where = " AND ".join(_FILTERS[name] for name in filters if name in _FILTERS) or "true"
    statement = text(f"{_MERGE} WHERE {where} ORDER BY m.created_at DESC, m.id DESC LIMIT :limit")
    return session.execute(statement, {**reader, **filters, "limit": limit}).all()


def content(session: Session, proposal_id: UUID, number: int) -> dict[str, Any]:
    """Return one text of a proposal."""
    values = {"proposal": proposal_id, "number": number}
    found: dict[str, Any] = session.execute(_CONTENT, values).scalar_one()
    return found


def insert_amendment(session: Session, values: Mapping[str, Any]) -> None:
    """Store an open amendment."""
    changes = json.dumps(values["changes"], ensure_ascii=False)
    session.execute(_INSERT_AMENDMENT, {**values, "changes": changes})


def lock_amendment(session: Session, amendment_id: UUID) -> Row[Any] | None:
    """Return an amendment, locked. Amendments are locked after proposals."""
    return session.execute(_LOCK_AMENDMENT, {"id": amendment_id}).one_or_none()


def close_amendment(session: Session, amendment_id: UUID, values: Mapping[str, Any]) -> None:
    """Set an amendment's ``state, answer, at, person, revision``."""
    session.execute(_CLOSE_AMENDMENT, {**values, "id": amendment_id})


def empty_amendment(session: Session, amendment_id: UUID) -> None:
    """Take an amendment's words away, and who signed them, and leave its place."""
    session.execute(_EMPTY_AMENDMENT, {"id": amendment_id})


def amendment(session: Session, amendment_id: UUID, reader: UUID | None) -> Row[Any] | None:
    """Return an amendment with the text it is based on."""
    return session.execute(_AN_AMENDMENT, {"id": amendment_id, "reader": reader}).one_or_none()


def amendments(
    session: Session,
    proposal_id: UUID,
    reader: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return a proposal's amendments, newest first."""
    values: dict[str, Any] = {"proposal": proposal_id, "reader": reader, "limit": limit}
    if after:
        values["after_at"], values["after_id"] = after
    return session.execute(_AMENDMENTS[after is not None], values).all()
