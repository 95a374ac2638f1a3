"""Bring Palabre up on one machine, watch over it, and take it down again."""

import fcntl
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.errors import InfraError
from infra.kafka.server import KafkaServer
from infra.launcher import environment
from infra.launcher.forked import Forked, preload
from infra.launcher.supervisor import Supervisor
from infra.launcher.table import SERVICES, processes
from infra.postgres.cluster import Cluster
from infra.processes import is_free, wait_until
from infra.setup import set_up

READY_WITHIN = 120.0  # seconds; a cold first start on an old disk takes a while
TOO_MANY_ENDS = 4  # ends of one process before everything was ready: it will not get better


class Stop(Exception):
    """Somebody asked the launcher to end."""


class Launcher:
    """One run of `palabre up` in `home` (`.palabre`)."""

    def __init__(self, home: Path, given: Mapping[str, str]) -> None:
        """Describe a run; `given` is the environment it was started with."""
        self._home = home
        self._given = given
        self._supervisor: Supervisor | None = None
        self._cluster = Cluster(home / "postgres", log=_say)
        self._kafka: KafkaServer | None = None
        self._settings: dict[str, str] = {}
        self._make = make_above_us()

    def run(self) -> None:
        """Start everything, say so, watch until a signal comes, stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _raise_stop)
        try:
            self._start()
            while True:
                self._watch()
        except Stop:
            _say("stopping")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            self._stop()

    def _start(self) -> None:
        started = time.monotonic()
        self._settings = environment.prepare(self._home, self._given)
        port = int(self._settings["PALABRE_GATEWAY_PORT"])
        if not wait_until(lambda: is_free(port), 5):
            raise InfraError(
                f"port {port} is taken by another program; choose one: PORT={port + 80} make run"
            )
        self._start_database()
        self._start_kafka()
        environment.write_env(self._home / "env", self._settings)
        set_up(self._settings)
        _say(f"database ready after {time.monotonic() - started:.1f} s")
        preload(str(self._home / "env"), kafka=self._settings["PALABRE_EVENTS"] == "kafka")
        self._supervisor = Supervisor(self._child_environment(), self._home / "logs", spawn=Forked)
        table = processes(self._settings["PALABRE_EVENTS"])
        for process in table:
            self._supervisor.start(process.name, process.arguments)
        self._wait_ready(self._supervisor)
        if self._settings["PALABRE_DEMO"] != "0":
            self._load_demo(self._supervisor)
        _say(f"started in {time.monotonic() - started:.1f} s; logs are in {self._home / 'logs'}")
        url = f"http://127.0.0.1:{port}"
        print(f"Palabre is ready: {url}", flush=True)

    def _start_database(self) -> None:
        self._cluster.start()
        self._settings["PALABRE_ADMIN_DATABASE_URL"] = self._cluster.url()
        for service in (*SERVICES, "gateway"):
            prefix = f"PALABRE_{service.upper()}"
            self._settings[f"{prefix}_DATABASE_URL"] = self._cluster.url(
                user=f"palabre_{service}", password=self._settings[f"{prefix}_DATABASE_PASSWORD"]
            )

    def _start_kafka(self) -> None:
        if self._settings["PALABRE_EVENTS"] != "kafka":
            return
        name = "PALABRE_KAFKA_BOOTSTRAP_SERVERS"
        bootstrap = self._given.get("KAFKA_BOOTSTRAP_SERVERS") or self._given.get(name)
        if not bootstrap:
            self._kafka = KafkaServer(self._home / "kafka/server")
            bootstrap = self._kafka.start()
        self._settings[name] = bootstrap

    def _child_environment(self) -> dict[str, str]:
        return {
            **self._given,
            **self._settings,
            "PALABRE_ENV_FILE": str(self._home / "env"),
            "PYTHONUNBUFFERED": "1",
        }

    def _wait_ready(self, supervisor: Supervisor) -> None:
        end = time.monotonic() + READY_WITHIN
        for service in (*SERVICES, "gateway"):
            url = f"{self._settings[f'PALABRE_{service.upper()}_URL']}/readyz"
            while not _answers(url):
                if time.monotonic() > end:
                    raise InfraError(f"{service} was not ready within {READY_WITHIN:g} s")
                for child in supervisor.children.values():
                    if child.failures >= TOO_MANY_ENDS:
                        raise InfraError(f"{child.name} does not stay up; see its lines above")
                supervisor.step(0.1)

    def _load_demo(self, supervisor: Supervisor) -> None:
        # Asked once per cluster: starting a process only to hear "not empty" takes seconds.
        asked = self._cluster.home / "demo-asked"
        if asked.exists():
            return
        if supervisor.run("demo", ["demo", "load"]) == 0:
            asked.touch()
        else:
            _say("the demonstration could not be loaded; Palabre runs without it")

    def _watch(self) -> None:
        """Serve the children for a moment; start a server again that died."""
        assert self._supervisor is not None  # noqa: S101 - made by _start
        self._supervisor.step(0.5)
        if self._make is not None and not waits_for_us(self._make):
            raise Stop
        if not self._cluster.running():
            _say("PostgreSQL ended; started again")
            before = self._cluster.url()
            if self._cluster.start() != before:
                raise InfraError("PostgreSQL's port was taken meanwhile; start Palabre again")
        if self._kafka is not None and not self._kafka.running():
            _say("Kafka ended; started again")
            if self._kafka.start() != self._settings["PALABRE_KAFKA_BOOTSTRAP_SERVERS"]:
                raise InfraError("Kafka's port was taken meanwhile; start Palabre again")

    def _stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
        if self._kafka is not None:
            self._kafka.stop()
        self._cluster.stop()


def up(home: Path, given: Mapping[str, str]) -> None:
    """Run Palabre in `home` until a signal; InfraError says why it cannot."""
    os.umask(0o077)  # logs hold sign-in codes where no SMS provider is set, photos are citizens'
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # the database's own user passes through; nobody lists it
    with _alone(home):
        Launcher(home, given).run()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold `home` for this process; the kernel lets go when it ends, however it ends."""
    with (home / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InfraError(f"Palabre already runs here (process {file.read().strip()})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def make_above_us() -> int | None:
    """Pid of the `make` that started this process, None when it was something else."""
    parent = os.getppid()
    try:
        name = Path(f"/proc/{parent}/comm").read_text().strip()
    except OSError:
        return None
    return parent if name in ("make", "gmake") else None


def waits_for_us(make: int) -> bool:
    """Whether `make` still runs and nobody interrupted it.

    An interrupt sent to make alone (not typed at the keyboard) is not passed on: make stops
    catching it and waits for us. A make that was killed leaves us to another parent.
    """
    if os.getppid() != make:
        return False
    status = Path(f"/proc/{make}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool((caught | ignored) & (1 << (signal.SIGINT - 1)))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _raise_stop(*_: object) -> None:
    raise Stop


def _say(text: str) -> None:
    print(text, flush=True)
