"""HTTP of reports."""

import base64
import math
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse

from services.common import rates
from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Conflict, Invalid, responses
from services.common.rates import keyed_digest
from services.common.requests import After, Limit, Moment, id_or_ref, next_link
from services.reports import domain, photos, repository, service
from services.reports.errors import (
    NotAPhoto,
    OutsideCountry,
    PhotoNotFound,
    PhotoTooLarge,
    ReportNotFound,
    SignInOrAnonymous,
    TransitionNotAllowed,
)
from services.reports.schemas import (
    CategoryCode,
    CategoryOut,
    CommuneCode,
    Created,
    Lat,
    Lon,
    NewReport,
    ReportDetail,
    Statuses,
    StatusUpdate,
    Supported,
    Uploaded,
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
        CategoryOut(code=c.code, label={"fr": c.fr, "en": c.en}, icon=c.icon)
        for c in domain.CATEGORIES.values()
    ]


async def read_body(request: Request) -> bytes:
    """Return the raw body (bounded by the application's body limit)."""
    return await request.body()


@router.post("/uploads", status_code=201, responses=responses(NotAPhoto, PhotoTooLarge))
def upload(
    request: Request,
    session: SessionDep,
    once: OnceDep,
    data: Annotated[bytes, Depends(read_body)],
) -> Uploaded:
    """Store a photo (raw JPEG, PNG or WebP body), re-encoded without metadata."""

    def effect() -> Uploaded:
        encoded = photos.encode(data)
        upload_id = uuid4()
        photos.store(request.app.state.settings.media_dir, upload_id, encoded)
        repository.add_upload(session, upload_id)
        return Uploaded(id=upload_id)

    limit_by_address(request, "upload", domain.UPLOADS_PER_HOUR)
    return once.run(effect, status=201)  # type: ignore[return-value]


def limit_by_address(request: Request, kind: str, limit: int) -> None:
    """Bound what one address may try in an hour: counted apart, so that refusals count too."""
    secret = request.app.state.settings.secret.get_secret_value()
    with request.app.state.sessions.begin() as session:
        rates.hit(session, secret, kind, request.client.host if request.client else "", limit)


@router.get("/uploads/{upload_id}", responses=responses(PhotoNotFound))
def photo(
    upload_id: UUID,
    request: Request,
    session: SessionDep,
    size: Literal["full", "thumb"] = "full",
) -> Response:
    """A photo of a report."""
    path = photos.path_of(request.app.state.settings.media_dir, upload_id, size)
    if not repository.upload_is_public(session, upload_id) or not path.is_file():
        raise PhotoNotFound
    return FileResponse(
        path, media_type="image/jpeg", headers={"Cache-Control": "public, max-age=86400"}
    )


@router.post(
    "/reports",
    status_code=201,
    response_model=Created,
    response_model_exclude_none=True,
    responses=responses(OutsideCountry, SignInOrAnonymous, Conflict),
)
def create_report(
    body: NewReport,
    request: Request,
    session: SessionDep,
    once: OnceDep,
    principal: MaybePrincipal,
) -> Response:
    """Pin a problem. Without a token it must be anonymous, and a follow-up token is given once."""
    token = reporter = None
    if body.anonymous:
        limit_by_address(request, "anonymous report", domain.ANONYMOUS_PER_HOUR)
        once = once.anonymous()  # no row may join this report and a person
        token = follow_up_token(request, once.key)
    elif principal is None:
        raise SignInOrAnonymous
    else:
        reporter = principal.user_id
        secret = request.app.state.settings.secret.get_secret_value()
        rates.hit(session, secret, "report", str(reporter), domain.REPORTS_PER_HOUR)
    return once.run(
        lambda: service.create_report(
            session, body, reporter=reporter, follow_up_token=token
        ).model_dump(mode="json", exclude_none=True),
        status=201,
        location=lambda made: f"/api/v1/reports/{made['id']}",
        private={"follow_up_token": token} if token else None,
    )


def follow_up_token(request: Request, key: UUID | None) -> str:
    """Derive a secret from the client's key, so that a retry gets it again and none is stored."""
    secret = request.app.state.settings.secret.get_secret_value()
    digest = keyed_digest(secret, "follow-up", str(key or uuid4()))
    return base64.b32encode(digest[:20]).decode().lower()


@router.get("/reports", responses=responses(Invalid))
def list_reports(
    request: Request,
    session: SessionDep,
    after: After,
    commune: CommuneCode | None = None,
    category: CategoryCode | None = None,
    status: Annotated[Statuses | None, Query(description="comma list")] = None,
    bbox: Annotated[str | None, Query(max_length=120, description="west,south,east,north")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Public columns as GeoJSON, newest first; ``next`` leads to the following page."""
    values: dict[str, Any] = {}
    if commune:
        values["commune"] = commune
    if category:
        values["category"] = category
    if status:
        values["status"] = status.split(",")
    values |= {k: v for k, v in {"since": since, "until": until}.items() if v is not None}
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
        "features": [service.public_feature(f) for _, _, f in rows[:limit]],
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
    radius: Annotated[float, Query(gt=0, le=500, allow_inf_nan=False)] = domain.DUPLICATE_RADIUS_M,
) -> dict[str, Any]:
    """Open reports of the category near a point, nearest first, with ``distance_m``."""
    found = []
    for feature, distance in repository.duplicates(session, lon, lat, category, radius):
        service.public_feature(feature)["properties"]["distance_m"] = distance
        found.append(feature)
    return {"type": "FeatureCollection", "features": found}


@router.get(
    "/reports/{report_id}",
    responses=responses(ReportNotFound),
    response_model_exclude_none=False,
)
def get_report(
    key: ReportKey, session: SessionDep, principal: MaybePrincipal, token: FollowUp = None
) -> ReportDetail:
    """One report, by id or ref; agents of its commune also see internal notes."""
    return service.detail(session, key, principal, token)


@router.post(
    "/reports/{report_id}/status",
    response_model=ReportDetail,
    responses=responses(ReportNotFound, TransitionNotAllowed),
)
def change_status(
    key: ReportKey,
    body: StatusUpdate,
    session: SessionDep,
    once: OnceDep,
    principal: MaybePrincipal,
    token: FollowUp = None,
) -> Response:
    """Move a report in the workflow: the commune's agents, or its reporter to reopen it."""

    def effect() -> ReportDetail:
        service.change_status(session, key, body, principal, token)
        session.flush()
        return service.detail(session, key, principal, token)

    return once.run(effect)


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
