"""What readers see of proposals: lists as GeoJSON made in SQL, one proposal with all about it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.proposals import access, domain, repository
from services.proposals.errors import ProposalNotFound, RevisionNotFound
from services.proposals.models import Campaign, Proposal
from services.proposals.schemas import ProposalDetail

#: The columns anyone may see: authors and endorsers are not among them.
_FEATURE = """
    json_build_object('type', 'Feature', 'id', p.id, 'geometry', ST_AsGeoJSON(p.geom, 6)::json,
        'properties', json_build_object('id', p.id, 'ref', p.ref, 'campaign', p.campaign_id,
            'commune', p.commune, 'arrondissement', p.arrondissement, 'title', p.title,
            'theme', p.theme, 'estimated_cost', p.estimated_cost, 'cost', p.cost,
            'number', p.number, 'status', p.status, 'endorsements', p.endorsements,
            'comments', p.comments, 'envelope', p.envelope_id, 'origin', p.origin,
            'author_kind', p.author_kind, 'hotspot', p.hotspot, 'submitted_at', p.submitted_at,
            'photo', (SELECT a.file_id FROM attachments a
                WHERE a.subject_kind = 'proposal' AND a.subject_id = p.id AND NOT a.hidden
                ORDER BY a.position LIMIT 1))) AS feature
"""
_AT = "coalesce(p.submitted_at, p.created_at)"
#: How a list may be sorted, first come first: the column that the cursor holds.
SORTS: Mapping[str, str] = {
    "newest": _AT,
    "endorsed": "p.endorsements",
    "discussed": "p.comments",
    "number": "-coalesce(p.number, 2147483647)",
}
_TYPES: Mapping[str, str] = {"newest": "timestamptz"}
_FILTERS: Mapping[str, str] = {
    "campaign": "p.campaign_id = :campaign",
    "commune": "p.commune = :commune",
    "status": "p.status = ANY(:status)",
    "envelope": "p.envelope_id = :envelope",
    "theme": "p.theme = :theme",
    "arrondissement": "p.arrondissement = :arrondissement",
    "origin": "p.origin = :origin",
    "q": "(p.words @@ websearch_to_tsquery('fr', :q) OR fold(p.title) LIKE "
    "'%' || replace(replace(replace(fold(:q), '\\', '\\\\'), '%', '\\%'), '_', '\\_') || '%')",
    "readable": "((p.status <> 'draft' AND p.hidden_at IS NULL) OR p.commune = ANY(:communes) "
    "OR '*' = ANY(:communes) OR EXISTS "
    "(SELECT FROM authors a WHERE a.proposal_id = p.id AND a.user_id = :reader))",
}

_DETAIL = text("""
    SELECT p.id, p.ref, p.campaign_id, p.commune, p.arrondissement, p.status, p.title, p.need,
        p.description, p.beneficiaries, p.theme, p.estimated_cost, p.cost_lines, p.cost, p.number,
        p.endorsements, p.comments, p.reports, p.hotspot, p.origin, p.revision, p.version,
        p.submitted_at, ST_AsGeoJSON(p.geom, 6)::json AS geometry,
        ST_X(ST_PointOnSurface(p.geom)) AS lon, ST_Y(ST_PointOnSurface(p.geom)) AS lat,
        p.hidden_at IS NOT NULL AS hidden, p.threshold_reached_at,
        json_build_object('kind', p.author_kind, 'name', p.author_name) AS author,
        (SELECT json_build_object('id', e.id, 'name', e.name, 'amount', e.amount, 'kind', e.kind,
            'arrondissement', e.arrondissement, 'theme', e.theme)
         FROM envelopes e WHERE e.id = p.envelope_id) AS envelope,
        (SELECT json_build_object('id', f.id, 'name', f.name, 'place', f.place,
            'held_on', f.held_on, 'women', f.women, 'men', f.men, 'youth', f.youth)
         FROM forums f WHERE f.id = p.forum_id) AS forum,
        coalesce((SELECT json_agg(json_build_object('name', a.name) ORDER BY a.joined_at)
         FROM authors a WHERE a.proposal_id = p.id AND a.role = 'coauthor'), '[]') AS coauthors,
        coalesce((SELECT json_agg(json_build_object('id', f.id, 'alt', a.alt) ORDER BY a.position)
         FROM attachments a JOIN files f ON f.id = a.file_id
         WHERE a.subject_kind = 'proposal' AND a.subject_id = p.id AND NOT a.hidden
         AND f.kind = 'photo'), '[]') AS photos,
        coalesce((SELECT json_agg(json_build_object('round', r.round, 'outcome', r.outcome,
            'reason', r.reason, 'cost', r.cost, 'reviewed_at', r.reviewed_at,
            'criteria', r.criteria) ORDER BY r.round)
         FROM reviews r WHERE r.proposal_id = p.id), '[]') AS reviews,
        (SELECT json_build_object('answer', a.answer, 'at', a.at)
         FROM review_answers a WHERE a.proposal_id = p.id) AS answer,
        (SELECT w.ref FROM works w WHERE w.proposal_id = p.id) AS work,
        EXISTS (SELECT FROM authors a WHERE a.proposal_id = p.id AND a.user_id = :reader) AS mine,
        EXISTS (SELECT FROM endorsements e
            WHERE e.proposal_id = p.id AND e.user_id = :reader) AS endorsed,
        EXISTS (SELECT FROM follows f
            WHERE f.proposal_id = p.id AND f.user_id = :reader) AS following
    FROM proposals p WHERE p.id = :id
