"""Forget persons: closed reports of long ago stay, who sent and supported them does not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.db import make_engine, make_sessions
from services.reports import domain
from services.reports.settings import Settings

_CLOSED = ", ".join(f"'{status}'" for status in domain.STATUSES if status in domain.CLOSED)
_BEFORE = text("SELECT now() - make_interval(months => :months)")
_OLD = f"SELECT id FROM reports WHERE status IN ({_CLOSED}) AND updated_at < :before"  # noqa: S608

#: What is forgotten: a name for it, its table, which rows of old reports, and what they become
#: (nothing: they go). Supporters become other random ids, one for each report: counts stay, and
#: nobody can be followed from one to the next.
FORGOTTEN: Mapping[str, tuple[str, str, str | None]] = {
    "reporters and follow-up codes": (
        "reports",
        "(reporter IS NOT NULL OR follow_up_hash IS NOT NULL OR gender IS NOT NULL "
        "OR attributes <> '{}')",
        "reporter = NULL, follow_up_hash = NULL, gender = NULL, attributes = '{}'",
    ),
    "contacts": ("contacts", "true", None),
    "authors of history": ("history", "actor IS NOT NULL", "actor = NULL"),
    "supporters": ("supports", "NOT anonymous", "user_id = gen_random_uuid(), anonymous = true"),
}


def _rows(table: str, which: str) -> str:
    key = "id" if table == "reports" else "report_id"
    return f"{key} IN ({_OLD}) AND {which}"


def found(session: Session, before: datetime) -> dict[str, int]:
    """Return how many rows would be forgotten of reports closed and unchanged since ``before``."""
    counted = {}
    for name, (table, which, _) in FORGOTTEN.items():
        query = text(f"SELECT count(*) FROM {table} WHERE {_rows(table, which)}")  # noqa: S608
        counted[name] = int(session.scalar(query, {"before": before}) or 0)
    return counted


def forget(session: Session, before: datetime) -> None:
    """Forget them. No event is said: nothing of this was ever public."""
    for table, which, become in FORGOTTEN.values():
        change = f"UPDATE {table} SET {become}" if become else f"DELETE FROM {table}"  # noqa: S608
        session.execute(text(f"{change} WHERE {_rows(table, which)}"), {"before": before})


def anonymise(
    months: Annotated[int, typer.Option(min=1, help="closed and unchanged for so long")] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="do it, and not only count")] = False,
) -> None:
    """Forget who sent and supported reports closed long ago; without --yes only count."""
    engine = make_engine(Settings().database_url.get_secret_value(), threads=1)
    try:
        with make_sessions(engine).begin() as session:
            before = session.execute(_BEFORE, {"months": months}).scalar_one()
            for name, number in found(session, before).items():
                typer.echo(f"{name}: {number}")
            if yes:
                forget(session, before)
    finally:
        engine.dispose()
    typer.echo("forgotten" if yes else "nothing was changed: add --yes to forget them")
