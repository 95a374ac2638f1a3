"""The reports service: ``palabre reports api|relay|consume|migrate|clients``."""

from fastapi import FastAPI
from sqlalchemy.orm import Session

from services.common.app import create_app, service_cli
from services.common.media.settings import MediaSettings
from services.common.media.storage import storage_of
from services.common.settings import ServiceSettings
from services.reports import api, calendar
from services.reports.consumers import CONSUMER
from services.reports.desk import api as desk
from services.reports.exports import api as exports
from services.reports.hotspots import api as hotspots
from services.reports.hotspots.service import detect_chore
from services.reports.intake import Intake
from services.reports.media import api as media
from services.reports.media.service import purge_orphans
from services.reports.ogc import api as ogc
from services.reports.open311 import api as open311
from services.reports.open311.cli import app as clients
from services.reports.retention import anonymise
from services.reports.settings import Settings

#: Exports and feeds first: their paths would else be taken for a report's.
FEATURES = (exports, media, hotspots, desk, open311, ogc, api)


def make_app(settings: ServiceSettings, kept: MediaSettings | None = None) -> FastAPI:
    """Return the application; ``kept`` says where photos and voice notes are."""
    storage = storage_of(kept or MediaSettings())

    def configure(app: FastAPI) -> None:
        add_intake(app)
        app.state.storage = storage

    def purge(session: Session) -> None:
        purge_orphans(session, storage)

    app = create_app(
        settings,
        [feature.router for feature in FEATURES],
        title="Palabre reports",
        body_limits={**media.BODY_LIMITS, **open311.BODY_LIMITS},
        configure=configure,
        chores=[calendar.refresh, purge],
    )
    open311.install(app)
    return app


def add_intake(app: FastAPI) -> None:
    """Give the application what stores new reports."""
    app.state.intake = Intake(app.state.sessions)


cli = service_cli(
    Settings,
    make_app,
    package="services/reports",
    consumer=lambda _: CONSUMER,
    chores=[detect_chore],
)
cli.add_typer(clients, name="clients")
cli.command("anonymise")(anonymise)
