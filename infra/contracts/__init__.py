"""What services promise each other about events: JSON Schemas and an AsyncAPI 3 document.

Generated from each publisher's ``events.py``; a test fails when the files here drift from it.
"""

import importlib
import json
from pathlib import Path
from typing import Any

from services.common.events.envelope import CONTENT_TYPE, EventData, topic_of

FOLDER = Path(__file__).parent
PUBLISHERS = ("accounts", "reports", "proposals", "voting")

#: CloudEvents attributes as Kafka headers (binary mode); values are text.
HEADERS: dict[str, dict[str, str]] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"format": "uuid"},
    "ce_source": {"format": "uri-reference"},
    "ce_type": {},
    "ce_time": {"format": "date-time"},
    "ce_subject": {"format": "uuid", "description": "the aggregate's id"},
    "ce_dataschema": {"format": "uri-reference"},
    "ce_partitionkey": {"description": "the commune's code, or * for the whole country"},
    "ce_sequence": {"pattern": "^[0-9]+$", "description": "counts per subject from 1"},
    "ce_traceparent": {"description": "W3C Trace Context"},
    "content-type": {"const": CONTENT_TYPE},
}


def published(service: str) -> tuple[type[EventData], ...]:
    """Return the event types that ``service`` publishes."""
    found: tuple[type[EventData], ...] = importlib.import_module(
        f"services.{service}.events"
    ).PUBLISHED
    return found


def schema(model: type[EventData]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event's data."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/contracts/{model.event_type}.json",
        **model.model_json_schema(mode="serialization"),
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of all topics."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for service in PUBLISHERS:
        names = []
        for model in published(service):
            name = model.__name__
            names.append(name)
            messages[name] = {
                "name": model.event_type,
                "title": name,
                "summary": " ".join((model.__doc__ or "").split()),
                "contentType": CONTENT_TYPE,
                "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": {"$ref": f"./{model.event_type}.json"},
                },
                "bindings": {"kafka": {"key": {"type": "string", "pattern": r"^([0-9]{4}|\*)$"}}},
            }
        channels[service] = {
            "address": topic_of(service),
            "messages": {n: {"$ref": f"#/components/messages/{n}"} for n in names},
            "bindings": {"kafka": {"partitions": 12, "topicConfiguration": {"retention.ms": -1}}},
        }
        operations[f"publish_{service}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{service}"},
        }
    headers = {
        "type": "object",
        "required": list(HEADERS),
        "properties": {name: {"type": "string", **rules} for name, rules in HEADERS.items()},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Palabre events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in binary mode. No personal data, no voter and choice.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"CloudEventHeaders": headers}},
    }


def documents() -> dict[str, str]:
    """Return file name to content of everything generated."""
    found: dict[str, Any] = {"asyncapi.json": asyncapi()}
    for service in PUBLISHERS:
        for model in published(service):
            found[f"{model.event_type}.json"] = schema(model)
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in found.items()
    }


def write(folder: Path = FOLDER) -> list[str]:
    """Write the documents into ``folder``, drop those of types no longer published."""
    wanted = documents()
    for old in folder.glob("*.json"):
        if old.name not in wanted:
            old.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content)
    return sorted(wanted)
