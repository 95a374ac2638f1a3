"""Phases, dates and places: pure rules of campaigns and their proposals."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, get_args

import shapely
from shapely.geometry.base import BaseGeometry

Phase = Literal["preparation", "ideas", "review", "revision", "vote", "results", "works", "closed"]
PHASES: tuple[Phase, ...] = get_args(Phase)
Status = Literal["draft", "submitted", "shortlisted", "not_feasible", "funded", "not_funded"]
STATUSES: tuple[Status, ...] = get_args(Status)
#: What anybody may see and what is counted: a draft is its author's and the mairie's.
PUBLIC: tuple[Status, ...] = tuple(status for status in STATUSES if status != "draft")
Outcome = Literal["feasible", "feasible_with_changes", "not_feasible"]
#: ``draft`` is anybody's; ``prepare`` is an agent's draft, which may come before the ideas do.
Action = Literal["prepare", "draft", "submit", "endorse", "review"]


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """Where an agent may take a campaign from a phase, and what may be done meanwhile."""

    next: tuple[Phase, ...] = ()
    open_to: frozenset[Action] = frozenset()


#: The one table of phases. ``vote`` freezes; from there the published count alone leads on.
RULES: Mapping[Phase, PhaseRule] = {
    "preparation": PhaseRule(next=("ideas",), open_to=frozenset({"prepare"})),
    "ideas": PhaseRule(
        next=("review", "vote"),
        open_to=frozenset({"prepare", "draft", "submit", "endorse", "review"}),
    ),
    "review": PhaseRule(next=("revision", "vote"), open_to=frozenset({"endorse", "review"})),
    "revision": PhaseRule(next=("vote",), open_to=frozenset({"endorse"})),
    "vote": PhaseRule(),
    "results": PhaseRule(next=("works",)),
    "works": PhaseRule(next=("closed",)),
    "closed": PhaseRule(),
}
STATUS_AFTER: Mapping[Outcome, Status] = {
    "feasible": "shortlisted",
    "feasible_with_changes": "shortlisted",
    "not_feasible": "not_feasible",
}

BALLOT_TYPE = "approval"
RULE = "greedy"
#: How long a vote lasts when no date in the future was set for its end.
VOTE_LASTS = timedelta(days=14)

MAX_VERTICES = 1000
#: What one person may propose in an hour.
PROPOSALS_PER_HOUR = 60
Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PhaseDates:
    """When a phase is planned, timezone-aware."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


def allowed_phases(phase: Phase, shortlisted: int) -> list[Phase]:
    """Return where an agent may take the campaign: no vote without a shortlisted proposal."""
    return [following for following in RULES[phase].next if following != "vote" or shortlisted]


def check_phases(planned: Sequence[PhaseDates]) -> None:
    """Raise ``ValueError`` unless phases are in their order, each after the one before."""
    for one in planned:
        if one.opens_at >= one.closes_at:
            raise ValueError(f"the phase {one.phase} closes before it opens")
    for before, after in pairwise(planned):
        if PHASES.index(before.phase) >= PHASES.index(after.phase):
            raise ValueError(f"phases follow this order, each once: {', '.join(PHASES)}")
        if before.closes_at > after.opens_at:
            raise ValueError(f"the phases {before.phase} and {after.phase} overlap")


def vote_dates(planned_end: datetime | None, now: datetime) -> PhaseDates:
    """Return the dates of a vote opened ``now``: to its planned end if that is yet to come."""
    ends = planned_end if planned_end and planned_end > now else now + VOTE_LASTS
    return PhaseDates("vote", now, ends)


def read_geometry(kind: str, coordinates: object) -> BaseGeometry:
    """Return the shape of a GeoJSON Point, LineString or Polygon (RFC 7946), in two dimensions.

    ``ValueError`` with a sentence for anything not finite, not WGS 84, not valid or not simple.
    """
    shape = _BUILDERS[kind](coordinates)
    if shapely.get_num_coordinates(shape) > MAX_VERTICES:
        raise ValueError(f"a geometry may have {MAX_VERTICES} positions at most")
    if not shape.is_valid:
        raise ValueError(f"the {kind} is not valid: {shapely.is_valid_reason(shape)}")
    if not shape.is_simple:
        raise ValueError(f"the {kind} crosses itself")
    return shape


def to_geojson(shape: BaseGeometry) -> dict[str, Any]:
    """Return the GeoJSON geometry of ``shape``."""
    found: dict[str, Any] = json.loads(shapely.to_geojson(shape))
    return found


def _position(value: object) -> Position:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("a position is a list of two numbers: longitude, latitude")
    for number, bound, name in zip(value, (180, 90), ("longitude", "latitude"), strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"a {name} is a number of degrees")
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"a {name} must be finite")
        if not -bound <= number <= bound:
            raise ValueError(f"a {name} lies between -{bound} and {bound} degrees (WGS 84)")
    return float(value[0]), float(value[1])


def _positions(value: object, fewest: int) -> list[Position]:
    if not isinstance(value, list) or not fewest <= len(value) <= MAX_VERTICES:
        raise ValueError(f"give {fewest} to {MAX_VERTICES} positions")
    return [_position(one) for one in value]


def _ring(value: object) -> list[Position]:
    ring = _positions(value, 4)
    if ring[0] != ring[-1]:
        raise ValueError("a polygon's ring ends where it begins")
    return ring


def _polygon(value: object) -> BaseGeometry:
    if not isinstance(value, list) or not 1 <= len(value) <= 20:
        raise ValueError("a polygon has 1 to 20 rings")
    shell, *holes = (_ring(one) for one in value)
    return shapely.Polygon(shell, holes)


_BUILDERS = {
    "Point": lambda value: shapely.Point(_position(value)),
    "LineString": lambda value: shapely.LineString(_positions(value, 2)),
    "Polygon": _polygon,
}
