"""A file of 20,000 reports takes the memory of one of 2,000: it is made as it is sent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from services.reports.exports.domain import FORMATS
from tests.apps import Tokens
from tests.integration.reports.open_data_world import COTONOU, PARAKOU, World, open_world
from tests.servers import ROOT, Database

pytestmark = pytest.mark.integration

FEW, MANY = 2_000, 20_000
#: 20 MB and more in each form: to hold one would be seen.
WORDS = "Le caniveau déborde à chaque pluie devant l'école. " * 20

_SERVER = """
import sys, tempfile
from pathlib import Path
import uvicorn
from services.reports.main import make_app
from services.common.media.settings import MediaSettings
from services.reports.settings import Settings

settings = Settings(_env_file=None, database_url=sys.argv[1], secret="secret")
app = make_app(settings, MediaSettings(_env_file=None, dir=Path(tempfile.gettempdir())))
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="info", ws="none"))
server.run()
"""


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    with open_world(fresh_database, tokens) as made:
        made.many(FEW, PARAKOU, WORDS)
        made.many(MANY, COTONOU, WORDS)
        yield made


@contextmanager
def server(database: Database) -> Iterator[tuple[str, int]]:
    """Serve reports in a process of its own; give its URL and its id."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, database.url("reports")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "running on" in line:
                yield line.split("running on ")[1].split()[0], process.pid
                break
    finally:
        process.terminate()
        process.communicate(timeout=30)


def peak(pid: int) -> int:
    """Return the most memory that a process ever held, in bytes."""
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * 1024


def take(url: str, form: str, commune: str) -> int:
    """Fetch a file, hold nothing of it, return its size."""
    address = f"{url}/api/v1/reports/export.{form}?commune={commune}"
    with httpx.stream("GET", address, timeout=120) as answer:
        assert answer.status_code == 200
        return sum(map(len, answer.iter_raw()))


@pytest.mark.parametrize("form", FORMATS)
def test_ten_times_the_reports_take_no_more_memory(
    world: World, fresh_database: Database, form: str
) -> None:
    with server(fresh_database) as (url, pid):
        few = max(take(url, form, PARAKOU) for _ in range(3))
        before = peak(pid)
        many = take(url, form, COTONOU)
        grown = peak(pid) - before
    assert many > 8 * few
    assert many > 20_000_000
    assert grown < many / 3, f"{grown:,} bytes more for a file of {many:,}"
