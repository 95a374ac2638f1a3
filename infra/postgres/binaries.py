"""Which PostgreSQL to run: the newest one on this machine that has PostGIS."""

import re
import shutil
import subprocess
from pathlib import Path

from infra.errors import InfraError


def server_programs(version: str | None = None) -> Path:
    """Folder of `postgres`, `initdb` and `pg_ctl` of a server with PostGIS.

    `version` is the major version that existing data needs ("15"); by default the newest.
    """
    found = _installed()
    if version is not None:
        found = {major: folder for major, folder in found.items() if str(major) == version}
    if not found:
        wanted = f"PostgreSQL {version}" if version else "PostgreSQL"
        package = version or "NN"
        raise InfraError(
            f"{wanted} with PostGIS is not installed. As root:\n"
            f"  apt-get install postgresql-{package} postgresql-{package}-postgis-3"
        )
    return found[max(found)]


def _installed() -> dict[int, Path]:
    """Major version -> programs, for every server on this machine that has PostGIS."""
    found = {
        int(folder.parent.name): folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if folder.parent.name.isdigit()
        and (folder / "postgres").exists()
        and Path(f"/usr/share/postgresql/{folder.parent.name}/extension/postgis.control").exists()
    }
    if not found and (pg_config := shutil.which("pg_config")):
        # Not Debian's layout: ask the installation itself.
        bindir, sharedir, version = subprocess.run(  # noqa: S603 - found on PATH, fixed arguments
            [pg_config, "--bindir", "--sharedir", "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        major = re.search(r"\d+", version)
        has_postgis = (Path(sharedir) / "extension/postgis.control").exists()
        if major and has_postgis and (Path(bindir) / "postgres").exists():
            found[int(major[0])] = Path(bindir)
    return found
