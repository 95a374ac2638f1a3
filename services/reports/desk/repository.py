"""Queries of the desk: the queue, the directory, targets, routing rules, the round."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.reports.desk.domain import MARKS, Group, Rule
from services.reports.domain import CATEGORIES, OPEN, STATUSES

ZONE = "Africa/Porto-Novo"
_OPEN = ", ".join(f"'{status}'" for status in STATUSES if status in OPEN)
#: Reports older than the calendar have no due date: they come last. An index says the same.
_DUE = "coalesce(r.due_at, 'infinity')"
_OVERDUE = f"(r.status IN ({_OPEN}) AND {_DUE} < now())"


def _fold(column: str) -> str:
    """SQL of :func:`domain.folded`."""
    return f"translate(lower(normalize({column}, NFD)), :marks, '')"


@dataclass(frozen=True, slots=True)
class Order:
    """A sort of the queue: by ``key`` of SQL ``type``, then by id the same way."""

    key: str
    type: str
    descending: bool

    @property
    def way(self) -> str:
        """The SQL word of the direction."""
        return "DESC" if self.descending else "ASC"

    @property
    def after(self) -> str:
        """SQL of what follows the row ``(:after_key, :after_id)``."""
        sign = "<" if self.descending else ">"
        return (
            f"({self.key}, r.id) {sign} (CAST(:after_key AS {self.type}), CAST(:after_id AS uuid))"
        )


ORDERS: Mapping[str, Order] = {
    "newest": Order("r.created_at", "timestamptz", descending=True),
    "oldest": Order("r.created_at", "timestamptz", descending=False),
    "due": Order(_DUE, "timestamptz", descending=False),
    "supports": Order("r.supports", "int", descending=True),
    "updated": Order("r.updated_at", "timestamptz", descending=True),
}

#: What may narrow the queue, by name; a filter's value has the same name.
FILTERS: Mapping[str, str] = {
    "open": f"r.status IN ({_OPEN})",
    "status": "r.status = ANY(:status)",
    "category": "r.category = :category",
    "agency": "r.agency = :agency",
    "assignee": "r.assignee = CAST(:assignee AS uuid)",
    "unassigned": "r.assignee IS NULL",
    "arrondissement": "r.arrondissement = :arrondissement",
    "overdue": _OVERDUE,
    "not_overdue": f"NOT {_OVERDUE}",
    "hidden": "r.hidden_at IS NOT NULL",
    "not_hidden": "r.hidden_at IS NULL",
    "channel": "r.channel = :channel",
    "ref": "r.ref = :ref",
    "q": f"({_fold('r.ref')} LIKE :q OR {_fold('r.landmark')} LIKE :q OR "
    f"{_fold('r.description')} LIKE :q OR {_fold('r.public_description')} LIKE :q)",
    "since": "r.created_at >= :since",
    "until": "r.created_at < :until",
}

_PHOTO = (
    "(SELECT p.upload_id FROM public_photos p WHERE p.report_id = r.id ORDER BY p.position LIMIT 1)"
)
# The public properties by their names, and what agents see besides; the point is the exact one.
_ITEM = f"""
    json_build_object('type', 'Feature', 'id', r.id,
        'geometry', ST_AsGeoJSON(r.geom, 6)::json,
        'properties', json_build_object('id', r.id, 'ref', r.ref, 'commune', r.commune,
            'arrondissement', r.arrondissement, 'category', r.category, 'status', r.status,
            'description', left(coalesce(r.public_description, r.description), 600),
            'landmark', r.landmark, 'created_at', r.created_at, 'updated_at', r.updated_at,
            'supports', r.supports, 'agency', r.agency, 'due_at', r.due_at, 'photo', {_PHOTO},
            'version', r.version, 'assignee', r.assignee, 'assignee_name', a.name,
            'answer_due_at', r.answer_due_at, 'answered_at', r.answered_at,
            'closed_at', r.closed_at, 'overdue', {_OVERDUE}, 'channel', r.channel,
            'hidden', r.hidden_at IS NOT NULL)) AS feature
