"""Shapes of the proposals API."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from shapely.geometry.base import BaseGeometry

from services.common.requests import Body, Line, Text
from services.proposals import domain
from services.proposals.domain import AuthorKind, EnvelopeKind, Origin, Outcome, Status


def distinct(value: list[UUID]) -> list[UUID]:
    """Refuse an id given twice."""
    if len(set(value)) != len(value):
        raise ValueError("each id may be given once")
    return value


Title = Annotated[Line, Field(min_length=1, max_length=120)]
#: One word, so that no sentence of a citizen travels in events: roads, lighting, eau…
Theme = Annotated[str, Field(pattern=r"^[^\W_][\w-]{0,39}$")]
Fcfa = Annotated[int, Field(strict=True, ge=1, le=10**12)]
CommuneCode = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
ArrondissementCode = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]


class GeometryIn(Body):
    """A GeoJSON geometry (RFC 7946) in two dimensions, WGS 84 degrees, longitude first."""

    type: Literal["Point", "LineString", "Polygon"]
    coordinates: list[Any]
    _shape: BaseGeometry = PrivateAttr()

    @model_validator(mode="after")
    def _read(self) -> Self:
        self._shape = domain.read_geometry(self.type, self.coordinates)
        return self

    @property
    def shape(self) -> BaseGeometry:
        """The validated shape."""
        return self._shape


Description = Annotated[Text, Field(max_length=4000)]
Short = Annotated[Text, Field(max_length=2000)]
Name = Annotated[Line, Field(max_length=80)]
Note = Annotated[Text, Field(max_length=500)]
Reports = Annotated[list[UUID], Field(max_length=20), AfterValidator(distinct)]
Files = Annotated[list[UUID], Field(max_length=10), AfterValidator(distinct)]
HotspotRef = Annotated[str, Field(pattern=r"^H-[0-9A-Z]{5,8}$")]
#: The version that a person decided on: another one meanwhile is a conflict.
Seen = Annotated[int, Field(strict=True, ge=0)]


class CostLine(Body):
    """So many of something whose unit cost the mairie keeps."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    quantity: Annotated[int, Field(strict=True, ge=1, le=100_000)]


CostLines = Annotated[list[CostLine], Field(max_length=20)]


class NewProposal(Body):
    """A project; ``reports`` are the problems it would solve, ``hotspot`` where they gather.

    Only a draft may lack its description and its cost. ``origin`` paper and assembly are entered
    by the mairie's agents, an assembly's in the name of its ``forum``. ``cost_lines`` give an
    estimate at the mairie's unit costs, which is the cost where none is given.
    """

    campaign: UUID
    title: Title
    need: Short = ""
    description: Description = ""
    beneficiaries: Short = ""
    geometry: GeometryIn
    estimated_cost: Fcfa | None = None
    cost_lines: CostLines = Field(default_factory=list)
    theme: Theme | None = None
    envelope: UUID | None = None
    reports: Reports = Field(default_factory=list)
    hotspot: HotspotRef | None = None
    photos: Files = Field(default_factory=list)
    author_kind: AuthorKind = "person"
    author_name: Name = ""
    origin: Origin = "web"
    forum: UUID | None = None
    draft: Annotated[bool, Field(strict=True)] = False


class ProposalChanges(Body):
    """What changes: the fields given, and why (``note``). ``null`` takes cost or theme away."""

    title: Title | None = None
    need: Short | None = None
    description: Description | None = None
    beneficiaries: Short | None = None
    geometry: GeometryIn | None = None
    estimated_cost: Fcfa | None = None
    cost_lines: CostLines | None = None
    theme: Theme | None = None
    envelope: UUID | None = None
    reports: Reports | None = None
    photos: Files | None = None
    author_name: Name | None = None
    note: Note = ""
    seen: Seen | None = None

    @field_validator(
        "title",
        "need",
        "description",
        "beneficiaries",
        "geometry",
        "cost_lines",
        "reports",
        "photos",
        "author_name",
    )
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("give a value or leave the field out")
        return value


class Joining(Body):
    """An invitation's code, and under which name one co-writes."""

    code: Annotated[Line, Field(min_length=1, max_length=40)]
    name: Name = ""


class FromRow(BaseModel):
    """An answer read from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)


class ProposalCreated(FromRow):
    """A stored proposal."""

    id: UUID
    ref: str
    campaign: UUID = Field(validation_alias="campaign_id")
    commune: str
    arrondissement: str | None
    status: Status


class Feature(BaseModel):
    """A proposal as GeoJSON: its public columns are the properties."""

    type: Literal["Feature"]
    id: UUID
    geometry: dict[str, Any]
    properties: dict[str, Any]


class ProposalPage(BaseModel):
    """A page of proposals as a GeoJSON FeatureCollection, newest first."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]
    next: str | None


