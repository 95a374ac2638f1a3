"""The services' clients against a real server: refusals, silence, one second try for a GET."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from gateway.clients import Api, Services
from gateway.errors import ServiceDown, ServiceProblem
from services.common.problems import problem
from services.common.settings import Settings
from tests.integration.gateway.conftest import NOWHERE, serve

pytestmark = pytest.mark.integration

TOKEN = "a.token"


def service() -> FastAPI:
    app = FastAPI()
    app.state.seen = []

    @app.api_route("/api/v1/{path:path}", methods=["GET", "POST"])
    async def answer(path: str, request: Request) -> Response:
        app.state.seen.append(
            (request.method, path, dict(request.headers), dict(request.query_params))
        )
        failures: list[int] = app.state.failures
        if failures:
            return problem(failures.pop(0), "unavailable", "Later.")
        return ANSWERS.get(path) or JSONResponse({"path": path, "items": [], "supports": 3})

    return app


ANSWERS: dict[str, Response] = {
    "reports/refused": problem(
        422, "invalid", "Bad.", errors=[{"pointer": "/lon", "detail": "too far"}, "odd"]
    ),
    "reports/many": problem(429, "too_many", "Wait.", headers={"Retry-After": "60"}),
    "reports/odd": PlainTextResponse("<html>", 418),
    "reports/list": JSONResponse([1], 400),
}


@pytest.fixture
def app() -> Iterator[FastAPI]:
    made = service()
    made.state.failures = []
    with serve(made) as url:
        made.state.url = url
        yield made


@pytest.fixture
def api(app: FastAPI) -> Iterator[Api]:
    urls = dict.fromkeys(("accounts_url", "reports_url", "proposals_url"), app.state.url)
    services = Services(Settings(_env_file=None, **urls, voting_url=NOWHERE))
    headers = {
        "X-Forwarded-For": "41.85.160.1",
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    }
    yield Api(services, headers, lambda: TOKEN)
    services.close()


def test_what_is_sent(app: FastAPI, api: Api) -> None:
    api.reports(commune="0801", category=None, limit=5)
    method, path, headers, query = app.state.seen[-1]
    assert (method, path, query) == ("GET", "reports", {"commune": "0801", "limit": "5"})
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-forwarded-for"] == "41.85.160.1"
    assert headers["traceparent"].startswith("00-111")
    assert "idempotency-key" not in headers
    assert api.support("S-1", key="k") == 3
    assert app.state.seen[-1][2]["idempotency-key"] == "k"
    assert api.campaigns() == []
    assert api.report("../x")["path"] == "reports/../x"


@pytest.mark.parametrize(
    ("ref", "status", "code", "errors", "retry_after"),
    [
        ("refused", 422, "invalid", [{"pointer": "/lon", "detail": "too far"}], None),
        ("many", 429, "too_many", [], 60),
        ("odd", 502, "bad_gateway", [], None),
        ("list", 502, "bad_gateway", [], None),
    ],
)
def test_refusals_are_read(
    api: Api, ref: str, status: int, code: str, errors: list[Any], retry_after: int | None
) -> None:
    with pytest.raises(ServiceProblem) as caught:
        api.report(ref)
    found = caught.value
    assert (found.status, found.code, found.errors) == (status, code, errors)
    assert found.retry_after == retry_after


def test_a_get_is_tried_twice_and_a_post_once(app: FastAPI, api: Api) -> None:
    app.state.failures = [503]
    assert api.report("S-1")["path"] == "reports/S-1"
    app.state.failures = [503, 503]
    with pytest.raises(ServiceDown):
        api.report("S-1")
    before = len(app.state.seen)
    app.state.failures = [503]
    with pytest.raises(ServiceDown):
        api.create_report({})
    assert len(app.state.seen) == before + 1


def test_nobody_there(api: Api) -> None:
    with pytest.raises(ServiceDown, match="voting"):
        api.election("x")
    with pytest.raises(ServiceDown, match="voting"):
        api.cast_ballot("x", {})
