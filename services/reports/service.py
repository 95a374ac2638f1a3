"""Use cases of reports. Nothing here commits: the request's session does."""

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event, EventData, new_event, new_traceparent
from services.common.ids import new_id, new_ref
from services.common.problems import Forbidden, Invalid
from services.common.requests import id_or_ref
from services.reports import domain, repository
from services.reports.calendar import working_day_after
from services.reports.errors import (
    ChangedMeanwhile,
    CommuneTooFar,
    MergeRefused,
    NotMerged,
    OutsideCountry,
    ReportNotFound,
    TransitionNotAllowed,
    UnknownArrondissement,
    UnknownCommune,
    UnknownPhoto,
)
from services.reports.events import (
    ReportCorrected,
    ReportStatusChanged,
    ReportVisibilityChanged,
    Shown,
)
from services.reports.models import HistoryLine, Report
from services.reports.schemas import (
    Contact,
    Correction,
    Created,
    HistoryOut,
    LinkedProposal,
    Mine,
    NewReport,
    Personal,
    Photo,
    Preview,
    PreviewIn,
    Redaction,
    ReportDetail,
    Staff,
    StatusUpdate,
    Unmerge,
    Voice,
)

SOURCE = repository.SOURCE
MANAGE = "reports.manage"
HELD = "held_events"
_REF_TRIES = 3
MINE = 100


def new_row(
    body: NewReport,
    *,
    reporter: UUID | None,
    follow_up_token: str | None = None,
    channel: domain.Channel = "web",
    attributes: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    **claim: Any,
) -> repository.NewRow:
    """Make the row of a new report; ``claim`` holds its limit and Idempotency-Key.

    ``at`` is now except for imports. The follow-up token is stored hashed.
    """
    category = domain.CATEGORIES[body.category]
    now = at or datetime.now(UTC)
    return repository.NewRow(
        id=new_id(),
        ref=new_ref("S", 7),
        event_id=new_id(),
        traceparent=new_traceparent(),
        category=body.category,
        description=body.description,
        at=now,
        agency=category.agency,
        answer_due_at=working_day_after(now, category.answer_days),
        due_at=working_day_after(now, category.repair_days),
        lon=body.lon,
        lat=body.lat,
        arrondissement=body.arrondissement,
        commune=body.commune,
        landmark=body.landmark,
        photos=list(dict.fromkeys(body.photos)),
        voice=body.voice,
        reporter=reporter,
        gender=body.gender,
        channel=channel,
        attributes=dict(attributes or {}),
        follow_up_hash=token_hash(follow_up_token).hex() if follow_up_token else None,
        **claim,
    )


def create_report(session: Session, body: NewReport, **told: Any) -> Created:
    """Store a report where it happened (see :func:`new_row`); refuse a place that cannot be."""
    row = new_row(body, **told)
    (stored,) = repository.insert_reports(session, [row])
    if stored.id is None:
        explain(session, row)
        raise RuntimeError("a report was not stored and nothing says why")
    return created(stored)


def created(stored: Row[Any]) -> Created:
    """Return the answer to a report that was just stored."""
    return Created(
        id=stored.id,
        ref=stored.ref,
        status="received",
        commune=stored.commune,
        category=stored.category,
    )


