"""`palabre up`."""

import os
from pathlib import Path

import typer

from infra.errors import InfraError

cli = typer.Typer(add_completion=False)


@cli.command()
def main() -> None:
    """Run everything on this machine until Ctrl-C.

    Short names: EVENTS=embedded|kafka, PORT=8000, DEMO=0 for no demonstration.
    Data are in .palabre/.
    """
    from infra.launcher.up import up

    home = Path(os.environ.get("PALABRE_HOME", ".palabre")).resolve()
    try:
        up(home, os.environ)
    except InfraError as error:
        typer.echo(f"palabre: {error}", err=True)
        raise typer.Exit(1) from None
