"""The reports service over a database of the test module's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.common.media.settings import MediaSettings
from services.reports.main import make_app
from services.reports.settings import Settings
from tests.apps import Tokens
from tests.servers import Database


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture
def client(fresh_database: Database, tokens: Tokens, media: Path) -> Iterator[TestClient]:
    settings = Settings(
        _env_file=None,
        database_url=fresh_database.url("reports"),
        secret="secret",
    )
    with tokens.trust(make_app(settings, MediaSettings(_env_file=None, dir=media))) as made:
        yield made
