"""What makes a service: its FastAPI application and its command line, alike for all."""

import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import typer
import uvicorn
from fastapi import APIRouter, FastAPI

from services.common import health, problems
from services.common.auth import KeySet
from services.common.db import WORKER_THREADS, make_engine, make_sessions
from services.common.events.inbox import Consumer
from services.common.housekeeping import INTERVAL, KERNEL, Chore, Housekeeper
from services.common.limits import BodyLimit
from services.common.settings import ServiceSettings

VERSION = "0.1.0"
#: Beyond, a client is told 503 at once; below the 1,024 files that a process may have open.
MAX_CONNECTIONS = 512


def create_app(
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    *,
    title: str,
    body_limits: Mapping[str, int] | None = None,
    configure: Callable[[FastAPI], None] | None = None,
    chores: Sequence[Chore] = (),
) -> FastAPI:
    """Return a service's application; ``configure`` may add to ``app.state`` before it serves.

    ``chores`` delete what has served its time, every hour.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = WORKER_THREADS
        housekeeper = Housekeeper(app.state.sessions, (*KERNEL, *chores))
        housekeeper.start()
        yield
        housekeeper.stop()
        app.state.engine.dispose()

    app = FastAPI(
        title=title,
        version=VERSION,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.engine = make_engine(settings.database_url.get_secret_value())
    app.state.sessions = make_sessions(app.state.engine)
    app.state.keys = KeySet(f"{settings.accounts_url}/.well-known/jwks.json")
    problems.install(app)
    app.include_router(health.router)
    for router in routers:
        app.include_router(router)
    if configure:
        configure(app)
    app.add_middleware(BodyLimit, limits=body_limits)
    app.add_middleware(health.Metered, service=settings.name)
    return app


def service_cli(
    load_settings: Callable[[], ServiceSettings],
    make_app: Callable[[ServiceSettings], Any],
    *,
    package: str,
    consumer: Callable[[ServiceSettings], Consumer | None] = lambda _: None,
    publishes: bool = True,
    chores: Sequence[Chore] = (),
    interval: float = INTERVAL,
) -> typer.Typer:
    """Return the commands ``api``, ``relay``, ``consume``, ``migrate`` of a service.

    ``chores`` run every ``interval`` seconds beside the consumer, where no request waits for them.
    """
    cli = typer.Typer(no_args_is_help=True, add_completion=False)

    def start() -> ServiceSettings:
        settings = load_settings()
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
        )
        for noisy in ("kafka", "httpx2", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return settings

    @cli.command()
    def api() -> None:
        """Serve HTTP."""
        settings = start()
        uvicorn.run(
            make_app(settings),
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_level=settings.log_level.lower(),
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=5,
            limit_concurrency=MAX_CONNECTIONS,
        )

    @cli.command()
    def migrate() -> None:
        """Bring the schema up to date."""
        from services.common.migrate import upgrade

        upgrade(_engine(start()), package)

    @cli.command()
    def consume() -> None:
        """Handle events until stopped."""
        from services.common.events.subscription import subscribe

        settings = start()
        found = consumer(settings)
        if found is None:
            typer.echo(f"{settings.name} consumes no events")
            return
        engine = _engine(settings)
        if chores:
            # A chore is one transaction: where the process ends in its midst nothing has happened.
            Housekeeper(make_sessions(engine), chores, interval).start()
        subscribe(settings, engine, found).run(stop_on_signal())

    @cli.command()
    def relay() -> None:
        """Publish the outbox to Kafka until stopped."""
        from services.common.events.kafka import Relay

        settings = start()
        if not publishes:
            typer.echo(f"{settings.name} publishes no events")
            return
        engine = _engine(settings)
        Relay(engine, settings.name, settings.kafka_bootstrap_servers).run(stop_on_signal())

    return cli


def _engine(settings: ServiceSettings) -> Any:
    return make_engine(settings.database_url.get_secret_value(), threads=4)


def stop_on_signal() -> threading.Event:
    """Return a flag that SIGINT and SIGTERM set; the loops that watch it end by themselves."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
