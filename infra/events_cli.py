"""``palabre events``: look after the event log."""

import importlib
from typing import Annotated, cast

import typer
from sqlalchemy import Engine

from services.common.db import make_engine, make_sessions
from services.common.events import inbox
from services.common.events.inbox import Consumer
from services.common.events.rebuild import rebuild as rebuild_projections
from services.common.settings import ServiceSettings

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="The event log.")

#: Where each consuming service keeps its settings and its consumer.
CONSUMERS: dict[str, tuple[str, str]] = {
    "reports": ("services.reports.settings:Settings", "services.reports.consumers:CONSUMER"),
    "proposals": ("services.proposals.settings:Settings", "services.proposals.consumers:CONSUMER"),
    "voting": ("services.voting.settings:Settings", "services.voting.consumers:CONSUMER"),
    "gateway": ("gateway.settings:Settings", "gateway.projections:CONSUMER"),
}

Service = Annotated[str, typer.Option(help=f"one of {', '.join(CONSUMERS)}")]


def _load(target: str) -> object:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def _open(service: str) -> tuple[ServiceSettings, Engine, Consumer]:
    if service not in CONSUMERS:
        typer.echo(f"palabre events: {service} consumes no events", err=True)
        raise typer.Exit(2)
    settings_class, consumer = (_load(target) for target in CONSUMERS[service])
    settings = cast(type[ServiceSettings], settings_class)()
    engine = make_engine(settings.database_url.get_secret_value(), threads=4)
    return settings, engine, cast(Consumer, consumer)


@cli.command("dead-letters")
def dead_letters() -> None:
    """List what could not be handled: id, service, key, reason, type, error."""
    for service in CONSUMERS:
        _, engine, _ = _open(service)
        with make_sessions(engine).begin() as session:
            for letter in inbox.dead_letters(session):
                typer.echo(
                    f"{letter.id}\t{service}\t{letter.key}\t{letter.reason}\t"
                    f"{letter.type}\t{letter.error.splitlines()[0] if letter.error else ''}"
                )
        engine.dispose()


@cli.command()
def replay(key: str, service: Service) -> None:
    """Handle the dead letters of KEY (a commune) again, in order, all or nothing."""
    _, engine, consumer = _open(service)
    try:
        done = inbox.replay(make_sessions(engine), consumer, key)
    except Exception as error:
        typer.echo(
            f"palabre events replay: nothing changed, {type(error).__name__}: {error}", err=True
        )
        raise typer.Exit(1) from None
    finally:
        engine.dispose()
    typer.echo(f"{done} events handled")


@cli.command()
def rebuild(service: Service = "gateway") -> None:
    """Make the projections of a service anew from the whole log, while it runs."""
    settings, engine, consumer = _open(service)
    try:
        version = rebuild_projections(settings, engine, consumer, settings.name)
    except ValueError as error:
        typer.echo(f"palabre events rebuild: {error}", err=True)
        raise typer.Exit(2) from None
    finally:
        engine.dispose()
    typer.echo(f"{service} now reads version {version} of its projections")


@cli.command()
def contracts() -> None:
    """Write the JSON Schemas and the AsyncAPI document into infra/contracts."""
    from infra.contracts import write

    for name in write():
        typer.echo(name)