def explain(session: Session, row: repository.NewRow) -> None:
    """Raise why ``row`` breaks a rule of places or attachments; return when it breaks none."""
    sent = [*row.photos, *([row.voice] if row.voice else [])]
    if sent and not repository.attachments_free(session, sent):
        raise UnknownPhoto("One of these photos is not here: send it first.", "/photos")
    if row.lon is None:
        if repository.arrondissement_exists(session, row.arrondissement or ""):
            return
        raise UnknownArrondissement("No arrondissement has this code.", "/arrondissement")
    found = repository.why_not(session, row)
    if not found.inside:
        hint = " Longitude and latitude look swapped." if found.swapped else ""
        raise OutsideCountry(f"The point is not in Bénin.{hint}", "/lon")
    if row.commune is not None and not found.known:
        raise UnknownCommune("No commune has this code.", "/commune")
    if row.commune is not None and not found.near:
        raise CommuneTooFar("The point is too far from this commune.", "/commune")


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a follow-up token (128 random bits need no salt)."""
    return hashlib.sha256(token.encode()).digest()


def get_report(
    session: Session,
    key: UUID | str,
    reader: Principal | None = None,
    token: str | None = None,
    *,
    lock: bool = False,
) -> Report:
    """Return a report by id or ref as far as ``reader`` may know of it, else ReportNotFound.

    What the mairie hid or its author withdrew is there for them alone.
    """
    report = repository.find(session, key, lock=lock)
    if report is None or not (is_public(report) or actors_of(report, reader, token)):
        raise ReportNotFound
    return report


def is_public(report: Report) -> bool:
    """Tell whether anybody may see a report: what the view ``public_reports`` holds."""
    return report.hidden_at is None and report.status != "withdrawn"


def detail(
    session: Session, key: UUID | str, reader: Principal | None, token: str | None = None
) -> ReportDetail:
    """Return one report as ``reader`` (or the holder of its follow-up ``token``) may see it."""
    report = get_report(session, key, reader, token)
    actors = actors_of(report, reader, token)
    staff = "mairie" in actors
    lon, lat = repository.point(session, report.id, exact=bool(actors))
    names = repository.agent_names(session, report.commune) if staff else {}
    lines = repository.history(session, report.id)
    told = [line.detail[way] for line in lines for way in _WAYS if way in line.detail]
    named = None if staff else repository.public_refs(session, told)
    sent = repository.attachments(session, report.id)
    shown = [row for row in sent if staff or not row.hidden]
    master = None
    if report.duplicate_of:
        top = repository.find(session, repository.root(session, report.id))
        master = top.ref if top and (staff or is_public(top)) else None
    return ReportDetail(
        id=report.id,
        ref=report.ref,
        version=report.version,
        commune=report.commune,
        arrondissement=report.arrondissement,
        landmark=report.landmark,
        category=report.category,
        status=report.status,
        description=report.public_description or report.description,
        lon=lon,
        lat=lat,
        created_at=report.created_at,
        updated_at=report.updated_at,
        supports=report.supports,
        agency=report.agency,
        forwarded_to=report.forwarded_to,
        due_at=report.due_at,
        answered_at=report.answered_at,
        closed_at=report.closed_at,
        photos=[photo_links(r.upload_id, hidden=r.hidden) for r in shown if r.kind == "photo"],
        voice=next((_voice(row) for row in shown if row.kind == "voice"), None),
        history=[
            _line(line, names if staff else None, named)
            for line in lines
            if staff or line.kind in domain.PUBLIC_KINDS or line.public_note
        ],
        duplicate_of=master,
        duplicates=repository.duplicates_of(session, report.id),
        proposals=[
            LinkedProposal(ref=row.ref, status=row.status)
            for row in repository.proposals_of(session, report.id)
        ],
        allowed=domain.allowed(report.status, actors | _of_merged(session, report, reader, token)),
        capacities=sorted(actors),
        staff=_staff(session, report, names) if staff else None,
    )


def _staff(session: Session, report: Report, names: Mapping[UUID, str]) -> Staff:
    contact = repository.contact(session, report.id)
    return Staff(
        assignee=report.assignee,
        assignee_name=names.get(report.assignee) if report.assignee else None,
        channel=report.channel,
        gender=report.gender,
        hidden=report.hidden_at is not None,
        original_description=report.description if report.public_description else None,
        answer_due_at=report.answer_due_at,
        contact=Contact(**contact._asdict()) if contact else None,
        followers=len(repository.followers(session, report.id)),
        attributes=report.attributes,
    )


def photo_links(upload_id: UUID, *, hidden: bool = False) -> Photo:
    """Return the URLs of an attached photo."""
    url = f"/api/v1/uploads/{upload_id}"
    return Photo(id=upload_id, url=url, thumb_url=f"{url}?size=thumb", hidden=hidden)


def _voice(row: Row[Any]) -> Voice:
    return Voice(
        id=row.upload_id,
        url=f"/api/v1/uploads/{row.upload_id}",
        media_type=row.media_type,
        seconds=row.seconds,
        hidden=row.hidden,
    )


#: How a line of a merge names the other report.
_WAYS = ("from", "into")


def _line(
    line: HistoryLine, names: Mapping[UUID, str] | None, named: Collection[str] | None
) -> HistoryOut:
    """Return a line; ``names`` of the agents are given to agents only.

    ``named`` holds the refs of other reports that the reader may hear of (None: all).
    """
    internal = names is not None
    detail = line.detail if internal or line.kind in domain.PUBLIC_KINDS else {}
    detail = {k: v for k, v in detail.items() if k != "merged"}
    if named is not None:
        detail = {k: v for k, v in detail.items() if k not in _WAYS or v in named}
    by_agent = line.actor_kind == "mairie" and line.actor is not None
    return HistoryOut(
        version=line.version,
        kind=line.kind,
        status=line.status,
        at=line.at,
        by=line.actor_kind,
        public_note=line.public_note,
        reason=line.reason,
        detail=detail,
        internal_note=line.internal_note if internal else None,
        actor=names.get(line.actor) if names and by_agent and line.actor else None,
    )


def actors_of(
    report: Report, reader: Principal | None, token: str | None = None
) -> frozenset[domain.Actor]:
    """Return in which capacities the reader stands before this report."""
    found: set[domain.Actor] = set()
    if reader and reader.can(MANAGE, report.commune):
        found.add("mairie")
    if reader and report.reporter == reader.user_id:
        found.add("citizen")
    if token and report.follow_up_hash:
        if hmac.compare_digest(token_hash(token), report.follow_up_hash):
            found.add("citizen")
    return frozenset(found)


#: What the author of a merged report may say of the one it was merged into.
_SAID_OF_ALL: frozenset[domain.Status] = frozenset({"confirmed", "reopened"})


def _of_merged(
    session: Session, report: Report, reader: Principal | None, token: str | None
) -> frozenset[domain.Actor]:
    """Return ``citizen`` for the author of a report merged into this one, once it is closed."""
    if not _SAID_OF_ALL & set(domain.TRANSITIONS[report.status]):  # type: ignore[index]
        return frozenset()
    wrote = repository.wrote_one(
        session,
        report.id,
        reader.user_id if reader else None,
        token_hash(token) if token else None,
    )
    return frozenset({"citizen"}) if wrote else frozenset()


def locked(
    session: Session,
    key: UUID | str,
    actor: Principal | None,
    token: str | None = None,
    *,
    seen: int | None = None,
    merged: bool = False,
) -> tuple[Report, frozenset[domain.Actor]]:
    """Lock a report for a change by somebody who may make one.

    With ``merged`` the authors of reports merged into it may, too.

    Of two agents at once the second waits for the first, and with ``seen`` (the version it looked
    at) learns that something changed: :class:`ChangedMeanwhile`.
    """
    report = get_report(session, key, actor, token, lock=True)
    actors = actors_of(report, actor, token)
    if merged:
        actors |= _of_merged(session, report, actor, token)
    if not actors:
        raise Forbidden("Only the commune's agents or the reporter may change this report.")
    if seen is not None and seen != report.version:
        last = repository.history(session, report.id)[-1]
        raise ChangedMeanwhile(
            version_now=report.version, status_now=report.status, changed=last.kind
        )
    return report, actors


def record(
    session: Session,
    report: Report,
    kind: domain.Kind,
    by: domain.Actor,
    *,
    actor: UUID | None,
    at: datetime | None = None,
    public_note: str = "",
    internal_note: str = "",
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> HistoryLine:
    """Add a line to a locked report's history: its version grows by one."""
    now = at or datetime.now(UTC)
    report.version += 1
    report.updated_at = now
    line = HistoryLine(
        report_id=report.id,
        version=report.version,
        kind=kind,
        status=report.status,
        at=now,
        actor_kind=by,
        actor=actor,
        public_note=public_note,
        internal_note=internal_note,
        reason=reason,
        detail=dict(detail or {}),
    )
    session.add(line)
    session.flush()
    return line


