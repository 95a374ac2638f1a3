"""Keeps child processes running, prefixes their lines, and takes them all along when it ends."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from infra.processes import die_with_parent

BACKOFF = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each restart in a row
STEADY = 30.0  # seconds of running after which the row starts again
LOG_BYTES = 10_000_000  # a log larger than this is moved aside at start


class Process(Protocol):
    """A running command."""

    pid: int
    returncode: int | None

    @property
    def stdout(self) -> IO[bytes] | None:
        """Where it writes."""

    def poll(self) -> int | None:
        """Return how it ended, or None while it runs."""


Spawn = Callable[[Sequence[str], Mapping[str, str]], Process]


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start any program, in a session of its own."""
    return subprocess.Popen(  # noqa: S603 - our own table
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # No time to be polite when the launcher itself was killed: the ports must be free.
        preexec_fn=die_with_parent(signal.SIGKILL),
    )


@dataclass
class Child:
    """One supervised command."""

    name: str
    command: Sequence[str]
    restart: bool = True
    failures: int = 0
    process: "Process | None" = None
    started_at: float = 0.0
    due_at: float | None = None
    exit_code: int | None = None
    tail: bytes = b""
    log: IO[bytes] | None = field(default=None, repr=False)


class Supervisor:
    """Starts children and serves them from one thread: call `step` again and again.

    One thread on purpose: the kernel's parent-death signal belongs to the thread that started
    the child.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        out: Callable[[bytes], None] | None = None,
        spawn: Spawn = spawn,
    ) -> None:
        """Describe where children's lines go: to `logs`/NAME.log and, prefixed, to `out`."""
        self._start_process = spawn
        self._environment = dict(environment)
        self._logs = logs
        self._out = out or _stdout
        self._selector = selectors.DefaultSelector()
        self.children: dict[str, Child] = {}
        self._width = 0
        logs.mkdir(parents=True, exist_ok=True)
        logs.chmod(0o700)

    def start(self, name: str, command: Sequence[str], *, restart: bool = True) -> Child:
        """Start `command`; with `restart`, again whenever it ends."""
        child = self.children[name] = Child(name, command, restart)
        self._width = max(self._width, len(name))
        path = self._logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        child.log = path.open("ab", buffering=0)
        self._spawn(child)
        return child

    def say(self, text: str, name: str = "palabre") -> None:
        """Print a line of the launcher's own."""
        self._line(name, text.encode())

    def step(self, seconds: float = 0.2) -> None:
        """Pass on what children wrote within `seconds`; restart those that are due."""
        for key, _ in self._selector.select(seconds):
            self._read(key.data)
        now = time.monotonic()
        for child in list(self.children.values()):
            if child.process is not None and child.process.poll() is not None:
                self._ended(child)
            elif child.process is None and child.due_at is not None and now >= child.due_at:
                self._spawn(child)

    def run(self, name: str, command: Sequence[str]) -> int:
        """Run `command` once, serving the others meanwhile; return its exit code."""
        child = self.start(name, command, restart=False)
        while child.exit_code is None:
            self.step(0.05)
        self._forget(child)
        return child.exit_code

    def stop(self, seconds: float = 8.0) -> None:
        """End all children: politely, and after `seconds` by force."""
        for child in self.children.values():
            child.restart, child.due_at = False, None
            self._signal(child, signal.SIGTERM)
        end = time.monotonic() + seconds
        while self._running() and time.monotonic() < end:
            self.step(0.05)
        for child in self._running():
            self.say(f"{child.name} does not stop: killed")
            self._signal(child, signal.SIGKILL)
        while self._running():
            self.step(0.05)
        for child in list(self.children.values()):
            self._forget(child)

    def _forget(self, child: Child) -> None:
        del self.children[child.name]
        if child.log is not None:
            child.log.close()

    def _running(self) -> list[Child]:
        return [child for child in self.children.values() if child.process is not None]

    def _spawn(self, child: Child) -> None:
        child.due_at = None
        child.exit_code = None
        child.started_at = time.monotonic()
        child.process = self._start_process(child.command, self._environment)
        assert child.process.stdout is not None  # noqa: S101 - it is a pipe
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _ended(self, child: Child) -> None:
        assert child.process is not None  # noqa: S101 - the caller looked
        self._read(child)
        if child.process.stdout is not None and not child.process.stdout.closed:
            self._selector.unregister(child.process.stdout)
            child.process.stdout.close()
        self._signal(child, signal.SIGKILL)  # whatever it left in its group
        code = child.exit_code = child.process.returncode or 0
        child.process = None
        if not child.restart:
            return
        if time.monotonic() - child.started_at > STEADY:
            child.failures = 0
        delay = BACKOFF[min(child.failures, len(BACKOFF) - 1)]
        child.failures += 1
        child.due_at = time.monotonic() + delay
        self.say(f"{child.name} ended ({_why(code)}); started again in {delay:g} s")

    def _read(self, child: Child) -> None:
        if child.process is None or child.process.stdout is None or child.process.stdout.closed:
            return
        while True:
            try:
                data = os.read(child.process.stdout.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self._selector.unregister(child.process.stdout)
                child.process.stdout.close()
                if child.tail:
                    self._line(child.name, child.tail)
                    child.tail = b""
                return
            if child.log is not None:
                child.log.write(data)
            *lines, child.tail = (child.tail + data).split(b"\n")
            for line in lines:
                self._line(child.name, line)

    def _line(self, name: str, line: bytes) -> None:
        self._out(name.ljust(self._width).encode() + b" | " + line.rstrip() + b"\n")

    @staticmethod
    def _signal(child: Child, sig: signal.Signals) -> None:
        if child.process is not None:
            try:
                os.killpg(child.process.pid, sig)
            except (ProcessLookupError, PermissionError):
                return


def _why(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _stdout(line: bytes) -> None:
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except (BrokenPipeError, ValueError):
        return  # nobody reads any more; the files still have it
