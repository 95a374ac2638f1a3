"""Shapes of the proposals API."""

from collections.abc import Mapping
from datetime import datetime
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

from services.common.requests import Body, Line, Moment, Text
from services.proposals import domain
from services.proposals.domain import Outcome, Phase, Status


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


class PhaseIn(Body):
    """When a phase is planned; times carry their zone."""

    phase: Phase
    opens_at: Moment
    closes_at: Moment


class EnvelopeIn(Body):
    """A part of the budget in FCFA, for an arrondissement or for a purpose."""

    name: Annotated[Line, Field(min_length=1, max_length=80)]
    amount: Fcfa
    arrondissement: ArrondissementCode | None = None


def in_order(value: list[PhaseIn]) -> list[PhaseIn]:
    """Refuse phases out of order or overlapping."""
    domain.check_phases([domain.PhaseDates(p.phase, p.opens_at, p.closes_at) for p in value])
    return value


class NewCampaign(Body):
    """A budget campaign of a commune; ``budget`` in whole FCFA."""

    commune: CommuneCode
    title: Title
    budget: Fcfa
    envelopes: list[EnvelopeIn] = Field(default_factory=list, max_length=50)
    phases: Annotated[list[PhaseIn], Field(min_length=1, max_length=8), AfterValidator(in_order)]


class PhaseChange(Body):
    """The phase to enter."""

    phase: Phase


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
Reports = Annotated[list[UUID], Field(max_length=20), AfterValidator(distinct)]
HotspotRef = Annotated[str, Field(pattern=r"^H-[0-9A-Z]{5,8}$")]


class NewProposal(Body):
    """A project; ``reports`` are the problems it would solve, ``hotspot`` where they gather.

    Only a draft may lack its description and its cost.
    """

    campaign: UUID
    title: Title
    description: Description = ""
    geometry: GeometryIn
    estimated_cost: Fcfa | None = None
    theme: Theme | None = None
    reports: Reports = Field(default_factory=list)
    hotspot: HotspotRef | None = None
    draft: Annotated[bool, Field(strict=True)] = False


class DraftChanges(Body):
    """What changes in a draft: the fields given. ``null`` takes the cost or the theme away."""

    title: Title | None = None
    description: Description | None = None
    geometry: GeometryIn | None = None
    estimated_cost: Fcfa | None = None
    theme: Theme | None = None
    reports: Reports | None = None

    @field_validator("title", "description", "geometry", "reports")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("give a value or leave the field out")
        return value


class NewReview(Body):
    """Can it be done, why, and for how much (FCFA)."""

    outcome: Outcome
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]
    cost: Fcfa


class FromRow(BaseModel):
    """An answer read from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)


class PhaseOut(FromRow):
    """When a phase is planned, or for an opened vote, when it is."""

    phase: Phase
    opens_at: datetime
    closes_at: datetime


class EnvelopeOut(FromRow):
    """A part of the budget."""

    id: UUID
    name: str
    amount: int
    arrondissement: str | None


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


class CampaignDetail(CampaignOut):
    """A campaign, its proposals counted by status, and the phases this bearer may set next."""

    counts: Mapping[Status, int]
    allowed: list[Phase]


class CampaignPage(BaseModel):
    """A page of campaigns, newest first."""

    items: list[CampaignOut]
    next: str | None


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


class ReviewOut(FromRow):
    """The mairie's answer."""

    outcome: Outcome
    reason: str
    cost: int
    reviewed_at: datetime


class ProposalDetail(ProposalCreated):
    """One proposal; ``cost`` and ``number`` come with its review and with the frozen ballot.

    ``submitted_at`` is null while it is a draft.
    """

    title: str
    description: str
    theme: str | None
    geometry: dict[str, Any]
    lon: float
    lat: float
    estimated_cost: int | None
    cost: int | None
    number: int | None
    endorsements: int
    reports: list[UUID]
    hotspot: str | None
    review: ReviewOut | None
    submitted_at: datetime | None


class Reviewed(FromRow):
    """A proposal after its review."""

    id: UUID
    ref: str
    status: Status
    outcome: Outcome
    cost: int


class Endorsed(BaseModel):
    """How many persons stand behind the proposal."""

    endorsements: int
