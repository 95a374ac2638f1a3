"""What reports publishes: places, categories, statuses; never a word or a name of a citizen."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.common.events.envelope import EventData


class ReportReceived(EventData):
    """A problem was pinned; without GPS only its arrondissement is known.

    ``lon`` and ``lat`` are what anybody may see: sensitive categories lie on a grid.
    """

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
    """A report moved in the workflow; ``duplicate_of`` is set while it is merged into another."""

    event_type: ClassVar[str] = "bj.palabre.report.status_changed.v1"

    id: UUID
    ref: str
    commune: str
    previous: str
    status: str
    duplicate_of: UUID | None = None
    changed_at: datetime


class ReportCorrected(EventData):
    """A report's category or commune was wrong: the place and kind that hold from now on."""

    event_type: ClassVar[str] = "bj.palabre.report.corrected.v1"

    id: UUID
    ref: str
    commune: str
    arrondissement: str | None
    category: str
    status: str
    lon: float | None
    lat: float | None
    received_at: datetime
    corrected_at: datetime


class Shown(BaseModel):
    """A report as it is when it is shown again: while it was hidden nothing was said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arrondissement: str | None
    category: str
    status: str
    lon: float | None
    lat: float | None
    received_at: datetime


class ReportVisibilityChanged(EventData):
    """The mairie hid a report from the public, or showed it again as it is ``now``."""

    event_type: ClassVar[str] = "bj.palabre.report.visibility_changed.v1"

    id: UUID
    ref: str
    commune: str
    visible: bool
    now: Shown | None = None
    changed_at: datetime


class ReportNoted(EventData):
    """The mairie said something publicly without changing the status; the words are asked for."""

    event_type: ClassVar[str] = "bj.palabre.report.noted.v1"

    id: UUID
    ref: str
    commune: str
    noted_at: datetime


class ReportProposalChanged(EventData):
    """What became of a project that grew out of a report, for those who follow the report."""

    event_type: ClassVar[str] = "bj.palabre.report.proposal_changed.v1"

    id: UUID
    ref: str
    commune: str
    proposal: str
    status: str
    changed_at: datetime


class HotspotDetected(EventData):
    """Problems of a category gather somewhere more than chance explains."""

    event_type: ClassVar[str] = "bj.palabre.hotspot.detected.v1"

    id: UUID
    ref: str
    commune: str
    arrondissement: str | None
    category: str
    days: int
    count: int
    z: float
    lon: float
    lat: float
    detected_at: datetime


class HotspotEnded(EventData):
    """A hotspot is none any more."""

    event_type: ClassVar[str] = "bj.palabre.hotspot.ended.v1"

    id: UUID
    ref: str
    commune: str
    category: str
    ended_at: datetime


_ID = UUID("01930000-0000-7000-8000-000000000002")
_HOTSPOT = UUID("01930000-0000-7000-8000-000000000004")
_AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

PUBLISHED: tuple[type[EventData], ...] = (
    ReportReceived,
    ReportStatusChanged,
    ReportCorrected,
    ReportVisibilityChanged,
    ReportNoted,
    ReportProposalChanged,
    HotspotDetected,
    HotspotEnded,
)
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
    ReportStatusChanged(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        previous="received",
        status="duplicate",
        duplicate_of=UUID("01930000-0000-7000-8000-000000000003"),
        changed_at=_AT,
    ),
    ReportCorrected(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0301",
        arrondissement="0301-02",
        category="drainage",
        status="received",
        lon=2.362,
        lat=6.372,
        received_at=_AT,
        corrected_at=_AT,
    ),
    ReportVisibilityChanged(id=_ID, ref="S-7K4M2PQ", commune="0801", visible=False, changed_at=_AT),
    ReportVisibilityChanged(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        visible=True,
        now=Shown(
            arrondissement="0801-05",
            category="waste",
            status="in_progress",
            lon=2.4183,
            lat=6.3654,
            received_at=_AT,
        ),
        changed_at=_AT,
    ),
    ReportNoted(id=_ID, ref="S-7K4M2PQ", commune="0801", noted_at=_AT),
    ReportProposalChanged(
        id=_ID,
        ref="S-7K4M2PQ",
        commune="0801",
        proposal="P-7K4M2P",
        status="funded",
        changed_at=_AT,
    ),
    HotspotDetected(
        id=_HOTSPOT,
        ref="H-7K4M2",
        commune="0801",
        arrondissement="0801-05",
        category="waste",
        days=90,
        count=23,
        z=4.2,
        lon=2.4183,
        lat=6.3654,
        detected_at=_AT,
    ),
    HotspotEnded(id=_HOTSPOT, ref="H-7K4M2", commune="0801", category="waste", ended_at=_AT),
)
