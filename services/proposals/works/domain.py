"""Where a work may go next, its dates, and the sums of its ledger: pure rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from services.proposals.domain import WorkStatus

STATUSES: tuple[WorkStatus, ...] = get_args(WorkStatus)
#: How a status is reached: by itself, by publishing the completion, or by taking up again.
Way = Literal["status", "completion", "reopening"]

#: The one table of statuses: from → to → how.
TRANSITIONS: Mapping[WorkStatus, Mapping[WorkStatus, Way]] = {
    "planned": {"tendering": "status", "abandoned": "status"},
    "tendering": {"under_way": "status", "abandoned": "status"},
    "under_way": {"suspended": "status", "completed": "completion", "abandoned": "status"},
    "suspended": {"under_way": "status", "completed": "completion", "abandoned": "status"},
    "completed": {"under_way": "reopening"},
    "abandoned": {"under_way": "reopening"},
}
#: What is said to the public with a reason only.
EXPLAINED: frozenset[WorkStatus] = frozenset({"abandoned"})
#: On the site: how far it came can be told.
STARTED: frozenset[WorkStatus] = frozenset({"under_way", "suspended"})
#: No plan is made any more.
ENDED: frozenset[WorkStatus] = frozenset({"completed", "abandoned"})

#: Days are those of the communes.
TIMEZONE = ZoneInfo("Africa/Porto-Novo")
EARLIEST = date(2000, 1, 1)
LATEST = date(2100, 12, 31)

MAX_MILESTONES = 30
MAX_FILES = 10
#: Of the notes of citizens a page shows the newest.
SHOWN_NOTES = 100
#: What one person may say of finished works in an hour.
CONFIRMATIONS_PER_HOUR = 60

EntryKind = Literal["commitment", "invoice", "payment"]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
SumName = Literal["committed", "invoiced", "paid"]
#: The sum of a work that each kind of entry adds to.
SUM_OF: Mapping[EntryKind, SumName] = {
    "commitment": "committed",
    "invoice": "invoiced",
    "payment": "paid",
}


def allowed(status: WorkStatus, way: Way = "status") -> list[WorkStatus]:
    """Return where a work may go next in this way."""
    return [to for to, how in TRANSITIONS[status].items() if how == way]


def local_day(at: datetime) -> date:
    """Return the day it is in Bénin at ``at``."""
    return at.astimezone(TIMEZONE).date()


def is_delayed(
    status: WorkStatus, ends_on: date | None, first_ends_on: date | None, today: date
) -> bool:
    """Tell whether a work is past its planned end, or ends later than first told."""
    if ends_on is None or first_ends_on is None:
        return False
    return ends_on > first_ends_on or (status not in ENDED and today > ends_on)


@dataclass(frozen=True, slots=True)
class Sums:
    """What was voted for a work and what its ledger adds up to, in whole FCFA."""

    voted: int
    committed: int = 0
    invoiced: int = 0
    paid: int = 0

    def plus(self, kind: EntryKind, amount: int) -> "Sums":
        """Return the sums after an entry; a counter-entry's ``amount`` is negative."""
        name = SUM_OF[kind]
        return replace(self, **{name: getattr(self, name) + amount})

    @property
    def balance(self) -> int:
        """What is left of the voted cost: negative once more was paid."""
        return self.voted - self.paid


#: Of each kind of entry: the sum that it may not pass unexplained.
LIMIT_OF: Mapping[EntryKind, Literal["voted", "committed"]] = {
    "commitment": "voted",
    "invoice": "committed",
    "payment": "committed",
}


def passes_limit(kind: EntryKind, after: Sums) -> bool:
    """Tell whether an entry of ``kind`` that led to these sums needs a published reason."""
    return bool(getattr(after, SUM_OF[kind]) > getattr(after, LIMIT_OF[kind]))


@dataclass(frozen=True, slots=True)
class Milestone:
    """A step of a work; ``id`` is None for one that is new."""

    id: UUID | None
    title: str
    planned_on: date | None
    reached_on: date | None = None


def replan(present: Sequence[Milestone], wanted: Sequence[Milestone]) -> list[Milestone]:
    """Return the steps after a new plan: what was reached stays, even where the plan forgets it.

    A step is the same one as before where its title is; forgotten ones come first, as reached.
    """
    known = {one.title: one for one in present}
    plan = []
    for one in wanted:
        before = known.pop(one.title, None)
        plan.append(replace(one, id=before.id, reached_on=before.reached_on) if before else one)
    return [one for one in known.values() if one.reached_on is not None] + plan
