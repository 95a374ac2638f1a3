"""`palabre up` as people run it, looked at from outside: its pages, its log, its processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from infra.launcher.environment import read_env
from infra.launcher.table import processes
from infra.processes import alive, free_port, processes_in
from services.accounts.domain import masked
from services.accounts.tokens import Signer

T = TypeVar("T")
PALABRE = str(Path(sys.executable).with_name("palabre"))
READY = "Palabre is ready: "
AGENT = ("reports.manage", "campaigns.manage", "proposals.review", "elections.manage")


def wait_for(get: Callable[[], T], seconds: float, what: str, every: float = 0.05) -> T:
    """Ask again until the answer is true; return it."""
    end = time.monotonic() + seconds
    while not (found := get()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(every)
    return found


class Palabre:
    """One installation: a home of its own, started and ended as often as wanted."""

    def __init__(self, events: str, *, demo: bool) -> None:
        self.events = events
        self.demo = demo
        self.home = Path(tempfile.mkdtemp(prefix=f"palabre-e2e-{events}-"))
        self.home.chmod(0o755)  # the database server is another user
        self.log = self.home / "up.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 150) -> None:
        """Start it; return when it says that it is ready."""
        said = len(self.lines(READY))
        environment = _environment() | {
            "PALABRE_HOME": str(self.home / "data"),
            "EVENTS": self.events,
            "PORT": self.url.rpartition(":")[2],
            "DEMO": str(int(self.demo)),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PALABRE, "up"], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        running = self.process

        def ready() -> bool:
            assert running.poll() is None, f"it ended:\n{self.tail()}"
            return len(self.lines(READY)) > said

        wait_for(ready, seconds, "ready", every=0.2)
        assert self.lines(READY)[-1] == f"{READY}{self.url}"

    def stop(self) -> None:
        """Interrupt it as Ctrl-C does; it ends within 15 s and leaves no process behind."""
        assert self.process is not None
        family = self.family()
        assert len(family) > len(processes(self.events))
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(15) == 0, self.tail()
        finally:
            self.destroy()
        assert [pid for pid in family if alive(pid)] == []
        assert processes_in(self.home / "data/postgres/data") == []

    def kill(self) -> None:
        """End the launcher as the kernel would for want of memory; its children must follow."""
        assert self.process is not None
        family = self.family()
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not any(map(alive, family)), 15, "the end of all children")

    def destroy(self) -> None:
        """Make sure that nothing runs any more; used by whoever could not stop it politely."""
        if self.process is not None and self.process.poll() is None:
            family = self.family()
            self.process.kill()
            self.process.wait()
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process = None

    def remove(self) -> None:
        """Delete its data."""
        shutil.rmtree(self.home, ignore_errors=True)

    def lines(self, part: str) -> list[str]:
        """Return what was printed, the lines with `part` in them."""
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text(errors="replace").splitlines() if part in line]

    def tail(self) -> str:
        """Return the last of what was printed."""
        return "\n".join(self.lines("")[-40:])

    @property
    def settings(self) -> dict[str, str]:
        """Its settings, secrets included."""
        return read_env(self.home / "data/env")

    def command(self, *arguments: str) -> str:
        """Run a `palabre` command beside it, as an administrator would; return what it says."""
        environment = _environment() | {"PALABRE_ENV_FILE": str(self.home / "data/env")}
        done = subprocess.run(
            [PALABRE, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def texts_to(self, phone: str) -> list[str]:
        """Return the codes that were sent to an E.164 number, from the launcher's log."""
        sent = self.lines(f"SMS to {masked(phone)}: ")
        return [found[1] for line in sent if (found := re.search(r"code est (\d{6})", line))]

    def bearer(
        self, grants: Mapping[str, Sequence[str]] | None = None, user: uuid.UUID | None = None
    ) -> dict[str, str]:
        """Return a header signed with its own key: what signing in would give a person."""
        signer = Signer(Path(self.settings["PALABRE_ACCOUNTS_SIGNING_KEY_FILE"]))
        token = signer.sign(user or uuid.uuid4(), grants or {}, timedelta(minutes=60))
        return {"Authorization": f"Bearer {token}"}

    def family(self) -> list[int]:
        """Return the pids of everything that the launcher started, and what those started."""
        assert self.process is not None
        below = _children()
        found, queue = [], [self.process.pid]
        while queue:
            young = below.get(queue.pop(), [])
            found += young
            queue += young
        return found

    def pid(self, name: str) -> int | None:
        """Return the pid of a process: one of the launcher's table, `postgres` or `kafka`."""
        table = {p.name: f"palabre {' '.join(p.arguments)}" for p in processes(self.events)}
        wanted = table | {"postgres": "bin/postgres -D", "kafka": "kafka.Kafka"}
        assert self.process is not None
        for pid in _children().get(self.process.pid, []):
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command.strip().endswith(wanted[name]) or (
                    name in ("postgres", "kafka") and wanted[name] in command
                ):
                    return pid
        return None

    def ready(self) -> bool:
        """Tell whether the gateway and every service behind it answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def _environment() -> dict[str, str]:
    """Return ours without what would lead to another installation or another broker."""
    ours = ("PALABRE_", "KAFKA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _children() -> dict[int, list[int]]:
    """Return parent -> children of all processes that run."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                below.setdefault(int(parent), []).append(int(entry.name))
    return below
