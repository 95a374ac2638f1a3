"""Queries of campaigns, forums and unit costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from services.proposals.campaigns.domain import HISTORY_SHOWN, ON_BALLOT, ActorKind, HistoryKind
from services.proposals.domain import PhaseDates, Status
from services.proposals.models import Campaign, CampaignPhase, Proposal

_COMMUNE = text("SELECT 1 FROM reference.communes WHERE code = :code")
_ARRONDISSEMENTS = text("SELECT code FROM reference.arrondissements WHERE commune_code = :code")
_ADD_LINE = text("""
    INSERT INTO campaign_history
        (campaign_id, version, kind, at, actor_kind, actor, reason, detail)
    VALUES (:campaign, :version, :kind, :at, :actor_kind, :actor, :reason,
        CAST(:detail AS jsonb))
""")
_HISTORY = text("""
    SELECT * FROM (
        SELECT version, kind, at, actor_kind AS by, reason, detail FROM campaign_history
        WHERE campaign_id = :campaign ORDER BY version DESC LIMIT :limit) last
    ORDER BY version
""")
# A ballot's numbers go through its envelopes in their order.
_NUMBER = text("""
    UPDATE proposals p SET number = ranked.number
    FROM (SELECT s.id, row_number() OVER (
              ORDER BY e.position, e.id, s.submitted_at, s.id) AS number
          FROM proposals s LEFT JOIN envelopes e ON e.id = s.envelope_id
          WHERE s.campaign_id = :campaign AND s.status = 'shortlisted'
          AND s.hidden_at IS NULL) ranked
    WHERE p.id = ranked.id
""")
_BALLOT = text("""
    SELECT id, ref, number, title, cost, theme, arrondissement, envelope_id AS envelope,
        ST_X(ST_PointOnSurface(geom)) AS lon, ST_Y(ST_PointOnSurface(geom)) AS lat
    FROM proposals
    WHERE campaign_id = :campaign AND status = 'shortlisted' AND number IS NOT NULL
    ORDER BY number
""")
_SHORTLIST = text("""
    SELECT id, ref, number, title, cost, theme, arrondissement, status, envelope_id,
        ST_X(ST_PointOnSurface(geom)) AS lon, ST_Y(ST_PointOnSurface(geom)) AS lat
    FROM proposals
    WHERE campaign_id = :campaign AND status = ANY(:statuses) AND hidden_at IS NULL
    AND (number IS NOT NULL OR NOT :numbered)
    ORDER BY number, submitted_at, id
""")
_UNFINISHED = text("""
    SELECT ref FROM works WHERE campaign_id = :campaign
    AND status NOT IN ('completed', 'abandoned') ORDER BY ref LIMIT 20
""")
_LEAVE_ENVELOPE = text("UPDATE proposals SET envelope_id = NULL WHERE envelope_id = :envelope")
_ADD_FORUM = text("""
    INSERT INTO forums (id, campaign_id, name, arrondissement, place, held_on, women, men, youth,
        entered_by)
    VALUES (:id, :campaign, :name, :arrondissement, :place, :held_on, :women, :men, :youth, :by)
    ON CONFLICT (campaign_id, name, held_on) DO NOTHING RETURNING 1
""")
_FORUMS = text("""
    SELECT id, name, arrondissement, place, held_on, women, men, youth FROM forums
    WHERE campaign_id = :campaign ORDER BY held_on, id LIMIT 1000
""")
# One mairie's unit costs are counted one at a time.
_HOLD_COSTS = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('palabre.unit_costs.' || :commune, 0))"
)
_OTHER_COSTS = text("SELECT count(*) FROM unit_costs WHERE commune = :commune AND code <> :code")
_PUT_COST = text("""
    INSERT INTO unit_costs (commune, code, name, unit, cost, theme, updated_by)
    VALUES (:commune, :code, :name, :unit, :cost, :theme, :by)
    ON CONFLICT (commune, code) DO UPDATE SET name = excluded.name, unit = excluded.unit,
        cost = excluded.cost, theme = excluded.theme, updated_by = excluded.updated_by,
        updated_at = now()
""")
_DROP_COST = text("DELETE FROM unit_costs WHERE commune = :commune AND code = :code RETURNING 1")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a campaign's history; ``actor`` never leaves the table."""

    campaign: UUID
    version: int
    kind: HistoryKind
    at: datetime
    actor_kind: ActorKind
    actor: UUID | None
    reason: str
    detail: Mapping[str, Any]


def commune_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is a commune's."""
    return session.scalar(_COMMUNE, {"code": code}) is not None


def arrondissements_of(session: Session, commune: str) -> set[str]:
    """Return the codes of a commune's arrondissements."""
    return set(session.scalars(_ARRONDISSEMENTS, {"code": commune}))


def campaigns(
    session: Session,
    commune: str | None,
    phase: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Campaign]:
    """Return campaigns, newest first, those that follow the row ``after`` in this order."""
    place = tuple_(Campaign.created_at, Campaign.id)
    query = select(Campaign).order_by(Campaign.created_at.desc(), Campaign.id.desc()).limit(limit)
    for column, wanted in ((Campaign.commune, commune), (Campaign.phase, phase)):
        if wanted:
            query = query.where(column == wanted)
    if after:
        query = query.where(place < after)
    return list(session.scalars(query))


def automatic(session: Session) -> list[Campaign]:
    """Return the campaigns that their calendars lead on, unlocked."""
    led = Campaign.phase.not_in(("vote", "closed"))
    return list(
        session.scalars(select(Campaign).where(Campaign.automatic, led).order_by(Campaign.id))
    )


