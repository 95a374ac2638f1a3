"""Files of reports: what is in them, who may take which, and what they leave behind."""

import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
import pyogrio
import pytest
from sqlalchemy.exc import OperationalError

from services.reports.exports import files, repository
from services.reports.exports.domain import DESK, EXPORTS_PER_HOUR, FORMATS, PUBLIC
from tests.apps import Tokens, serve
from tests.integration.reports.open_data_world import (
    AT,
    BASE,
    COTONOU,
    PARAKOU,
    World,
    make_app,
    open_world,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

PUBLIC_FILE = "/api/v1/reports/export"
DESK_FILE = f"/api/v1/desk/{COTONOU}/export"


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    with open_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(world: World) -> None:
    world.clear()
    world.execute("TRUNCATE rate_counters")


def read_csv(content: bytes) -> list[dict[str, str]]:
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def read_geojson(content: bytes) -> list[dict[str, Any]]:
    return [
        {"id": f["id"], "geometry": f["geometry"], **f["properties"]}
        for f in json.loads(content)["features"]
    ]


def read_gpkg(content: bytes) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reports.gpkg"
        path.write_bytes(content)
        meta, _, geometry, values = pyogrio.raw.read(path)
        assert meta["crs"] == "EPSG:4326"
        rows = zip(*values, strict=True)
        return [
            {**dict(zip(meta["fields"], row, strict=True)), "geometry": shape}
            for row, shape in zip(rows, geometry, strict=True)
        ]


READ = {"csv": read_csv, "geojson": read_geojson, "gpkg": read_gpkg}


def take(world: World, path: str, form: str, *, agent: bool = False, **query: Any) -> Any:
    headers = world.agent() if agent else {}
    answer = world.client.get(f"{path}.{form}", params=query or None, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FORMATS[form]
    return READ[form](answer.content)


def refs(rows: list[dict[str, Any]]) -> list[str]:
    return [row["ref"] for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_holds_the_public_columns_and_no_other(world: World, form: str) -> None:
    world.report(ref="S-ONE", due_at=AT, supports=2)
    world.report(ref="S-TWO", lon=None, lat=None)
    rows = take(world, PUBLIC_FILE, form)
    assert refs(rows) == ["S-TWO", "S-ONE"]
    place = {"csv": {"lon", "lat"}, "geojson": {"id", "geometry"}, "gpkg": {"geometry"}}[form]
    assert set(rows[0]) == {column.name for column in PUBLIC} | place
    assert rows[1]["url"] == f"{BASE}/signalements/S-ONE"
    assert int(rows[1]["supports"]) == 2
    if form == "csv":
        assert (rows[1]["lon"], rows[1]["lat"], rows[0]["lon"]) == ("2.42", "6.37", "")
    else:
        assert rows[0]["geometry"] is None
        assert rows[1]["geometry"]


def test_a_spreadsheet_opens_the_csv_as_it_is_and_runs_nothing(world: World) -> None:
    world.report(description='=HYPERLINK("http://evil")', landmark='+229 01; "près"\nde l\'école')
    world.report(description="Trou\r\n=1+1 é 😀")
    answer = world.client.get(f"{PUBLIC_FILE}.csv")
    assert answer.content.startswith(b"\xef\xbb\xbfref;commune;")
    second, first = read_csv(answer.content)
    assert first["description"] == '\'=HYPERLINK("http://evil")'
    assert first["landmark"] == "'+229 01; \"près\"\nde l'école"
    assert second["description"] == "Trou\r\n=1+1 é 😀"
    # Bénin's hour, and said so.
    assert second["created_at"] == "2026-11-22T11:00:00+01:00"


def test_the_other_forms_say_the_same_in_utc(world: World) -> None:
    world.report(closed_at=datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC))
    (feature,) = take(world, PUBLIC_FILE, "geojson")
    assert (feature["created_at"], feature["closed_at"]) == (
        "2026-11-22T10:00:00Z",
        "2026-12-01T23:59:59Z",
    )
    assert feature["answered_at"] is None
    (row,) = take(world, PUBLIC_FILE, "gpkg")
    assert str(row["created_at"]) == "2026-11-22T10:00:00.250"
    assert str(row["closed_at"]).startswith("2026-12-01T23:59:59")


def test_a_file_is_named_for_what_it_holds(world: World) -> None:
    world.report()
    answer = world.client.get(f"{PUBLIC_FILE}.csv?commune={COTONOU}")
    named = answer.headers["content-disposition"]
    assert named.startswith(f'attachment; filename="signalements-{COTONOU}-20')
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("form", FORMATS)
def test_more_than_one_batch_is_one_file(
    world: World, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = repository.batches
    monkeypatch.setattr(repository, "batches", lambda *given: read(*given, size=7))
    world.many(21)  # three full batches, and a fourth that is empty
    for _ in range(5):
        world.report(created_at=AT + timedelta(seconds=10))  # of one moment, across a border
    rows = take(world, PUBLIC_FILE, form)
    assert len(set(refs(rows))) == len(rows) == 26


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_a_file_too(world: World, form: str) -> None:
    assert take(world, PUBLIC_FILE, form) == []


FILTERS: list[dict[str, Any]] = [
    {},
    {"commune": COTONOU},
    {"arrondissement": "0801-05"},
    {"category": "water"},
    {"status": "resolved,received"},
    {"bbox": "2.41,6.36,2.43,6.38"},
    {"since": "2026-11-22T10:00:01Z"},
    {"until": "2026-11-22T10:00:01Z"},
    {"commune": COTONOU, "category": "water", "since": "2026-11-23T00:00:00Z"},
]


def lay(world: World) -> None:
    day = timedelta(days=1)
    world.report(ref="S-A")
    world.report(ref="S-B", category="water", created_at=AT + day, status="resolved")
    world.report(ref="S-C", commune=PARAKOU, arrondissement="0405-01", lon=2.6, lat=9.3)
    world.report(ref="S-D", lon=None, lat=None, arrondissement="0801-06", status="in_progress")
    world.report(ref="S-E", hidden_at=AT, created_at=AT - day)
    world.report(ref="S-F", status="withdrawn")
    world.report(ref="S-G", due_at=AT - day, assignee=ME, agency="roads", description="Élagage")
    world.report(ref="S-H", due_at=AT - day, status="resolved", channel="ussd")
    world.execute(
        "INSERT INTO agents (commune, user_id, name) VALUES (:c, :me, 'Agent Awa')",
        c=COTONOU,
        me=ME,
    )


AWA = "INSERT INTO agents (commune, user_id, name) VALUES (:c, :me, 'Agent Awa')"
ME = UUID("01a20fae-6e1f-7500-8549-5423837b40f6")


@pytest.mark.parametrize("query", FILTERS)
def test_the_public_file_holds_what_the_list_shows(world: World, query: dict[str, Any]) -> None:
    lay(world)
    listed = world.get("/api/v1/reports", limit=200, **query)["features"]
    expected = [feature["properties"]["ref"] for feature in listed]
    assert expected
    for form in FORMATS:
        assert refs(take(world, PUBLIC_FILE, form, **query)) == expected


DESK_FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "resolved"},
    {"status": "withdrawn"},
    {"category": "waste"},
    {"agency": "roads"},
    {"assignee": str(ME)},
    {"assignee": "none"},
    {"overdue": "true"},
    {"overdue": "false"},
    {"hidden": "true"},
    {"hidden": "false"},
    {"channel": "ussd", "status": "resolved"},
    {"q": "elagage"},
    {"q": "s-b", "status": "resolved"},
    {"q": "100%"},
    {"arrondissement": "0801-06"},
    {"since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00Z"},
]


@pytest.mark.parametrize("query", DESK_FILTERS)
def test_the_desks_file_holds_what_its_queue_shows(world: World, query: dict[str, Any]) -> None:
    lay(world)
    headers = world.agent()
    queue = world.client.get(f"/api/v1/desk/{COTONOU}/reports", params=query, headers=headers)
    expected = [feature["properties"]["ref"] for feature in queue.json()["features"]]
    for form in FORMATS:
        assert refs(take(world, DESK_FILE, form, agent=True, **query)) == expected, form


def test_the_desks_file_says_more_but_neither_notes_nor_contacts(world: World) -> None:
    report = world.report(
        ref="S-X", category="noise", lon=2.42131, lat=6.37079, assignee=ME, channel="open311",
        answer_due_at=AT, hidden_at=AT, description="Mon voisin Kofi", public_description="Bruit",
    )  # fmt: skip
    world.execute(
        "INSERT INTO agents (commune, user_id, name) VALUES (:c, :me, 'Agent Awa')",
        c=COTONOU,
        me=ME,
    )
    world.execute(
        "INSERT INTO contacts (report_id, name, phone) VALUES (:id, 'Kofi', '+22901')", id=report
    )
    for form in FORMATS:
        (row,) = take(world, DESK_FILE, form, agent=True)
        assert {column.name for column in DESK} <= set(row)
        assert row["assignee"] == "Agent Awa"
        assert row["channel"] == "open311"
        assert str(row["hidden"]).lower() == "true"
        assert row["description"] == "Bruit"
        assert "Kofi" not in str(row)
    (feature,) = take(world, DESK_FILE, "geojson", agent=True)
    assert feature["geometry"]["coordinates"] == [2.42131, 6.37079]  # where the agents must go
    assert feature["answer_due_at"] == "2026-11-22T10:00:00Z"


def test_the_desks_file_is_its_agents_own(world: World) -> None:
    lay(world)
    for headers, status in (({}, 401), (world.tokens.bearer(), 403), (world.agent(PARAKOU), 403)):
        for form in FORMATS:
            answer = world.client.get(f"{DESK_FILE}.{form}", headers=headers)
            assert answer.status_code == status
            assert "S-A" not in answer.text
    answer = world.client.get(f"{DESK_FILE}.csv", headers=world.agent())
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    assert "S-C" not in answer.text  # of Parakou


@pytest.mark.parametrize("path", [PUBLIC_FILE, DESK_FILE])
@pytest.mark.parametrize("form", ["shp", "CSV", "csv.exe", "", "%2e%2e"])
def test_another_form_is_a_404(world: World, path: str, form: str) -> None:
    answer = world.client.get(f"{path}.{form}", headers=world.agent())
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [{"commune": "x"}, {"category": "dragons"}, {"status": "asleep"}, {"bbox": "1,2,3"},
     {"since": "yesterday"}, {"until": "9999-12-31T00:00:00Z"}],
)  # fmt: skip
def test_a_bad_filter_is_refused_before_the_file_begins(
    world: World, query: dict[str, str]
) -> None:
    answer = world.client.get(f"{PUBLIC_FILE}.csv", params=query)
    assert answer.status_code == 422


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give exports a folder of this test's own: other workers make files beside it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_geopackage_of_too_many_is_refused_and_leaves_nothing(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_GEOPACKAGE", 1500)
    world.many(2500)
    answer = world.client.get(f"{PUBLIC_FILE}.gpkg")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_for_one_file")
    assert list(folder.iterdir()) == []
    # The next one is made all the same: nothing was held.
    assert len(take(world, PUBLIC_FILE, "gpkg", until="2026-11-22T10:10:00Z")) == 599


