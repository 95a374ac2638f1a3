"""Tables of reports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import DateTime, ForeignKey, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db import Base


class Report(Base):
    """An issue report. ``geom`` is null when only the arrondissement is known.

    ``public_description`` is the mairie's moderated text where there is one; ``version`` counts
    the lines of the history, and so every change.
    """

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
    public_description: Mapped[str | None]
    geom: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", 4326), deferred=True)
    reporter: Mapped[UUID | None]
    follow_up_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    supports: Mapped[int]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(True))
    channel: Mapped[str]
    gender: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hidden_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    was_sensitive: Mapped[bool]
    duplicate_of: Mapped[UUID | None]
    status_before_duplicate: Mapped[str | None]
    agency: Mapped[str | None]
    assignee: Mapped[UUID | None]
    forwarded_to: Mapped[str]
    answer_due_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(True))


class HistoryLine(Base):
    """One line of a report's history; lines are only ever added."""

    __tablename__ = "history"

    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    status: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(True))
    actor_kind: Mapped[str]
    actor: Mapped[UUID | None]
    public_note: Mapped[str]
    internal_note: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
