"""The proposals service: ``palabre proposals api|relay|consume|migrate``."""

from fastapi import FastAPI

from services.common.app import create_app, service_cli
from services.common.settings import ServiceSettings
from services.proposals.api import router
from services.proposals.consumers import CONSUMER
from services.proposals.settings import Settings


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    return create_app(settings, [router], title="Palabre proposals")


cli = service_cli(Settings, make_app, package="services/proposals", consumer=lambda _: CONSUMER)
