"""Tables of proposals."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.common.db import Base
from services.proposals.domain import Outcome, Phase, Status


class Campaign(Base):
    """A commune's budget campaign; ``budget`` in FCFA."""

    __tablename__ = "campaigns"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    commune: Mapped[str]
    title: Mapped[str]
    budget: Mapped[int] = mapped_column(BigInteger)
    phase: Mapped[Phase]
    version: Mapped[int]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(DateTime(True), server_default=func.now())
    phases: Mapped[list["CampaignPhase"]] = relationship(
        order_by="CampaignPhase.opens_at", lazy="selectin"
    )
    envelopes: Mapped[list["CampaignEnvelope"]] = relationship(
        order_by="CampaignEnvelope.id", lazy="selectin"
    )


class CampaignPhase(Base):
    """When a phase is planned; the vote's row holds its real dates once it is open."""

    __tablename__ = "campaign_phases"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    phase: Mapped[Phase] = mapped_column(primary_key=True)
    opens_at: Mapped[datetime] = mapped_column(DateTime(True))
    closes_at: Mapped[datetime] = mapped_column(DateTime(True))


class CampaignEnvelope(Base):
    """A part of the budget."""

    __tablename__ = "envelopes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    arrondissement: Mapped[str | None]


class Proposal(Base):
    """A project; ``cost`` comes with its review, ``number`` with the frozen ballot.

    A draft has no ``submitted_at``, perhaps no ``estimated_cost``, and ``version`` 0.
    """

    __tablename__ = "proposals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    commune: Mapped[str]
    arrondissement: Mapped[str | None]
    title: Mapped[str]
    description: Mapped[str]
    theme: Mapped[str | None]
    estimated_cost: Mapped[int | None] = mapped_column(BigInteger)
    cost: Mapped[int | None] = mapped_column(BigInteger)
    number: Mapped[int | None]
    geom: Mapped[WKBElement] = mapped_column(
        Geometry(srid=4326, spatial_index=False), deferred=True
    )
    reports: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    hotspot: Mapped[str | None]
    status: Mapped[Status]
    endorsements: Mapped[int]
    author_id: Mapped[UUID]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(True))
    submitted_at: Mapped[datetime | None] = mapped_column(DateTime(True))


class Review(Base):
    """The mairie's answer to a proposal: one, with its reason, both public."""

    __tablename__ = "reviews"

    proposal_id: Mapped[UUID] = mapped_column(ForeignKey("proposals.id"), primary_key=True)
    outcome: Mapped[Outcome]
    reason: Mapped[str]
    cost: Mapped[int] = mapped_column(BigInteger)
    reviewer_id: Mapped[UUID]
    reviewed_at: Mapped[datetime] = mapped_column(DateTime(True))


class Endorsement(Base):
    """A person stands behind a proposal; the pair is the key, so once."""

    __tablename__ = "endorsements"

    proposal_id: Mapped[UUID] = mapped_column(ForeignKey("proposals.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
