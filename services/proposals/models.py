"""Tables of proposals, as far as rows are read or written one by one.

The rest (comments, marks, ledgers' sums…) is SQL in each feature's ``repository.py``; the whole
schema is in ``migrations``.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.common.db import Base
from services.proposals.domain import (
    AuthorKind,
    EnvelopeKind,
    Origin,
    Outcome,
    Phase,
    Status,
    WorkStatus,
)


class Campaign(Base):
    """A commune's budget exercise; ``budget`` in FCFA, the sum of its envelopes."""

    __tablename__ = "campaigns"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    commune: Mapped[str]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    budget: Mapped[int] = mapped_column(BigInteger)
    phase: Mapped[Phase]
    author_kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    proposals_per_author: Mapped[int | None]
    endorsements_needed: Mapped[int] = mapped_column(default=0)
    automatic: Mapped[bool] = mapped_column(default=False)
    cloned_from: Mapped[UUID | None]
    version: Mapped[int]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(DateTime(True), server_default=func.now())
    phases: Mapped[list["CampaignPhase"]] = relationship(
        order_by="CampaignPhase.opens_at", lazy="selectin"
    )
    envelopes: Mapped[list["CampaignEnvelope"]] = relationship(
        order_by="(CampaignEnvelope.position, CampaignEnvelope.id)", lazy="selectin"
    )


class CampaignPhase(Base):
    """When a phase is planned; the vote's row holds its real dates once it is open."""

    __tablename__ = "campaign_phases"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    phase: Mapped[Phase] = mapped_column(primary_key=True)
    opens_at: Mapped[datetime] = mapped_column(DateTime(True))
    closes_at: Mapped[datetime] = mapped_column(DateTime(True))


class CampaignEnvelope(Base):
    """A part of the budget in FCFA: the commune's as a whole, an arrondissement's or a theme's."""

    __tablename__ = "envelopes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[EnvelopeKind]
    arrondissement: Mapped[str | None]
    theme: Mapped[str | None]
    position: Mapped[int] = mapped_column(default=0)


class Proposal(Base):
    """A project; ``cost`` comes with its review, ``number`` with the frozen ballot.

    A draft has no ``submitted_at``, perhaps no ``estimated_cost``, and ``version`` 0. ``version``
    is also the sequence of its last event; ``revision`` counts its texts.
    """

    __tablename__ = "proposals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    commune: Mapped[str]
    arrondissement: Mapped[str | None]
    title: Mapped[str]
    need: Mapped[str]
    description: Mapped[str]
    beneficiaries: Mapped[str]
    theme: Mapped[str | None]
    estimated_cost: Mapped[int | None] = mapped_column(BigInteger)
    cost_lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    cost: Mapped[int | None] = mapped_column(BigInteger)
    number: Mapped[int | None]
    envelope_id: Mapped[UUID | None] = mapped_column(ForeignKey("envelopes.id"))
    geom: Mapped[WKBElement] = mapped_column(
        Geometry(srid=4326, spatial_index=False), deferred=True
    )
    reports: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    hotspot: Mapped[str | None]
    status: Mapped[Status]
    author_id: Mapped[UUID]
    author_kind: Mapped[AuthorKind]
    author_name: Mapped[str]
    origin: Mapped[Origin]
    forum_id: Mapped[UUID | None]
    endorsements: Mapped[int]
    threshold_reached_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    comments: Mapped[int]
    revision: Mapped[int]
    hidden_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    merged_into: Mapped[UUID | None]
    status_before_merge: Mapped[Status | None]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(True))
    submitted_at: Mapped[datetime | None] = mapped_column(DateTime(True))


class Review(Base):
    """The mairie's answer to a proposal: one, a second one after its author's reply.

    ``criteria`` is the grid as it stood then: criterion, verdict, note.
    """

    __tablename__ = "reviews"

    proposal_id: Mapped[UUID] = mapped_column(ForeignKey("proposals.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[Outcome]
    reason: Mapped[str]
    cost: Mapped[int] = mapped_column(BigInteger)
    criteria: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    reviewer_id: Mapped[UUID]
    reviewed_at: Mapped[datetime] = mapped_column(DateTime(True))


class Work(Base):
    """A funded proposal being built; amounts in whole FCFA, the sums of its ledger."""

    __tablename__ = "works"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    proposal_id: Mapped[UUID] = mapped_column(ForeignKey("proposals.id"), unique=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    envelope_id: Mapped[UUID | None]
    commune: Mapped[str]
    status: Mapped[WorkStatus]
    progress: Mapped[int]
    voted_cost: Mapped[int] = mapped_column(BigInteger)
    committed: Mapped[int] = mapped_column(BigInteger)
    invoiced: Mapped[int] = mapped_column(BigInteger)
    paid: Mapped[int] = mapped_column(BigInteger)
    contractor: Mapped[str]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    first_ends_on: Mapped[date | None]
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(True))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(True))
