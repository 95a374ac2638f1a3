"""The API's own definition, OpenAPI 3.0, made from the table of collections."""

from typing import Any

from services.common.app import VERSION
from services.reports.exports.domain import Kind
from services.reports.ogc.domain import (
    COLLECTIONS,
    DEFAULT_LIMIT,
    GEOJSON,
    HTML,
    JSON,
    MAX_LIMIT,
    MAX_VALUE,
    OPENAPI,
    SCHEMA,
    Collection,
    Filter,
)

_TYPES: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "link": {"type": "string", "format": "uri-reference"},
}
_LINKS = {"type": "array", "items": {"$ref": "#/components/schemas/link"}}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


_ARRAY_OF_TEXT = {"type": "array", "items": {"type": "string"}}
_SCHEMAS: dict[str, Any] = {
    "link": _object(
        ["href", "rel"],
        href={"type": "string"},
        rel={"type": "string"},
        type={"type": "string"},
        title={"type": "string"},
        hreflang={"type": "string"},
    ),
    "landingPage": _object(
        ["links"], title={"type": "string"}, description={"type": "string"}, links=_LINKS
    ),
    "confClasses": _object(["conformsTo"], conformsTo=_ARRAY_OF_TEXT),
    "collection": _object(
        ["id", "links"],
        id={"type": "string"},
        title={"type": "string"},
        description={"type": "string"},
        links=_LINKS,
        extent={"type": "object"},
        itemType={"type": "string"},
        crs=_ARRAY_OF_TEXT,
    ),
    "collections": _object(
        ["links", "collections"],
        links=_LINKS,
        collections={"type": "array", "items": {"$ref": "#/components/schemas/collection"}},
    ),
    "exception": _object(
        ["code"],
        code={"type": "string"},
        description={"type": "string"},
        detail={"type": "string"},
        status={"type": "integer"},
    ),
}

_PARAMETERS: dict[str, Any] = {
    "f": {
        "name": "f",
        "in": "query",
        "description": "The form of the answer; without it, as Accept says.",
        "schema": {"type": "string", "enum": ["json", "html"]},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "The most features of a page; more than the maximum is the maximum.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
        },
        "style": "form",
        "explode": False,
    },
    "bbox": {
        "name": "bbox",
        "in": "query",
        "description": "West, south, east, north in degrees (CRS84), or six numbers with heights. "
        "Features that have no place fit every box.",
        "schema": {
            "type": "array",
            "oneOf": [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
            "items": {"type": "number"},
        },
        "style": "form",
        "explode": False,
    },
    "datetime": {
        "name": "datetime",
        "in": "query",
        "description": "An instant (RFC 3339) or an interval of two, of which one may be `..`: "
        "when a report was received. Boundaries fit every time.",
        "schema": {"type": "string"},
        "style": "form",
        "explode": False,
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "Where a page begins: from a `next` link, never made by hand.",
        "schema": {"type": "string", "maxLength": MAX_VALUE},
    },
}
#: A report that nobody could place has none.
_GEOMETRY = {"type": "object", "nullable": True}


def definition(base: str) -> dict[str, Any]:
    """Return the document; ``base`` is the address of the landing page."""
    paths: dict[str, Any] = {
        "/": _get("getLandingPage", "Page d'accueil", _json("landingPage"), "Capabilities"),
        "/api": {
            "get": {
                "operationId": "getApi",
                "summary": "Cette définition",
                "tags": ["Capabilities"],
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.0",
                        "content": {OPENAPI: {"schema": {"type": "object"}}},
                    },
                    **_REFUSALS,
                },
            }
        },
        "/conformance": _get("getConformance", "Conformité", _json("confClasses"), "Capabilities"),
        "/collections": _get("getCollections", "Collections", _json("collections"), "Capabilities"),
    }
    schemas = dict(_SCHEMAS)
    for collection in COLLECTIONS.values():
        paths |= _paths(collection)
        schemas[f"{collection.id}Feature"] = _feature(collection, _GEOMETRY)
        schemas[f"{collection.id}Page"] = _page(collection)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Palabre, données ouvertes",
            "description": "OGC API – Features, Part 1: Core.",
            "version": VERSION,
        },
        "servers": [{"url": base}],
        "tags": [{"name": "Capabilities"}, {"name": "Data"}],
        "paths": paths,
        "components": {"schemas": schemas, "parameters": _PARAMETERS},
    }


