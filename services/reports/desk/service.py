"""Use cases of the desk. Whoever calls has checked that the agent may work for the commune."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.ids import REF_ALPHABET
from services.common.problems import DomainError, Invalid
from services.common.requests import id_or_ref
from services.reports import access, reading
from services.reports import repository as core_repository
from services.reports import service as core
from services.reports.desk import domain, repository
from services.reports.desk.errors import (
    AgentBusy,
    AgentNotFound,
    RulesChanged,
    Unchanged,
    UnknownAgent,
)
from services.reports.desk.schemas import (
    Agent,
    AgentIn,
    Assignment,
    Bulk,
    BulkDone,
    Changed,
    DryRunIn,
    DryRunOut,
    Example,
    FinishedWork,
    FinishedWorks,
    Moderation,
    Move,
    Notes,
    OpenReport,
    Outcome,
    Round,
    Routing,
    RoutingIn,
    RuleIn,
    StatusAction,
    Stop,
    TargetOut,
    Targets,
    TargetsDone,
    TargetsIn,
    Unplaced,
)
from services.reports.domain import CATEGORIES, OPEN, STATUSES, Actor, Kind, allowed, summary
from services.reports.errors import (
    ReportNotFound,
    TransitionNotAllowed,
    UnknownArrondissement,
    UnknownPhoto,
)
from services.reports.events import ReportNoted
from services.reports.models import HistoryLine, Report

GRANT = "roles.grant"
MAIRIE: frozenset[Actor] = frozenset({"mairie"})
DRY_RUN_DAYS = 30
#: Open reports of finished works that the desk is shown at once.
FINISHED_REPORTS = 200
SEARCH_REF = re.compile(rf"S-[{REF_ALPHABET}]{{7}}")


@dataclass(frozen=True, slots=True)
class Desk:
    """A commune's desk, and the agent who sits at it."""

    commune: str
    agent: Principal


# The queue


def queue(
    session: Session, desk: Desk, sort: str, asked: Mapping[str, Any], limit: int
) -> Sequence[Row[Any]]:
    """Return the desk's reports in the order ``sort``: see :func:`repository.queue`."""
    rows = repository.queue(session, desk.commune, repository.ORDERS[sort], asked, limit)
    for row in rows:
        properties = reading.public_feature(row.feature)["properties"]
        properties["allowed"] = allowed(properties["status"], MAIRIE)
    return rows


def search(wanted: str) -> dict[str, str]:
    """Return the filter of a search: a whole reference finds its report, words find texts."""
    if SEARCH_REF.fullmatch(wanted.upper()):
        return {"ref": wanted.upper()}
    escaped = re.sub(r"([\\%_])", r"\\\1", domain.folded(wanted))
    return {"q": f"%{escaped}%"}


def counts(session: Session, desk: Desk) -> dict[str, Any]:
    """Return how many reports have each status, and how many open ones wait for what.

    Closed ones are counted up to :data:`repository.COUNTED_TO`.
    """
    opened = repository.waiting(session, desk.commune)
    found = {row.status: row.n for row in [*opened, *repository.closed(session, desk.commune)]}
    return {"status": {status: found.get(status, 0) for status in STATUSES}, **_sums(opened)}


def waiting(session: Session, desk: Desk) -> dict[str, int]:
    """Return how many reports are open, overdue and unassigned."""
    return _sums(repository.waiting(session, desk.commune))


def _sums(opened: Sequence[Row[Any]]) -> dict[str, int]:
    return {
        "open": sum(row.n for row in opened),
        "overdue": sum(row.overdue for row in opened),
        "unassigned": sum(row.unassigned for row in opened),
    }


# One report


def held(session: Session, desk: Desk, key: UUID | str, seen: int | None) -> Report:
    """Lock a report of the desk's commune: see :func:`services.reports.service.locked`."""
    report, _ = core.locked(session, key, desk.agent, seen=seen)
    if report.commune != desk.commune:
        raise ReportNotFound
    return report


def changed(report: Report) -> Changed:
    """Return a report as a change left it."""
    return Changed(
        ref=report.ref,
        version=report.version,
        status=report.status,
        agency=report.agency,
        assignee=report.assignee,
        hidden=report.hidden_at is not None,
        updated_at=report.updated_at,
    )


