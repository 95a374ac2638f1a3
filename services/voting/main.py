"""The voting service: ``palabre voting api|relay|consume|migrate``."""

from fastapi import FastAPI

from services.common.app import create_app, service_cli
from services.common.settings import ServiceSettings
from services.voting.api import router
from services.voting.consumers import CONSUMER
from services.voting.settings import Settings


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    return create_app(settings, [router], title="Palabre voting")


cli = service_cli(Settings, make_app, package="services/voting", consumer=lambda _: CONSUMER)
