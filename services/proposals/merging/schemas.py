"""Shapes of similar proposals, merges, endorsement offers and amendments."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, field_validator, model_validator

from services.common.requests import MAX_REF, Body, Words
from services.proposals.domain import Reason as Why
from services.proposals.domain import Status
from services.proposals.merging.domain import (
    MAX_SOURCES,
    AmendmentState,
    MergeState,
    OfferAnswer,
)
from services.proposals.schemas import (
    Description,
    Fcfa,
    FromRow,
    Name,
    Note,
    Seen,
    Short,
    Theme,
    Title,
)

#: A proposal's id or reference.
Key = Annotated[str, Field(min_length=1, max_length=MAX_REF)]
Reason = Annotated[Words, Field(min_length=1, max_length=500)]
Yes = Annotated[bool, Field(strict=True)]


class Similar(FromRow):
    """A proposal like the one being written; ``score`` from 0 to 1."""

    id: UUID
    ref: str
    title: str
    status: Status
    theme: str | None
    endorsements: int
    distance_m: int | None
    score: float


class SimilarPage(BaseModel):
    """Similar proposals, the likest first."""

    items: list[Similar]


class NewMerge(Body):
    """Which proposals would go on in which other one, and why."""

    target: Key
    sources: Annotated[list[Key], Field(min_length=1, max_length=MAX_SOURCES)]
    note: Note = ""


class Consent(Body):
    """An author's yes or no to a merge; one no ends it."""

    agree: Yes


class Undoing(Body):
    """Why a merge is undone."""

    reason: Reason


class Part(FromRow):
    """A proposal in a merge; ``mine``: this reader speaks for it. A hidden one has no title."""

    id: UUID
    ref: str
    title: str | None
    status: Status
    endorsements: int
    consented: bool
    mine: bool


class Merge(FromRow):
    """A merge; ``may``: what this reader can do with it now (consent, refuse, undo).

    ``reports_left_out``: how many of the sources' reports found no room in the target's.
    """

    id: UUID
    campaign: UUID
    state: MergeState
    by: Literal["author", "agent"]
    note: str
    target: Part
    sources: list[Part]
    created_at: datetime
    decided_at: datetime | None
    undone_at: datetime | None
    undone_reason: str
    reports_left_out: int
    may: list[Literal["consent", "refuse", "undo"]]


class MergePage(BaseModel):
    """A page of merges, newest first."""

    items: list[Merge]
    next: str | None


class Named(FromRow):
    """A proposal by name."""

    id: UUID
    ref: str
    title: str


class Offer(FromRow):
    """What one endorsed goes on in another proposal: would one endorse that too?"""

    merge: UUID
    campaign: UUID
    source: Named
    target: Named
    merged_at: datetime


class OfferPage(BaseModel):
    """The bearer's unanswered offers, newest first."""

    items: list[Offer]


class OfferReply(Body):
    """Whether one's endorsement is carried over."""

    confirm: Yes


class OfferDone(BaseModel):
    """An answered offer, and how many persons stand behind the target."""

    answer: OfferAnswer
    endorsements: int


class Changes(Body):
    """The fields that would read otherwise."""

    title: Title | None = None
    need: Short | None = None
    description: Annotated[Description, Field(min_length=1)] | None = None
    beneficiaries: Short | None = None
    estimated_cost: Fcfa | None = None
    theme: Theme | None = None

    @field_validator("*")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("give a value or leave the field out")
        return value

    @model_validator(mode="after")
    def _some(self) -> "Changes":
        if not self.model_fields_set:
            raise ValueError("give at least one field that changes")
        return self


class NewAmendment(Body):
    """A suggestion, why it is made, and the name one signs it with, if any."""

    changes: Changes
    note: Reason
    name: Name = ""
    seen: Seen | None = None


class Decision(Body):
    """An author's answer to an amendment."""

    accept: Yes
    answer: Note = ""


class Hiding(Body):
    """Why an amendment's words are taken away: a reason of the table and a note, both published."""

    reason: Why
    note: Annotated[Words, Field(min_length=1, max_length=1000)]


class Suggested(BaseModel):
    """A stored suggestion.

    Without its words: answers are kept, and who suggested may take the words back.
    """

    id: UUID
    proposal: UUID
    state: AmendmentState
    base_revision: int


class FieldChange(BaseModel):
    """One field as it was and as it would be."""

    field: str
    before: Any
    after: Any


class FieldDiff(FieldChange):
    """The same, with the words kept (=), taken out (-) and put in (+); none but for texts."""

    segments: list[tuple[Literal["=", "-", "+"], str]]


class Amendment(FromRow):
    """A suggested change; ``revision`` is the text it became when accepted.

    Without changes, note and name once it was withdrawn or hidden.
    """

    id: UUID
    proposal: UUID
    state: AmendmentState
    name: str
    note: str
    base_revision: int
    changes: list[FieldChange]
    answer: str
    revision: int | None
    created_at: datetime
    decided_at: datetime | None
    mine: bool


class AmendmentDetail(Amendment):
    """An amendment word by word."""

    changes: list[FieldDiff]  # type: ignore[assignment]  # each is a FieldChange


class AmendmentPage(BaseModel):
    """A page of a proposal's amendments, newest first."""

    items: list[Amendment]
    next: str | None
