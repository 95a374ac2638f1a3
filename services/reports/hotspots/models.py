"""The table of hotspots."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import DateTime, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db import Base
from services.reports.hotspots.domain import Trend


class Hotspot(Base):
    """A hotspot while it lasts and afterwards; ``version`` counts its events.

    ``count`` reports in the ``days`` before ``seen_at``, when it was last found; ``z`` and ``p``
    are its strongest cell's.
    """

    __tablename__ = "hotspots"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    commune: Mapped[str]
    category: Mapped[str]
    days: Mapped[int]
    geom: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", 4326))
    arrondissement: Mapped[str | None]
    count: Mapped[int]
    z: Mapped[float]
    p: Mapped[float]
    per_1000: Mapped[float | None]
    trend: Mapped[Trend] = mapped_column(Text)
    proposal_ref: Mapped[str | None]
    proposal_submitted: Mapped[bool] = mapped_column(default=False)
    detected_at: Mapped[datetime] = mapped_column(DateTime(True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    version: Mapped[int] = mapped_column(default=1)