def lock_if_free(session: Session, campaign_id: UUID) -> Campaign | None:
    """Return a campaign, locked, as it is now; None while somebody else holds it."""
    return session.scalars(
        select(Campaign)
        .where(Campaign.id == campaign_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def count_by_status(session: Session, campaign_id: UUID) -> dict[Status, int]:
    """Return how many proposals of each status all can see."""
    rows = session.execute(
        select(Proposal.status, func.count())
        .where(
            Proposal.campaign_id == campaign_id,
            Proposal.status != "draft",
            Proposal.hidden_at.is_(None),
        )
        .group_by(Proposal.status)
    )
    return dict(rows.all())


def save_dates(session: Session, campaign: Campaign, dates: Sequence[PhaseDates]) -> None:
    """Set when phases of a locked campaign are, and read its calendar anew."""
    session.flush()
    for one in dates:
        values = {"opens_at": one.opens_at, "closes_at": one.closes_at}
        session.execute(
            upsert(CampaignPhase)
            .values(campaign_id=campaign.id, phase=one.phase, **values)
            .on_conflict_do_update(
                index_elements=[CampaignPhase.campaign_id, CampaignPhase.phase], set_=values
            )
        )
    for phase in list(campaign.phases):
        session.expire(phase)
    session.expire(campaign, ["phases"])


def add_line(session: Session, line: Line) -> None:
    """Add a line to a campaign's history."""
    session.flush()
    values = {name: getattr(line, name) for name in Line.__slots__}
    detail = json.dumps(line.detail, ensure_ascii=False)
    session.execute(_ADD_LINE, {**values, "detail": detail})


def history(session: Session, campaign_id: UUID) -> list[Row[Any]]:
    """Return the last lines of a campaign's history in their order, without the actors' ids."""
    return list(session.execute(_HISTORY, {"campaign": campaign_id, "limit": HISTORY_SHOWN}))


def number_shortlist(session: Session, campaign_id: UUID) -> list[Row[Any]]:
    """Number the shortlist from 1, by envelope, then as submitted; return the ballot's lines."""
    session.flush()
    session.execute(_NUMBER, {"campaign": campaign_id})
    return list(session.execute(_BALLOT, {"campaign": campaign_id}))


def lock_ballot(session: Session, campaign_id: UUID) -> list[Proposal]:
    """Return the proposals on a campaign's ballot by number, locked."""
    return list(
        session.scalars(
            select(Proposal)
            .where(
                Proposal.campaign_id == campaign_id,
                Proposal.status == "shortlisted",
                Proposal.number.is_not(None),
            )
            .order_by(Proposal.number)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def lock_over(session: Session, campaign_id: UUID, needed: int) -> list[Proposal]:
    """Return the proposals that reach a threshold and have not been told so, locked."""
    return list(
        session.scalars(
            select(Proposal)
            .where(
                Proposal.campaign_id == campaign_id,
                Proposal.status.in_(("submitted", "shortlisted")),
                Proposal.hidden_at.is_(None),
                Proposal.endorsements >= needed,
                Proposal.threshold_reached_at.is_(None),
            )
            .order_by(Proposal.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def shortlist(session: Session, campaign_id: UUID, *, numbered: bool) -> list[Row[Any]]:
    """Return what is, or was, to be voted on, as all can read it; ``numbered``: on the ballot."""
    values = {"campaign": campaign_id, "statuses": list(ON_BALLOT), "numbered": numbered}
    return list(session.execute(_SHORTLIST, values))


def unfinished_works(session: Session, campaign_id: UUID) -> list[str]:
    """Return refs of works that are neither completed nor abandoned, some twenty at most."""
    return list(session.scalars(_UNFINISHED, {"campaign": campaign_id}))


def leave_envelope(session: Session, envelope: UUID) -> None:
    """Let the drafts of an envelope have none: one is found again when they are submitted."""
    session.execute(_LEAVE_ENVELOPE, {"envelope": envelope})


def add_forum(session: Session, forum: UUID, campaign: UUID, by: UUID, **values: Any) -> bool:
    """Store a forum; False when it is there."""
    given = {**values, "id": forum, "campaign": campaign, "by": by}
    return session.scalar(_ADD_FORUM, given) is not None


def forums(session: Session, campaign_id: UUID) -> list[Row[Any]]:
    """Return a campaign's forums, the first held first."""
    return list(session.execute(_FORUMS, {"campaign": campaign_id}))


def other_unit_costs(session: Session, commune: str, code: str) -> int:
    """Return how many other figures a mairie keeps; nobody adds one until the transaction ends."""
    session.execute(_HOLD_COSTS, {"commune": commune})
    values = {"commune": commune, "code": code}
    return int(session.execute(_OTHER_COSTS, values).scalar_one())


def put_unit_cost(session: Session, commune: str, code: str, by: UUID, **values: Any) -> None:
    """Keep a mairie's figure."""
    session.execute(_PUT_COST, {**values, "commune": commune, "code": code, "by": by})


def drop_unit_cost(session: Session, commune: str, code: str) -> bool:
    """Forget a mairie's figure; False when it keeps none."""
    return session.scalar(_DROP_COST, {"commune": commune, "code": code}) is not None


def today(session: Session) -> date:
    """Return the day it is in Bénin."""
    found: date = session.scalars(
        select(func.date(func.timezone("Africa/Porto-Novo", func.now())))
    ).one()
    return found
