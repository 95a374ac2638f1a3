"""A campaign's calendar, envelopes and rules: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from services.proposals.domain import PHASES, RULES, EnvelopeKind, Phase, PhaseDates, Status

#: Who changed a campaign: the commune's agents, its calendar, or the count of its vote.
ActorKind = Literal["agent", "calendar", "count"]
HistoryKind = Literal["published", "changed", "phase", "calendar"]
#: Who may be welcome to propose; forums speak through the mairie.
Welcome = Literal["person", "group", "association"]
WELCOME: tuple[Welcome, ...] = ("person", "group", "association")

#: The envelope of what the others leave of the budget.
REST = "Toute la commune"
MAX_ENVELOPES = 50
MAX_UNIT_COSTS = 200
#: How many lines of its history a campaign shows: the last ones.
HISTORY_SHOWN = 500

#: The rules of who may propose, and of what it takes.
RULE_FIELDS = ("author_kinds", "proposals_per_author", "endorsements_needed")
#: Fields that are set as they come, and copied for another year.
PLAIN = ("title", "description", "automatic", *RULE_FIELDS)
#: Where the mairie may still change the rules of who proposes, and where only loosen them.
RULES_SET: tuple[Phase, ...] = ("preparation",)
RULES_LOOSENED: tuple[Phase, ...] = ("ideas",)
#: Where the ballot has its numbers: what has none is not on it.
FROZEN: tuple[Phase, ...] = ("vote", "results", "works", "closed")
#: Projects that one ballot holds: their event must fit a message of the log (1 MB).
MOST_ON_A_BALLOT = 1000
#: What a ballot was made of, whatever became of it.
ON_BALLOT: tuple[Status, ...] = ("shortlisted", "funded", "not_funded")


@dataclass(frozen=True, slots=True)
class Part:
    """An envelope before it is stored: FCFA for an arrondissement, a theme or the commune."""

    name: str
    amount: int
    arrondissement: str | None = None
    theme: str | None = None

    @property
    def kind(self) -> EnvelopeKind:
        """Whom it is for."""
        if self.arrondissement:
            return "arrondissement"
        return "theme" if self.theme else "commune"

    @property
    def purpose(self) -> tuple[str, str | None, str | None]:
        """What makes it the same envelope when its amount changes."""
        return self.name, self.arrondissement, self.theme

    @property
    def is_rest(self) -> bool:
        """Tell whether it holds what the others leave."""
        return self.name == REST and self.kind == "commune"


def divide(budget: int, parts: Sequence[Part]) -> list[Part]:
    """Return ``parts`` and what they leave of ``budget``: together they are it, to the franc.

    The rest is one more envelope, or comes to the one of its name. ``ValueError``: more than the
    budget.
    """
    left = budget - sum(part.amount for part in parts)
    if left < 0:
        raise ValueError("the envelopes are more than the budget together")
    if left == 0:
        return list(parts)
    if not any(part.is_rest for part in parts):
        return [*parts, Part(REST, left)]
    return [replace(p, amount=p.amount + left) if p.is_rest else p for p in parts]


def in_order(phases: Sequence[PhaseDates]) -> list[PhaseDates]:
    """Return planned phases in the order of the phase table."""
    return sorted(phases, key=lambda one: PHASES.index(one.phase))


def moved_on(phases: Sequence[PhaseDates]) -> list[PhaseDates]:
    """Return ``phases`` in order, each that began before the one before ends moved to that end.

    What is moved keeps its length; what does not overlap stays.
    """
    found: list[PhaseDates] = []
    for one in in_order(phases):
        late = found[-1].closes_at - one.opens_at if found else timedelta(0)
        found.append(_shifted(one, late) if late > timedelta(0) else one)
    return found


def prolonged(phases: Sequence[PhaseDates], phase: Phase, closes_at: datetime) -> list[PhaseDates]:
    """Return the phases that change when ``phase`` ends at ``closes_at``, itself the first."""
    later = [one for one in in_order(phases) if PHASES.index(one.phase) >= PHASES.index(phase)]
    after = moved_on([replace(later[0], closes_at=closes_at), *later[1:]])
    return [new for old, new in zip(later, after, strict=True) if new != old]


def shifted(phases: Sequence[PhaseDates], by: timedelta) -> list[PhaseDates]:
    """Return a calendar for another year, without the overlaps that an early vote left."""
    return moved_on([_shifted(one, by) for one in phases])


def _shifted(one: PhaseDates, by: timedelta) -> PhaseDates:
    return PhaseDates(one.phase, one.opens_at + by, one.closes_at + by)


def announced_end(phases: Sequence[PhaseDates], phase: Phase) -> datetime | None:
    """Return when a phase is announced to end."""
    return next((one.closes_at for one in phases if one.phase == phase), None)


def following(phases: Sequence[PhaseDates], phase: Phase) -> PhaseDates | None:
    """Return the next planned phase that the phase table lets follow ``phase``."""
    return next((one for one in in_order(phases) if one.phase in RULES[phase].next), None)


def due(phases: Sequence[PhaseDates], phase: Phase, now: datetime) -> Phase | None:
    """Return the phase that the calendar leads to ``now``, None where it leads nowhere yet.

    A phase ends at its announced end; preparation, what was not planned, and what goes before
    the vote last until the next phase opens.
    """
    then = following(phases, phase)
    if then is None:
        return None
    ends = announced_end(phases, phase)
    waits = ends is None or phase == "preparation" or then.phase == "vote"
    moment = max(ends or then.opens_at, then.opens_at) if waits else ends
    return then.phase if moment is not None and moment <= now else None


def loosens(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether who may propose, and what it takes, is nowhere stricter than before."""
    most = (before["proposals_per_author"], after["proposals_per_author"])
    return (
        set(before["author_kinds"]) <= set(after["author_kinds"])
        and (most[1] is None or (most[0] is not None and most[0] <= most[1]))
        and after["endorsements_needed"] <= before["endorsements_needed"]
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what changes, each as it was and as it is."""
    return {name: (before[name], value) for name, value in after.items() if value != before[name]}
