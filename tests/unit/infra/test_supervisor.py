"""The supervisor with real, tiny children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.launcher.supervisor import Supervisor
from infra.processes import alive

pytestmark = pytest.mark.unit

PATIENT = "import time; print('up', flush=True); time.sleep(60)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def lines() -> list[bytes]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, lines: list[bytes]) -> Iterator[Supervisor]:
    found = Supervisor(os.environ, tmp_path, lines.append)
    yield found
    found.stop(0.5)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        supervisor.step(0.05)


def test_lines_are_prefixed_and_kept(
    supervisor: Supervisor, lines: list[bytes], tmp_path: Path
) -> None:
    assert supervisor.run("child", python("print('one'); print('two', end='')")) == 0
    assert lines == [b"child | one\n", b"child | two\n"]
    assert (tmp_path / "child.log").read_bytes() == b"one\ntwo"


def test_a_killed_child_is_started_again(supervisor: Supervisor, lines: list[bytes]) -> None:
    child = supervisor.start("child", python(PATIENT))
    until(supervisor, lambda: b"child | up\n" in lines)
    assert child.process is not None
    os.kill(child.process.pid, signal.SIGKILL)
    until(supervisor, lambda: lines.count(b"child | up\n") == 2)
    assert any(b"child ended (signal 9); started again in 0.2 s" in line for line in lines)


def test_restarts_slow_down(supervisor: Supervisor, lines: list[bytes]) -> None:
    child = supervisor.start("child", python("raise SystemExit(3)"))
    until(supervisor, lambda: child.failures == 2)
    said = [line for line in lines if b"ended" in line]
    assert said == [
        b"palabre | child ended (exit code 3); started again in 0.2 s\n",
        b"palabre | child ended (exit code 3); started again in 1 s\n",
    ]


def test_stop_is_polite_then_firm(supervisor: Supervisor, lines: list[bytes]) -> None:
    polite = supervisor.start("polite", python(PATIENT)).process
    deaf = supervisor.start("deaf", python(DEAF)).process
    until(supervisor, lambda: sum(line.endswith(b"up\n") for line in lines) == 2)
    started = time.monotonic()
    supervisor.stop(1.0)
    assert 1.0 <= time.monotonic() - started < 3.0
    assert polite is not None
    assert polite.returncode == -signal.SIGTERM
    assert deaf is not None
    assert deaf.returncode == -signal.SIGKILL


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    parent = (
        "import os, sys, time; from pathlib import Path\n"
        "from infra.launcher.supervisor import Supervisor\n"
        "s = Supervisor(os.environ, Path(sys.argv[1]))\n"
        f"c = s.start('child', [sys.executable, '-c', {DEAF!r}])\n"
        "print(c.process.pid, flush=True)\n"
        "while True: s.step()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert process.stdout.readline().endswith(b"up\n")
        assert alive(child)
        process.kill()
    end = time.monotonic() + 5
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_nobody_else_reads_the_logs(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)  # as an earlier version made it
    Supervisor(os.environ, logs)
    assert logs.stat().st_mode & 0o777 == 0o700
