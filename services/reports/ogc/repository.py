"""Reading features, their text made by SQL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.reports.exports.repository import PUBLIC_VIEW, View, labels
from services.reports.ogc.domain import COLLECTIONS, Collection, Order, Query
from services.reports.repository import FILTERS

#: Five decimals are a metre: as fine as the boundaries are.
VIEWS: Mapping[str, View] = {
    "signalements": PUBLIC_VIEW,
    "communes": View(
        "reference.communes r", COLLECTIONS["communes"].columns, {}, id="r.code", digits=5
    ),
    "arrondissements": View(
        "reference.arrondissements r JOIN reference.communes c ON c.code = r.commune_code",
        COLLECTIONS["arrondissements"].columns,
        {"commune": "r.commune_code", "commune_name": "c.name"},
        id="r.code",
        digits=5,
    ),
}
_WHERE = {
    **FILTERS,
    "start": "r.created_at >= :start",
    "end": "r.created_at < :end",
    "department": "r.department = :department",
}
_ARRONDISSEMENTS_OF = "r.commune_code = :commune"
#: The key of a page's order, how a page begins after one, and its parameters.
_ORDER: Mapping[Order, tuple[str, str, str, tuple[str, ...]]] = {
    "newest": (
        "r.created_at AS key_at, r.id AS key_id",
        "r.created_at DESC, r.id DESC",
        FILTERS["after"],
        ("after_at", "after_id"),
    ),
    "code": ("r.code AS key_code", "r.code", "r.code > :after_code", ("after_code",)),
}
# A box of no width is a line or a point, which the constructor of boxes would not make.
_BOX = (
    "ST_SetSRID(ST_Envelope(ST_MakeLine(ST_MakePoint(:west{n}, :south{n}), "
    "ST_MakePoint(:east{n}, :north{n}))), 4326)"
)


def page(session: Session, collection: Collection, query: Query, base: str) -> list[Row[Any]]:
    """Return rows of the order's key and ``feature`` (text): one more than the limit if there is.

    What has no place fits every box (17-069r4, /req/core/fc-bbox-response).
    """
    view = VIEWS[collection.id]
    key, order, beyond, names = _ORDER[collection.order]
    values: dict[str, Any] = {**labels(base), "limit": query.limit + 1}
    conditions = ["true"]
    for name, value in query.where.items():
        if name == "bbox":
            conditions.append(_boxes(value, values))
        elif name == "after":
            conditions.append(beyond)
            values |= zip(names, value, strict=True)
        else:
            conditions.append(_condition(collection, name))
            values[name] = value
    return list(
        session.execute(
            text(
                f"SELECT {key}, {view.feature(sparse=True)} FROM {view.source} "  # noqa: S608
                f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT :limit"
            ),
            values,
        )
    )


def _condition(collection: Collection, name: str) -> str:
    if collection.id == "arrondissements" and name == "commune":
        return _ARRONDISSEMENTS_OF
    return _WHERE[name]


def _boxes(boxes: list[tuple[float, ...]], values: dict[str, Any]) -> str:
    found = ["r.geom IS NULL"]
    for n, box in enumerate(boxes):
        values |= {
            f"{s}{n}": v for s, v in zip(("west", "south", "east", "north"), box, strict=True)
        }
        found.append(f"ST_Intersects(r.geom, {_BOX.format(n=n)})")
    return f"({' OR '.join(found)})"


def feature(session: Session, collection: Collection, key: UUID | str, base: str) -> str | None:
    """Return one feature's text, by its id; a report's also by its ref."""
    view = VIEWS[collection.id]
    column = view.id
    if collection.order == "newest" and isinstance(key, str):
        column = "r.ref"
    found: str | None = session.scalar(
        text(f"SELECT {view.feature(sparse=True)} FROM {view.source} WHERE {column} = :key"),  # noqa: S608
        {**labels(base), "key": key},
    )
    return found


_EXTENT = text("""
    SELECT ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom) FROM reference.country
""")
_FIRST = text("SELECT min(created_at) FROM public_reports")


def extent(session: Session) -> tuple[list[float], datetime | None]:
    """Return the country's box (west, south, east, north), and when the first report came."""
    box = session.execute(_EXTENT).one()
    return [round(float(side), 5) for side in box], session.scalar(_FIRST)
