"""OGC API – Features over real PostGIS: what the standard asks of each resource."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jsonschema
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance

from services.reports.ogc.domain import COLLECTIONS, CONFORMANCE, MAX_LIMIT
from tests.apps import Tokens
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

ITEMS = "/ogc/collections/signalements/items"
PLAIN = (
    "/ogc", "/ogc/", "/ogc/conformance", "/ogc/collections", "/ogc/collections/signalements",
    "/ogc/collections/communes/items/0801",
)  # fmt: skip
GENERATED = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    with open_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(world: World) -> None:
    world.clear()


def ids(page: dict[str, Any]) -> list[str]:
    return [feature["id"] for feature in page["features"]]


def link(document: dict[str, Any], rel: str, kind: str | None = None) -> str:
    """Return the one link of a relation (and type)."""
    (found,) = [
        one["href"]
        for one in document["links"]
        if one["rel"] == rel and kind in (None, one["type"])
    ]
    return str(found)


def walk(world: World, url: str) -> Iterator[dict[str, Any]]:
    """Yield a page and all that follow it."""
    while True:
        answer = world.client.get(url)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/geo+json"
        page = answer.json()
        yield page
        following = [
            one["href"]
            for one in page["links"]
            if one["rel"] == "next" and one["type"] == "application/geo+json"
        ]
        if not following:
            return
        (url,) = following


def test_the_landing_page_leads_to_everything(world: World) -> None:
    page = world.get("/ogc")
    assert link(page, "self") == f"{BASE}/ogc"
    for rel in ("service-desc", "conformance", "data"):
        assert world.client.get(urlsplit(link(page, rel)).path).status_code == 200
    assert world.get("/ogc/")["links"] == page["links"]  # owslib asks so
    assert world.get("/ogc/conformance")["conformsTo"] == list(CONFORMANCE)


def test_collections_say_where_and_when(world: World) -> None:
    world.report()
    found = {one["id"]: one for one in world.get("/ogc/collections")["collections"]}
    assert list(found) == list(COLLECTIONS)
    for name, one in found.items():
        assert world.get(f"/ogc/collections/{name}") == one
        assert link(one, "items", "application/geo+json") == f"{BASE}/ogc/collections/{name}/items"
        west, south, east, north = one["extent"]["spatial"]["bbox"][0]
        assert west < 2.42 < east
        assert south < 6.37 < north
    assert found["signalements"]["extent"]["temporal"]["interval"] == [
        ["2026-11-22T10:00:00Z", None]
    ]
    assert "temporal" not in found["communes"]["extent"]
    assert link(found["communes"], "license").startswith("https://opendatacommons.org/")


def test_a_report_is_a_feature_of_public_columns(world: World) -> None:
    report = world.report(category="lighting", landmark="près du marché", supports=3)
    photo = world.photo(report)
    (feature,) = world.get(ITEMS)["features"]
    assert feature["id"] == str(report)
    assert feature["geometry"] == {"type": "Point", "coordinates": [2.42, 6.37]}
    properties = feature["properties"]
    assert set(properties) <= {column.name for column in COLLECTIONS["signalements"].columns}
    assert properties["category_name"] == "Éclairage public"
    assert (properties["commune_name"], properties["status_name"]) == ("Cotonou", "Reçu")
    assert properties["created_at"] == "2026-11-22T10:00:00Z"
    assert properties["photo"] == f"{BASE}/api/v1/uploads/{photo}"
    assert properties["url"] == f"{BASE}/signalements/{properties['ref']}"
    one = world.get(f"{ITEMS}/{report}")
    assert {k: one[k] for k in feature} == feature
    assert link(one, "self") == f"{BASE}{ITEMS}/{report}"
    assert link(one, "collection") == f"{BASE}/ogc/collections/signalements"
    assert world.get(f"{ITEMS}/{properties['ref'].lower()}")["id"] == str(report)


def test_a_sensitive_report_is_shown_on_a_grid(world: World) -> None:
    report = world.report(category="noise", lon=2.42131, lat=6.37079)
    one = world.get(f"{ITEMS}/{report}")
    assert one["geometry"]["coordinates"] == [2.422, 6.37]
    # Nor does asking for ever smaller boxes give the place away.
    assert ids(world.get(ITEMS, bbox="2.4213,6.3707,2.4214,6.3708")) == []
    assert ids(world.get(ITEMS, bbox="2.422,6.37,2.422,6.37")) == [str(report)]


def test_features_are_as_their_schema_says(world: World) -> None:
    world.photo(world.report(lon=None, lat=None, due_at=AT, closed_at=AT))
    world.report()
    for name in COLLECTIONS:
        schema = world.get(f"/ogc/collections/{name}/schema")
        jsonschema.Draft202012Validator.check_schema(schema)
        features = world.get(f"/ogc/collections/{name}/items", limit=2)["features"]
        assert features
        for feature in features:
            jsonschema.validate(feature, schema)


def test_pages_hold_every_report_once_though_some_arrive_meanwhile(world: World) -> None:
    world.many(250)
    before = {str(row["id"]) for row in world.rows("SELECT id FROM reports")}
    seen: list[str] = []
    for number, page in enumerate(walk(world, f"{ITEMS}?limit=60")):
        world.report(created_at=AT + timedelta(days=1))  # newer than all: before the first page
        assert page["numberReturned"] == len(page["features"]) == (60, 60, 60, 60, 10)[number]
        seen += ids(page)
    assert len(seen) == 250
    assert set(seen) == before


def test_reports_of_one_moment_are_told_apart(world: World) -> None:
    for _ in range(7):
        world.report()
    seen = [one for page in walk(world, f"{ITEMS}?limit=3") for one in ids(page)]
    assert len(set(seen)) == len(seen) == 7


def test_the_number_is_said_only_where_it_is_known(world: World) -> None:
    world.many(5)
    assert world.get(ITEMS)["numberMatched"] == 5
    pages = list(walk(world, f"{ITEMS}?limit=3"))
    assert all("numberMatched" not in page for page in pages)


def test_a_limit_is_held_whatever_is_asked(world: World) -> None:
    world.many(MAX_LIMIT + 1)
    assert len(ids(world.get(ITEMS))) == 100
    assert len(ids(world.get(ITEMS, limit=5000))) == MAX_LIMIT


def test_boundaries_are_paged_by_code(world: World) -> None:
    pages = list(walk(world, "/ogc/collections/communes/items?limit=40"))
    codes = [one for page in pages for one in ids(page)]
    assert len(codes) == len(set(codes)) == 77
    assert codes == sorted(codes)
    parts = world.get("/ogc/collections/arrondissements/items", commune=COTONOU)
    assert parts["numberMatched"] == 13
    assert {p["properties"]["commune_name"] for p in parts["features"]} == {"Cotonou"}
    littoral = world.get("/ogc/collections/communes/items", department="Littoral")
    assert ids(littoral) == [COTONOU]
    assert littoral["features"][0]["properties"]["population_2013"] > 600_000
    assert littoral["features"][0]["geometry"]["type"] == "MultiPolygon"


def test_filters_keep_what_they_name(world: World) -> None:
    here = world.report(category="water", status="resolved")
    there = world.report(commune=PARAKOU, arrondissement="0405-01", lon=2.6, lat=9.3)
    for query, found in (
        ({"commune": COTONOU}, [here]),
        ({"arrondissement": "0405-01"}, [there]),
        ({"category": "water"}, [here]),
        ({"status": "resolved"}, [here]),
        ({"status": "resolved,received"}, [there, here]),
        ({"commune": PARAKOU, "category": "water"}, []),
    ):
        assert ids(world.get(ITEMS, **query)) == [str(one) for one in found], query


def test_a_box_keeps_what_lies_in_it_and_what_lies_nowhere(world: World) -> None:
    inside = world.report(lon=2.42, lat=6.37)
    world.report(lon=2.6, lat=9.3)
    nowhere = world.report(lon=None, lat=None)
    wanted = {str(inside), str(nowhere)}
    for box in ("2.4,6.3,2.5,6.4", "2.4,6.3,0,2.5,6.4,50", "2.42,6.37,2.42,6.37", "170,-9,2.5,7"):
        assert set(ids(world.get(ITEMS, bbox=box))) == wanted, box
    assert ids(world.get(ITEMS, bbox="100,10,110,20")) == [str(nowhere)]
    assert world.get(f"{ITEMS}/{nowhere}")["geometry"] is None
    # Boundaries are cut by a box, not only held in it.
    communes = world.get("/ogc/collections/communes/items", bbox="2.42,6.37,2.42,6.37")
    assert ids(communes) == [COTONOU]


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("2026-11-22T10:00:00Z", [0]),  # though it came at 10:00:00.25
        ("2026-11-22T11:00:00+01:00", [0]),
        ("2026-11-22T10:00:00Z/2026-11-22T11:00:00Z", [1, 0]),
        ("2026-11-22T10:00:01Z/2026-11-22T11:00:00Z", [1]),
        ("2026-11-22T10:00:01Z/..", [2, 1]),
        ("../2026-11-22T10:00:00Z", [0]),
        ("../2026-11-22T09:59:59Z", []),
        ("2026-11-22", [1, 0]),
        ("2026-11-23/..", [2]),
    ],
)
def test_times(world: World, when: str, found: list[int]) -> None:
    made = [
        world.report(created_at=AT + later)
        for later in (timedelta(), timedelta(hours=1), timedelta(days=1))
    ]
    assert ids(world.get(ITEMS, datetime=when)) == [str(made[n]) for n in found]


BAD = [
    {"offset": "10"}, {"limit": "0"}, {"limit": "all"}, {"bbox": "1,2,3"}, {"bbox": "3,9,2,8"},
    {"bbox": "NaN,0,1,1"}, {"datetime": "now"}, {"datetime": "../.."}, {"cursor": "here"},
    {"category": "dragons"}, {"status": "asleep"}, {"commune": "0801' OR '1'='1"}, {"f": "gml"},
    {"limit": ["1", "2"]}, {"crs": "http://www.opengis.net/def/crs/EPSG/0/3857"},
]  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_a_parameter_that_cannot_be_read_is_a_400(world: World, query: dict[str, Any]) -> None:
    answer = world.client.get(ITEMS, params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["code"] == "bad_parameter"
    assert found["description"] == found["detail"]


@pytest.mark.parametrize("path", [*PLAIN, "/ogc/api", "/ogc/collections/communes/schema"])
def test_no_resource_takes_a_parameter_it_does_not_know(world: World, path: str) -> None:
    assert world.client.get(path, params={"x": "1"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/ogc/collections/dragons",
        "/ogc/collections/dragons/items",
        "/ogc/collections/dragons/items/1",
        "/ogc/collections/dragons/schema",
        f"{ITEMS}/01a20fae-6e1f-7500-8549-5423837b40f6",
        f"{ITEMS}/S-2222222",
        f"{ITEMS}/%00",
        "/ogc/collections/communes/items/9999",
        "/ogc/collections/communes/items/%00",
    ],
)
def test_what_is_not_there_is_a_404(world: World, path: str) -> None:
    answer = world.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["description"]


def test_any_map_may_read_it(world: World) -> None:
    for path in ("/ogc", ITEMS):
        headers = world.client.get(path).headers
        assert headers["access-control-allow-origin"] == "*"
        assert headers["vary"] == "Accept"


@pytest.mark.parametrize("path", [*PLAIN, ITEMS, f"{ITEMS}?limit=1&commune={COTONOU}"])
def test_a_browser_gets_a_page(world: World, path: str) -> None:
    world.report(description="<script>alert('a')</script> {{7*7}}")
    world.report()
    as_browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = world.client.get(path, headers=as_browser)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    joint = "&" if "?" in path else "?"
    assert world.client.get(f"{path}{joint}f=html").text == page.text
    assert '<html lang="fr">' in page.text
    # The policy is default-src 'self': neither scripts nor styles of its own.
    assert page.headers["content-security-policy"] == "default-src 'self'"
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert world.client.get(f"{path}{joint}f=json", headers=as_browser).json()[
        "links" if path else ""
    ]


def test_hostile_words_are_words_on_a_page(world: World) -> None:
    report = world.report(description="<script>alert('a')</script> {{7*7}}")
    page = world.client.get(f"{ITEMS}/{report}?f=html").text
    assert "&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt; {{7*7}}" in page


def test_pages_lead_to_pages(world: World) -> None:
    world.many(3)
    url = f"{ITEMS}?limit=2&f=html"
    page = world.client.get(url).text
    document = world.get(f"{ITEMS}?limit=2")
    following = link(document, "next", "text/html")
    assert following.replace("&", "&amp;") in page
    assert world.client.get(following).text.count('data-label="Référence"') == 1


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "palabre.bj"}, "http://palabre.bj"),
        (
            {"Host": "127.0.0.1:8002", "X-Forwarded-Host": "palabre.bj:8443"},
            "http://palabre.bj:8443",
        ),
        ({"Host": "[::1]:8000"}, "http://[::1]:8000"),
        ({"Host": "evil.example/x?<script>"}, ""),
        ({"Host": "a b"}, ""),
        ({"Host": "palabre.bj", "X-Forwarded-Host": "user@evil.example"}, ""),
        ({"Host": "palabre.bj", "X-Forwarded-Host": "evil.example, palabre.bj"}, ""),
    ],
)
def test_without_the_setting_links_are_as_the_client_calls_us(
    fresh_database: Database, tokens: Tokens, headers: dict[str, str], base: str
) -> None:
    with TestClient(make_app(fresh_database, tokens)) as client:
        answer = client.get("/ogc", headers=headers)
        assert {urlsplit(one["href"]).path for one in answer.json()["links"]} >= {
            "/ogc",
            "/ogc/api",
        }
        assert all(one["href"].startswith(f"{base}/ogc") for one in answer.json()["links"])
        assert answer.headers["cache-control"] == "no-cache"


def test_the_setting_is_above_what_the_client_says(world: World) -> None:
    answer = world.client.get("/ogc", headers={"X-Forwarded-Host": "evil.example"})
    assert all(one["href"].startswith(f"{BASE}/ogc") for one in answer.json()["links"])


def test_the_definition_is_openapi_3_of_every_resource(world: World) -> None:
    answer = world.client.get("/ogc/api")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    document = answer.json()
    assert document["openapi"].startswith("3.0.")
    assert document["servers"] == [{"url": f"{BASE}/ogc"}]
    for name, collection in COLLECTIONS.items():
        operation = document["paths"][f"/collections/{name}/items"]["get"]
        named = {p["name"] for p in operation["parameters"] if "name" in p}
        assert named == {found.name for found in collection.filters}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_api_does_as_its_definition_says(
    world: World, fresh_database: Database, tokens: Tokens, mode: GenerationMode
) -> None:
    """What the definition allows is answered as it says; what it does not, without a 500."""
    world.many(3)
    world.report(closed_at=AT)
    schema = schemathesis.openapi.from_asgi("/ogc/api", make_app(fresh_database, tokens))
    asked: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @GENERATED
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            answer = case.call()
            asked.add(case.path)
            case.validate_response(answer, checks=[response_schema_conformance])
            assert answer.status_code in (200, 400, 404, 405), case.as_curl_command()

        with suppress(Unsatisfiable):  # nothing about it can be wrong
            ask()
    assert len(asked) >= 9


def test_no_hidden_or_withdrawn_report_is_a_feature(world: World) -> None:
    hidden = world.report(hidden_at=AT)
    withdrawn = world.report(status="withdrawn")
    merged = world.report(status="duplicate", duplicate_of=hidden)
    assert ids(world.get(ITEMS)) == [str(merged)]
    assert ids(world.get(ITEMS, status="withdrawn")) == []
    for one in (hidden, withdrawn):
        assert world.client.get(f"{ITEMS}/{one}").status_code == 404
    assert "duplicate_of" not in world.get(f"{ITEMS}/{merged}")["properties"]


def test_a_duplicate_names_the_report_it_repeats(world: World) -> None:
    master: UUID = world.report(ref="S-MASTER")
    copy = world.report(status="duplicate", duplicate_of=master)
    assert world.get(f"{ITEMS}/{copy}")["properties"]["duplicate_of"] == "S-MASTER"
