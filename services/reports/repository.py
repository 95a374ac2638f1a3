"""Queries of reports. The insert and the lists are single SQL statements."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from services.common.events import outbox
from services.reports import domain
from services.reports.models import HistoryLine, Report

SOURCE = "reports"

# One statement for any number of new reports: place, limit, idempotency key, row, history,
# attachments, event. A row that breaks a rule is simply not inserted; ask why afterwards.
# A point inside a commune is inside the country: the country's long outline is only asked beyond.
_INSERT = text(f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS g(
            n int, id uuid, ref text, event_id uuid, traceparent text, lon float8, lat float8,
            commune text, arrondissement text, landmark text, category text, description text,
            photos uuid[], voice uuid, reporter uuid, gender text, channel text,
            attributes jsonb, follow_up_hash text, at timestamptz, agency text,
            answer_due_at timestamptz, due_at timestamptz, subject text, most int,
            key uuid, scope text, fingerprint text)
    ),
    place AS MATERIALIZED (
        SELECT g.n, p.geom, chosen.code AS commune, detected.code AS detected,
            (SELECT a.code FROM reference.arrondissements a
             WHERE a.commune_code = chosen.code AND ST_Covers(a.geom, p.geom) LIMIT 1
            ) AS arrondissement
        FROM given g
        CROSS JOIN LATERAL (
            SELECT ST_SetSRID(ST_MakePoint(g.lon, g.lat), 4326) AS geom) p
        LEFT JOIN LATERAL (
            SELECT c.code FROM reference.communes c WHERE ST_Covers(c.geom, p.geom)
            ORDER BY c.code LIMIT 1) inside ON true
        LEFT JOIN LATERAL (
            SELECT c.code FROM reference.communes c
            WHERE inside.code IS NULL AND ST_DWithin(c.geom, p.geom, 0.05)
            AND EXISTS (SELECT FROM reference.country k WHERE ST_Covers(k.geom, p.geom))
            ORDER BY c.geom <-> p.geom LIMIT 1) near ON true
        CROSS JOIN LATERAL (SELECT coalesce(inside.code, near.code) AS code) detected
        JOIN reference.communes chosen ON chosen.code = coalesce(g.commune, detected.code)
            AND (chosen.code = detected.code OR (detected.code IS NOT NULL AND ST_DWithin(
                chosen.geom::geography, p.geom::geography, {domain.COMMUNE_MARGIN_M})))
        WHERE g.lon IS NOT NULL
        UNION ALL
        SELECT g.n, NULL, a.commune_code, a.commune_code, a.code
        FROM given g JOIN reference.arrondissements a ON a.code = g.arrondissement
        WHERE g.lon IS NULL
    ),
    counted AS (
        INSERT INTO rate_counters (subject, hour, count)
        SELECT decode(subject, 'hex'), date_trunc('hour', now()), count(*)
        FROM given WHERE subject IS NOT NULL GROUP BY subject ORDER BY subject
        ON CONFLICT (subject, hour) DO UPDATE SET count = rate_counters.count + excluded.count
        RETURNING subject, count
    ),
    fit AS MATERIALIZED (
        SELECT g.*, place.geom, place.commune AS lies_in, place.detected,
            place.arrondissement AS part
        FROM given g JOIN place USING (n)
        LEFT JOIN counted ON counted.subject = decode(g.subject, 'hex')
        WHERE (g.most IS NULL OR counted.count <= g.most)
        AND NOT EXISTS (
            SELECT FROM (
                SELECT unnest(g.photos) AS id, 'photo' AS kind
                UNION ALL SELECT g.voice, 'voice' WHERE g.voice IS NOT NULL) sent
            WHERE NOT EXISTS (
                SELECT FROM uploads u WHERE u.id = sent.id AND u.kind = sent.kind
                AND u.detached_at IS NULL
                AND NOT EXISTS (SELECT FROM attachments a WHERE a.upload_id = u.id)))
    ),
    claimed AS (
        INSERT INTO idempotency_keys (key, scope, fingerprint, status, headers, body)
        SELECT key, scope, decode(fingerprint, 'hex'), 201,
            jsonb_build_object('Location', '/api/v1/reports/' || id),
            jsonb_build_object('id', id, 'ref', ref, 'status', 'received',
                'commune', lies_in, 'category', category)
        FROM fit WHERE key IS NOT NULL ORDER BY key, scope
        ON CONFLICT DO NOTHING RETURNING key, scope
    ),
    report AS (
        INSERT INTO reports (id, ref, commune, commune_detected, arrondissement, landmark,
            category, status, description, geom, reporter, gender, channel, attributes,
            follow_up_hash, created_at, updated_at, agency, answer_due_at, due_at)
        SELECT f.id, f.ref, f.lies_in, f.detected, f.part, f.landmark, f.category, 'received',
            f.description, f.geom, f.reporter, f.gender, f.channel, f.attributes,
            decode(f.follow_up_hash, 'hex'), f.at, f.at,
            CASE WHEN EXISTS (SELECT FROM routing_rules u WHERE u.commune = f.lies_in)
                THEN coalesce(routed_agency(f.lies_in, f.category, f.part, f.at), f.agency)
                ELSE f.agency END,
            CASE WHEN t.commune IS NULL THEN f.answer_due_at
                ELSE working_day_after(f.at, t.answer_days) END,
            CASE WHEN t.commune IS NULL THEN f.due_at
                ELSE working_day_after(f.at, t.repair_days) END
        FROM fit f LEFT JOIN targets t ON t.commune = f.lies_in AND t.category = f.category
        WHERE f.key IS NULL OR (f.key, f.scope) IN (SELECT key, scope FROM claimed)
        RETURNING id, ref, commune, arrondissement, category, shown_geom, created_at, reporter
    ),
    told AS (
        INSERT INTO history (report_id, version, status, at, actor_kind, actor)
        SELECT id, 1, 'received', created_at, 'citizen', reporter FROM report
    ),
    attached AS (
        INSERT INTO attachments (report_id, position, upload_id)
        SELECT r.id, sent.position, sent.upload_id FROM report r JOIN fit f ON f.id = r.id
        CROSS JOIN LATERAL (
            SELECT position, upload_id
            FROM unnest(f.photos) WITH ORDINALITY AS photo(upload_id, position)
            UNION ALL SELECT 0, f.voice WHERE f.voice IS NOT NULL) sent
    ),
    said AS (
        INSERT INTO outbox (id, source, type, time, subject, key, sequence, traceparent, payload)
        SELECT f.event_id, 'reports', 'bj.palabre.report.received.v1', r.created_at, r.id::text,
            r.commune, 1, f.traceparent, jsonb_build_object('id', r.id, 'ref', r.ref,
                'commune', r.commune, 'arrondissement', r.arrondissement,
                'category', r.category, 'status', 'received', 'lon', ST_X(r.shown_geom),
                'lat', ST_Y(r.shown_geom), 'received_at', r.created_at)
        FROM report r JOIN fit f ON f.id = r.id
    )
    SELECT g.n, r.id, r.ref, r.commune, r.category,
        coalesce(c.count > g.most, false) AS limited
    FROM given g LEFT JOIN report r ON r.id = g.id
    LEFT JOIN counted c ON c.subject = decode(g.subject, 'hex')
    ORDER BY g.n
""")  # noqa: S608 - a number of ours

