"""The tables of schema ``reference`` and what fills them from the files beside this one."""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

from infra.reference import geometry

HERE = Path(__file__).parent
FILES = ("communes.csv", "arrondissements.csv", "arrondissements.geojson")
READERS = tuple(f"palabre_{n}" for n in ("accounts", "reports", "proposals", "voting", "gateway"))
# Raised when this module makes other tables or other shapes out of the same files.
RECIPE = "1"

DDL = """
CREATE SCHEMA IF NOT EXISTS reference;
CREATE TABLE IF NOT EXISTS reference.version (
    id int PRIMARY KEY CHECK (id = 1),
    data text NOT NULL,
    boundaries text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS reference.communes (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{4}$'),
    pcode text NOT NULL,
    name text NOT NULL,
    aliases text[] NOT NULL,
    department text NOT NULL,
    department_code text NOT NULL,
    population_2013 int NOT NULL,
    geom geometry(MultiPolygon, 4326) NOT NULL CHECK (ST_IsValid(geom)),
    outline geometry(MultiPolygon, 4326) NOT NULL,
    town geometry(Point, 4326)
);
CREATE INDEX IF NOT EXISTS communes_geom ON reference.communes USING gist (geom);
CREATE TABLE IF NOT EXISTS reference.arrondissements (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{4}-[0-9]{2}$'),
    name text NOT NULL,
    commune_code text NOT NULL REFERENCES reference.communes,
    rank int NOT NULL,
    population_2013 int NOT NULL,
    geom geometry(MultiPolygon, 4326) NOT NULL CHECK (ST_IsValid(geom))
);
CREATE INDEX IF NOT EXISTS arrondissements_geom ON reference.arrondissements USING gist (geom);
CREATE INDEX IF NOT EXISTS arrondissements_commune ON reference.arrondissements (commune_code);
CREATE TABLE IF NOT EXISTS reference.country (
    id int PRIMARY KEY CHECK (id = 1),
    geom geometry(MultiPolygon, 4326) NOT NULL CHECK (ST_IsValid(geom))
);
COMMENT ON SCHEMA reference IS
    'Boundaries from OpenStreetMap contributors, ODbL 1.0, through geoBoundaries; read-only';
"""

# Rows travel as one JSON text: one statement a table, whatever the number of rows.
COMMUNES = """
INSERT INTO reference.communes AS old
SELECT code, pcode, name, aliases, department, department_code, population_2013,
       ST_GeomFromWKB(decode(geom, 'hex'), 4326), ST_GeomFromWKB(decode(outline, 'hex'), 4326),
       ST_SetSRID(ST_MakePoint(town_lon, town_lat), 4326)
FROM json_to_recordset(:rows) AS new(
    code text, pcode text, name text, aliases text[], department text, department_code text,
    population_2013 int, geom text, outline text, town_lon float8, town_lat float8)
ON CONFLICT (code) DO UPDATE SET
    pcode = excluded.pcode, name = excluded.name, aliases = excluded.aliases,
    department = excluded.department, department_code = excluded.department_code,
    population_2013 = excluded.population_2013, town = excluded.town,
    geom = CASE WHEN :boundaries THEN excluded.geom ELSE old.geom END,
    outline = CASE WHEN :boundaries THEN excluded.outline ELSE old.outline END
"""
ARRONDISSEMENTS = """
INSERT INTO reference.arrondissements
SELECT code, name, commune_code, rank, population_2013, ST_GeomFromWKB(decode(geom, 'hex'), 4326)
FROM json_to_recordset(:rows) AS new(
    code text, name text, commune_code text, rank int, population_2013 int, geom text)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, commune_code = excluded.commune_code, rank = excluded.rank,
    population_2013 = excluded.population_2013, geom = excluded.geom
"""
BOUNDARIES = """
UPDATE reference.communes AS c
SET geom = ST_GeomFromWKB(decode(new.geom, 'hex'), 4326),
    outline = ST_GeomFromWKB(decode(new.outline, 'hex'), 4326)
FROM json_to_recordset(:rows) AS new(code text, geom text, outline text) WHERE new.code = c.code
"""
COUNTRY = """
INSERT INTO reference.country VALUES (1, ST_GeomFromWKB(decode(:geom, 'hex'), 4326))
ON CONFLICT (id) DO UPDATE SET geom = excluded.geom
"""
VERSION = """
INSERT INTO reference.version (id, data, boundaries) VALUES (1, :data, :boundaries)
ON CONFLICT (id) DO UPDATE SET
    data = excluded.data, boundaries = excluded.boundaries, loaded_at = now()
"""
SHIPPED = "shipped"


