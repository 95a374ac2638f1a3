"""Tokens that every application under test trusts."""

from pathlib import Path

import pytest

from services.accounts.tokens import Signer
from tests.apps import Tokens, make_key


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "signing.pem")


@pytest.fixture(scope="session")
def tokens(signing_key: Path) -> Tokens:
    return Tokens(Signer(signing_key))
