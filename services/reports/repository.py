"""Queries of reports. The insert and the lists are single SQL statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from services.common.events import outbox
from services.reports import domain
from services.reports.models import Report, StatusChange

SOURCE = "reports"

_PLACE = f"""
    point AS (SELECT ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS geom),
    detected AS (
        SELECT c.code FROM reference.communes c, point p
        WHERE ST_DWithin(c.geom, p.geom, 0.05)
        ORDER BY ST_Covers(c.geom, p.geom) DESC, c.geom <-> p.geom LIMIT 1
    ),
    chosen AS (
        SELECT c.code FROM reference.communes c, point p
        WHERE c.code = coalesce(:commune, (SELECT code FROM detected))
        AND (:commune IS NULL
             OR ST_DWithin(c.geom::geography, p.geom::geography, {domain.COMMUNE_MARGIN_M}))
        AND EXISTS (SELECT FROM reference.country k WHERE ST_Covers(k.geom, p.geom))
    ),
    place AS (
        SELECT chosen.code AS commune, (SELECT code FROM detected) AS detected, p.geom,
            (SELECT a.code FROM reference.arrondissements a
             WHERE a.commune_code = chosen.code AND ST_Covers(a.geom, p.geom) LIMIT 1
            ) AS arrondissement
        FROM chosen, point p
    )"""  # noqa: S608 - a number of ours

_AREA = """
    place AS (
        SELECT commune_code AS commune, commune_code AS detected,
            NULL::geometry(Point, 4326) AS geom, code AS arrondissement
        FROM reference.arrondissements WHERE code = :arrondissement
    )"""

_INSERT = """
    report AS (
        INSERT INTO reports (id, ref, commune, commune_detected, arrondissement, landmark, category,
            status, description, geom, reporter, follow_up_hash, created_at, updated_at)
        SELECT :id, :ref, commune, detected, arrondissement, :landmark, :category, 'received',
            :description, geom, :reporter, :follow_up_hash, :at, :at
        FROM place ON CONFLICT (ref) DO NOTHING
        RETURNING id, ref, commune, arrondissement, category, geom
    ),
    history AS (
        INSERT INTO status_changes (report_id, version, status, at, actor_kind, actor)
        SELECT id, 1, 'received', :at, 'citizen', :reporter FROM report
    ),
    said AS (
        INSERT INTO outbox (id, source, type, time, subject, key, sequence, traceparent, payload)
        SELECT :event_id, 'reports', 'bj.palabre.report.received.v1', :at, id::text, commune, 1,
            :traceparent, jsonb_build_object('id', id, 'ref', ref, 'commune', commune,
                'arrondissement', arrondissement, 'category', category, 'status', 'received',
                'lon', ST_X(geom), 'lat', ST_Y(geom), 'received_at', CAST(:at AS timestamptz))
        FROM report
    )
    SELECT id, ref, commune, category FROM report"""

_AT_POINT = text(f"WITH {_PLACE}, {_INSERT}")
_IN_AREA = text(f"WITH {_AREA}, {_INSERT}")

_WHY_NOT = text("""
    SELECT EXISTS (SELECT FROM reference.country
            WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))) AS inside,
        EXISTS (SELECT FROM reference.country
            WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lat, :lon), 4326))) AS swapped,
        EXISTS (SELECT FROM reference.communes WHERE code = :commune) AS known
""")

_PHOTOS = text("""
    INSERT INTO report_photos (report_id, position, upload_id)
    SELECT :report_id, ordinality, u.id
    FROM unnest(CAST(:photos AS uuid[])) WITH ORDINALITY AS given(id, ordinality)
    JOIN uploads u ON u.id = given.id
""")


@dataclass(frozen=True, slots=True)
class NewRow:
    """A report to insert; coordinates in degrees, or an arrondissement's code."""

    id: UUID
    ref: str
    event_id: UUID
    traceparent: str
    lon: float | None
    lat: float | None
    arrondissement: str | None
    commune: str | None
    landmark: str
    category: str
    description: str
    reporter: UUID | None
    follow_up_hash: bytes | None
    at: datetime


def insert_report(session: Session, row: NewRow) -> Row[Any] | None:
    """Store a report, its first history line and its event in one statement.

    None when no place fits, or the ref is taken: ask :func:`why_not`.
    """
    outbox.hold(session, SOURCE)
    statement = _IN_AREA if row.lon is None else _AT_POINT
    values = {name: getattr(row, name) for name in row.__slots__}
    return session.execute(statement, values).one_or_none()


def why_not(session: Session, row: NewRow) -> Row[Any]:
    """Return ``inside`` the country, inside when ``swapped``, commune ``known``."""
    return session.execute(_WHY_NOT, {"lon": row.lon, "lat": row.lat, "commune": row.commune}).one()


