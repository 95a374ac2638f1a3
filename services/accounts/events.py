"""What accounts publishes: which desks have hands, never who they are."""

from typing import ClassVar
from uuid import UUID

from services.common.events.envelope import EventData


class RoleGranted(EventData):
    """A role was given in a commune (or ``*``); ``id`` is the grant's, not the person's."""

    event_type: ClassVar[str] = "bj.palabre.role.granted.v1"

    id: UUID
    role: str
    scope: str


class RoleRevoked(EventData):
    """A role was taken back; ``id`` is the grant's."""

    event_type: ClassVar[str] = "bj.palabre.role.revoked.v1"

    id: UUID
    role: str
    scope: str


_ID = UUID("01930000-0000-7000-8000-000000000001")

PUBLISHED: tuple[type[EventData], ...] = (RoleGranted, RoleRevoked)
EXAMPLES: tuple[EventData, ...] = (
    RoleGranted(id=_ID, role="agent", scope="0801"),
    RoleRevoked(id=_ID, role="agent", scope="0801"),
)
