"""How much is proposed, shortlisted and funded in each envelope of a campaign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

#: What counts as proposed: all that was handed in and still stands for itself.
_PROPOSED = "status NOT IN ('draft', 'merged', 'withdrawn')"
_SHORTLISTED = "status IN ('shortlisted', 'funded', 'not_funded')"
_SUMS = text(f"""
    SELECT CAST(envelope AS text) AS envelope,
        count(*) FILTER (WHERE {_PROPOSED}) AS proposed_number,
        coalesce(sum(cost) FILTER (WHERE {_PROPOSED}), 0) AS proposed_cost,
        count(*) FILTER (WHERE {_SHORTLISTED}) AS shortlisted_number,
        coalesce(sum(cost) FILTER (WHERE {_SHORTLISTED}), 0) AS shortlisted_cost,
        count(*) FILTER (WHERE status = 'funded') AS funded_number,
        coalesce(sum(cost) FILTER (WHERE status = 'funded'), 0) AS funded_cost
    FROM map_proposals WHERE campaign = CAST(:campaign AS uuid) AND visible
        AND submitted_at IS NOT NULL GROUP BY envelope
""")  # noqa: S608 - no value is in the text


@dataclass(frozen=True, slots=True)
class Sum:
    """So many proposals that cost so much together, in whole FCFA."""

    number: int = 0
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Filled:
    """What an envelope holds, one stage after the other."""

    proposed: Sum = Sum()
    shortlisted: Sum = Sum()
    funded: Sum = Sum()


def filled(session: Session, campaign: str) -> Mapping[str, Filled]:
    """Return what each envelope of a campaign holds, by its id; one that holds nothing lacks."""
    rows = session.execute(_SUMS, {"campaign": campaign}).mappings()
    return {row["envelope"]: _read(row) for row in rows if row["envelope"]}


def _read(row: Mapping[Any, Any]) -> Filled:
    stages = ("proposed", "shortlisted", "funded")
    return Filled(*(Sum(row[f"{s}_number"], int(row[f"{s}_cost"])) for s in stages))
