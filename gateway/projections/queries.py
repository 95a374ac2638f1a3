"""What pages read from the projections."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.orm import Session

Row = dict[str, Any]

_CAMPAIGN = (
    "SELECT id, commune, title, budget, phase, phases, envelopes, published_at FROM campaigns "
    "WHERE published_at IS NOT NULL"
)
# What the mairie hid and what its author took back is nobody's to count.
_REPORT_COUNTS = text(
    "SELECT status, count(*) FROM map_reports "
    "WHERE commune = :c AND visible AND status <> 'withdrawn' GROUP BY status"
)
_REPORTS_BY_COMMUNE = text(
    "SELECT commune, count(*) FROM map_reports "
    "WHERE visible AND status <> 'withdrawn' GROUP BY commune"
)
_CAMPAIGNS = text(f"{_CAMPAIGN} AND commune = :c ORDER BY published_at DESC, id DESC")
_ONE_CAMPAIGN = text(f"{_CAMPAIGN} AND id = :id")
# What goes on in another proposal is counted there.
_PROPOSAL_COUNTS = text(
    "SELECT status, count(*) FROM map_proposals WHERE campaign = :id AND visible "
    "AND submitted_at IS NOT NULL AND status NOT IN ('merged', 'withdrawn') GROUP BY status"
)
_PROPOSALS = text(
    "SELECT id, ref, title, theme, cost, status, number, arrondissement, envelope, comments, "
    "submitted_at FROM map_proposals "
    "WHERE campaign = :id AND visible AND submitted_at IS NOT NULL AND status <> 'withdrawn' "
    "ORDER BY number NULLS LAST, submitted_at DESC, id"
)
_WORKS = text(
    "SELECT id, ref, proposal, proposal_ref, envelope, title, theme, voted_cost, opened_at, "
    "status, progress, ends_on, delayed, completed_at, committed, invoiced, paid, "
    "confirmed, disputed FROM map_works "
    "WHERE campaign = :id AND opened_at IS NOT NULL ORDER BY opened_at, id"
)
_ELECTION = text(
    "SELECT id, campaign, commune, ballot_type, rule, budget, opens_at, closes_at, state "
    "FROM elections WHERE campaign = :id ORDER BY updated_at DESC LIMIT 1"
)
_RESULTS = text(
    "SELECT id, campaign, commune, rule, budget, total_cost, turnout, winners, projects, "
    "published_at FROM results WHERE campaign = :id ORDER BY published_at DESC LIMIT 1"
)


def report_counts(session: Session, commune: str) -> dict[str, int]:
    """Return how many reports of a commune have each status."""
    return _counts(session, _REPORT_COUNTS, {"c": commune})


def reports_by_commune(session: Session) -> dict[str, int]:
    """Return how many reports each commune has; those without any are missing."""
    return _counts(session, _REPORTS_BY_COMMUNE, {})


def campaigns(session: Session, commune: str) -> list[Row]:
    """Return a commune's campaigns, newest first."""
    return _rows(session.execute(_CAMPAIGNS, {"c": commune}).mappings().all())


def campaign(session: Session, campaign_id: UUID) -> Row | None:
    """Return one campaign."""
    return _row(session.execute(_ONE_CAMPAIGN, {"id": campaign_id}).mappings().first())


def proposal_counts(session: Session, campaign_id: UUID) -> dict[str, int]:
    """Return how many proposals of a campaign have each status."""
    return _counts(session, _PROPOSAL_COUNTS, {"id": campaign_id})


def proposals(session: Session, campaign_id: UUID) -> list[Row]:
    """Return a campaign's proposals, by number, then newest first."""
    return _rows(session.execute(_PROPOSALS, {"id": campaign_id}).mappings().all())


def works(session: Session, campaign_id: UUID) -> list[Row]:
    """Return a campaign's works as they stand, with what was spent on each, oldest first."""
    return _rows(session.execute(_WORKS, {"id": campaign_id}).mappings().all())


def election(session: Session, campaign_id: UUID) -> Row | None:
    """Return the election of a campaign; its ``state`` is open, closed or published."""
    return _row(session.execute(_ELECTION, {"id": campaign_id}).mappings().first())


def results(session: Session, campaign_id: UUID) -> Row | None:
    """Return the published results of a campaign's election."""
    return _row(session.execute(_RESULTS, {"id": campaign_id}).mappings().first())


def _counts(session: Session, statement: TextClause, values: dict[str, Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(statement, values)}


def _rows(found: Sequence[RowMapping]) -> list[Row]:
    return [dict(row) for row in found]


def _row(found: RowMapping | None) -> Row | None:
    return dict(found) if found is not None else None