def finished_works(session: Session, desk: Desk) -> FinishedWorks:
    """Return finished works with the reports that led to them and are open still."""
    items: dict[str, FinishedWork] = {}
    for row in repository.finished_works(session, desk.commune, FINISHED_REPORTS):
        work = items.setdefault(
            row.ref,
            FinishedWork(
                ref=row.ref, proposal=row.proposal_ref, completed_at=row.completed_at, reports=[]
            ),
        )
        work.reports.append(
            OpenReport(
                id=row.id,
                ref=row.report,
                version=row.version,
                status=row.status,
                category=row.category,
                summary=summary(row.description),
                landmark=row.landmark,
            )
        )
    return FinishedWorks(items=list(items.values()))


def assign(session: Session, desk: Desk, key: UUID | str, body: Assignment) -> Report:
    """Give an open report to a service, an agent, or both."""
    report = held(session, desk, key, body.version)
    if report.status not in OPEN:
        raise TransitionNotAllowed("Only an open report can be assigned.", status_now=report.status)
    if body.assignee and not repository.is_agent(session, desk.commune, body.assignee):
        raise UnknownAgent("The commune's directory has no such agent.", "/assignee")
    wanted: dict[str, Any] = {}
    if body.agency is not None:
        wanted["agency"] = body.agency
    if "assignee" in body.model_fields_set:
        wanted["assignee"] = body.assignee
    detail = {}
    for part, value in wanted.items():
        before = getattr(report, part)
        if before != value:
            detail[part] = [_plain(before), _plain(value)]
            setattr(report, part, value)
    if not detail:
        raise Unchanged
    _record(session, desk, report, "assignment", internal_note=body.internal_note, detail=detail)
    return report


def _plain(value: UUID | str | None) -> str | None:
    return None if value is None else str(value)


def _record(session: Session, desk: Desk, report: Report, kind: Kind, **told: Any) -> HistoryLine:
    return core.record(session, report, kind, "mairie", actor=desk.agent.user_id, **told)


def note(session: Session, desk: Desk, key: UUID | str, body: Notes) -> Report:
    """Add a note; a public one is an answer."""
    report = held(session, desk, key, body.version)
    now = datetime.now(UTC)
    if body.public_note and report.answered_at is None:
        report.answered_at = now
    _record(
        session,
        desk,
        report,
        "note",
        at=now,
        public_note=body.public_note,
        internal_note=body.internal_note,
    )
    if body.public_note:
        said = ReportNoted(id=report.id, ref=report.ref, commune=report.commune, noted_at=now)
        core.publish(session, report, said)
    return report


def moderate(session: Session, desk: Desk, key: UUID | str, body: Moderation) -> Report:
    """Change what the public sees of a report; what agents may have to put back stays internal."""
    report = held(session, desk, key, body.version)
    was_public = access.is_public(report)
    detail: dict[str, Any] = {}
    now = datetime.now(UTC)
    if body.hidden is not None and body.hidden != (report.hidden_at is not None):
        report.hidden_at = now if body.hidden else None
        detail["hidden"] = body.hidden
    if "text" in body.model_fields_set and body.text != report.public_description:
        report.public_description = body.text
        detail["text"] = "restored" if body.text is None else "replaced"
    if body.landmark is not None and body.landmark != report.landmark:
        detail["landmark"] = report.landmark  # internal: agents may have to put it back
        report.landmark = body.landmark
    for version, words in body.notes.items():
        before = core_repository.rewrite_note(session, report.id, version, words, of_any=True)
        if before is None:
            raise Invalid("This is no citizen's line of the history.", f"/notes/{version}")
        detail.setdefault("notes", {})[str(version)] = before
    for word, uploads in (("hide", body.hide), ("show", body.show)):
        hidden = word == "hide"
        found = repository.show_attachments(session, report.id, uploads, hidden=hidden)
        if found != len(set(uploads)):
            raise UnknownPhoto("One of these is not attached to this report.", f"/{word}")
        if uploads:
            detail[word] = [str(upload) for upload in uploads]
    if not detail:
        raise Unchanged
    _record(session, desk, report, "moderation", at=now, internal_note=body.reason, detail=detail)
    if access.is_public(report) != was_public:
        core.say_visibility(session, report, now)
    return report


def _change_status(session: Session, desk: Desk, key: UUID | str, body: Any) -> HistoryLine:
    return core.change_status(session, key, body, desk.agent)


def _correct(session: Session, desk: Desk, key: UUID | str, body: Any) -> HistoryLine:
    return core.correct(session, key, body, desk.agent)


def _unmerge(session: Session, desk: Desk, key: UUID | str, body: Any) -> HistoryLine:
    return core.unmerge(session, key, body, desk.agent)


