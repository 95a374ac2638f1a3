"""The count: pure, exact and in one documented order. Nothing here knows persons or storage.

Costs and points are whole numbers or fractions, never floats: a tie is a tie.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal

Amount = int | Fraction
Outcome = Literal["funded", "does_not_fit", "too_few_votes"]
FaultKind = Literal["empty", "unknown", "repeated", "over_budget"]
Window = Literal["not_yet", "open", "over", "closed"]

#: A project nobody voted for is not funded, however much money is left.
MINIMUM_VOTES = 1

#: How projects are taken, in this order; published and hashed before the vote opens.
ORDER: tuple[tuple[str, str], ...] = (
    ("votes", "descending"),
    ("cost", "ascending"),
    ("number", "ascending"),
)


@dataclass(frozen=True, slots=True)
class Project:
    """A project on the ballot; ``number`` is its published place there, ``id`` its name."""

    number: int
    id: str
    cost: Amount
    envelope: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A part of the budget, for which its own projects compete."""

    id: str
    name: str
    amount: int


@dataclass(frozen=True, slots=True)
class Ballot:
    """``weight`` equal ballots: pairs (project number, points) in order of number."""

    points: tuple[tuple[int, Amount], ...]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Round:
    """One project's turn: ``remaining`` is the money left when it came.

    Of a parted budget: its ``rank`` and the money left are those of its ``envelope``.
    """

    project: Project
    rank: int
    votes: Amount
    remaining: Amount
    outcome: Outcome
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a rule decided, and each step of it."""

    budget: Amount
    rounds: tuple[Round, ...]

    @property
    def winners(self) -> tuple[Project, ...]:
        """The funded projects, in the order they were taken."""
        return tuple(r.project for r in self.rounds if r.outcome == "funded")

    @property
    def total_cost(self) -> Amount:
        """What the winners cost together."""
        return sum((p.cost for p in self.winners), 0)


def approval(numbers: Iterable[int], weight: int = 1) -> Ballot:
    """Return a ballot that gives each of ``numbers`` one vote; the order of ticking is lost."""
    return Ballot(tuple((number, 1) for number in sorted(numbers)), weight)


def merged(ballots: Iterable[Ballot]) -> list[Ballot]:
    """Return one weighted ballot for all that are equal."""
    weights: dict[tuple[tuple[int, Amount], ...], int] = {}
    for ballot in ballots:
        points = tuple(sorted(ballot.points))
        weights[points] = weights.get(points, 0) + ballot.weight
    return [Ballot(points, weight) for points, weight in weights.items()]


def count(projects: Iterable[Project], ballots: Iterable[Ballot]) -> dict[int, Amount]:
    """Return each project's votes (points, where ballots give points) by number."""
    votes: dict[int, Amount] = {project.number: 0 for project in projects}
    for ballot in ballots:
        for number, points in ballot.points:
            votes[number] += points * ballot.weight
    return votes


def greedy(
    projects: Sequence[Project],
    ballots: Iterable[Ballot],
    budget: Amount,
    minimum: Amount = MINIMUM_VOTES,
) -> Result:
    """Take projects by :data:`ORDER`, funding each that the money left still pays.

    A project that does not fit is skipped and the next one is tried. Under ``minimum`` votes
    nothing is funded.
    """
    votes = count(projects, ballots)
    remaining = budget
    rounds = []
    order = sorted(projects, key=lambda p: (-votes[p.number], p.cost, p.number))
    for rank, project in enumerate(order, 1):
        outcome: Outcome = "funded"
        if votes[project.number] < minimum:
            outcome = "too_few_votes"
        elif project.cost > remaining:
            outcome = "does_not_fit"
        rounds.append(Round(project, rank, votes[project.number], remaining, outcome))
        if outcome == "funded":
            remaining -= project.cost
    return Result(budget, tuple(rounds))


#: The rules there are, by the name that campaigns and the command line use.
RULES = {"greedy": greedy}


