"""What the event log costs: writers beside pgbench, and one reader, in the same run.

Prints ratios; asserts only that nothing was lost. ``make bench``.
"""

import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from infra.postgres.binaries import server_programs
from tests.contract.event_log import KEYS, World, new_world

pytestmark = pytest.mark.bench
WRITERS = 8
EVENTS = 4000
SECONDS = 6

PLAIN = """
\\set k random(1, {keys})
BEGIN;
UPDATE {schema}.counters SET n = n + 1 WHERE key = (ARRAY[{names}])[:k];
INSERT INTO {schema}.outbox
  (id, source, type, time, subject, key, sequence, traceparent, payload)
VALUES (gen_random_uuid(), 'x', 'x', now(), gen_random_uuid()::text, 'x', 1, '', '{{"n": 1}}');
COMMIT;
"""


def pgbench(url: str, script: Path) -> float:
    """Return transactions a second of ``script`` with :data:`WRITERS` connections."""
    parts = make_url(url)
    done = subprocess.run(
        [
            str(server_programs() / "pgbench"),
            *("-h", str(parts.host), "-p", str(parts.port), "-U", str(parts.username)),
            *("-n", "-M", "prepared", "-c", str(WRITERS), "-j", "2", "-T", str(SECONDS)),
            *("-f", str(script), str(parts.database)),
        ],
        env={"PGPASSWORD": str(parts.password)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_writers_and_reader(scratch_database: str, tmp_path: Path) -> None:
    world: World = new_world(scratch_database, "embedded", "")
    names = ", ".join(f"'{key}'" for key in KEYS)
    script = tmp_path / "plain.sql"
    script.write_text(PLAIN.format(keys=len(KEYS), names=names, schema=world.source))
    peer = pgbench(scratch_database, script)
    with world.publisher.begin() as connection:
        connection.execute(text("TRUNCATE outbox RESTART IDENTITY"))
        connection.execute(text("UPDATE counters SET n = 0"))
    started = time.perf_counter()
    world.load(EVENTS, writers=WRITERS, slowest=0)
    wrote = EVENTS / (time.perf_counter() - started)
    started = time.perf_counter()
    done = threading.Event()
    with world.consuming():
        while world.applied() < EVENTS:
            done.wait(0.02)
    read = EVENTS / (time.perf_counter() - started)
    assert world.whole()
    world.dispose()
    print(f"\npgbench, the same two rows: {peer:8.0f} transactions/s")
    print(f"outbox, 8 Python writers:   {wrote:8.0f} events/s   {wrote / peer:5.2f} of pgbench")
    print(f"one embedded consumer:      {read:8.0f} events/s   {read / wrote:5.2f} of the writers")
