"""``palabre pb``: count any Pabulib file, without a database."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from services.voting import domain, pabulib
from services.voting.domain import Amount, Result

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Participatory budgeting files.")


@app.callback()
def pb() -> None:
    """Work on Pabulib files."""


@app.command()
def tally(
    file: Annotated[Path, typer.Argument(metavar="FILE.pb", show_default=False)],
    rule: Annotated[str, typer.Option(help=f"one of: {', '.join(domain.RULES)}")] = "greedy",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Count the ballots of FILE and print the winners."""
    if rule not in domain.RULES:
        rules = ", ".join(domain.RULES)
        typer.echo(f"palabre pb tally: there is no rule {rule!r}; the rules are: {rules}", err=True)
        raise typer.Exit(2)
    try:
        instance = pabulib.read(file)
    except pabulib.PabulibError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for name in ("budget_per_neighborhood", "budget_per_category"):
        if instance.meta.get(name):
            typer.echo(f"palabre pb tally: {name} is not applied: one budget for all", err=True)
    result = domain.RULES[rule](instance.projects, instance.ballots, instance.budget)
    if as_json:
        typer.echo(json.dumps(as_object(rule, result), ensure_ascii=False))
    else:
        typer.echo(as_table(result))


def as_object(rule: str, result: Result) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "rule": rule,
        "parameters": {
            "order": [" ".join(step) for step in domain.ORDER],
            "minimum_votes": domain.MINIMUM_VOTES,
        },
        "budget": _plain(result.budget),
        "total_cost": _plain(result.total_cost),
        "winners": [project.id for project in result.winners],
        "rounds": [
            {
                "rank": r.rank,
                "project": r.project.id,
                "cost": _plain(r.project.cost),
                "votes": _plain(r.votes),
                "remaining": _plain(r.remaining),
                "outcome": r.outcome,
            }
            for r in result.rounds
        ],
    }


def as_table(result: Result) -> str:
    """Return the rounds as lines of text, then the totals."""
    lines = [f"{'rank':>4} {'votes':>9} {'cost':>13} {'remaining':>13}  {'outcome':13} project"]
    lines += [
        f"{r.rank:>4} {_text(r.votes):>9} {_text(r.project.cost):>13} {_text(r.remaining):>13}  "
        f"{r.outcome:13} {r.project.id}"
        for r in result.rounds
    ]
    spent = f"{_text(result.total_cost)} of {_text(result.budget)}"
    return "\n".join([*lines, f"{len(result.winners)} winners, {spent} spent"])


def _plain(amount: Amount) -> int | float:
    return float(amount) if isinstance(amount, Fraction) else amount


def _text(amount: Amount) -> str:
    return f"{_plain(amount):,}"