_WHY_NOT = text("""
    SELECT EXISTS (SELECT FROM reference.country
            WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))) AS inside,
        EXISTS (SELECT FROM reference.country
            WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lat, :lon), 4326))) AS swapped,
        EXISTS (SELECT FROM reference.communes WHERE code = :commune) AS known,
        (SELECT ST_DWithin(geom::geography,
                ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography, :margin)
            FROM reference.communes WHERE code = :commune) AS near
""")


@dataclass(frozen=True, slots=True)
class NewRow:
    """A report to insert: coordinates in degrees, or an arrondissement's code.

    ``agency`` and the due dates hold unless the commune has rules and targets of its own.
    ``subject`` (hex) is counted against ``most`` in this hour; ``key``, ``scope`` and
    ``fingerprint`` (hex) claim an Idempotency-Key. Hashes are hex.
    """

    id: UUID
    ref: str
    event_id: UUID
    traceparent: str
    category: str
    description: str
    at: datetime
    agency: str
    answer_due_at: datetime
    due_at: datetime
    lon: float | None = None
    lat: float | None = None
    arrondissement: str | None = None
    commune: str | None = None
    landmark: str = ""
    photos: list[UUID] = field(default_factory=list)
    voice: UUID | None = None
    reporter: UUID | None = None
    gender: str | None = None
    channel: str = "web"
    attributes: dict[str, Any] = field(default_factory=dict)
    follow_up_hash: str | None = None
    subject: str | None = None
    most: int | None = None
    key: UUID | None = None
    scope: str = ""
    fingerprint: str = ""


