"""Children that share what they all import.

Eight Python processes that each import FastAPI, SQLAlchemy and folium cost an old PC half a minute
and a gigabyte at every start. The launcher imports them once and forks: children start in a moment
and share that memory until they write to it. Each child then runs the very command it is named by.

Nothing here may use what does not survive a fork: no thread, no connection, and no id of
``services.common.ids`` (its random state would be the same in every child) before the last fork.
"""

import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import IO

from setproctitle import setproctitle

from infra.processes import die_with_parent

#: What the commands of the process table import, the heaviest parts of it first.
MODULES = (
    "gateway.main",
    "services.accounts.main",
    "services.reports.main",
    "services.proposals.main",
    "services.voting.main",
    "services.common.events.subscription",
    "infra.cli",
)
WITH_KAFKA = ("services.common.events.kafka",)


def preload(env_file: str, *, kafka: bool) -> None:
    """Import what children need; ``env_file`` is where they find their settings."""
    os.environ["PALABRE_ENV_FILE"] = env_file  # read when settings are defined
    for module in (*MODULES, *(WITH_KAFKA if kafka else ())):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every page it shares


class Forked:
    """A running ``palabre`` command, with as much of ``subprocess.Popen`` as a supervisor needs."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Fork a child that runs ``palabre ARGUMENTS``; its output comes through ``stdout``."""
        arm = die_with_parent(signal.SIGKILL)
        reader, writer = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run(arguments, environment, writer, arm)
        os.close(writer)
        self.stdout: IO[bytes] = os.fdopen(reader, "rb", buffering=0)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended (negative: by which signal), or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(arguments: Sequence[str], environment: Mapping[str, str], out: int, arm: object) -> None:
    """Be the child; never return."""
    code = 1
    try:
        # Before the environment changes: the title is written over it.
        setproctitle(" ".join(("palabre", *arguments)))
        os.setsid()
        arm()  # type: ignore[operator]
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(environment)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        from infra.cli import app

        app(args=list(arguments), prog_name="palabre")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
