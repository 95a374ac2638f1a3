"""`palabre up` as a whole: every process real, killed and restarted."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.launcher.environment import read_env
from infra.launcher.table import processes
from infra.processes import alive, free_port

pytestmark = pytest.mark.integration

PALABRE = str(Path(sys.executable).with_name("palabre"))


class Run:
    """One `palabre up` and what it printed."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [PALABRE, "up"],
            env=os.environ | {"PALABRE_HOME": str(home), "DEMO": "0"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self.lines.extend(stdout)

    def wait_for(self, line: str, seconds: float = 60) -> None:
        def said() -> bool:
            assert self.process.poll() is None, "".join(self.lines[-30:])
            return any(line in printed for printed in self.lines)

        until(said, seconds)

    def end(self, sig: signal.Signals) -> int:
        self.process.send_signal(sig)
        code = self.process.wait(30)
        self._reader.join(10)
        return code


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def children(pid: int) -> dict[str, int]:
    """Return command line -> pid of the processes that `pid` started."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if int(parent) == pid and command:
                found[command] = int(entry.name)
    return found


def pid_of(pid: int, part: str) -> int | None:
    return next((child for command, child in children(pid).items() if part in command), None)


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="palabre-launcher-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_up_survives_kills_and_leaves_nothing_behind(home: Path) -> None:
    port = str(free_port())
    ready_line = f"Palabre is ready: http://127.0.0.1:{port}\n"
    run = Run(home, PORT=port)
    try:
        run.wait_for(ready_line)
        assert ready_line in run.lines
        launcher = run.process.pid
        table = [f"palabre {' '.join(process.arguments)}" for process in processes("embedded")]
        pids = {part: pid_of(launcher, part) for part in [*table, "bin/postgres"]}
        assert None not in pids.values()

        for part in ("palabre reports api", "palabre gateway consume", "bin/postgres"):
            os.kill(pids[part] or 0, signal.SIGKILL)
        until(
            lambda: all(
                pid_of(launcher, part) not in (None, pids[part])
                for part in ("palabre reports api", "palabre gateway consume", "bin/postgres")
            )
        )
        settings = read_env(home / "env")
        for name in ("REPORTS", "GATEWAY"):
            until(lambda name=name: ready(settings[f"PALABRE_{name}_URL"]))  # type: ignore[misc]

        second = subprocess.run(
            [PALABRE, "up"], env=os.environ | {"PALABRE_HOME": str(home)}, capture_output=True
        )
        assert second.returncode == 1
        assert f"already runs here (process {launcher})".encode() in second.stderr

        orphans = list(children(launcher).values())
        run.end(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in orphans), 10)

        run = Run(home, PORT=port)
        run.wait_for(ready_line)
        orphans = list(children(run.process.pid).values())
        assert run.end(signal.SIGINT) == 0
        assert not any(alive(pid) for pid in orphans)
        with (home / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)


@pytest.mark.kafka
def test_up_with_kafka_also_relays(home: Path, kafka_jars: None) -> None:
    run = Run(home, PORT=str(free_port()), EVENTS="kafka")
    try:
        run.wait_for("Palabre is ready: ", 120)
        expected = {f"palabre {' '.join(process.arguments)}" for process in processes("kafka")}
        running = children(run.process.pid)
        for part in (*expected, "kafka.Kafka"):
            assert any(part in command for command in running), part
        assert read_env(home / "env")["PALABRE_EVENTS"] == "kafka"
    finally:
        assert run.end(signal.SIGTERM) == 0


def test_a_taken_port_is_explained(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = subprocess.run(
            [PALABRE, "up"],
            env=os.environ | {"PALABRE_HOME": str(home), "PORT": str(taken)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert f"port {taken} is taken by another program" in done.stderr
