"""Queries of endorsements, comments, abuse reports, decisions and follows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.proposals.discussion.domain import (
    REPLIES_SHOWN,
    URGENT,
    Line,
    Sort,
    Stance,
    Subject,
)
from services.proposals.domain import LISTED, Reason

# One look with the campaign's row held shared: the hot path loads no objects.
_HEAD = """
    SELECT p.id, p.status, p.hidden_at, c.phase, c.endorsements_needed
    FROM proposals p JOIN campaigns c ON c.id = p.campaign_id WHERE p.{} = :key FOR SHARE OF c
"""
_HEADS = {UUID: text(_HEAD.format("id")), str: text(_HEAD.format("ref"))}

# What hides, merges or withdraws the proposal holds its row: this statement sees it done.
_ENDORSE = text("""
    WITH new AS (
        INSERT INTO endorsements (proposal_id, user_id, at)
        VALUES (:proposal, :user, coalesce(:at, now())) ON CONFLICT DO NOTHING RETURNING 1
    )
    UPDATE proposals SET endorsements = endorsements + (SELECT count(*) FROM new)
    WHERE id = :proposal AND status = ANY(:open) AND hidden_at IS NULL
    RETURNING endorsements, threshold_reached_at
""")
_TAKE_BACK = text("""
    WITH gone AS (
        DELETE FROM endorsements WHERE proposal_id = :proposal AND user_id = :user RETURNING 1
    )
    UPDATE proposals SET endorsements = endorsements - (SELECT count(*) FROM gone)
    WHERE id = :proposal RETURNING endorsements
""")

#: How lists are sorted: the column, its type, and the way it goes.
_ORDERS: Mapping[Sort, tuple[str, str, str]] = {
    "newest": ("c.created_at", "timestamptz", "DESC"),
    "oldest": ("c.created_at", "timestamptz", "ASC"),
    "useful": ("c.useful", "int", "DESC"),
}
_COMMENT = """
    c.id, c.proposal_id, c.parent_id, c.depth, c.user_id, c.name, c.stance, c.body, c.useful,
    c.created_at, c.hidden_at, c.withdrawn_at,
    (SELECT count(*) FROM comments k WHERE k.parent_id = c.id) AS children,
    EXISTS (SELECT FROM comment_marks m WHERE m.comment_id = c.id AND m.user_id = :reader) AS marked
"""
# A reply is younger than what it answers: the first of a thread never lack their parent.
_REPLIES = text(f"""
    WITH near AS (
        SELECT r.id, r.created_at, r.parent_id AS root FROM comments r
        WHERE r.parent_id = ANY(:roots)
        UNION ALL
        SELECT r.id, r.created_at, p.parent_id FROM comments p
        JOIN comments r ON r.parent_id = p.id WHERE p.parent_id = ANY(:roots)
    ), ranked AS (
        SELECT id, row_number() OVER (PARTITION BY root ORDER BY created_at, id) AS place FROM near
    )
    SELECT {_COMMENT} FROM ranked JOIN comments c USING (id)
    WHERE place <= {REPLIES_SHOWN} ORDER BY c.created_at, c.id
""")  # noqa: S608 - a number of ours
_FIND = text("""
    SELECT id, proposal_id, parent_id, depth, user_id, hidden_at, withdrawn_at
    FROM comments WHERE id = :id
""")
_STANCES = text("""
    SELECT stance, count(*) AS n FROM comments
    WHERE proposal_id = :proposal AND hidden_at IS NULL AND withdrawn_at IS NULL GROUP BY stance
""")
_ADD = text("""
    INSERT INTO comments (id, proposal_id, parent_id, depth, user_id, name, stance, body,
        created_at)
    VALUES (:id, :proposal, :parent, :depth, :user, :name, :stance, :body, :at)
""")
_EMPTY = text("""
    UPDATE comments SET withdrawn_at = :at, body = '', name = '', stance = 'neutral', useful = 0
    WHERE id = :id
""")
_HAS_REPLIES = text("SELECT EXISTS (SELECT FROM comments WHERE parent_id = :id)")
# Who marks a comment and who takes it away wait here for each other.
_HOLD = text("SELECT FROM comments WHERE id = :id FOR UPDATE")
_FORGET_MARKS = text("DELETE FROM comment_marks WHERE comment_id = :id")
_FORGET = text("DELETE FROM comments WHERE id = :id RETURNING parent_id")
_HIDE = text("UPDATE comments SET hidden_at = :at WHERE id = :id")
_MARK = text("""
    WITH new AS (
        INSERT INTO comment_marks (comment_id, user_id) VALUES (:id, :user)
        ON CONFLICT DO NOTHING RETURNING 1
    )
    UPDATE comments SET useful = useful + (SELECT count(*) FROM new)
    WHERE id = :id AND hidden_at IS NULL AND withdrawn_at IS NULL RETURNING useful
