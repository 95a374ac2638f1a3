"""The `palabre` command: each sub-command is imported only when it is asked for."""

import gc
import importlib
from collections.abc import Callable
from typing import cast

import typer

app = typer.Typer(
    name="palabre",
    help="Participatory budgeting and geo-reporting for communes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# name -> where its Typer application is, what it does
COMMANDS = {
    "up": ("infra.launcher.cli:cli", "Run everything on this machine."),
    "setup": (
        "infra.setup:cli",
        "Make roles and schemas, load the communes, migrate every service.",
    ),
    "accounts": ("services.accounts.main:cli", "Accounts service: api, relay, consume, migrate."),
    "reports": ("services.reports.main:cli", "Reports service: api, relay, consume, migrate."),
    "proposals": (
        "services.proposals.main:cli",
        "Proposals service: api, relay, consume, migrate.",
    ),
    "voting": ("services.voting.main:cli", "Voting service: api, relay, consume, migrate."),
    "gateway": ("gateway.main:cli", "Gateway: api, consume, migrate."),
    "communes": ("infra.reference.cli:cli", "Boundaries of the communes."),
    "users": ("services.accounts.cli:app", "People and their roles."),
    "pb": ("services.voting.cli:app", "Count a Pabulib file."),
    "events": ("infra.events_cli:cli", "Event log: groups, dead letters, replay."),
    "demo": ("infra.demo:cli", "Demonstration data."),
}


def _mount(name: str, target: str, summary: str) -> None:
    module, attribute = target.split(":")

    @app.command(
        name,
        help=summary,
        add_help_option=False,
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "allow_interspersed_args": False,
        },
    )
    def run(ctx: typer.Context) -> None:
        # What imports make stays: looking for garbage in it costs a fifth of every start.
        gc.disable()
        command = cast(Callable[..., None], getattr(importlib.import_module(module), attribute))
        gc.freeze()
        gc.enable()
        command(args=ctx.args, prog_name=f"palabre {name}")


for _name, (_target, _summary) in COMMANDS.items():
    _mount(_name, _target, _summary)


if __name__ == "__main__":
    app()
