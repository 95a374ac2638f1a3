"""Queries of Open311: the public views for answers, clients and contacts for the mairie."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

FILTERS = {
    "refs": "r.ref = ANY(:refs)",
    "commune": "r.commune = :commune",
    "categories": "r.category = ANY(:categories)",
    "statuses": "r.status = ANY(:statuses)",
    "first": "r.created_at >= :first",
    "last": "r.created_at <= :last",
    "radius": (
        # One degree is at least 108 km anywhere in Bénin: the box holds the circle.
        "r.geom && ST_Expand(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :radius / 108000.0) "
        "AND ST_DWithin(r.geom::geography, "
        "ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography, :radius)"
    ),
}

# The rows of the page are found by a narrow look-up first; notes and photos are for them alone.
_REQUESTS = """
    WITH page AS (
        SELECT r.id FROM public_reports r WHERE {where}
        ORDER BY r.created_at DESC, r.id DESC LIMIT :size OFFSET :skip)
    SELECT r.ref, r.status, r.category, r.description, r.agency, r.forwarded_to, r.landmark,
        r.arrondissement, a.name AS arrondissement_name, c.name AS commune_name,
        r.created_at, r.updated_at, r.closed_at, r.due_at,
        round(ST_X(r.geom)::numeric, 6)::float8 AS lon,
        round(ST_Y(r.geom)::numeric, 6)::float8 AS lat,
        (SELECT h.public_note FROM history h WHERE h.report_id = r.id AND h.public_note <> ''
         ORDER BY h.version DESC LIMIT 1) AS note,
        (SELECT p.upload_id FROM public_photos p WHERE p.report_id = r.id
         ORDER BY p.position LIMIT 1) AS photo
    FROM page JOIN public_reports r USING (id)
    LEFT JOIN reference.arrondissements a ON a.code = r.arrondissement
    LEFT JOIN reference.communes c ON c.code = r.commune
    ORDER BY r.created_at DESC, r.id DESC
"""


def requests(
    session: Session, values: Mapping[str, Any], *, size: int, skip: int = 0
) -> Sequence[Row[Any]]:
    """Return public reports, newest first; every member of ``values`` that filters does."""
    where = " AND ".join(FILTERS[name] for name in FILTERS if name in values) or "true"
    query = text(_REQUESTS.format(where=where))
    return session.execute(query, {**values, "size": size, "skip": skip}).all()


_COMMUNE = text("SELECT name FROM reference.communes WHERE code = :code")
_PLACES = text("SELECT code, name FROM reference.arrondissements WHERE commune_code = :code")


def commune_name(session: Session, code: str) -> str | None:
    """Return what a commune is called, None for a code that is no commune's."""
    name: str | None = session.scalar(_COMMUNE, {"code": code})
    return name


def arrondissements(session: Session, commune: str) -> list[tuple[str, str]]:
    """Return ``(code, name)`` of a commune's arrondissements."""
    return [(row.code, row.name) for row in session.execute(_PLACES, {"code": commune})]


_CONTACT = text("""
    INSERT INTO contacts (report_id, name, phone, email, device, account)
    VALUES (:report_id, :name, :phone, :email, :device, :account)
""")


def add_contact(session: Session, report_id: UUID, contact: Mapping[str, str]) -> None:
    """Keep how to reach a reporter (name, phone, email, device, account), for staff only."""
    session.execute(_CONTACT, {"report_id": report_id, **contact})


_CLIENT = "id, commune, name, test, created_at, revoked_at"
_BY_KEY = text(f"SELECT {_CLIENT} FROM api_clients WHERE key_hash = :hash AND revoked_at IS NULL")  # noqa: S608
_ADD = text(f"""
    INSERT INTO api_clients (id, commune, name, key_hash, test, created_by)
    VALUES (:id, :commune, :name, :hash, :test, :by)
    ON CONFLICT (key_hash) DO NOTHING RETURNING {_CLIENT}
""")  # noqa: S608
_LIST = text(f"""
    SELECT {_CLIENT} FROM api_clients
    WHERE commune = coalesce(:commune, commune) ORDER BY created_at DESC, id DESC
""")  # noqa: S608
_REVOKE = text(f"""
    UPDATE api_clients SET revoked_at = coalesce(revoked_at, now())
    WHERE id = :id AND commune = coalesce(:commune, commune) RETURNING {_CLIENT}
""")  # noqa: S608


def client_of(session: Session, key_hash: bytes) -> Row[Any] | None:
    """Return the client that holds a key, None when it was never issued or is revoked."""
    return session.execute(_BY_KEY, {"hash": key_hash}).one_or_none()


def add_client(session: Session, client: Mapping[str, Any]) -> Row[Any] | None:
    """Store a client (id, commune, name, hash, test, by); None when its key is there already."""
    return session.execute(_ADD, client).one_or_none()


def clients(session: Session, commune: str | None) -> Sequence[Row[Any]]:
    """Return the clients of a commune (of all without one), newest first."""
    return session.execute(_LIST, {"commune": commune}).all()


def revoke(session: Session, client_id: UUID, commune: str | None) -> Row[Any] | None:
    """End a client's key for good; None when the commune has no such client."""
    return session.execute(_REVOKE, {"id": client_id, "commune": commune}).one_or_none()
