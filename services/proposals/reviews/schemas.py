"""Shapes of reviews."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.common.requests import Body, Words
from services.proposals.domain import Outcome, Phase, Status
from services.proposals.reviews.domain import Criterion, Service, State, Verdict
from services.proposals.schemas import AnswerOut, Fcfa, Files, FromRow, Note, ReviewOut, Seen

Needed = Annotated[Words, Field(min_length=1, max_length=2000)]


class Assessment(Body):
    """A criterion's verdict and why; ``seen`` is the version it had, 0 for none.

    ``service`` is who judged; left out, who did before.
    """

    verdict: Verdict
    note: Needed
    service: Service | None = None
    seen: Seen | None = None


class CriterionChange(Assessment):
    """A criterion's verdict; ``files``, where given, are all that it has then."""

    files: Files | None = None


class CriterionIn(Assessment):
    """A criterion's verdict, given with the outcome."""

    criterion: Criterion


def distinct(value: list[CriterionIn]) -> list[CriterionIn]:
    """Refuse a criterion given twice."""
    if len({one.criterion for one in value}) != len(value):
        raise ValueError("each criterion may be given once")
    return value


class NewReview(Body):
    """Can it be done, why, and for how much (FCFA).

    ``seen`` is the proposal's version it was decided on, ``seen_criteria`` the grid's.
    """

    outcome: Outcome
    reason: Needed
    cost: Fcfa
    criteria: Annotated[list[CriterionIn], Field(max_length=5), AfterValidator(distinct)] = Field(
        default_factory=list
    )
    seen: Seen | None = None
    seen_criteria: Seen | None = None


class NewAssignment(Body):
    """The service that is to look at a proposal, until when, and a word for it."""

    service: Service
    due_on: date | None = None
    note: Note = ""


class NewAnswer(Body):
    """The author's one reply."""

    answer: Needed


class Reviewed(FromRow):
    """A proposal after its review."""

    id: UUID
    ref: str
    status: Status
    outcome: Outcome
    cost: int


class CriterionOut(FromRow):
    """A criterion; ``by`` is who judged, told to the commune's reviewers alone."""

    criterion: Criterion
    verdict: Verdict
    note: str
    service: Service | None
    at: datetime
    version: int
    files: list[dict[str, Any]]
    by: UUID | None


class AssignmentOut(FromRow):
    """A service that was given the proposal; ``done``: it judged a criterion since."""

    service: Service
    due_on: date | None
    note: str
    at: datetime
    done: bool
    overdue: bool


class EnvelopeShare(FromRow):
    """The money that a proposal may cost, in FCFA."""

    id: UUID
    name: str
    amount: int


class Sheet(FromRow):
    """A proposal's review; criteria and assignments as far as the reader may know them.

    ``round`` is the one that may be decided now, null when none is. ``criteria_version`` is the
    grid's, 0 when nothing of it is filled. ``may`` is what this reader can do now.
    """

    id: UUID
    ref: str
    title: str
    campaign: UUID
    commune: str
    phase: Phase
    status: Status
    version: int
    estimated_cost: int | None
    cost: int | None
    envelope: EnvelopeShare | None
    endorsements: int
    endorsements_needed: int
    round: int | None
    criteria: list[CriterionOut]
    criteria_version: int
    assignments: list[AssignmentOut]
    reviews: list[ReviewOut]
    answer: AnswerOut | None
    may: list[Literal["review", "answer"]]


class Assigned(FromRow):
    """A service that was given the proposal, in a queue."""

    service: Service
    due_on: date | None
    done: bool
    overdue: bool


class Grid(FromRow):
    """How many criteria of all are judged."""

    done: int
    total: int


class Waiting(FromRow):
    """A proposal in the desk's queue."""

    id: UUID
    ref: str
    title: str
    campaign: UUID
    campaign_title: str
    phase: Phase
    commune: str
    arrondissement: str | None
    theme: str | None
    status: Status
    state: State
    estimated_cost: int | None
    cost: int | None
    outcome: Outcome | None
    endorsements: int
    endorsements_needed: int
    submitted_at: datetime
    version: int
    criteria: Grid
    assignments: list[Assigned]


class Queue(BaseModel):
    """A page of the queue, the longest waiting first; ``counts`` of all states."""

    items: list[Waiting]
    counts: Mapping[State, int]
    next: str | None


class ServiceOut(FromRow):
    """A service of a mairie and its names."""

    code: Service
    fr: str
    en: str


class ServiceList(BaseModel):
    """All services."""

    items: list[ServiceOut]
