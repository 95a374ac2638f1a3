"""What reports publishes: places, categories and statuses, never a word or a name of a citizen."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from services.common.events.envelope import EventData


class ReportReceived(EventData):
    """A problem was pinned; without GPS only its arrondissement is known."""

    event_type: ClassVar[str] = "bj.palabre.report.received.v1"

    id: UUID
    ref: str
    commune: str
    arrondissement: str | None
    category: str
    status: str
    lon: float | None
    lat: float | None
    received_at: datetime


class ReportStatusChanged(EventData):
    """A report moved in the workflow."""

    event_type: ClassVar[str] = "bj.palabre.report.status_changed.v1"

    id: UUID
    ref: str
    commune: str
    previous: str
    status: str
    changed_at: datetime


_ID = UUID("01930000-0000-7000-8000-000000000002")
_AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

PUBLISHED: tuple[type[EventData], ...] = (ReportReceived, ReportStatusChanged)
EXAMPLES: tuple[EventData, ...] = (
    ReportReceived(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        arrondissement="0801-05",
        category="waste",
        status="received",
        lon=2.4183,
        lat=6.3654,
        received_at=_AT,
    ),
    ReportReceived(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        arrondissement="0801-05",
        category="lighting",
        status="received",
        lon=None,
        lat=None,
        received_at=_AT,
    ),
    ReportStatusChanged(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        previous="received",
        status="acknowledged",
        changed_at=_AT,
    ),
)