class Judged(FromRow):
    """A criterion as it stood when the mairie decided."""

    criterion: str
    verdict: str
    note: str


class ReviewOut(FromRow):
    """The mairie's answer and its grid then; ``round`` 2 came after the author's reply."""

    outcome: Outcome
    reason: str
    cost: int
    reviewed_at: datetime
    round: int = 1
    criteria: list[Judged] = []


class Named(FromRow):
    """Another proposal."""

    id: UUID
    ref: str
    title: str


class EnvelopeOut(FromRow):
    """A part of the budget in FCFA: the commune's, an arrondissement's or a theme's."""

    id: UUID
    name: str
    amount: int
    kind: EnvelopeKind
    arrondissement: str | None
    theme: str | None


class AuthorOut(FromRow):
    """In whose name a proposal speaks; a person may have given no name."""

    kind: AuthorKind
    name: str


class CoauthorOut(FromRow):
    """Somebody who joined its authors."""

    name: str


class ForumOut(FromRow):
    """An assembly and how many came; ``youth`` are among the women and men."""

    id: UUID
    name: str
    place: str
    held_on: date
    women: int
    men: int
    youth: int


class Photo(FromRow):
    """A photo, and its words for those who do not see it."""

    id: UUID
    alt: str


class AnswerOut(FromRow):
    """The author's one reply to a review."""

    answer: str
    at: datetime


class CostLineOut(FromRow):
    """A line of the estimate, in FCFA."""

    code: str
    name: str
    unit: str
    cost: int
    quantity: int
    total: int


class ProposalDetail(ProposalCreated):
    """One proposal; ``cost`` and ``number`` come with its review and with the frozen ballot.

    ``chain`` is where it went on, step by step to the last; ``merged`` all that goes on in it.
    ``submitted_at`` is null while it is a draft. ``may`` is what this bearer can do with it now.
    """

    title: str
    need: str
    description: str
    beneficiaries: str
    theme: str | None
    geometry: dict[str, Any]
    lon: float
    lat: float
    estimated_cost: int | None
    cost_lines: list[CostLineOut]
    cost: int | None
    number: int | None
    envelope: EnvelopeOut | None
    endorsements: int
    threshold_reached_at: datetime | None
    comments: int
    reports: list[UUID]
    hotspot: str | None
    author: AuthorOut
    coauthors: list[CoauthorOut]
    origin: Origin
    forum: ForumOut | None
    photos: list[Photo]
    review: ReviewOut | None
    reviews: list[ReviewOut]
    answer: AnswerOut | None
    merged_into: Named | None
    chain: list[Named]
    merged: list[Named]
    work: str | None
    revision: int
    version: int
    hidden: bool
    submitted_at: datetime | None
    mine: bool
    endorsed: bool
    following: bool
    may: list[str]


class MineOut(FromRow):
    """A proposal that somebody wrote, endorses or follows."""

    id: UUID
    ref: str
    title: str
    status: Status
    campaign: UUID
    commune: str
    endorsements: int
    comments: int
    revision: int
    hidden: bool
    changed_at: datetime
    mine: bool
    endorsed: bool
    following: bool


class MinePage(BaseModel):
    """What a person wrote, endorses or follows, the latest change first."""

    items: list[MineOut]


class RevisionOut(BaseModel):
    """A text of a proposal: which of its fields it changed."""

    number: int
    kind: Literal["submitted", "edit", "amendment"]
    at: datetime
    by: Literal["author", "agent"]
    note: str
    changed: list[str]


class RevisionPage(BaseModel):
    """All texts of a proposal, the first one first."""

    items: list[RevisionOut]


class Difference(BaseModel):
    """A field before and after; ``segments`` of a text: ``=`` kept, ``-`` out, ``+`` in."""

    field: str
    before: Any
    after: Any
    segments: list[tuple[Literal["=", "-", "+"], str]]


class RevisionDetail(BaseModel):
    """A text of a proposal, and how it differs from the one before."""

    number: int
    kind: Literal["submitted", "edit", "amendment"]
    at: datetime
    by: Literal["author", "agent"]
    note: str
    content: dict[str, Any]
    diff: list[Difference]


class Discarded(BaseModel):
    """A draft that is no more."""

    ref: str


class Invitation(BaseModel):
    """A code that makes one person a co-author; it is shown once."""

    code: str