""")

_REPORT = text("""
    INSERT INTO abuse_reports (id, subject_kind, subject_id, proposal_id, commune, user_id, reason,
        note, created_at)
    VALUES (:id, :kind, :subject, :proposal, :commune, :user, :reason, :note, :at)
    ON CONFLICT (subject_kind, subject_id, user_id) WHERE handled_at IS NULL DO NOTHING
    RETURNING 1
""")
_HANDLE = text("""
    UPDATE abuse_reports SET handled_at = :at
    WHERE subject_kind = :kind AND subject_id = :subject AND handled_at IS NULL RETURNING 1
""")

_ADD_LINE = text("""
    INSERT INTO moderation_log (id, subject_kind, subject_id, proposal_id, commune, action, reason,
        note, actor, at)
    VALUES (:id, :kind, :subject, :proposal, :commune, :action, :reason, :note, :actor, :at)
""")
_LINES = text("""
    SELECT l.subject_kind, l.subject_id, l.action, l.actor, l.reason, l.note, l.at
    FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS uuid[])) AS s (kind, subject)
    JOIN moderation_log l ON l.subject_kind = s.kind AND l.subject_id = s.subject
    ORDER BY l.at, l.id
""")
_LOG = text("""
    SELECT subject_kind AS subject, subject_id AS id, action, reason,
        CASE WHEN action = 'appeal' THEN '' ELSE note END AS note, at
    FROM moderation_log WHERE proposal_id = :proposal ORDER BY at DESC, moderation_log.id DESC
    LIMIT 500
