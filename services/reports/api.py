"""HTTP of reports: what citizens send and read, and the workflow."""

import base64
import math
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import (
    ANONYMOUS,
    Fingerprint,
    IdempotencyKey,
    Once,
    OnceDep,
)
from services.common.problems import Conflict, Invalid, TooMany, responses
from services.common.rates import keyed_digest
from services.common.requests import After, Limit, Moment, id_or_ref, next_link
from services.reports import domain, reading, repository, service
from services.reports.errors import (
    ChangedMeanwhile,
    MergeRefused,
    NotMerged,
    OutsideCountry,
    ReportNotFound,
    SignInOrAnonymous,
    TransitionNotAllowed,
)
from services.reports.intake import Intake
from services.reports.schemas import (
    AgencyOut,
    ArrondissementCode,
    CategoryCode,
    CategoryOut,
    CommuneCode,
    Correction,
    Created,
    Lat,
    Lon,
    Mine,
    NewReport,
    Preview,
    PreviewIn,
    Redaction,
    ReportDetail,
    Statuses,
    StatusUpdate,
    Supported,
    Unmerge,
)

router = APIRouter(prefix="/api/v1", tags=["reports"])

FollowUp = Annotated[str | None, Header(alias="X-Follow-Up-Token", max_length=100)]


def report_key(report_id: str) -> UUID | str:
    """Read a path's id or ref."""
    return id_or_ref(report_id)


ReportKey = Annotated[UUID | str, Depends(report_key)]


@router.get("/categories")
async def categories() -> list[CategoryOut]:
    """The kinds of problems, in display order."""
    return [
        CategoryOut(
            code=c.code,
            label={"fr": c.fr, "en": c.en},
            icon=c.icon,
            agency=c.agency,
            radius_m=c.radius_m,
            sensitive=c.sensitive,
        )
        for c in domain.CATEGORIES.values()
    ]


@router.get("/categories/agencies")
async def agencies() -> list[AgencyOut]:
    """The technical services that reports are assigned to."""
    return [
        AgencyOut(code=a.code, label={"fr": a.fr, "en": a.en}) for a in domain.AGENCIES.values()
    ]


@router.post(
    "/reports",
    status_code=201,
    response_model=Created,
    response_model_exclude_none=True,
    responses=responses(OutsideCountry, SignInOrAnonymous, Conflict, TooMany),
)
async def create_report(
    body: NewReport,
    request: Request,
    key: IdempotencyKey,
    fingerprint: Fingerprint,
    principal: MaybePrincipal,
) -> Response:
    """Pin a problem. Without a token it must be anonymous, and a follow-up token is given once.

    Stored together with what arrives at the same moment (:mod:`services.reports.intake`).
    """
    secret = request.app.state.settings.secret.get_secret_value()
    token = reporter = None
    if body.anonymous:
        token = follow_up_token(secret, key)
        address = request.client.host if request.client else ""
        counted, most = ("anonymous report", address), domain.ANONYMOUS_PER_HOUR
    elif principal is None:
        raise SignInOrAnonymous
    else:
        reporter = principal.user_id
        counted, most = ("report", str(reporter)), domain.REPORTS_PER_HOUR
    row = service.new_row(
        body,
        reporter=reporter,
        follow_up_token=token,
        subject=keyed_digest(secret, *counted).hex(),
        most=most,
        key=key,
        # No row may join an anonymous report and a person.
        scope=str(reporter) if reporter else ANONYMOUS,
        fingerprint=fingerprint.hex(),
    )
    intake: Intake = request.app.state.intake
    stored = await intake.store(row)
    private = {"follow_up_token": token} if token else {}
    if stored.id is None:
        return await run_in_threadpool(
            _not_stored, request, row, fingerprint, private, limited=stored.limited
        )
    made = service.created(stored).model_dump(mode="json", exclude_none=True)
    location = f"/api/v1/reports/{stored.id}"
    return JSONResponse({**made, **private}, 201, headers={"Location": location})


def _not_stored(
    request: Request,
    row: repository.NewRow,
    fingerprint: bytes,
    private: dict[str, str],
    *,
    limited: bool,
) -> Response:
    """Answer for a row that was not stored: what its key answered before, or why not."""
    with request.app.state.sessions.begin() as session:
        if row.key is not None:
            before = Once(session, row.key, row.scope, fingerprint).replayed(private)
            if before is not None:
                return before
        if limited:
            raise TooMany("Too many requests; try again in an hour.", 3600)
        service.explain(session, row)
    raise RuntimeError("a report was not stored and nothing says why")


def follow_up_token(secret: str, key: UUID | None) -> str:
    """Derive a secret from the client's key, so that a retry gets it again and none is stored."""
    digest = keyed_digest(secret, "follow-up", str(key or uuid4()))
    return base64.b32encode(digest[:20]).decode().lower()


@router.post("/reports/preview")
def preview(body: PreviewIn) -> Preview:
    """How the public will read a text, and what looks personal in it; nothing is stored."""
    return reading.preview(body)


