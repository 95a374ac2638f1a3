"""Reading a campaign's rows for files, a batch at a time."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, text

from services.proposals.exports.domain import TABLES, Column, Subject, Table

BATCH = 1000


@dataclass(frozen=True, slots=True)
class View:
    """Rows of a campaign, their order by two keys, and the SQL of what is not ``r.name``."""

    table: Table
    source: str
    keys: tuple[str, str]
    id: str = "r.id"
    geom: str = "r.geom"
    sql: Mapping[str, str] = field(default_factory=dict)

    def of(self, column: Column) -> str:
        """Return the SQL of a column."""
        return self.sql.get(column.name, f"r.{column.name}")

    def cells(self) -> str:
        """Return the SQL of a line: the columns, then lon and lat of what has a place."""
        columns = [f"{self.of(column)} AS {column.name}" for column in self.table.columns]
        if self.table.placed:
            point = f"ST_PointOnSurface({self.geom})"
            columns += [f"round({axis}({point})::numeric, 6)::float8" for axis in ("ST_X", "ST_Y")]
        return ", ".join(columns)

    def feature(self) -> str:
        """Return the SQL of a row as the text of a GeoJSON feature; times end at the second."""
        pairs = ", ".join(f"'{c.name}', {_json(c, self.of(c))}" for c in self.table.columns)
        return (
            f"json_build_object('type', 'Feature', 'id', {self.id}, "
            f"'geometry', ST_AsGeoJSON({self.geom}, 6)::json, "
            f"'properties', json_build_object({pairs}))::text"
        )


def _json(column: Column, sql: str) -> str:
    if column.kind != "time":
        return sql
    return f"""to_char({sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


_ENVELOPE = "(SELECT e.name FROM envelopes e WHERE e.id = r.envelope_id)"
_PUBLIC = "p.status <> 'draft' AND p.hidden_at IS NULL"
_INTO = f"(SELECT p.ref FROM proposals p WHERE p.id = r.merged_into AND {_PUBLIC})"  # noqa: S608
# Money stays told whatever becomes of a text: a hidden proposal's work has no title here.
_TITLE = "CASE WHEN p.hidden_at IS NULL THEN p.title END"
_VERDICTS = "(SELECT count(*) FROM confirmations c WHERE c.work_id = r.id AND c.verdict = '{}')"
_VIEWS: Mapping[Subject, View] = {
    "proposals": View(
        TABLES["proposals"],
        f"""
            (SELECT p.* FROM proposals p WHERE p.campaign_id = :campaign AND {_PUBLIC}) r
            LEFT JOIN LATERAL (
                SELECT v.outcome, v.reason, v.reviewed_at FROM reviews v
                WHERE v.proposal_id = r.id ORDER BY v.round DESC LIMIT 1) v ON true
            LEFT JOIN review_answers w ON w.proposal_id = r.id
            LEFT JOIN forums f ON f.id = r.forum_id
        """,  # noqa: S608 - parts of ours
        ("r.id", "0"),
        sql={
            "envelope": _ENVELOPE,
            "outcome": "v.outcome",
            "reason": "v.reason",
            "reviewed_at": "v.reviewed_at",
            "answer": "w.answer",
            "forum": "f.name",
            "forum_women": "f.women",
            "forum_men": "f.men",
            "forum_youth": "f.youth",
            # Of what nobody may see, not even the reference.
            "merged_into": _INTO,
            "work": "(SELECT w.ref FROM works w WHERE w.proposal_id = r.id)",
        },
    ),
    "works": View(
        TABLES["works"],
        "(SELECT w.* FROM works w WHERE w.campaign_id = :campaign) r "
        "JOIN proposals p ON p.id = r.proposal_id",
        ("r.id", "0"),
        geom="p.geom",
        sql={
            "proposal": "p.ref",
            "title": _TITLE,
            "theme": "p.theme",
            "arrondissement": "p.arrondissement",
            "envelope": _ENVELOPE,
            "balance": "r.voted_cost - r.paid",
            "confirmed": _VERDICTS.format("confirmed"),
            "disputed": _VERDICTS.format("disputed"),
        },
    ),
    "ledger": View(
        TABLES["ledger"],
        "ledger r JOIN works w ON w.id = r.work_id AND w.campaign_id = :campaign "
        "JOIN proposals p ON p.id = w.proposal_id",
        ("r.work_id", "r.number"),
        sql={
            "work": "w.ref",
            "proposal": "p.ref",
            "counters": "(SELECT o.number FROM ledger o WHERE o.id = r.counters)",
        },
    ),
    "revisions": View(
        TABLES["revisions"],
        f"""
            revisions r JOIN proposals p
                ON p.id = r.proposal_id AND p.campaign_id = :campaign AND {_PUBLIC}
        """,
        ("r.proposal_id", "r.number"),
        id="p.ref || '/' || r.number",
        geom="ST_SetSRID(ST_GeomFromGeoJSON(r.content -> 'geometry'), 4326)",
        sql={
            "proposal": "p.ref",
            "by": "r.actor_kind",
            **{
                name: f"r.content ->> '{name}'"
                for name in (
                    "title", "need", "description", "beneficiaries", "theme", "arrondissement",
                )
            },
            "estimated_cost": "CAST(r.content ->> 'estimated_cost' AS bigint)",
            "envelope": "(SELECT e.name FROM envelopes e "
            "WHERE e.id = CAST(r.content ->> 'envelope' AS uuid))",
        },
    ),
}  # fmt: skip


def batches(
    engine: Engine, subject: Subject, form: str, campaign: UUID, size: int = BATCH
) -> Generator[Sequence[Row[Any]]]:
    """Yield a campaign's rows, the oldest first: two keys, then cells or the feature's text.

    Each batch is a short transaction that goes on after the last row of the one before: a slow
    reader holds no connection and no snapshot, and memory stays that of a batch.
    """
    view = _VIEWS[subject]
    what = view.cells() if form == "csv" else view.feature()
    first, second = view.keys
    query = text(
        f"SELECT {first} AS key_id, {second} AS key_number, {what} FROM {view.source} "  # noqa: S608
        f"WHERE CAST(:id AS uuid) IS NULL OR ({first}, {second}) > (CAST(:id AS uuid), :number) "
        "ORDER BY key_id, key_number LIMIT :size"
    )
    values: dict[str, Any] = {"campaign": campaign, "size": size, "id": None, "number": 0}
    while True:
        with engine.connect() as connection:
            rows = connection.execute(query, values).all()
        if rows:
            yield rows
        if len(rows) < size:
            return
        values |= {"id": rows[-1].key_id, "number": rows[-1].key_number}
