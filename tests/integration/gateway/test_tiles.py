"""Vector tiles, read by GDAL: what they hold, for whom, how large they are, and what is kept."""

import gzip
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import numpy as np
import pyogrio
import pytest
import shapely
from fastapi import FastAPI
from sqlalchemy import Engine, text

from gateway.layers import INLINE
from gateway.projections import CONSUMER
from gateway.settings import Settings
from gateway.tiles import CLOSE, FEW, SOURCES, Tile, TileCache, column_of, row_of
from services.common.db import make_engine, make_sessions
from services.common.events.envelope import EventData, new_event
from services.common.events.inbox import apply
from services.common.events.rebuild import rebuild
from services.proposals.events import EXAMPLES as PROPOSALS
from services.proposals.events import ProposalSubmitted
from services.reports.events import ReportReceived, ReportStatusChanged, ReportVisibilityChanged
from tests.integration.gateway.test_projections import COUNTED_AGAIN
from tests.servers import Database

pytestmark = pytest.mark.integration

COTONOU = (2.4183, 6.3654)
COLUMNS = {"id", "ref", "category", "status", "created"}
EVERYWHERE = "/tiles/reports/0/0/0.mvt"


@pytest.fixture(scope="module")
def engine(fresh_database: Database) -> Iterator[Engine]:
    made = make_engine(fresh_database.url("gateway"), threads=2)
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def empty(engine: Engine, gateway: FastAPI) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE map_reports, report_cells, map_proposals"))
        connection.execute(text("UPDATE layer_versions SET version = version + 1"))


@pytest.fixture
def happen(engine: Engine) -> Callable[..., None]:
    def happen(data: EventData, sequence: int = 1, source: str = "reports") -> None:
        found: Any = data
        with make_sessions(engine).begin() as session:
            apply(session, CONSUMER, new_event(source, found.id, found.commune, sequence, data))

    return happen


@pytest.fixture
def load(engine: Engine) -> Callable[..., None]:
    def load(count: int, spread: float, commune: str = "0801", at: Any = COTONOU) -> None:
        """Scatter reports around a place (standard deviation in degrees), cells and version too."""
        dice = np.random.default_rng(count)
        rows = [
            {"ref": f"S-{commune}-{n}", "commune": commune, "lon": lon, "lat": lat}
            for n, (lon, lat) in enumerate(dice.normal(at, spread, (count, 2)).tolist())
        ]
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO map_reports (id, ref, commune, category, status, geom, "
                    "received_at, updated_at, sequence) "
                    "SELECT gen_random_uuid(), ref, commune, 'waste', 'received', "
                    "ST_SetSRID(ST_MakePoint(lon, lat), 4326), now(), now(), 1 "
                    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
                    "AS t(ref text, commune text, lon float8, lat float8)"
                ),
                {"rows": json.dumps(rows)},
            )
            connection.execute(text("TRUNCATE report_cells"))
            connection.execute(text(f"INSERT INTO report_cells {COUNTED_AGAIN}"))
            connection.execute(
                text(
                    "INSERT INTO layer_versions VALUES (:c, 'reports', 1) ON CONFLICT "
                    "(commune, layer) DO UPDATE SET version = layer_versions.version + 1"
                ),
                {"c": commune},
            )

    return load


def report(lon: float, lat: float, **more: Any) -> ReportReceived:
    values: dict[str, Any] = {
        "id": uuid4(),
        "ref": f"S-{uuid4().hex[:8]}",
        "commune": "0801",
        "arrondissement": None,
        "category": "waste",
        "status": "received",
        "lon": lon,
        "lat": lat,
        "received_at": "2026-11-22T09:00:00Z",
    }
    return ReportReceived(**values | more)


def path_of(z: int, place: tuple[float, float] = COTONOU, layer: str = "reports") -> str:
    return f"/tiles/{layer}/{z}/{int(column_of(place[0], z))}/{int(row_of(place[1], z))}.mvt"


@dataclass
class Read:
    """A tile as GDAL reads it: rows of properties, with ``lon`` and ``lat``."""

    layer: str
    rows: list[dict[str, Any]]

    @property
    def total(self) -> int:
        return sum(row.get("n") or 1 for row in self.rows)