def attach_photos(session: Session, report_id: UUID, photos: Sequence[UUID]) -> int:
    """Attach uploads in order; return how many exist."""
    values = {"report_id": report_id, "photos": [str(p) for p in photos]}
    return session.execute(_PHOTOS, values).rowcount  # type: ignore[attr-defined, no-any-return]


def add_upload(session: Session, upload_id: UUID) -> None:
    """Record a stored photo."""
    session.execute(text("INSERT INTO uploads (id) VALUES (:id)"), {"id": upload_id})


def upload_is_public(session: Session, upload_id: UUID) -> bool:
    """Tell whether a photo belongs to a report."""
    return (
        session.scalar(
            text("SELECT 1 FROM report_photos WHERE upload_id = :id LIMIT 1"), {"id": upload_id}
        )
        is not None
    )


def find(session: Session, key: UUID | str, *, lock: bool = False) -> Report | None:
    """Return a report by id or ref, locked for an update when asked."""
    column = Report.id if isinstance(key, UUID) else Report.ref
    query = select(Report).where(column == key)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def history(session: Session, report_id: UUID) -> list[StatusChange]:
    """Return a report's history, oldest first."""
    return list(
        session.scalars(
            select(StatusChange)
            .where(StatusChange.report_id == report_id)
            .order_by(StatusChange.version)
        )
    )


def photos(session: Session, report_id: UUID) -> list[UUID]:
    """Return the ids of a report's photos, in order."""
    return list(
        session.scalars(
            text("SELECT upload_id FROM report_photos WHERE report_id = :id ORDER BY position"),
            {"id": report_id},
        )
    )


def point(session: Session, report_id: UUID) -> tuple[float | None, float | None]:
    """Return a report's longitude and latitude."""
    row = session.execute(
        text("SELECT ST_X(geom), ST_Y(geom) FROM reports WHERE id = :id"), {"id": report_id}
    ).one()
    return row[0], row[1]


def add_support(session: Session, report_id: UUID, user_id: UUID) -> int:
    """Count a person's "me too" once; return the total."""
    return int(
        session.scalar(
            text("""
                WITH new AS (
                    INSERT INTO supports (report_id, user_id) VALUES (:report, :user)
                    ON CONFLICT DO NOTHING RETURNING 1
                )
                UPDATE reports SET supports = supports + (SELECT count(*) FROM new)
                WHERE id = :report RETURNING supports
            """),
            {"report": report_id, "user": user_id},
        )
    )


# The columns anyone may see; contact, reporter and internal notes are not among them.
_FEATURE = """
    json_build_object('type', 'Feature', 'id', r.id,
        'geometry', ST_AsGeoJSON(r.geom, 6)::json,
        'properties', json_build_object('id', r.id, 'ref', r.ref, 'commune', r.commune,
            'arrondissement', r.arrondissement, 'category', r.category, 'status', r.status,
            'description', left(r.description, 600), 'landmark', r.landmark,
            'created_at', r.created_at, 'supports', r.supports,
            'photo', (SELECT p.upload_id FROM report_photos p
                      WHERE p.report_id = r.id ORDER BY p.position LIMIT 1))) AS feature
"""

_FILTERS = {
    "commune": "r.commune = :commune",
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
    where = " AND ".join(_FILTERS[name] for name in filters) or "true"
    rows = session.execute(
        text(
            f"SELECT r.created_at, r.id, {_FEATURE} FROM reports r WHERE {where} "  # noqa: S608
            "ORDER BY r.created_at DESC, r.id DESC LIMIT :limit"
        ),
        {**values, "limit": limit},
    )
    return [(row.created_at, row.id, row.feature) for row in rows]


_DUPLICATES = text(f"""
    SELECT {_FEATURE}, round(ST_Distance(r.geom::geography, p.geom::geography)) AS distance
    FROM reports r, (SELECT ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS geom) p
    WHERE r.geom && ST_Expand(p.geom, :degrees)
    AND r.status IN ('received', 'acknowledged', 'in_progress', 'reopened')
    AND r.category = :category
    AND ST_DWithin(r.geom::geography, p.geom::geography, :radius)
    ORDER BY distance LIMIT 10
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


def arrondissement_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is an arrondissement's."""
    query = text("SELECT 1 FROM reference.arrondissements WHERE code = :code")
    return session.scalar(query, {"code": code}) is not None


def commune_is_near(session: Session, row: NewRow) -> bool:
    """Tell whether the point may be given to the chosen commune."""
    query = text("""
        SELECT ST_DWithin(geom::geography,
            ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography, :margin)
        FROM reference.communes WHERE code = :commune
    """)
    values = {"lon": row.lon, "lat": row.lat, "commune": row.commune}
    return bool(session.scalar(query, {**values, "margin": domain.COMMUNE_MARGIN_M}))


def is_empty(session: Session) -> bool:
    """Tell whether there is no report."""
    return session.scalar(text("SELECT 1 FROM reports LIMIT 1")) is None
