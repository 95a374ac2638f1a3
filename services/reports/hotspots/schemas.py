"""Shapes of the hotspots API."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.common.requests import Body
from services.reports.hotspots.domain import MAX_DAYS, MIN_DAYS, Trend


def near_year(value: date) -> date:
    """Refuse years far from ours."""
    if not 2000 <= value.year <= 2100:
        raise ValueError("a date lies between 2000 and 2100")
    return value


Days = Annotated[int, Field(ge=MIN_DAYS, le=MAX_DAYS)]
Day = Annotated[date, AfterValidator(near_year)]
ProposalRef = Annotated[str, Field(pattern=r"^P-[2-9A-HJKMNP-TW-Z]{4,12}$")]


class DraftedProposal(Body):
    """The proposal that was drafted from a hotspot."""

    proposal_ref: ProposalRef


class ReportIn(BaseModel):
    """A public report that a hotspot counts."""

    id: UUID
    ref: str
    category: str
    status: str
    summary: str
    created_at: datetime


class HotspotProperties(BaseModel):
    """What is known of a hotspot, counted over the ``days`` up to the last time it was found."""

    ref: str
    commune: str
    arrondissement: str | None
    category: str
    days: int
    since: date
    until: date
    count: int
    z: float
    p: float
    per_1000: float | None
    trend: Trend
    sentence: str
    sentence_en: str
    detected_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    proposal_ref: str | None


class HotspotOut(BaseModel):
    """A stored hotspot as a GeoJSON feature, with its newest reports beside."""

    type: Literal["Feature"] = "Feature"
    id: str
    geometry: dict[str, Any]
    properties: HotspotProperties
    reports: list[ReportIn]
