"""Writing a row so that neither the order nor the repetition of events matters.

A column belongs to the newest event that says it: beside what is said stands the ``sequence`` of
who said it. A *fact* is said by one type of event only, and is written whenever that comes.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.events.envelope import Event

# The transaction's own number: it only grows, over a rebuild too, and costs one write a batch.
_BUMP = text(
    "INSERT INTO layer_versions (commune, layer, version) "
    "VALUES (:commune, :layer, CAST(CAST(pg_current_xact_id() AS text) AS bigint)) "
    "ON CONFLICT (commune, layer) DO UPDATE SET version = excluded.version "
    "WHERE layer_versions.version <> excluded.version"
)

_CONTENT = ("title", "theme", "arrondissement", "envelope", "geom")
_RESULT = ("rule", "budget", "total_cost", "turnout", "winners", "projects", "published_at")
#: Table → column → where the sequence of who said it last is kept. An event that says one column
#: of a sequence says all of it. A column that is not here is part of the key, or a fact.
SEQUENCES: Mapping[str, Mapping[str, str]] = {
    "campaigns": {
        "phase": "sequence",
        "title": "title_sequence",
        "budget": "budget_sequence",
        "envelopes": "budget_sequence",
        "phases": "calendar_sequence",
    },
    "map_proposals": {
        "status": "sequence",
        "cost": "cost_sequence",
        **dict.fromkeys(_CONTENT, "content_sequence"),
        "visible": "visible_sequence",
        "comments": "comments_sequence",
    },
    "map_works": {
        **dict.fromkeys(("status", "progress", "ends_on", "delayed"), "sequence"),
        "completed_at": "completed_sequence",
        **dict.fromkeys(("committed", "invoiced", "paid"), "money_sequence"),
        **dict.fromkeys(("confirmed", "disputed"), "check_sequence"),
    },
    "elections": {"state": "sequence"},
    "results": dict.fromkeys(_RESULT, "sequence"),
}
#: The SQL of columns that are not plain parameters.
_SQL = {"geom": "ST_SetSRID(ST_GeomFromGeoJSON(:geom), 4326)"}


def write(
    session: Session, table: str, event: Event, *, key: Mapping[str, Any], **said: Any
) -> None:
    """Write what ``event`` says into the row of ``key``, which holds its ``id``."""
    sequences = {SEQUENCES[table][c] for c in said if c in SEQUENCES[table]}
    statement = _statement(table, tuple(key), tuple(said))
    values = {**key, **said, "at": event.time, **dict.fromkeys(sequences, event.sequence)}
    session.execute(text(statement), values)


@cache
def _statement(table: str, key: tuple[str, ...], said: tuple[str, ...]) -> str:
    of = SEQUENCES[table]
    sequences = sorted({of[column] for column in said if column in of})
    columns = (*key, *said, *sequences, "updated_at")
    changes = [_change(column, of.get(column)) for column in said]
    changes += [f"{c} = greatest(known.{c}, excluded.{c})" for c in (*sequences, "updated_at")]
    values = _SQL | {"updated_at": ":at"}
    return (
        f"INSERT INTO {table} AS known ({', '.join(columns)}) "  # noqa: S608 - names of this module
        f"VALUES ({', '.join(values.get(c, f':{c}') for c in columns)}) "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(changes)}"
    )


def _change(column: str, sequence: str | None) -> str:
    if sequence is None:
        return f"{column} = excluded.{column}"
    newer = f"excluded.{sequence} > known.{sequence}"
    return f"{column} = CASE WHEN {newer} THEN excluded.{column} ELSE known.{column} END"


def as_json(value: Any) -> str:
    """Return a value as a parameter for ``jsonb``."""
    return json.dumps(value, ensure_ascii=False, default=str)


def bump(session: Session, commune: str, *layers: str) -> None:
    """Say that what a commune's layers show is another thing now."""
    for layer in layers:
        session.execute(_BUMP, {"commune": commune, "layer": layer})