def insert_reports(session: Session, rows: Sequence[NewRow]) -> Sequence[Row[Any]]:
    """Store reports with all that belongs to them in one statement.

    Returns a row for each, in order: its ``id`` is None when it was not stored, for a place that
    does not fit, an attachment that is not free, a key already used, or a limit (``limited``).
    Each (key, scope) may come once. A ref already taken is an IntegrityError for all of them.
    """
    outbox.hold(session, SOURCE)
    given = [
        {"n": n, **{name: getattr(row, name) for name in row.__slots__}}
        for n, row in enumerate(rows)
    ]
    return session.execute(_INSERT, {"rows": json.dumps(given, default=str)}).all()


def why_not(session: Session, row: NewRow) -> Row[Any]:
    """Return ``inside`` the country, inside when ``swapped``, commune ``known`` and ``near``."""
    values = {"lon": row.lon, "lat": row.lat, "commune": row.commune}
    return session.execute(_WHY_NOT, {**values, "margin": domain.COMMUNE_MARGIN_M}).one()


def attachments_free(session: Session, uploads: Sequence[UUID]) -> bool:
    """Tell whether all uploads exist and belong to no report yet."""
    found = session.scalar(
        text(
            "SELECT count(*) FROM uploads u WHERE u.id = ANY(CAST(:ids AS uuid[])) "
            "AND u.detached_at IS NULL "
            "AND NOT EXISTS (SELECT FROM attachments a WHERE a.upload_id = u.id)"
        ),
        {"ids": [str(upload) for upload in uploads]},
    )
    return bool(found == len(set(uploads)))


def find(session: Session, key: UUID | str, *, lock: bool = False) -> Report | None:
    """Return a report by id or ref, locked for an update (and read anew) when asked."""
    column = Report.id if isinstance(key, UUID) else Report.ref
    query = select(Report).where(column == key)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).one_or_none()


def history(session: Session, report_id: UUID) -> list[HistoryLine]:
    """Return a report's history, oldest first."""
    return list(
        session.scalars(
            select(HistoryLine)
            .where(HistoryLine.report_id == report_id)
            .order_by(HistoryLine.version)
        )
    )


def attachments(session: Session, report_id: UUID) -> Sequence[Row[Any]]:
    """Return ``(upload_id, kind, media_type, seconds, hidden)`` in order, a voice note first."""
    return session.execute(
        text(
            "SELECT a.upload_id, u.kind, u.media_type, u.seconds, a.hidden FROM attachments a "
            "JOIN uploads u ON u.id = a.upload_id WHERE a.report_id = :id ORDER BY a.position"
        ),
        {"id": report_id},
    ).all()


