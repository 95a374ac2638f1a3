"""Phases, dates and places: pure rules of campaigns and their proposals."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Literal, get_args
from uuid import UUID

import shapely
from shapely.geometry.base import BaseGeometry

Phase = Literal["preparation", "ideas", "review", "revision", "vote", "results", "works", "closed"]
PHASES: tuple[Phase, ...] = get_args(Phase)
Status = Literal[
    "draft",
    "submitted",
    "shortlisted",
    "not_feasible",
    "funded",
    "not_funded",
    "merged",
    "withdrawn",
]
STATUSES: tuple[Status, ...] = get_args(Status)
#: What anybody may see: a draft is its author's and the mairie's.
PUBLIC: tuple[Status, ...] = tuple(status for status in STATUSES if status != "draft")
#: What lists and counts hold unless asked otherwise.
LISTED: tuple[Status, ...] = tuple(s for s in PUBLIC if s not in ("merged", "withdrawn"))
Outcome = Literal["feasible", "feasible_with_changes", "not_feasible"]
AuthorKind = Literal["person", "group", "association", "forum"]
Origin = Literal["web", "paper", "assembly"]
EnvelopeKind = Literal["commune", "arrondissement", "theme"]
WorkStatus = Literal["planned", "tendering", "under_way", "suspended", "completed", "abandoned"]
#: ``draft`` is anybody's; ``prepare`` is an agent's draft, which may come before the ideas do.
#: ``edit`` is its authors'; ``merge`` also un-merges; ``discuss`` is comments; ``answer`` is the
#: author's to a review, ``reconsider`` the mairie's second look after it; ``work`` is everything
#: of works and their ledgers.
Action = Literal[
    "prepare",
    "draft",
    "submit",
    "edit",
    "merge",
    "endorse",
    "discuss",
    "review",
    "answer",
    "reconsider",
    "work",
]


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """Where an agent may take a campaign from a phase, and what may be done meanwhile."""

    next: tuple[Phase, ...] = ()
    open_to: frozenset[Action] = frozenset()


def _open(*actions: Action) -> frozenset[Action]:
    return frozenset(actions)


#: The one table of phases. ``vote`` freezes; from there the published count alone leads on.
RULES: Mapping[Phase, PhaseRule] = {
    "preparation": PhaseRule(("ideas",), _open("prepare")),
    "ideas": PhaseRule(
        ("review", "vote"),
        _open("prepare", "draft", "submit", "edit", "merge", "endorse", "discuss", "review"),
    ),
    "review": PhaseRule(
        ("revision", "vote"), _open("merge", "endorse", "discuss", "review", "answer", "reconsider")
    ),
    "revision": PhaseRule(("vote",), _open("edit", "endorse", "discuss", "answer", "reconsider")),
    "vote": PhaseRule(open_to=_open("discuss")),
    "results": PhaseRule(("works",), _open("discuss", "work")),
    "works": PhaseRule(("closed",), _open("discuss", "work")),
    "closed": PhaseRule(),
}
STATUS_AFTER: Mapping[Outcome, Status] = {
    "feasible": "shortlisted",
    "feasible_with_changes": "shortlisted",
    "not_feasible": "not_feasible",
}

Reason = Literal["insult", "personal_data", "spam", "off_topic", "illegal", "other"]


@dataclass(frozen=True, slots=True)
class ReasonRule:
    """Why something may be hidden; what is ``urgent`` harms somebody while it is shown."""

    fr: str
    en: str
    urgent: bool = False


#: The one table of reasons, for those who report and for those who decide.
REASONS: Mapping[Reason, ReasonRule] = {
    "insult": ReasonRule("Insulte ou menace", "Insult or threat", urgent=True),
    "personal_data": ReasonRule("Donnée personnelle", "Personal data", urgent=True),
    "spam": ReasonRule("Publicité, répétition", "Advertising, repetition"),
    "off_topic": ReasonRule("Hors sujet", "Off topic"),
    "illegal": ReasonRule("Contraire à la loi", "Against the law", urgent=True),
    "other": ReasonRule("Autre raison", "Another reason"),
}

BALLOT_TYPE = "approval"
RULE = "greedy"
#: How long a vote lasts when no date in the future was set for its end.
VOTE_LASTS = timedelta(days=14)

MAX_VERTICES = 1000
#: What one person may propose in an hour.
PROPOSALS_PER_HOUR = 60
#: How many may be invited, or codes tried, in an hour.
INVITATIONS_PER_HOUR = 30
Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PhaseDates:
    """When a phase is planned, timezone-aware."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Envelope:
    """A part of the budget in FCFA and whom it is for."""

    id: UUID
    amount: int
    kind: EnvelopeKind
    arrondissement: str | None = None
    theme: str | None = None


#: The nearest envelope is taken where the author chooses none.
_NEAREST: tuple[EnvelopeKind, ...] = ("arrondissement", "theme", "commune")


def choose_envelope(
    envelopes: Sequence[Envelope],
    arrondissement: str | None,
    whole: bool,
    theme: str | None,
    wanted: UUID | None = None,
) -> Envelope | Literal["spans", "none", "several"]:
    """Return the envelope for a place and a theme, or why there is none.

    ``whole``: the place lies entirely in ``arrondissement``; else no arrondissement's envelope is
    for it (``spans``). ``several`` equally near ones: the author must choose.
    """

    def fits(one: Envelope) -> bool:
        if one.kind == "arrondissement":
            return whole and one.arrondissement == arrondissement
        return one.kind == "commune" or one.theme == theme

    fitting = [one for one in envelopes if fits(one) and wanted in (None, one.id)]
    if not fitting:
        others = [one for one in envelopes if wanted in (None, one.id)]
        split = not whole and any(one.kind == "arrondissement" for one in others)
        return "spans" if split else "none"
    nearest = min(_NEAREST.index(one.kind) for one in fitting)
    best = [one for one in fitting if one.kind == _NEAREST[nearest]]
    return best[0] if len(best) == 1 else "several"


def word_diff(before: str, after: str) -> list[tuple[Literal["=", "-", "+"], str]]:
    """Return the words kept, taken out and put in, in reading order (Ratcliff and Obershelp).

    Texts that repeat a word so often that comparing them would cost seconds stand side by side.
    """
    old, new = (_WORDS.findall(text) for text in (before, after))
    found: list[tuple[Literal["=", "-", "+"], str]] = []
    times = Counter(new)
    if sum(number * times[word] for word, number in Counter(old).items()) > MAX_DIFF:
        return [("-", before), ("+", after)]
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(("=", "".join(old[a:b])))
            continue
        if a < b:
            found.append(("-", "".join(old[a:b])))
        if c < d:
            found.append(("+", "".join(new[c:d])))
    return found


def reached(needed: int, endorsements: int, reached_at: datetime | None) -> bool:
    """Tell whether so many endorsements are as many as needed, for the first time."""
    return 0 < needed <= endorsements and reached_at is None


_WORDS = re.compile(r"\s*\S+|\s+$")
#: The texts of a proposal that are compared word by word.
TEXTS = ("title", "need", "description", "beneficiaries")
#: Pairs of equal words that a comparison may look at: two texts of 4,000 letters have some 5,000.
MAX_DIFF = 20_000


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
