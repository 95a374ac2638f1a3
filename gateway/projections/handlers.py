"""From events to rows: upserts in which a late or repeated event never takes anything back.

A row's *facts* are said by one type of event only and are written whenever it comes; its *state*
belongs to the highest ``sequence`` met. So the order in which events arrive does not matter.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gateway.projections import readers
from services.common.events.envelope import Event, Reader
from services.common.events.inbox import Handler

# The transaction's own number: it only grows, over a rebuild too, and costs one write a batch.
_BUMP = text(
    "INSERT INTO layer_versions (commune, layer, version) "
    "VALUES (:commune, :layer, CAST(CAST(pg_current_xact_id() AS text) AS bigint)) "
    "ON CONFLICT (commune, layer) DO UPDATE SET version = excluded.version "
    "WHERE layer_versions.version <> excluded.version"
)
_POINT = "ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326)"
_SHAPE = "ST_SetSRID(ST_GeomFromGeoJSON(:geom), 4326)"


def _upsert(
    session: Session,
    table: str,
    event: Event,
    *,
    key: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    values: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """Write one row. ``values`` gives the SQL of columns that are not plain parameters."""
    known = dict(key) | {"updated_at": event.time, "sequence": event.sequence}
    facts, state, values = facts or {}, state or {}, dict(values or {})
    statement = _statement(
        table,
        (*known, *state),
        (*facts, *(c for c in values if c not in facts)),
        tuple(state),
        tuple(values.items()),
    )
    session.execute(text(statement), {**known, **facts, **state, **(parameters or {})})


@cache
def _statement(
    table: str,
    always: tuple[str, ...],
    facts: tuple[str, ...],
    state: tuple[str, ...],
    values: tuple[tuple[str, str], ...],
) -> str:
    sql = dict(values)
    columns = (*always, *facts)
    newer = f"excluded.sequence > {table}.sequence"
    changes = [f"{c} = excluded.{c}" for c in facts]
    changes += [
        f"{c} = CASE WHEN {newer} THEN excluded.{c} ELSE {table}.{c} END"
        for c in (*state, "updated_at")
    ]
    changes.append(f"sequence = greatest({table}.sequence, excluded.sequence)")
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - names from this module
        f"VALUES ({', '.join(sql.get(c, f':{c}') for c in columns)}) "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(changes)}"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _bump(session: Session, commune: str, *layers: str) -> None:
    for layer in layers:
        session.execute(_BUMP, {"commune": commune, "layer": layer})


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
        _bump(session, commune, "reports")


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


def campaign_published(session: Session, event: Event, data: Reader) -> None:
    """List a campaign."""
    assert isinstance(data, readers.Campaign)  # noqa: S101
    _upsert(
        session,
        "campaigns",
        event,
        key={"id": data.id, "commune": data.commune},
        facts={
            "title": data.title,
            "budget": data.budget,
            "phases": _json(data.phases),
            "envelopes": _json(data.envelopes),
            "published_at": event.time,
        },
        state={"phase": data.phase},
    )


def campaign_phase_changed(session: Session, event: Event, data: Reader) -> None:
    """Move a campaign on."""
    assert isinstance(data, readers.CampaignPhase)  # noqa: S101
    _upsert(
        session,
        "campaigns",
        event,
        key={"id": data.id, "commune": data.commune},
        state={"phase": data.phase},
    )


_NUMBER = text(
    "INSERT INTO map_proposals "
    "(id, ref, campaign, commune, cost, status, number, updated_at, sequence) "
    "VALUES (:id, :ref, :campaign, :commune, :cost, 'shortlisted', :number, :at, 0) "
    "ON CONFLICT (id) DO UPDATE SET number = excluded.number"
)


def ballot_frozen(session: Session, event: Event, data: Reader) -> None:
    """Give the proposals of a ballot their numbers."""
    assert isinstance(data, readers.Ballot)  # noqa: S101
    shared = {"campaign": data.campaign, "commune": data.commune, "at": event.time}
    if data.projects:
        session.execute(_NUMBER, [project.model_dump() | shared for project in data.projects])
    _bump(session, data.commune, "proposals", "funded")


def proposal_submitted(session: Session, event: Event, data: Reader) -> None:
    """Put a proposal on the map."""
    assert isinstance(data, readers.Proposal)  # noqa: S101
    _upsert(
        session,
        "map_proposals",
        event,
        key={"id": data.id, "ref": data.ref, "campaign": data.campaign, "commune": data.commune},
        facts={
            "arrondissement": data.arrondissement,
            "title": data.title,
            "theme": data.theme,
            "submitted_at": data.submitted_at,
            "geom": _json(data.geometry),
        },
        state={"cost": data.estimated_cost, "status": data.status},
        values={"geom": _SHAPE},
    )
    _bump(session, data.commune, "proposals")


def proposal_reviewed(session: Session, event: Event, data: Reader) -> None:
    """Show the mairie's answer and cost."""
    assert isinstance(data, readers.Review)  # noqa: S101
    _decide(session, event, data, data.status)