def detach(session: Session, report_id: UUID, uploads: Sequence[UUID]) -> int:
    """Take attachments off a report, for good: nobody may attach them again. Return how many."""
    done = session.execute(
        text(
            "WITH off AS (DELETE FROM attachments WHERE report_id = :id "
            "AND upload_id = ANY(CAST(:uploads AS uuid[])) RETURNING upload_id) "
            "UPDATE uploads SET detached_at = now() WHERE id IN (SELECT upload_id FROM off)"
        ),
        {"id": report_id, "uploads": [str(upload) for upload in uploads]},
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def point(
    session: Session, report_id: UUID, *, exact: bool = False
) -> tuple[float | None, float | None]:
    """Return a report's longitude and latitude, ``exact`` or as the public sees them."""
    column = "geom" if exact else "shown_geom"
    query = text(f"SELECT ST_X({column}), ST_Y({column}) FROM reports WHERE id = :id")  # noqa: S608
    row = session.execute(query, {"id": report_id}).one()
    return row[0], row[1]


# The reports merged into one, at any depth, itself included.
_TREE = """
    WITH RECURSIVE tree AS (
        SELECT id, reporter, follow_up_hash FROM reports WHERE id = :id
        UNION SELECT r.id, r.reporter, r.follow_up_hash
        FROM reports r JOIN tree ON r.duplicate_of = tree.id
    ),
    persons AS (
        SELECT s.user_id FROM supports s JOIN tree ON tree.id = s.report_id
        UNION SELECT reporter FROM tree WHERE reporter IS NOT NULL
    )
"""
_ADD_SUPPORT = text("""
    INSERT INTO supports (report_id, user_id)
    SELECT :report, :user WHERE NOT EXISTS (
        SELECT FROM reports WHERE id = :report AND reporter = :user)
    ON CONFLICT DO NOTHING
""")
# Persons of the whole tree besides the reporter of its root; anonymous duplicates count one each.
_RECOUNT = text(f"""
    {_TREE}
    UPDATE reports SET supports =
        (SELECT count(*) FROM persons
         WHERE user_id IS DISTINCT FROM (SELECT reporter FROM reports WHERE id = :id))
        + (SELECT count(*) FROM tree WHERE reporter IS NULL AND id <> :id)
    WHERE id = :id RETURNING supports
""")  # noqa: S608
_FOLLOWERS = text(f"{_TREE} SELECT user_id FROM persons ORDER BY user_id")  # noqa: S608
_ROOT = text("""
    WITH RECURSIVE up AS (
        SELECT id, duplicate_of FROM reports WHERE id = :id
        UNION SELECT r.id, r.duplicate_of FROM reports r JOIN up ON r.id = up.duplicate_of
    )
    SELECT id FROM up WHERE duplicate_of IS NULL
""")
_LOCK_MERGES = text("SELECT pg_advisory_xact_lock(hashtextextended('palabre.merge.' || :c, 0))")


def lock_merges(session: Session, commune: str) -> None:
    """Let one transaction at a time join and part reports of a commune."""
    session.execute(_LOCK_MERGES, {"c": commune})


def root(session: Session, report_id: UUID) -> UUID:
    """Return the report that this one is merged into at last, itself when it is not."""
    found: UUID = session.execute(_ROOT, {"id": report_id}).scalar_one()
    return found


_IN_ORDER = text(
    "SELECT id FROM reports WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"
)


def lock_in_order(session: Session, ids: Iterable[UUID]) -> None:
    """Lock reports by id: who locks several does it so, and nobody waits in a ring."""
    session.execute(_IN_ORDER, {"ids": [str(one) for one in ids]})


def add_support(session: Session, report_id: UUID, user_id: UUID) -> int:
    """Count a person's "me too" once; return the total of the whole merged problem."""
    lock_in_order(session, {report_id, root(session, report_id)})
    session.execute(_ADD_SUPPORT, {"report": report_id, "user": user_id})
    counted = recount(session, report_id)
    top = root(session, report_id)
    return counted if top == report_id else recount(session, top)


def recount(session: Session, report_id: UUID) -> int:
    """Count again who is concerned besides the reporter; return how many."""
    return int(session.execute(_RECOUNT, {"id": report_id}).scalar_one())


def followers(session: Session, report_id: UUID) -> list[UUID]:
    """Return the persons to tell about a report: who sent or supported it or its duplicates."""
    return list(session.scalars(_FOLLOWERS, {"id": report_id}))


_WROTE = text(f"""
    {_TREE} SELECT EXISTS (
        SELECT FROM tree WHERE reporter = :user OR follow_up_hash = :hash)
""")  # noqa: S608


def wrote_one(
    session: Session, report_id: UUID, user_id: UUID | None, follow_up_hash: bytes | None
) -> bool:
    """Tell whether somebody is the author of a report or of one merged into it."""
    values = {"id": report_id, "user": user_id, "hash": follow_up_hash}
    return bool(session.execute(_WROTE, values).scalar_one())


def public_refs(session: Session, refs: Sequence[str]) -> set[str]:
    """Return those of ``refs`` that anybody may see."""
    query = text("SELECT ref FROM public_reports WHERE ref = ANY(:refs)")
    return set(session.scalars(query, {"refs": list(refs)})) if refs else set()


def has_duplicates(session: Session, report_id: UUID) -> bool:
    """Tell whether any report, hidden or not, is merged into this one."""
    query = text("SELECT EXISTS (SELECT FROM reports WHERE duplicate_of = :id)")
    return bool(session.execute(query, {"id": report_id}).scalar_one())


def merged_into(session: Session, report_id: UUID) -> list[Report]:
    """Return the reports merged into one, hidden or not, locked in order."""
    query = select(Report).where(Report.duplicate_of == report_id).order_by(Report.id)
    return list(session.scalars(query.with_for_update()))


def duplicates_of(session: Session, report_id: UUID) -> list[str]:
    """Return the refs of the public reports merged into one, oldest first."""
    query = "SELECT ref FROM public_reports WHERE duplicate_of = :id ORDER BY created_at, id"
    return list(session.scalars(text(query), {"id": report_id}))


def proposals_of(session: Session, report_id: UUID) -> Sequence[Row[Any]]:
    """Return ``(ref, status)`` of the proposals that grew out of a report, oldest first."""
    return session.execute(
        text(
            "SELECT proposal_ref AS ref, status FROM report_proposals WHERE report_id = :id "
            "AND status <> 'submitted' ORDER BY proposal_id"
        ),
        {"id": report_id},
    ).all()


def contact(session: Session, report_id: UUID) -> Row[Any] | None:
    """Return ``(name, phone, email)`` of a reporter, for staff only."""
    return session.execute(
        text("SELECT name, phone, email FROM contacts WHERE report_id = :id"), {"id": report_id}
    ).one_or_none()


def agent_names(session: Session, commune: str) -> dict[UUID, str]:
    """Return what the commune's agents are called, by person."""
    rows = session.execute(
        text("SELECT user_id, name FROM agents WHERE commune = :c"), {"c": commune}
    )
    return {row.user_id: row.name for row in rows}


_RETARGET = text("""
    UPDATE reports r SET
        agency = coalesce(routed_agency(r.commune, r.category, r.arrondissement, r.created_at),
            :agency),
        answer_due_at = working_day_after(r.created_at, coalesce(t.answer_days, :answer_days)),
        due_at = working_day_after(r.created_at, coalesce(t.repair_days, :repair_days))
    FROM (SELECT 1) one LEFT JOIN targets t ON t.commune = :commune AND t.category = :category
    WHERE r.id = :id
""")
_MOVE = text(f"""
    UPDATE reports r SET commune = c.code, arrondissement = (
        SELECT a.code FROM reference.arrondissements a
        WHERE a.commune_code = c.code AND ST_Covers(a.geom, r.geom) LIMIT 1)
    FROM reference.communes c
    WHERE r.id = :id AND c.code = :commune AND r.geom IS NOT NULL AND ST_DWithin(
        c.geom::geography, r.geom::geography, {domain.COMMUNE_MARGIN_M})
    RETURNING r.arrondissement
""")  # noqa: S608


def move(session: Session, report_id: UUID, commune: str) -> bool:
    """Give a report to another commune that its point may belong to; tell whether it could."""
    return session.execute(_MOVE, {"id": report_id, "commune": commune}).first() is not None


def retarget(session: Session, report: Report) -> None:
    """Find the agency and the due dates of a report's present category and commune."""
    category = domain.CATEGORIES[report.category]
    session.execute(
        _RETARGET,
        {
            "id": report.id,
            "commune": report.commune,
            "category": report.category,
            "agency": category.agency,
            "answer_days": category.answer_days,
            "repair_days": category.repair_days,
        },
    )


#: The columns anyone may see; ``r`` is a row of the view ``public_reports``.
FEATURE = """
    json_build_object('type', 'Feature', 'id', r.id,
        'geometry', ST_AsGeoJSON(r.geom, 6)::json,
        'properties', json_build_object('id', r.id, 'ref', r.ref, 'commune', r.commune,
            'arrondissement', r.arrondissement, 'category', r.category, 'status', r.status,
            'description', left(r.description, 600), 'landmark', r.landmark,
            'created_at', r.created_at, 'updated_at', r.updated_at, 'supports', r.supports,
            'agency', r.agency, 'due_at', r.due_at,
            'photo', (SELECT p.upload_id FROM public_photos p
                      WHERE p.report_id = r.id ORDER BY p.position LIMIT 1))) AS feature
"""

FILTERS = {
    "commune": "r.commune = :commune",
    "arrondissement": "r.arrondissement = :arrondissement",
    "category": "r.category = :category",
    "status": "r.status = ANY(:status)",
    "bbox": "r.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)",
    "since": "r.created_at >= :since",
    "until": "r.created_at < :until",
    "after": "(r.created_at, r.id) < (:after_at, :after_id)",
}


def features(
    session: Session, filters: Sequence[str], values: dict[str, Any], limit: int
) -> list[tuple[datetime, UUID, dict[str, Any]]]:
    """Return ``(created_at, id, feature)`` of public columns, newest first."""
    where = " AND ".join(FILTERS[name] for name in filters) or "true"
    rows = session.execute(
        text(
            f"SELECT r.created_at, r.id, {FEATURE} FROM public_reports r "  # noqa: S608
            f"WHERE {where} ORDER BY r.created_at DESC, r.id DESC LIMIT :limit"
        ),
        {**values, "limit": limit},
    )
    return [(row.created_at, row.id, row.feature) for row in rows]


_OPEN = ", ".join(f"'{status}'" for status in domain.STATUSES if status in domain.OPEN)
_DUPLICATES = text(f"""
    SELECT {FEATURE}, round(ST_Distance(r.geom::geography, p.geom::geography)) AS distance
    FROM public_reports r, (SELECT ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS geom) p
    WHERE r.geom && ST_Expand(p.geom, :degrees)
    AND r.status IN ({_OPEN})
    AND r.category = :category
    AND ST_DWithin(r.geom::geography, p.geom::geography, :radius)
    ORDER BY distance, r.id LIMIT 10
""")  # noqa: S608


def duplicates(
    session: Session, lon: float, lat: float, category: str, radius: float
) -> list[tuple[dict[str, Any], float]]:
    """Return open reports of ``category`` within ``radius`` metres, with the distance."""
    # One degree is at least 108 km anywhere in Bénin: the box holds the circle.
    degrees = radius / 108_000
    rows = session.execute(
        _DUPLICATES,
        {"lon": lon, "lat": lat, "category": category, "radius": radius, "degrees": degrees},
    )
    return [(row.feature, float(row.distance)) for row in rows]


_MINE = text("""
    SELECT id, ref, commune, category, status, created_at, updated_at, supports, duplicate_of,
        coalesce(public_description, description) AS description,
        reporter IS NOT DISTINCT FROM :user AS own
    FROM reports r
    WHERE reporter = :user OR (id IN (SELECT report_id FROM supports WHERE user_id = :user)
        AND hidden_at IS NULL AND status <> 'withdrawn')
    ORDER BY updated_at DESC, id DESC LIMIT :limit
""")


def mine(session: Session, user_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Return what a person sent or supports, the latest change first."""
    return session.execute(_MINE, {"user": user_id, "limit": limit}).all()


_REWRITE = text("""
    UPDATE history h SET public_note = :note FROM history before
    WHERE h.report_id = :id AND h.version = :version
    AND h.actor_kind = 'citizen' AND h.public_note <> ''
    AND (:any OR NOT h.detail ? 'merged')
    AND before.report_id = h.report_id AND before.version = h.version
    RETURNING before.public_note
""")


def rewrite_note(
    session: Session, report_id: UUID, version: int, note: str, *, of_any: bool = False
) -> str | None:
    """Replace the words of a citizen's line of history; return the former, None for no such line.

    The author of the report's own lines, with ``of_any`` also what authors of merged reports said.
    """
    values = {"id": report_id, "version": version, "note": note, "any": of_any}
    found: str | None = session.execute(_REWRITE, values).scalar_one_or_none()
    return found


_FORGET_MODERATED = text("""
    UPDATE history SET detail = detail - 'landmark' - 'notes'
    WHERE report_id = :id AND kind = 'moderation' AND detail ?| ARRAY['landmark', 'notes']
""")


def forget_moderated(session: Session, report_id: UUID) -> None:
    """Forget the words that moderation kept for the mairie: their author took them back."""
    session.execute(_FORGET_MODERATED, {"id": report_id})


def arrondissement_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is an arrondissement's."""
    query = text("SELECT 1 FROM reference.arrondissements WHERE code = :code")
    return session.scalar(query, {"code": code}) is not None


def commune_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is a commune's."""
    query = text("SELECT 1 FROM reference.communes WHERE code = :code")
    return session.scalar(query, {"code": code}) is not None


def is_empty(session: Session) -> bool:
    """Tell whether there is no report."""
    return session.scalar(text("SELECT 1 FROM reports LIMIT 1")) is None
