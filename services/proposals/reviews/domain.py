"""Who reviews what: technical services, the criteria grid, and what a grid forbids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal, get_args

from services.proposals.domain import Action, Outcome

Service = Literal[
    "technical",
    "planning",
    "land",
    "legal",
    "finance",
    "water",
    "roads",
    "health",
    "education",
    "environment",
    "social",
]
Criterion = Literal["legal", "technical", "cost", "land", "upkeep"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
Verdict = Literal["met", "conditional", "not_met"]
#: Where a proposal stands at the desk; ``answered`` waits for the second, last decision.
State = Literal["waiting", "assigned", "overdue", "answered", "done"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Name:
    """What something is called in French and in English."""

    fr: str
    en: str


#: The services of a mairie that a proposal may be given to.
SERVICES: Mapping[Service, Name] = {
    "technical": Name("Services techniques", "Technical services"),
    "planning": Name("Urbanisme", "Planning"),
    "land": Name("Affaires domaniales", "Land affairs"),
    "legal": Name("Affaires juridiques", "Legal affairs"),
    "finance": Name("Affaires financières", "Finance"),
    "water": Name("Eau et assainissement", "Water and sanitation"),
    "roads": Name("Voirie", "Roads"),
    "health": Name("Santé", "Health"),
    "education": Name("Éducation", "Education"),
    "environment": Name("Environnement", "Environment"),
    "social": Name("Affaires sociales", "Social affairs"),
}
#: What money and plans cannot mend: unmet, a project is not simply feasible.
BLOCKING: tuple[Criterion, ...] = ("legal", "land")
#: What a phase must be open to for each round: the author answers the first, the second is last.
ROUNDS: Mapping[int, Action] = {1: "review", 2: "reconsider"}
LAST_ROUND = max(ROUNDS)

#: Bénin's time, the same all year: a due date ends with its day there.
LOCAL = timezone(timedelta(hours=1))
LATEST = date(2100, 12, 31)


def local_day(at: datetime) -> date:
    """Return the day in Bénin."""
    return at.astimezone(LOCAL).date()


def contradictions(
    outcome: Outcome, verdicts: Mapping[Criterion, Verdict]
) -> tuple[Criterion, ...]:
    """Return the criteria that forbid ``outcome``; changes to the project may still heal them."""
    if outcome != "feasible":
        return ()
    return tuple(one for one in BLOCKING if verdicts.get(one) == "not_met")


def next_round(last: int | None, *, answered: bool) -> int | None:
    """Return the round that is open after ``last``: the second one only to an answered first."""
    if last is None:
        return 1
    return last + 1 if answered and last < LAST_ROUND else None


#: Events that change nothing of what a reviewer judges.
_ASIDE = frozenset({"discussed", "threshold_reached"})


def changes(types: Iterable[str]) -> list[str]:
    """Return what happened to a proposal that a reviewer must know, from its events' types.

    >>> changes(["bj.palabre.proposal.discussed.v1", "bj.palabre.proposal.revised.v1"])
    ['revised']
    """
    steps = (one.split(".")[-2] for one in types)
    return list(dict.fromkeys(step for step in steps if step not in _ASIDE))
