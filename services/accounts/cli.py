"""``palabre users``: roles are given on the machine, never over HTTP by a citizen."""

from collections.abc import Callable
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from services.accounts import service
from services.accounts.domain import masked
from services.accounts.schemas import to_e164
from services.accounts.settings import Settings
from services.common.db import make_engine, make_sessions
from services.common.problems import DomainError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="People and their roles.")


@app.callback()
def users() -> None:
    """Manage people and their roles."""


Role = Annotated[str, typer.Option(help="agent, commune_admin or national_admin")]
Commune = Annotated[str | None, typer.Option(help="four-digit code, e.g. 0801")]


@app.command()
def grant(phone: str, role: Role, commune: Commune = None) -> None:
    """Give a role to the person of a phone number."""
    _change(service.grant, phone, role, commune, ("granted", "was held"))


@app.command()
def revoke(phone: str, role: Role, commune: Commune = None) -> None:
    """Take a role back from the person of a phone number."""
    _change(service.revoke, phone, role, commune, ("revoked", "was not held"))


def _change(
    change: Callable[[Session, str, str, str | None], bool],
    phone: str,
    role: str,
    commune: str | None,
    said: tuple[str, str],
) -> None:
    settings = Settings()
    engine = make_engine(settings.database_url.get_secret_value(), threads=1)
    try:
        number = to_e164(phone)
        with make_sessions(engine).begin() as session:
            done = change(session, number, role, commune)
    except (DomainError, ValueError) as error:
        typer.echo(f"palabre users: {error}", err=True)
        raise typer.Exit(2) from None
    finally:
        engine.dispose()
    typer.echo(f"{masked(number)}: {role} {commune or '*'} {said[0] if done else said[1]}")
