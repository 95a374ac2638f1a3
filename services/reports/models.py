"""Tables of reports."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import DateTime, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db import Base


class Report(Base):
    """An issue report. ``geom`` is null when only the arrondissement is known."""

    __tablename__ = "reports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    commune: Mapped[str]
    commune_detected: Mapped[str | None]
    arrondissement: Mapped[str | None]
    landmark: Mapped[str]
    category: Mapped[str]
    status: Mapped[str]
    description: Mapped[str]
    geom: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", 4326))
    reporter: Mapped[UUID | None]
    follow_up_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    supports: Mapped[int]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(True))


class StatusChange(Base):
    """One line of a report's history; lines are only ever added."""

    __tablename__ = "status_changes"

    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(True))
    actor_kind: Mapped[str]
    actor: Mapped[UUID | None]
    public_note: Mapped[str]
    internal_note: Mapped[str]
    reason: Mapped[str | None]
