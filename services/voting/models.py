"""Tables of voting. The roll, the ballots and the receipts share no key but their election.

The roll and the receipts are only ever written and counted: see ``repository.py``.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.common.db import Base

State = Literal["open", "closed"]


class Election(Base):
    """A vote on a frozen list of projects; all but its end is fixed when it opens."""

    __tablename__ = "elections"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign: Mapped[UUID] = mapped_column(unique=True)
    commune: Mapped[str]
    title: Mapped[str]
    budget: Mapped[int] = mapped_column(BigInteger)
    ballot_type: Mapped[str]
    rule: Mapped[str]
    definition: Mapped[str]
    rule_hash: Mapped[str]
    opens_at: Mapped[datetime] = mapped_column(DateTime(True))
    closes_at: Mapped[datetime] = mapped_column(DateTime(True))
    state: Mapped[State] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    version: Mapped[int]
    #: In their order: id, name and amount (FCFA) of each; empty or one: the budget is not parted.
    envelopes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    results: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    projects: Mapped[list["BallotProject"]] = relationship(order_by="BallotProject.number")


class BallotProject(Base):
    """Voting's own copy of a shortlisted project."""

    __tablename__ = "projects"

    election_id: Mapped[UUID] = mapped_column(ForeignKey("elections.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    ref: Mapped[str]
    title: Mapped[str]
    cost: Mapped[int] = mapped_column(BigInteger)
    theme: Mapped[str | None]
    arrondissement: Mapped[str | None]
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    envelope: Mapped[UUID | None]


class CastBallot(Base):
    """A ballot: project numbers in order. ``replace_hash`` and ``marks`` end with the vote."""

    __tablename__ = "ballots"

    election_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    choices: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    voting_method: Mapped[str]
    accepted_hour: Mapped[datetime] = mapped_column(DateTime(True))
    replace_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    marks: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