def publish(session: Session, report: Report, said: EventData) -> None:
    """Say the event of the line that :func:`record` just added, last in the transaction.

    Of a hidden report nothing is said but that it is hidden, until it is shown again.
    """
    if report.hidden_at is not None and not isinstance(said, ReportVisibilityChanged):
        return
    event = new_event(SOURCE, report.id, report.commune, report.version, said)
    held: list[Event] | None = session.info.get(HELD)
    if held is None:
        outbox.append(session, [event])
    else:
        held.append(event)


def say_visibility(session: Session, report: Report, at: datetime) -> None:
    """Say that a report is hidden, or that it is shown again and how it is now."""
    visible = is_public(report)
    lon, lat = repository.point(session, report.id)
    now = Shown(
        arrondissement=report.arrondissement,
        category=report.category,
        status=report.status,
        lon=lon,
        lat=lat,
        received_at=report.created_at,
    )
    said = ReportVisibilityChanged(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        visible=visible,
        now=now if visible else None,
        changed_at=at,
    )
    publish(session, report, said)


@contextmanager
def holding_events(session: Session) -> Iterator[list[Event]]:
    """Keep back the events of many changes and write them last, together.

    The writers' lock is then held for an instant, not for the whole of a long transaction. The
    list is the caller's: who undoes a change takes its events off.
    """
    held: list[Event] = []
    session.info[HELD] = held
    try:
        yield held
        outbox.append(session, held)
    finally:
        del session.info[HELD]


