"""The reference tables, filled from the shipped files into a real PostGIS."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from infra import reference
from infra.reference import tables

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine(scratch_database: str) -> Iterator[Engine]:
    made = create_engine(scratch_database)
    with made.begin() as connection:
        reference.load(connection)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as found:
        yield found
        found.rollback()


def everything(connection: Connection) -> list[str]:
    """Digest of every row and of the place it is stored at: an update moves it."""
    return [
        connection.scalar(
            text(
                "SELECT md5(string_agg(t.ctid::text || t::text, '' ORDER BY t::text))"
                f" FROM reference.{n} t"
            )
        )
        for n in ("communes", "arrondissements", "country", "version")
    ]


def test_all_communes_and_arrondissements_are_there_and_valid(connection: Connection) -> None:
    assert connection.execute(
        text(
            "SELECT count(*), bool_and(ST_IsValid(geom)), bool_and(ST_IsValid(outline)),"
            " sum(population_2013), count(DISTINCT department) FROM reference.communes"
        )
    ).one() == (77, True, True, 10_008_749, 12)
    assert connection.execute(
        text(
            "SELECT count(*), bool_and(ST_IsValid(geom)), sum(population_2013)"
            " FROM reference.arrondissements"
        )
    ).one() == (546, True, 10_008_749)


def test_loading_again_changes_nothing(connection: Connection) -> None:
    before = everything(connection)
    reference.load(connection)
    assert everything(connection) == before


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (2.4252507, 6.3676953, "0801"),  # Cotonou, the town's point
        (2.6278258, 9.3400159, "0405"),  # Parakou
        (1.993632, 7.1820012, "1201"),  # Abomey
    ],
)
def test_a_point_is_covered_by_its_commune_alone(
    connection: Connection, lon: float, lat: float, code: str
) -> None:
    found = connection.scalars(
        text(
            "SELECT code FROM reference.communes"
            " WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))"
        ),
        {"lon": lon, "lat": lat},
    ).all()
    assert found == [code]


def test_towns_lie_in_their_commune(connection: Connection) -> None:
    assert connection.execute(
        text(
            "SELECT count(town), count(*) FILTER (WHERE NOT ST_Covers(geom, town))"
            " FROM reference.communes"
        )
    ).one() == (75, 0)


def test_arrondissements_make_up_their_commune_without_overlap(connection: Connection) -> None:
    apart = connection.scalar(
        text(
            "SELECT max(ST_Area(ST_SymDifference(c.geom, a.geom))) FROM reference.communes c JOIN"
            " (SELECT commune_code, ST_Union(geom) AS geom"
            " FROM reference.arrondissements GROUP BY 1) a"
            " ON a.commune_code = c.code"
        )
    )
    assert apart < 1e-9
    overlap = connection.scalar(
        text(
            "SELECT coalesce(max(ST_Area(ST_Intersection(a.geom, b.geom))), 0)"
            " FROM reference.communes a JOIN reference.communes b"
            " ON a.code < b.code AND ST_Intersects(a.geom, b.geom)"
        )
    )
    assert overlap < 1e-9


def test_outlines_are_light_and_close_to_the_communes(connection: Connection) -> None:
    size, worst = connection.execute(
        text(
            "SELECT sum(length(ST_AsGeoJSON(outline, 4))),"
            " max(ST_Area(ST_SymDifference(geom, outline)) / ST_Area(geom)) FROM reference.communes"
        )
    ).one()
    assert size < 60_000
    assert worst < 0.02


def test_the_country_holds_every_commune_with_a_margin(connection: Connection) -> None:
    assert connection.execute(
        text(
            "SELECT bool_and(ST_Covers(n.geom, ST_Buffer(c.geom, 0.019))),"
            " bool_and(ST_IsValid(n.geom))"
            " FROM reference.country n, reference.communes c"
        )
    ).one() == (True, True)
    inside = text(
        "SELECT ST_Covers(geom, ST_SetSRID(ST_MakePoint(:x, :y), 4326)) FROM reference.country"
    )
    assert connection.scalar(inside, {"x": 2.42, "y": 6.34}) is True  # Cotonou's beach
    assert connection.scalar(inside, {"x": 1.22, "y": 6.13}) is False  # Lomé
    assert connection.scalar(inside, {"x": 3.38, "y": 6.45}) is False  # Lagos
    assert connection.scalar(inside, {"x": 6.37, "y": 2.42}) is False  # Cotonou, swapped


def test_arrondissements_are_ranked_as_people_count(connection: Connection) -> None:
    names = connection.scalars(
        text("SELECT name FROM reference.arrondissements WHERE commune_code = '0801' ORDER BY rank")
    ).all()
    assert names == ["1er arrondissement", *(f"{n}e arrondissement" for n in range(2, 14))]


def test_readers_may_read_and_not_write(connection: Connection) -> None:
    connection.execute(
        text(
            "DO $$ BEGIN CREATE ROLE palabre_reports LOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    )
    reference.load(connection)
    rights = connection.execute(
        text(
            "SELECT has_schema_privilege('palabre_reports', 'reference', 'USAGE'),"
            " has_table_privilege('palabre_reports', 'reference.communes', 'SELECT'),"
            " has_table_privilege('palabre_reports', 'reference.communes', 'UPDATE')"
        )
    ).one()
    assert rights == (True, True, False)


def test_new_files_leave_imported_boundaries_alone(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute(text("UPDATE reference.version SET boundaries = 'official'"))
    connection.execute(
        text(
            "UPDATE reference.communes SET name = 'old',"
            " geom = ST_Multi(ST_Envelope(geom)) WHERE code = '0801'"
        )
    )
    monkeypatch.setattr(tables, "data_version", lambda: "a newer version")
    reference.load(connection)
    assert connection.execute(
        text("SELECT name, ST_NPoints(geom) FROM reference.communes WHERE code = '0801'")
    ).one() == ("Cotonou", 5)
    assert connection.scalar(text("SELECT boundaries FROM reference.version")) == "official"
