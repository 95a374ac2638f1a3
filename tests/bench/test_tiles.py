"""Vector tiles beside those of tipg: the same table, the same tiles, the same run.

Prints requests a second and their ratio; asserts only that all tiles came and held something.
tipg lives in a Python environment of its own (``requirements-bench.lock``). ``make bench``.
"""

import gzip
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy import make_url

from gateway.tiles import column_of, row_of
from tests.bench.conftest import REPORTS, Lines
from tests.bench.loadgen import lua_list, wrk
from tests.integration.gateway.test_projections import COUNTED_AGAIN
from tests.integration.gateway.test_tiles import first_view
from tests.servers import Database, PostgresServer

pytestmark = pytest.mark.bench

ROOT = Path(__file__).parents[2]
PEER = Path(os.environ.get("PALABRE_BENCH_VENV", ROOT / ".palabre/bench")) / "bin/uvicorn"
SECONDS = int(os.environ.get("PALABRE_BENCH_SECONDS", "5"))
CONNECTIONS = 8
#: Zoom → how many times as fast as the peer, at the least.
WANTED = {6: 100, 10: 10, 14: 3}
KINDS = ("waste", "lighting", "roads", "drainage", "water")
STATUSES = ("received", "acknowledged", "in_progress", "resolved", "rejected")
COLUMNS = (
    "id, ref, commune, arrondissement, category, status, geom, received_at, updated_at, "
    "sequence, place_sequence"
)
OURS = """
import sys, uvicorn
from gateway.app import make_app
from gateway.settings import Settings
from gateway.tiles import TileCache
app = make_app(Settings(_env_file=None))
app.state.tiles = TileCache(app.state.engine, capacity=int(sys.argv[2]))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
"""


def rows(places: list[Any]) -> Iterator[str]:
    """Yield tab-separated rows: reports around the middle of every arrondissement."""
    dice = random.Random(5)  # noqa: S311 - to repeat, not to hide
    for n in range(REPORTS):
        part, commune, x, y = places[n % len(places)]
        lon, lat = x + dice.gauss(0, 0.01), y + dice.gauss(0, 0.01)
        at = f"2026-{1 + n % 11:02}-{1 + n % 28:02}T09:00:00Z"
        yield "\t".join(
            (
                *(str(UUID(int=dice.getrandbits(128))), f"S-{n}", commune, part),
                *(KINDS[n % 5], STATUSES[n // 7 % 5], f"SRID=4326;POINT({lon:.6f} {lat:.6f})"),
                *(at, at, "1", "1\n"),
            )
        )


@pytest.fixture(scope="module")
def places() -> list[Any]:
    return []


@pytest.fixture(scope="module")
def loaded(postgres_server: PostgresServer, places: list[Any]) -> Iterator[Database]:
    """Return a database whose map has :data:`REPORTS` reports, with the index that tipg needs."""
    database = postgres_server.create(postgres_server.template())
    url = make_url(database.url("gateway")).set(drivername="postgresql")
    with closing(psycopg2.connect(url.render_as_string(False))) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT code, commune_code, ST_X(c), ST_Y(c) FROM (SELECT code, commune_code, "
                "ST_PointOnSurface(geom) AS c FROM reference.arrondissements ORDER BY code) a"
            )
            places.extend(cursor.fetchall())
            copy = f"COPY map_reports ({COLUMNS}) FROM STDIN"
            cursor.copy_expert(copy, Lines(rows(places)), 1 << 20)
            cursor.execute(f"INSERT INTO report_cells {COUNTED_AGAIN}")
            cursor.execute(
                "INSERT INTO layer_versions SELECT DISTINCT commune, 'reports', 1 FROM report_cells"
            )
            cursor.execute("CREATE INDEX ON map_reports USING gist (geom)")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE map_reports, report_cells")
            cursor.execute("VACUUM map_reports, report_cells")  # all visible, at last
    yield database
    postgres_server.drop(database)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], environment: Mapping[str, str], ready: str) -> Iterator[None]:
    """Run a server until the block ends; wait until it answers."""
    process = subprocess.Popen(command, env=dict(os.environ) | environment, cwd=ROOT)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                fetch(ready)
                break
            except URLError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def fetch(url: str) -> bytes:
    asked = Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310 - our own address
    with urlopen(asked, timeout=60) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body


def read(body: bytes) -> Any:
    """Return the JSON of an answer that may be gzipped."""
    return json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)


