"""The reports that a proposal is linked to, as anybody may see them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_REPORTS = text(
    "SELECT CAST(id AS text) AS id, ref, category, status, arrondissement, "
    "received_at AS created_at FROM map_reports "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND visible AND status <> 'withdrawn' "
    "AND received_at IS NOT NULL ORDER BY received_at DESC, id DESC"
)


def linked_reports(session: Session, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the public ones of these reports, newest first; their words are the service's."""
    if not ids:
        return []
    return [dict(row) for row in session.execute(_REPORTS, {"ids": list(ids)}).mappings()]
