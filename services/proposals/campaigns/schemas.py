"""Shapes of campaigns, forums and unit costs."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from services.common.requests import Body, Line, Moment, Text, Words
from services.proposals.campaigns import domain
from services.proposals.campaigns.domain import ActorKind, HistoryKind, Welcome
from services.proposals.domain import PHASES, Phase, PhaseDates, Status, check_phases
from services.proposals.schemas import (
    ArrondissementCode,
    CommuneCode,
    CostLine,
    EnvelopeOut,
    Fcfa,
    Files,
    ForumOut,
    FromRow,
    Seen,
    Theme,
    Title,
)


class PhaseIn(Body):
    """When a phase is planned; times carry their zone."""

    phase: Phase
    opens_at: Moment
    closes_at: Moment


class EnvelopeIn(Body):
    """A part of the budget in FCFA, for an arrondissement, for a theme, or for the commune."""

    name: Annotated[Line, Field(min_length=1, max_length=80)]
    amount: Fcfa
    arrondissement: ArrondissementCode | None = None
    theme: Theme | None = None

    @model_validator(mode="after")
    def _for_one(self) -> Self:
        if self.arrondissement and self.theme:
            raise ValueError("an envelope is for an arrondissement or for a theme, not for both")
        return self

    @property
    def part(self) -> domain.Part:
        """The envelope."""
        return domain.Part(self.name, self.amount, self.arrondissement, self.theme)


def in_order(value: list[PhaseIn]) -> list[PhaseIn]:
    """Refuse phases out of order or overlapping."""
    check_phases([PhaseDates(p.phase, p.opens_at, p.closes_at) for p in value])
    return value


def each_once(value: list[Welcome]) -> list[Welcome]:
    """Return kinds of authors once each, in the table's order."""
    return [kind for kind in domain.WELCOME if kind in value]


Envelopes = Annotated[list[EnvelopeIn], Field(max_length=domain.MAX_ENVELOPES)]
Phases = Annotated[list[PhaseIn], Field(min_length=1, max_length=8), AfterValidator(in_order)]
Presentation = Annotated[Text, Field(max_length=8000)]
AuthorKinds = Annotated[list[Welcome], Field(min_length=1, max_length=3), AfterValidator(each_once)]
PerAuthor = Annotated[int, Field(strict=True, ge=1, le=100)]
Threshold = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Flag = Annotated[bool, Field(strict=True)]
Reason = Annotated[Words, Field(max_length=1000)]


class NewCampaign(Body):
    """A budget campaign of a commune; ``budget`` in whole FCFA.

    What the envelopes leave of it is one more, the whole commune's.
    """

    commune: CommuneCode
    title: Title
    budget: Fcfa
    envelopes: Envelopes = Field(default_factory=list)
    phases: Phases
    description: Presentation = ""
    author_kinds: AuthorKinds = Field(default_factory=lambda: list(domain.WELCOME))
    proposals_per_author: PerAuthor | None = None
    endorsements_needed: Threshold = 0
    automatic: Flag = False
    pictures: Files = Field(default_factory=list)


class Clone(Body):
    """Another campaign after this one's: its rules, texts and envelopes, so many days later."""

    title: Title
    shift_days: Annotated[int, Field(strict=True, ge=1, le=3650)] = 365
    budget: Fcfa | None = None


class CampaignChanges(Body):
    """What changes: the fields given. ``null`` takes the limit of proposals per author away."""

    title: Title | None = None
    description: Presentation | None = None
    author_kinds: AuthorKinds | None = None
    proposals_per_author: PerAuthor | None = None
    endorsements_needed: Threshold | None = None
    automatic: Flag | None = None
    pictures: Files | None = None
    budget: Fcfa | None = None
    envelopes: Envelopes | None = None
    seen: Seen | None = None

    @field_validator(
        "title", "description", "author_kinds", "endorsements_needed", "automatic", "pictures",
        "budget", "envelopes",
    )  # fmt: skip
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("give a value or leave the field out")
        return value


class PhaseChange(Body):
    """The phase to enter, and why when the present one was announced to last longer."""

    phase: Phase
    reason: Reason = ""


class Prolongation(Body):
    """The new end of a phase, and why."""

    phase: Phase
    closes_at: Moment
    reason: Annotated[Reason, Field(min_length=1)]


