"""The reports service: ``palabre reports api|relay|consume|migrate``."""

from fastapi import FastAPI

from services.common.app import create_app, service_cli
from services.common.settings import ServiceSettings
from services.reports import calendar
from services.reports.api import router
from services.reports.consumers import CONSUMER
from services.reports.intake import Intake
from services.reports.settings import Settings


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    return create_app(
        settings,
        [router],
        title="Palabre reports",
        configure=add_intake,
        chores=[calendar.refresh],
    )


def add_intake(app: FastAPI) -> None:
    """Give the application what stores new reports."""
    app.state.intake = Intake(app.state.sessions)


cli = service_cli(
    Settings, make_app, package="services/reports", consumer=lambda _: CONSUMER
)
