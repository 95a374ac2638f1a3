"""HTTP of the mairie's desk: everything needs ``reports.manage`` in the commune."""

import base64
import json
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.common.auth import CurrentPrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Forbidden, Invalid, responses
from services.common.requests import Limit, Moment, Text, id_or_ref, near_year
from services.reports import repository as core_repository
from services.reports.access import MANAGE
from services.reports.desk import service, stats
from services.reports.desk.domain import MAX_STOPS
from services.reports.desk.errors import AgentBusy, AgentNotFound, NoSuchDesk, RulesChanged
from services.reports.desk.schemas import (
    Agent,
    AgentIn,
    Assignee,
    Assignment,
    Bulk,
    BulkDone,
    Changed,
    DryRunIn,
    DryRunOut,
    FinishedWorks,
    Moderation,
    Notes,
    Round,
    Routing,
    RoutingIn,
    Sort,
    Stats,
    Targets,
    TargetsDone,
    TargetsIn,
)
from services.reports.domain import Channel
from services.reports.errors import ChangedMeanwhile, ReportNotFound
from services.reports.schemas import (
    AgencyCode,
    ArrondissementCode,
    CategoryCode,
    CommuneCode,
    Lat,
    Lon,
    Statuses,
)


def desk(
    commune: Annotated[CommuneCode, Path()], session: SessionDep, principal: CurrentPrincipal
) -> service.Desk:
    """Return the desk that the caller may work at."""
    principal.require(MANAGE, commune)
    if not core_repository.commune_exists(session, commune):
        raise NoSuchDesk
    return service.Desk(commune, principal)


DeskDep = Annotated[service.Desk, Depends(desk)]


def report_key(ref: str) -> UUID | str:
    """Read a path's id or ref."""
    return id_or_ref(ref)


ReportKey = Annotated[UUID | str, Depends(report_key)]

router = APIRouter(
    prefix="/api/v1/desk/{commune}",
    tags=["desk"],
    responses=responses(Forbidden, NoSuchDesk),
)


def flag(name: str, value: bool | None) -> dict[str, bool]:
    """Return the filter that a yes, a no or neither asks for."""
    return {} if value is None else {name if value else f"not_{name}": True}


def assignee_filter(value: str | None, me: UUID) -> dict[str, Any]:
    """Return the filter of ``me``, ``none`` or an agent's id."""
    if value == "none":
        return {"unassigned": True}
    return {} if value is None else {"assignee": str(me if value == "me" else UUID(value))}


def status_filter(value: str | None) -> dict[str, Any]:
    """Return the filter of a comma list: what still waits where nothing is asked."""
    return {"status": value.split(",")} if value else {"open": True}


def write_cursor(sort: str, place: str, last: UUID) -> str:
    """Return where the page after this row begins, in the order ``sort``."""
    return base64.urlsafe_b64encode(json.dumps([sort, place, str(last)]).encode()).decode()


def read_cursor(cursor: str, sort: str) -> dict[str, Any]:
    """Read a cursor of the same ``sort`` back; :class:`Invalid` for any other text."""
    try:
        of, place, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if of != sort:
            raise ValueError
        return {"after_key": _place(sort, place), "after_id": str(UUID(last))}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Invalid("This cursor is not ours, or of another sort.", "/cursor") from None


def _place(sort: str, place: Any) -> str:
    if sort == "supports":
        if not 0 <= int(place) < 2**31:
            raise ValueError
        return str(int(place))
    if sort == "due" and place == "infinity":
        return str(place)
    at = datetime.fromisoformat(place)
    if at.tzinfo is None:
        raise ValueError
    return near_year(at).isoformat()


