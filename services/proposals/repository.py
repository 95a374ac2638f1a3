"""Queries of proposals. Geometry is read as GeoJSON in SQL, never through the ORM."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from services.proposals.models import Campaign, Proposal, Review

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
        a.code AS arrondissement, coalesce(ST_Covers(a.geom, g.geom), false) AS whole
    FROM given g LEFT JOIN LATERAL (
        SELECT a.code, a.geom FROM reference.arrondissements a
        WHERE a.commune_code = :commune AND ST_Covers(a.geom, ST_PointOnSurface(g.geom))
        ORDER BY a.code LIMIT 1) a ON true
""")
_STORED_PLACE = text("""
    SELECT true, true, false, p.arrondissement, coalesce(ST_Covers(a.geom, p.geom), false)
    FROM proposals p LEFT JOIN reference.arrondissements a ON a.code = p.arrondissement
    WHERE p.id = :id
""")
_GEOMETRY = text("SELECT ST_AsGeoJSON(geom, 6)::json FROM proposals WHERE id = :id")
_HAS_FORUM = text("SELECT 1 FROM forums WHERE id = :forum AND campaign_id = :campaign")
# One author's proposals are counted one at a time.
_HOLD_AUTHOR = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('palabre.author.' || :campaign || :author, 0))"
)
_COUNT_OF_AUTHOR = text("""
    SELECT count(*) FROM proposals WHERE campaign_id = :campaign AND author_id = :author
    AND origin = 'web' AND status NOT IN ('draft', 'withdrawn')
""")
_ADD_AUTHOR = text("""
    INSERT INTO authors (proposal_id, user_id, role, name) VALUES (:proposal, :user, :role, :name)
    ON CONFLICT DO NOTHING
""")
_REMOVE_AUTHOR = text("DELETE FROM authors WHERE proposal_id = :proposal AND user_id = :user")
_INVITE = text(
    "INSERT INTO author_invitations (code_hash, proposal_id, made_by) "
    "VALUES (:hash, :proposal, :by)"
)
_USE_INVITATION = text("""
    UPDATE author_invitations SET used_at = now()
    WHERE code_hash = :hash AND proposal_id = :proposal AND used_at IS NULL RETURNING 1
""")
_LINEAGE = text("""
    WITH RECURSIVE up AS (
        SELECT o.id, o.ref, o.title, o.merged_into, o.hidden_at, 1 AS step
        FROM proposals p JOIN proposals o ON o.id = p.merged_into WHERE p.id = :id
        UNION ALL
        SELECT o.id, o.ref, o.title, o.merged_into, o.hidden_at, up.step + 1
        FROM up JOIN proposals o ON o.id = up.merged_into
    ), down AS (
        SELECT o.id, o.ref, o.title, o.hidden_at, 1 AS step
        FROM proposals o WHERE o.merged_into = :id
        UNION ALL
        SELECT o.id, o.ref, o.title, o.hidden_at, down.step + 1
        FROM down JOIN proposals o ON o.merged_into = down.id
    )
    SELECT 'into' AS way, step, id, ref, title FROM up WHERE hidden_at IS NULL
    UNION ALL SELECT 'merged', step, id, ref, title FROM down WHERE hidden_at IS NULL
    ORDER BY way, step, ref
""")
#: Everything that a draft has; its files go with the orphans.
_DELETE_DRAFT = (
    text("DELETE FROM attachments WHERE subject_kind = 'proposal' AND subject_id = :proposal"),
    text("DELETE FROM author_invitations WHERE proposal_id = :proposal"),
    text("DELETE FROM authors WHERE proposal_id = :proposal"),
    text("DELETE FROM follows WHERE proposal_id = :proposal"),
    text("DELETE FROM proposals WHERE id = :proposal AND status = 'draft'"),
)
_PHOTOS = text("""
    SELECT file_id FROM attachments WHERE subject_kind = 'proposal' AND subject_id = :proposal
    ORDER BY position
""")
_CAME_BY_MERGE = text("""
    SELECT 1 FROM authors
    WHERE proposal_id = :proposal AND user_id = :user AND via_merge IS NOT NULL
""")
_ADD_REVISION = text("""
    INSERT INTO revisions (proposal_id, number, kind, at, actor_kind, actor, note, content)
    VALUES (:proposal_id, :number, :kind, :at, :actor_kind, :actor, :note, CAST(:content AS jsonb))
""")

_IS_AUTHOR = text("SELECT 1 FROM authors WHERE proposal_id = :proposal AND user_id = :user")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shape lies; ``swapped``: in the country once longitude and latitude are.

    ``whole``: it lies entirely in its arrondissement.
    """

    in_commune: bool
    in_country: bool
    swapped: bool
    arrondissement: str | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One text of a proposal."""

    proposal_id: UUID
    number: int
    kind: str
    at: datetime
    actor_kind: str
    actor: UUID
    note: str
    content: Mapping[str, Any]


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


def insert_proposal(session: Session, shape: BaseGeometry, values: Mapping[str, Any]) -> bool:
    """Store a proposal; False when its ref is taken."""
    geom = func.ST_GeomFromWKB(shape.wkb, 4326)
    statement = upsert(Proposal).values(geom=geom, **values)
    stored = session.scalar(
        statement.on_conflict_do_nothing(index_elements=[Proposal.ref]).returning(Proposal.id)
    )
    return stored is not None


