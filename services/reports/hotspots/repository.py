"""Queries of hotspots. Reports are read through ``public_reports`` and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from services.reports.domain import CATEGORIES
from services.reports.hotspots.domain import COUNTED, DETECTED_DAYS
from services.reports.hotspots.grid import Part
from services.reports.hotspots.models import Hotspot

#: One report as PostgreSQL sends it: 48 bytes, so that 50,000 of them are one value.
POINT = np.dtype(
    [
        ("id", "V16"),
        ("lon", ">f8"),
        ("lat", ">f8"),
        ("at", ">f8"),
        ("category", ">i4"),
        ("part", ">i4"),
    ]
)
#: The categories as points number them.
CODES: tuple[str, ...] = tuple(CATEGORIES)

_COUNTED = (
    "commune = :commune AND created_at >= :since AND created_at < :until "
    "AND status = ANY(:statuses) AND (CAST(:category AS text) IS NULL OR category = :category)"
)
_POINTS = text(f"""
    SELECT string_agg(
        uuid_send(id) || float8send(ST_X(geom)) || float8send(ST_Y(geom))
        || float8send(CAST(extract(epoch FROM created_at) AS float8))
        || int4send(array_position(CAST(:codes AS text[]), category) - 1)
        || int4send(coalesce(array_position(CAST(:parts AS text[]), arrondissement) - 1, -1)), '')
    FROM public_reports WHERE geom IS NOT NULL AND {_COUNTED}
""")  # noqa: S608 - our own words
_COUNTS = text(f"""
    SELECT arrondissement, count(*) FROM public_reports
    WHERE {_COUNTED} GROUP BY arrondissement
""")  # noqa: S608
_BUSY = text("""
    SELECT DISTINCT commune FROM public_reports
    WHERE created_at >= :since AND created_at < :until AND status = ANY(:statuses)
    AND geom IS NOT NULL
    GROUP BY commune, category HAVING count(*) >= :least
""")
_INSIDE = text("""
    SELECT r.id, r.ref, r.category, r.status, r.description, r.created_at
    FROM hotspots h JOIN public_reports r ON r.commune = h.commune AND r.category = h.category
        AND ST_Intersects(h.geom, r.geom)
    WHERE h.id = :id AND r.created_at >= :since AND r.created_at < :until
    AND r.status = ANY(:statuses)
    ORDER BY r.created_at DESC, r.id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Counted:
    """Which reports: of a commune, a category or all, in ``[since, until)``."""

    commune: str
    category: str | None
    since: datetime
    until: datetime

    def values(self) -> dict[str, Any]:
        """Return the parameters of :data:`_COUNTED`."""
        return {
            "commune": self.commune,
            "category": self.category,
            "since": self.since,
            "until": self.until,
            "statuses": list(COUNTED),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """A commune's name and shape (WKB, degrees), and its arrondissements by rank."""

    name: str
    wkb: bytes
    parts: tuple[Part, ...]


def place(session: Session, commune: str) -> Place | None:
    """Return a commune, None when there is no such code."""
    found = session.execute(
        text("SELECT name, ST_AsBinary(geom) AS wkb FROM reference.communes WHERE code = :code"),
        {"code": commune},
    ).one_or_none()
    if found is None:
        return None
    parts = session.execute(
        text(
            "SELECT code, name, population_2013, ST_AsBinary(geom) FROM reference.arrondissements "
            "WHERE commune_code = :code ORDER BY rank"
        ),
        {"code": commune},
    )
    return Place(
        found.name, bytes(found.wkb), tuple(Part(c, n, p, bytes(wkb)) for c, n, p, wkb in parts)
    )


def name(session: Session, commune: str, arrondissement: str | None) -> str:
    """Return what an arrondissement is called, its commune without one."""
    query = (
        "SELECT coalesce((SELECT name FROM reference.arrondissements WHERE code = :part), c.name) "
        "FROM reference.communes c WHERE c.code = :commune"
    )
    found: str = session.execute(
        text(query), {"part": arrondissement, "commune": commune}
    ).scalar_one()
    return found


def points(session: Session, which: Counted, parts: Sequence[Part]) -> NDArray[np.void]:
    """Return the reports that have a point, as :data:`POINT`.

    ``at`` in seconds of the epoch; ``part`` the arrondissement's place in ``parts``, -1 for none.
    """
    more = {"codes": list(CODES), "parts": [part.code for part in parts]}
    data = session.scalar(_POINTS, which.values() | more)
    return np.frombuffer(bytes(data or b""), POINT)


def counts(session: Session, which: Counted) -> dict[str | None, int]:
    """Return how many reports each arrondissement has, with or without a point."""
    rows = session.execute(_COUNTS, which.values())
    return {part: int(count) for part, count in rows}


def refs(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the refs of reports."""
    rows = session.execute(
        text("SELECT id, ref FROM public_reports WHERE id = ANY(CAST(:ids AS uuid[]))"),
        {"ids": [str(one) for one in ids]},
    )
    return {row.id: row.ref for row in rows}


def busy(session: Session, since: datetime, until: datetime, least: int) -> list[str]:
    """Return the communes with at least ``least`` reports of one category."""
    values = {"since": since, "until": until, "least": least, "statuses": list(COUNTED)}
    return list(session.scalars(_BUSY, values))


def try_lock(session: Session) -> bool:
    """Take the right to detect until the transaction ends; False when another process has it."""
    query = "SELECT pg_try_advisory_xact_lock(hashtextextended('palabre.hotspots', 0))"
    return bool(session.scalar(text(query)))


def present(session: Session, commune: str, *, lock: bool = False) -> list[Hotspot]:
    """Return a commune's hotspots that have not ended, locked for an update when asked."""
    query = (
        select(Hotspot)
        .where(
            Hotspot.commune == commune,
            Hotspot.ended_at.is_(None),
            Hotspot.days == DETECTED_DAYS,
        )
        .order_by(Hotspot.id)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(session.scalars(query))


def communes_with_hotspots(session: Session) -> list[str]:
    """Return the communes that have a hotspot now."""
    query = select(Hotspot.commune).where(Hotspot.ended_at.is_(None)).distinct()
    return list(session.scalars(query))


def find(session: Session, ref: str, *, lock: bool = False) -> Hotspot | None:
    """Return a hotspot by its ref, locked for an update (and read anew) when asked."""
    query = select(Hotspot).where(Hotspot.ref == ref)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).one_or_none()


def geojson(session: Session, hotspot_id: UUID) -> dict[str, Any]:
    """Return a hotspot's outline."""
    query = text("SELECT ST_AsGeoJSON(geom, 6)::json FROM hotspots WHERE id = :id")
    outline: dict[str, Any] = session.execute(query, {"id": hotspot_id}).scalar_one()
    return outline


def inside(
    session: Session, hotspot_id: UUID, since: datetime, until: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return the public reports counted in a hotspot, newest first."""
    values = {"id": hotspot_id, "since": since, "until": until, "limit": limit}
    return session.execute(_INSIDE, {**values, "statuses": list(COUNTED)}).all()
