"""The proposals service over a real database, with really signed tokens."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from services.accounts.tokens import Signer
from services.common.auth import FixedKeys
from services.common.media.settings import MediaSettings
from services.proposals.main import make_app
from services.proposals.settings import Settings
from tests.integration.proposals.world import World, make_signer
from tests.servers import Database


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_signer(tmp_path_factory.mktemp("key") / "signing.pem")


@pytest.fixture(scope="module")
def world(
    fresh_database: Database, signer: Signer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    settings = Settings(
        database_url=SecretStr(fresh_database.url("proposals")), port=8003, env="demo"
    )
    folder = tmp_path_factory.mktemp("media")
    app = make_app(settings, MediaSettings(_env_file=None, dir=folder))  # type: ignore[call-arg]
    app.state.keys = FixedKeys(signer.jwks)
    with TestClient(app) as client:
        yield World(client, app.state.engine, signer)
