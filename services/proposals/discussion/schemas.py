"""Shapes of the discussion's API."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from services.common.requests import Body, Line, Text, Words
from services.proposals.discussion.domain import (
    MAX_BODY,
    AppealDecision,
    Decision,
    LogAction,
    Stance,
    Subject,
)
from services.proposals.domain import Reason

Said = Annotated[Words, Field(min_length=1, max_length=MAX_BODY)]
Note = Annotated[Text, Field(max_length=1000)]
#: What the mairie publishes, or an author says in an appeal: never empty.
PublicNote = Annotated[Words, Field(min_length=1, max_length=1000)]
Seen = Annotated[int | None, Field(ge=0, le=2**31 - 1)]


class Endorsed(BaseModel):
    """How many persons stand behind the proposal."""

    endorsements: int


class NewComment(Body):
    """Words about a proposal, or in reply to a comment; ``name`` is how others see the author."""

    body: Said
    stance: Stance = "neutral"
    parent: UUID | None = None
    name: Annotated[Line, Field(max_length=80)] = ""


class CommentCreated(BaseModel):
    """Where a comment stands, and how many can be read now.

    Without its words: answers are kept, and its author may take the words back.
    """

    id: UUID
    parent: UUID | None
    depth: int
    comments: int


class CommentWithdrawn(BaseModel):
    """What is left: a ``placeholder`` where there were replies."""

    id: UUID
    placeholder: bool
    comments: int


class Hidden(BaseModel):
    """Why the mairie hid something, and since when."""

    reason: str
    note: str
    at: datetime
    appealed: bool


class CommentOut(BaseModel):
    """A comment; without words where it was ``hidden`` or ``withdrawn``.

    Who wrote what is hidden, and the commune's agents, still read it. ``more`` counts the replies
    that are not among ``replies``.
    """

    id: UUID
    parent: UUID | None
    depth: int
    name: str
    stance: Stance
    body: str
    useful: int
    created_at: datetime
    withdrawn: bool
    hidden: Hidden | None
    mine: bool
    marked: bool
    replies: list["CommentOut"] = []
    more: int = 0


class CommentPage(BaseModel):
    """A page of comments; ``comments`` and ``stances`` count all that anybody can read."""

    items: list[CommentOut]
    next: str | None
    comments: int
    stances: dict[Stance, int]
    open: bool = Field(description="whether comments can be written now")


class Useful(BaseModel):
    """How many persons found a comment useful."""

    useful: int


class NewAbuseReport(Body):
    """What is wrong with a proposal's or a comment's words; only the mairie reads ``note``."""

    subject: Subject
    id: UUID
    reason: Reason
    note: Note = ""


class AbuseReported(BaseModel):
    """A stored report."""

    id: UUID
    subject: Subject
    subject_id: UUID
    reason: Reason


class NewDecision(Body):
    """What the mairie decides about a subject, with the reason and the note it publishes.

    ``seen`` is the number of decisions that the agent had seen.
    """

    subject: Subject
    id: UUID
    action: Decision
    reason: Reason
    note: PublicNote
    seen: Seen = None


class NewAppeal(Body):
    """Why hidden words should be shown again; only the mairie reads it."""

    subject: Subject
    id: UUID
    note: PublicNote


class AppealAnswer(Body):
    """What another agent decides about an appeal; ``note`` is published."""

    subject: Subject
    id: UUID
    action: AppealDecision
    note: PublicNote
    seen: Seen = None


class Decided(BaseModel):
    """A line of the log, whether its subject is hidden now, and how many lines there are."""

    subject: Subject
    id: UUID
    action: LogAction
    reason: str
    note: str
    at: datetime
    hidden: bool
    seen: int


class PublicLine(BaseModel):
    """What was decided, when and why: without the words it was about, and without names."""

    subject: Subject
    id: UUID
    action: LogAction
    reason: str
    note: str
    at: datetime


class PublicLog(BaseModel):
    """All decisions about a proposal and its comments, newest first."""

    ref: str
    hidden: bool
    items: list[PublicLine]


class LastDecision(BaseModel):
    """What was decided last about a subject."""

    action: LogAction
    reason: str
    note: str
    at: datetime


class QueueItem(BaseModel):
    """What waits for a decision: reported by people, or appealed for by its author.

    ``may`` is what this agent can decide; ``seen`` goes back with the decision.
    """

    subject: Subject
    id: UUID
    proposal: UUID
    ref: str
    title: str
    words: str
    name: str
    written_at: datetime
    urgent: bool
    waiting_since: datetime
    reports: int
    reasons: dict[str, int]
    notes: list[str]
    appeal: str | None
    hidden: bool
    last: LastDecision | None
    seen: int
    may: list[str]


class Queue(BaseModel):
    """A page of the moderation queue: what is urgent first, then what waits longest."""

    items: list[QueueItem]
    next: str | None


class Following(BaseModel):
    """Whether the bearer follows the proposal."""

    following: bool


class News(BaseModel):
    """A proposal that somebody follows, endorses or wrote, and that changed ``since``."""

    id: UUID
    ref: str
    title: str
    status: str
    comments: int
    revision: int
    changed_at: datetime
    since: datetime


class NewsList(BaseModel):
    """What changed, newest first."""

    items: list[News]
