"""Vector tiles of the projections (Mapbox Vector Tile 2.1): points where there are few, else cells.

A tile holds at most :data:`FEW` features, so a map's first view has a bound whatever lies on it:
up to so many things are points; more are counted in 8 by 8 cells (32 pixels each), a cell's place
being the middle of what it holds, and only what is alone in its cell is a point still. The counts
of reports up to zoom :data:`COUNTED` are read from ``report_cells``, which events keep.
"""

import gzip
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import Connection, CursorResult, Engine, TextClause, text

from gateway.caching import not_modified
from gateway.places import Places
from gateway.projections.handlers import LEVELS
from services.common.problems import NotFound, responses

router = APIRouter(tags=["tiles"])

Layer = Literal["reports", "proposals", "funded"]
MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
#: Units a side of the square world of ``map_reports.x`` and ``y``: 2^WORLD.
WORLD = 30
#: Features that a tile may have; from :data:`CLOSE` on, where pins are no longer grouped, more.
FEW, MANY, CLOSE = 64, 500, 18
#: Cells a side of a tile: 2^SPLIT.
SPLIT = 3
#: The last zoom whose cells ``report_cells`` holds.
COUNTED = LEVELS[-1] - SPLIT
MAX_ZOOM = 22
#: Degrees around the country where something may still lie: a grid hides sensitive places.
MARGIN = 0.05
CACHE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A layer's table: which rows are on the map, which of them are open, what is said of each."""

    table: str
    shown: str
    open: str
    columns: Mapping[str, str]
    #: Where the counts of low zooms are kept.
    cells: str = ""


_PROPOSAL = {
    "id": "CAST(id AS text)",
    "ref": "ref",
    "category": "theme",
    "status": "status",
    "created": "CAST(extract(epoch FROM submitted_at) AS bigint)",
    "title": "title",
    "cost": "cost",
    "number": "number",
}
#: Layer → its source. Columns are public ones, and only these.
SOURCES: Mapping[Layer, Source] = {
    "reports": Source(
        "map_reports",
        "true",
        "open",
        {
            "id": "CAST(id AS text)",
            "ref": "ref",
            "category": "category",
            "status": "status",
            "created": "CAST(extract(epoch FROM received_at) AS bigint)",
        },
        cells="report_cells",
    ),
    "proposals": Source(
        "map_proposals", "status IN ('submitted', 'shortlisted')", "true", _PROPOSAL
    ),
    "funded": Source("map_proposals", "status = 'funded'", "true", _PROPOSAL),
}
#: What a tile's statement asks for, in the order of its parameters.
_TYPES = {
    "layer": "text",
    "commune": "text",
    "level": "int",
    "down": "int",
    "low": "bigint",
    "high": "bigint",
    "first": "bigint",
    "last": "bigint",
    "left": "bigint",
    "top": "bigint",
    "size": "int",
}
_OF_COMMUNE = " AND commune = :commune"
_VERSIONS = {
    True: "SELECT version FROM layer_versions WHERE commune = :commune AND layer = :layer",
    # Not the highest: the last to commit is not always the last that began.
    False: "SELECT bit_xor(hashtextextended(commune || ' ' || version, 0)) "
    "FROM layer_versions WHERE layer = :layer",
}
_KEPT = """
    SELECT cell >> :down AS cell, sum(reports) AS n, sum(open) AS open,
        CAST(sum(x) AS bigint) AS x, CAST(sum(y) AS bigint) AS y
    FROM {source.cells} WHERE level = :level
"""
_FOUND = """
    SELECT cell >> :down AS cell, count(*) AS n, count(*) FILTER (WHERE {source.open}) AS open,
        sum(x) AS x, sum(y) AS y
    FROM {source.table} WHERE {source.shown}
"""
# ST_AsMVT takes the tile's own coordinates, 4096 a side: no projection is left to be done.
_SPOT = "ST_MakePoint((({x} - :left) << 12) >> :size, (({y} - :top) << 12) >> :size)"
# The limits bound what the planner expects, and so what it prepares for.
_TILE = """
WITH cells AS ({counted} AND cell >= :low AND cell < :high {of} GROUP BY 1 LIMIT {cells}),
points AS (
    SELECT {columns}, x, y FROM {source.table}
    WHERE {source.shown} AND (SELECT sum(n) FROM cells) <= {few}
    AND cell >= :first AND cell < :last {of} ORDER BY cell LIMIT {few}
), features AS (
    SELECT {spot} AS geom, CAST(NULL AS int) AS n, CAST(NULL AS int) AS open, {names}
    FROM points
    UNION ALL
    SELECT {middle}, CAST(nullif(cells.n, 1) AS int),
        CAST(CASE WHEN cells.n > 1 THEN cells.open END AS int), {names}
    FROM cells LEFT JOIN LATERAL (
        SELECT {columns} FROM {source.table}
        WHERE cell = interleave(CAST(CASE WHEN cells.n = 1 THEN cells.x END AS int),
            CAST(CASE WHEN cells.n = 1 THEN cells.y END AS int))
        AND {source.shown} {of} LIMIT 1
    ) AS alone ON true
    WHERE (SELECT sum(n) FROM cells) > {few}
)
SELECT coalesce(({version}), 0) AS version,
    (SELECT ST_AsMVT(features, :layer, 4096, 'geom') FROM features) AS tile
"""


