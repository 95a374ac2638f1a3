"""The transport through Apache Kafka (kafka-python 3): a relay, a subscription, the DLQ topic."""

import logging
from collections.abc import Mapping, Sequence
from threading import Event as Flag
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.events import outbox
from services.common.events.embedded import TableCursor
from services.common.events.envelope import TOPIC_PREFIX, headers_from_json, to_kafka, topic_of
from services.common.events.inbox import (
    Consumer,
    CursorMoved,
    Delivery,
    GroupMoved,
    current_version,
    decode,
    delivery_of,
    is_transient,
    process,
    versioned,
)

log = logging.getLogger(__name__)

PARTITIONS = 12
BATCH = 500
POLL_MS = 500
RELAY_POLL = 0.1
#: Seconds a batch may take; then it is sent again by a new producer.
ACKNOWLEDGED_WITHIN = 5.0
RELAY_GROUP = "relay:kafka"


#: For every client. A broker that comes back is met within a second, not within half a minute.
CONNECTION = {
    "reconnect_backoff_max_ms": 1_000,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": 10_000,
}


def make_producer(servers: str) -> KafkaProducer:
    """Return an idempotent producer; the constructor connects, so make it after any fork."""
    return KafkaProducer(
        bootstrap_servers=servers.split(","),
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        delivery_timeout_ms=20_000,
        **CONNECTION,
    )


def ensure_topics(servers: str, names: Sequence[str], *, replication: int = 1) -> None:
    """Create the topics that are missing: 12 partitions, kept for ever."""
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","), **CONNECTION)
    try:
        existing = set(admin.list_topics())
        missing = [name for name in names if name not in existing]
        if missing:
            _create(admin, missing, replication)
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, names: Sequence[str], replication: int) -> None:
    topics = {
        name: {
            "num_partitions": PARTITIONS,
            "replication_factor": replication,
            "configs": {"retention.ms": "-1", "cleanup.policy": "delete"},
        }
        for name in names
    }
    try:
        admin.create_topics(topics, wait_for_metadata=True)
    except TopicAlreadyExistsError:  # another process was quicker
        log.info("topics exist already: %s", ", ".join(names))


class Relay:
    """One more cursor reader of the outbox, which publishes.

    Its cursor moves only after every future of the batch has succeeded; a crash before that
    publishes again, with the same ``ce_id``, and inboxes drop the copy.
    """

    def __init__(self, engine: Engine, source: str, servers: str) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine)
        self._source = source
        self._servers = servers
        self._cursor = TableCursor(RELAY_GROUP, source)

    def run(self, stop: Flag) -> None:
        """Publish until ``stop`` is set; survives a broker or a database that comes and goes."""
        producer: KafkaProducer | None = None
        while not stop.is_set():
            try:
                if producer is None:
                    ensure_topics(self._servers, [topic_of(self._source)])
                    producer = make_producer(self._servers)
                if not self.drain(producer):
                    stop.wait(RELAY_POLL)
            except CursorMoved:
                continue
            except Exception as error:
                if not (isinstance(error, KafkaError) or is_transient(error)):
                    raise
                log.warning("relay of %s waits: %s", self._source, type(error).__name__)
                # An idempotent producer that gave up on a batch cannot be trusted with its order.
                _close(producer)
                producer = None
                stop.wait(1.0)
        _close(producer)

    def drain(self, producer: KafkaProducer) -> bool:
        """Publish one batch; tell whether there was any event."""
        with self._sessions.begin() as session:
            position = self._cursor.open(session)
        safe = outbox.safe_position(self._engine, self._source, position)
        if safe <= position:
            return False
        with self._sessions.begin() as session:
            rows = outbox.read(session, self._source, after=position, upto=safe, limit=BATCH)
            if not rows:
                return False
            deliveries = [delivery_of(row.event, row.position) for row in rows]
            # The row lock keeps a second relay of this source out until the batch is acknowledged.
            self._cursor.enter(session, deliveries)
            futures = []
            for row in rows:
                key, headers, value = to_kafka(row.event)
                futures.append(
                    producer.send(topic_of(self._source), value=value, key=key, headers=headers)
                )
            producer.flush(timeout=ACKNOWLEDGED_WITHIN)
            for future in futures:
                future.get(timeout=ACKNOWLEDGED_WITHIN)
            self._cursor.advance(session, deliveries)
        return True


