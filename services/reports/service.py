"""Use cases of reports. Nothing here commits: the request's session does."""

from collections.abc import Iterator, Mapping
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
from services.reports.access import (
    SAID_OF_ALL,
    actors_of,
    get_report,
    is_public,
    of_merged,
    token_hash,
)
from services.reports.calendar import working_day_after
from services.reports.errors import (
    ChangedMeanwhile,
    CommuneTooFar,
    MergeRefused,
    NotMerged,
    OutsideCountry,
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
    Correction,
    Created,
    NewReport,
    Redaction,
    StatusUpdate,
    Unmerge,
)

SOURCE = repository.SOURCE
HELD = "held_events"
_REF_TRIES = 3


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
        actors |= of_merged(session, report, actor, token)
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
        session, key, actor, token, seen=body.version, merged=body.status in SAID_OF_ALL
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


def support(session: Session, key: UUID | str, person: Principal) -> int:
    """Count a person once among those who have the same problem; return the total."""
    report = get_report(session, key)
    return repository.add_support(session, report.id, person.user_id)


def is_empty(session: Session) -> bool:
    """Tell whether no report was ever made."""
    return repository.is_empty(session)
