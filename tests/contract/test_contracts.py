"""Published examples against their schemas, their readers and the generated documents."""

import importlib
import re
from itertools import chain

import jsonschema
import pytest

from infra.contracts import FOLDER, PUBLISHERS, documents, schema
from infra.events_cli import CONSUMERS, _load
from services.common.events.envelope import EventData
from services.common.events.inbox import Consumer

pytestmark = pytest.mark.contract

EXAMPLES: list[EventData] = list(
    chain.from_iterable(
        importlib.import_module(f"services.{name}.events").EXAMPLES for name in PUBLISHERS
    )
)
READERS = [
    (service, event_type, reader)
    for service, (_, target) in CONSUMERS.items()
    for event_type, (reader, _) in getattr(_load(target), "handlers").items()  # noqa: B009
]


def test_generated_contracts_do_not_drift() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert committed == documents(), "run: palabre events contracts"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.event_type)
def test_examples_fit_their_schema(example: EventData) -> None:
    jsonschema.Draft202012Validator(
        schema(type(example)), format_checker=jsonschema.FormatChecker()
    ).validate(example.model_dump(mode="json"))


def test_every_published_type_has_an_example_and_a_lawful_name() -> None:
    published = {
        model.event_type
        for name in PUBLISHERS
        for model in importlib.import_module(f"services.{name}.events").PUBLISHED
    }
    assert {e.event_type for e in EXAMPLES} == published
    assert all(re.fullmatch(r"bj\.palabre\.[a-z_]+\.[a-z_]+\.v[0-9]+", name) for name in published)


@pytest.mark.parametrize(
    ("service", "event_type", "reader"), READERS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_readers_accept_what_is_published(service: str, event_type: str, reader: type) -> None:
    met = [e for e in EXAMPLES if e.event_type == event_type]
    assert met, f"{service} reads {event_type}, which nobody publishes"
    for example in met:
        reader.model_validate(example.model_dump(mode="json"))  # type: ignore[attr-defined]


def test_consumers_read_only_sources_that_publish() -> None:
    for _, target in CONSUMERS.values():
        consumer = _load(target)
        assert isinstance(consumer, Consumer)
        assert set(consumer.sources) <= set(PUBLISHERS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.event_type)
def test_no_person_in_any_event(example: EventData) -> None:
    forbidden = {"phone", "user", "user_id", "reporter", "author", "voter", "email", "actor"}
    text = example.model_dump_json()
    assert not set(re.findall(r'"([a-z_]+)":', text)) & forbidden
    assert "+229" not in text