class NewForum(Body):
    """An assembly and how many came; ``youth`` are among the women and men."""

    name: Annotated[Line, Field(min_length=1, max_length=80)]
    held_on: Annotated[date, Field(ge=date(2000, 1, 1))]
    arrondissement: ArrondissementCode | None = None
    place: Annotated[Line, Field(max_length=120)] = ""
    women: Annotated[int, Field(strict=True, ge=0, le=100_000)]
    men: Annotated[int, Field(strict=True, ge=0, le=100_000)]
    youth: Annotated[int, Field(strict=True, ge=0, le=200_000)]

    @model_validator(mode="after")
    def _among(self) -> Self:
        if self.youth > self.women + self.men:
            raise ValueError("the youth are among the women and men: there cannot be more of them")
        return self


class UnitCostIn(Body):
    """What one ``unit`` of something costs in FCFA."""

    name: Annotated[Line, Field(min_length=1, max_length=80)]
    unit: Annotated[Line, Field(min_length=1, max_length=30)]
    cost: Fcfa
    theme: Theme | None = None


class EstimateIn(Body):
    """So many of each, at the unit costs of a commune."""

    commune: CommuneCode
    lines: Annotated[list[CostLine], Field(min_length=1, max_length=20)]


class PhaseOut(FromRow):
    """When a phase is planned, or for an opened vote, when it is."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


class CampaignOut(FromRow):
    """A campaign."""

    id: UUID
    commune: str
    title: str
    budget: int
    phase: Phase
    phases: list[PhaseOut]
    envelopes: list[EnvelopeOut]
    created_at: datetime

    @field_validator("phases")
    @classmethod
    def _by_table(cls, value: list[PhaseOut]) -> list[PhaseOut]:
        return sorted(value, key=lambda one: PHASES.index(one.phase))


class FileOut(BaseModel):
    """A picture of a campaign; its bytes are at ``/api/v1/files/{id}``."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    kind: Literal["photo", "document"]
    media_type: str
    name: str
    bytes: int
    alt: str


class CampaignDetail(CampaignOut):
    """A campaign with its rules, and its proposals counted by status.

    ``allowed`` are the phases this bearer may set next, ``may`` their permissions here.
    """

    description: str
    author_kinds: list[Welcome]
    proposals_per_author: int | None
    endorsements_needed: int
    automatic: bool
    cloned_from: UUID | None
    version: int
    pictures: list[FileOut]
    counts: Mapping[Status, int]
    allowed: list[Phase]
    may: list[str]


class CampaignPage(BaseModel):
    """A page of campaigns, newest first."""

    items: list[CampaignOut]
    next: str | None


class HistoryLine(FromRow):
    """What was done to a campaign, in public: by the commune's agents, its calendar, the count."""

    version: int
    kind: HistoryKind
    at: datetime
    by: ActorKind
    reason: str
    detail: dict[str, Any]


class History(BaseModel):
    """A campaign's history, the first line first."""

    items: list[HistoryLine]


class Shortlisted(FromRow):
    """A proposal that is, or was, to be voted on; ``number`` comes with the frozen ballot."""

    id: UUID
    ref: str
    number: int | None
    title: str
    cost: int
    theme: str | None
    arrondissement: str | None
    status: Status
    lon: float
    lat: float


class ShortlistEnvelope(EnvelopeOut):
    """An envelope, the proposals shortlisted in it, and what they cost together."""

    total: int
    proposals: list[Shortlisted]


class Shortlist(BaseModel):
    """The shortlist by envelope."""

    envelopes: list[ShortlistEnvelope]


class ForumDetail(ForumOut):
    """An assembly of a campaign."""

    arrondissement: str | None


class ForumPage(BaseModel):
    """A campaign's forums, the first held first."""

    items: list[ForumDetail]


class UnitCostOut(FromRow):
    """A unit cost in FCFA; ``own``: the mairie's figure, else the house's."""

    code: str
    name: str
    unit: str
    cost: int
    theme: str | None
    own: bool


class UnitCostPage(BaseModel):
    """The unit costs of a commune by name."""

    items: list[UnitCostOut]


class EstimateLine(BaseModel):
    """A line of an estimate, in FCFA."""

    code: str
    name: str
    unit: str
    cost: int
    quantity: int
    total: int


class Estimate(BaseModel):
    """An estimate and its sum, in FCFA."""

    lines: list[EstimateLine]
    total: int
