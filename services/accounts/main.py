"""The accounts service: ``palabre accounts api|relay|consume|migrate``."""

from fastapi import FastAPI

from services.accounts import repository
from services.accounts.api import keys, router
from services.accounts.settings import Settings
from services.accounts.sms import ADAPTERS
from services.accounts.tokens import Signer
from services.common.app import create_app, service_cli
from services.common.auth import FixedKeys
from services.common.settings import ServiceSettings


def make_app(settings: ServiceSettings) -> FastAPI:
    """Return the application."""
    assert isinstance(settings, Settings)  # noqa: S101
    signer = Signer(settings.signing_key_file)

    def configure(app: FastAPI) -> None:
        app.state.signer = signer
        app.state.sms = ADAPTERS[settings.sms]()
        app.state.keys = FixedKeys(signer.jwks)

    return create_app(
        settings,
        [router, keys],
        title="Palabre accounts",
        configure=configure,
        chores=[repository.purge],
    )


cli = service_cli(Settings, make_app, package="services/accounts")