def asked_for(
    desk: DeskDep,
    status: Annotated[Statuses | None, Query(description="comma list; else open ones")] = None,
    category: CategoryCode | None = None,
    agency: AgencyCode | None = None,
    assignee: Annotated[Assignee | None, Query(description="an id, `me` or `none`")] = None,
    arrondissement: ArrondissementCode | None = None,
    overdue: bool | None = None,
    hidden: bool | None = None,
    channel: Channel | None = None,
    q: Annotated[Text | None, Query(max_length=100, description="in ref and texts")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> dict[str, Any]:
    """Read the queue's filters: names of :data:`repository.FILTERS` with their values."""
    plain = {
        "category": category,
        "agency": agency,
        "arrondissement": arrondissement,
        "channel": channel,
        "since": since,
        "until": until,
    }
    asked: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    asked |= status_filter(status) | assignee_filter(assignee, desk.agent.user_id)
    asked |= flag("overdue", overdue) | flag("hidden", hidden)
    if q and q.strip():
        asked |= service.search(q.strip())
    return asked


Asked = Annotated[dict[str, Any], Depends(asked_for)]


@router.get("/reports", responses=responses(Invalid))
def queue(
    request: Request,
    session: SessionDep,
    desk: DeskDep,
    asked: Asked,
    sort: Sort = "newest",
    cursor: Annotated[str | None, Query(max_length=300, description="from `next`")] = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The desk's queue as GeoJSON, with the commune's ``counts`` on the first page."""
    if cursor:
        asked |= read_cursor(cursor, sort)
    rows = service.queue(session, desk, sort, asked, limit + 1)
    following = None
    if len(rows) > limit:
        place = write_cursor(sort, rows[limit - 1].place, rows[limit - 1].id)
        following = f"{request.url.path}?{urlencode({**request.query_params, 'cursor': place})}"
    return {
        "type": "FeatureCollection",
        "features": [row.feature for row in rows[:limit]],
        "next": following,
        "counts": None if cursor else service.counts(session, desk),
    }


@router.get("/finished-works")
def finished_works(session: SessionDep, desk: DeskDep) -> FinishedWorks:
    """Finished works with the reports that led to them: to be closed in one act (`bulk`)."""
    return service.finished_works(session, desk)


@router.post("/reports/bulk", response_model=BulkDone)
def bulk(body: Bulk, session: SessionDep, desk: DeskDep, once: OnceDep) -> Response:
    """One action on up to 100 reports, each wholly or not at all; what became of each."""
    return once.run(lambda: service.bulk(session, desk, body))


@router.post(
    "/reports/{ref}/assignment",
    response_model=Changed,
    responses=responses(ReportNotFound, ChangedMeanwhile),
)
def assign(
    key: ReportKey, body: Assignment, session: SessionDep, desk: DeskDep, once: OnceDep
) -> Response:
    """Give an open report to a service, an agent, or both."""
    return once.run(lambda: service.changed(service.assign(session, desk, key, body)))


@router.post(
    "/reports/{ref}/notes",
    response_model=Changed,
    responses=responses(ReportNotFound, ChangedMeanwhile),
)
def note(
    key: ReportKey, body: Notes, session: SessionDep, desk: DeskDep, once: OnceDep
) -> Response:
    """Say something to the public, note something for colleagues, or both."""
    return once.run(lambda: service.changed(service.note(session, desk, key, body)))


@router.post(
    "/reports/{ref}/moderation",
    response_model=Changed,
    responses=responses(ReportNotFound, ChangedMeanwhile),
)
def moderate(
    key: ReportKey, body: Moderation, session: SessionDep, desk: DeskDep, once: OnceDep
) -> Response:
    """Hide a report, its words or its photos from the public, or show them again."""
    return once.run(lambda: service.changed(service.moderate(session, desk, key, body)))


@router.get("/agents")
def agents(session: SessionDep, desk: DeskDep) -> list[Agent]:
    """The commune's agents, by name."""
    return service.agents(session, desk)


@router.put("/agents", response_model=Agent)
def name_agent(body: AgentIn, session: SessionDep, desk: DeskDep, once: OnceDep) -> Response:
    """Enter oneself into the directory; anybody else with ``roles.grant``."""
    return once.run(lambda: service.name_agent(session, desk, body))


@router.delete(
    "/agents/{user_id}",
    response_model=list[Agent],
    responses=responses(AgentNotFound, AgentBusy),
)
def forget_agent(user_id: UUID, session: SessionDep, desk: DeskDep, once: OnceDep) -> Response:
    """Take an agent without open reports out of the directory."""
    return once.run(lambda: service.forget_agent(session, desk, user_id))


@router.get("/targets")
def targets(session: SessionDep, desk: DeskDep) -> Targets:
    """Working days to answer and repair, by category."""
    return service.targets(session, desk)


@router.put("/targets", response_model=TargetsDone, responses=responses(RulesChanged))
def set_targets(body: TargetsIn, session: SessionDep, desk: DeskDep, once: OnceDep) -> Response:
    """Replace the commune's own targets; open reports get new due dates."""
    return once.run(lambda: service.set_targets(session, desk, body))


@router.get("/routing")
def routing(session: SessionDep, desk: DeskDep) -> Routing:
    """The commune's routing rules in order."""
    return service.routing(session, desk)


@router.put("/routing", response_model=Routing, responses=responses(RulesChanged))
def set_routing(body: RoutingIn, session: SessionDep, desk: DeskDep, once: OnceDep) -> Response:
    """Replace all rules at once; they hold for reports that come from now on."""
    return once.run(lambda: service.set_routing(session, desk, body))


@router.post("/routing/dry-run")
def dry_run(body: DryRunIn, session: SessionDep, desk: DeskDep) -> DryRunOut:
    """What rules would have done to past reports; nothing is changed."""
    return service.dry_run(session, desk, body)


@router.get("/round")
def field_round(
    session: SessionDep,
    desk: DeskDep,
    status: Annotated[Statuses | None, Query(description="comma list; else open ones")] = None,
    category: CategoryCode | None = None,
    agency: AgencyCode | None = None,
    assignee: Annotated[Assignee | None, Query(description="an id, `me` or `none`")] = None,
    arrondissement: ArrondissementCode | None = None,
    lon: Lon | None = None,
    lat: Lat | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_STOPS)] = 30,
) -> Round:
    """A short walk through the reports that are due first, from the town centre or a point."""
    if (lon is None) != (lat is None):
        raise Invalid("lon and lat go together.", "/lon")
    plain = {"category": category, "agency": agency, "arrondissement": arrondissement}
    asked: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    asked |= status_filter(status) | assignee_filter(assignee, desk.agent.user_id)
    start = None if lon is None or lat is None else (lon, lat)
    return service.field_round(session, desk, asked, limit, start)


@router.get("/stats")
def figures(
    session: SessionDep,
    desk: DeskDep,
    since: Moment | None = None,
    until: Moment | None = None,
    step: Literal["month", "week"] = "month",
) -> Stats:
    """The dashboard: a period (else the last 90 days) against the one before it."""
    return stats.stats(session, desk, since, until, step)
