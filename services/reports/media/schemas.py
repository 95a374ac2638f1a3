"""Shapes of uploads."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.reports.schemas import Lat, Lon


class Uploaded(BaseModel):
    """A stored photo, to name in a report; place and time are what its EXIF said, if anything."""

    id: UUID
    lon: Lon | None = None
    lat: Lat | None = None
    taken_at: datetime | None = None


class VoiceUploaded(BaseModel):
    """A stored voice note, to name in a report."""

    id: UUID
    seconds: float
