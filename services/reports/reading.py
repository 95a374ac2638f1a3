"""A report as each of its readers may see it."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.reports import domain, repository
from services.reports.access import actors_of, get_report, is_public, of_merged
from services.reports.models import HistoryLine, Report
from services.reports.schemas import (
    Contact,
    HistoryOut,
    LinkedProposal,
    Mine,
    Personal,
    Photo,
    Preview,
    PreviewIn,
    ReportDetail,
    Staff,
    Voice,
)

MINE = 100


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
        allowed=domain.allowed(report.status, actors | of_merged(session, report, reader, token)),
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


def preview(body: PreviewIn) -> Preview:
    """Return how the public will read texts, and what looks personal in them."""
    fields = {"description": body.description, "landmark": body.landmark}
    found = [
        Personal(field=name, kind=kind, start=start, end=end, text=value[start:end])
        for name, value in fields.items()
        for kind, start, end in domain.personal(value)
    ]
    return Preview(summary=domain.summary(body.description), **fields, personal=found)


def public_feature(feature: dict[str, Any]) -> dict[str, Any]:
    """Finish a feature of the repository: a summary and a photo link for what SQL gave raw."""
    properties = feature["properties"]
    properties["summary"] = domain.summary(properties.pop("description"))
    if properties["photo"]:
        properties["photo"] = photo_links(UUID(properties["photo"])).thumb_url
    return feature
