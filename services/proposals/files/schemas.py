"""Shapes of files."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.proposals.files.domain import Kind


class Uploaded(BaseModel):
    """A stored file, to name where it belongs; ``bytes`` of its full size.

    Place (degrees, WGS 84) and time are a photo's that was sent with ``geotag``.
    """

    id: UUID
    kind: Kind
    media_type: str
    name: str
    bytes: int
    lon: float | None = None
    lat: float | None = None
    taken_at: datetime | None = None


class FileOut(Uploaded):
    """A file of something; ``alt`` says in words what a photo shows."""

    alt: str
