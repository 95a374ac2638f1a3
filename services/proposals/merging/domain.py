"""Rules of similar proposals, merges and amendments: figures and pure functions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

MergeState = Literal["open", "done", "refused", "undone"]
AmendmentState = Literal["open", "accepted", "refused", "withdrawn"]
OfferAnswer = Literal["confirmed", "declined"]
PartRole = Literal["target", "source"]

#: Below this score (0 to 1) two proposals are not shown as similar.
SHOWN = 0.25
#: The part of a title's letters in the likeness of two texts; the rest is their words'.
LETTERS = 0.5
#: What is left of the likeness of texts where the places lie far apart…
FAR = 0.6
#: …and after how many metres half of that loss is reached.
HALF_WAY_M = 500.0
#: How many proposals that share a word are compared closely.
COMPARED = 200
#: How much of a description is looked at, in characters.
DESCRIPTION_READ = 1000

MAX_SOURCES = 10
MAX_REPORTS = 20
#: What may be merged.
MERGEABLE = "submitted"
#: The targets out of which what was merged may come again: before their review.
UNDOABLE = ("submitted", "withdrawn")
ENDORSABLE = ("submitted", "shortlisted")
#: What one person may suggest in an hour: merges, amendments.
SUGGESTIONS_PER_HOUR = 30

#: The fields that others may amend.
AMENDABLE = ("title", "need", "description", "beneficiaries", "estimated_cost", "theme")


def brought(held: Sequence[UUID], offered: Iterable[UUID]) -> list[UUID]:
    """Return which of a source's reports join those that the target holds already.

    As many as there is room for; the rest stays with the source.
    """
    new = [one for one in dict.fromkeys(offered) if one not in held]
    return new[: max(0, MAX_REPORTS - len(held))]


def left(
    held: Sequence[UUID],
    leaving: Collection[UUID],
    came: Collection[UUID],
    kept: Collection[UUID],
) -> list[UUID]:
    """Return the reports a target keeps when sources holding ``leaving`` part from it.

    Those go that ``came`` with a merge and are not among ``kept``, the other sources' ones.
    """
    return [one for one in held if one not in leaving or one not in came or one in kept]


def collisions(
    base: Mapping[str, Any], now: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the fields that were changed after an amendment's base, to something else.

    Each with what it was (``before``), what it is (``now``) and what is suggested (``after``).
    """
    return {
        name: {"before": base[name], "now": now[name], "after": after}
        for name, after in wanted.items()
        if now[name] not in (base[name], after)
    }
