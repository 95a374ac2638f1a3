"""Operations endpoints: alive, ready, metrics."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import text
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter(
    "palabre_http_requests_total", "Answers", ("service", "method", "route", "status")
)
SECONDS = Histogram(
    "palabre_http_request_seconds",
    "Time to answer, in seconds",
    ("service", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)

WAITING = Gauge(
    "palabre_events_set_aside", "Dead letters not replayed, and keys parked", ("service", "what")
)
_SET_ASIDE = {
    "dead_letters": text("SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL"),
    "parked_keys": text("SELECT count(*) FROM parked_keys"),
}

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(request: Request) -> dict[str, str]:
    """Answer 200 when the database answers (an OperationalError becomes 503)."""
    with request.app.state.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ready"}


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus text; labels are route templates, never paths or persons."""
    service = request.app.state.settings.name
    with request.app.state.engine.connect() as connection:
        for what, query in _SET_ASIDE.items():
            WAITING.labels(service, what).set(connection.scalar(query))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class Metered:
    """ASGI middleware that counts and times answers by route template."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through and record it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            route: Any = scope.get("route")
            template = getattr(route, "path", "unmatched")
            REQUESTS.labels(self.service, scope["method"], template, status).inc()
            SECONDS.labels(self.service, template).observe(time.perf_counter() - started)