@contextmanager
def ours(database: Database, capacity: int) -> Iterator[str]:
    port = free_port()
    environment = {
        "PALABRE_GATEWAY_DATABASE_URL": database.url("gateway"),
        "PALABRE_GATEWAY_SECRET": "a secret for the bench",
    }
    command = [sys.executable, "-c", OURS, str(port), str(capacity)]
    url = f"http://127.0.0.1:{port}"
    with running(command, environment, f"{url}/tiles/reports/6/0/0.mvt"):
        yield url + "/tiles/reports/{z}/{x}/{y}.mvt"


@contextmanager
def peer(database: Database) -> Iterator[str]:
    port = free_port()
    url = make_url(database.url("gateway")).set(drivername="postgresql")
    environment = {
        "DATABASE_URL": url.render_as_string(False),
        "TIPG_DB_SCHEMAS": '["gateway"]',
        "TIPG_DB_TABLES": '["gateway.map_reports"]',
        "PYTHONPATH": "",
    }
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    address = f"http://127.0.0.1:{port}"
    with running([str(PEER), "tipg.main:app", *options], environment, f"{address}/healthz"):
        yield (
            address + "/collections/gateway.map_reports/tiles/WebMercatorQuad/{z}/{x}/{y}"
            "?geom-column=geom&properties=id,ref,category,status,received_at"
        )


def tiles(places: list[Any], z: int) -> list[tuple[int, int]]:
    """Return tiles of a zoom that hold the middles of some arrondissements."""
    some = places[:: max(1, len(places) // 40)]
    return sorted({(int(column_of(x, z)), int(row_of(y, z))) for _, _, x, y in some})


def measure(address: str, places: list[Any], folder: Path) -> dict[int, float]:
    """Return requests a second by zoom."""
    found = {}
    for z in WANTED:
        urls = [address.format(z=z, x=x, y=y) for x, y in tiles(places, z)]
        for url in urls:  # warm, and not empty
            assert len(fetch(url)) > 50, url
        origin = "/".join(urls[0].split("/", 3)[:3])
        paths = lua_list([url.removeprefix(origin) for url in urls])
        script = (
            f"local paths, n = {paths}, 0\n"
            "request = function() n = n + 1\n"
            '  return wrk.format("GET", paths[n % #paths + 1], {["Accept-Encoding"] = "gzip"})\n'
            "end\n"
        )
        load = wrk(origin, script, folder, connections=CONNECTIONS, seconds=SECONDS)
        assert load.errors == 0
        found[z] = load.per_second
    return found


def test_tiles_beside_tipg(loaded: Database, places: list[Any], tmp_path: Path) -> None:
    if not PEER.exists():
        pytest.skip(f"tipg is not there: {PEER}; make bench installs it")
    with peer(loaded) as address:
        theirs = measure(address, places, tmp_path)
    with ours(loaded, capacity=0) as address:
        fresh = measure(address, places, tmp_path)
    with ours(loaded, capacity=1 << 25) as address:
        kept = measure(address, places, tmp_path)
    print(f"\n{REPORTS} reports, {CONNECTIONS} connections, requests/s")
    print("zoom      tipg   built each time           kept   wanted")
    for z, least in WANTED.items():
        print(
            f"z{z:<3} {theirs[z]:9.1f} {fresh[z]:9.1f} ({fresh[z] / theirs[z]:6.1f} x) "
            f"{kept[z]:9.1f} ({kept[z] / theirs[z]:6.1f} x)   >= {least} x"
        )


def test_the_first_map_data_of_a_commune(loaded: Database) -> None:
    """What a commune's page fetches first for its map, gzipped, of the 60 KB that it may cost."""
    with ours(loaded, capacity=1 << 25) as address:
        base = address.partition("/tiles/")[0]
        layer = fetch(f"{base}/communes/0801/layers/reports.geojson")
        told = read(layer)
        bounds = read(fetch(f"{base}/api/v1/communes/0801"))["bbox"]
        print(f"\n{told['count']} reports in the commune")
        for width, height in ((328, 320), (816, 680), (1700, 680)):
            sent = len(layer)
            for x, y, z in first_view(bounds, width, height):
                sent += len(fetch(base + told["tiles"].format(x=x, y=y, z=z)))
            print(f"{width:5} x {height} px: {sent:6} bytes, {sent / 60_000:.2f} of 60 KB")
            assert sent > len(layer)
