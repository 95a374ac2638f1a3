"""Queries of voting.

A poll's lock is an advisory one: voters share it, the close owns it. Unlike a shared row lock it
writes nothing, and a waiting close is not starved by the voters behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.voting.domain import Ballot, approval
from services.voting.models import BallotProject, CastBallot, Election, State

_POLL = "hashtextextended('palabre.election.' || :election, 0)"
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_POLL})")
_OWN = text(f"SELECT pg_advisory_xact_lock({_POLL})")

_BOOTH = text("""
    SELECT e.state, e.budget, e.envelopes, e.opens_at, e.closes_at, clock_timestamp() AS now,
        (SELECT coalesce(
            jsonb_object_agg(p.id, jsonb_build_array(p.number, p.cost, p.envelope)), '{}')
         FROM projects p
         WHERE p.election_id = e.id AND p.id = ANY(CAST(:choices AS uuid[]))) AS projects
    FROM elections e WHERE e.id = :election
""")
_CAST = text("""
    WITH entered AS (
        INSERT INTO roll (election_id, voter, voting_method)
        VALUES (:election, :voter, :method) ON CONFLICT DO NOTHING
        RETURNING election_id, voting_method
    ), receipt AS (
        INSERT INTO receipts (election_id, receipt) SELECT election_id, :receipt FROM entered
    )
    INSERT INTO ballots
        (election_id, id, choices, voting_method, accepted_hour, replace_hash, marks)
    SELECT election_id, gen_random_uuid(), :choices, voting_method, date_trunc('hour', now()),
        :replace_hash, CAST(:marks AS bytea[])
    FROM entered RETURNING accepted_hour
""")
_HAS_RECEIPT = text("SELECT 1 FROM receipts WHERE election_id = :election AND receipt = :receipt")
_COUNTS = text("""
    SELECT (SELECT count(*) FROM roll WHERE election_id = :election),
        (SELECT count(*) FROM ballots WHERE election_id = :election),
        (SELECT count(*) FROM receipts WHERE election_id = :election)
""")
_MERGED = text(
    "SELECT choices, count(*) FROM ballots WHERE election_id = :election "
    "GROUP BY choices ORDER BY choices"
)
# A close that owns the row is waited for; then there is nothing left to prolong.
_PROLONG = text("""
    UPDATE elections SET closes_at = :closes_at
    WHERE campaign = :campaign AND state = 'open' AND closes_at < :closes_at
