"""The documents of the OGC API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from services.common.requests import id_or_ref
from services.reports.ogc import repository
from services.reports.ogc.domain import (
    COLLECTIONS,
    CONFORMANCE,
    CRS84,
    GEOJSON,
    HTML,
    JSON,
    OPENAPI,
    SCHEMA,
    Collection,
    read_query,
    write_cursor,
)
from services.reports.ogc.errors import UnknownCollection, UnknownFeature

ROOT = "/ogc"
TITLE = "Palabre, données ouvertes"
ABOUT = (
    "Les signalements publics des communes du Bénin et les limites des communes et des "
    "arrondissements, selon OGC API – Features : à ouvrir dans QGIS, GDAL ou un programme."
)

Link = dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands: the site's address, the path, the parameters it was asked with."""

    base: str
    path: str
    query: Sequence[tuple[str, str]] = ()

    @property
    def root(self) -> str:
        """The address of the landing page."""
        return f"{self.base}{ROOT}"

    def itself(self, kind: str = JSON) -> list[Link]:
        """Return the links to this answer and to its other form.

        JSON is what is given unasked: its address needs no ``f``, and stays a stem that GDAL
        may lengthen.
        """
        plain = [(name, value) for name, value in self.query if name != "f"]
        return [
            link(self._at(plain), "self", kind, "Ce document"),
            link(self._at([*plain, ("f", "html")]), "alternate", HTML, "Ce document en HTML"),
        ]

    def following(self, cursor: str) -> list[Link]:
        """Return the links to the page that begins after ``cursor``."""
        plain = [(n, v) for n, v in self.query if n not in ("f", "cursor")] + [("cursor", cursor)]
        return [
            link(self._at(plain), "next", GEOJSON, "Page suivante"),
            link(self._at([*plain, ("f", "html")]), "next", HTML, "Page suivante"),
        ]

    def _at(self, query: Sequence[tuple[str, str]]) -> str:
        return f"{self.base}{self.path}" + (f"?{urlencode(query)}" if query else "")


def link(href: str, rel: str, kind: str, title: str) -> Link:
    """Return a link as the standard writes it."""
    return {"href": href, "rel": rel, "type": kind, "title": title}


def landing(place: Place) -> dict[str, Any]:
    """Return the landing page."""
    root = place.root
    return {
        "title": TITLE,
        "description": ABOUT,
        "links": [
            *place.itself(),
            link(f"{root}/api", "service-desc", OPENAPI, "La définition de l'API"),
            link(f"{root}/conformance", "conformance", JSON, "Ce que l'API respecte"),
            link(f"{root}/collections", "data", JSON, "Les collections"),
        ],
    }


def conformance(place: Place) -> dict[str, Any]:
    """Return the conformance classes."""
    return {"links": place.itself(), "conformsTo": list(CONFORMANCE)}


def collections(session: Session, place: Place) -> dict[str, Any]:
    """Return all collections."""
    extent = repository.extent(session)
    found = [_described(collection, place, extent) for collection in COLLECTIONS.values()]
    return {"links": place.itself(), "collections": found}


def collection(session: Session, name: str, place: Place) -> dict[str, Any]:
    """Return one collection; :class:`UnknownCollection`."""
    return _described(find(name), place, repository.extent(session))


def find(name: str) -> Collection:
    """Return the collection of this name; :class:`UnknownCollection`."""
    try:
        return COLLECTIONS[name]
    except KeyError:
        raise UnknownCollection from None


def _described(
    collection: Collection, place: Place, extent: tuple[list[float], datetime | None]
) -> dict[str, Any]:
    box, first = extent
    at = f"{place.root}/collections/{collection.id}"
    links = [
        *Place(place.base, f"{ROOT}/collections/{collection.id}").itself(),
        link(f"{at}/items", "items", GEOJSON, f"Tout : {collection.title}"),
        link(f"{at}/items?f=html", "items", HTML, f"Tout : {collection.title}"),
        # The case means nothing (RFC 8288, 2.1.1), but GDAL 3.6 reads this one only.
        link(f"{at}/schema", "describedBy", SCHEMA, "Le schéma d'un objet"),
    ]
    if collection.licence:
        links.append(link(collection.licence, "license", HTML, "Licence"))
    reach: dict[str, Any] = {"spatial": {"bbox": [box], "crs": CRS84}}
    if collection.temporal:
        reach["temporal"] = {"interval": [[_moment(first) if first else None, None]]}
    return {
        "id": collection.id,
        "title": collection.title,
        "description": collection.description,
        "itemType": "feature",
        "extent": reach,
        "crs": [CRS84],
        "links": links,
    }


@dataclass(frozen=True, slots=True)
class Features:
    """A page of a collection: the document without its features, and their texts."""

    head: dict[str, Any]
    features: Sequence[str]

    def text(self) -> str:
        """Return the FeatureCollection."""
        head = json.dumps(self.head, ensure_ascii=False)
        features = ",\n".join(self.features)
        return f'{head[:-1]}, "features": [\n{features}\n]}}\n'


def items(session: Session, name: str, place: Place) -> Features:
    """Return a page of features; :class:`Unreadable` for a parameter that cannot be read.

    ``numberMatched`` is said where it is known, when one page holds all; nothing is counted.
    """
    collection = find(name)
    query = read_query(collection, place.query)
    rows = repository.page(session, collection, query, place.base)
    more = len(rows) > query.limit
    shown = rows[: query.limit]
    links = place.itself(GEOJSON)
    if more:
        links += place.following(write_cursor(*shown[-1][:-1]))
    links.append(_of(collection, place))
    head: dict[str, Any] = {
        "type": "FeatureCollection",
        "links": links,
        "timeStamp": _moment(datetime.now(UTC)),
        "numberReturned": len(shown),
    }
    if not more and "after" not in query.where:
        head["numberMatched"] = len(shown)
    return Features(head, [row.feature for row in shown])


def item(session: Session, name: str, key: str, place: Place) -> dict[str, Any]:
    """Return one feature; :class:`UnknownFeature`."""
    collection = find(name)
    wanted = id_or_ref(key) if collection.temporal else key.replace("\x00", "")
    text = repository.feature(session, collection, wanted, place.base)
    if text is None:
        raise UnknownFeature
    found: dict[str, Any] = json.loads(text)
    return {**found, "links": [*place.itself(GEOJSON), _of(collection, place)]}


def _of(collection: Collection, place: Place) -> Link:
    at = f"{place.root}/collections/{collection.id}"
    return link(at, "collection", JSON, f"La collection {collection.title}")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