@cache
def _version(of_commune: bool) -> TextClause:
    return text(f"SELECT coalesce(({_VERSIONS[of_commune]}), 0)")


@cache
def _statement(layer: Layer, kept: bool, of_commune: bool, close: bool) -> str:
    """Return a tile's statement with PostgreSQL's own numbered parameters."""
    source = SOURCES[layer]
    sql = _TILE.format(
        source=source,
        counted=(_KEPT if kept else _FOUND).format(source=source),
        cells=1 << 2 * SPLIT,
        few=MANY if close else FEW,
        of=_OF_COMMUNE if of_commune else "",
        columns=", ".join(f"{sql} AS {name}" for name, sql in source.columns.items()),
        names=", ".join(source.columns),
        spot=_SPOT.format(x="x", y="y"),
        middle=_SPOT.format(x="cells.x / cells.n", y="cells.y / cells.n"),
        version=_VERSIONS[of_commune],
    )
    for number, name in enumerate(_TYPES, 1):
        sql = sql.replace(f":{name}", f"${number}")
    return sql


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile of which layer: of one commune, or of the whole country for ``""``."""

    layer: Layer
    z: int
    x: int
    y: int
    commune: str = ""

    def parameters(self, level: int) -> tuple[Any, ...]:
        """Return what its statement asks for; its cells are read at ``level``."""
        size = WORLD - self.z
        square = _interleave(self.x, self.y)
        values = {
            "layer": self.layer,
            "commune": self.commune,
            "level": level,
            "down": 2 * (level - min(self.z + SPLIT, WORLD)),
            "low": square << 2 * (level - self.z),
            "high": (square + 1) << 2 * (level - self.z),
            "first": square << 2 * size,
            "last": (square + 1) << 2 * size,
            "left": self.x << size,
            "top": self.y << size,
            "size": size,
        }
        return tuple(values[name] for name in _TYPES)


def _interleave(x: int, y: int) -> int:
    """Return the bits of ``x`` and ``y`` in turn, as the database's ``interleave`` does."""
    return sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1 for bit in range(MAX_ZOOM))


def _execute(
    connection: Connection, kind: tuple[Layer, bool, bool, bool], values: tuple[Any, ...]
) -> CursorResult[Any]:
    """Run a tile's statement, planned once a connection: that costs as much as running it."""
    name = "tile_" + "_".join(str(part).lower() for part in kind)
    known = connection.info.setdefault("tiles", set())
    if name not in known:
        # Of this connection only statements prepared here are concerned: psycopg2 prepares none.
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        types = ", ".join(_TYPES.values())
        connection.exec_driver_sql(f"PREPARE {name} ({types}) AS {_statement(*kind)}")
        known.add(name)
    marks = ", ".join(["%s"] * len(values))
    return connection.exec_driver_sql(f"EXECUTE {name} ({marks})", values)


