"""Shapes of the works API; amounts are whole FCFA."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.common.requests import Body, Line, Words
from services.proposals.domain import EnvelopeKind, WorkStatus
from services.proposals.schemas import Fcfa, distinct
from services.proposals.works.domain import (
    EARLIEST,
    LATEST,
    MAX_FILES,
    MAX_MILESTONES,
    EntryKind,
)

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def written_day(value: object) -> object:
    """Refuse what is no day as it is written: a number, a moment."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("a day is written YYYY-MM-DD")
    return value


Day = Annotated[date, Field(ge=EARLIEST, le=LATEST), BeforeValidator(written_day)]
Note = Annotated[Words, Field(max_length=2000)]
Needed = Annotated[Words, Field(min_length=1, max_length=2000)]
Files = Annotated[list[UUID], Field(max_length=MAX_FILES), AfterValidator(distinct)]
#: The version that the writer saw; another one means that somebody was faster.
Seen = Annotated[int | None, Field(strict=True, ge=1, le=2**31 - 1)]
Verdict = Literal["confirmed", "disputed"]


class WorkChanges(Body):
    """Who builds, and when: the planned end is told once, later ones are delays."""

    contractor: Annotated[Line, Field(max_length=120)] | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None
    seen: Seen = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.contractor is None and self.starts_on is None and self.ends_on is None:
            raise ValueError("give a contractor, a beginning or an end")
        return self


class StatusChange(Body):
    """The status to enter; a note is needed to abandon."""

    status: WorkStatus
    note: Note = ""
    seen: Seen = None


class Progress(Body):
    """How much is done, in percent; less than before needs a note."""

    progress: Annotated[int, Field(strict=True, ge=0, le=100)]
    note: Note = ""
    photos: Files = Field(default_factory=list)
    seen: Seen = None


class Delay(Body):
    """A later planned end, and why."""

    ends_on: Day
    reason: Needed
    seen: Seen = None


class MilestoneIn(Body):
    """A step of a work."""

    title: Annotated[Line, Field(min_length=1, max_length=120)]
    planned_on: Day | None = None


class Milestones(Body):
    """All steps in order, each title once; what was reached stays."""

    milestones: list[MilestoneIn] = Field(max_length=MAX_MILESTONES)
    seen: Seen = None

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({one.title for one in self.milestones}) < len(self.milestones):
            raise ValueError("each title may be given once")
        return self


class Reached(Body):
    """When a step was reached."""

    reached_on: Day
    note: Note = ""
    photos: Files = Field(default_factory=list)


class NewNote(Body):
    """What the public should know."""

    note: Needed
    photos: Files = Field(default_factory=list)


class NewEntry(Body):
    """A line of the ledger; ``document`` is the number of its paper.

    ``reason`` is published: needed where a sum passes what it may not.
    """

    kind: EntryKind
    amount: Fcfa
    dated: Day
    label: Annotated[Line, Field(min_length=1, max_length=200)]
    payee: Annotated[Line, Field(max_length=120)] = ""
    document: Annotated[Line, Field(max_length=80)] = ""
    files: Files = Field(default_factory=list)
    reason: Note = ""
    seen: Seen = None


class Reason(Body):
    """Why, for the public."""

    reason: Needed


class Completion(Body):
    """What was built, for the public."""

    note: Needed
    photos: Files = Field(default_factory=list)
    seen: Seen = None


class NewConfirmation(Body):
    """Whether a finished work is finished; who disputes it says what is missing."""

    verdict: Verdict
    note: Annotated[Words, Field(max_length=500)] = ""


class NoteModeration(Body):
    """Hide a citizen's note (its ``key`` is shown to agents), or show it again."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    hidden: Annotated[bool, Field(strict=True)]


class FromRow(BaseModel):
    """An answer read from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)


class Figures(BaseModel):
    """``balance`` is what was voted less what is paid."""

    voted: int
    committed: int
    invoiced: int
    paid: int
    balance: int


class MilestoneOut(FromRow):
    """A step of a work."""

    id: UUID
    title: str
    planned_on: date | None
    reached_on: date | None


class JournalLine(FromRow):
    """A line of a work's life; ``detail`` says what was before and what is now."""

    id: UUID
    version: int
    kind: str
    at: datetime
    note: str
    detail: dict[str, Any]
    photos: list[dict[str, Any]]


class Entry(FromRow):
    """A line of the ledger; a counter-entry's amount is negative.

    ``counters`` is the number of the entry that it takes back, ``countered_by`` the number of
    the one that takes it back.
    """

    id: UUID
    number: int
    kind: EntryKind
    amount: int
    dated: date
    label: str
    payee: str
    document: str
    reason: str
    counters: int | None
    countered_by: int | None
    at: datetime
    files: list[dict[str, Any]]


class ConfirmationOut(FromRow):
    """What somebody says of a finished work; ``key`` and ``hidden`` are for agents."""

    verdict: Verdict
    note: str
    at: datetime
    key: str | None
    hidden: bool


class Mine(FromRow):
    """What the reader said."""

    verdict: Verdict
    note: str
    at: datetime


class Confirmations(BaseModel):
    """How many say that a finished work is, and how many that it is not; the newest notes."""

    confirmed: int
    disputed: int
    notes: list[ConfirmationOut]
    mine: Mine | None


class Named(BaseModel):
    """Something with a reference and a title."""

    id: UUID
    ref: str
    title: str


class Whose(BaseModel):
    """An envelope, by its name."""

    id: UUID
    name: str


class WorkOut(BaseModel):
    """A work in short; ``delayed``: past its end, or later than first told."""

    id: UUID
    ref: str
    title: str
    status: WorkStatus
    progress: int
    delayed: bool
    voted_cost: int
    committed: int
    invoiced: int
    paid: int
    balance: int


class WorkDetail(WorkOut):
    """A work with all that is public about it.

    ``allowed`` are the statuses, ``may`` the acts that are open to this reader.
    """

    proposal: Named
    campaign: UUID
    campaign_title: str
    commune: str
    arrondissement: str | None
    envelope: Whose | None
    theme: str | None
    geometry: dict[str, Any]
    lon: float
    lat: float
    contractor: str
    starts_on: date | None
    ends_on: date | None
    first_ends_on: date | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    milestones: list[MilestoneOut]
    journal: list[JournalLine]
    ledger: list[Entry]
    confirmations: Confirmations
    reports: list[UUID]
    allowed: list[WorkStatus]
    may: list[str]


class EntryDone(Entry):
    """A new line of the ledger, and the work's sums and version with it."""

    work: UUID
    version: int
    sums: Figures


class Feature(BaseModel):
    """A work as GeoJSON."""

    type: Literal["Feature"]
    id: UUID
    geometry: dict[str, Any]
    properties: dict[str, Any]


class WorkPage(BaseModel):
    """A page of works as a GeoJSON FeatureCollection, newest first."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]
    next: str | None


class EnvelopeMoney(Figures):
    """Where an envelope's money stands; ``unspent`` is what no work was voted for.

    ``id`` is null for works of before envelopes.
    """

    id: UUID | None
    name: str
    kind: EnvelopeKind
    arrondissement: str | None
    theme: str | None
    amount: int
    unspent: int
    works: list[WorkOut]


class Money(Figures):
    """Where a campaign's money stands: the sums of its envelopes."""

    campaign: UUID
    commune: str
    title: str
    budget: int
    unspent: int
    envelopes: list[EnvelopeMoney]
