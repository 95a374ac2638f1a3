"""`palabre communes import`: official boundaries in, or nothing changed."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy import Engine, create_engine, text
from typer.testing import CliRunner, Result

from infra import reference
from infra.reference.cli import cli

pytestmark = pytest.mark.integration

Feature = dict[str, Any]


@pytest.fixture(scope="module")
def engine(scratch_database: str) -> Iterator[Engine]:
    made = create_engine(scratch_database)
    with made.begin() as connection:
        reference.load(connection)
    yield made
    made.dispose()


@pytest.fixture
def run(scratch_database: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("PALABRE_ADMIN_DATABASE_URL", scratch_database)
    return lambda *args: CliRunner().invoke(cli, ["import", *map(str, args)])


def state(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return [
            connection.scalar(
                text(
                    "SELECT md5(string_agg(t.ctid::text || t::text, '' ORDER BY t::text))"
                    f" FROM reference.{n} t"
                )
            )
            for n in ("communes", "arrondissements", "country", "version")
        ]


@pytest.fixture(scope="module")
def communes(engine: Engine) -> list[tuple[str, str, shapely.MultiPolygon]]:
    with engine.connect() as connection:
        return [
            (code, name, shapely.from_wkb(bytes(geom)))
            for code, name, geom in connection.execute(
                text("SELECT code, name, ST_AsBinary(geom) FROM reference.communes ORDER BY code")
            )
        ]


def write(path: Path, shapes: list[Any], driver: str, crs: str | None, **fields: list[Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path,
            shapely.to_wkb(np.array(shapes, dtype=object)),
            [np.array(values, dtype=object) for values in fields.values()],
            list(fields),
            driver=driver,
            crs=crs,
            geometry_type="Unknown" if driver != "ESRI Shapefile" else "Polygon",
        )
    return path


def to_utm(geom: Any) -> Any:
    move = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform
    return shapely.transform(geom, lambda xy: np.column_stack(move(xy[:, 0], xy[:, 1])))


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("a.geojson", "GeoJSON"),
        ("a.gpkg", "GPKG"),
        ("a.shp", "ESRI Shapefile"),
        ("a.fgb", "FlatGeobuf"),
    ],
)
def test_all_communes_in_utm_come_back_where_they_were(
    run: Callable[..., Result],
    engine: Engine,
    tmp_path: Path,
    name: str,
    driver: str,
    communes: list[tuple[str, str, shapely.MultiPolygon]],
) -> None:
    file = write(
        tmp_path / name,
        [to_utm(geom) for *_, geom in communes],
        driver,
        "EPSG:32631",
        NOM=[commune.upper() for _, commune, _ in communes],
    )
    result = run(file)
    assert result.exit_code == 0, result.output
    assert "77 of 77 communes matched and replaced." in result.output
    with engine.connect() as connection:
        after = dict(
            connection.execute(text("SELECT code, ST_AsBinary(geom) FROM reference.communes")).all()
        )
        source = connection.scalar(text("SELECT boundaries FROM reference.version"))
    assert json.loads(source)["file"] == name
    for code, _, geom in communes:
        assert shapely.hausdorff_distance(shapely.from_wkb(bytes(after[code])), geom) < 1e-6


def test_some_communes_by_code_alias_and_number(
    run: Callable[..., Result],
    engine: Engine,
    tmp_path: Path,
    communes: list[tuple[str, str, shapely.MultiPolygon]],
) -> None:
    shapes = {code: geom for code, _, geom in communes}
    smaller = shapes["0801"].buffer(-0.001)
    file = write(
        tmp_path / "some.geojson",
        [smaller, shapes["1009"], shapes["0202"]],
        "GeoJSON",
        "EPSG:4326",
        id=[801, None, None],
        ville=["Cotonou", "SEME KPODJI", "Cobli"],
    )
    result = run(file, "--code-field", "id", "--name-field", "ville")
    assert result.exit_code == 0, result.output
    assert "3 of 77" in result.output
    assert "0405 Parakou" in result.output.split("Not in the file")[1]
    with engine.connect() as connection:
        assert connection.scalar(
            text(
                "SELECT ST_Covers(ST_Buffer(ST_GeomFromText(:wkt, 4326), 1e-6), geom)"
                " FROM reference.communes WHERE code = '0801'"
            ),
            {"wkt": smaller.wkt},
        )


BOX = [[[2.37, 6.35], [2.48, 6.35], [2.48, 6.4], [2.37, 6.4], [2.37, 6.35]]]


def feature(geometry: Any, **properties: Any) -> Feature:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def polygon(rings: Any = BOX) -> Feature:
    return {"type": "Polygon", "coordinates": rings}


FAR = [[[x + 10, y] for x, y in BOX[0]]]
SWAPPED = [[[y, x] for x, y in BOX[0]]]
BOWTIE = [[[2.37, 6.35], [2.48, 6.4], [2.48, 6.35], [2.37, 6.4], [2.37, 6.35]]]
NAN = [[[2.37, float("nan")], *BOX[0][1:4], [2.37, float("nan")]]]
BAD = {
    "a point": (
        [feature({"type": "Point", "coordinates": [2.4, 6.37]}, code="0801")],
        "not an area",
    ),
    "a line": (
        [feature({"type": "LineString", "coordinates": BOX[0]}, code="0801")],
        "not an area",
    ),
    "no geometry": ([feature(None, code="0801")], "no geometry"),
    "empty": ([feature(polygon([]), code="0801")], "none"),
    "NaN": ([feature(polygon(NAN), code="0801")], "feature 1"),
    "a far away place": ([feature(polygon(FAR), code="0801")], "outside Bénin"),
    "swapped axes": ([feature(polygon(SWAPPED), code="0801")], "outside Bénin"),
    "metres said to be degrees": (
        [feature(polygon([[[x * 1e5, y * 1e5] for x, y in BOX[0]]]), code="0801")],
        "outside Bénin",
    ),
    "a crossed outline": ([feature(polygon(BOWTIE), code="0801")], "not a valid area"),
    "an unknown code": ([feature(polygon(), code="9999")], "matches no commune"),
    "an unknown name": ([feature(polygon(), name="Atlantide ${alert(1)}")], "matches no commune"),
    "one twice": ([feature(polygon(), code="0801"), feature(polygon(), code="801")], "are both"),
    "code against name": ([feature(polygon(), code="0801", name="Parakou")], "the name of 0405"),
    "another commune's place": ([feature(polygon(), code="0405")], "does not lie where Parakou"),
    "two on one another": (
        [
            feature(polygon(), code="0801"),
            feature(
                polygon([[[2.3, 6.3], [2.55, 6.3], [2.55, 6.75], [2.3, 6.75], [2.3, 6.3]]]),
                code="0301",
            ),
        ],
        "overlap by",
    ),
    "neither code nor name": ([feature(polygon(), autre="0801")], "no field of codes or names"),
    "no feature": ([], "0 features"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_told_and_changes_nothing(
    run: Callable[..., Result], engine: Engine, tmp_path: Path, case: str
) -> None:
    features, told = BAD[case]
    file = tmp_path / "bad.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    before = state(engine)
    result = run(file)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{file}: ")
    assert told in result.stderr
    assert state(engine) == before


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.geojson", None, "not a file"),
        ("words.geojson", b"bonjour", "not GeoJSON"),
        ("empty.geojson", b"", "not GeoJSON"),
        ("zeros.gpkg", bytes(4096), "not GPKG"),
        ("table.csv", b"code;name\n0801;Cotonou\n", "not one of"),
        ("other.geojson", b'{"type": "Topology"}', "GeoJSON"),
        (
            "virtual.geojson",
            b"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/etc/passwd"
            b"</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
            "not GeoJSON",
        ),
        (
            "half.geojson",
            b'{"type": "FeatureCollection", "features": [{"type": "Feature"',
            "GeoJSON",
        ),
    ],
)
def test_what_is_no_map_at_all_is_told(
    run: Callable[..., Result],
    engine: Engine,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    told: str,
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    before = state(engine)
    result = run(file)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{file}: ")
    assert told in result.stderr
    assert state(engine) == before


def test_a_file_without_a_coordinate_system_needs_one(
    run: Callable[..., Result],
    engine: Engine,
    tmp_path: Path,
    communes: list[tuple[str, str, shapely.MultiPolygon]],
) -> None:
    code, _, geom = communes[-1]
    file = write(tmp_path / "no_crs.shp", [to_utm(geom)], "ESRI Shapefile", None, code=[code])
    before = state(engine)
    assert "coordinate system" in run(file).stderr
    assert "unknown coordinate system" in run(file, "--crs", "EPSG:nothing").stderr
    assert "no field 'nom'" in run(file, "--name-field", "nom").stderr
    assert state(engine) == before
    assert run(file, "--crs", "EPSG:32631").exit_code == 0


def test_a_database_that_fails_half_way_keeps_everything(
    run: Callable[..., Result],
    engine: Engine,
    tmp_path: Path,
    communes: list[tuple[str, str, shapely.MultiPolygon]],
) -> None:
    code, _, geom = communes[0]
    file = write(
        tmp_path / "good.geojson", [geom.buffer(-0.01)], "GeoJSON", "EPSG:4326", code=[code]
    )
    with engine.begin() as connection:  # the boundaries are written before the country is
        connection.execute(
            text("ALTER TABLE reference.country ADD CONSTRAINT shut CHECK (false) NOT VALID")
        )
    before = state(engine)
    result = run(file)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE reference.country DROP CONSTRAINT shut"))
    assert result.exit_code == 1
    assert "nothing was changed" in result.stderr
    assert state(engine) == before
