"""From events to rows: upserts in which a late or repeated event never takes anything back.

Reports and votes are here, campaigns, proposals and works in :mod:`gateway.projections.campaigns`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gateway.projections import campaigns, readers
from gateway.projections.rows import as_json, bump, write
from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Handler

_POINT = "ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326)"

#: A report's state: the column with the ``sequence`` it belongs to → the columns. What an event
#: does not say comes with sequence 0, and is kept only where nothing is known yet.
_STATES: Mapping[str, tuple[str, ...]] = {
    "sequence": ("status",),
    "place_sequence": ("commune", "arrondissement", "category", "geom", "received_at"),
    "visible_sequence": ("visible",),
}
_UNSAID = {
    "status": "received",
    "arrondissement": None,
    "category": None,
    "lon": None,
    "lat": None,
    "received_at": None,
    "visible": True,
    **dict.fromkeys(_STATES, 0),
}
_NEWER = ", ".join(
    f"{column} = CASE WHEN excluded.{sequence} > known.{sequence} "
    f"THEN excluded.{column} ELSE known.{column} END"
    for sequence, columns in _STATES.items()
    for column in columns
)
_NEWEST = ", ".join(f"{s} = greatest(known.{s}, excluded.{s})" for s in (*_STATES, "updated_at"))
#: The levels of ``report_cells``, coarse to fine: a cell is 2^(30 - level) units wide.
LEVELS = range(4, 17, 2)
_LEVEL = f"unnest(ARRAY{list(LEVELS)}) AS level"
_CELL = "(2 * (30 - level))"
# One statement: the row as it was, locked; the row as it is; the difference in every cell that
# holds it, the cells in one order, so that two consumers wait for each other and never cross.
_REPORT = text(
    f"""
    WITH before AS MATERIALIZED (
        SELECT commune, cell, open, x, y FROM map_reports WHERE id = :id FOR UPDATE
    ), after AS (
        INSERT INTO map_reports AS known (id, ref, commune, arrondissement, category, geom,
            received_at, status, visible, place_sequence, sequence, visible_sequence, updated_at)
        SELECT :id, :ref, :commune, :arrondissement, :category, {_POINT},
            :received_at, :status, :visible, :place_sequence, :sequence, :visible_sequence, :at
        FROM (SELECT count(*) FROM before) AS held
        ON CONFLICT (id) DO UPDATE SET {_NEWER}, {_NEWEST}
        RETURNING commune, cell, open, x, y, xmax = 0 AS inserted
    ), difference AS (
        SELECT level, cell >> {_CELL} AS cell, commune,
            sum(n) AS reports, sum(n * CAST(open AS int)) AS open, sum(n * x) AS x, sum(n * y) AS y
        FROM (SELECT CAST(-1 AS bigint) AS n, * FROM before
            UNION ALL SELECT 1, commune, cell, open, x, y FROM after) AS changed, {_LEVEL}
        WHERE cell IS NOT NULL
        GROUP BY 1, 2, 3
        HAVING (sum(n), sum(n * CAST(open AS int)), sum(n * x), sum(n * y)) <> (0, 0, 0, 0)
        ORDER BY 1, 2, 3
    ), counted AS (
        INSERT INTO report_cells AS known SELECT * FROM difference
        ON CONFLICT (level, cell, commune) DO UPDATE SET
            reports = known.reports + excluded.reports, open = known.open + excluded.open,
            x = known.x + excluded.x, y = known.y + excluded.y
    )
    SELECT before.commune AS old_commune, before.cell AS old_cell, after.*
    FROM after LEFT JOIN before ON true
    """  # noqa: S608 - names from this module
)
_SWEEP = text(
    f"DELETE FROM report_cells USING {_LEVEL} "  # noqa: S608
    "WHERE report_cells.level = level.level AND commune = :commune AND reports = 0 "
    f"AND cell = CAST(:cell AS bigint) >> {_CELL.replace('level', 'level.level')}"
)


class Crossed(Exception):
    """Another consumer wrote this report's first row meanwhile; the next attempt sees it."""


def _report(session: Session, event: Event, data: readers.OfReport, **said: Any) -> None:
    """Write what ``event`` says of a report, and keep the counts of its cells with it."""
    known = {"id": data.id, "ref": data.ref, "commune": data.commune, "at": event.time}
    row = session.execute(_REPORT, {**_UNSAID, **known, **said}).one()
    if row.old_commune is None and not row.inserted:
        raise Crossed(data.ref)
    if row.old_cell is not None and (row.old_commune, row.old_cell) != (row.commune, row.cell):
        session.execute(_SWEEP, {"commune": row.old_commune, "cell": row.old_cell})
    for commune in sorted({row.old_commune or row.commune, row.commune}):
        bump(session, commune, "reports")


def report_placed(session: Session, event: Event, data: Reader) -> None:
    """Put a report on the map, or correct where and what it is."""
    assert isinstance(data, readers.Report)  # noqa: S101
    told = data.model_dump(exclude={"id", "ref", "commune"})
    _report(session, event, data, **told, sequence=event.sequence, place_sequence=event.sequence)


