"""A service's real application over a real database, with tokens it trusts."""

import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from services.accounts.tokens import Signer
from services.common.auth import FixedKeys
from tests.servers import Database

AGENT = ("reports.manage", "campaigns.manage", "proposals.review", "elections.manage")


def make_key(path: Path) -> Path:
    """Write a new Ed25519 private key (PEM) and return its path."""
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@dataclass
class Tokens:
    """Signs tokens as accounts would, with a key of its own."""

    signer: Signer
    life: timedelta = field(default=timedelta(minutes=5))

    def bearer(
        self,
        grants: Mapping[str, Sequence[str]] | None = None,
        user: UUID | None = None,
        life: timedelta | None = None,
    ) -> dict[str, str]:
        """Return the header of a person: a citizen unless ``grants`` are given."""
        token = self.signer.sign(user or uuid.uuid4(), grants or {}, life or self.life)
        return {"Authorization": f"Bearer {token}"}

    def agent(self, commune: str) -> dict[str, str]:
        """Return the header of an agent of ``commune``."""
        return self.bearer({commune: AGENT})

    def trust(self, app: FastAPI) -> TestClient:
        """Return a client of ``app``, which now trusts these tokens."""
        app.state.keys = FixedKeys(self.signer.jwks)
        return TestClient(app)


def count(database: Database, service: str, table: str) -> int:
    """Return how many rows a service's table holds."""
    engine = create_engine(database.url(service))
    try:
        with engine.connect() as connection:
            query = text(f"SELECT count(*) FROM {table}")
            return int(connection.scalar(query) or 0)
    finally:
        engine.dispose()


def rows(database: Database, service: str, sql: str) -> list[dict[str, Any]]:
    """Query as a service's role."""
    engine = create_engine(database.url(service))
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql)).mappings()]
    finally:
        engine.dispose()


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Serve ``app`` on a free port of 127.0.0.1, with the options of ``api``, and give its URL."""
    settings = getattr(getattr(app, "state", None), "settings", None)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="warning",
        ws="none",
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies if settings else "127.0.0.1",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
