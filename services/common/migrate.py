"""Alembic for every service: one history each, in its own schema, and the kernel's own tables."""

from pathlib import Path

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

ROOT = Path(__file__).resolve().parents[2]

#: The tables every service has, by kernel version; a service's migrations call :func:`kernel`.
KERNEL: dict[int, tuple[str, ...]] = {
    1: (
        """CREATE TABLE outbox (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id uuid NOT NULL UNIQUE,
            source text NOT NULL,
            type text NOT NULL,
            time timestamptz NOT NULL,
            subject text NOT NULL,
            key text NOT NULL,
            sequence bigint NOT NULL,
            traceparent text NOT NULL,
            payload jsonb NOT NULL,
            UNIQUE (subject, sequence)
        )""",
        "GRANT USAGE ON SCHEMA {schema} TO palabre_events_reader",
        "GRANT SELECT ON outbox TO palabre_events_reader",
        """CREATE TABLE inbox (
            consumer_group text NOT NULL,
            event_id uuid NOT NULL,
            handled_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer_group, event_id)
        )""",
        """CREATE TABLE subscription_cursors (
            consumer_group text NOT NULL,
            source text NOT NULL,
            position bigint NOT NULL,
            moved_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer_group, source)
        )""",
        "CREATE TABLE consumer_groups (name text PRIMARY KEY, version int NOT NULL)",
        """CREATE TABLE parked_keys (
            consumer_group text NOT NULL,
            key text NOT NULL,
            parked_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer_group, key)
        )""",
        """CREATE TABLE dead_letters (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            consumer_group text NOT NULL,
            event_id uuid,
            type text,
            source text NOT NULL,
            key text NOT NULL,
            headers jsonb NOT NULL,
            value bytea NOT NULL,
            reason text NOT NULL CHECK (reason IN ('undecodable', 'failed', 'set_aside')),
            error text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            replayed_at timestamptz,
            forwarded_at timestamptz
        )""",
        "CREATE INDEX ON dead_letters (consumer_group, key) WHERE replayed_at IS NULL",
        """CREATE TABLE idempotency_keys (
            key uuid NOT NULL,
            scope text NOT NULL,
            fingerprint bytea NOT NULL,
            status int,
            headers jsonb,
            body jsonb,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (key, scope)
        )""",
        "CREATE INDEX ON idempotency_keys (created_at)",
        """CREATE TABLE rate_counters (
            subject bytea NOT NULL,
            hour timestamptz NOT NULL,
            count int NOT NULL,
            PRIMARY KEY (subject, hour)
        )""",
    ),
}


def kernel(version: int, schema: str) -> None:
    """Create the kernel's tables of ``version``; called from a service's own migration."""
    for statement in KERNEL[version]:
        op.execute(statement.format(schema=schema))


def create_kernel(connection: Connection, schema: str) -> None:
    """Create all kernel tables without Alembic, for a schema that is no service's (tests)."""
    for version in sorted(KERNEL):
        for statement in KERNEL[version]:
            connection.execute(text(statement.format(schema=schema)))


def run_env() -> None:
    """Be the body of a service's ``migrations/env.py``."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def upgrade(engine: Engine, package: str, revision: str = "head") -> None:
    """Bring the schema of ``package`` (e.g. ``services/reports``) to ``revision``.

    Two processes may call it at once: the second waits for the first.
    """
    config = Config()
    config.set_main_option("script_location", str(ROOT / package / "migrations"))
    with engine.connect() as connection:
        connection.execute(
            text("SELECT pg_advisory_lock(hashtextextended('palabre.migrate.' || :p, 0))"),
            {"p": package},
        )
        connection.commit()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.commit()
