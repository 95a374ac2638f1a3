"""``palabre reports clients``: keys for other people's software, given on the machine."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError
from sqlalchemy.orm import Session

from services.common.db import make_engine, make_sessions
from services.common.problems import DomainError
from services.reports.open311 import domain, service
from services.reports.open311.schemas import NewClient
from services.reports.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Clients of Open311 and their keys."
)


@app.callback()
def clients() -> None:
    """Manage the clients that send reports by Open311."""


Commune = Annotated[str, typer.Option(help="four-digit code, or * for the whole country")]


@app.command()
def issue(
    name: Annotated[str, typer.Option(help="who will use the key")],
    commune: Commune,
    test: Annotated[bool, typer.Option("--test", help="for the test endpoint only")] = False,
) -> None:
    """Make a key and print it, this once."""
    key = domain.new_key(secrets.token_bytes(32))
    with _session() as session:
        made = service.issue(session, commune, NewClient(name=name, test=test), key, None)
    typer.echo(f"{made.id}  {made.commune}  {made.name}{'  test' if test else ''}", err=True)
    typer.echo(key)


@app.command("list")
def list_clients(
    commune: Annotated[str | None, typer.Option(help="four-digit code, or *")] = None,
) -> None:
    """Print the clients, newest first: id, commune, kind, since when, until when, name."""
    with _session() as session:
        found = service.clients(session, commune)
    for client in found:
        kind = "test" if client.test else "production"
        end = f"{client.revoked_at:%Y-%m-%d}" if client.revoked_at else "-"
        typer.echo(
            f"{client.id}  {client.commune}  {kind}  {client.created_at:%Y-%m-%d}  {end}  "
            f"{client.name}"
        )


@app.command()
def revoke(client_id: UUID) -> None:
    """End a client's key for good."""
    with _session() as session:
        ended = service.revoke(session, client_id)
    typer.echo(f"{ended.id}  {ended.commune}  {ended.name}  revoked")


@contextmanager
def _session() -> Iterator[Session]:
    engine = make_engine(Settings().database_url.get_secret_value(), threads=1)
    try:
        with make_sessions(engine).begin() as session:
            yield session
    except (DomainError, ValidationError) as error:
        said = error if isinstance(error, DomainError) else error.errors()[0]["msg"]
        typer.echo(f"palabre reports clients: {said}", err=True)
        raise typer.Exit(2) from None
    finally:
        engine.dispose()
