"""Find proposals like one being written, in one statement over the indexes of titles and words.

The likeness of two texts is, half and half,

- the trigrams that their titles share (pg_trgm), without accents or case: spelling, plurals;
- the stems that they share (``fr``), in any order, as a Dice coefficient in which a stem weighs
  ln(1 + N / n), being in n of the N proposals compared: that a campaign is full of lamps says
  little. A stem in both titles counts wholly, in one title and the other text a quarter, in both
  texts a twentieth.

Distance then takes up to two fifths of it away (see :mod:`services.proposals.merging.domain`):
the same work is wanted in many places.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.proposals.domain import LISTED
from services.proposals.merging import domain

# Stems of one letter are what unaccenting leaves of "à": no matter of a proposal.
_SIMILAR = text(r"""
    WITH given AS (
        SELECT fold(CAST(:title AS text)) AS title,
            setweight(to_tsvector('fr', CAST(:title AS text)), 'A')
            || setweight(to_tsvector('fr', CAST(:description AS text)), 'B') AS words,
            CAST(ST_SetSRID(ST_Point(CAST(:lon AS float8), CAST(:lat AS float8)), 4326)
                AS geography) AS place
    ), asked AS MATERIALIZED (
        SELECT lexeme, 'A' = ANY(weights) AS head
        FROM given, unnest(words) WHERE length(lexeme) > 1
    ), query AS MATERIALIZED (
        SELECT CAST(string_agg(
            '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')
            AS tsquery) AS any_word
        FROM asked
    ), candidates AS MATERIALIZED (
        SELECT p.id, p.ref, p.title, p.status, p.theme, p.endorsements, p.words, p.geom,
            similarity(fold(p.title), g.title) AS letters
        FROM given g, query q, proposals p
        WHERE (p.words @@ (SELECT any_word FROM query)
                OR fold(p.title) % fold(CAST(:title AS text)))
            AND p.campaign_id = :campaign AND p.status = ANY(:listed) AND p.hidden_at IS NULL
            AND p.id IS DISTINCT FROM CAST(:without AS uuid)
        ORDER BY similarity(fold(p.title), g.title)
            + coalesce(ts_rank(p.words, q.any_word), 0) DESC, p.id
        LIMIT :compared
    ), held AS MATERIALIZED (
        SELECT c.id, u.lexeme, 'A' = ANY(u.weights) AS head
        FROM candidates c, unnest(c.words) u WHERE length(u.lexeme) > 1
    ), rarity AS MATERIALIZED (
        SELECT lexeme, ln(1 + (SELECT count(*) FROM candidates)
            / greatest(count(id), 1)::float8) AS weight
        FROM (SELECT lexeme, id FROM held UNION ALL SELECT lexeme, NULL FROM asked) one
        GROUP BY lexeme
    ), shared AS (
        SELECT h.id,
            coalesce(sum(r.weight) FILTER (WHERE h.head), 0)
            + (SELECT coalesce(sum(weight), 0) FROM asked JOIN rarity USING (lexeme)
               WHERE head) AS all_heads,
            coalesce(sum(r.weight * CASE
                WHEN a.head AND h.head THEN 2 WHEN a.head OR h.head THEN 0.5 ELSE 0.1 END)
                FILTER (WHERE a.lexeme IS NOT NULL), 0) AS common
        FROM held h JOIN rarity r USING (lexeme) LEFT JOIN asked a USING (lexeme)
        GROUP BY h.id
    ), placed AS (
        SELECT c.*, ST_Distance(CAST(c.geom AS geography), g.place) AS distance
        FROM candidates c, given g
    ), scored AS (
        SELECT c.*, (:letters * c.letters + (1 - :letters)
            * coalesce(least(1, s.common / nullif(s.all_heads, 0)), 0))
            * coalesce(:far + (1 - :far) * power(2, -c.distance / :half_way), 1) AS score
        FROM placed c LEFT JOIN shared s USING (id)
    )
    SELECT id, ref, title, status, theme, endorsements,
        CAST(round(distance) AS int) AS distance_m,
        CAST(round(CAST(score AS numeric), 3) AS float8) AS score
    FROM scored WHERE score >= :shown ORDER BY scored.score DESC, id LIMIT :limit
""")


def similar(
    session: Session,
    campaign: UUID,
    title: str,
    description: str,
    place: tuple[float, float] | None,
    without: UUID | None,
    limit: int,
) -> list[Row[Any]]:
    """Return the campaign's listed proposals like these texts, the likest first.

    ``place``: longitude and latitude in degrees; ``without``: a proposal left out.
    """
    lon, lat = place or (None, None)
    values = {
        "campaign": campaign,
        "title": title,
        "description": description[: domain.DESCRIPTION_READ],
        "lon": lon,
        "lat": lat,
        "without": without,
        "listed": list(LISTED),
        "compared": domain.COMPARED,
        "letters": domain.LETTERS,
        "far": domain.FAR,
        "half_way": domain.HALF_WAY_M,
        "shown": domain.SHOWN,
        "limit": limit,
    }
    return list(session.execute(_SIMILAR, values))
