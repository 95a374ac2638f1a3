"""Queries of proposals. Geometry is read as GeoJSON in SQL, never through the ORM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, func, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from services.proposals.domain import PhaseDates, Status
from services.proposals.models import Campaign, CampaignPhase, Proposal, Review

_COMMUNE = text("SELECT 1 FROM reference.communes WHERE code = :code")
_ARRONDISSEMENTS = text("SELECT code FROM reference.arrondissements WHERE commune_code = :code")

# A shape belongs to the arrondissement of its representative point, which also stands for it on
# the ballot's map.
_PLACE = text("""
    WITH given AS (SELECT ST_GeomFromWKB(:wkb, 4326) AS geom)
    SELECT
        EXISTS (SELECT FROM reference.communes c
                WHERE c.code = :commune AND ST_Covers(c.geom, g.geom)) AS in_commune,
        EXISTS (SELECT FROM reference.country k WHERE ST_Covers(k.geom, g.geom)) AS in_country,
        EXISTS (SELECT FROM reference.country k
                WHERE ST_Covers(k.geom, ST_FlipCoordinates(g.geom))) AS swapped,
        (SELECT a.code FROM reference.arrondissements a
         WHERE a.commune_code = :commune AND ST_Covers(a.geom, ST_PointOnSurface(g.geom))
         ORDER BY a.code LIMIT 1) AS arrondissement
    FROM given g
""")

_NUMBER = text("""
    UPDATE proposals p SET number = ranked.number
    FROM (SELECT id, row_number() OVER (ORDER BY submitted_at, id) AS number FROM proposals
          WHERE campaign_id = :campaign AND status = 'shortlisted') ranked
    WHERE p.id = ranked.id
""")
_BALLOT = text("""
    SELECT id, ref, number, title, cost, theme, arrondissement,
        ST_X(ST_PointOnSurface(geom)) AS lon, ST_Y(ST_PointOnSurface(geom)) AS lat
    FROM proposals WHERE campaign_id = :campaign AND status = 'shortlisted' ORDER BY number
""")

_ENDORSE = text("""
    WITH new AS (
        INSERT INTO endorsements (proposal_id, user_id) VALUES (:proposal, :user)
        ON CONFLICT DO NOTHING RETURNING 1
    )
    UPDATE proposals SET endorsements = endorsements + (SELECT count(*) FROM new)
    WHERE id = :proposal RETURNING endorsements
""")

# The columns anyone may see: the author and the endorsers are not among them.
_FEATURE = """
    json_build_object('type', 'Feature', 'id', p.id, 'geometry', ST_AsGeoJSON(p.geom, 6)::json,
        'properties', json_build_object('id', p.id, 'ref', p.ref, 'campaign', p.campaign_id,
            'commune', p.commune, 'arrondissement', p.arrondissement, 'title', p.title,
            'theme', p.theme, 'estimated_cost', p.estimated_cost, 'cost', p.cost,
            'number', p.number, 'status', p.status, 'endorsements', p.endorsements,
            'hotspot', p.hotspot, 'submitted_at', p.submitted_at)) AS feature
"""
_AT = "coalesce(p.submitted_at, p.created_at)"
_FILTERS = {
    "campaign": "p.campaign_id = :campaign",
    "commune": "p.commune = :commune",
    "status": "p.status = ANY(:status)",
    "readable": "(p.status <> 'draft' OR p.author_id = :reader "
    "OR p.commune = ANY(:communes) OR '*' = ANY(:communes))",
    "after": f"({_AT}, p.id) < (:after_at, :after_id)",
}
_DETAIL = """
    SELECT p.id, p.ref, p.campaign_id, p.commune, p.arrondissement, p.status, p.title,
        p.description, p.theme, p.estimated_cost, p.cost, p.number, p.endorsements, p.reports,
        p.hotspot, p.submitted_at, p.author_id, ST_AsGeoJSON(p.geom, 6)::json AS geometry,
        ST_X(ST_PointOnSurface(p.geom)) AS lon, ST_Y(ST_PointOnSurface(p.geom)) AS lat
    FROM proposals p WHERE
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shape lies; ``swapped``: in the country once longitude and latitude are."""

    in_commune: bool
    in_country: bool
    swapped: bool
    arrondissement: str | None


def commune_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is a commune's."""
    return session.scalar(_COMMUNE, {"code": code}) is not None


def arrondissements_of(session: Session, commune: str) -> set[str]:
    """Return the codes of a commune's arrondissements."""
    return set(session.scalars(_ARRONDISSEMENTS, {"code": commune}))


def locate(session: Session, shape: BaseGeometry, commune: str) -> Place:
    """Compare ``shape`` with the commune, the country and the commune's arrondissements."""
    row = session.execute(_PLACE, {"wkb": shape.wkb, "commune": commune}).one()
    return Place(*row)


def find_campaign(session: Session, campaign_id: UUID) -> Campaign | None:
    """Return a campaign."""
    return session.get(Campaign, campaign_id)