#: What may be done to many reports: exactly what is done to one.
ACTIONS: Mapping[str, Callable[[Session, Desk, UUID | str, Any], Report | HistoryLine]] = {
    "status": _change_status,
    "assign": assign,
    "correct": _correct,
    "note": note,
    "moderate": moderate,
    "unmerge": _unmerge,
}


def bulk(session: Session, desk: Desk, body: Bulk) -> BulkDone:
    """Do one action to many reports, each wholly or not at all.

    All are locked first, in the order of their ids: two bulks at once cannot wait for each other.
    """
    versions = {id_or_ref(key): version for key, version in body.versions.items()}
    keys = list(dict.fromkeys(id_or_ref(key) for key in body.refs))
    if body.action.type in ("status", "unmerge"):
        core_repository.lock_merges(session, desk.commune)
    rows = repository.hold(session, [*keys, *_into(body.action)])
    ours = {key: row.id for row in rows if row.commune == desk.commune for key in (row.id, row.ref)}
    found: dict[UUID | str, Outcome] = {}
    with core.holding_events(session) as events:
        for key in sorted(keys, key=lambda key: str(ours.get(key, ""))):
            action = body.action.model_copy(update={"version": versions.get(key)})
            said = len(events)
            found[key] = _outcome(session, desk, key, action, known=key in ours)
            if not found[key].ok:
                del events[said:]
    done = sum(outcome.ok for outcome in found.values())
    return BulkDone(done=done, refused=len(keys) - done, outcomes=[found[key] for key in keys])


def _into(action: object) -> list[UUID | str]:
    wanted = action.duplicate_of if isinstance(action, StatusAction) else None
    return [id_or_ref(wanted)] if wanted else []


def _outcome(session: Session, desk: Desk, key: UUID | str, action: Any, *, known: bool) -> Outcome:
    try:
        if not known:
            raise ReportNotFound
        with session.begin_nested():
            done = ACTIONS[action.type](session, desk, key, action)
    except DomainError as refused:
        problem = {"code": refused.code, "detail": refused.detail, **refused.extra}
        return Outcome(ref=str(key), ok=False, problem=problem)
    return Outcome(ref=str(key), ok=True, version=done.version, status=done.status)


# The directory


def agents(session: Session, desk: Desk) -> list[Agent]:
    """Return the commune's agents, by name."""
    return [Agent(**row._asdict()) for row in repository.agents(session, desk.commune)]


def name_agent(session: Session, desk: Desk, body: AgentIn) -> Agent:
    """Write an agent into the directory: oneself, or anybody for who may grant roles."""
    user = body.user_id or desk.agent.user_id
    _may_write(desk, user)
    repository.name_agent(session, desk.commune, user, body.name, body.agency)
    return Agent(user_id=user, name=body.name, agency=body.agency)


def forget_agent(session: Session, desk: Desk, user: UUID) -> list[Agent]:
    """Take an agent without open reports out of the directory; return who is left."""
    _may_write(desk, user)
    if repository.has_work(session, desk.commune, user):
        raise AgentBusy
    if not repository.forget_agent(session, desk.commune, user):
        raise AgentNotFound
    return agents(session, desk)


def _may_write(desk: Desk, user: UUID) -> None:
    if user != desk.agent.user_id:
        desk.agent.require(GRANT, desk.commune)


# Targets


def targets(session: Session, desk: Desk) -> Targets:
    """Return the commune's target for each category: its own, or the usual one."""
    own = repository.targets(session, desk.commune)
    found = [
        TargetOut(category=code, answer_days=answer, repair_days=repair, own=code in own)
        for code, c in CATEGORIES.items()
        for answer, repair in [own.get(code, (c.answer_days, c.repair_days))]
    ]
    return Targets(targets=found, hash=domain.digest([target.model_dump() for target in found]))


def set_targets(session: Session, desk: Desk, body: TargetsIn) -> TargetsDone:
    """Replace the commune's own targets; open reports get new due dates at once."""
    repository.lock_rules(session, desk.commune)
    _as_seen(body.expected, targets(session, desk).hash)
    own = {t.category: (t.answer_days, t.repair_days) for t in body.targets}
    count = repository.set_targets(session, desk.commune, own)
    return TargetsDone(**dict(targets(session, desk)), changed=count)


def _as_seen(expected: str | None, present: str) -> None:
    if expected is not None and expected != present:
        raise RulesChanged(hash_now=present)


# Routing