def author(report: Report, actor: Principal | None) -> UUID | None:
    """Return who to name in the history: the holder of a follow-up token stays nobody."""
    return actor.user_id if actor and actors_of(report, actor) else None


def change_status(
    session: Session,
    key: UUID | str,
    body: StatusUpdate,
    actor: Principal | None,
    token: str | None = None,
    *,
    at: datetime | None = None,
) -> HistoryLine:
    """Move a report in the workflow, with a line of history and an event."""
    if body.status in ("duplicate", "withdrawn"):
        _lock_merges(session, key, body.duplicate_of)
    report, actors = locked(
        session, key, actor, token, seen=body.version, merged=body.status in _SAID_OF_ALL
    )
    who = domain.TRANSITIONS[report.status].get(body.status)  # type: ignore[index]
    if who is None:
        raise TransitionNotAllowed(
            f"A report that is {report.status} cannot become {body.status}.",
            status_now=report.status,
        )
    if not who & actors:
        raise Forbidden(f"You may not set {body.status} on this report.")
    if "mairie" not in actors and body.internal_note:
        raise Forbidden("Internal notes are the mairie's.")
    by: domain.Actor = "mairie" if "mairie" in who & actors else "citizen"
    if body.status == "duplicate":
        return _merge(session, report, body, actor, at)
    if body.status == "withdrawn":
        for duplicate in repository.merged_into(session, report.id):
            _part(session, duplicate, report, by, None, "", at or datetime.now(UTC))
    # What somebody else's merged report lets them say here is not its author's to rewrite.
    merged = by == "citizen" and not actors_of(report, actor, token)
    said = {"merged": True} if merged else None
    return _set_status(session, report, body, by, author(report, actor), at, said)


def _set_status(
    session: Session,
    report: Report,
    body: StatusUpdate,
    by: domain.Actor,
    actor: UUID | None,
    at: datetime | None,
    detail: Mapping[str, Any] | None = None,
) -> HistoryLine:
    now = at or datetime.now(UTC)
    previous, report.status = report.status, body.status
    if by == "mairie" and report.answered_at is None:
        report.answered_at = now
    report.forwarded_to = body.forwarded_to if body.status == "forwarded" else ""
    closed = body.status in domain.CLOSED
    report.closed_at = (report.closed_at or now) if closed else None
    line = record(
        session,
        report,
        "status",
        by,
        actor=actor,
        at=now,
        public_note=body.public_note,
        internal_note=body.internal_note,
        reason=body.reason,
        detail=detail,
    )
    _say_status(session, report, previous, now)
    return line


