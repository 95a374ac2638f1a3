"""Roles, schemas and rights: what the owner lays before any service migrates."""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, create_engine, make_url, text

SERVICES = ("accounts", "reports", "proposals", "voting", "gateway")
EVENTS_READER = "palabre_events_reader"
#: PostGIS, and how words without their accents are compared.
EXTENSIONS = ("postgis", "pg_trgm", "unaccent")


def bootstrap(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Create the database, a role and a schema per service, and the shared rights.

    `passwords`: service -> password of its role. Running it again changes passwords to
    those given and nothing else.
    """
    ensure_database(admin_url)
    engine = create_engine(admin_url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            _bootstrap(connection, passwords)
    finally:
        engine.dispose()


def ensure_database(admin_url: str) -> None:
    """Create the database that `admin_url` names, with its extensions in it."""
    url = make_url(admin_url)
    server = _server(admin_url)
    try:
        with server.connect() as connection:
            known = connection.scalar(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": url.database}
            )
            if not known:
                connection.execute(text(f'CREATE DATABASE "{url.database}"'))
    finally:
        server.dispose()
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text("SET client_min_messages = warning"))
            for extension in EXTENSIONS:
                connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
    finally:
        engine.dispose()


def _server(admin_url: str) -> Engine:
    return create_engine(make_url(admin_url).set(database="postgres"), isolation_level="AUTOCOMMIT")


def _bootstrap(connection: Connection, passwords: Mapping[str, str]) -> None:
    connection.execute(text("SET client_min_messages = warning"))
    # Two set-ups at once (compose, test workers) take turns: roles belong to the whole server.
    connection.execute(text("SELECT pg_advisory_lock(hashtext('palabre bootstrap'))"))
    database = connection.scalar(text("SELECT current_database()"))
    existing = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    if EVENTS_READER not in existing:
        connection.execute(text(f"CREATE ROLE {EVENTS_READER} NOLOGIN"))
    for service in SERVICES:
        role = f"palabre_{service}"
        if role not in existing:
            connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        password = passwords[service].replace("'", "''")
        connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{password}'".replace("%", "%%"))
        for statement in (
            f"ALTER ROLE {role} SET search_path = {service}, public",
            f"GRANT {EVENTS_READER} TO {role}",
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO {role}',
            f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {role}",
        ):
            connection.execute(text(statement))
    roles = ", ".join(f"palabre_{service}" for service in SERVICES)
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS gateway_rebuild AUTHORIZATION palabre_gateway",
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC',
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA IF NOT EXISTS reference",
        f"GRANT USAGE ON SCHEMA reference TO {roles}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA reference TO {roles}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA reference GRANT SELECT ON TABLES TO {roles}",
    ):
        connection.execute(text(statement))