""")
# What is urgent first, then what waits longest: ``place`` sorts as text and is the cursor.
_QUEUE = text("""
    WITH reported AS (
        SELECT subject_kind, subject_id, proposal_id, min(created_at) AS since,
            bool_or(reason = ANY(:urgent)) AS urgent, count(*) AS reports, NULL AS appeal
        FROM abuse_reports WHERE commune = :commune AND handled_at IS NULL
        GROUP BY subject_kind, subject_id, proposal_id
    ), appealed AS (
        SELECT subject_kind, subject_id, proposal_id, at AS since, false AS urgent, 0 AS reports,
            note AS appeal
        FROM moderation_log a WHERE commune = :commune AND action = 'appeal' AND NOT EXISTS (
            SELECT FROM moderation_log l WHERE l.subject_kind = a.subject_kind
            AND l.subject_id = a.subject_id AND (l.at, l.id) > (a.at, a.id))
    ), waiting AS (
        SELECT *, (CASE WHEN urgent THEN '0' ELSE '1' END
            || to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')) COLLATE "C" AS place
        FROM (SELECT * FROM reported UNION ALL SELECT * FROM appealed) u
    )
    SELECT w.subject_kind, w.subject_id, w.proposal_id, w.since, w.urgent, w.reports, w.appeal,
        w.place, p.ref, p.title,
        CASE WHEN c.id IS NULL THEN EXISTS (SELECT FROM authors a
            WHERE a.proposal_id = p.id AND a.user_id = :reader)
        ELSE c.user_id = :reader END AS own,
        coalesce(c.body, concat_ws(E'\\n\\n', p.title, nullif(p.need, ''), p.description,
            nullif(p.beneficiaries, ''))) AS words,
        coalesce(c.name, p.author_name) AS name,
        coalesce(c.created_at, p.submitted_at) AS written_at,
        (CASE WHEN c.id IS NULL THEN p.hidden_at ELSE c.hidden_at END) IS NOT NULL AS hidden,
        coalesce((SELECT jsonb_object_agg(g.reason, g.n) FROM (
            SELECT r.reason, count(*) AS n FROM abuse_reports r
            WHERE r.subject_kind = w.subject_kind AND r.subject_id = w.subject_id
            AND r.handled_at IS NULL GROUP BY r.reason) g), '{}') AS reasons,
        ARRAY(SELECT r.note FROM abuse_reports r
            WHERE r.subject_kind = w.subject_kind AND r.subject_id = w.subject_id
            AND r.handled_at IS NULL AND r.note <> '' ORDER BY r.created_at LIMIT 10) AS notes
    FROM waiting w JOIN proposals p ON p.id = w.proposal_id
    LEFT JOIN comments c ON w.subject_kind = 'comment' AND c.id = w.subject_id
    WHERE (w.subject_kind = 'proposal' OR (c.id IS NOT NULL AND c.withdrawn_at IS NULL))
    AND (CAST(:after_id AS uuid) IS NULL
        OR (w.place, w.subject_id) > (:after_place COLLATE "C", CAST(:after_id AS uuid)))
    ORDER BY w.place, w.subject_id LIMIT :limit
""")

_FOLLOW = text("""
    INSERT INTO follows (proposal_id, user_id) VALUES (:proposal, :user) ON CONFLICT DO NOTHING
""")
_UNFOLLOW = """
    DELETE FROM follows f USING proposals p
    WHERE f.proposal_id = p.id AND f.user_id = :user AND p.{} = :key RETURNING 1
"""
_UNFOLLOWS = {UUID: text(_UNFOLLOW.format("id")), str: text(_UNFOLLOW.format("ref"))}
# A proposal's first event is that it came: no news for who wrote it.
_NEWS = text("""
    WITH mine AS (
        SELECT proposal_id, min(since) AS since, bool_or(wrote) AS wrote FROM (
            SELECT proposal_id, since, false AS wrote FROM follows WHERE user_id = :user
            UNION ALL SELECT proposal_id, at, false FROM endorsements WHERE user_id = :user
            UNION ALL SELECT proposal_id, joined_at, true FROM authors WHERE user_id = :user) a
        GROUP BY proposal_id
    )
    SELECT p.id, p.ref, p.title, p.status, p.comments, p.revision, o.time AS changed_at, m.since
    FROM mine m JOIN proposals p ON p.id = m.proposal_id
    CROSS JOIN LATERAL (
        SELECT time, sequence FROM outbox WHERE subject = p.id::text
        ORDER BY sequence DESC LIMIT 1) o
    WHERE o.time > m.since AND o.sequence > 1 AND (p.hidden_at IS NULL OR m.wrote)
    ORDER BY o.time DESC, p.id DESC LIMIT :limit
""")


def head(session: Session, key: UUID | str) -> Row[Any] | None:
    """Return a proposal's ``id, status, hidden_at, phase, endorsements_needed``, by id or ref.

    Its campaign is held shared: the phase stays.
    """
    return session.execute(_HEADS[type(key)], {"key": key}).one_or_none()


def endorse(
    session: Session, proposal_id: UUID, user_id: UUID, at: datetime | None
) -> Row[Any] | None:
    """Count a person once behind a proposal; return ``endorsements, threshold_reached_at``.

    None where the proposal is no more to be endorsed: the caller rolls back.
    """
    values = {"proposal": proposal_id, "user": user_id, "at": at, "open": list(LISTED)}
    return session.execute(_ENDORSE, values).one_or_none()


def take_back(session: Session, proposal_id: UUID, user_id: UUID) -> int:
    """Count a person no more behind a proposal; return the total."""
    values = {"proposal": proposal_id, "user": user_id}
    return int(session.execute(_TAKE_BACK, values).scalar_one())


def comments(
    session: Session,
    proposal_id: UUID,
    parent: UUID | None,
    reader: UUID | None,
    sort: Sort,
    after: tuple[Any, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the comments of a proposal's first level, or the replies to ``parent``."""
    column, kind, way = _ORDERS[sort]
    where = "c.parent_id IS NULL" if parent is None else "c.parent_id = :parent"
    sign = ">" if way == "ASC" else "<"
    if after:
        where += f" AND ({column}, c.id) {sign} (CAST(:place AS {kind}), CAST(:last AS uuid))"
    query = text(
        f"SELECT {_COMMENT} FROM comments c WHERE c.proposal_id = :proposal AND {where} "  # noqa: S608
        f"ORDER BY {column} {way}, c.id {way} LIMIT :limit"
    )
    place, last = after or (None, None)
    values = {"proposal": proposal_id, "parent": parent, "reader": reader, "limit": limit}
    return session.execute(query, {**values, "place": place, "last": last}).all()


def replies(session: Session, roots: Collection[UUID], reader: UUID | None) -> Sequence[Row[Any]]:
    """Return the first :data:`REPLIES_SHOWN` replies below each of ``roots``, oldest first."""
    return session.execute(_REPLIES, {"roots": list(roots), "reader": reader}).all()


def find_comment(session: Session, comment_id: UUID) -> Row[Any] | None:
    """Return a comment without its words. Who holds its proposal's row sees it as it stays."""
    return session.execute(_FIND, {"id": comment_id}).one_or_none()


def stances(session: Session, proposal_id: UUID) -> dict[Stance, int]:
    """Return how many comments that all can read have each stance."""
    rows = session.execute(_STANCES, {"proposal": proposal_id})
    return {row.stance: row.n for row in rows}


def add_comment(session: Session, **values: Any) -> None:
    """Store a comment."""
    session.execute(_ADD, values)


def has_replies(session: Session, comment_id: UUID) -> bool:
    """Tell whether anything answers a comment."""
    return bool(session.scalar(_HAS_REPLIES, {"id": comment_id}))


def empty_comment(session: Session, comment_id: UUID, at: datetime) -> None:
    """Take a comment's words away and leave its place."""
    session.execute(_HOLD, {"id": comment_id})
    session.execute(_FORGET_MARKS, {"id": comment_id})
    session.execute(_EMPTY, {"id": comment_id, "at": at})


def forget_comment(session: Session, comment_id: UUID) -> UUID | None:
    """Delete a comment without replies; return what it answered."""
    session.execute(_HOLD, {"id": comment_id})
    session.execute(_FORGET_MARKS, {"id": comment_id})
    parent: UUID | None = session.execute(_FORGET, {"id": comment_id}).scalar_one()
    return parent


def set_hidden(session: Session, comment_id: UUID, at: datetime | None) -> None:
    """Hide a comment, or show it again."""
    session.execute(_HIDE, {"id": comment_id, "at": at})


def mark(session: Session, comment_id: UUID, user_id: UUID) -> int | None:
    """Count a person once who finds a comment useful; None where it cannot be read any more."""
    if session.execute(_HOLD, {"id": comment_id}).one_or_none() is None:
        return None
    return session.execute(_MARK, {"id": comment_id, "user": user_id}).scalar_one_or_none()


def add_abuse_report(session: Session, **values: Any) -> bool:
    """Store a report; False where one of this person's about this subject waits already."""
    return session.scalar(_REPORT, values) is not None


def handle_reports(session: Session, kind: Subject, subject: UUID, at: datetime) -> int:
    """Mark a subject's open reports as decided on; return how many there were."""
    values = {"kind": kind, "subject": subject, "at": at}
    return len(session.execute(_HANDLE, values).all())


def add_line(session: Session, **values: Any) -> None:
    """Add a line to the log."""
    session.execute(_ADD_LINE, values)


def lines(
    session: Session, subjects: Iterable[tuple[Subject, UUID]]
) -> dict[tuple[Subject, UUID], list[Line]]:
    """Return the log of each of ``subjects``, oldest line first; those without one are left out."""
    given = list(subjects)
    values = {"kinds": [kind for kind, _ in given], "subjects": [one for _, one in given]}
    found: dict[tuple[Subject, UUID], list[Line]] = {}
    for row in session.execute(_LINES, values):
        line = Line(row.action, row.actor, row.reason, row.note, row.at)
        found.setdefault((row.subject_kind, row.subject_id), []).append(line)
    return found


def public_log(session: Session, proposal_id: UUID) -> Sequence[Row[Any]]:
    """Return what was decided about a proposal and its comments, newest first, without names."""
    return session.execute(_LOG, {"proposal": proposal_id}).all()


def queue(
    session: Session,
    commune: str,
    reader: UUID,
    after: tuple[str, UUID] | None,
    limit: int,
    urgent: Collection[Reason] = URGENT,
) -> Sequence[Row[Any]]:
    """Return what waits for a commune's decision; each row's ``place`` leads to the next.

    ``own`` are the words of ``reader``.
    """
    place, last = after or ("", None)
    values = {
        "commune": commune,
        "reader": reader,
        "urgent": list(urgent),
        "limit": limit,
    }
    return session.execute(_QUEUE, {**values, "after_place": place, "after_id": last}).all()


def follow(session: Session, proposal_id: UUID, user_id: UUID) -> None:
    """Let a person follow a proposal."""
    session.execute(_FOLLOW, {"proposal": proposal_id, "user": user_id})


def unfollow(session: Session, key: UUID | str, user_id: UUID) -> bool:
    """Let a person follow a proposal no more; False where they did not."""
    return session.scalar(_UNFOLLOWS[type(key)], {"key": key, "user": user_id}) is not None


def news(session: Session, user_id: UUID, limit: int = 50) -> Sequence[Row[Any]]:
    """Return the proposals that a person follows, endorses or wrote and that changed since.

    Rows of ``id, ref, title, status, comments, revision, changed_at, since``, newest first.
    """
    return session.execute(_NEWS, {"user": user_id, "limit": limit}).all()