""")

#: The tables that must not be joined, and what the close keeps of each.
_SECRET = {
    "roll": "election_id, voter, voting_method",
    "ballots": "election_id, id, choices, voting_method, accepted_hour, "
    "NULL::bytea AS replace_hash, '{}'::bytea[] AS marks",
    "receipts": "election_id, receipt",
}


@dataclass(frozen=True, slots=True)
class Booth:
    """What a vote is checked against.

    ``projects``: number, cost and envelope of the chosen ids that exist.
    """

    state: State
    budget: int
    envelopes: list[dict[str, Any]]
    opens_at: datetime
    closes_at: datetime
    now: datetime
    projects: dict[str, tuple[int, int, str | None]]


def enter_booth(session: Session, election: UUID, choices: Sequence[UUID]) -> Booth | None:
    """Hold the poll open until the transaction ends and return it as it is then."""
    # Its own statement: the next one sees what a close that held the lock has committed.
    session.execute(_SHARE, {"election": str(election)})
    row = session.execute(_BOOTH, {"election": election, "choices": list(choices)}).one_or_none()
    return Booth(*row) if row else None


def cast(
    session: Session,
    election: UUID,
    *,
    voter: bytes,
    method: str,
    choices: Sequence[int],
    replace_hash: bytes,
    receipt: str,
    mark: bytes,
) -> datetime | None:
    """Enter the roll and drop the ballot in one statement; None when the voter is on the roll.

    Returns the hour that is kept. A concurrent twin waits for the first one's commit.
    """
    hour: datetime | None = session.scalar(
        _CAST,
        {
            "election": election,
            "voter": voter,
            "method": method,
            "choices": list(choices),
            "replace_hash": replace_hash,
            "receipt": receipt,
            "marks": [mark],
        },
    )
    return hour


def lock_ballot(session: Session, election: UUID, replace_hash: bytes) -> CastBallot | None:
    """Return the ballot of a token, locked."""
    return session.scalars(
        select(CastBallot)
        .where(CastBallot.election_id == election, CastBallot.replace_hash == replace_hash)
        .with_for_update()
    ).one_or_none()


def has_receipt(session: Session, election: UUID, receipt: str) -> bool:
    """Tell whether a receipt was given in an election."""
    return session.scalar(_HAS_RECEIPT, {"election": election, "receipt": receipt}) is not None


def add_election(
    session: Session, values: dict[str, Any], projects: Sequence[dict[str, Any]]
) -> bool:
    """Store an election with its projects and its empty poll; False when it exists."""
    made = session.scalar(
        insert(Election).values(**values).on_conflict_do_nothing().returning(Election.id)
    )
    if made is None:
        return False
    session.execute(insert(BallotProject), [{"election_id": made, **p} for p in projects])
    for table in _SECRET:
        part = _part(table, made)
        # Made apart, then attached: voters of other elections go on meanwhile.
        session.execute(text(f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)"))
        session.execute(
            text(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES IN ('{made}')")
        )
    return True


def get(session: Session, election: UUID) -> Election | None:
    """Return an election."""
    return session.get(Election, election)


def prolong(session: Session, campaign: UUID, closes_at: datetime) -> None:
    """Let the open election of a campaign end later; never earlier."""
    session.execute(_PROLONG, {"campaign": campaign, "closes_at": closes_at})


def now(session: Session) -> datetime:
    """Return the database's clock: the one by which polls open and close."""
    moment: datetime = session.scalars(select(func.clock_timestamp())).one()
    return moment


def own_poll(session: Session, election: UUID) -> Election:
    """Wait until no vote is under way, let none begin, and return the election, locked."""
    session.execute(_OWN, {"election": str(election)})
    return session.get_one(Election, election, with_for_update=True, populate_existing=True)


def merged_ballots(session: Session, election: UUID) -> list[Ballot]:
    """Return the ballots, equal ones merged."""
    rows = session.execute(_MERGED, {"election": election})
    return [approval(choices, weight) for choices, weight in rows]


def counts(session: Session, election: UUID) -> tuple[int, int, int]:
    """Return how many persons are on the roll, how many ballots and how many receipts there are."""
    roll, ballots, receipts = session.execute(_COUNTS, {"election": election}).one()
    return roll, ballots, receipts


def unlink(session: Session, election: UUID) -> None:
    """Rewrite roll, ballots and receipts, each in an order of its own, without any token's trace.

    TRUNCATE drops the old files at the commit: no dead row, insertion order or transaction id of
    a vote stays in the tables.
    """
    session.execute(text("SET LOCAL statement_timeout = '5min'"))
    for table, columns in _SECRET.items():
        part = _part(table, election)
        for statement in (
            f"CREATE TEMPORARY TABLE shuffled ON COMMIT DROP AS "  # noqa: S608
            f"SELECT {columns} FROM {part} ORDER BY gen_random_uuid()",
            f"TRUNCATE {part}",
            f"INSERT INTO {part} SELECT * FROM shuffled",  # noqa: S608
            "DROP TABLE shuffled",
        ):
            session.execute(text(statement))


def elections(
    session: Session,
    *,
    campaign: UUID | None,
    commune: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Election]:
    """Return elections, the last to open first, from behind the place ``after``."""
    query = select(Election).order_by(Election.opens_at.desc(), Election.id.desc()).limit(limit)
    if campaign:
        query = query.where(Election.campaign == campaign)
    if commune:
        query = query.where(Election.commune == commune)
    if after:
        query = query.where(tuple_(Election.opens_at, Election.id) < after)
    return list(session.scalars(query))


def _part(table: str, election: UUID) -> str:
    return f"{table}_{election.hex}"