@pytest.fixture
def read(browser: httpx.Client, tmp_path: Path) -> Callable[..., Read]:
    def read(path: str) -> Read:
        answer = browser.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
        if not answer.content:
            return Read("", [])
        *_, z, x, y = path.partition("?")[0].removesuffix(".mvt").split("/")
        file = tmp_path / z / x / f"{y}.pbf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)
        [[layer, _]] = pyogrio.list_layers(file)
        meta, _, shapes, columns = pyogrio.raw.read(file)
        names = [str(name) for name in meta["fields"]]
        rows = []
        for shape, *values in zip(shapes, *columns, strict=True):
            said = {k: v for k, v in zip(names, values, strict=True) if v is not None and v == v}
            point = shapely.from_wkb(shape)
            point = point.geoms[0] if hasattr(point, "geoms") else point
            turns = point.x / 6378137, point.y / 6378137
            lon, lat = math.degrees(turns[0]), math.degrees(math.atan(math.sinh(turns[1])))
            rows.append(said | {"lon": lon, "lat": lat})
        return Read(layer, rows)

    return read


def said(row: dict[str, Any]) -> set[str]:
    return set(row) - {"lon", "lat", "mvt_id"}


@pytest.mark.parametrize("z", [6, 12, 13, 14, 17, 22])
def test_few_reports_are_points_at_their_place(happen: Any, read: Any, z: int) -> None:
    first = report(*COTONOU)
    happen(first)
    happen(report(2.6, 9.3, commune="0405"))
    found = read(path_of(z))
    assert found.layer == "reports"
    near = [row for row in found.rows if row["ref"] == first.ref]
    assert len(near) == 1
    assert said(near[0]) == COLUMNS
    assert near[0]["id"] == str(first.id)
    assert near[0]["created"] == 1795338000
    pixel = 360 / 2 ** min(z + 12, 30)
    assert abs(near[0]["lon"] - COTONOU[0]) <= pixel
    assert abs(near[0]["lat"] - COTONOU[1]) <= pixel


def test_many_reports_are_counted_in_cells_of_every_zoom(load: Any, read: Any) -> None:
    load(3000, 0.02)
    load(500, 0.3, "0405", (2.62, 9.34))
    for z in range(19):
        found = read(path_of(z))
        assert 0 < len(found.rows) <= (FEW if z < CLOSE else 500), z
        assert all(said(row) <= COLUMNS | {"n", "open"} for row in found.rows)
        assert all(row["n"] > 1 for row in found.rows if "n" in row)
        # What is alone in its cell is a pin like any other.
        assert all(said(row) == COLUMNS for row in found.rows if "n" not in row)
    assert read(EVERYWHERE).total == 3500
    assert read("/tiles/reports/0/0/0.mvt?commune=0405").total == 500
    assert {row["open"] for row in read("/tiles/reports/0/0/0.mvt?commune=0405").rows} == {500}


@pytest.mark.parametrize("z", [0, 5, 8, 11, 12, 13, 14, 16])
def test_four_tiles_hold_what_the_one_above_them_holds(load: Any, read: Any, z: int) -> None:
    load(2000, 0.02)
    x, y = int(column_of(COTONOU[0], z)), int(row_of(COTONOU[1], z))
    below = [
        read(f"/tiles/reports/{z + 1}/{2 * x + dx}/{2 * y + dy}.mvt").total
        for dx in (0, 1)
        for dy in (0, 1)
    ]
    assert read(f"/tiles/reports/{z}/{x}/{y}.mvt").total == sum(below)


def test_a_cell_lies_in_the_middle_of_what_it_holds(happen: Any, load: Any, read: Any) -> None:
    load(FEW, 0.4, "0405", (2.62, 9.34))
    happen(report(2.40, 6.36))
    happen(report(2.41, 6.37))
    alone = read("/tiles/reports/0/0/0.mvt?commune=0801").rows
    assert [said(row) for row in alone] == [COLUMNS, COLUMNS]
    [cell] = [row for row in read(path_of(6)).rows if row["lat"] < 7]
    assert (cell["n"], cell["open"]) == (2, 2)
    assert cell["lon"] == pytest.approx(2.405, abs=0.002)
    assert cell["lat"] == pytest.approx(6.365, abs=0.002)


