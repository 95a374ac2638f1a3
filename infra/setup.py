"""One-off set-up of a database: roles, schemas, reference geography, every service's tables."""

import os
from collections.abc import Mapping
from pathlib import Path

import typer
from sqlalchemy import create_engine, make_url

from infra.launcher.environment import make_signing_key, read_env
from infra.postgres.bootstrap import SERVICES, bootstrap
from infra.reference import load
from services.common.migrate import ROOT, upgrade

#: service -> its package, in the order they are migrated
PACKAGES = {name: "gateway" if name == "gateway" else f"services/{name}" for name in SERVICES}


def set_up(environment: Mapping[str, str]) -> None:
    """Make the database that `environment` (the `PALABRE_…_DATABASE_URL`s) describes ready to use.

    Idempotent. Everything runs in this process: one import of Alembic instead of five.
    """
    admin_url = environment["PALABRE_ADMIN_DATABASE_URL"]
    urls = {name: environment[f"PALABRE_{name.upper()}_DATABASE_URL"] for name in SERVICES}
    bootstrap(admin_url, {name: make_url(url).password or "" for name, url in urls.items()})
    owner = create_engine(admin_url)
    try:
        with owner.begin() as connection:
            load(connection)
    finally:
        owner.dispose()
    migrate(urls)


def migrate(urls: Mapping[str, str]) -> None:
    """Bring the schema of every service to its newest revision; `urls`: service -> database."""
    for name, package in PACKAGES.items():
        if not (ROOT / package / "migrations/env.py").exists():
            continue
        engine = create_engine(urls[name])
        try:
            upgrade(engine, package)
        finally:
            engine.dispose()


cli = typer.Typer(add_completion=False)


@cli.command()
def main() -> None:
    """Make roles and schemas, load the communes, migrate every service, make the signing key."""
    env_file = Path(os.environ.get("PALABRE_ENV_FILE", ".palabre/env"))
    environment = {**read_env(env_file), **os.environ}
    set_up(environment)
    if key := environment.get("PALABRE_ACCOUNTS_SIGNING_KEY_FILE"):
        make_signing_key(Path(key))
    typer.echo("the database is ready")
