"""CloudEvents 1.0 events and their binary mode over Kafka (CloudEvents Kafka binding 1.0.2)."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.common.ids import new_id

CONTENT_TYPE = "application/json"
TOPIC_PREFIX = "palabre."
Headers = list[tuple[str, bytes]]


class Undecodable(Exception):
    """A message that is no event, or whose data its reader does not accept; never retried."""


class EventData(BaseModel):
    """Base of what a publisher says: subclasses in a service's ``events.py`` set ``event_type``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event_type: ClassVar[str]


class Reader(BaseModel):
    """Base of what a consumer reads: the fewest fields it needs, others ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``key`` orders it (a commune code); ``sequence`` counts per subject from 1."""

    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    key: str
    sequence: int
    traceparent: str
    data: Mapping[str, Any]

    @property
    def dataschema(self) -> str:
        """The path of the data's JSON Schema under ``infra/contracts``."""
        return f"/contracts/{self.type}.json"


def new_event(
    source: str, subject: UUID, key: str, sequence: int, data: EventData, traceparent: str = ""
) -> Event:
    """Make an event about the aggregate ``subject`` now."""
    return Event(
        id=new_id(),
        source=source,
        type=data.event_type,
        time=datetime.now(UTC),
        subject=str(subject),
        key=key,
        sequence=sequence,
        traceparent=traceparent or new_traceparent(),
        data=data.model_dump(mode="json"),
    )


def new_traceparent() -> str:
    """Return a W3C Trace Context value for a new trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def topic_of(source: str) -> str:
    """Return the Kafka topic of a publishing service."""
    return TOPIC_PREFIX + source


def attributes(event: Event) -> dict[str, str]:
    """Return the CloudEvents attributes as text, without the data."""
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": f"/palabre/{event.source}",
        "type": event.type,
        "time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "subject": event.subject,
        "dataschema": event.dataschema,
        "partitionkey": event.key,
        "sequence": str(event.sequence),
        "traceparent": event.traceparent,
    }


def to_kafka(event: Event) -> tuple[bytes, Headers, bytes]:
    """Return key, headers and value of the binary mode."""
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes(event).items()]
    headers.append(("content-type", CONTENT_TYPE.encode()))
    value = json.dumps(event.data, ensure_ascii=False, separators=(",", ":")).encode()
    return event.key.encode(), headers, value


def headers_to_json(headers: Headers) -> str:
    """Return headers as JSON that PostgreSQL stores whatever their bytes are."""
    return json.dumps(
        [[base64.b64encode(n.encode()).decode(), base64.b64encode(v).decode()] for n, v in headers]
    )


def headers_from_json(stored: Sequence[Sequence[str]]) -> Headers:
    """Read :func:`headers_to_json` back."""
    return [(base64.b64decode(n).decode(), base64.b64decode(v)) for n, v in stored]


def from_kafka(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> Event:
    """Read the binary mode; :class:`Undecodable` for anything else."""
    try:
        found = {name: raw.decode() for name, raw in headers}
        if any("\x00" in text for text in found.values()):
            raise Undecodable("a header holds a NUL")
        if found["ce_specversion"] != "1.0" or found["content-type"] != CONTENT_TYPE:
            raise Undecodable("not a CloudEvents 1.0 JSON message")
        data = json.loads(value or b"")
        if not isinstance(data, dict):
            raise Undecodable("the data is not an object")
        return Event(
            id=UUID(found["ce_id"]),
            source=found["ce_source"].removeprefix("/palabre/"),
            type=found["ce_type"],
            time=datetime.fromisoformat(found["ce_time"]),
            subject=found["ce_subject"],
            key=found["ce_partitionkey"],
            sequence=int(found["ce_sequence"]),
            traceparent=found.get("ce_traceparent", ""),
            data=data,
        )
    except (KeyError, ValueError, AttributeError) as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from error