def test_what_is_hidden_is_in_no_tile(happen: Any, read: Any, browser: httpx.Client) -> None:
    pinned, other = report(*COTONOU), report(*COTONOU)
    happen(pinned)
    happen(other)
    paths = [EVERYWHERE, path_of(10), path_of(14), path_of(18), path_of(16) + "?commune=0801"]
    assert {read(path).total for path in paths} == {2}

    def seen(visible: bool) -> ReportVisibilityChanged:
        return ReportVisibilityChanged(
            id=pinned.id,
            ref=pinned.ref,
            commune="0801",
            visible=visible,
            changed_at=pinned.received_at,
        )

    happen(seen(False), 2)
    for path in paths:
        assert [row["ref"] for row in read(path).rows] == [other.ref]
        assert pinned.ref.encode() not in browser.get(path).content
    happen(seen(True), 3)
    assert {read(path).total for path in paths} == {2}
    for at, status in enumerate(("rejected", "duplicate", "withdrawn")):
        gone = ReportStatusChanged(
            id=pinned.id,
            ref=pinned.ref,
            commune="0801",
            previous="received",
            status=status,
            changed_at=pinned.received_at,
        )
        happen(gone, 4 + at)
        assert {read(path).total for path in paths} == {1}, status


def test_proposals_and_funded_projects_have_tiles_too(happen: Any, read: Any) -> None:
    proposal = next(e for e in PROPOSALS if isinstance(e, ProposalSubmitted))
    happen(proposal, source="proposals")
    [row] = read("/tiles/proposals/0/0/0.mvt").rows
    assert (row["ref"], row["title"], row["cost"]) == (
        proposal.ref,
        proposal.title,
        proposal.estimated_cost,
    )
    assert set(row) <= set(SOURCES["proposals"].columns) | {"lon", "lat", "mvt_id"}
    assert read("/tiles/funded/0/0/0.mvt").rows == []


