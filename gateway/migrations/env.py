"""Alembic environment of the gateway."""

from services.common.migrate import run_env

run_env()
