"""The programs of others read the OGC API: GDAL of two ages, and owslib."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from owslib.ogcapi.features import Features

from services.reports.ogc.domain import COLLECTIONS
from tests.apps import Tokens, serve
from tests.integration.reports.open_data_world import (
    AT,
    COTONOU,
    PARAKOU,
    World,
    make_app,
    open_world,
)
from tests.servers import Database, unavailable

pytestmark = pytest.mark.integration

REPORTS = 137


@pytest.fixture(scope="module")
def url(fresh_database: Database, tokens: Tokens) -> Iterator[str]:
    """Serve reports: 120 of Cotonou, 15 of Parakou, a lit one, and one that nobody may see."""
    with open_world(fresh_database, tokens) as world:
        lay(world)
    with serve(make_app(fresh_database, tokens)) as found:
        yield f"{found}/ogc"


def lay(world: World) -> None:
    world.many(120)
    world.many(15, PARAKOU)
    world.report(ref="S-LIGHT", category="lighting", lon=2.5, lat=6.5, closed_at=AT)
    world.report(lon=None, lat=None, category="water")
    world.report(hidden_at=AT)


@pytest.fixture(scope="module")
def gdal() -> str:
    """Find Debian's GDAL; skip (in CI: fail) when there is none."""
    if shutil.which("ogrinfo") is None:
        unavailable("GDAL's programs are missing: apt-get install gdal-bin")
    return "ogrinfo"


def run(*command: str) -> str:
    """Run a program and return what it says; no warning may come with it."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_gdal_lists_the_layers_with_their_shapes(gdal: str, url: str) -> None:
    said = run(gdal, f"OAPIF:{url}")
    assert "signalements (title: Signalements) (Point)" in said
    for name in ("communes", "arrondissements"):
        assert f"{name} (title: {name.capitalize()}) (Multi Polygon)" in said


def test_gdal_counts_by_pages_and_knows_the_types(gdal: str, url: str) -> None:
    said = run(gdal, "-so", f"OAPIF:{url}", "signalements")
    assert f"Feature Count: {REPORTS}" in said
    # Also of what no report of the first page has: the schema says it.
    for field in ("created_at", "due_at", "closed_at"):
        assert f"{field}: DateTime" in said
    assert "supports: Integer" in said
    assert "ref: String" in said


@pytest.mark.parametrize("page_size", [None, "50", "1000"])
def test_ogr2ogr_takes_all_pages(
    gdal: str, url: str, tmp_path: Path, page_size: str | None
) -> None:
    out = tmp_path / "reports.geojson"
    options = ["-oo", f"PAGE_SIZE={page_size}"] if page_size else []
    run("ogr2ogr", "-f", "GeoJSON", str(out), *options, f"OAPIF:{url}", "signalements")
    found = json.loads(out.read_text())["features"]
    assert len(found) == REPORTS
    assert len({feature["properties"]["ref"] for feature in found}) == REPORTS
    (lit,) = [f for f in found if f["properties"]["ref"] == "S-LIGHT"]
    assert lit["geometry"]["coordinates"] == [2.5, 6.5]
    assert lit["properties"]["category_name"] == "Éclairage public"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["-where", "category = 'lighting'"], 1),
        (["-where", f"commune = '{PARAKOU}'"], 15),
        (["-where", "category = 'roads' AND commune = '0801'"], 120),
        (["-where", "created_at = '2026/11/22 10:00:00Z'"], 2),
        (["-where", "created_at > '2026/11/22 10:01:59Z'"], 2),
        (["-spat", "2.49", "6.49", "2.51", "6.51"], 1),
        (["-where", "ref = 'S-LIGHT'"], 1),  # not a parameter of ours: GDAL looks itself
    ],
)
def test_gdal_asks_the_server_for_what_it_filters(
    gdal: str, url: str, options: list[str], count: int
) -> None:
    said = run(gdal, "-q", *options, f"OAPIF:{url}", "signalements")
    assert said.count("OGRFeature(signalements)") == count


def test_gdal_reads_the_boundaries(gdal: str, url: str, tmp_path: Path) -> None:
    for name, count in (("communes", 77), ("arrondissements", 546)):
        out = tmp_path / f"{name}.gpkg"
        run("ogr2ogr", str(out), "-oo", "PAGE_SIZE=1000", f"OAPIF:{url}", name)
        said = run(gdal, "-so", str(out), name)
        assert f"Feature Count: {count}" in said


_READ = """
import json, sys
import pyogrio
meta, _, geometry, fields = pyogrio.raw.read(sys.argv[1], layer=sys.argv[2], where=sys.argv[3])
print(json.dumps([pyogrio.__gdal_version__, len(geometry), list(meta["fields"])]))
"""


def test_a_newer_gdal_reads_the_same(url: str) -> None:
    """Read with the GDAL that pyogrio brings, in a process of its own: it never lets go of ours."""
    for where, count in (("", REPORTS), (f"commune = '{PARAKOU}'", 15)):
        said = run(sys.executable, "-c", _READ, f"OAPIF:{url}", "signalements", where)
        version, found, fields = json.loads(said)
        assert version >= [3, 9]
        assert found == count
        assert {column.name for column in COLLECTIONS["signalements"].columns} <= set(fields)


def test_owslib_reads_all_of_it(url: str) -> None:
    service = Features(url)
    assert service.conformance()["conformsTo"]
    assert service.api()["openapi"].startswith("3.0.")
    assert service.feature_collections() == list(COLLECTIONS)
    assert service.collection("communes")["title"] == "Communes"
    assert service.collection_schema("communes")["title"] == "Communes"
    page = service.collection_items(
        "signalements", bbox=[2.49, 6.49, 2.51, 6.51], datetime_="2026-11-22T10:00:00Z/..", limit=50
    )
    (found,) = [f for f in page["features"] if f["geometry"]]
    assert found["properties"]["ref"] == "S-LIGHT"
    assert service.collection_item("signalements", found["id"])["properties"] == found["properties"]
    assert service.collection_items("arrondissements", commune=COTONOU)["numberMatched"] == 13


def test_owslib_is_told_why_not(url: str) -> None:
    service: Any = Features(url)
    with pytest.raises(RuntimeError, match="offset"):
        service.collection_items("signalements", offset=10)
