"""Demonstration data for three contrasting communes."""

import typer

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Demonstration data.")


@cli.callback()
def demo() -> None:
    """Show Palabre with three communes of Bénin."""


@cli.command()
def load() -> None:
    """Load it, if nothing is there yet."""
    from infra.demo.load import load as load_into_services

    load_into_services(typer.echo)