def _say_status(session: Session, report: Report, previous: str, at: datetime) -> None:
    said = ReportStatusChanged(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        previous=previous,
        status=report.status,
        duplicate_of=report.duplicate_of,
        changed_at=at,
    )
    publish(session, report, said)


def _lock_merges(session: Session, key: UUID | str, into: str | None = None) -> None:
    """Take the commune's lock of merges, then the rows in order: nobody waits in a ring."""
    report = repository.find(session, key)
    if report is None:
        return
    repository.lock_merges(session, report.commune)
    other = repository.find(session, id_or_ref(into)) if into else None
    ids = {report.id, report.duplicate_of, other.id if other else None} - {None}
    repository.lock_in_order(session, (one for one in ids if one))


def _merge(
    session: Session,
    report: Report,
    body: StatusUpdate,
    actor: Principal | None,
    at: datetime | None,
) -> HistoryLine:
    """Make ``report`` a duplicate. Supports stay where they are, so that un-merging is exact."""
    into = repository.find(session, id_or_ref(body.duplicate_of or ""), lock=True)
    if into is None or into.commune != report.commune:
        raise Invalid("The commune has no such report.", "/duplicate_of")
    if into.duplicate_of is not None:
        top = repository.find(session, repository.root(session, into.id))
        raise MergeRefused(
            "That report is itself merged into another: take that one.",
            into=top.ref if top else None,
        )
    if repository.root(session, into.id) == report.id or into.id == report.id:
        raise MergeRefused("A report cannot be merged into itself or one of its duplicates.")
    if not is_public(into):
        raise MergeRefused("A report cannot be merged into one that nobody can see.")
    report.duplicate_of = into.id
    report.status_before_duplicate = report.status
    name = author(report, actor)
    line = _set_status(session, report, body, "mairie", name, at, {"into": into.ref})
    record(session, into, "merge", "mairie", actor=name, at=at, detail={"from": report.ref})
    repository.recount(session, into.id)
    return line


def unmerge(
    session: Session,
    key: UUID | str,
    body: Unmerge,
    actor: Principal,
    *,
    at: datetime | None = None,
) -> HistoryLine:
    """Part a report from the one it was merged into: its earlier status and its supports again."""
    _lock_merges(session, key)
    report, actors = locked(session, key, actor, seen=body.version)
    if "mairie" not in actors:
        raise Forbidden("Only the commune's agents may undo a merge.")
    if report.duplicate_of is None:
        raise NotMerged
    into = repository.find(session, report.duplicate_of, lock=True)
    assert into is not None  # noqa: S101 - a foreign key says so
    name = author(report, actor)
    now = at or datetime.now(UTC)
    return _part(session, report, into, "mairie", name, body.public_note, now)


def _part(
    session: Session,
    report: Report,
    into: Report,
    by: domain.Actor,
    actor: UUID | None,
    public_note: str,
    now: datetime,
) -> HistoryLine:
    """Part a locked duplicate from its locked master."""
    previous = report.status
    report.status = report.status_before_duplicate or "acknowledged"
    report.duplicate_of = report.status_before_duplicate = None
    report.closed_at = None
    line = record(
        session,
        report,
        "unmerge",
        by,
        actor=actor,
        at=now,
        public_note=public_note,
        detail={"into": into.ref},
    )
    _say_status(session, report, previous, now)
    record(session, into, "unmerge", by, actor=actor, at=now, detail={"from": report.ref})
    for one in (report.id, into.id):
        repository.recount(session, one)
    return line