"""


def queue(
    session: Session, commune: str, order: Order, values: Mapping[str, Any], limit: int
) -> Sequence[Row[Any]]:
    """Return ``(feature, place, id)`` of a commune's reports in ``order``.

    ``values`` holds the names of :data:`FILTERS` (True for those without a value), and
    ``after_key`` and ``after_id`` when the page follows another; ``place`` is the key as text.
    """
    where = ["r.commune = :commune", *(FILTERS[name] for name in values if name in FILTERS)]
    if "after_key" in values:
        where.append(order.after)
    query = text(f"""
        WITH page AS MATERIALIZED (
            SELECT r.id, {order.key} AS key FROM reports r WHERE {" AND ".join(where)}
            ORDER BY {order.key} {order.way}, r.id {order.way} LIMIT :limit
        )
        SELECT {_ITEM}, page.key::text AS place, r.id
        FROM page JOIN reports r ON r.id = page.id
        LEFT JOIN agents a ON a.commune = r.commune AND a.user_id = r.assignee
        ORDER BY page.key {order.way}, r.id {order.way}
    """)  # noqa: S608 - parts of ours
    return session.execute(
        query, {**values, "marks": MARKS, "commune": commune, "limit": limit}
    ).all()


#: Closed reports are only counted so far: a desk that opens must not read years of them.
COUNTED_TO = 10_000
_WAITING = text(f"""
    SELECT r.status, count(*) AS n, count(*) FILTER (WHERE {_DUE} < now()) AS overdue,
        count(*) FILTER (WHERE r.assignee IS NULL) AS unassigned
    FROM reports r WHERE r.commune = :commune AND r.status IN ({_OPEN}) GROUP BY r.status
""")  # noqa: S608
_CLOSED = text("""
    SELECT s.status, (SELECT count(*) FROM (
        SELECT FROM reports r WHERE r.commune = :commune AND r.status = s.status LIMIT :most) found
    ) AS n
    FROM unnest(CAST(:closed AS text[])) AS s(status)
""")


def waiting(session: Session, commune: str) -> Sequence[Row[Any]]:
    """Return ``(status, n, overdue, unassigned)`` of a commune's open reports."""
    return session.execute(_WAITING, {"commune": commune}).all()


def closed(session: Session, commune: str) -> Sequence[Row[Any]]:
    """Return ``(status, n)`` of a commune's closed reports, n at most :data:`COUNTED_TO`."""
    names = [status for status in STATUSES if status not in OPEN]
    values = {"commune": commune, "closed": names, "most": COUNTED_TO}
    return session.execute(_CLOSED, values).all()


_HOLD = text("""
    SELECT r.id, r.ref, r.commune FROM reports r
    WHERE r.id IN (SELECT o.id FROM reports o WHERE o.ref = ANY(:refs)
        UNION SELECT unnest(CAST(:ids AS uuid[]))
        UNION SELECT o.duplicate_of FROM reports o
            WHERE o.ref = ANY(:refs) OR o.id = ANY(CAST(:ids AS uuid[])))
    ORDER BY r.id FOR UPDATE
""")


def hold(session: Session, keys: Sequence[UUID | str]) -> Sequence[Row[Any]]:
    """Lock reports, and those they are merged into, in the one order: ``(id, ref, commune)``."""
    ids = [str(key) for key in keys if isinstance(key, UUID)]
    refs = [key for key in keys if isinstance(key, str)]
    return session.execute(_HOLD, {"ids": ids, "refs": refs}).all()


_MODERATE = text(
    "UPDATE attachments SET hidden = :hidden "
    "WHERE report_id = :id AND upload_id = ANY(CAST(:uploads AS uuid[]))"
)


def show_attachments(
    session: Session, report_id: UUID, uploads: Sequence[UUID], *, hidden: bool
) -> int:
    """Hide attachments from the public or show them again; return how many there are."""
    given = {"id": report_id, "uploads": [str(one) for one in uploads], "hidden": hidden}
    return _changed(session, _MODERATE, given)