@pytest.mark.parametrize("path", ["/tiles/reports/6/0/0.mvt", "/tiles/reports/22/0/4194303.mvt"])
def test_a_tile_elsewhere_is_empty_without_asking_anybody(
    browser: httpx.Client, gateway: FastAPI, path: str
) -> None:
    kept, gateway.state.tiles = gateway.state.tiles, None
    try:
        answer = browser.get(path)
    finally:
        gateway.state.tiles = kept
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiles/reports/23/0/0.mvt", 422),
        ("/tiles/reports/-1/0/0.mvt", 422),
        ("/tiles/reports/3/8/0.mvt", 404),
        ("/tiles/reports/3/0/8.mvt", 404),
        ("/tiles/reports/3/0/-1.mvt", 422),
        ("/tiles/reports/3/0/x.mvt", 422),
        ("/tiles/reports/3/99999999999999999999/0.mvt", 404),
        ("/tiles/secrets/3/0/0.mvt", 422),
        ("/tiles/reports/0/0/0.mvt?commune=9999", 404),
        ("/tiles/reports/0/0/0.mvt?commune=08'--", 404),
        ("/tiles/reports/0/0/0.pbf", 404),
    ],
)
def test_there_are_no_other_tiles(browser: httpx.Client, path: str, status: int) -> None:
    answer = browser.get(path, headers={"Accept": "*/*"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("of", ["", "?commune=0801"])
def test_an_unchanged_tile_is_not_sent_again(
    browser: httpx.Client, load: Any, happen: Any, of: str
) -> None:
    load(200, 0.02)
    path = path_of(11) + of
    first = browser.get(path)
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in first.headers["vary"]
    plain = browser.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content
    known = {"If-None-Match": first.headers["etag"]}
    assert browser.get(path, headers=known).status_code == 304
    happen(report(*COTONOU))
    changed = browser.get(path, headers=known)
    assert (changed.status_code, changed.headers["etag"] == first.headers["etag"]) == (200, False)
    known = {"If-None-Match": changed.headers["etag"]}
    happen(report(2.6, 9.3, commune="0405"))
    assert browser.get(path, headers=known).status_code == (304 if of else 200)


def test_a_late_commit_changes_the_country_s_version(
    browser: httpx.Client, engine: Engine, happen: Any
) -> None:
    """The transaction that began first commits last: its number is not the highest."""
    sessions = make_sessions(engine)
    slow = sessions()
    early = report(*COTONOU)
    apply(slow, CONSUMER, new_event("reports", early.id, "0801", 1, early))
    happen(report(2.6, 9.3, commune="0405"))
    before = browser.get(EVERYWHERE)
    slow.commit()
    slow.close()
    after = browser.get(EVERYWHERE, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert early.ref.encode() in after.content


def test_what_is_kept_has_a_bound_and_the_newest_wins(engine: Engine, load: Any) -> None:
    load(300, 0.02)
    tiles = [
        Tile("reports", z, int(column_of(COTONOU[0], z)), int(row_of(COTONOU[1], z)))
        for z in range(12)
    ]
    cache = TileCache(engine, capacity=1000)
    sizes = {tile: len(cache.get(tile)[1]) for tile in tiles}
    assert sum(sizes.values()) > 1000
    assert cache._size <= 1000
    assert cache._size == sum(sizes[tile] for tile in cache._kept)
    last = tiles[-1]
    assert last in cache._kept
    before = cache.get(last)
    assert cache.get(last) == before
    load(1, 0.0001, "0405", COTONOU)
    after = cache.get(last)
    assert (after[0] == before[0], after[1] == before[1]) == (False, False)
    assert cache._kept[last] == after
    assert cache._size == sum(len(made[1]) for made in cache._kept.values())


def test_tiles_outlive_a_rebuild_of_their_tables(
    fresh_database: Database, engine: Engine, load: Any, happen: Any, read: Any
) -> None:
    """Statements were prepared for tables that are gone."""
    load(100, 0.02)
    paths = [EVERYWHERE, path_of(8), path_of(8) + "?commune=0801"]
    assert [read(path).total for path in paths] == [100, 100, 100]
    settings = Settings(_env_file=None, database_url=fresh_database.url("gateway"), secret="s" * 16)
    rebuild(settings, engine, CONSUMER, "gateway")  # from a log without any event
    assert [read(path).total for path in paths] == [0, 0, 0]
    happen(report(*COTONOU))
    assert [read(path).total for path in paths] == [1, 1, 1]


def first_zoom(area: tuple[float, float, float, float], width: int, height: int) -> int:
    """The zoom of the tiles with which Leaflet fits an area into a map of so many pixels."""
    west, south, east, north = area
    across = column_of(east, 0) - column_of(west, 0)
    down = row_of(south, 0) - row_of(north, 0)
    zoom = math.log2(min((width - 24) / across, (height - 24) / down) / 256)
    return round(math.floor(zoom * 4) / 4)


def first_view(
    bounds: tuple[float, float, float, float], width: int, height: int
) -> Iterator[tuple[int, int, int]]:
    """Yield x, y and zoom of the tiles that a map of so many pixels fetches first."""
    z = first_zoom(bounds, width, height)
    middle = column_of((bounds[0] + bounds[2]) / 2, z), row_of((bounds[1] + bounds[3]) / 2, z)
    # A tile is 256 pixels, less by up to a quarter zoom's rounding: 181 at the least.
    half = width / 181 / 2, height / 181 / 2
    for x in range(math.floor(middle[0] - half[0]), math.floor(middle[0] + half[0]) + 1):
        for y in range(math.floor(middle[1] - half[1]), math.floor(middle[1] + half[1]) + 1):
            yield x, y, z


@pytest.mark.parametrize("spread", [0.005, 0.03, 0.1])
@pytest.mark.parametrize(("width", "height"), [(328, 320), (816, 680), (1700, 680)])
def test_the_first_view_of_a_commune_is_light_whatever_it_holds(
    browser: httpx.Client, load: Any, spread: float, width: int, height: int
) -> None:
    """50,000 reports in one commune: the layer says where the tiles are, and they are small."""
    load(50_000, spread)
    whole = browser.get("/communes/0801/layers/reports.geojson")
    assert whole.json()["features"] == []
    assert whole.json()["count"] == 50_000
    sent = len(gzip.compress(whole.content))
    bounds = browser.get("/api/v1/communes/0801").json()["bbox"]
    address = whole.json()["tiles"]
    for x, y, z in first_view(bounds, width, height):
        with browser.stream("GET", address.format(z=z, x=x, y=y)) as answer:
            assert answer.status_code == 200
            sent += len(b"".join(answer.iter_raw()))
    print(f"{width}x{height}, {spread}: {sent} bytes")
    assert 0 < sent < 60_000


def test_a_small_commune_is_sent_whole(load: Any, browser: httpx.Client) -> None:
    load(INLINE, 0.02)
    answer = browser.get("/communes/0801/layers/reports.geojson").json()
    assert "tiles" not in answer
    assert len(answer["features"]) == INLINE
