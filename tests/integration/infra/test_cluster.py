"""The private PostgreSQL: started, killed, found again."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from infra.errors import InfraError
from infra.postgres.binaries import server_programs
from infra.postgres.cluster import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder that the server's own user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="palabre-cluster-"))
    folder.chmod(0o755)
    yield folder / "postgres"
    shutil.rmtree(folder)


def make(home: Path) -> Cluster:
    return Cluster(home, throwaway=True, log=lambda _: None)


def version(url: str) -> str:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.scalar(text("SHOW data_checksums")))
    finally:
        engine.dispose()


def test_it_starts_again_after_each_way_to_end(home: Path) -> None:
    cluster = make(home)
    try:
        cluster.start()
        url = cluster.url(database="postgres")
        assert version(url) == "on"

        pid = cluster.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        cluster.start()
        assert cluster.url(database="postgres") == url
        assert version(url) == "on"

        # Another launcher's object: it stops the server that the first one left.
        other = make(home)
        other.start()
        assert other.pid() not in (None, pid)
        assert version(url) == "on"

        other.stop()
        assert other.pid() is None
        # A stale lock file whose number now belongs to somebody else.
        (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
        cluster.start()
        assert version(url) == "on"
    finally:
        make(home).stop()
        cluster.running()  # reaps what the other object stopped


def test_half_a_cluster_is_made_anew(home: Path) -> None:
    (home / "data/base").mkdir(parents=True)
    cluster = make(home)
    try:
        cluster.start()
        assert version(cluster.url(database="postgres")) == "on"
    finally:
        cluster.destroy()
    assert not home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_an_unreachable_home_has_a_lasting_twin(tmp_path: Path) -> None:
    said: list[str] = []
    cluster = Cluster(tmp_path / "postgres", log=said.append)
    assert cluster.home.parent == Path("/var/lib/palabre")
    assert Cluster(tmp_path / "postgres", log=said.append).home == cluster.home
    assert str(cluster.home) in said[0]


def test_a_version_that_is_not_here_is_named() -> None:
    with pytest.raises(InfraError, match="postgresql-9 postgresql-9-postgis-3"):
        server_programs("9")
