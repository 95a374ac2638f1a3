"""What has served its time is forgotten; what has not, stays."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from services.accounts import repository
from services.common.db import make_engine
from services.common.housekeeping import KERNEL, Housekeeper
from tests.apps import count
from tests.servers import Database

pytestmark = pytest.mark.integration

OLD_AND_NEW = (
    "INSERT INTO idempotency_keys (key, scope, fingerprint, created_at) "
    "VALUES (gen_random_uuid(), 'a', '', now() - interval '{age}')",
    "INSERT INTO rate_counters (subject, hour, count) "
    "VALUES ('{age}', now() - interval '{age}', 1)",
    "INSERT INTO sign_in_codes (phone, code_hash, expires_at, tries) "
    "VALUES ('{age}', '', now() - interval '{age}', 0)",
)


def test_old_keys_counters_codes_and_sessions_are_forgotten(fresh_database: Database) -> None:
    engine = make_engine(fresh_database.url("accounts"), threads=2)
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        for statement in OLD_AND_NEW:
            for age in ("3 days", "-1 minutes"):
                session.execute(text(statement.format(age=age)))
    done = threading.Event()

    def last(_: Session) -> None:
        done.set()

    keeper = Housekeeper(sessions, [*KERNEL, repository.purge, last], interval=60)
    keeper.start()
    assert done.wait(10)
    keeper.stop()
    engine.dispose()
    left = [
        count(fresh_database, "accounts", table)
        for table in ("idempotency_keys", "rate_counters", "sign_in_codes")
    ]
    assert left == [1, 1, 1]


def test_a_database_that_is_away_stops_nothing() -> None:
    engine = make_engine("postgresql+psycopg2://nobody@127.0.0.1:9/none", threads=1)
    keeper = Housekeeper(sessionmaker(engine), KERNEL, interval=60)
    keeper.start()
    keeper.stop()
    engine.dispose()
