"""PostgreSQL: one engine a process, one session a request that commits before the answer leaves."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

#: Threads that may run ``def`` endpoints at once; the pool is never smaller (see create_app).
WORKER_THREADS = 16


class Base(DeclarativeBase):
    """Declarative base without a schema: each service's role has its own ``search_path``."""


def make_engine(
    url: str, *, search_path: str | None = None, threads: int = WORKER_THREADS
) -> Engine:
    """Return an engine whose pool serves ``threads`` threads; statements end after 15 s.

    ``search_path`` overrides the role's own, e.g. to write a projection into its shadow.
    Parameters never reach a log or an exception text: they may be personal data.
    """
    options = "-c statement_timeout=15000 -c lock_timeout=10000 -c timezone=UTC"
    if search_path:
        options += f" -c search_path={search_path}"
    return create_engine(
        url,
        pool_size=threads,
        max_overflow=4,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": options, "connect_timeout": 5},
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return the process's session factory."""
    return sessionmaker(engine, expire_on_commit=False)


def get_session(request: Request) -> Iterator[Session]:
    """Yield the request's session; commit when the endpoint returned, roll back when it raised."""
    sessions: sessionmaker[Session] = request.app.state.sessions
    with sessions.begin() as session:
        yield session


# scope="function" closes the dependency before the answer is sent: a failing commit is a 500,
# not a 201 that was never stored.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