def _changed(session: Session, statement: Any, values: Mapping[str, Any]) -> int:
    return int(session.execute(statement, values).rowcount)  # type: ignore[attr-defined]


def agents(session: Session, commune: str) -> Sequence[Row[Any]]:
    """Return ``(user_id, name, agency)`` of the commune's agents, by name."""
    query = (
        "SELECT user_id, name, agency FROM agents WHERE commune = :commune ORDER BY name, user_id"
    )
    return session.execute(text(query), {"commune": commune}).all()


def is_agent(session: Session, commune: str, user_id: UUID) -> bool:
    """Tell whether the commune's directory has this person."""
    query = "SELECT 1 FROM agents WHERE commune = :commune AND user_id = :user"
    return session.scalar(text(query), {"commune": commune, "user": user_id}) is not None


_NAME_AGENT = text("""
    INSERT INTO agents (commune, user_id, name, agency)
    VALUES (:commune, :user, :name, :agency)
    ON CONFLICT (commune, user_id) DO UPDATE SET name = excluded.name, agency = excluded.agency
""")


def name_agent(
    session: Session, commune: str, user_id: UUID, name: str, agency: str | None
) -> None:
    """Write an agent into the directory."""
    values = {"commune": commune, "user": user_id, "name": name, "agency": agency}
    session.execute(_NAME_AGENT, values)


def has_work(session: Session, commune: str, user_id: UUID) -> bool:
    """Tell whether an open report is assigned to this person."""
    query = text(
        f"SELECT 1 FROM reports r WHERE r.commune = :commune AND r.assignee = :user "  # noqa: S608
        f"AND r.status IN ({_OPEN}) LIMIT 1"
    )
    return session.scalar(query, {"commune": commune, "user": user_id}) is not None


def forget_agent(session: Session, commune: str, user_id: UUID) -> bool:
    """Take an agent out of the directory; tell whether there was one."""
    query = "DELETE FROM agents WHERE commune = :commune AND user_id = :user"
    return _changed(session, text(query), {"commune": commune, "user": user_id}) > 0


_LOCK_RULES = text("SELECT pg_advisory_xact_lock(hashtextextended('palabre.desk.' || :c, 0))")


def lock_rules(session: Session, commune: str) -> None:
    """Let one transaction at a time change the commune's targets and routing."""
    session.execute(_LOCK_RULES, {"c": commune})


def targets(session: Session, commune: str) -> dict[str, tuple[int, int]]:
    """Return the commune's own working days to answer and to repair, by category."""
    query = "SELECT category, answer_days, repair_days FROM targets WHERE commune = :commune"
    rows = session.execute(text(query), {"commune": commune})
    return {row.category: (row.answer_days, row.repair_days) for row in rows}


_SET_TARGETS = text("""
    INSERT INTO targets (commune, category, answer_days, repair_days)
    SELECT :commune, category, answer_days, repair_days
    FROM json_to_recordset(CAST(:rows AS json))
        AS t(category text, answer_days int, repair_days int)
""")
# A due date depends on category and day: it is looked up once for each pair, not for each report.
# Locked in the order of ids, as everywhere, and only what changes is written.
_RECOMPUTE = text(f"""
    WITH days AS (
        SELECT category, answer_days, repair_days FROM json_to_recordset(CAST(:rows AS json))
            AS t(category text, answer_days int, repair_days int)
    ),
    held AS MATERIALIZED (
        SELECT r.id, r.category, (r.created_at AT TIME ZONE '{ZONE}')::date AS day
        FROM reports r WHERE r.commune = :commune AND r.status IN ({_OPEN})
        ORDER BY r.id FOR UPDATE
    ),
    due AS MATERIALIZED (
        SELECT one.category, one.day,
            working_day_after(one.day::timestamp AT TIME ZONE '{ZONE}', d.answer_days) AS answer,
            working_day_after(one.day::timestamp AT TIME ZONE '{ZONE}', d.repair_days) AS repair
        FROM (SELECT DISTINCT category, day FROM held) one JOIN days d USING (category)
    )
    UPDATE reports r SET answer_due_at = due.answer, due_at = due.repair
    FROM held JOIN due USING (category, day)
    WHERE r.id = held.id
    AND (r.answer_due_at, r.due_at) IS DISTINCT FROM (due.answer, due.repair)
""")  # noqa: S608


