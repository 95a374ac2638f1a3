"""The pure parts of the gateway: policy, cookies, headers, paths, names, merged documents."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gateway import clients, proxy, security
from gateway.errors import ServiceProblem
from gateway.places import fold
from services.common import problems

pytestmark = pytest.mark.unit


def test_the_policy_allows_no_inline_script_and_only_our_tiles() -> None:
    plain = security.content_policy()
    assert "unsafe" not in plain
    assert "http" not in plain
    tiled = security.content_policy("https://{s}.tiles.example/{z}/{x}/{y}.png")
    assert "img-src 'self' data: blob: https://*.tiles.example;" in tiled
    assert "script-src 'self';" in tiled
    assert security.content_policy("/tiles/{z}/{x}/{y}.png") == plain


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"/api/v1/reports/S-7K4M2P", True),
        (b"/api/v1/reports/a..b", True),
        (b"/api/v1/reports/Tangui%C3%A9ta", True),
        (b"/api/v1/reports/../../metrics", False),
        (b"/api/v1/reports/%2e%2e/%2E%2E/metrics", False),
        (b"/api/v1/reports/%252e%252e/metrics", False),
        (b"/api/v1/reports/./x", False),
        (b"/api/v1/reports/..%2f..%2fmetrics", False),
        (b"/api/v1/reports/..\\..\\metrics", False),
        (b"/api/v1/reports/%00", False),
        (b"/api/v1/reports/%0d%0aX: y", False),
    ],
)
def test_paths_that_would_leave_the_api_are_not_forwarded(path: bytes, plain: bool) -> None:
    assert proxy._plain(path) is plain


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/api/v1/reports/1", "/api/v1/reports/1"),
        ("http://127.0.0.1:8002/api/v1/reports/1?a=b", "/api/v1/reports/1?a=b"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
    ],
)
def test_location_is_told_without_our_inside(location: str, told: str) -> None:
    assert proxy.relative(location, "http://127.0.0.1:8002") == told


def test_documents_are_merged_and_clashing_schemas_renamed() -> None:
    def document(path: str, body: dict) -> dict:
        ref = {"$ref": "#/components/schemas/Body"}
        return {
            "paths": {path: {"get": {"x": [ref]}}, "/healthz": {}},
            "components": {"schemas": {"Body": body, "Same": {"type": "null"}}},
        }

    one, two = {"type": "string"}, {"type": "integer"}
    own = {"openapi": "3.1.0", "info": {"title": "Palabre"}, "paths": {"/api/v1/communes": {}}}
    found = proxy.merged(
        own, {"reports": document("/api/v1/a", one), "voting": document("/api/v1/b", two)}
    )
    assert list(found["paths"]) == ["/api/v1/a", "/api/v1/b", "/api/v1/communes"]
    schemas = found["components"]["schemas"]
    assert schemas == {"Body": one, "VotingBody": two, "Same": {"type": "null"}}
    used = found["paths"]["/api/v1/b"]["get"]["x"][0]["$ref"]
    assert used == "#/components/schemas/VotingBody"
    assert found["info"] == {"title": "Palabre"}


@pytest.mark.parametrize(
    ("name", "folded"),
    [("Sèmè-Kpodji", "seme kpodji"), ("  ABOMEY–Calavi ", "abomey calavi"), ("Zè", "ze")],
)
def test_names_are_found_without_accents(name: str, folded: str) -> None:
    assert fold(name) == folded


def test_a_segment_stays_one() -> None:
    assert clients._part("../a/b?c#d") == "%2E%2E%2Fa%2Fb%3Fc%23d"


def test_a_problem_names_its_fields() -> None:
    problem = ServiceProblem(422, "invalid", "…", [{"pointer": "/phone", "detail": "too short"}])
    assert problem.field("phone") == "too short"
    assert problem.field("code") is None


def test_an_incident_closes_its_connection_and_writes_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/{code}")
    def broken(code: str) -> None:
        raise ZeroDivisionError

    answer = TestClient(app, raise_server_exceptions=False).get("/0801%0AINFO forged")
    assert answer.status_code == 500
    assert answer.headers["connection"] == "close"
    said = caplog.records[-1].getMessage()
    assert said.startswith("incident ")
    assert "\n" not in said