def correct(
    session: Session,
    key: UUID | str,
    body: Correction,
    actor: Principal | None,
    token: str | None = None,
) -> HistoryLine:
    """Give a report its right category or commune; its agency and due dates follow."""
    report, actors = locked(session, key, actor, token, seen=body.version)
    if report.status not in domain.OPEN:
        raise TransitionNotAllowed(
            "Only an open report can be corrected.", status_now=report.status
        )
    before = {"category": report.category, "commune": report.commune}
    by: domain.Actor = "mairie" if "mairie" in actors else "citizen"
    name = author(report, actor)
    if body.category:
        # What once pointed at a household stays on the grid: a wrong click must not show it.
        report.was_sensitive |= domain.CATEGORIES[report.category].sensitive
        report.category = body.category
    if body.commune and body.commune != report.commune:
        _move(session, report, body.commune)
    now_is = {"category": report.category, "commune": report.commune}
    changed = {part: [old, now_is[part]] for part, old in before.items() if now_is[part] != old}
    if not changed:
        raise Invalid("This is what the report says already.", "/category")
    session.flush()
    repository.retarget(session, report)
    now = datetime.now(UTC)
    line = record(session, report, "correction", by, actor=name, at=now, detail=changed)
    lon, lat = repository.point(session, report.id)
    said = ReportCorrected(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        arrondissement=report.arrondissement,
        category=report.category,
        status=report.status,
        lon=lon,
        lat=lat,
        received_at=report.created_at,
        corrected_at=now,
    )
    publish(session, report, said)
    return line


def _move(session: Session, report: Report, commune: str) -> None:
    if repository.has_duplicates(session, report.id):
        raise MergeRefused("Part its duplicates from this report before it changes commune.")
    if not repository.commune_exists(session, commune):
        raise UnknownCommune("No commune has this code.", "/commune")
    session.flush()
    if not repository.move(session, report.id, commune):
        raise CommuneTooFar("The report is too far from this commune.", "/commune")
    report.assignee = None
    session.flush()
    session.refresh(report)


def redact(
    session: Session,
    key: UUID | str,
    body: Redaction,
    actor: Principal | None,
    token: str | None = None,
) -> HistoryLine:
    """Let its author rewrite what they said: the former words are gone, not kept anywhere.

    A text that the mairie put in its place stays the public one until the mairie takes it away.
    """
    report, actors = locked(session, key, actor, token, seen=body.version)
    if "citizen" not in actors:
        raise Forbidden("Only its author may rewrite a report.")
    report.description = body.description
    report.landmark = body.landmark
    if repository.detach(session, report.id, body.remove) != len(set(body.remove)):
        raise UnknownPhoto("One of these is not attached to this report.", "/remove")
    for version, note in body.notes.items():
        if repository.rewrite_note(session, report.id, version, note) is None:
            raise Invalid("This line of history is not yours.", f"/notes/{version}")
    repository.forget_moderated(session, report.id)
    return record(session, report, "redaction", "citizen", actor=author(report, actor))


def preview(body: PreviewIn) -> Preview:
    """Return how the public will read texts, and what looks personal in them."""
    fields = {"description": body.description, "landmark": body.landmark}
    found = [
        Personal(field=name, kind=kind, start=start, end=end, text=value[start:end])
        for name, value in fields.items()
        for kind, start, end in domain.personal(value)
    ]
    return Preview(summary=domain.summary(body.description), **fields, personal=found)


def support(session: Session, key: UUID | str, person: Principal) -> int:
    """Count a person once among those who have the same problem; return the total."""
    report = get_report(session, key)
    return repository.add_support(session, report.id, person.user_id)


def mine(session: Session, person: Principal) -> list[Mine]:
    """Return what a person sent or supports, the latest change first."""
    found = [_of_mine(session, row) for row in repository.mine(session, person.user_id, MINE)]
    return sorted(found, key=lambda one: one.updated_at, reverse=True)


def _of_mine(session: Session, row: Row[Any]) -> Mine:
    told = {n: v for n, v in row._asdict().items() if n not in ("description", "duplicate_of")}
    told["summary"] = domain.summary(row.description)
    if row.duplicate_of:
        top = repository.find(session, repository.root(session, row.id))
        if top is not None and is_public(top):
            told |= {"status": top.status, "merged_into": top.ref, "updated_at": top.updated_at}
    return Mine(**told)


def public_feature(feature: dict[str, Any]) -> dict[str, Any]:
    """Finish a feature of the repository: a summary and a photo link for what SQL gave raw."""
    properties = feature["properties"]
    properties["summary"] = domain.summary(properties.pop("description"))
    if properties["photo"]:
        properties["photo"] = photo_links(UUID(properties["photo"])).thumb_url
    return feature


def is_empty(session: Session) -> bool:
    """Tell whether no report was ever made."""
    return repository.is_empty(session)
