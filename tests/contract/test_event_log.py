"""One contract for both transports: nothing lost, nothing doubled, order kept per key."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from services.common.events import inbox, outbox
from services.common.events.envelope import Event, from_kafka, new_event, to_kafka
from services.common.events.rebuild import rebuild
from tests.contract.event_log import (
    KEYS,
    Counted,
    CountedReader,
    Ignored,
    World,
    child,
    new_world,
    relay_child,
    subject_of,
)

pytestmark = pytest.mark.contract
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest, scratch_database: str) -> Iterator[World]:
    servers = request.getfixturevalue("kafka_server") if request.param == "kafka" else ""
    made = new_world(scratch_database, request.param, servers)
    yield made
    made.dispose()


@pytest.fixture
def kafka_world(scratch_database: str, kafka_server: str) -> Iterator[World]:
    made = new_world(scratch_database, "kafka", kafka_server)
    yield made
    made.dispose()


def test_late_commits_lose_nothing_and_keep_order(world: World) -> None:
    with world.consuming():
        world.load(400)
        world.eventually(world.whole)
    assert sum(world.published().values()) == 400


def test_headers_and_data_come_back_as_they_went(world: World) -> None:
    sent = world.publish("0801")
    with world.consuming():
        world.eventually(lambda: world.seen)
    (met,) = world.seen
    assert met == replace(sent, time=met.time)
    assert abs(met.time - sent.time).total_seconds() < 1e-5


def test_types_nobody_reads_pass_by(world: World) -> None:
    with world.sessions.begin() as session:
        said = new_event(world.source, subject_of("other"), "0801", 1, Ignored())
        outbox.append(session, [said])
    world.publish("0801")
    with world.consuming():
        world.eventually(world.whole)
    assert world.rows("SELECT * FROM dead_letters") == []


def test_events_delivered_again_have_no_second_effect(world: World) -> None:
    with world.consuming():
        world.load(40)
        world.eventually(world.whole)
    # Everything is read, and over Kafka published, a second time from the start.
    for engine in (world.engine, world.publisher):
        with engine.begin() as connection:
            connection.execute(text("UPDATE subscription_cursors SET position = 0"))
    with world.consuming():
        last = world.publish("0801")
        world.eventually(lambda: any(e.id == last.id for e in world.seen))
    assert world.whole()


@pytest.mark.parametrize("death", ["in_handler", "after_commit"])
def test_a_killed_consumer_applies_each_event_once(world: World, death: str) -> None:
    args = (
        world.url,
        world.settings.events,
        world.settings.kafka_bootstrap_servers,
        world.source,
        world.sink,
        death,
    )
    world.load(40)
    if world.settings.events == "kafka":
        with world.consuming(replace(world.consumer, group=f"{world.sink}_other")):
            world.eventually(world.whole)  # the relay has published all of it
        with world.engine.begin() as connection:
            connection.execute(text("TRUNCATE effects"))
    process = SPAWN.Process(target=child, args=args)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert world.applied() == (0 if death == "in_handler" else world.applied())
    if death == "after_commit":
        assert world.applied() > 0
    with world.consuming():
        world.eventually(world.whole, 45)
    time.sleep(0.5)
    assert world.whole()


def test_a_failing_event_parks_its_key_and_replay_restores_order(world: World) -> None:
    with world.consuming():
        world.publish("0405")
        world.publish("0405", poison=True)
        world.publish("0405")
        world.publish("0801")
        world.publish("0405")
        world.eventually(lambda: len(world.rows("SELECT * FROM dead_letters")) == 3)
        world.eventually(lambda: world.effects()["0801"] == [1])
    assert world.effects()["0405"] == [1]
    assert world.rows("SELECT reason FROM dead_letters ORDER BY id") == [
        ("failed",),
        ("set_aside",),
        ("set_aside",),
    ]
    with pytest.raises(Exception, match="0405"):
        inbox.replay(inbox_sessions(world), world.consumer, "0405")
    assert world.effects()["0405"] == [1]  # all or nothing
    world.poisoned = False
    assert inbox.replay(inbox_sessions(world), world.consumer, "0405") == 3
    assert world.effects()["0405"] == [1, 2, 3, 4]
    with world.consuming():
        world.publish("0405")
        world.eventually(world.whole)


def inbox_sessions(world: World):
    from sqlalchemy.orm import sessionmaker

    return sessionmaker(world.engine)


def test_data_its_reader_refuses_is_a_dead_letter_and_stops_nothing(world: World) -> None:
    with world.publisher.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO outbox "
                "(id, source, type, time, subject, key, sequence, traceparent, payload) VALUES "
                "(gen_random_uuid(), :source, :type, now(), 'x', '0801', 1, '', '{\"n\": \"no\"}')"
            ),
            {"source": world.source, "type": Counted.event_type},
        )
    with world.consuming():
        world.publish("0801")
        world.eventually(world.whole)
    assert world.rows("SELECT reason FROM dead_letters") == [("undecodable",)]
    assert inbox.replay(inbox_sessions(world), world.consumer, "0801") == 0
    assert world.rows("SELECT replayed_at FROM dead_letters") == [(None,)]


def test_rebuild_fills_anew_and_the_live_group_goes_on(world: World) -> None:
    world.load(80)
    with world.consuming():
        world.eventually(world.whole)
        with world.engine.begin() as connection:  # a projection gone wrong
            connection.execute(text("DELETE FROM effects WHERE n % 2 = 0"))
        writer = threading.Thread(target=world.load, args=(80,))
        writer.start()
        version = rebuild(world.settings, world.engine, world.consumer, world.sink)
        writer.join()
        assert version == 2
        world.eventually(world.whole)
        world.publish("0801")
        world.eventually(world.whole)
    assert world.rows("SELECT version FROM consumer_groups") == [(2,)]


def test_two_consumers_of_a_group_share_without_doubling(world: World) -> None:
    with world.consuming(), world.consuming():
        world.load(120)
        world.eventually(world.whole)


def test_it_stops_within_two_seconds(world: World) -> None:
    with world.consuming() as stop:
        world.publish("0801")
        world.eventually(world.whole)
        started = time.monotonic()
        stop.set()
    assert time.monotonic() - started < 2


def test_binary_mode_reads_back_what_it_wrote(world: World) -> None:
    made: Event = new_event("reports", subject_of("a"), "0801", 3, Counted(n=1))
    key, headers, value = to_kafka(made)
    assert key == b"0801"
    assert dict(headers)["ce_specversion"] == b"1.0"
    assert from_kafka(headers, value) == made


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], b"{}"),
        ([("ce_specversion", b"1.0")], b"{}"),
        ([("ce_id", b"\xff\xfe")], b"\x00\x01"),
        ([("ce_specversion", b"1.0\x00"), ("other", b"\x00\xff")], b"{}"),
    ],
)
def test_garbage_on_the_topic_goes_to_the_dead_letter_topic(
    kafka_world: World, headers: list[tuple[str, bytes]], value: bytes
) -> None:
    from kafka import KafkaConsumer

    from services.common.events.kafka import ensure_topics, make_producer

    world = kafka_world
    servers = world.settings.kafka_bootstrap_servers
    ensure_topics(servers, [f"palabre.{world.source}"])
    producer = make_producer(servers)
    producer.send(f"palabre.{world.source}", value=value, key=b"0801", headers=headers).get(10)
    producer.close()
    with world.consuming():
        world.publish("0801")
        world.eventually(world.whole)
        world.eventually(
            lambda: world.rows("SELECT 1 FROM dead_letters WHERE forwarded_at IS NOT NULL")
        )
    client = KafkaConsumer(
        f"palabre.{world.sink}.dlq",
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=10_000,
    )
    try:
        record = next(client)
    finally:
        client.close()
    assert record.value == value
    assert ("palabre_reason", b"undecodable") in record.headers


@pytest.mark.kafka
def test_a_relay_killed_before_it_records_publishes_again_and_nothing_doubles(
    kafka_world: World,
) -> None:
    world = kafka_world
    world.load(40)
    args = (world.url, world.settings.kafka_bootstrap_servers, world.source)
    process = SPAWN.Process(target=relay_child, args=args)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with world.consuming():
        world.load(40)
        world.eventually(world.whole)


def test_keys_cover_the_reader() -> None:
    assert set(CountedReader.model_fields) == set(Counted.model_fields)
    assert len(set(KEYS)) == len(KEYS)