def _close(producer: KafkaProducer | None) -> None:
    """Close for good; what it could not send, the next producer sends again."""
    if producer is None:
        return
    try:
        producer.close(timeout=1)
    except KafkaError:
        # kafka-python 3.0 flushes first and, when that fails, leaves its thread running.
        producer._sender.force_close()


class BrokerCursor:
    """Kafka keeps the offsets: they are committed after the database has committed."""

    def enter(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Nothing to lock: the group protocol gives a partition to one member."""

    def advance(self, session: Session, deliveries: Sequence[Delivery]) -> None:
        """Nothing to move here."""


class KafkaSubscription:
    """A consumer group over the topics of its sources; made, used and closed in one thread."""

    def __init__(
        self, engine: Engine, consumer: Consumer, servers: str, *, version: int | None = None
    ) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._consumer = consumer
        self._servers = servers
        self._fixed = version

    def run(self, stop: Flag) -> None:
        """Handle events until ``stop`` is set; survives a broker or database that goes."""
        while not stop.is_set():
            try:
                self._run_version(stop)
            except GroupMoved:
                continue
            except Exception as error:
                if not (isinstance(error, KafkaError) or is_transient(error)):
                    raise
                log.warning("group %s waits: %s", self._consumer.group, type(error).__name__)
                stop.wait(1.0)

    def _run_version(self, stop: Flag) -> None:
        with self._sessions.begin() as session:
            version = self._fixed or current_version(session, self._consumer.group)
        client = self.connect(version)
        try:
            while not stop.is_set():
                self.poll(client, version, stop)
        finally:
            client.close(autocommit=False, timeout_ms=1500)

    def connect(self, version: int) -> KafkaConsumer:
        """Return a client of the group's version, subscribed to the topics of its sources."""
        topics = [topic_of(source) for source in self._consumer.sources]
        ensure_topics(self._servers, topics)
        client = KafkaConsumer(
            bootstrap_servers=self._servers.split(","),
            group_id=TOPIC_PREFIX + versioned(self._consumer.group, version),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=BATCH,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=3_000,
            **CONNECTION,
        )
        client.subscribe(topics)
        return client

    def poll(self, client: KafkaConsumer, version: int, stop: Flag) -> int:
        """Handle what one poll brings; database first, offsets after. Returns how many records."""
        records: Mapping[TopicPartition, Sequence[Any]] = client.poll(timeout_ms=POLL_MS)
        if records:
            deliveries = [
                decode(
                    partition.topic.removeprefix(TOPIC_PREFIX),
                    record.offset,
                    record.key,
                    list(record.headers or []),
                    record.value or b"",
                )
                for partition, batch in records.items()
                for record in batch
            ]
            done = process(
                self._sessions,
                self._consumer,
                version,
                deliveries,
                cursor=BrokerCursor(),
                stop=stop,
            )
            if done < len(deliveries):  # stopping: what is not committed comes again
                return done
            client.commit(
                {
                    partition: OffsetAndMetadata(batch[-1].offset + 1, "", -1)
                    for partition, batch in records.items()
                }
            )
        self._forward_dead_letters(version)
        return sum(map(len, records.values()))

    def _forward_dead_letters(self, version: int) -> None:
        """Copy new dead letters to the group's DLQ topic; the table stays the truth."""
        group = versioned(self._consumer.group, version)
        with self._sessions.begin() as session:
            rows = session.execute(
                text(
                    "SELECT id, key, headers, value, reason FROM dead_letters "
                    "WHERE consumer_group = :group AND forwarded_at IS NULL ORDER BY id "
                    "LIMIT 100 FOR UPDATE SKIP LOCKED"
                ),
                {"group": group},
            ).all()
            if not rows:
                return
            topic = f"{TOPIC_PREFIX}{self._consumer.group}.dlq"
            ensure_topics(self._servers, [topic])
            producer = make_producer(self._servers)
            try:
                for row in rows:
                    headers = headers_from_json(row.headers)
                    headers.append(("palabre_reason", row.reason.encode()))
                    producer.send(
                        topic, value=bytes(row.value), key=row.key.encode(), headers=headers
                    ).get(timeout=15)
            finally:
                _close(producer)
            session.execute(
                text("UPDATE dead_letters SET forwarded_at = now() WHERE id = ANY(:ids)"),
                {"ids": [row.id for row in rows]},
            )
