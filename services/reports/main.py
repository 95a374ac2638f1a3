"""The reports service: ``palabre reports api|relay|consume|migrate``."""

from fastapi import FastAPI

from services.common.app import create_app, service_cli
from services.common.settings import ServiceSettings
from services.reports.api import router
from services.reports.domain import PHOTO_BYTES
from services.reports.settings import Settings


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    return create_app(
        settings,
        [router],
        title="Palabre reports",
        body_limits={"/api/v1/uploads": PHOTO_BYTES + 1024},
    )


cli = service_cli(Settings, make_app, package="services/reports")