def set_targets(session: Session, commune: str, own: Mapping[str, tuple[int, int]]) -> int:
    """Replace the commune's targets; return how many open reports are due at another time now."""
    session.execute(text("DELETE FROM targets WHERE commune = :commune"), {"commune": commune})
    session.execute(_SET_TARGETS, {"commune": commune, "rows": _days(own)})
    usual = {code: (c.answer_days, c.repair_days) for code, c in CATEGORIES.items()}
    return _changed(session, _RECOMPUTE, {"commune": commune, "rows": _days({**usual, **own})})


def _days(by_category: Mapping[str, tuple[int, int]]) -> str:
    return json.dumps(
        [
            {"category": category, "answer_days": answer, "repair_days": repair}
            for category, (answer, repair) in by_category.items()
        ]
    )


def rules(session: Session, commune: str) -> list[Rule]:
    """Return the commune's routing rules in order."""
    query = """
        SELECT agency, category, arrondissement, from_time, to_time FROM routing_rules
        WHERE commune = :commune ORDER BY position
    """
    return [Rule(*row) for row in session.execute(text(query), {"commune": commune})]


_SET_RULES = text("""
    INSERT INTO routing_rules
        (commune, position, category, arrondissement, from_time, to_time, agency)
    SELECT :commune, position, category, arrondissement, from_time, to_time, agency
    FROM json_to_recordset(CAST(:rows AS json)) AS r(position int, category text,
        arrondissement text, from_time time, to_time time, agency text)
""")


def set_rules(session: Session, commune: str, wanted: Sequence[Rule]) -> None:
    """Replace the commune's routing rules."""
    query = text("DELETE FROM routing_rules WHERE commune = :commune")
    session.execute(query, {"commune": commune})
    rows = json.dumps([{"position": n, **asdict(r)} for n, r in enumerate(wanted)], default=str)
    session.execute(_SET_RULES, {"commune": commune, "rows": rows})


