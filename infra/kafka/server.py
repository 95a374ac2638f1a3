"""Apache Kafka, broker and controller (KRaft) in one Java process on 127.0.0.1."""

import os
import shutil
import signal
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from infra.errors import InfraError
from infra.processes import alive, die_with_parent, free_port, wait_until

HERE = Path(__file__).resolve().parent
JARS = HERE.parents[1] / ".palabre/kafka/jars"

# Every topic on one broker: one replica of everything. Events are kept for ever (architecture.md).
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "offsets.retention.minutes": "5256000",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A broker that was killed may register again only after its old session ended.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


class KafkaServer:
    """A broker whose log lives in `home`; `kill` it and `start` it again on the same log."""

    def __init__(self, home: Path, *, jars: Path = JARS, tied: bool = True) -> None:
        """Describe a server; `tied`: it ends when the process that started it does."""
        self.home = home.resolve()
        self.logfile = self.home / "kafka.log"
        self._jars = jars
        self._tied = tied
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int | None = None, seconds: float = 60) -> str:
        """Start it on `port` (its last one, or a free one); return its bootstrap servers."""
        java = self._java()
        self.home.mkdir(parents=True, exist_ok=True)
        self.stop()
        self.running()  # reap what this object started before
        port = port or free_port(self._number("port"))
        self._configure(port)
        if not (self.home / "log/meta.properties").exists():
            self._format(java)
        with self.logfile.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*java, "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent() if self._tied else None,
            )
        process = self._process
        (self.home / "pid").write_text(f"{process.pid}\n")
        (self.home / "port").write_text(f"{port}\n")
        wait_until(lambda: _listens(port) or process.poll() is not None, seconds)
        if process.poll() is not None or not _listens(port):
            self.kill()
            raise InfraError(f"Kafka did not start:\n{self._last_lines()}")
        return f"127.0.0.1:{port}"

    def stop(self, seconds: float = 20) -> None:
        """Stop it, politely first. Nothing happens when it does not run."""
        self._end((signal.SIGTERM, seconds), (signal.SIGKILL, 5))

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end((signal.SIGKILL, 5))

    def pid(self) -> int | None:
        """Pid of the running server of this log, whoever started it."""
        pid = self._number("pid")
        if pid is None or not alive(pid):
            return None
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return pid if os.fsencode(self._properties) in command else None

    def running(self) -> bool:
        """Whether the server that this object started still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    def _end(self, *signals: tuple[signal.Signals, float]) -> None:
        pid = self.pid()
        if pid is None:
            return
        for sig, patience in signals:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                break
            if wait_until(lambda: self._gone(pid), patience):
                break
        self._process = None

    def _gone(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is not None
        return not alive(pid)

    def _number(self, name: str) -> int | None:
        try:
            return int((self.home / name).read_text())
        except (OSError, ValueError):
            return None

    def _configure(self, port: int) -> None:
        controller = free_port()
        settings = PROPERTIES | {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(self.home / "log"),
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        self._properties.write_text("".join(lines))

    def _format(self, java: list[str]) -> None:
        cluster = new_cluster_id()
        done = subprocess.run(  # noqa: S603 - our own command
            [
                *(*java, "kafka.tools.StorageTool", "format"),
                *("--cluster-id", cluster, "--config", str(self._properties)),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise InfraError(f"Kafka's log could not be formatted:\n{done.stdout}{done.stderr}")

    def _java(self) -> list[str]:
        """Return the Java command up to the class."""
        program = shutil.which("java")
        if program is None:
            raise InfraError("EVENTS=kafka needs Java 17: apt-get install openjdk-17-jre-headless")
        if not any(self._jars.glob("kafka_2.13-*.jar")):
            raise InfraError(f"Kafka's jars are not in {self._jars}: run `make kafka-jars`")
        return [
            program,
            "-Xms128m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            f"-Dkafka.logs.dir={self.home}",
            "-cp",
            f"{self._jars}/*",
        ]

    def _last_lines(self) -> str:
        return "\n".join(self.logfile.read_text(errors="replace").splitlines()[-15:])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def new_cluster_id() -> str:
    """Return a random id as Kafka writes them: 16 bytes in base64url, never like an option."""
    while (found := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return found
