"""Load on 127.0.0.1 by ``wrk``, and the peer's figure by ``pgbench``: both bounded in time."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from infra.postgres.binaries import server_programs


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of ``wrk`` saw; latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float
    errors: int


REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %f %f %f %d\\n",
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def wrk(url: str, script: str, folder: Path, *, connections: int, seconds: int) -> Load:
    """Send the requests that the Lua ``script`` makes, from ``connections`` at once."""
    program = shutil.which("wrk")
    if program is None:
        pytest.fail("wrk is missing: infra/install.sh wrk")
    path = folder / "load.lua"
    path.write_text(script + REPORT)
    done = subprocess.run(
        [
            program,
            *("-t", "2", "-c", str(connections), "-d", f"{seconds}s", "--latency"),
            *("-s", str(path), url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    found = re.search(r"RESULT ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", done.stdout)
    assert found, done.stdout
    return Load(float(found[1]), float(found[2]), float(found[3]), int(found[4]))


def pgbench(url: str, script: str, folder: Path, *, connections: int, seconds: int) -> float:
    """Return transactions a second of ``script``, prepared."""
    parts = make_url(url)
    path = folder / "peer.sql"
    path.write_text(script)
    done = subprocess.run(
        [
            str(server_programs() / "pgbench"),
            *("-h", str(parts.host), "-p", str(parts.port), "-U", str(parts.username)),
            *("-n", "-M", "prepared", "-c", str(connections), "-j", "2", "-T", str(seconds)),
            *("-f", str(path), str(parts.database)),
        ],
        env={"PGPASSWORD": str(parts.password)},
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def lua_list(values: Sequence[str]) -> str:
    """Return a Lua table of texts."""
    return "{" + ",".join(json.dumps(value) for value in values) + "}"
