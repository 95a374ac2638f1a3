"""Open311 read by a third-party client, by the specification's field names, and by filters."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from georeport import GeoReport
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from services.reports.domain import CATEGORIES, STATUSES
from services.reports.open311 import domain
from tests.apps import Tokens, serve
from tests.integration.reports.open311_world import (
    PRODUCTION,
    TEST,
    World,
    open_world,
    plain,
    xml,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

SERVICE = {
    "service_code", "service_name", "description", "metadata", "type", "keywords", "group",
}  # fmt: skip
ATTRIBUTE = {
    "variable", "code", "datatype", "required", "datatype_description", "order", "description",
}  # fmt: skip
REQUEST = (
    "service_request_id", "status", "status_notes", "service_name", "service_code", "description",
    "agency_responsible", "service_notice", "requested_datetime", "updated_datetime",
    "expected_datetime", "address", "address_id", "zipcode", "lat", "long", "media_url",
)  # fmt: skip
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens, media: Path) -> Iterator[World]:
    with open_world(fresh_database, tokens, media) as made:
        yield made


@pytest.fixture(scope="module")
def sent(world: World) -> dict[str, str]:
    """Reports by name; their times are moved to where the tests want them."""
    key, other = world.key(), world.key("0405")
    found = {
        "light": world.sent(key, service_code="lighting", description="Lampadaire éteint"),
        "road": world.sent(key, lat="6.38", long="2.43"),
        "old": world.sent(key, description="Vieux trou"),
        "parakou": world.sent(other, lat="9.337", long="2.628", service_code="water"),
        "unplaced": world.sent(key, lat=None, long=None, address_id="0801-05"),
    }
    ages = {"light": 1, "road": 10, "old": 120, "parakou": 2, "unplaced": 3}
    with create_engine(world.database.url("reports")).begin() as connection:
        for name, days in ages.items():
            connection.execute(
                text("UPDATE reports SET created_at = :at, updated_at = :at WHERE ref = :ref"),
                {"at": NOW - timedelta(days=days), "ref": found[name]},
            )
    agent = world.tokens.agent("0801")
    world.client.post(
        f"/api/v1/reports/{found['road']}/status",
        json={"status": "resolved", "public_note": "Rebouché <hier> & vérifié"},
        headers=agent,
    )
    with create_engine(world.database.url("reports")).begin() as connection:
        later = "UPDATE reports SET updated_at = closed_at + interval '1 hour' WHERE ref = :ref"
        connection.execute(text(later), {"ref": found["road"]})
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [one["service_request_id"] for one in found]


# A client that we did not write -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("jurisdiction", [None, "0801"])
def test_a_third_party_client_reads_everything_over_the_network(
    world: World, sent: dict[str, str], form: str, jurisdiction: str | None
) -> None:
    with serve(world.make_app()) as url:
        there = GeoReport(f"{url}{PRODUCTION}", jurisdiction=jurisdiction, output_format=form)
        services = there.get_service_list()
        assert [s["service_code"] for s in services] == list(CATEGORIES)
        assert set(services[0]) == SERVICE
        lighting = there.get_service_definition("lighting")
        assert lighting["service_code"] == "lighting"
        attributes = lighting["attributes"]
        if form == "xml":
            attributes = attributes["attribute"]
        assert [a["code"] for a in attributes] == ["danger", "pole", "lamps", "fault"]
        listed = there.get_service_requests()
        expected = [sent[name] for name in ("light", "parakou", "unplaced", "road")]
        if jurisdiction:
            expected.remove(sent["parakou"])
        assert ids(listed) == expected
        opened = there.get_service_requests(status="open", service_code="lighting,water")
        # One member alone: the client's XML reader gives it without its list.
        opened = [opened] if isinstance(opened, dict) else opened
        assert ids(opened) == [r for r in expected if r in (sent["light"], sent["parakou"])]
        picked = there.get_service_requests(
            service_request_id=f"{sent['old']},{sent['road']}", status="open"
        )
        assert ids(picked) == [sent["road"], sent["old"]]
        one = there.get_service_request(sent["road"])
        assert one["status_notes"] == "Rebouché <hier> & vérifié"
        assert set(one) == set(REQUEST)
        assert str(one["lat"]) == "6.38"


# Shapes -------------------------------------------------------------------------------------------


def test_both_formats_say_the_same_with_the_fields_of_the_specification(
    world: World, sent: dict[str, str]
) -> None:
    paths = ["discovery", "services", "services/waste", "requests", f"requests/{sent['light']}",
             f"tokens/{sent['light']}"]  # fmt: skip

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: texts(part) for key, part in value.items()}
        if isinstance(value, list):
            return [texts(part) for part in value]
        if isinstance(value, bool):
            return str(value).lower()
        return None if value in (None, "") else str(value)

    for path in paths:
        as_json = world.client.get(f"{PRODUCTION}/{path}.json")
        as_xml = world.client.get(f"{PRODUCTION}/{path}.xml")
        assert as_json.headers["content-type"] == "application/json; charset=utf-8"
        assert as_xml.headers["content-type"] == "text/xml; charset=utf-8"
        assert plain(xml(as_xml)) == texts(as_json.json()), path
    requests = xml(world.client.get(f"{PRODUCTION}/requests.xml"))
    assert requests.tag == "service_requests"
    assert {child.tag for child in requests} == {"request"}
    assert all([part.tag for part in child] == [*REQUEST] for child in requests)
    assert isinstance(world.get("requests.json"), list)


def test_discovery_tells_production_and_test_with_absolute_addresses(world: World) -> None:
    found = world.get("discovery.json")
    assert set(found) == {"changeset", "contact", "key_service", "endpoints"}
    assert [e["type"] for e in found["endpoints"]] == ["production", "test"]
    assert datetime.fromisoformat(found["changeset"]) < datetime.now(UTC)
    for endpoint, prefix in zip(found["endpoints"], (PRODUCTION, TEST), strict=True):
        assert set(endpoint) == {"specification", "url", "changeset", "type", "formats"}
        assert endpoint["url"] == f"http://testserver{prefix}"
        assert endpoint["formats"] == ["text/xml", "application/json"]
        assert world.client.get(f"{prefix}/services.xml").status_code == 200
    behind = world.client.get(
        f"{PRODUCTION}/discovery.json", headers={"X-Forwarded-Host": "palabre.example"}
    ).json()
    assert behind["endpoints"][0]["url"] == f"http://palabre.example{PRODUCTION}"


def test_services_and_their_questions(world: World) -> None:
    services = world.get("services.json")
    assert all(set(one) == SERVICE for one in services)
    assert {one["type"] for one in services} == {"realtime"}
    asked = {one["service_code"] for one in services if one["metadata"]}
    assert asked == set(domain.ATTRIBUTES)
    for one in services:
        found = world.get(f"services/{one['service_code']}.json")
        assert set(found) == {"service_code", "attributes"}
        assert bool(found["attributes"]) is one["metadata"]
        assert [a["order"] for a in found["attributes"]] == [
            *range(1, len(found["attributes"]) + 1)
        ]
        for attribute in found["attributes"]:
            listed = attribute["datatype"].endswith("valuelist")
            assert set(attribute) == ATTRIBUTE | ({"values"} if listed else set())
    assert world.get("services.json", jurisdiction_id="0405") == services
    assert world.get("services.json", jurisdiction_id="") == services


def test_a_report_says_who_does_what_and_when(world: World, sent: dict[str, str]) -> None:
    (light,) = world.get(f"requests/{sent['light']}.json")
    assert light["status"] == "open"
    assert light["status_notes"] is None
    assert light["service_name"] == "Éclairage public"
    assert light["agency_responsible"] == "Service de l'éclairage public"
    assert light["service_notice"].startswith("Confié à : Service de l'éclairage public.")
    assert light["address"].endswith("Cotonou")
    assert light["address_id"].startswith("0801-")
    assert (light["lat"], light["long"]) == (6.37, 2.42)
    assert light["zipcode"] is None
    assert light["media_url"] is None
    for name in ("requested_datetime", "updated_datetime", "expected_datetime"):
        assert light[name].endswith("+01:00")
        assert datetime.fromisoformat(light[name]).utcoffset() == timedelta(hours=1)
    (road,) = world.get(f"requests/{sent['road']}.json")
    assert road["status"] == "closed"
    assert road["service_notice"] is None
    (closed,) = world.sql(f"SELECT closed_at FROM reports WHERE ref = '{sent['road']}'")
    updated = datetime.fromisoformat(road["updated_datetime"])
    assert updated == closed["closed_at"].replace(microsecond=0)
    (unplaced,) = world.get(f"requests/{sent['unplaced']}.json")
    assert (unplaced["lat"], unplaced["long"]) == (None, None)
    assert unplaced["address_id"] == "0801-05"
    assert unplaced["address"] == "1er arrondissement, Cotonou"


def test_a_token_is_the_id_itself(world: World, sent: dict[str, str]) -> None:
    ref = sent["light"]
    expected = [{"service_request_id": ref, "token": ref}]
    assert world.get(f"tokens/{ref}.json") == expected
    assert world.get(f"tokens/{ref.lower()}.json", jurisdiction_id="0801") == expected


def test_every_status_is_open_or_closed() -> None:
    assert sorted(domain.STATES["open"] + domain.STATES["closed"]) == sorted(STATUSES)


# Filters ------------------------------------------------------------------------------------------


def test_lists_are_ninety_days_newest_first_unless_asked_otherwise(
    world: World, sent: dict[str, str]
) -> None:
    def found(**query: Any) -> list[str]:
        listed = ids(world.get("requests.json", **query))
        return [name for one in listed for name, ref in sent.items() if ref == one]

    recent = ["light", "parakou", "unplaced", "road"]
    assert found() == recent
    names = "jurisdiction_id service_request_id service_code start_date end_date status page lat"
    assert found(**dict.fromkeys(names.split(), "")) == recent
    assert found(extensions="true", unknown="x") == recent
    assert found(jurisdiction_id="0405") == ["parakou"]
    assert found(service_code="roads,lighting") == ["light", "unplaced", "road"]
    assert found(service_code=["roads", "water"]) == ["parakou", "unplaced", "road"]
    assert found(status="closed") == ["road"]
    assert found(status="open,closed") == recent
    assert found(status="open", service_code="roads") == ["unplaced"]
    assert found(page_size="2") == recent[:2]
    assert found(page="2", page_size="3") == recent[3:]
    assert found(page="3", page_size="3") == []
    assert found(lat="6.37", long="2.42", radius="500") == ["light"]
    assert found(lat="6.37", long="2.42", radius="5000") == ["light", "road"]
    assert found(service_request_id=f"{sent['old']}, S-NONE,,{sent['light'].lower()}") == [
        "light", "old",
    ]  # fmt: skip
    overridden = {"service_code": "nothing", "status": "?", "start_date": "?", "page": "x"}
    assert found(service_request_id=sent["old"], **overridden) == ["old"]
    assert found(service_request_id=sent["old"], jurisdiction_id="0405") == []


def test_dates_bound_the_list_at_both_ends(world: World, sent: dict[str, str]) -> None:
    def found(**query: Any) -> list[str]:
        listed = ids(world.get("requests.json", **query))
        return [name for one in listed for name, ref in sent.items() if ref == one]

    def ago(days: float) -> str:
        return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert found(start_date=ago(5)) == ["light", "parakou", "unplaced"]
    assert found(start_date=ago(125)) == ["old"]  # 90 days from there
    assert found(end_date=ago(100)) == ["old"]  # 90 days before
    assert found(start_date=ago(11), end_date=ago(2.5)) == ["unplaced", "road"]
    assert found(start_date=ago(130), end_date=ago(40)) == ["old"]  # exactly ninety days
    # What an answer tells finds it again: whole seconds, both ends included.
    (road,) = world.get(f"requests/{sent['road']}.json")
    at = road["requested_datetime"]
    assert found(start_date=at, end_date=at) == ["road"]
    unescaped = at.replace("+", " ")
    assert found(start_date=unescaped, end_date=unescaped) == ["road"]
    day = (NOW - timedelta(days=10)).astimezone(domain.TIMEZONE).date().isoformat()
    assert found(start_date=day, end_date=day) == ["road"]


BAD_QUERIES = [
    ({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-04-02T00:00:01Z"}, "90 days"),
    ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "after end_date"),
    ({"start_date": "yesterday"}, "start_date"),
    ({"end_date": "2026-01-01T00:00:00"}, "time zone"),
    ({"end_date": "9999-12-31T23:59:59Z"}, "2000 and 2100"),
    ({"start_date": "0001-01-01T00:00:00+14:00"}, "2000 and 2100"),
    ({"status": "opened"}, "open, closed"),
    ({"page": "0"}, "page"),
    ({"page": "-1"}, "page"),
    ({"page_size": "1001"}, "1000"),
    ({"page": "11"}, "10000"),
    ({"page": "9999999999999999999999"}, "page"),
    ({"page": "٣"}, "page"),
    ({"lat": "6.3", "long": "2.4"}, "go together"),
    ({"lat": "nan", "long": "2.4", "radius": "5"}, "lat"),
    ({"lat": "6.3", "long": "2.4", "radius": "1e9"}, "radius"),
    ({"lat": "6.3", "long": "2.4", "radius": "10001"}, "radius"),
    ({"lat": "96.3", "long": "2.4", "radius": "1"}, "lat"),
    ({"service_request_id": ",".join(["S-2222222"] * 1001)}, "1000"),
]


@pytest.mark.parametrize(("query", "words"), BAD_QUERIES)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_bad_question_is_told_what_is_wrong(
    world: World, query: dict[str, str], words: str, form: str
) -> None:
    answer = world.client.get(f"{PRODUCTION}/requests.{form}", params=query)
    assert words in world.refused(answer, 400)


NOT_THERE = [
    "requests/S-2222222.{}", "requests/%00.{}", "tokens/nothing.{}", "services/nothing.{}",
    "services.{}?jurisdiction_id=9999", "services/roads.{}?jurisdiction_id=cotonou.bj",
    "requests.{}?jurisdiction_id=%00", "requests.{}?service_code=nothing", "nothing.{}",
    "requests.{}?jurisdiction_id=0801%20", "requests/TEST-2222222.{}",
]  # fmt: skip


@pytest.mark.parametrize("path", NOT_THERE)
@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("prefix", [PRODUCTION, TEST])
def test_what_is_not_there_is_404_in_the_format_of_the_question(
    world: World, path: str, form: str, prefix: str
) -> None:
    answer = world.client.get(f"{prefix}/{path.format(form)}")
    kind = {"json": "application/json", "xml": "text/xml"}[form]
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    words = world.refused(answer, 404)
    assert ("not kept" in words) == ("TEST-" in path)


@pytest.mark.parametrize("path", ["services.html", "requests.", "requests.JSON", "services/x.csv"])
def test_an_unknown_format_is_404(world: World, path: str) -> None:
    world.refused(world.client.get(f"{PRODUCTION}/{path}"), 404)


def test_the_reports_of_another_jurisdiction_are_not_there(
    world: World, sent: dict[str, str]
) -> None:
    for what in ("requests", "tokens"):
        path = f"{what}/{sent['parakou']}.json"
        assert world.get(path, jurisdiction_id="0405")
        answer = world.client.get(f"{PRODUCTION}/{path}?jurisdiction_id=0801")
        world.refused(answer, 404)


def test_the_wrong_method_and_our_own_failures_keep_the_format(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = world.client.delete(f"{PRODUCTION}/services.json")
    world.refused(refused, 405)
    assert refused.headers["allow"] == "GET"
    world.refused(world.client.put(f"{PRODUCTION}/requests.xml"), 405)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr("services.reports.open311.service.catalogue", broken)
    with TestClient(world.make_app(), raise_server_exceptions=False) as client:
        answer = client.get(f"{PRODUCTION}/services.xml")
    words = world.refused(answer, 500)
    assert "secret" not in words
    assert answer.headers["connection"] == "close"
    assert words.startswith("Something failed on our side. (")


def test_no_database_is_503_in_the_format(world: World) -> None:
    nowhere = SecretStr("postgresql+psycopg2://x@127.0.0.1:9/x")
    app = world.make_app(database_url=nowhere)
    answer = TestClient(app).get(f"{PRODUCTION}/requests.json")
    app.state.engine.dispose()
    world.refused(answer, 503)
    assert answer.headers["retry-after"] == "2"


def test_other_paths_keep_their_own_format(world: World) -> None:
    answer = world.client.get("/api/v1/reports/S-2222222")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_first_thousand_and_no_more(world: World) -> None:
    """A thousand and one reports of one commune, in one statement, then one question."""
    with create_engine(world.database.url("reports")).begin() as connection:
        connection.execute(
            text("""
                INSERT INTO reports (id, ref, commune, arrondissement, category, status,
                    description, landmark, geom, created_at, updated_at)
                SELECT gen_random_uuid(), 'S-K' || n, '1203', '1203-01', 'noise', 'received',
                    'Bruit ' || n, '', ST_SetSRID(ST_MakePoint(2.0666 + n * 1e-5, 7.1782), 4326),
                    now() - n * interval '1 second', now()
                FROM generate_series(1, 1001) n
            """)
        )
    listed = ids(world.get("requests.json", jurisdiction_id="1203"))
    assert listed == [f"S-K{n}" for n in range(1, 1001)]
    rest = ids(world.get("requests.json", jurisdiction_id="1203", page="2"))
    assert rest == ["S-K1001"]
    # A sensitive category is shown on a grid, here too.
    (one,) = world.get("requests/S-K7.json")
    assert one["lat"] == pytest.approx(7.178)
    assert one["long"] == pytest.approx(2.066)
    assert one["agency_responsible"] is None
    assert one["service_notice"] is None
