"""A broker that is killed and comes back under load loses and doubles nothing."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from infra.kafka.server import KafkaServer
from services.common.events.kafka import ACKNOWLEDGED_WITHIN
from tests.contract.event_log import new_world, serve

pytestmark = [pytest.mark.contract, pytest.mark.kafka]


def test_a_broker_killed_and_restarted_under_load_loses_nothing(
    scratch_database: str, kafka_jars: None, tmp_path: Path
) -> None:
    broker = KafkaServer(tmp_path / "kafka")
    servers = broker.start()
    world = new_world(scratch_database, "kafka", servers)
    # In a process of its own: kafka-python 3.0 leaves the sockets of refused connections open.
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(world.url, servers, world.source, world.sink)
    )
    process.start()
    try:
        load = threading.Thread(target=world.load, args=(400,), kwargs={"slowest": 0.4})
        load.start()
        world.eventually(lambda: world.applied() > 30)
        broker.kill()
        assert not world.whole()
        time.sleep(ACKNOWLEDGED_WITHIN + 2)  # longer than any client's patience
        broker.start()
        load.join()
        world.eventually(world.whole, 60)
        assert sum(world.published().values()) == 400
    finally:
        process.kill()
        process.join()
        world.dispose()
        broker.kill()