_CASE = f"""
    SELECT r.id, r.ref, r.category, r.arrondissement, r.agency, r.created_at, width_bucket(
        (r.created_at AT TIME ZONE '{ZONE}')::time, CAST(:bounds AS time[])) - 1 AS slot
    FROM reports r
    WHERE r.commune = :commune AND r.created_at >= :since AND r.created_at < :until
"""  # noqa: S608
_GROUPS = text(f"""
    SELECT category, arrondissement, slot, agency, count(*) FROM ({_CASE}) past
    GROUP BY category, arrondissement, slot, agency
    ORDER BY category, arrondissement, slot, agency
""")  # noqa: S608
_EXAMPLES = text(f"""
    SELECT past.ref, past.category, past.arrondissement, past.created_at, moved.n
    FROM ({_CASE}) past
    JOIN json_to_recordset(CAST(:moved AS json))
        AS moved(n int, category text, arrondissement text, slot int, agency text)
    ON moved.category = past.category AND moved.slot = past.slot
    AND moved.arrondissement IS NOT DISTINCT FROM past.arrondissement
    AND moved.agency IS NOT DISTINCT FROM past.agency
    ORDER BY past.created_at DESC, past.id DESC LIMIT :limit
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Past:
    """The reports that a commune received in a time; ``bounds`` are the slots of a day."""

    commune: str
    since: datetime
    until: datetime
    bounds: Sequence[Any]

    @property
    def values(self) -> dict[str, Any]:
        """As parameters."""
        bounds = [bound.isoformat() for bound in self.bounds]
        return {
            "commune": self.commune, "since": self.since, "until": self.until, "bounds": bounds
        }  # fmt: skip


def groups(session: Session, past: Past) -> list[Group]:
    """Return past reports, grouped by what rules can tell apart."""
    return [Group(*row) for row in session.execute(_GROUPS, past.values)]


def examples(
    session: Session, past: Past, moved: Sequence[Group], limit: int
) -> Sequence[Row[Any]]:
    """Return the newest reports of some groups; ``n`` is the group's index in ``moved``."""
    rows = json.dumps([{"n": n, **asdict(group)} for n, group in enumerate(moved)])
    return session.execute(_EXAMPLES, {**past.values, "moved": rows, "limit": limit}).all()


def centre(session: Session, commune: str) -> tuple[float, float]:
    """Return a commune's town centre, or a point in it where none is known."""
    query = """
        SELECT ST_X(p), ST_Y(p) FROM reference.communes,
            LATERAL (SELECT coalesce(town, ST_PointOnSurface(geom)) AS p) point
        WHERE code = :commune
    """
    row = session.execute(text(query), {"commune": commune}).one()
    return row[0], row[1]


def arrondissements(session: Session, commune: str) -> Sequence[Row[Any]]:
    """Return ``(code, name, population)`` of a commune's arrondissements, by code."""
    query = """
        SELECT code, name, population_2013 AS population FROM reference.arrondissements
        WHERE commune_code = :commune ORDER BY code
    """
    return session.execute(text(query), {"commune": commune}).all()


def to_visit(
    session: Session, commune: str, values: Mapping[str, Any], limit: int, *, placed: bool
) -> Sequence[Row[Any]]:
    """Return reports for a round, what is due first first, with the number of all (``found``)."""
    where = ["r.commune = :commune", f"r.geom IS {'NOT ' if placed else ''}NULL"]
    where += [FILTERS[name] for name in values]
    order = ORDERS["due"]
    query = text(f"""
        WITH page AS MATERIALIZED (
            SELECT r.id, {order.key} AS key, count(*) OVER () AS found
            FROM reports r WHERE {" AND ".join(where)}
            ORDER BY {order.key} {order.way}, r.id {order.way} LIMIT :limit
        )
        SELECT r.ref, r.category, r.status, r.landmark, r.arrondissement, r.agency, r.supports,
            r.due_at, {_OVERDUE} AS overdue, {_PHOTO} AS photo, ST_X(r.geom) AS lon,
            ST_Y(r.geom) AS lat, coalesce(r.public_description, r.description) AS description,
            page.found
        FROM page JOIN reports r ON r.id = page.id
        ORDER BY page.key {order.way}, r.id {order.way}
    """)  # noqa: S608
    return session.execute(query, {**values, "commune": commune, "limit": limit}).all()


# Of a report's life, what each period has: received in it (and then how it went), closed in it.
# Merged and withdrawn reports are told apart from all others, so that a problem counts once.
_PERIODS = (
    "(VALUES ('now', :since, :until), ('before', :previous, :since)) AS p(period, since, until)"
)
_LIVES = f"""
    SELECT p.period, r.category, r.arrondissement, r.channel, r.gender, r.status, own.counts,
        own.came AND own.counts AS received,
        own.counts AND r.closed_at >= p.since AND r.closed_at < p.until
            AND r.status NOT IN ({_OPEN}) AS closed,
        own.came,
        r.answered_at, r.answer_due_at, r.closed_at, r.due_at, r.created_at,
        r.status IN ('resolved', 'confirmed') AS repaired,
        r.status IN ({_OPEN}) AS waits
    FROM (SELECT period, CAST(since AS timestamptz) AS since, CAST(until AS timestamptz) AS until
          FROM {_PERIODS}) p
    JOIN reports r ON r.commune = :commune
        AND ((r.created_at >= p.since AND r.created_at < p.until)
            OR (r.closed_at >= p.since AND r.closed_at < p.until))
    CROSS JOIN LATERAL (SELECT
        r.status NOT IN ('duplicate', 'withdrawn') AS counts,
        r.created_at >= p.since AND r.created_at < p.until AS came) own
"""  # noqa: S608
_FIGURES = text(f"""
    WITH measured AS (
        SELECT period, category, arrondissement, channel, gender, status, came, received, closed,
            CASE WHEN received THEN extract(epoch FROM answered_at - created_at)::float8 / 3600
                END AS answer_hours,
            CASE WHEN received AND repaired
                THEN extract(epoch FROM closed_at - created_at)::float8 / 3600
                END AS repair_hours,
            CASE WHEN NOT received THEN NULL
                WHEN answered_at IS NOT NULL THEN answered_at <= answer_due_at
                WHEN waits AND answer_due_at < now() THEN false END AS answer_on_time,
            CASE WHEN NOT received THEN NULL
                WHEN repaired THEN closed_at <= due_at
                WHEN waits AND due_at < now() THEN false END AS repair_on_time
        FROM ({_LIVES}) lives
    )
    SELECT period,
        CASE GROUPING(category, arrondissement, channel, gender)
            WHEN 7 THEN 'category' WHEN 11 THEN 'arrondissement' WHEN 13 THEN 'channel'
            WHEN 14 THEN 'gender' ELSE 'total' END AS part,
        coalesce(category, arrondissement, channel, gender) AS key,
        count(*) FILTER (WHERE received) AS received,
        count(*) FILTER (WHERE closed) AS closed,
        count(*) FILTER (WHERE came AND status = 'duplicate') AS duplicates,
        count(*) FILTER (WHERE came AND status = 'withdrawn') AS withdrawn,
        count(*) FILTER (WHERE answer_on_time) AS answers_on_time,
        count(answer_on_time) AS answers_decided,
        count(*) FILTER (WHERE repair_on_time) AS repairs_on_time,
        count(repair_on_time) AS repairs_decided,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY answer_hours) AS answer_hours,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY repair_hours) AS repair_hours
    FROM measured
    GROUP BY GROUPING SETS ((period), (period, category), (period, arrondissement),
        (period, channel), (period, gender))
""")  # noqa: S608
_VOLUMES = text(f"""
    SELECT period, date_trunc(:step, moment.at AT TIME ZONE '{ZONE}')::date AS start,
        count(*) FILTER (WHERE moment.came) AS received,
        count(*) FILTER (WHERE NOT moment.came) AS closed
    FROM ({_LIVES}) lives CROSS JOIN LATERAL (
        VALUES (received, created_at, true), (closed, closed_at, false)) AS moment(fits, at, came)
    WHERE moment.fits GROUP BY period, start ORDER BY period, start
""")  # noqa: S608


def figures(
    session: Session, commune: str, previous: datetime, since: datetime, until: datetime
) -> Sequence[Row[Any]]:
    """Return the figures of [since, until) and of [previous, since), whole and by each part."""
    values = {"commune": commune, "previous": previous, "since": since, "until": until}
    return session.execute(_FIGURES, values).all()


def volumes(
    session: Session, commune: str, previous: datetime, since: datetime, until: datetime, step: str
) -> Sequence[Row[Any]]:
    """Return ``(period, start, received, closed)`` by local month or week."""
    values = {"commune": commune, "previous": previous, "since": since, "until": until}
    return session.execute(_VOLUMES, {**values, "step": step}).all()


# A report that was closed since is not offered again, even where a citizen reopened it.
_FINISHED_WORKS = text(f"""
    SELECT f.ref, f.proposal_ref, f.completed_at, r.id, r.ref AS report, r.version, r.status,
        r.category, r.landmark, coalesce(r.public_description, r.description) AS description
    FROM finished_works f
    JOIN report_proposals l ON l.proposal_id = f.proposal_id
    JOIN reports r ON r.id = l.report_id AND r.commune = f.commune AND r.status IN ({_OPEN})
    WHERE f.commune = :commune AND f.completed_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM history h WHERE h.report_id = r.id AND h.kind = 'status'
        AND h.status NOT IN ({_OPEN}) AND h.at > f.completed_at)
    ORDER BY f.completed_at DESC, f.ref, r.created_at, r.id LIMIT :limit
""")  # noqa: S608


def finished_works(session: Session, commune: str, limit: int) -> Sequence[Row[Any]]:
    """Return the open reports of finished works, each with its work, the latest works first."""
    return session.execute(_FINISHED_WORKS, {"commune": commune, "limit": limit}).all()
