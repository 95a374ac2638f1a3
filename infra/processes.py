"""Small facts about processes and ports that every server here needs."""

import ctypes
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sig: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """For `preexec_fn`: have the kernel send `sig` to the child when its parent is gone.

    The parent is the *thread* that starts the child, so start children from the main thread.
    """
    parent = os.getpid()

    def arm() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, sig)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return arm


def free_port(preferred: int | None = None, avoid: Collection[int] = ()) -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, `preferred` if it can be had.

    Others lie below the range that Linux gives to outgoing connections: a server that is
    started again later finds its port free.
    """
    candidates = random.sample(range(20_000, 32_000), 100)
    for port in [preferred, *candidates] if preferred else candidates:
        if port not in avoid and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie, which only waits to be counted, does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def processes_in(folder: Path) -> list[int]:
    """Pids of the processes whose working directory is `folder`, zombies left out."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            cwd = os.readlink(entry / "cwd")
        except OSError:
            continue
        if cwd == str(folder) and alive(int(entry.name)):
            pids.append(int(entry.name))
    return pids


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Poll `condition` until it holds; False when `seconds` went by first."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
