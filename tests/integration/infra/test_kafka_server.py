"""Apache Kafka as the launcher and the other tests run it."""

from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from infra.errors import InfraError
from infra.kafka.server import KafkaServer, new_cluster_id

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=15000,
    )
    try:
        found = []
        for record in consumer:
            found.append(record.value)
            if len(found) == count:
                break
        return found
    finally:
        consumer.close()


def test_what_was_acknowledged_survives_a_kill(kafka_jars: None, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    bootstrap = server.start()
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics([NewTopic("t", num_partitions=1, replication_factor=1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        sent = [f"event {n}".encode() for n in range(100)]
        for future in [producer.send("t", value) for value in sent]:
            future.get(10)
        producer.close()
        server.kill()
        assert server.pid() is None
        assert server.start() == bootstrap
        assert read(bootstrap, "t", 100) == sent
        # A new object finds the running server: this is how the next launcher cleans up.
        assert KafkaServer(tmp_path).pid() == server.pid()
    finally:
        server.stop()
    assert server.pid() is None


def test_missing_jars_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="make kafka-jars"):
        KafkaServer(tmp_path, jars=tmp_path).start()


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    assert not any(new_cluster_id().startswith("-") for _ in range(1000))
