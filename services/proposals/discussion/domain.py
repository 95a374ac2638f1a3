"""Threads, stances, reasons and decisions: pure rules of what people say about proposals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from services.proposals.domain import REASONS, Reason

Stance = Literal["for", "against", "neutral"]
Sort = Literal["newest", "oldest", "useful"]
Subject = Literal["proposal", "comment"]
Decision = Literal["hide", "show", "keep"]
AppealDecision = Literal["uphold", "reverse"]
LogAction = Literal["hide", "show", "keep", "appeal", "uphold", "reverse"]
SORTS: tuple[Sort, ...] = get_args(Sort)

MAX_DEPTH = 2
MAX_BODY = 2000
#: How many replies come with each comment of a list's first level.
REPLIES_SHOWN = 50
#: What one person may write, and report, in an hour.
COMMENTS_PER_HOUR = 30
ABUSE_REPORTS_PER_HOUR = 20


URGENT: tuple[Reason, ...] = tuple(code for code, rule in REASONS.items() if rule.urgent)

#: What the mairie may decide of its own accord, by whether the subject is hidden.
DECISIONS: Mapping[bool, tuple[Decision, ...]] = {False: ("hide", "keep"), True: ("show",)}


def place_of_reply(parent: UUID, parents_parent: UUID | None, depth: int) -> tuple[UUID, int]:
    """Return the parent and the depth of a reply to ``parent``, which lies at ``depth``.

    A reply to the deepest level stays on it, beside what it answers.
    """
    if depth < MAX_DEPTH:
        return parent, depth + 1
    if parents_parent is None:
        raise ValueError("a comment below the first level has a parent")
    return parents_parent, MAX_DEPTH


@dataclass(frozen=True, slots=True)
class Line:
    """A decision about a subject, or its author's appeal."""

    action: LogAction
    actor: UUID
    reason: str
    note: str
    at: datetime


def hiding(lines: Sequence[Line]) -> Line | None:
    """Return the decision that hides a subject: its last ``hide`` that nothing took back."""
    for line in reversed(lines):
        if line.action == "hide":
            return line
        if line.action in ("show", "reverse"):
            return None
    return None


def appealed(lines: Sequence[Line]) -> bool:
    """Tell whether the author appealed against what hides their words now: once a hiding."""
    for line in reversed(lines):
        if line.action in ("hide", "show", "reverse"):
            return False
        if line.action == "appeal":
            return True
    return False


def appeal_waits(lines: Sequence[Line]) -> bool:
    """Tell whether an appeal is to be decided: nothing was since."""
    return bool(lines) and lines[-1].action == "appeal"
