"""The reverse proxy in front of a real server: what passes, what does not, and when it is down."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import SecretStr

from gateway import bodies, proxy
from gateway.app import make_app
from gateway.clients import LIMITS
from gateway.settings import Settings
from services.common import problems
from tests.integration.gateway.conftest import NOWHERE, serve

pytestmark = pytest.mark.integration


def upstream() -> FastAPI:
    """Return a service that tells what reached it."""
    app = FastAPI(title="upstream", openapi_url="/api/v1/openapi.json")
    app.state.bodies = []
    problems.install(app)

    @app.get("/api/v1/reports/failure")
    def failure() -> None:
        raise ZeroDivisionError

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/metrics")
    def metrics() -> str:
        return "the inside"

    @app.get("/api/v1/reports/location")
    def location(request: Request) -> Response:
        headers = {
            "Location": f"{request.base_url}api/v1/reports/1?a=b",
            "Set-Cookie": "a=b",
            "Server": "inner",
        }
        return Response(status_code=201, headers=headers)

    @app.get("/api/v1/reports/packed")
    def packed() -> Response:
        content = gzip.compress(b"x" * 5000)
        return Response(content, headers={"Content-Encoding": "gzip", "ETag": '"p"'})

    @app.get("/api/v1/reports/long")
    def long() -> StreamingResponse:
        return StreamingResponse((b"y" * 10_000 for _ in range(100)), media_type="text/plain")

    @app.get("/api/v1/reports/endless")
    def endless() -> StreamingResponse:
        return StreamingResponse((b"z" * 100_000 for _ in range(1000)), media_type="text/plain")

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    @app.api_route("/api/v1/{path:path}", methods=methods, include_in_schema=False)
    async def echo(path: str, request: Request) -> Response:
        body = await request.body()
        app.state.bodies.append(body)
        told: dict[str, Any] = {
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "method": request.method,
            "headers": {k.lower(): v for k, v in request.headers.items()},
            "many": [k for k, _ in request.headers.items()],
            "size": len(body),
            "client": request.client.host if request.client else None,
        }
        return JSONResponse(told, 409 if path.endswith("conflict") else 200)

    return app


@pytest.fixture(scope="module")
def service() -> Iterator[FastAPI]:
    app = upstream()
    with serve(app) as url:
        app.state.url = url
        yield app


@pytest.fixture(scope="module")
def front(service: FastAPI, gateway_settings: Settings) -> Iterator[str]:
    urls = {"reports_url": service.state.url, "proposals_url": service.state.url}
    with serve(make_app(gateway_settings.model_copy(update=urls))) as url:
        yield url


@pytest.fixture
def client(front: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front) as made:
        yield made


def test_a_request_passes_whole(client: httpx.Client) -> None:
    answer = client.post(
        "/api/v1/reports/a%20b?x=1&x=%26&y=é",
        json={"é": "ü"},
        headers={"Authorization": "Bearer t", "Idempotency-Key": "k"},
    )
    told = answer.json()
    assert told["path"] == "/api/v1/reports/a%20b"
    assert told["query"] == "x=1&x=%26&y=%C3%A9"
    assert told["method"] == "POST"
    assert told["headers"]["authorization"] == "Bearer t"
    assert told["headers"]["idempotency-key"] == "k"
    assert told["headers"]["traceparent"].startswith("00-")
    assert client.get("/api/v1/reports/conflict").status_code == 409


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_passes(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/api/v1/campaigns/x").json()["method"] == method


@pytest.mark.parametrize(
    "path",
    ["/", "/nulle-part", "/healthz", "/api/v1/communes", "/api/v1/reports/a", "/static/js/map.js"],
)
def test_a_head_is_a_get_without_its_content(client: httpx.Client, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b""
    for name in ("content-type", "etag", "content-security-policy"):
        assert head.headers.get(name) == whole.headers.get(name)
    assert client.get("/healthz").status_code == 200  # the connection is still in step


@pytest.mark.parametrize(
    ("path", "accept", "status", "location"),
    [
        ("/a-propos/", "text/html", 303, "/a-propos"),
        ("/communes/Tangui%C3%A9ta/", "text/html", 303, "/communes/Tangui%C3%A9ta"),
        ("//evil.example/", "text/html", 303, "/"),
        ("/a-propos/", "*/*", 404, None),
        ("/static", "*/*", 404, None),
        ("/api/v1/communes/", "*/*", 404, None),
    ],
)
def test_no_redirect_follows_the_host_header(
    front: str, path: str, accept: str, status: int, location: str | None
) -> None:
    with connect(front, f"GET {path} HTTP/1.1") as client:
        client.sendall(f"X-Forwarded-Host: evil.example\r\nAccept: {accept}\r\n\r\n".encode())
        answer = client.recv(65536).decode().lower()
    assert answer.startswith(f"http/1.1 {status} ")
    found = [line for line in answer.split("\r\n") if line.startswith("location: ")]
    assert found == ([f"location: {location.lower()}"] if location else [])


def test_cookies_and_claims_about_the_client_do_not_pass(client: httpx.Client) -> None:
    told = client.get(
        "/api/v1/reports",
        headers={
            "Cookie": "palabre_session=secret; a=b",
            "X-Forwarded-For": "6.6.6.6, 7.7.7.7",
            "X-Forwarded-Host": "evil.example",
            "X-Real-IP": "6.6.6.6",
            "Forwarded": "for=6.6.6.6",
            "Connection": "keep-alive, X-Listed",
            "X-Listed": "1",
            "TE": "trailers",
            "Proxy-Authorization": "Basic x",
            "Keep-Alive": "timeout=5",
        },
    ).json()
    for name in (
        "cookie",
        "x-real-ip",
        "forwarded",
        "x-listed",
        "te",
        "proxy-authorization",
        "keep-alive",
    ):
        assert name not in told["headers"], name
    assert told["many"].count("x-forwarded-for") == 1
    # The name that was called, not the one that is claimed.
    assert told["headers"]["x-forwarded-host"] == client.base_url.netloc.decode()
    assert told["many"].count("x-forwarded-host") == 1
    assert told["client"] == "127.0.0.1"


def test_the_clients_address_is_believed_from_a_configured_proxy(
    service: FastAPI, gateway_settings: Settings
) -> None:
    update = {"reports_url": service.state.url, "trusted_proxies": "127.0.0.1"}
    with serve(make_app(gateway_settings.model_copy(update=update))) as url:
        claim = {"X-Forwarded-For": "6.6.6.6, 41.85.160.1", "X-Forwarded-Proto": "https"}
        told = httpx.get(f"{url}/api/v1/reports", headers=claim).json()
    assert told["client"] == "41.85.160.1"
    assert told["headers"]["x-forwarded-proto"] == "https"


def test_answers_lose_cookies_and_inner_addresses(client: httpx.Client, service: FastAPI) -> None:
    answer = client.get("/api/v1/reports/location")
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/v1/reports/1?a=b"
    assert "set-cookie" not in answer.headers
    assert "server" not in answer.headers


def test_answers_are_streamed_as_they_are(client: httpx.Client) -> None:
    packed = client.get("/api/v1/reports/packed", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == '"p"'
    assert packed.text == "x" * 5000
    assert len(client.get("/api/v1/reports/long").content) == 1_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/reports/%2e%2e/%2e%2e/%2e%2e/metrics",
        "/api/v1/reports/..%2f..%2f..%2fmetrics",
        "/api/v1/nothing",
        "/api/v1/",
        "/api/v1/reportsx",
        "/api/v2/reports",
    ],
)
def test_nothing_else_can_be_reached(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "the inside" not in answer.text


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 10_000):
        yield b"x" * 10_000


@pytest.mark.parametrize(
    ("path", "allowed", "refused"),
    [
        ("/api/v1/reports", 200_000, 300_000),
        ("/api/v1/uploads", 10_000_000, 12_000_000),
    ],
)
def test_bodies_are_bounded_declared_or_streamed(
    client: httpx.Client, service: FastAPI, path: str, allowed: int, refused: int
) -> None:
    assert client.post(path, content=b"x" * allowed).json()["size"] == allowed
    assert client.post(path, content=chunks(allowed)).json()["size"] == allowed
    known = len(service.state.bodies)
    assert client.post(path, content=b"x" * refused).status_code == 413
    assert client.post(path, content=chunks(refused)).status_code == 413
    assert len(service.state.bodies) == known


def connect(url: str, sent: str, seconds: float = 5.0) -> socket.socket:
    address = urlsplit(url)
    found = socket.create_connection((address.hostname, address.port), seconds)
    found.sendall(f"{sent}\r\nHost: x\r\n".encode())
    return found


LONG = "Content-Length: 9000\r\n\r\nabc"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def test_clients_that_hold_their_bodies_back_hold_nobody_else(
    client: httpx.Client, front: str
) -> None:
    with ExitStack() as held:
        for _ in range((LIMITS.max_connections or 0) + 1):
            slow = held.enter_context(connect(front, "POST /api/v1/uploads HTTP/1.1"))
            slow.sendall(LONG.encode())
        time.sleep(0.3)
        started = time.monotonic()
        assert client.get("/api/v1/reports").status_code == 200
        assert client.get("/readyz").json()["not_ready"] == ["voting"]
        assert time.monotonic() - started < 2


def test_clients_that_read_no_answer_lose_their_connection(
    client: httpx.Client, front: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "READER_SECONDS", 0.5)
    with ExitStack() as held:
        for _ in range((LIMITS.max_connections or 0) + 1):
            slow = held.enter_context(connect(front, "GET /api/v1/reports/endless HTTP/1.1"))
            slow.sendall(b"\r\n")
        time.sleep(0.3)
        assert client.get("/readyz", timeout=20).json()["not_ready"] == ["voting"]
        assert client.get("/api/v1/reports", timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ("POST /api/v1/uploads HTTP/1.1", b"application/problem+json"),
        (f"POST /connexion HTTP/1.1\r\nAccept: text/html\r\n{FORM}".rstrip(), b"text/html"),
    ],
)
@pytest.mark.parametrize("limit", ["SILENCE", "IN_ALL"])
def test_a_body_that_does_not_come_is_refused(
    front: str, monkeypatch: pytest.MonkeyPatch, sent: str, kind: bytes, limit: str
) -> None:
    monkeypatch.setattr(bodies, limit, 0.4)
    with connect(front, sent) as slow:
        slow.sendall(LONG.encode())
        answer = b""
        for _ in range(40):  # a byte now and then does not keep the connection
            slow.settimeout(0.1)
            try:
                piece = slow.recv(65536)
            except TimeoutError:
                if limit == "IN_ALL" and not answer:
                    slow.sendall(b"x")
                continue
            answer += piece
            if not piece:
                break
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert kind in answer
        assert b"connection: close" in answer.lower()
        assert piece == b""


def test_a_service_that_is_down_is_a_problem(client: httpx.Client) -> None:
    answer = client.get("/api/v1/elections", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert "voting" in answer.json()["detail"]


def test_a_service_that_breaks_off_is_a_bad_gateway(
    gateway_settings: Settings,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        for _ in range(2):  # a GET is tried twice
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    port = listener.getsockname()[1]
    settings = gateway_settings.model_copy(update={"voting_url": f"http://127.0.0.1:{port}"})
    with serve(make_app(settings)) as url:
        assert httpx.get(f"{url}/api/v1/elections").status_code == 502
    thread.join()
    listener.close()


def keep_alive_then_hang_up(listener: socket.socket, bodies: list[bytes]) -> None:
    """Answer a connection's first request only; break off at its second."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            for said in (answer, b""):
                head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
                while head and b"content-length: 5" in head.lower() and len(body) < 5:
                    body += connection.recv(65536)
                bodies.append(body)
                connection.sendall(said)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("POST", {"Idempotency-Key": "k"}, 200),
        ("POST", {}, 502),  # it may have been done already
    ],
)
def test_a_connection_found_broken_is_tried_once_more_where_that_is_harmless(
    gateway_settings: Settings, method: str, headers: dict[str, str], status: int
) -> None:
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=keep_alive_then_hang_up, args=(listener, seen))
    thread.start()
    voting = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serve(make_app(gateway_settings.model_copy(update={"voting_url": voting}))) as url:
        assert httpx.get(f"{url}/api/v1/elections").status_code == 200
        body = b"a=123" if method == "POST" else None
        answer = httpx.request(method, f"{url}/api/v1/elections", content=body, headers=headers)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    assert answer.status_code == status
    assert seen[1:3] == [body or b""] * (2 if status == 200 else 1)


