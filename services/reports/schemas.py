"""Shapes of the reports API."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from services.common.requests import Body, Line, Text
from services.reports.domain import (
    CATEGORIES,
    DESCRIPTION_LENGTH,
    MAX_PHOTOS,
    STATUSES,
    Reason,
    Status,
)


def known_category(value: str) -> str:
    """Refuse a category that is not in the table."""
    if value not in CATEGORIES:
        raise ValueError(f"unknown category; one of {', '.join(CATEGORIES)}")
    return value


def known_statuses(value: str) -> str:
    """Refuse a comma list with a status that is not in the table."""
    if not set(value.split(",")) <= set(STATUSES):
        raise ValueError(f"statuses are {', '.join(STATUSES)}")
    return value


Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
CommuneCode = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
ArrondissementCode = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]
CategoryCode = Annotated[str, Field(max_length=40), AfterValidator(known_category)]
Statuses = Annotated[str, Field(max_length=120), AfterValidator(known_statuses)]


class NewReport(Body):
    """A problem: at a point, or in an arrondissement near a landmark."""

    lon: Lon | None = None
    lat: Lat | None = None
    arrondissement: ArrondissementCode | None = None
    landmark: Line = Field("", max_length=200)
    category: CategoryCode
    description: Text = Field(min_length=3, max_length=DESCRIPTION_LENGTH)
    commune: CommuneCode | None = None
    photos: list[UUID] = Field(default_factory=list, max_length=MAX_PHOTOS)
    anonymous: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.lon is None) != (self.lat is None):
            raise ValueError("lon and lat go together")
        if self.lon is None and self.arrondissement is None:
            raise ValueError("give lon and lat, or an arrondissement")
        return self


class Created(BaseModel):
    """A stored report; ``follow_up_token`` is shown once, to an anonymous reporter."""

    id: UUID
    ref: str
    status: Status
    commune: str
    category: str
    follow_up_token: str | None = None


class StatusUpdate(Body):
    """A step in the workflow."""

    status: Status
    public_note: Text = Field("", max_length=2000)
    internal_note: Text = Field("", max_length=2000)
    reason: Reason | None = None

    @model_validator(mode="after")
    def _reason_of_rejection(self) -> Self:
        if self.status == "rejected" and self.reason is None:
            raise ValueError("a rejection needs a reason")
        return self


class Photo(BaseModel):
    """Where a photo is served."""

    id: UUID
    url: str
    thumb_url: str


class HistoryLine(BaseModel):
    """One step; ``internal_note`` is there for the commune's agents only."""

    status: Status
    at: datetime
    by: Literal["mairie", "citizen"]
    public_note: str
    reason: str | None = None
    internal_note: str | None = None


class ReportDetail(BaseModel):
    """One report as its reader may see it; ``allowed`` lists what the reader may set next."""

    id: UUID
    ref: str
    commune: str
    arrondissement: str | None
    landmark: str
    category: str
    status: Status
    description: str
    lon: float | None
    lat: float | None
    created_at: datetime
    updated_at: datetime
    supports: int
    photos: list[Photo]
    history: list[HistoryLine]
    allowed: list[Status]


class Supported(BaseModel):
    """How many persons said "me too"."""

    supports: int


class Uploaded(BaseModel):
    """A stored photo, to name in a report."""

    id: UUID


class CategoryOut(BaseModel):
    """A category with its labels."""

    code: str
    label: dict[str, str]
    icon: str