def is_parted(envelopes: Sequence[Envelope]) -> bool:
    """Tell whether a budget is counted in parts: one envelope, or none, is the whole of it."""
    return len(envelopes) > 1


def tally(
    rule: str,
    projects: Sequence[Project],
    ballots: Iterable[Ballot],
    budget: Amount,
    envelopes: Sequence[Envelope] = (),
) -> Result:
    """Apply a rule to each envelope's projects and amount, in the envelopes' order.

    With one envelope or none the budget is one. No money goes from one envelope to another.
    """
    if not is_parted(envelopes):
        return RULES[rule](projects, ballots, budget)
    given = list(ballots)
    rounds: list[Round] = []
    for envelope in envelopes:
        inside = [p for p in projects if p.envelope == envelope.id]
        numbers = {p.number for p in inside}
        own = (
            Ballot(tuple((n, points) for n, points in b.points if n in numbers), b.weight)
            for b in given
        )
        result = RULES[rule](inside, own, envelope.amount)
        rounds += [replace(one, envelope=envelope) for one in result.rounds]
    return Result(budget, tuple(rounds))


def definition(
    rule: str,
    ballot_type: str,
    budget: int,
    projects: Iterable[Project],
    envelopes: Sequence[Envelope] = (),
) -> str:
    """Return as canonical JSON everything but the ballots that decides the outcome.

    Keys sorted, no spaces, integers only: the text RFC 8785 gives. See :func:`fingerprint`.
    Envelopes are said where there are two or more, in the order of the count.
    """
    in_parts = is_parted(envelopes)
    said: dict[str, Any] = {
        "rule": rule,
        "order": ORDER,
        "project_that_does_not_fit": "skip",
        "minimum_votes": MINIMUM_VOTES,
        "ballot": {"type": ballot_type, "minimum_choices": 1, "maximum_cost": budget},
        "budget": budget,
        "projects": [
            {"number": p.number, "id": p.id, "cost": p.cost}
            | ({"envelope": p.envelope} if in_parts else {})
            for p in sorted(projects, key=lambda p: p.number)
        ],
    }
    if in_parts:
        said["envelopes"] = [{"id": e.id, "amount": e.amount} for e in envelopes]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a definition, in hexadecimal: its ``rule_hash``."""
    return hashlib.sha256(text.encode()).hexdigest()


def window(state: str, opens_at: datetime, closes_at: datetime, now: datetime) -> Window:
    """Tell whether ballots are taken ``now``: from ``opens_at`` on, until before ``closes_at``."""
    if state != "open":
        return "closed"
    if now < opens_at:
        return "not_yet"
    return "open" if now < closes_at else "over"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why choices are no ballot; ``place`` is the index of the choice at fault, if it is one.

    ``total`` is what the choices cost together, those in ``envelope`` where it is one's.
    """

    kind: FaultKind
    place: int | None = None
    total: int = 0
    envelope: Envelope | None = None


def fault(
    choices: Sequence[str],
    costs: Mapping[str, int],
    budget: int,
    envelopes: Sequence[Envelope] = (),
    inside: Mapping[str, str | None] | None = None,
) -> Fault | None:
    """Return the first reason why ``choices`` (project ids) are no approval ballot.

    ``inside`` gives the envelope of each project, where the budget is parted.
    """
    if not choices:
        return Fault("empty")
    seen: set[str] = set()
    for place, choice in enumerate(choices):
        if choice not in costs:
            return Fault("unknown", place)
        if choice in seen:
            return Fault("repeated", place)
        seen.add(choice)
    if inside and is_parted(envelopes):
        for envelope in envelopes:
            total = sum(costs[choice] for choice in choices if inside[choice] == envelope.id)
            if total > envelope.amount:
                return Fault("over_budget", total=total, envelope=envelope)
    total = sum(costs[choice] for choice in choices)
    return Fault("over_budget", total=total) if total > budget else None