def test_a_services_failure_does_not_fail_the_next_request(client: httpx.Client) -> None:
    for _ in range(20):
        assert client.get("/api/v1/reports/failure").status_code == 500
        assert client.post("/api/v1/reports", content=b"x").status_code == 200


def test_readiness_names_who_is_not(client: httpx.Client, gateway_settings: Settings) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["not_ready"] == ["voting"]
    assert client.get("/healthz").json() == {"status": "ok"}
    metrics = client.get("/metrics").text
    assert 'palabre_http_requests_total{method="GET",route="/readyz"' in metrics
    broken = gateway_settings.database_url.get_secret_value().rsplit("/", 1)[0] + "/none"
    settings = gateway_settings.model_copy(update={"database_url": SecretStr(broken)})
    with serve(make_app(settings)) as url:
        assert httpx.get(f"{url}/readyz").json()["not_ready"][0] == "database"


def test_one_document_for_all(
    client: httpx.Client, service: FastAPI, gateway_settings: Settings
) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 503  # voting was never seen
    urls = dict.fromkeys(("reports_url", "proposals_url", "voting_url"), service.state.url)
    with serve(make_app(gateway_settings.model_copy(update=urls))) as url:
        found = httpx.get(f"{url}/api/v1/openapi.json").json()
    paths = found["paths"]
    assert "/api/v1/auth/codes" in paths
    assert "/api/v1/communes/locate" in paths
    assert "/api/v1/reports/location" in paths
    assert "/readyz" not in paths
    assert not [p for p in paths if p.startswith("/essai")]
    assert NOWHERE not in str(found)
