"""Shapes of the reports API."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from services.common.requests import Body, Line, Text
from services.reports.domain import (
    AGENCIES,
    CATEGORIES,
    DESCRIPTION_LENGTH,
    MAX_PHOTOS,
    STATUSES,
    Actor,
    Channel,
    Gender,
    Kind,
    Reason,
    Status,
)


def known_category(value: str) -> str:
    """Refuse a category that is not in the table."""
    if value not in CATEGORIES:
        raise ValueError(f"unknown category; one of {', '.join(CATEGORIES)}")
    return value


def known_agency(value: str) -> str:
    """Refuse an agency that is not in the table."""
    if value not in AGENCIES:
        raise ValueError(f"unknown agency; one of {', '.join(AGENCIES)}")
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
AgencyCode = Annotated[str, Field(max_length=40), AfterValidator(known_agency)]
Statuses = Annotated[str, Field(max_length=200), AfterValidator(known_statuses)]
Description = Annotated[Text, Field(min_length=3, max_length=DESCRIPTION_LENGTH)]
Landmark = Annotated[Line, Field(max_length=200)]
Note = Annotated[Text, Field(max_length=2000)]
#: The version that the writer saw; another one means that somebody was faster.
Seen = Annotated[int | None, Field(ge=1, le=2**31 - 1)]


class NewReport(Body):
    """A problem: at a point, or in an arrondissement near a landmark."""

    lon: Lon | None = None
    lat: Lat | None = None
    arrondissement: ArrondissementCode | None = None
    landmark: Landmark = ""
    category: CategoryCode
    description: Description
    commune: CommuneCode | None = None
    photos: list[UUID] = Field(default_factory=list, max_length=MAX_PHOTOS)
    voice: UUID | None = None
    gender: Gender | None = None
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
    """A step in the workflow; ``duplicate_of`` is an id or a ref."""

    status: Status
    public_note: Note = ""
    internal_note: Note = ""
    reason: Reason | None = None
    forwarded_to: Line = Field("", max_length=120)
    duplicate_of: Text | None = Field(None, max_length=40)
    version: Seen = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "rejected" and self.reason is None:
            raise ValueError("a rejection needs a reason")
        if (self.status == "duplicate") != (self.duplicate_of is not None):
            raise ValueError("a duplicate names the report it repeats, and only a duplicate does")
        return self


class Unmerge(Body):
    """Undo a merge."""

    public_note: Note = ""
    version: Seen = None


class Correction(Body):
    """Another category, another commune, or both."""

    category: CategoryCode | None = None
    commune: CommuneCode | None = None
    version: Seen = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.category is None and self.commune is None:
            raise ValueError("give a category or a commune")
        return self


class Redaction(Body):
    """What its author lets stand of a report; ``notes`` maps history versions to new words."""

    description: Description
    landmark: Landmark = ""
    remove: list[UUID] = Field(default_factory=list, max_length=MAX_PHOTOS + 1)
    notes: dict[int, Note] = Field(default_factory=dict, max_length=50)
    version: Seen = None


class PreviewIn(Body):
    """Texts that are to become public."""

    description: Text = Field("", max_length=DESCRIPTION_LENGTH)
    landmark: Text = Field("", max_length=200)


class Personal(BaseModel):
    """What looks like personal data in a text: its place in characters, and what it seems to be."""

    field: Literal["description", "landmark"]
    kind: Literal["phone", "email", "number"]
    start: int
    end: int
    text: str


class Preview(BaseModel):
    """How the public will read it, and what its author may want to take out first."""

    summary: str
    description: str
    landmark: str
    personal: list[Personal]


class Photo(BaseModel):
    """Where a photo is served; ``hidden`` ones are given to agents only."""

    id: UUID
    url: str
    thumb_url: str
    hidden: bool = False


class Voice(BaseModel):
    """Where a voice note is served, and its length."""

    id: UUID
    url: str
    media_type: str
    seconds: float | None
    hidden: bool = False


class HistoryOut(BaseModel):
    """One line of history; ``internal_note`` and ``actor`` are there for the commune's agents."""

    version: int
    kind: Kind
    status: Status
    at: datetime
    by: Actor
    public_note: str
    reason: str | None = None
    detail: dict[str, Any]
    internal_note: str | None = None
    actor: str | None = None


class LinkedProposal(BaseModel):
    """A proposal that grew out of this report, and where it stands."""

    ref: str
    status: str


class Contact(BaseModel):
    """How to reach the reporter, as an Open311 client gave it."""

    name: str
    phone: str
    email: str


class Staff(BaseModel):
    """What the commune's agents see besides."""

    assignee: UUID | None
    assignee_name: str | None
    channel: Channel
    gender: Gender | None
    hidden: bool
    original_description: str | None
    answer_due_at: datetime | None
    contact: Contact | None
    followers: int
    #: What an Open311 client sent besides: answers to a category's questions, links to media.
    attributes: dict[str, Any]


class ReportDetail(BaseModel):
    """One report as its reader may see it; ``allowed`` lists what the reader may set next."""

    id: UUID
    ref: str
    version: int
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
    agency: str | None
    forwarded_to: str
    due_at: datetime | None
    answered_at: datetime | None
    closed_at: datetime | None
    photos: list[Photo]
    voice: Voice | None
    history: list[HistoryOut]
    duplicate_of: str | None
    duplicates: list[str]
    proposals: list[LinkedProposal]
    allowed: list[Status]
    capacities: list[Actor]
    staff: Staff | None = None


class Supported(BaseModel):
    """How many persons said "me too"."""

    supports: int


class Mine(BaseModel):
    """A report that the person sent or supports.

    Merged into another it has that one's status and news; ``merged_into`` is its ref.
    """

    id: UUID
    ref: str
    commune: str
    category: str
    status: Status
    summary: str
    created_at: datetime
    updated_at: datetime
    supports: int
    own: bool
    merged_into: str | None = None


class CategoryOut(BaseModel):
    """A category with its labels, its agency, and how near the same problem may be, in metres."""

    code: str
    label: dict[str, str]
    icon: str
    agency: str
    radius_m: int
    sensitive: bool


class AgencyOut(BaseModel):
    """A technical service with its labels."""

    code: str
    label: dict[str, str]