def load(connection: Connection) -> None:
    """Make the reference tables and fill them from the shipped files where these are newer.

    Needs PostGIS and the right to create a schema. Running it again changes nothing; boundaries
    that were imported (`palabre communes import`) are kept when the shipped files change.
    The caller's transaction holds it all.
    """
    lock(connection)
    connection.exec_driver_sql("SET LOCAL client_min_messages = warning")
    connection.exec_driver_sql(DDL)
    data = data_version()
    known = connection.execute(text("SELECT data, boundaries FROM reference.version")).first()
    if known is None or known.data != data:
        boundaries = known.boundaries if known else SHIPPED
        _fill(connection, keep_boundaries=boundaries != SHIPPED)
        connection.execute(text(VERSION), {"data": data, "boundaries": boundaries})
    _grant(connection)


def lock(connection: Connection) -> None:
    """Let one transaction at a time change the reference tables."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('palabre reference'))"))


def replace_boundaries(
    connection: Connection, communes: Mapping[str, BaseGeometry], source: str
) -> None:
    """Put new commune boundaries in place, and the outlines and the country that follow.

    `communes` holds all 77, code to valid WGS 84 geometry; `source` is kept as their origin.
    """
    light = geometry.outlines(communes)
    rows = [
        {"code": code, "geom": _hex(geometry.multipolygon(geom)), "outline": _hex(light[code])}
        for code, geom in communes.items()
    ]
    connection.execute(text(BOUNDARIES), {"rows": json.dumps(rows)})
    connection.execute(text(COUNTRY), {"geom": _hex(geometry.country(communes))})
    connection.execute(
        text("UPDATE reference.version SET boundaries = :s, loaded_at = now()"), {"s": source}
    )


@cache
def data_version() -> str:
    """Return what tells this version of the shipped files from another."""
    digest = hashlib.sha256(RECIPE.encode())
    for name in FILES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def _fill(connection: Connection, *, keep_boundaries: bool) -> None:
    areas = {
        feature["properties"]["code"]: shape(feature["geometry"])
        for feature in json.loads((HERE / "arrondissements.geojson").read_text())["features"]
    }
    communes = geometry.dissolve(areas)
    light = geometry.outlines(communes)
    rows: Iterable[dict[str, Any]] = (
        row
        | {
            "aliases": [alias for alias in row["aliases"].split(";") if alias],
            "town_lon": row["town_lon"] or None,
            "town_lat": row["town_lat"] or None,
            "geom": _hex(communes[row["code"]]),
            "outline": _hex(light[row["code"]]),
        }
        for row in _rows("communes.csv")
    )
    connection.execute(
        text(COMMUNES), {"rows": json.dumps(list(rows)), "boundaries": not keep_boundaries}
    )
    parts = [
        row | {"geom": _hex(geometry.multipolygon(areas[row["code"]]))}
        for row in _rows("arrondissements.csv")
    ]
    connection.execute(text(ARRONDISSEMENTS), {"rows": json.dumps(parts)})
    if not keep_boundaries:
        connection.execute(text(COUNTRY), {"geom": _hex(geometry.country(communes))})


def _grant(connection: Connection) -> None:
    present = connection.scalars(
        text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": list(READERS)}
    )
    for role in sorted(present):
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA reference TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA reference TO {role}")


def _rows(name: str) -> Iterable[dict[str, Any]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _hex(geom: BaseGeometry) -> str:
    return str(geom.wkb_hex)
