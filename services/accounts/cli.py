"""``palabre users``: roles are given on the machine, never over HTTP by a citizen."""

from typing import Annotated

import typer

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


@app.command()
def grant(
    phone: str,
    role: Annotated[str, typer.Option(help="agent, commune_admin or national_admin")],
    commune: Annotated[str | None, typer.Option(help="four-digit code, e.g. 0801")] = None,
) -> None:
    """Give a role to the person of a phone number."""
    settings = Settings()
    engine = make_engine(settings.database_url.get_secret_value(), threads=1)
    try:
        number = to_e164(phone)
        with make_sessions(engine).begin() as session:
            new = service.grant(session, number, role, commune)
    except (DomainError, ValueError) as error:
        typer.echo(f"palabre users grant: {error}", err=True)
        raise typer.Exit(2) from None
    finally:
        engine.dispose()
    typer.echo(f"{masked(number)}: {role} {commune or '*'} {'granted' if new else 'was held'}")