def lock_campaign(session: Session, campaign_id: UUID, *, shared: bool = False) -> Campaign | None:
    """Return a campaign, locked: its own changes alone, what depends on its phase shared."""
    return session.get(
        Campaign, campaign_id, with_for_update={"read": shared}, populate_existing=True
    )


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


def count_by_status(session: Session, campaign_id: UUID) -> dict[Status, int]:
    """Return how many proposals of a campaign have each status they have, drafts left out."""
    rows = session.execute(
        select(Proposal.status, func.count())
        .where(Proposal.campaign_id == campaign_id, Proposal.status != "draft")
        .group_by(Proposal.status)
    )
    return dict(rows.all())


def save_dates(session: Session, campaign_id: UUID, dates: PhaseDates) -> None:
    """Set when a phase really is."""
    values = {"opens_at": dates.opens_at, "closes_at": dates.closes_at}
    session.execute(
        upsert(CampaignPhase)
        .values(campaign_id=campaign_id, phase=dates.phase, **values)
        .on_conflict_do_update(
            index_elements=[CampaignPhase.campaign_id, CampaignPhase.phase], set_=values
        )
    )


def insert_proposal(session: Session, shape: BaseGeometry, values: Mapping[str, Any]) -> bool:
    """Store a proposal; False when its ref is taken."""
    geom = func.ST_GeomFromWKB(shape.wkb, 4326)
    statement = upsert(Proposal).values(geom=geom, **values)
    stored = session.scalar(
        statement.on_conflict_do_nothing(index_elements=[Proposal.ref]).returning(Proposal.id)
    )
    return stored is not None


def change_draft(
    session: Session, proposal_id: UUID, values: Mapping[str, Any], shape: BaseGeometry | None
) -> None:
    """Set columns of a proposal, and where it is when ``shape`` is given."""
    geom = {"geom": func.ST_GeomFromWKB(shape.wkb, 4326)} if shape else {}
    if changes := {**values, **geom}:
        session.execute(update(Proposal).where(Proposal.id == proposal_id).values(changes))


def find_head(session: Session, key: UUID | str) -> Row[UUID, UUID, str, UUID, Status] | None:
    """Return ``id``, ``campaign_id``, ``commune``, ``author_id``, ``status``, by id or ref."""
    column = Proposal.id if isinstance(key, UUID) else Proposal.ref
    return session.execute(
        select(
            Proposal.id,
            Proposal.campaign_id,
            Proposal.commune,
            Proposal.author_id,
            Proposal.status,
        ).where(column == key)
    ).one_or_none()


def lock_proposal(session: Session, proposal_id: UUID) -> Proposal:
    """Return a proposal, locked."""
    return session.get_one(Proposal, proposal_id, with_for_update=True, populate_existing=True)


def proposal(session: Session, key: UUID | str) -> Row[Any] | None:
    """Return one proposal by id or ref, its text and place included, and its ``author_id``."""
    where = "p.id = :key" if isinstance(key, UUID) else "p.ref = :key"
    return session.execute(text(_DETAIL + where), {"key": key}).one_or_none()


def review_of(session: Session, proposal_id: UUID) -> Review | None:
    """Return the review of a proposal."""
    return session.get(Review, proposal_id)


def add_review(session: Session, **values: Any) -> None:
    """Store the review of a proposal."""
    session.execute(insert(Review).values(**values))


def endorse(session: Session, proposal_id: UUID, user_id: UUID) -> int:
    """Count a person once behind a proposal; return the total."""
    return int(session.scalar(_ENDORSE, {"proposal": proposal_id, "user": user_id}))


def number_shortlist(session: Session, campaign_id: UUID) -> list[Row[Any]]:
    """Number the shortlist from 1 in the order of submission; return it as ballot lines."""
    session.flush()
    session.execute(_NUMBER, {"campaign": campaign_id})
    return list(session.execute(_BALLOT, {"campaign": campaign_id}))


def lock_shortlist(session: Session, campaign_id: UUID) -> list[Proposal]:
    """Return a campaign's shortlisted proposals by number, locked."""
    return list(
        session.scalars(
            select(Proposal)
            .where(Proposal.campaign_id == campaign_id, Proposal.status == "shortlisted")
            .order_by(Proposal.number)
            .with_for_update()
        )
    )


def features(
    session: Session, filters: Sequence[str], values: Mapping[str, Any], limit: int
) -> list[tuple[datetime, UUID, dict[str, Any]]]:
    """Return ``(at, id, feature)`` of public columns, newest first.

    ``at`` is when a proposal was submitted, a draft begun.
    """
    where = " AND ".join(_FILTERS[name] for name in filters) or "true"
    rows = session.execute(
        text(
            f"SELECT {_AT} AS at, p.id, {_FEATURE} FROM proposals p WHERE {where} "  # noqa: S608
            "ORDER BY at DESC, p.id DESC LIMIT :limit"
        ),
        {**values, "limit": limit},
    )
    return [(row.at, row.id, row.feature) for row in rows]
