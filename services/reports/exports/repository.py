"""Reading reports for files and feeds, a batch at a time."""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.orm import Session

from services.reports import domain
from services.reports.exports.domain import DESK, PUBLIC, STATUS_NAMES, Column
from services.reports.repository import FILTERS

BATCH = 1000


@dataclass(frozen=True, slots=True)
class View:
    """Rows ``r``, what a column is called in SQL where it is not ``r.name``, and their place."""

    source: str
    columns: Sequence[Column]
    sql: Mapping[str, str]
    id: str = "r.id"
    digits: int = 6

    def of(self, column: Column) -> str:
        """Return the SQL of a column."""
        return self.sql.get(column.name, f"r.{column.name}")

    def feature(self, *, sparse: bool = False) -> str:
        """Return the SQL of a row as the text of a GeoJSON feature; times end at the second.

        In a ``sparse`` one a property without value is not there.
        """
        pairs = ", ".join(f"'{c.name}', {_json(c, self.of(c))}" for c in self.columns)
        properties = f"json_build_object({pairs})"
        if sparse:
            properties = f"json_strip_nulls({properties})"
        return (
            f"json_build_object('type', 'Feature', 'id', {self.id}, "
            f"'geometry', ST_AsGeoJSON(r.geom, {self.digits})::json, "
            f"'properties', {properties})::text AS feature"
        )


def _json(column: Column, sql: str) -> str:
    if column.kind != "time":
        return sql
    return f"""to_char({sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


_NAMES = {
    "commune_name": "c.name",
    "arrondissement_name": "a.name",
    "category_name": "CAST(:categories AS jsonb) ->> r.category",
    "status_name": "CAST(:statuses AS jsonb) ->> r.status",
    "agency_name": "CAST(:agencies AS jsonb) ->> r.agency",
    # Of what nobody may see, not even the reference.
    "duplicate_of": "(SELECT m.ref FROM public_reports m WHERE m.id = r.duplicate_of)",
    "photo": ":base || '/api/v1/uploads/' || (SELECT p.upload_id FROM public_photos p "
    "WHERE p.report_id = r.id ORDER BY p.position LIMIT 1)",
    "url": ":base || '/signalements/' || r.ref",
}
_PLACES = """
    LEFT JOIN reference.communes c ON c.code = r.commune
    LEFT JOIN reference.arrondissements a ON a.code = r.arrondissement
"""
PUBLIC_VIEW = View(f"public_reports r {_PLACES}", PUBLIC, _NAMES)
#: The mairie's own: exact places, what is hidden, and the words that were made public.
DESK_VIEW = View(
    f"reports r {_PLACES} LEFT JOIN agents g ON g.commune = r.commune AND g.user_id = r.assignee",
    DESK,
    {
        **_NAMES,
        "description": "coalesce(r.public_description, r.description)",
        "assignee": "g.name",
        "hidden": "r.hidden_at IS NOT NULL",
    },
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reports: conditions on the row ``r``, and the values they name."""

    conditions: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The SQL of all conditions."""
        return " AND ".join(f"({condition})" for condition in self.conditions) or "true"


def labels(base: str) -> dict[str, str]:
    """Return the values that the columns of the views name."""
    return {
        "base": base,
        "categories": json.dumps({c.code: c.fr for c in domain.CATEGORIES.values()}),
        "statuses": json.dumps(STATUS_NAMES),
        "agencies": json.dumps({a.code: a.fr for a in domain.AGENCIES.values()}),
    }


def batches(
    engine: Engine, view: View, select: str, chosen: Selection, base: str, size: int = BATCH
) -> Generator[Sequence[Row[Any]]]:
    """Yield all chosen rows, newest first: ``key_at``, ``key_id``, then what ``select`` names.

    Each batch is a short transaction that goes on after the last row of the one before: a slow
    reader holds no connection and no snapshot, memory stays that of a batch, and a download may
    last as long as it likes. A report that changes meanwhile is told as it was when read.
    """
    begin = f"SELECT r.created_at AS key_at, r.id AS key_id, {select} FROM {view.source}"  # noqa: S608
    end = "ORDER BY r.created_at DESC, r.id DESC LIMIT :size"
    first = text(f"{begin} WHERE {chosen.where} {end}")
    following = text(f"{begin} WHERE {chosen.where} AND {FILTERS['after']} {end}")
    values = {**labels(base), **chosen.values, "size": size}
    rows = _read(engine, first, values)
    while rows:
        yield rows
        if len(rows) < size:
            return
        last = rows[-1]
        rows = _read(engine, following, values | {"after_at": last.key_at, "after_id": last.key_id})


def _read(engine: Engine, query: Any, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(query, values).all()


def newest(
    session: Session | Connection, chosen: Selection, base: str, limit: int
) -> Sequence[Row[Any]]:
    """Return the newest public reports: every public column, ``id``, ``lon`` and ``lat``."""
    view = PUBLIC_VIEW
    columns = ", ".join(f"{view.of(column)} AS {column.name}" for column in view.columns)
    return session.execute(
        text(
            f"SELECT r.id, {columns}, ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat "  # noqa: S608
            f"FROM {view.source} WHERE {chosen.where} "
            "ORDER BY r.created_at DESC, r.id DESC LIMIT :limit"
        ),
        {**labels(base), **chosen.values, "limit": limit},
    ).all()


def commune_name(session: Session, code: str) -> str | None:
    """Return what a commune is called."""
    query = text("SELECT name FROM reference.communes WHERE code = :code")
    name: str | None = session.scalar(query, {"code": code})
    return name