def routing(session: Session, desk: Desk) -> Routing:
    """Return the commune's rules."""
    found = [RuleIn.of(rule) for rule in repository.rules(session, desk.commune)]
    return Routing(rules=found, hash=domain.digest([rule.model_dump() for rule in found]))


def set_routing(session: Session, desk: Desk, body: RoutingIn) -> Routing:
    """Replace the commune's rules; they hold for reports that come from now on."""
    rules = _rules(session, desk, body.rules)
    repository.lock_rules(session, desk.commune)
    _as_seen(body.expected, routing(session, desk).hash)
    repository.set_rules(session, desk.commune, rules)
    return routing(session, desk)


def _rules(session: Session, desk: Desk, given: Sequence[RuleIn]) -> list[domain.Rule]:
    known = {row.code for row in repository.arrondissements(session, desk.commune)}
    for n, rule in enumerate(given):
        if rule.arrondissement is not None and rule.arrondissement not in known:
            raise UnknownArrondissement(
                "The commune has no such arrondissement.", f"/rules/{n}/arrondissement"
            )
    return [rule.rule() for rule in given]


def dry_run(session: Session, desk: Desk, body: DryRunIn) -> DryRunOut:
    """Tell what rules would have done to the reports of a time; nothing is changed."""
    since, until = period(body.since, body.until, DRY_RUN_DAYS, domain.MAX_DRY_RUN_DAYS)
    candidate = _rules(session, desk, body.rules)
    present = repository.rules(session, desk.commune)
    past = repository.Past(desk.commune, since, until, domain.slots(candidate, present))
    found = domain.dry_run(repository.groups(session, past), past.bounds, candidate, present)
    moved = [group for group, _ in found.moved]
    rows = repository.examples(session, past, moved, domain.MAX_EXAMPLES) if moved else []
    return DryRunOut(
        since=since,
        until=until,
        reports=found.reports,
        changed=found.changed,
        changed_by_present=found.changed_by_present,
        differs=found.differs,
        matrix=[
            Move(source=source, to=to, count=count)
            for (source, to), count in found.matrix.most_common()
        ],
        by_category=dict(found.by_category.most_common()),
        examples=[
            Example(
                ref=row.ref,
                category=row.category,
                arrondissement=row.arrondissement,
                received_at=row.created_at,
                source=found.moved[row.n][0].held_by,
                to=found.moved[row.n][1],
            )
            for row in rows
        ],
    )


def period(
    since: datetime | None, until: datetime | None, usual: int, most: int
) -> tuple[datetime, datetime]:
    """Return a time that ends now and lasts ``usual`` days where nothing else is asked."""
    end = until or datetime.now(UTC)
    start = since or end - timedelta(days=usual)
    if not start < end:
        raise Invalid("The time begins before it ends.", "/since")
    if end - start > timedelta(days=most):
        raise Invalid(f"The time lasts {most} days at most.", "/since")
    return start, end


# The round


def field_round(
    session: Session,
    desk: Desk,
    asked: Mapping[str, Any],
    limit: int,
    start: tuple[float, float] | None,
) -> Round:
    """Return a walk through the reports that are due first, and apart those without a point."""
    rows = repository.to_visit(session, desk.commune, asked, limit, placed=True)
    start = start or repository.centre(session, desk.commune)
    way = domain.walk(start, [(row.lon, row.lat) for row in rows])
    stops = [_stop(rows[n], leg) for n, leg in zip(way.order, way.legs, strict=True)]
    unplaced = repository.to_visit(session, desk.commune, asked, limit, placed=False)
    names = {row.code: row.name for row in repository.arrondissements(session, desk.commune)}
    return Round(
        start_lon=start[0],
        start_lat=start[1],
        distance_m=round(sum(way.legs), 1),
        stops=stops,
        left_out=rows[0].found - len(rows) if rows else 0,
        unplaced=[
            Unplaced(
                arrondissement=code,
                name=names.get(code, code),
                reports=[_stop(row, None) for row in unplaced if row.arrondissement == code],
            )
            for code in sorted({row.arrondissement for row in unplaced})
        ],
        unplaced_left_out=unplaced[0].found - len(unplaced) if unplaced else 0,
    )


def _stop(row: Row[Any], leg: float | None) -> Stop:
    kept = {
        name: value
        for name, value in row._asdict().items()
        if name not in ("description", "found", "photo")
    }
    return Stop(
        **kept,
        summary=summary(row.description),
        photo=reading.photo_links(row.photo).thumb_url if row.photo else None,
        leg_m=None if leg is None else round(leg, 1),
    )
