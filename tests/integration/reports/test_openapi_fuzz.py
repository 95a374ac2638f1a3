"""Whatever an OpenAPI document allows, and much that it does not, is answered without a 500."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from services.common.media.settings import MediaSettings
from services.reports.main import make_app
from services.reports.settings import Settings
from tests.apps import AGENT, Tokens
from tests.servers import Database

pytestmark = pytest.mark.integration

EXAMPLES = 12
GENERATED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.fixture(scope="module")
def app(
    fresh_database: Database, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FastAPI]:
    kept = MediaSettings(_env_file=None, dir=tmp_path_factory.mktemp("media"))
    found = Settings(_env_file=None, database_url=fresh_database.url("reports"), secret="secret")
    with tokens.trust(make_app(found, kept)) as client:
        yield client.app


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_is_answered_with_a_500(
    app: FastAPI, tokens: Tokens, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    agent = tokens.bearer({"*": (*AGENT, "clients.manage", "roles.grant")})
    asked: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @GENERATED
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            answer = case.call(headers=agent)
            asked.add(f"{case.method} {case.path}")
            assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"

        with suppress(Unsatisfiable):  # nothing about it can be wrong
            ask()
    assert len(asked) >= 30
