"""Queries of uploads. Which belong to which report, the core keeps with the report."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.reports.media.domain import Kind

_ADD = text(
    "INSERT INTO uploads (id, kind, media_type, seconds) VALUES (:id, :kind, :media_type, :seconds)"
)
_SHOWN = text("""
    SELECT u.kind, u.media_type, r.commune, NOT a.hidden
        AND EXISTS (SELECT FROM public_reports p WHERE p.id = r.id) AS public
    FROM attachments a JOIN uploads u ON u.id = a.upload_id JOIN reports r ON r.id = a.report_id
    WHERE a.upload_id = :id
""")
_CLAIM_ORPHANS = text("""
    SELECT u.id FROM uploads u
    WHERE (u.created_at < now() - :kept OR u.detached_at IS NOT NULL)
    AND NOT EXISTS (SELECT FROM attachments a WHERE a.upload_id = u.id)
    ORDER BY u.created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
# Looked at again once locked: a report may have come by between the two.
_ORPHANS = text("""
    SELECT u.id, u.kind FROM uploads u WHERE u.id = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM attachments a WHERE a.upload_id = u.id)
""")
_DELETE = text("DELETE FROM uploads WHERE id = ANY(CAST(:ids AS uuid[]))")


def add(
    session: Session, upload_id: UUID, kind: Kind, media_type: str, seconds: float | None = None
) -> None:
    """Record a stored photo, or a voice note and its length."""
    values = {"id": upload_id, "kind": kind, "media_type": media_type, "seconds": seconds}
    session.execute(_ADD, values)


def shown(session: Session, upload_id: UUID) -> Row[Any] | None:
    """Return ``kind``, ``media_type``, the report's ``commune`` and if all may see it: ``public``.

    None when the upload belongs to no report.
    """
    return session.execute(_SHOWN, {"id": upload_id}).one_or_none()


def claim_orphans(session: Session, kept: timedelta, limit: int) -> Sequence[Row[Any]]:
    """Return id and kind of up to ``limit`` uploads without a report, older than ``kept``.

    Until the transaction ends nobody else claims or attaches them.
    """
    ids = session.scalars(_CLAIM_ORPHANS, {"kept": kept, "limit": limit}).all()
    return session.execute(_ORPHANS, {"ids": list(map(str, ids))}).all() if ids else []


def delete(session: Session, ids: Sequence[UUID]) -> None:
    """Forget uploads."""
    session.execute(_DELETE, {"ids": list(map(str, ids))})
