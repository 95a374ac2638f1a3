"""Use cases of reports. Nothing here commits: the request's session does."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import new_event, new_traceparent
from services.common.ids import new_id, new_ref
from services.common.problems import Forbidden
from services.reports import domain, repository
from services.reports.errors import (
    CommuneTooFar,
    OutsideCountry,
    ReportNotFound,
    TransitionNotAllowed,
    UnknownArrondissement,
    UnknownCommune,
    UnknownPhoto,
)
from services.reports.events import ReportStatusChanged
from services.reports.models import Report, StatusChange
from services.reports.schemas import (
    Created,
    HistoryLine,
    NewReport,
    Photo,
    ReportDetail,
    StatusUpdate,
)

SOURCE = repository.SOURCE
MANAGE = "reports.manage"
_REF_TRIES = 3


def create_report(
    session: Session,
    body: NewReport,
    *,
    reporter: UUID | None,
    follow_up_token: str | None = None,
    at: datetime | None = None,
) -> Created:
    """Store a report where it happened; refuse a place that cannot be.

    ``at`` is now except for imports. The follow-up token is stored hashed.
    """
    row = repository.NewRow(
        id=new_id(),
        ref=new_ref("S", 7),
        event_id=new_id(),
        traceparent=new_traceparent(),
        lon=body.lon,
        lat=body.lat,
        arrondissement=body.arrondissement,
        commune=body.commune,
        landmark=body.landmark,
        category=body.category,
        description=body.description,
        reporter=reporter,
        follow_up_hash=token_hash(follow_up_token) if follow_up_token else None,
        at=at or datetime.now(UTC),
    )
    for _ in range(_REF_TRIES):
        stored = repository.insert_report(session, row)
        if stored is not None:
            break
        _explain_place(session, row)
        row = replace(row, ref=new_ref("S", 7))
    else:
        raise RuntimeError("no free reference was found")
    photos = list(dict.fromkeys(body.photos))
    if photos and repository.attach_photos(session, row.id, photos) != len(photos):
        raise UnknownPhoto("One of these photos is not here: send it first.", "/photos")
    return Created(
        id=stored.id,
        ref=stored.ref,
        status="received",
        commune=stored.commune,
        category=stored.category,
    )


def _explain_place(session: Session, row: repository.NewRow) -> None:
    """Raise why no place fits; return when one does (then the ref was taken)."""
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
    if row.commune is not None and not repository.commune_is_near(session, row):
        raise CommuneTooFar("The point is too far from this commune.", "/commune")


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a follow-up token (128 random bits need no salt)."""
    return hashlib.sha256(token.encode()).digest()


def get_report(session: Session, key: UUID | str) -> Report:
    """Return a report by id or ref, or raise :class:`ReportNotFound`."""
    report = repository.find(session, key)
    if report is None:
        raise ReportNotFound
    return report


def detail(
    session: Session, key: UUID | str, reader: Principal | None, token: str | None = None
) -> ReportDetail:
    """Return one report as ``reader`` (or the holder of its follow-up ``token``) may see it."""
    report = get_report(session, key)
    actors = actors_of(report, reader, token)
    lon, lat = repository.point(session, report.id)
    return ReportDetail(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        arrondissement=report.arrondissement,
        landmark=report.landmark,
        category=report.category,
        status=report.status,
        description=report.description,
        lon=lon,
        lat=lat,
        created_at=report.created_at,
        updated_at=report.updated_at,
        supports=report.supports,
        photos=[photo_links(p) for p in repository.photos(session, report.id)],
        history=[
            _line(change, internal="mairie" in actors)
            for change in repository.history(session, report.id)
        ],
        allowed=domain.allowed(report.status, actors),
    )


def photo_links(upload_id: UUID) -> Photo:
    """Return the URLs of an attached photo."""
    url = f"/api/v1/uploads/{upload_id}"
    return Photo(id=upload_id, url=url, thumb_url=f"{url}?size=thumb")


def _line(change: StatusChange, *, internal: bool) -> HistoryLine:
    return HistoryLine(
        status=change.status,
        at=change.at,
        by=change.actor_kind,
        public_note=change.public_note,
        reason=change.reason,
        internal_note=change.internal_note if internal else None,
    )


def actors_of(
    report: Report, reader: Principal | None, token: str | None
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


def change_status(
    session: Session,
    key: UUID | str,
    body: StatusUpdate,
    actor: Principal | None,
    token: str | None = None,
    *,
    at: datetime | None = None,
) -> StatusChange:
    """Move a report in the workflow, with a line of history and an event.

    The row is locked first: of two agents at once the second meets the first one's result.
    """
    report = repository.find(session, key, lock=True)
    if report is None:
        raise ReportNotFound
    actors = actors_of(report, actor, token)
    if not actors:
        raise Forbidden("Only the commune's agents or the reporter may change this report.")
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
    now = at or datetime.now(UTC)
    previous, report.status = report.status, body.status
    report.version += 1
    report.updated_at = now
    change = StatusChange(
        report_id=report.id,
        version=report.version,
        status=body.status,
        at=now,
        actor_kind="mairie" if "mairie" in who & actors else "citizen",
        # The holder of a follow-up token stays nobody, signed in or not.
        actor=actor.user_id if actor and actors_of(report, actor, None) else None,
        public_note=body.public_note,
        internal_note=body.internal_note,
        reason=body.reason,
    )
    session.add(change)
    said = ReportStatusChanged(
        id=report.id,
        ref=report.ref,
        commune=report.commune,
        previous=previous,
        status=body.status,
        changed_at=now,
    )
    outbox.append(session, [new_event(SOURCE, report.id, report.commune, report.version, said)])
    return change


def support(session: Session, key: UUID | str, person: Principal) -> int:
    """Count a person once among those who have the same problem; return the total."""
    return repository.add_support(session, get_report(session, key).id, person.user_id)


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