def proposal_funded(session: Session, event: Event, data: Reader) -> None:
    """Show that a proposal won."""
    assert isinstance(data, readers.Outcome)  # noqa: S101
    _decide(session, event, data, "funded")


def proposal_not_funded(session: Session, event: Event, data: Reader) -> None:
    """Show that a proposal did not win."""
    assert isinstance(data, readers.Outcome)  # noqa: S101
    _decide(session, event, data, "not_funded")


def _decide(
    session: Session, event: Event, data: readers.Review | readers.Outcome, status: str
) -> None:
    _upsert(
        session,
        "map_proposals",
        event,
        key={"id": data.id, "ref": data.ref, "campaign": data.campaign, "commune": data.commune},
        state={"cost": data.cost, "status": status},
    )
    _bump(session, data.commune, "proposals", "funded")


def election_opened(session: Session, event: Event, data: Reader) -> None:
    """List a vote."""
    assert isinstance(data, readers.Election)  # noqa: S101
    _upsert(
        session,
        "elections",
        event,
        key={"id": data.id, "campaign": data.campaign, "commune": data.commune},
        facts=data.model_dump(include={"ballot_type", "rule", "budget", "opens_at", "closes_at"}),
        state={"state": "open"},
    )


def election_closed(session: Session, event: Event, data: Reader) -> None:
    """Close a vote."""
    assert isinstance(data, readers.ElectionEnd)  # noqa: S101
    _upsert(
        session,
        "elections",
        event,
        key={"id": data.id, "campaign": data.campaign, "commune": data.commune},
        state={"state": "closed"},
    )


def results_published(session: Session, event: Event, data: Reader) -> None:
    """Keep the count of a vote."""
    assert isinstance(data, readers.Results)  # noqa: S101
    key = {"id": data.id, "campaign": data.campaign, "commune": data.commune}
    _upsert(session, "elections", event, key=key, state={"state": "published"})
    told = data.model_dump(exclude={*key, "winners", "projects"})
    lists = {"winners": _json(data.winners), "projects": _json(data.projects)}
    _upsert(session, "results", event, key=key, state=told | lists)


HANDLERS: Mapping[str, tuple[type[Reader], Handler]] = {
    "bj.palabre.report.received.v1": (readers.Report, report_placed),
    "bj.palabre.report.corrected.v1": (readers.Report, report_placed),
    "bj.palabre.report.status_changed.v1": (readers.ReportStatus, report_status_changed),
    "bj.palabre.report.visibility_changed.v1": (
        readers.ReportVisibility,
        report_visibility_changed,
    ),
    "bj.palabre.campaign.published.v1": (readers.Campaign, campaign_published),
    "bj.palabre.campaign.phase_changed.v1": (readers.CampaignPhase, campaign_phase_changed),
    "bj.palabre.campaign.ballot_frozen.v1": (readers.Ballot, ballot_frozen),
    "bj.palabre.proposal.submitted.v1": (readers.Proposal, proposal_submitted),
    "bj.palabre.proposal.reviewed.v1": (readers.Review, proposal_reviewed),
    "bj.palabre.proposal.funded.v1": (readers.Outcome, proposal_funded),
    "bj.palabre.proposal.not_funded.v1": (readers.Outcome, proposal_not_funded),
    "bj.palabre.election.opened.v1": (readers.Election, election_opened),
    "bj.palabre.election.closed.v1": (readers.ElectionEnd, election_closed),
    "bj.palabre.election.results_published.v1": (readers.Results, results_published),
}