def lock_proposal(session: Session, proposal_id: UUID) -> Proposal:
    """Return a proposal, locked."""
    return session.get_one(Proposal, proposal_id, with_for_update=True, populate_existing=True)


def review_of(session: Session, proposal_id: UUID) -> Review | None:
    """Return the last review of a proposal."""
    return session.scalars(
        select(Review).where(Review.proposal_id == proposal_id).order_by(Review.round.desc())
    ).first()


def find_proposal(session: Session, key: UUID | str) -> Proposal | None:
    """Return a proposal by id or ref, unlocked."""
    column = Proposal.id if isinstance(key, UUID) else Proposal.ref
    return session.scalars(select(Proposal).where(column == key)).one_or_none()


def is_author(session: Session, proposal_id: UUID, user_id: UUID) -> bool:
    """Tell whether a person is one of a proposal's authors."""
    return session.scalar(_IS_AUTHOR, {"proposal": proposal_id, "user": user_id}) is not None


def place_of(session: Session, proposal_id: UUID) -> Place:
    """Return where a stored proposal lies."""
    return Place(*session.execute(_STORED_PLACE, {"id": proposal_id}).one())


def geometry_of(session: Session, proposal_id: UUID) -> dict[str, Any]:
    """Return where a proposal is, as GeoJSON."""
    found: dict[str, Any] = session.execute(_GEOMETRY, {"id": proposal_id}).scalar_one()
    return found


def change_proposal(
    session: Session,
    proposal: Proposal,
    values: Mapping[str, Any],
    shape: BaseGeometry | None,
) -> None:
    """Set columns of a locked proposal, and where it is when ``shape`` is given, at once."""
    geom = {"geom": func.ST_GeomFromWKB(shape.wkb, 4326)} if shape is not None else {}
    session.flush()
    session.execute(update(Proposal).where(Proposal.id == proposal.id).values({**values, **geom}))
    session.refresh(proposal)


def has_forum(session: Session, campaign_id: UUID, forum: UUID) -> bool:
    """Tell whether an assembly is the campaign's."""
    return session.scalar(_HAS_FORUM, {"forum": forum, "campaign": campaign_id}) is not None


def hold_author(session: Session, campaign_id: UUID, author: UUID) -> None:
    """Let no other transaction count or add this author's proposals until this one ends."""
    session.execute(_HOLD_AUTHOR, {"campaign": str(campaign_id), "author": str(author)})


def count_of_author(session: Session, campaign_id: UUID, author: UUID) -> int:
    """Return how many proposals an author has in a campaign, drafts and withdrawn ones apart."""
    values = {"campaign": campaign_id, "author": author}
    return int(session.execute(_COUNT_OF_AUTHOR, values).scalar_one())


def add_author(session: Session, proposal_id: UUID, user: UUID, role: str, name: str) -> None:
    """Add somebody to a proposal's authors, once."""
    values = {"proposal": proposal_id, "user": user, "role": role, "name": name}
    session.execute(_ADD_AUTHOR, values)


def remove_author(session: Session, proposal_id: UUID, user: UUID) -> None:
    """Take somebody from a proposal's authors."""
    session.execute(_REMOVE_AUTHOR, {"proposal": proposal_id, "user": user})


def add_invitation(session: Session, code_hash: bytes, proposal_id: UUID, by: UUID) -> None:
    """Keep the hash of an invitation's code."""
    session.execute(_INVITE, {"hash": code_hash, "proposal": proposal_id, "by": by})


def use_invitation(session: Session, code_hash: bytes, proposal_id: UUID) -> bool:
    """Use an invitation up; False when there is none of a proposal's left with this hash."""
    values = {"hash": code_hash, "proposal": proposal_id}
    return session.scalar(_USE_INVITATION, values) is not None


def add_revision(session: Session, values: Mapping[str, Any]) -> None:
    """Add a revision."""
    content = json.dumps(values["content"], ensure_ascii=False)
    session.execute(_ADD_REVISION, {**values, "content": content})


def photos_of(session: Session, proposal_id: UUID) -> list[UUID]:
    """Return a proposal's photos in order."""
    return list(session.scalars(_PHOTOS, {"proposal": proposal_id}))


def came_by_merge(session: Session, proposal_id: UUID, user_id: UUID) -> bool:
    """Tell whether somebody writes a proposal only since theirs was merged into it."""
    values = {"proposal": proposal_id, "user": user_id}
    return session.scalar(_CAME_BY_MERGE, values) is not None


def delete_draft(session: Session, proposal_id: UUID) -> None:
    """Delete a locked draft."""
    for statement in _DELETE_DRAFT:
        session.execute(statement, {"proposal": proposal_id})


def lineage(session: Session, proposal_id: UUID) -> dict[str, Any]:
    """Return where a proposal went and what came into it, each ``{id, ref, title}``.

    ``into``: what it was merged into, or None; ``chain``: that and what that went on in, to the
    last; ``merged``: all that goes on in it, what came at first hand before what came with that.
    """
    found: dict[str, list[dict[str, Any]]] = {"into": [], "merged": []}
    for row in session.execute(_LINEAGE, {"id": proposal_id}):
        found[row.way].append({"id": row.id, "ref": row.ref, "title": row.title})
    chain = found["into"]
    return {"into": chain[0] if chain else None, "chain": chain, "merged": found["merged"]}
