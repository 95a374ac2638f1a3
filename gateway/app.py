"""The gateway's application: everything wired."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import layers, places, proxy, tiles
from gateway.bodies import Patience
from gateway.clients import Services
from gateway.errors import ServiceProblem
from gateway.pages import ROUTERS
from gateway.pages.errors import error_page
from gateway.security import Cookies, SecureHeaders
from gateway.session import MULTIPART_BYTES
from gateway.settings import Settings
from gateway.web import STATIC, fingerprint, redirect
from services.common import limits, problems
from services.common.app import VERSION
from services.common.auth import KeySet
from services.common.db import WORKER_THREADS, make_engine, make_sessions
from services.common.health import Metered
from services.common.problems import DomainError
from services.common.settings import ServiceSettings

log = logging.getLogger(__name__)

#: Path prefix → bytes that a body may have; elsewhere 256 KiB.
BODY_LIMITS = {
    "/api/v1/uploads": 11 * 1024 * 1024,
    "/api/v1/files": 11 * 1024 * 1024,
    "/api/": limits.DEFAULT_BYTES,
    "/open311/": MULTIPART_BYTES,
    "/communes/": MULTIPART_BYTES,
    "/budget/": MULTIPART_BYTES,
    "/propositions/": MULTIPART_BYTES,
    "/mairie/": MULTIPART_BYTES,
}
#: Where a page that needs a person leads; ``retour`` is where to come back to.
SIGN_IN = "/connexion"
#: What programs read: they get problems, never pages.
PROGRAMS = ("/api/", "/open311", "/ogc", "/tiles/", "/healthz", "/readyz", "/metrics", "/static/")


class Gateway(FastAPI):
    """An application whose every answer, the unexpected error's too, has its headers."""

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the whole stack: FastAPI would put these inside its own error page."""
        settings: Settings = self.state.settings
        stack = Cookies(super().build_middleware_stack(), settings.env == "production")
        return HeadAsGet(SecureHeaders(stack, settings.basemap_url))


class HeadAsGet:
    """ASGI middleware: a HEAD is answered like the GET of the same path, without the content."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, headers_only)


class HashedFiles(StaticFiles):
    """Static files: kept for ever under the hash of their content, else asked again each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file of ``path``."""
        answer = await super().get_response(path, scope)
        if answer.status_code in (200, 304):
            query: bytes = scope["query_string"]
            hashed = query == f"v={fingerprint(STATIC / path)}".encode()
            kept = "public, max-age=31536000, immutable" if hashed else "no-cache"
            answer.headers["Cache-Control"] = kept
        return answer


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    assert isinstance(settings, Settings)  # noqa: S101
    services = Services(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = WORKER_THREADS
        app.state.upstreams = proxy.Upstreams(settings)
        yield
        await app.state.upstreams.close()
        services.close()
        app.state.engine.dispose()

    app = Gateway(
        title="Palabre",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,  # Starlette's lead to whatever Host the client named
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.engine = make_engine(settings.database_url.get_secret_value())
    app.state.sessions = make_sessions(app.state.engine)
    app.state.keys = KeySet(f"{settings.accounts_url}/.well-known/jwks.json")
    app.state.services = services
    app.state.places = places.Places(app.state.engine)
    app.state.layers = layers.LayerCache(app.state.engine)
    app.state.tiles = tiles.TileCache(app.state.engine)
    app.state.maps = layers.MapCache(app.state.places, settings)
    _install_errors(app)
    for router in (places.router, layers.router, tiles.router, *ROUTERS, proxy.router):
        app.include_router(router)
    app.mount("/static", HashedFiles(directory=STATIC), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)
    app.add_middleware(limits.BodyLimit, limits=BODY_LIMITS, refuse=_refuse_body)
    app.add_middleware(Patience)
    app.add_middleware(Metered, service=settings.name)
    return app


def wants_page(request: Request) -> bool:
    """Tell whether a person with a browser is asking."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith(PROGRAMS)


def _install_errors(app: FastAPI) -> None:
    """Answer as the kernel does, with a page where a browser asks."""
    problems.install(app)
    app.add_exception_handler(ServiceProblem, _on_service_problem)
    kinds = (ServiceProblem, DomainError, RequestValidationError, HTTPException)
    for kind in (*kinds, OperationalError, Exception):
        as_problem: Any = app.exception_handlers[kind]
        app.add_exception_handler(kind, _paged(as_problem))


def _paged(as_problem: Any) -> Any:
    def handle(request: Request, error: Exception) -> Response:
        answer: Response = as_problem(request, error)
        if wants_page(request):
            try:
                return to_page(request, answer)
            except Exception:  # the page's own trouble must not hide the first one
                log.exception("the error page failed")
        return answer

    return handle


def to_page(request: Request, answer: Response) -> Response:
    """Return the page that says what the problem document ``answer`` says."""
    found = json.loads(bytes(answer.body))
    if found["status"] == HTTPStatus.UNAUTHORIZED:
        return redirect(f"{SIGN_IN}?{urlencode({'retour': _origin_of(request)})}")
    raw: bytes = request.scope["raw_path"]
    if found["status"] == HTTPStatus.NOT_FOUND and raw.endswith(b"/") and request.method == "GET":
        return redirect(raw.decode("ascii").rstrip("/"))
    page = error_page(
        request,
        status=found["status"],
        code=found["code"],
        detail=found["detail"],
        incident=found.get("incident"),
    )
    for name in ("Retry-After", "Connection"):
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    return page


def _origin_of(request: Request) -> str:
    """Return the page to come back to: the one asked for, or the one whose form was sent."""
    url = request.url
    if request.method != "GET":
        url = URL(request.headers.get("referer", "/"))
        if url.netloc not in ("", request.url.netloc):
            return "/"
    return f"{url.path}?{url.query}" if url.query else url.path


def _on_service_problem(_: Request, error: Exception) -> Response:
    """Pass on what a service refused; what it could not do is our fault, not the client's."""
    assert isinstance(error, ServiceProblem)  # noqa: S101
    status = error.status if 400 <= error.status < 500 else HTTPStatus.BAD_GATEWAY
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return problems.problem(status, error.code, error.detail, headers=headers, errors=error.errors)


def _refuse_body(scope: Scope, limit: int) -> ASGIApp:
    as_problem = limits.refuse(scope, limit)
    request = Request(scope)
    if not wants_page(request):
        return as_problem

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await run_in_threadpool(to_page, request, as_problem)
        await answer(scope, receive, send)

    return page