""")
_MINE = text("""
    SELECT p.id, p.ref, p.title, p.status, p.campaign_id AS campaign, p.commune, p.endorsements,
        p.comments, p.revision, p.hidden_at IS NOT NULL AS hidden,
        greatest(p.created_at, p.submitted_at,
            (SELECT max(o.time) FROM outbox o WHERE o.subject = p.id::text)) AS changed_at,
        EXISTS (SELECT FROM authors a WHERE a.proposal_id = p.id AND a.user_id = :reader) AS mine,
        EXISTS (SELECT FROM endorsements e
            WHERE e.proposal_id = p.id AND e.user_id = :reader) AS endorsed,
        EXISTS (SELECT FROM follows f
            WHERE f.proposal_id = p.id AND f.user_id = :reader) AS following
    FROM proposals p WHERE p.id IN (
        SELECT proposal_id FROM authors WHERE user_id = :reader
        UNION SELECT proposal_id FROM endorsements WHERE user_id = :reader
        UNION SELECT proposal_id FROM follows WHERE user_id = :reader)
        AND (p.hidden_at IS NULL OR p.id IN (
            SELECT proposal_id FROM authors WHERE user_id = :reader))
    ORDER BY changed_at DESC, p.id DESC LIMIT 200
""")
_REVISIONS = text("""
    SELECT number, kind, at, actor_kind AS by, note, content FROM revisions
    WHERE proposal_id = :proposal ORDER BY number