def report_status_changed(session: Session, event: Event, data: Reader) -> None:
    """Change a report's colour; what was merged into another leaves the map."""
    assert isinstance(data, readers.ReportStatus)  # noqa: S101
    _report(session, event, data, status=data.status, sequence=event.sequence)


def report_visibility_changed(session: Session, event: Event, data: Reader) -> None:
    """Hide a report from everybody, or show it again."""
    assert isinstance(data, readers.ReportVisibility)  # noqa: S101
    told: dict[str, Any] = {}
    if data.now:  # nothing was said of it while it was hidden
        told = data.now.model_dump() | dict.fromkeys(_STATES, event.sequence)
    told |= {"visible": data.visible, "visible_sequence": event.sequence}
    _report(session, event, data, **told)


def _election(session: Session, event: Event, data: readers.OfElection, **said: Any) -> None:
    key = data.model_dump(include={"id", "campaign", "commune"})
    write(session, "elections", event, key=key, **said)


def election_opened(session: Session, event: Event, data: Reader) -> None:
    """List a vote."""
    assert isinstance(data, readers.Election)  # noqa: S101
    facts = data.model_dump(include={"ballot_type", "rule", "budget", "opens_at", "closes_at"})
    _election(session, event, data, **facts, state="open")


def election_closed(session: Session, event: Event, data: Reader) -> None:
    """Close a vote."""
    assert isinstance(data, readers.ElectionEnd)  # noqa: S101
    _election(session, event, data, state="closed")


def results_published(session: Session, event: Event, data: Reader) -> None:
    """Keep the count of a vote."""
    assert isinstance(data, readers.Results)  # noqa: S101
    _election(session, event, data, state="published")
    key = data.model_dump(include={"id", "campaign", "commune"})
    told = data.model_dump(exclude={*key, "winners", "projects"})
    lists = {"winners": as_json(data.winners), "projects": as_json(data.projects)}
    write(session, "results", event, key=key, **told, **lists)


HANDLERS: Mapping[str, tuple[type[Reader], Handler]] = {
    "bj.palabre.report.received.v1": (readers.Report, report_placed),
    "bj.palabre.report.corrected.v1": (readers.Report, report_placed),
    "bj.palabre.report.status_changed.v1": (readers.ReportStatus, report_status_changed),
    "bj.palabre.report.visibility_changed.v1": (
        readers.ReportVisibility,
        report_visibility_changed,
    ),
    "bj.palabre.campaign.published.v1": (readers.Campaign, campaigns.campaign_published),
    "bj.palabre.campaign.changed.v1": (readers.CampaignChange, campaigns.campaign_changed),
    "bj.palabre.campaign.phase_changed.v1": (
        readers.CampaignPhase,
        campaigns.campaign_phase_changed,
    ),
    "bj.palabre.campaign.calendar_changed.v1": (
        readers.CampaignCalendar,
        campaigns.campaign_calendar_changed,
    ),
    "bj.palabre.campaign.ballot_frozen.v1": (readers.Ballot, campaigns.ballot_frozen),
    "bj.palabre.proposal.submitted.v1": (readers.Proposal, campaigns.proposal_submitted),
    "bj.palabre.proposal.revised.v1": (readers.ProposalRevision, campaigns.proposal_revised),
    "bj.palabre.proposal.merged.v1": (readers.ProposalStatus, campaigns.proposal_moved),
    "bj.palabre.proposal.unmerged.v1": (readers.ProposalStatus, campaigns.proposal_moved),
    "bj.palabre.proposal.withdrawn.v1": (readers.ProposalStatus, campaigns.proposal_moved),
    "bj.palabre.proposal.visibility_changed.v1": (
        readers.ProposalVisibility,
        campaigns.proposal_visibility_changed,
    ),
    "bj.palabre.proposal.discussed.v1": (readers.Discussion, campaigns.proposal_discussed),
    "bj.palabre.proposal.reviewed.v1": (readers.Review, campaigns.proposal_reviewed),
    "bj.palabre.proposal.funded.v1": (readers.Outcome, campaigns.proposal_funded),
    "bj.palabre.proposal.not_funded.v1": (readers.Outcome, campaigns.proposal_not_funded),
    "bj.palabre.work.opened.v1": (readers.Work, campaigns.work_opened),
    "bj.palabre.work.changed.v1": (readers.WorkState, campaigns.work_changed),
    "bj.palabre.work.spent.v1": (readers.WorkMoney, campaigns.work_spent),
    "bj.palabre.work.completed.v1": (readers.WorkEnd, campaigns.work_completed),
    "bj.palabre.work.checked.v1": (readers.WorkCheck, campaigns.work_checked),
    "bj.palabre.election.opened.v1": (readers.Election, election_opened),
    "bj.palabre.election.closed.v1": (readers.ElectionEnd, election_closed),
    "bj.palabre.election.results_published.v1": (readers.Results, results_published),
}
