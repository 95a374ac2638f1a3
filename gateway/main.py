"""The gateway: ``palabre gateway api|consume|migrate|rebuild``."""

import typer

from gateway.app import make_app
from gateway.projections import CONSUMER
from gateway.settings import Settings
from services.common.app import service_cli
from services.common.db import make_engine
from services.common.events.rebuild import rebuild as rebuild_projections

cli = service_cli(
    Settings, make_app, package="gateway", consumer=lambda _: CONSUMER, publishes=False
)


@cli.command()
def rebuild() -> None:
    """Make the projections again from the whole event log, while the old ones serve."""
    settings = Settings()
    engine = make_engine(settings.database_url.get_secret_value(), threads=4)
    try:
        version = rebuild_projections(settings, engine, CONSUMER, "gateway")
    finally:
        engine.dispose()
    typer.echo(f"the projections are rebuilt (version {version})")
