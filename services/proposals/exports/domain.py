"""What is given away of a campaign: files, their columns, their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "date", "time", "integer", "boolean"]
Subject = Literal["proposals", "works", "ledger", "revisions"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that anybody may take away; amounts are integers, whole FCFA."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file in their order, and whether its rows have a place."""

    name: str
    columns: tuple[Column, ...]
    placed: bool = True


#: No person is in any of them but by the name that they chose for all to read.
TABLES: Mapping[Subject, Table] = {
    "proposals": Table(
        "propositions",
        (
            Column("ref"),
            Column("number", "integer"),
            Column("commune"),
            Column("arrondissement"),
            Column("title"),
            Column("need"),
            Column("description"),
            Column("beneficiaries"),
            Column("theme"),
            Column("status"),
            Column("envelope"),
            Column("estimated_cost", "integer"),
            Column("cost", "integer"),
            Column("outcome"),
            Column("reason"),
            Column("reviewed_at", "time"),
            Column("answer"),
            Column("endorsements", "integer"),
            Column("comments", "integer"),
            Column("origin"),
            Column("author_kind"),
            Column("author_name"),
            Column("forum"),
            Column("forum_women", "integer"),
            Column("forum_men", "integer"),
            Column("forum_youth", "integer"),
            Column("hotspot"),
            Column("merged_into"),
            Column("work"),
            Column("revision", "integer"),
            Column("submitted_at", "time"),
        ),
    ),
    "works": Table(
        "travaux",
        (
            Column("ref"),
            Column("proposal"),
            Column("title"),
            Column("theme"),
            Column("commune"),
            Column("arrondissement"),
            Column("envelope"),
            Column("status"),
            Column("progress", "integer"),
            Column("voted_cost", "integer"),
            Column("committed", "integer"),
            Column("invoiced", "integer"),
            Column("paid", "integer"),
            Column("balance", "integer"),
            Column("contractor"),
            Column("starts_on", "date"),
            Column("ends_on", "date"),
            Column("first_ends_on", "date"),
            Column("completed_at", "time"),
            Column("confirmed", "integer"),
            Column("disputed", "integer"),
            Column("updated_at", "time"),
        ),
    ),
    "ledger": Table(
        "depenses",
        (
            Column("work"),
            Column("proposal"),
            Column("number", "integer"),
            Column("kind"),
            Column("amount", "integer"),
            Column("dated", "date"),
            Column("label"),
            Column("payee"),
            Column("document"),
            Column("reason"),
            Column("counters", "integer"),
            Column("at", "time"),
        ),
        placed=False,
    ),
    "revisions": Table(
        "revisions",
        (
            Column("proposal"),
            Column("number", "integer"),
            Column("kind"),
            Column("at", "time"),
            Column("by"),
            Column("note"),
            Column("title"),
            Column("need"),
            Column("description"),
            Column("beneficiaries"),
            Column("theme"),
            Column("estimated_cost", "integer"),
            Column("envelope"),
            Column("arrondissement"),
        ),
    ),
}


def file_name(table: Table, commune: str, day: str, form: str) -> str:
    """Return e.g. ``propositions-0801-2026-11-22.csv``."""
    return f"{table.name}-{commune}-{day}.{form}"