@router.get("/reports", responses=responses(Invalid))
def list_reports(
    request: Request,
    session: SessionDep,
    after: After,
    commune: CommuneCode | None = None,
    arrondissement: ArrondissementCode | None = None,
    category: CategoryCode | None = None,
    status: Annotated[Statuses | None, Query(description="comma list")] = None,
    bbox: Annotated[str | None, Query(max_length=120, description="west,south,east,north")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Public columns as GeoJSON, newest first; ``next`` leads to the following page."""
    given = {
        "commune": commune,
        "arrondissement": arrondissement,
        "category": category,
        "status": status.split(",") if status else None,
        "since": since,
        "until": until,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    filters = list(values)
    if bbox:
        values |= dict(zip(("west", "south", "east", "north"), parse_bbox(bbox), strict=True))
        filters.append("bbox")
    if after:
        values["after_at"], values["after_id"] = after
        filters.append("after")
    rows = repository.features(session, filters, values, limit + 1)
    following = next_link(request, *rows[limit - 1][:2]) if len(rows) > limit else None
    return {
        "type": "FeatureCollection",
        "features": [reading.public_feature(f) for _, _, f in rows[:limit]],
        "next": following,
    }


def parse_bbox(value: str) -> list[float]:
    """Read ``west,south,east,north`` in degrees; :class:`Invalid` otherwise."""
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError:
        found = []
    ordered = len(found) == 4 and found[0] <= found[2] and found[1] <= found[3]
    if not ordered or not all(map(math.isfinite, found)):
        raise Invalid("bbox is west,south,east,north in degrees.", "/bbox")
    return found


@router.get("/reports/duplicates")
def duplicates(
    session: SessionDep,
    lon: Lon,
    lat: Lat,
    category: CategoryCode,
    radius: Annotated[
        float | None, Query(gt=0, le=domain.MAX_RADIUS_M, allow_inf_nan=False)
    ] = None,
) -> dict[str, Any]:
    """Open reports of the category near a point, nearest first, with ``distance_m``.

    Without ``radius`` (metres) the category's own.
    """
    within = radius or domain.CATEGORIES[category].radius_m
    found = []
    for feature, distance in repository.duplicates(session, lon, lat, category, within):
        reading.public_feature(feature)["properties"]["distance_m"] = distance
        found.append(feature)
    return {"type": "FeatureCollection", "features": found}


@router.get("/reports/mine")
def mine(session: SessionDep, principal: CurrentPrincipal) -> list[Mine]:
    """What the bearer sent or supports, the latest change first."""
    return reading.mine(session, principal)


@router.get("/reports/{report_id}", responses=responses(ReportNotFound))
def get_report(
    key: ReportKey, session: SessionDep, principal: MaybePrincipal, token: FollowUp = None
) -> ReportDetail:
    """One report, by id or ref; agents of its commune also see internal notes."""
    return reading.detail(session, key, principal, token)


@router.post(
    "/reports/{report_id}/status",
    response_model=ReportDetail,
    responses=responses(ReportNotFound, TransitionNotAllowed, ChangedMeanwhile, MergeRefused),
)
def change_status(
    key: ReportKey,
    body: StatusUpdate,
    session: SessionDep,
    once: OnceDep,
    principal: MaybePrincipal,
    token: FollowUp = None,
) -> Response:
    """Move a report in the workflow: the commune's agents, or its reporter where it is theirs."""

    return (once.anonymous() if token else once).run(
        lambda: service.change_status(session, key, body, principal, token),
        shown=lambda: reading.detail(session, key, principal, token),
    )


@router.post(
    "/reports/{report_id}/unmerge",
    response_model=ReportDetail,
    responses=responses(ReportNotFound, NotMerged, ChangedMeanwhile),
)
def unmerge(
    key: ReportKey, body: Unmerge, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Part a duplicate from the report it was merged into."""

    return once.run(
        lambda: service.unmerge(session, key, body, principal),
        shown=lambda: reading.detail(session, key, principal),
    )


@router.post(
    "/reports/{report_id}/correction",
    response_model=ReportDetail,
    responses=responses(ReportNotFound, TransitionNotAllowed, ChangedMeanwhile),
)
def correct(
    key: ReportKey,
    body: Correction,
    session: SessionDep,
    once: OnceDep,
    principal: MaybePrincipal,
    token: FollowUp = None,
) -> Response:
    """Set the right category or commune: the agents, or the reporter."""

    return (once.anonymous() if token else once).run(
        lambda: service.correct(session, key, body, principal, token),
        shown=lambda: reading.detail(session, key, principal, token),
    )


@router.post(
    "/reports/{report_id}/redaction",
    response_model=ReportDetail,
    responses=responses(ReportNotFound, ChangedMeanwhile),
)
def redact(
    key: ReportKey,
    body: Redaction,
    session: SessionDep,
    once: OnceDep,
    principal: MaybePrincipal,
    token: FollowUp = None,
) -> Response:
    """Rewrite what one said oneself; the former words are gone."""

    return (once.anonymous() if token else once).run(
        lambda: service.redact(session, key, body, principal, token),
        shown=lambda: reading.detail(session, key, principal, token),
    )


@router.post(
    "/reports/{report_id}/support",
    response_model=Supported,
    responses=responses(ReportNotFound),
)
def support(
    key: ReportKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Say "me too": counted once a person."""
    return once.run(lambda: Supported(supports=service.support(session, key, principal)))
