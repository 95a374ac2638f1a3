"""Reports over real PostGIS: where they lie, who may move them, what is refused."""

import io
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.apps import Tokens, count, rows
from tests.servers import Database

pytestmark = pytest.mark.integration

COTONOU = {"lon": 2.42, "lat": 6.37}
WASTE: dict[str, Any] = {
    **COTONOU,
    "category": "waste",
    "description": "Tas d'ordures au carrefour",
}
HOSTILE = "${alert(1)} `x` <script>alert('a')</script> {{7*7}} '\"; DROP TABLE reports;--"
TABLES = ("reports", "history", "attachments", "outbox", "idempotency_keys")


@pytest.fixture
def stored(fresh_database: Database) -> Any:
    """Return a function that counts the rows of every table a refused write must not touch."""
    return lambda: {table: count(fresh_database, "reports", table) for table in TABLES}


def pin(client: TestClient, headers: dict[str, str], **more: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/reports", json={**WASTE, **more}, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def image(size: tuple[int, int] = (40, 30), kind: str = "JPEG", **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind, **more)
    return out.getvalue()


def test_a_report_lies_in_its_commune_and_its_event_is_in_the_outbox(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    made = pin(client, tokens.bearer(), description=HOSTILE)
    assert made["commune"] == "0801"
    assert made["status"] == "received"
    found = client.get(f"/api/v1/reports/{made['ref']}").json()
    assert found["description"] == HOSTILE
    assert found["arrondissement"].startswith("0801-")
    assert (found["lon"], found["lat"]) == (2.42, 6.37)
    (event,) = rows(
        fresh_database, "reports", f"SELECT * FROM outbox WHERE subject = '{made['id']}'"
    )
    assert event["key"] == "0801"
    assert event["sequence"] == 1
    from services.reports.events import ReportReceived

    assert ReportReceived.model_validate(event["payload"]).ref == made["ref"]
    assert HOSTILE not in str(event)


def test_without_gps_no_point_is_invented(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    body = {"category": "water", "description": "Pompe en panne", "arrondissement": "0405-01"}
    answer = client.post(
        "/api/v1/reports", json={**body, "landmark": "près du marché"}, headers=tokens.bearer()
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["commune"] == "0405"
    found = client.get(answer.headers["location"]).json()
    assert (found["lon"], found["lat"], found["landmark"]) == (None, None, "près du marché")


def test_the_person_may_correct_the_commune_found(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    # Abomey-Calavi's border with Cotonou.
    made = pin(client, tokens.bearer(), lon=2.362, lat=6.372, commune="0301")
    other = pin(client, tokens.bearer(), lon=2.362, lat=6.372, commune="0801")
    assert {made["commune"], other["commune"]} == {"0301", "0801"}
    both = rows(fresh_database, "reports", "SELECT commune, commune_detected FROM reports")
    kept = {r["commune"]: r["commune_detected"] for r in both if r["commune"] in ("0301", "0801")}
    assert len(set(kept.values())) == 1  # what was detected stays beside the choice


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"lon": 6.37, "lat": 2.42}, 422, "outside_country"),
    ({"lon": 2.35, "lat": 48.85}, 422, "outside_country"),
    ({"lon": 2.42, "lat": 5.9}, 422, "outside_country"),  # in the sea
    ({"lon": 181.0}, 422, "invalid"),
    ({"lon": None}, 422, "invalid"),
    ({"lon": "east"}, 422, "invalid"),
    ({"lon": None, "lat": None}, 422, "invalid"),
    ({"lon": None, "lat": None, "arrondissement": "0801-99"}, 422, "unknown_arrondissement"),
    ({"commune": "9999"}, 422, "unknown_commune"),
    ({"commune": "0101"}, 422, "commune_too_far"),
    ({"commune": "Cotonou"}, 422, "invalid"),
    ({"category": "dragons"}, 422, "invalid"),
    ({"description": ""}, 422, "invalid"),
    ({"description": "x" * 4001}, 422, "invalid"),
    ({"description": "a\x00b c"}, 422, "invalid"),
    ({"description": "x" * 5_000_000}, 413, "too_large"),
    ({"photos": [str(uuid.uuid4())]}, 422, "unknown_photo"),
    ({"photos": ["../../etc/passwd"]}, 422, "invalid"),
    ({"surprise": 1}, 422, "invalid"),
]


@pytest.mark.parametrize(("change", "status", "code"), BAD)
def test_bad_reports_are_refused_and_nothing_is_stored(
    client: TestClient, tokens: Tokens, stored: Any, change: dict[str, Any], status: int, code: str
) -> None:
    before = stored()
    headers = {**tokens.bearer(), "Idempotency-Key": str(uuid.uuid4())}
    answer = client.post("/api/v1/reports", json={**WASTE, **change}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert stored() == before


def test_swapped_coordinates_are_named(client: TestClient, tokens: Tokens) -> None:
    swapped = {**WASTE, "lon": WASTE["lat"], "lat": WASTE["lon"]}
    answer = client.post("/api/v1/reports", json=swapped, headers=tokens.bearer())
    assert "swapped" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 422),
        (b'{"lon": NaN, "lat": 6.3, "category": "waste", "description": "abc"}', 422),
        (b'{"lon": Infinity, "lat": 6.3, "category": "waste", "description": "abc"}', 422),
        (b"\xff\xfe", 400),
    ],
)
def test_malformed_bodies(
    client: TestClient, tokens: Tokens, stored: Any, content: bytes, status: int
) -> None:
    before = stored()
    headers = {**tokens.bearer(), "content-type": "application/json"}
    answer = client.post("/api/v1/reports", content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored() == before


def test_bad_tokens_store_nothing(client: TestClient, tokens: Tokens, stored: Any) -> None:
    before = stored()
    for headers in (
        {},
        tokens.bearer(life=timedelta(seconds=-1)),
        {"Authorization": "Bearer forged.token.here"},
    ):
        answer = client.post("/api/v1/reports", json=WASTE, headers=headers)
        assert answer.status_code == 401
    assert stored() == before


def test_the_same_write_twice_is_one(client: TestClient, tokens: Tokens, stored: Any) -> None:
    headers = {**tokens.bearer(), "Idempotency-Key": str(uuid.uuid4())}
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: client.post("/api/v1/reports", json=WASTE, headers=headers), range(6)
            )
        )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    before = stored()
    other = client.post(
        "/api/v1/reports", json={**WASTE, "description": "autre chose"}, headers=headers
    )
    assert other.status_code == 409
    bad = {**headers, "Idempotency-Key": "not-a-uuid"}
    assert client.post("/api/v1/reports", json=WASTE, headers=bad).status_code == 422
    assert stored() == before