""")


def features(
    session: Session,
    values: Mapping[str, Any],
    reader: Principal | None,
    sort: str,
    after: tuple[Any, UUID] | None,
    limit: int,
) -> list[tuple[Any, UUID, dict[str, Any]]]:
    """Return ``(place, id, feature)`` of what ``reader`` may see, as ``values`` filter it.

    ``place`` is the value sorted by: with the id, where the next page begins.
    """
    column = SORTS[sort]
    given = dict(values)
    given["reader"] = reader.user_id if reader else None
    given["communes"] = access.communes_of(reader) if reader else []
    where = [_FILTERS[name] for name in (*values, "readable")]
    if after is not None:
        kind = _TYPES.get(sort, "bigint")
        where.append(f"({column}, p.id) < (CAST(:after_at AS {kind}), CAST(:after_id AS uuid))")
        given["after_at"], given["after_id"] = after
    rows = session.execute(
        text(
            f"SELECT {column} AS place, p.id, {_FEATURE} FROM proposals p "  # noqa: S608
            f"WHERE {' AND '.join(where)} ORDER BY place DESC, p.id DESC LIMIT :limit"
        ),
        {**given, "limit": limit},
    )
    return [(row.place, row.id, row.feature) for row in rows]


def detail(session: Session, key: UUID | str, reader: Principal | None = None) -> ProposalDetail:
    """Return one proposal with all that ``reader`` may know of it."""
    proposal = access.find(session, key, reader)
    person = reader.user_id if reader else None
    row = session.execute(_DETAIL, {"id": proposal.id, "reader": person}).one()
    campaign = session.get_one(Campaign, proposal.campaign_id)
    line = repository.lineage(session, proposal.id)
    return ProposalDetail.model_validate(
        {
            **row._mapping,
            "merged_into": line["into"],
            "chain": line["chain"],
            "merged": line["merged"],
            "review": row.reviews[-1] if row.reviews else None,
            "may": _may(session, campaign, proposal, reader),
        }
    )


#: What a reviewer may do, by a proposal's status; the sheet of its review tells exactly.
_DECIDABLE: Mapping[str, set[str]] = {
    "submitted": {"review"},
    "shortlisted": {"reconsider"},
    "not_feasible": {"reconsider"},
}


def _may(
    session: Session, campaign: Campaign, proposal: Proposal, reader: Principal | None
) -> list[str]:
    """Return what this reader may do with a proposal now, in the words of the phase table."""
    if reader is None:
        return []
    open_to = domain.RULES[campaign.phase].open_to
    found = {"endorse", "discuss"} if proposal.status == "submitted" else {"discuss"}
    if proposal.status == "shortlisted":
        found.add("endorse")
    if access.speaks_for(session, proposal, reader):
        found |= {"edit", "merge", "answer"}
        if proposal.status == "draft":
            found = {"draft", "submit"}
    if reader.can(access.REVIEW, proposal.commune):
        found |= _DECIDABLE.get(proposal.status, set())
    if proposal.status == "draft" and access.is_agent(reader, proposal.commune):
        found.add("prepare")
    return sorted(found & open_to)


def mine(session: Session, reader: Principal) -> list[dict[str, Any]]:
    """Return what a person wrote, endorses or follows, the latest change first."""
    rows = session.execute(_MINE, {"reader": reader.user_id})
    return [dict(row._mapping) for row in rows]


def revisions(session: Session, key: UUID | str, reader: Principal | None) -> list[dict[str, Any]]:
    """Return a proposal's texts in order, without their words: what each of them changed."""
    found = _revisions(session, key, reader)
    empty: Mapping[str, Any] = {}
    before: Sequence[Mapping[str, Any]] = [empty, *(one["content"] for one in found)]
    return [
        {
            **{name: value for name, value in one.items() if name != "content"},
            "changed": _changed(old, one["content"]) if old else [],
        }
        for old, one in zip(before, found, strict=False)
    ]


def revision(
    session: Session, key: UUID | str, number: int, reader: Principal | None
) -> dict[str, Any]:
    """Return one text of a proposal and how it differs from the one before, word by word."""
    found = _revisions(session, key, reader)
    if not 1 <= number <= len(found):
        raise RevisionNotFound
    one = found[number - 1]
    old = found[number - 2]["content"] if number > 1 else one["content"]
    return {
        **one,
        "diff": [_difference(name, old, one["content"]) for name in _changed(old, one["content"])],
    }


def _revisions(session: Session, key: UUID | str, reader: Principal | None) -> list[dict[str, Any]]:
    proposal = access.find(session, key, reader)
    if proposal.status == "draft":
        raise ProposalNotFound
    rows = session.execute(_REVISIONS, {"proposal": proposal.id})
    return [dict(row._mapping) for row in rows]


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in after if after[name] != before.get(name)]


def _difference(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    old, new = before.get(name), after[name]
    segments: list[tuple[Any, str]] = []
    if name in domain.TEXTS and isinstance(old, str) and isinstance(new, str):
        segments = list(domain.word_diff(old, new))
    return {"field": name, "before": old, "after": new, "segments": segments}