def _json(schema: str, kind: str = JSON) -> dict[str, Any]:
    return {
        kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}},
        HTML: {"schema": {"type": "string"}},
    }


_EXCEPTION = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/exception"}}}
_REFUSALS = {
    "400": {"description": "Un paramètre inconnu ou illisible", "content": _EXCEPTION},
    "404": {"description": "Il n'y a rien de ce nom", "content": _EXCEPTION},
    "503": {"description": "Les données ne répondent pas", "content": _EXCEPTION},
}


def _get(
    operation: str,
    summary: str,
    content: dict[str, Any],
    tag: str = "Data",
    parameters: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "tags": [tag],
            "parameters": [*parameters, {"$ref": "#/components/parameters/f"}],
            "responses": {"200": {"description": summary, "content": content}, **_REFUSALS},
        }
    }


def _paths(collection: Collection) -> dict[str, Any]:
    name = collection.id.capitalize()
    own = tuple(_filter(found) for found in collection.filters)
    common = tuple(
        {"$ref": f"#/components/parameters/{p}"} for p in ("bbox", "datetime", "limit", "cursor")
    )
    one = {
        "name": "featureId",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "L'identifiant d'un objet de la collection",
    }
    at = f"/collections/{collection.id}"
    return {
        at: _get(f"describe{name}", collection.title, _json("collection"), "Capabilities"),
        f"{at}/schema": {
            "get": {
                "operationId": f"getSchemaOf{name}",
                "summary": "Le schéma d'un objet",
                "tags": ["Capabilities"],
                "responses": {
                    "200": {
                        "description": "JSON Schema",
                        "content": {SCHEMA: {"schema": {"type": "object"}}},
                    },
                    **_REFUSALS,
                },
            }
        },
        f"{at}/items": _get(
            f"get{name}",
            collection.title,
            _json(f"{collection.id}Page", GEOJSON),
            parameters=(*own, *common),
        ),
        f"{at}/items/{{featureId}}": _get(
            f"getOneOf{name}",
            f"{collection.title} : un objet",
            _json(f"{collection.id}Feature", GEOJSON),
            parameters=(one,),
        ),
    }


def _filter(found: Filter) -> dict[str, Any]:
    value: dict[str, Any] = {"type": "string"}
    value |= {"enum": list(found.values)} if found.values else {"pattern": f"^{found.pattern}$"}
    return {
        "name": found.name,
        "in": "query",
        "description": found.label,
        "schema": {"type": "array", "items": value} if found.many else value,
        "style": "form",
        "explode": False,
    }


def schema(collection: Collection, address: str) -> dict[str, Any]:
    """Return the JSON Schema of a feature: what GDAL learns the types of a layer's fields from."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "title": collection.title,
        **_feature(collection, {"type": ["object", "null"]}),
    }


def _feature(collection: Collection, geometry: dict[str, Any]) -> dict[str, Any]:
    own = {c.name: {**_TYPES[c.kind], "title": c.label} for c in collection.columns}
    return _object(
        ["type", "id", "geometry", "properties"],
        type={"type": "string", "enum": ["Feature"]},
        id={"type": "string"},
        geometry=geometry,
        properties={"type": "object", "properties": own},
    )


def _page(collection: Collection) -> dict[str, Any]:
    return _object(
        ["type", "features", "links", "timeStamp", "numberReturned"],
        type={"type": "string", "enum": ["FeatureCollection"]},
        features={
            "type": "array",
            "items": {"$ref": f"#/components/schemas/{collection.id}Feature"},
        },
        links=_LINKS,
        timeStamp={"type": "string", "format": "date-time"},
        numberReturned={"type": "integer", "minimum": 0},
        numberMatched={"type": "integer", "minimum": 0},
    )
