"""The gateway served for real, with real accounts behind it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from gateway.app import make_app
from gateway.session import ApiDep, CheckedForm, SignedIn, csrf_token, require, sign_in, sign_out
from gateway.settings import Settings
from services.accounts.main import make_app as make_accounts
from services.accounts.settings import Settings as AccountsSettings
from tests.apps import Tokens, serve
from tests.integration.gateway.pages_world import serve_pages
from tests.servers import Database

SECRET = "a secret for the gateway's tests"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture(scope="module")
def accounts(fresh_database: Database, signing_key: Path) -> Iterator[str]:
    """Serve accounts as in the demonstration, with tokens that live 15 minutes."""
    settings = AccountsSettings(
        _env_file=None,
        database_url=fresh_database.url("accounts"),
        signing_key_file=signing_key,
        pepper="pepper",
        env="demo",
    )
    with serve(make_accounts(settings)) as url:
        yield url


@pytest.fixture(scope="module")
def gateway_settings(fresh_database: Database, accounts: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=fresh_database.url("gateway"),
        secret=SECRET,
        env="demo",
        accounts_url=accounts,
        reports_url=NOWHERE,
        proposals_url=NOWHERE,
        voting_url=NOWHERE,
    )


@pytest.fixture(scope="module")
def reports_front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Serve the gateway with the real reports service behind it."""
    media = tmp_path_factory.mktemp("media")
    with serve_pages(fresh_database, gateway_settings, tokens, media) as front:
        yield front


def add_trial_pages(app: FastAPI) -> FastAPI:
    """Give ``app`` pages that use each tool once, so that these tests need no real page."""

    @app.get("/essai/jeton")
    def token_page(request: Request) -> Response:
        return PlainTextResponse(csrf_token(request))

    @app.post("/essai/form")
    def form_sent(form: CheckedForm) -> Response:
        app.state.stored.append(str(form["what"]))
        return PlainTextResponse("stored")

    @app.post("/communes/0801/essai")
    def photo_sent(form: CheckedForm) -> int:
        return len(form["photo"].file.read())

    @app.get("/essai/moi")
    def me(person: SignedIn, api: ApiDep) -> dict[str, str]:
        return {"id": str(person.user_id), "phone": api.me()["phone"]}

    @app.post("/essai/entree")
    def enter(request: Request, tokens: dict[str, Any]) -> None:
        sign_in(request, tokens)

    @app.post("/essai/sortie")
    def leave(request: Request) -> None:
        sign_out(request)

    @app.get("/essai/mairie/{code}")
    def desk(code: str, request: Request) -> dict[str, list[str]]:
        return {"desks": require(request, "reports.manage", code).desks}

    @app.get("/essai/panne")
    def broken() -> None:
        raise ZeroDivisionError("a secret of the inside")

    @app.get("/essai/service")
    def silent(api: ApiDep) -> object:
        return api.reports()

    app.state.stored = []
    return app


@pytest.fixture(scope="module")
def gateway(gateway_settings: Settings) -> Iterator[FastAPI]:
    """Serve the gateway; its URL is ``app.state.url``."""
    app = add_trial_pages(make_app(gateway_settings))
    with serve(app) as url:
        app.state.url = url
        yield app


@pytest.fixture
def browser(gateway: FastAPI) -> Iterator[httpx.Client]:
    """A browser with its own cookies, that follows no redirect by itself."""
    with httpx.Client(base_url=gateway.state.url, headers={"Accept": "text/html"}) as client:
        yield client