def test_only_so_many_geopackages_are_made_at_once(world: World) -> None:
    world.report()
    with files._making, files._making:
        answer = world.client.get(f"{PUBLIC_FILE}.gpkg")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert len(take(world, PUBLIC_FILE, "csv")) == 1
    assert len(take(world, PUBLIC_FILE, "gpkg")) == 1


def held_open() -> list[str]:
    """Return the exports that this process holds open though they have no name any more."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found.append(os.readlink(one))
    return [target for target in found if "palabre-export-" in target]


def test_a_geopackage_goes_with_the_reader_who_leaves(
    world: World, fresh_database: Database, tokens: Tokens, folder: Path
) -> None:
    world.many(20_000)
    with serve(make_app(fresh_database, tokens)) as url:
        with httpx.stream("GET", f"{url}{PUBLIC_FILE}.gpkg", timeout=60) as answer:
            assert int(answer.headers["content-length"]) > 4_000_000
            parts = answer.iter_raw(1000)
            next(parts)
            # Half sent, it has no name: even a killed server leaves nothing.
            assert list(folder.iterdir()) == []
            (file,) = held_open()
            assert file.endswith("(deleted)")
        for _ in range(500):
            if not held_open():
                break
            time.sleep(0.01)
        assert held_open() == []


def test_a_file_that_breaks_off_is_not_taken_for_a_whole_one(
    world: World, fresh_database: Database, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.many(1500)
    read = repository._read
    times = iter(range(2))

    def broken(*given: Any) -> Any:
        if next(times) == 1:
            raise OperationalError("SELECT", {}, Exception("the server is gone"))
        return read(*given)

    monkeypatch.setattr(repository, "_read", broken)
    with serve(make_app(fresh_database, tokens)) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}{PUBLIC_FILE}.csv")


def test_one_address_may_take_so_many_files_an_hour(world: World) -> None:
    world.report()
    world.execute(
        "INSERT INTO rate_counters SELECT subject, hour, :most FROM rate_counters",
        most=EXPORTS_PER_HOUR,
    )
    assert world.client.get(f"{PUBLIC_FILE}.csv").status_code == 200
    world.execute("UPDATE rate_counters SET count = :most", most=EXPORTS_PER_HOUR)
    answer = world.client.get(f"{PUBLIC_FILE}.csv")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
    assert world.client.get(f"{DESK_FILE}.csv", headers=world.agent()).status_code == 200


def test_a_reader_holds_no_connection(world: World) -> None:
    """Between two batches nothing of the pool is taken: slow readers cannot stop the service."""
    world.many(2500)
    rows = repository.batches(
        world.engine, repository.PUBLIC_VIEW, "r.ref", repository.Selection(), BASE
    )
    assert len(next(rows)) == repository.BATCH
    assert world.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert sum(map(len, rows)) == 1500


def test_an_export_is_no_reports_id(world: World) -> None:
    report = world.report(id=uuid4())
    assert world.get(f"/api/v1/reports/{report}")["id"] == str(report)
