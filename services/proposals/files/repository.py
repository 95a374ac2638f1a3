"""Queries of files, and of what each belongs to."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.proposals.files.domain import Subject
from services.proposals.files.schemas import Uploaded

Shown = Row[Any]

_ADD = text("""
    INSERT INTO files (id, kind, media_type, name, bytes, uploaded_by, lon, lat, taken_at)
    VALUES (:id, :kind, :media_type, :name, :bytes, :uploaded_by, :lon, :lat, :taken_at)
""")
_LOCK = text("""
    SELECT id FROM files WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
""")
# Looked at once locked: another may have taken a file between the two.
_HELD = text("""
    SELECT f.id, f.kind, f.uploaded_by, a.subject_kind, a.subject_id
    FROM files f LEFT JOIN attachments a ON a.file_id = f.id
    WHERE f.id = ANY(CAST(:ids AS uuid[]))
""")
_POSITIONS = text("""
    SELECT file_id, position FROM attachments
    WHERE subject_kind = :kind AND subject_id = :subject ORDER BY position
""")
_ATTACH = text("""
    INSERT INTO attachments (file_id, subject_kind, subject_id, position, alt)
    VALUES (:file, :kind, :subject, :position, coalesce(:alt, ''))
    ON CONFLICT (file_id) DO UPDATE
    SET position = excluded.position, alt = coalesce(:alt, attachments.alt)
""")
_DETACH = text("DELETE FROM attachments WHERE file_id = ANY(CAST(:ids AS uuid[]))")
_OF = text("""
    SELECT a.subject_id, f.id, f.kind, f.media_type, f.name, f.bytes, a.alt,
        f.lon, f.lat, f.taken_at
    FROM attachments a JOIN files f ON f.id = a.file_id
    WHERE a.subject_kind = :kind AND a.subject_id = ANY(CAST(:subjects AS uuid[]))
    AND NOT a.hidden
    ORDER BY a.subject_id, a.position
""")
# What a file belongs to says whose it is to see: the commune's agents, a proposal's authors, all.
_SHOWN = text("""
    SELECT f.kind, f.name, f.uploaded_by, a.subject_kind, s.commune, s.proposal_id,
        coalesce(s.public AND NOT a.hidden, false) AS public
    FROM files f LEFT JOIN attachments a ON a.file_id = f.id
    LEFT JOIN LATERAL (
        SELECT c.commune, NULL::uuid AS proposal_id, true AS public FROM campaigns c
        WHERE a.subject_kind = 'campaign' AND c.id = a.subject_id
        UNION ALL
        SELECT p.commune, p.id, p.status <> 'draft' AND p.hidden_at IS NULL FROM proposals p
        WHERE a.subject_kind = 'proposal' AND p.id = a.subject_id
        UNION ALL
        SELECT p.commune, NULL, p.status <> 'draft' AND p.hidden_at IS NULL
            AND c.at <= (SELECT max(r.reviewed_at) FROM reviews r WHERE r.proposal_id = p.id)
        FROM review_criteria c JOIN proposals p ON p.id = c.proposal_id
        WHERE a.subject_kind = 'criterion' AND c.id = a.subject_id
        UNION ALL
        SELECT w.commune, NULL, true FROM journal j JOIN works w ON w.id = j.work_id
        WHERE a.subject_kind = 'journal' AND j.id = a.subject_id
        UNION ALL
        SELECT w.commune, NULL, true FROM ledger l JOIN works w ON w.id = l.work_id
        WHERE a.subject_kind = 'entry' AND l.id = a.subject_id
    ) s ON true
    WHERE f.id = :id
""")
_CLAIM_ORPHANS = text("""
    SELECT f.id FROM files f WHERE f.created_at < now() - :kept
    AND NOT EXISTS (SELECT FROM attachments a WHERE a.file_id = f.id)
    ORDER BY f.created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_ORPHANS = text("""
    SELECT f.id, f.kind FROM files f WHERE f.id = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM attachments a WHERE a.file_id = f.id)
""")
_DELETE = text("DELETE FROM files WHERE id = ANY(CAST(:ids AS uuid[]))")


def add(session: Session, made: Uploaded, uploaded_by: UUID) -> None:
    """Record a stored file."""
    session.execute(_ADD, {**made.model_dump(), "uploaded_by": uploaded_by})


def hold(session: Session, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    """Lock files; return ``kind``, ``uploaded_by``, ``subject_kind`` and ``subject_id`` of each.

    Until the transaction ends nobody else attaches, detaches or purges them.
    """
    names = {"ids": _texts(ids)}
    session.execute(_LOCK, names)
    return {row.id: row for row in session.execute(_HELD, names)}


def positions(session: Session, kind: Subject, subject_id: UUID) -> dict[UUID, int]:
    """Return the place of each file of a subject, in order, hidden ones too."""
    found = session.execute(_POSITIONS, {"kind": kind, "subject": subject_id})
    return {row.file_id: row.position for row in found}


def attach(
    session: Session,
    kind: Subject,
    subject_id: UUID,
    places: Sequence[tuple[UUID, int, str | None]],
) -> None:
    """Bind files to a subject as (file, position, alt); an alt of None leaves what is there."""
    rows = [
        {"file": file, "kind": kind, "subject": subject_id, "position": position, "alt": alt}
        for file, position, alt in places
    ]
    if rows:
        session.execute(_ATTACH, rows)


def detach(session: Session, ids: Sequence[UUID]) -> None:
    """Let files belong to nothing."""
    if ids:
        session.execute(_DETACH, {"ids": _texts(ids)})


def of(session: Session, kind: Subject, ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """Return the files of subjects, each as ``FileOut``, in order; every id asked for is a key."""
    found: dict[UUID, list[dict[str, Any]]] = {one: [] for one in ids}
    if found:
        for row in session.execute(_OF, {"kind": kind, "subjects": _texts(ids)}).mappings():
            said = {name: value for name, value in row.items() if value is not None}
            found[said.pop("subject_id")].append(said)
    return found


def shown(session: Session, file_id: UUID) -> Shown | None:
    """Return ``kind, name, uploaded_by, subject_kind, commune, proposal_id, public``.

    ``subject_kind`` and ``commune`` are None for what belongs to nothing, ``proposal_id`` for what
    is no proposal's.
    """
    return session.execute(_SHOWN, {"id": file_id}).one_or_none()


def claim_orphans(session: Session, kept: timedelta, limit: int) -> Sequence[Row[Any]]:
    """Return id and kind of up to ``limit`` files that belong to nothing, older than ``kept``.

    Until the transaction ends nobody else claims or attaches them.
    """
    ids = session.scalars(_CLAIM_ORPHANS, {"kept": kept, "limit": limit}).all()
    return session.execute(_ORPHANS, {"ids": _texts(ids)}).all() if ids else []


def delete(session: Session, ids: Sequence[UUID]) -> None:
    """Forget files."""
    session.execute(_DELETE, {"ids": _texts(ids)})


def _texts(ids: Sequence[UUID]) -> list[str]:
    return list(map(str, ids))
