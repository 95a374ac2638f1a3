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
_POINT = "ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)"
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


def report_received(session: Session, event: Event, data: Reader) -> None:
    """Put a report on the map."""
    assert isinstance(data, readers.Report)  # noqa: S101
    placed = data.lon is not None and data.lat is not None
    _upsert(
        session,
        "map_reports",
        event,
        key={"id": data.id, "ref": data.ref, "commune": data.commune},
        facts={
            "arrondissement": data.arrondissement,
            "category": data.category,
            "received_at": data.received_at,
        },
        state={"status": data.status},
        values={"geom": _POINT} if placed else {},
        parameters={"lon": data.lon, "lat": data.lat} if placed else {},
    )
    _bump(session, data.commune, "reports")


def report_status_changed(session: Session, event: Event, data: Reader) -> None:
    """Change a report's colour."""
    assert isinstance(data, readers.ReportStatus)  # noqa: S101
    _upsert(
        session,
        "map_reports",
        event,
        key={"id": data.id, "ref": data.ref, "commune": data.commune},
        state={"status": data.status},
    )
    _bump(session, data.commune, "reports")


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
    "bj.palabre.report.received.v1": (readers.Report, report_received),
    "bj.palabre.report.status_changed.v1": (readers.ReportStatus, report_status_changed),
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