class TileCache:
    """The tiles asked for last, compressed, each in its newest version; at most ``capacity`` bytes.

    What a tile holds and its version come from one statement, so they are of one moment.
    """

    def __init__(self, engine: Engine, capacity: int = CACHE_BYTES) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[Tile, tuple[int, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tile: Tile) -> tuple[int, bytes]:
        """Return the tile's version and its content, gzipped."""
        with self._lock:
            kept = self._kept.get(tile)
        with self._engine.connect() as connection:
            if kept is None or kept[0] != self._now(connection, tile):
                kept = self._build(connection, tile)
        self._keep(tile, kept)
        return kept

    def _now(self, connection: Connection, tile: Tile) -> int:
        values = {"commune": tile.commune, "layer": tile.layer}
        version: int = connection.scalar(_version(bool(tile.commune)), values)
        return version

    def _build(self, connection: Connection, tile: Tile) -> tuple[int, bytes]:
        kept = bool(SOURCES[tile.layer].cells) and tile.z <= COUNTED
        # Even levels are stored: the cells of an odd one are four of the next.
        level = next(level for level in LEVELS if level >= tile.z + SPLIT) if kept else WORLD
        kind = (tile.layer, kept, bool(tile.commune), tile.z >= CLOSE)
        row = _execute(connection, kind, tile.parameters(level)).one()
        return row.version, gzip.compress(bytes(row.tile), 6, mtime=0)

    def _keep(self, tile: Tile, made: tuple[int, bytes]) -> None:
        with self._lock:
            replaced = self._kept.pop(tile, None)
            self._kept[tile] = made
            self._size += len(made[1]) - (len(replaced[1]) if replaced else 0)
            while self._size > self._capacity:
                self._size -= len(self._kept.popitem(last=False)[1][1])


def column_of(lon: float, z: int) -> float:
    """Return how many tiles of zoom ``z`` lie west of a longitude."""
    return (lon + 180) / 360 * (1 << z)


def row_of(lat: float, z: int) -> float:
    """Return how many tiles of zoom ``z`` lie north of a latitude."""
    return (0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)) * (1 << z)


def touches(z: int, x: int, y: int, bounds: tuple[float, float, float, float]) -> bool:
    """Tell whether a tile may hold something of an area (west, south, east, north)."""
    west, south, east, north = bounds
    across = column_of(west - MARGIN, z) < x + 1 and x < column_of(east + MARGIN, z)
    return across and row_of(north + MARGIN, z) < y + 1 and y < row_of(south - MARGIN, z)


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.mvt", response_class=Response, responses=responses(NotFound)
)
def tile(
    layer: Layer,
    z: int = Path(ge=0, le=MAX_ZOOM),
    x: int = Path(ge=0),
    y: int = Path(ge=0),
    commune: str = "",
    *,
    request: Request,
) -> Response:
    """One vector tile of a layer, of the country or of one commune; ask again with its ETag."""
    places: Places = request.app.state.places
    if max(x, y) >= 1 << z:
        raise NotFound("There is no such tile at this zoom.")
    asked = Tile(layer, z, x, y, places.commune(commune).code if commune else "")
    if not touches(z, x, y, places.now().country.bounds):
        return Response(media_type=MEDIA_TYPE, headers={"Cache-Control": "public, max-age=86400"})
    cache: TileCache = request.app.state.tiles
    version, packed = cache.get(asked)
    headers = {
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "ETag": f'W/"{layer}-{version & (1 << 64) - 1:x}"',
    }
    unchanged = not_modified(request, headers)
    if unchanged:
        return unchanged
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), headers=headers, media_type=MEDIA_TYPE)
    return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=MEDIA_TYPE)
