"""A private PostgreSQL server: its own data, its own port, nothing to do with the system's."""

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import psycopg2
from sqlalchemy import URL

from infra.errors import InfraError
from infra.postgres.binaries import server_programs
from infra.processes import alive, die_with_parent, free_port, processes_in, wait_until

OWNER = "palabre_owner"
DATABASE = "palabre"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "timezone": "UTC",
    # A failing statement's text holds what a citizen wrote or chose: it stays out of the log.
    "log_min_error_statement": "panic",
    # Short statements by the thousand: compiling them costs more than running them.
    "jit": "off",
}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Cluster:
    """The server whose data live in `home`/data; started, stopped and found again by anyone.

    `home` also holds the log, the last port and the owner's password, so that a lost
    configuration never locks the data away. When root runs it, the server itself runs as
    the user `postgres`; where that user cannot reach `home`, see `reachable_home`.
    """

    def __init__(
        self,
        home: Path,
        *,
        throwaway: bool = False,
        tied: bool = True,
        log: Callable[[str], None] = print,
    ) -> None:
        """Describe a cluster.

        throwaway: no fsync, for tests. tied: the server ends when the process that started
        it does, however that one ends.
        """
        self._account = _server_account()
        self.home = reachable_home(home.resolve(), self._account, log)
        self.data = self.home / "data"
        self.logfile = self.home / "postgres.log"
        self._throwaway = throwaway
        self._tied = tied
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Create the cluster if there is none, start it; return the owner's URL once it answers."""
        self._make_home()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        programs = server_programs((self.data / "PG_VERSION").read_text().strip())
        self._clear_way()
        if self._process is not None:
            # What this object started before has let go of the data, and is about to be gone:
            # forgotten a moment too early it would stay a zombie.
            self._process.wait(15)
        port = free_port(self._last_port())
        (self.home / "port").write_text(f"{port}\n")
        settings = SETTINGS | (THROWAWAY if self._throwaway else {}) | {"port": str(port)}
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.logfile.open("ab") as log:
            # Interrupt is the server's own "fast shutdown": roll back, flush, leave.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT) if self._tied else None,
                **self._as_account(),
            )
        if not wait_until(lambda: self._answers() or self._process_ended(), 60):
            self.stop()
            raise InfraError(f"PostgreSQL did not answer within 60 s; see {self.logfile}")
        if self._process_ended():
            raise InfraError(f"PostgreSQL did not start:\n{self._last_lines()}")
        return self.url()

    def stop(self, seconds: float = 30) -> None:
        """Stop the server, politely first. Nothing happens when it does not run."""
        pid = self.pid()
        if pid is None:
            return
        for sig, patience in ((signal.SIGINT, seconds), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                break
            if wait_until(lambda: self._gone(pid), patience):
                break
        self._process = None

    def pid(self) -> int | None:
        """Pid of the running server of these data, whoever started it."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        # After a crash the number may belong to somebody else by now.
        return pid if alive(pid) and pid in processes_in(self.data) else None

    def running(self) -> bool:
        """Whether the server that this object started still runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = DATABASE, user: str = OWNER, password: str | None = None) -> str:
        """SQLAlchemy URL of `database`; as the owner unless told otherwise."""
        return URL.create(
            "postgresql+psycopg2",
            user,
            password or self._password(),
            "127.0.0.1",
            self._last_port(),
            database,
        ).render_as_string(hide_password=False)

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _make_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        if self._account:
            os.chown(self.home, self._account.pw_uid, self._account.pw_gid)

    def _initdb(self) -> None:
        programs = server_programs()
        self._log(f"creating the database cluster in {self.data}")
        password = secrets.token_hex(24)
        password_file = self.home / "password"
        password_file.touch(0o600)
        password_file.write_text(password + "\n")
        if self._account:
            os.chown(password_file, self._account.pw_uid, self._account.pw_gid)
        # A run killed in the middle left half a cluster: initdb wants an empty folder.
        shutil.rmtree(self.data, ignore_errors=True)
        command = [
            str(programs / "initdb"),
            "-D",
            str(self.data),
            f"--username={OWNER}",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=reject",
            "--auth-host=scram-sha-256",
        ] + (["--no-sync"] if self._throwaway else [])
        made = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, cwd=self.home, **self._as_account()
        )
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise InfraError(f"initdb failed:\n{made.stderr.strip()}")

    def _clear_way(self) -> None:
        """Make sure that no process of an earlier run still holds the data."""
        if self.pid() is not None:
            self._log("stopping the database server that an earlier run left behind")
            self.stop()
        # A killed postmaster's children leave as soon as they notice; never start beside them.
        if not wait_until(lambda: not processes_in(self.data), 15):
            raise InfraError(f"processes {processes_in(self.data)} still use {self.data}")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            psycopg2.connect(
                host="127.0.0.1",
                port=self._last_port(),
                user=OWNER,
                password=self._password(),
                dbname="postgres",
                connect_timeout=2,
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _process_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _gone(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is not None
        return not alive(pid)

    def _last_port(self) -> int | None:
        try:
            return int((self.home / "port").read_text())
        except (OSError, ValueError):
            return None

    def _password(self) -> str:
        return (self.home / "password").read_text().strip()

    def _last_lines(self) -> str:
        return "\n".join(self.logfile.read_text(errors="replace").splitlines()[-15:])

    def _as_account(self) -> "_Account":
        if self._account is None:
            return {}
        return {
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        }


class _Account(TypedDict, total=False):
    """What `subprocess` is told to run a program as somebody else."""

    user: int
    group: int
    extra_groups: list[str | int]
    env: dict[str, str]


def _server_account() -> pwd.struct_passwd | None:
    """Who the server runs as: PostgreSQL refuses root, everybody else runs it themselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise InfraError(
            "PostgreSQL refuses to run as root and there is no user 'postgres'. As root:\n"
            "  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin postgres"
        ) from None


def reachable_home(
    home: Path, account: pwd.struct_passwd | None, log: Callable[[str], None]
) -> Path:
    """Return `home`, or a folder under /var/lib/palabre when `account` cannot reach it.

    The second is named by the path of the first: the same work tree finds its data again.
    """
    if account is None:
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    reached = subprocess.run(  # noqa: S603 - fixed command
        ["/usr/bin/test", "-x", str(home.parent)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
    )
    if reached.returncode == 0:
        return home
    name = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    other = Path("/var/lib/palabre") / name
    log(f"user {account.pw_name} cannot reach {home}: the database is in {other}")
    return other