def test_an_anonymous_report_is_followed_by_its_secret(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {**WASTE, "anonymous": True}
    made = client.post("/api/v1/reports", json=body, headers=headers).json()
    again = client.post("/api/v1/reports", json=body, headers=headers).json()
    assert again == made
    secret = made["follow_up_token"]
    assert len(secret) >= 26
    dump = str(rows(fresh_database, "reports", "SELECT * FROM idempotency_keys")) + str(
        rows(fresh_database, "reports", "SELECT * FROM reports")
    )
    assert secret not in dump
    agent = tokens.agent("0801")
    url = f"/api/v1/reports/{made['id']}"
    client.post(f"{url}/status", json={"status": "resolved"}, headers=agent)
    reopen = {"status": "reopened", "public_note": "Toujours là"}
    assert client.post(f"{url}/status", json=reopen).status_code == 403
    wrong = {"X-Follow-Up-Token": "a" * 32}
    assert client.post(f"{url}/status", json=reopen, headers=wrong).status_code == 403
    right = {"X-Follow-Up-Token": secret}
    assert client.get(url, headers=right).json()["allowed"] == ["confirmed", "reopened"]
    assert client.post(f"{url}/status", json=reopen, headers=right).status_code == 200


def test_nothing_joins_an_anonymous_report_to_the_person_who_was_signed_in(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    user = uuid.uuid4()
    person = tokens.bearer(user=user)
    headers = {**person, "Idempotency-Key": str(uuid.uuid4())}
    body = {**WASTE, "anonymous": True}
    made = client.post("/api/v1/reports", json=body, headers=headers).json()
    url = f"/api/v1/reports/{made['id']}/status"
    client.post(url, json={"status": "resolved"}, headers=tokens.agent("0801"))
    both = {**person, "X-Follow-Up-Token": made["follow_up_token"]}
    assert client.post(url, json={"status": "reopened"}, headers=both).status_code == 200
    tables = ("reports", "history", "idempotency_keys", "outbox", "attachments", "uploads")
    dump = "".join(str(rows(fresh_database, "reports", f"SELECT * FROM {t}")) for t in tables)
    assert str(user) not in dump


def test_the_mairie_answers_and_the_citizen_sees_it(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    made = pin(client, tokens.bearer())
    url = f"/api/v1/reports/{made['id']}"
    step = {
        "status": "in_progress",
        "public_note": "Le camion passe jeudi.",
        "internal_note": "Voir avec Koffi",
    }
    agent = tokens.agent("0801")
    answer = client.post(f"{url}/status", json=step, headers=agent)
    assert answer.status_code == 200
    assert answer.json()["history"][-1]["internal_note"] == "Voir avec Koffi"
    seen = client.get(url)
    assert seen.json()["status"] == "in_progress"
    assert seen.json()["history"][-1]["public_note"] == "Le camion passe jeudi."
    assert "Koffi" not in seen.text
    assert "Koffi" not in client.get("/api/v1/reports?commune=0801").text
    events = rows(
        fresh_database,
        "reports",
        f"SELECT sequence, payload FROM outbox WHERE subject = '{made['id']}' ORDER BY position",
    )
    assert [e["sequence"] for e in events] == [1, 2]
    assert "Koffi" not in str(events)
    assert "camion" not in str(events)


def test_only_the_commune_s_agents_move_a_report(
    client: TestClient, tokens: Tokens, stored: Any
) -> None:
    owner = tokens.bearer()
    made = pin(client, owner)
    url = f"/api/v1/reports/{made['id']}/status"
    before = stored()
    for headers in (tokens.agent("0405"), tokens.bearer(), owner):
        answer = client.post(url, json={"status": "resolved"}, headers=headers)
        assert answer.status_code == 403
    jump = client.post(url, json={"status": "reopened"}, headers=tokens.agent("0801"))
    assert (jump.status_code, jump.json()["code"]) == (409, "transition_not_allowed")
    no_reason = client.post(url, json={"status": "rejected"}, headers=tokens.agent("0801"))
    assert no_reason.status_code == 422
    unknown = client.post(
        "/api/v1/reports/S-XXXXXXX/status", json={"status": "resolved"}, headers=owner
    )
    assert unknown.status_code == 404
    assert stored() == before


def test_two_agents_at_once_leave_one_history(
    client: TestClient, tokens: Tokens, fresh_database: Database
) -> None:
    made = pin(client, tokens.bearer())
    url = f"/api/v1/reports/{made['id']}/status"

    def resolve(_: int) -> int:
        headers = tokens.agent("0801")
        return client.post(url, json={"status": "resolved"}, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(resolve, range(6)))
    assert statuses == [200, 409, 409, 409, 409, 409]
    history = rows(
        fresh_database,
        "reports",
        f"SELECT version FROM history WHERE report_id = '{made['id']}'",
    )
    assert len(history) == 2


def test_me_too_counts_once_a_person(client: TestClient, tokens: Tokens) -> None:
    made = pin(client, tokens.bearer())
    url = f"/api/v1/reports/{made['id']}/support"
    person = tokens.bearer(user=uuid.uuid4())
    assert client.post(url).status_code == 401
    assert [client.post(url, headers=person).json()["supports"] for _ in range(2)] == [1, 1]
    assert client.post(url, headers=tokens.bearer()).json()["supports"] == 2


def test_near_open_reports_of_the_category_are_found(client: TestClient, tokens: Tokens) -> None:
    here = {"lon": 2.65, "lat": 9.33}
    near = pin(client, tokens.bearer(), **here, category="lighting")
    pin(client, tokens.bearer(), **here, category="roads")
    pin(client, tokens.bearer(), lon=2.66, lat=9.33, category="lighting")
    closed = pin(client, tokens.bearer(), **here, category="lighting")
    client.post(
        f"/api/v1/reports/{closed['id']}/status",
        json={"status": "resolved"},
        headers=tokens.agent("0405"),
    )
    url = "/api/v1/reports/duplicates?lon=2.6503&lat=9.33&category=lighting"
    assert client.get(url).json()["features"] == []  # two lamp posts stand as near as that
    found = client.get(f"{url}&radius=50").json()
    assert [f["properties"]["ref"] for f in found["features"]] == [near["ref"]]
    assert 25 < found["features"][0]["properties"]["distance_m"] < 40


def test_the_list_pages_through_everything_once(client: TestClient, tokens: Tokens) -> None:
    mine = {pin(client, tokens.bearer(), lon=1.79, lat=6.8)["id"] for _ in range(7)}
    url: str | None = "/api/v1/reports?bbox=1.7,6.7,1.85,6.9&limit=3"
    met: list[str] = []
    pages = 0
    while url:
        page = client.get(url).json()
        met += [f["id"] for f in page["features"]]
        url = page["next"]
        pages += 1
    assert sorted(met) == sorted(mine)
    assert pages == 3


@pytest.mark.parametrize(
    "query",
    [
        "bbox=1,2,3",
        "bbox=nan,1,2,3",
        "bbox=3,1,2,5",
        "cursor=%%%",
        "cursor=AAAA",
        "limit=0",
        "limit=201",
        "since=yesterday",
        "since=2026-01-01T00:00:00",
        "commune=abc",
        "category=%00",
        "category=dragons",
        "status=%00",
        "status=received,dragons",
        "since=0001-01-01T00:00:00%2B23:59",
        "until=9999-12-31T23:59:59-23:59",
        "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSAwMTkzMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDE=",
    ],
)
def test_bad_queries(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/reports?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_ready_and_metrics(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    assert 'palabre_events_set_aside{service="reports",what="parked_keys"} 0.0' in (
        client.get("/metrics").text
    )
    assert "palabre_http_requests_total" in client.get("/metrics").text
