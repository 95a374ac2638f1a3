"""HTTP of endorsing, discussing, moderating and following."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    responses,
)
from services.common.requests import near_year
from services.proposals.api import ProposalKey
from services.proposals.discussion import moderation, service
from services.proposals.discussion.domain import Sort
from services.proposals.discussion.errors import (
    CommentClosed,
    CommentNotFound,
    SameAgent,
)
from services.proposals.discussion.schemas import (
    AbuseReported,
    AppealAnswer,
    CommentCreated,
    CommentPage,
    CommentWithdrawn,
    Decided,
    Endorsed,
    Following,
    NewAbuseReport,
    NewAppeal,
    NewComment,
    NewDecision,
    NewsList,
    PublicLog,
    Queue,
    Useful,
)
from services.proposals.errors import ChangedMeanwhile, ProposalNotFound, WrongPhase
from services.proposals.schemas import CommuneCode

router = APIRouter(prefix="/api/v1", tags=["discussion"])

#: With 50 replies each, a page of comments stays below what a phone loads in a moment.
CommentLimit = Annotated[int, Query(ge=1, le=50)]
_QUEUE_PLACE = re.compile(r"[01][0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{15}")


def write_cursor(kind: str, place: Any, last: UUID) -> str:
    """Return where the page after this row begins, in the list ``kind``."""
    shown = place.isoformat() if isinstance(place, datetime) else place
    return base64.urlsafe_b64encode(json.dumps([kind, shown, str(last)]).encode()).decode()


def read_cursor(cursor: str | None, kind: str) -> tuple[Any, UUID] | None:
    """Read a cursor of the same ``kind`` back; :class:`Invalid` for any other text."""
    if cursor is None:
        return None
    try:
        of, place, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if of != kind:
            raise ValueError
        return _PLACES[kind](place), UUID(last)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Invalid("This cursor is not ours, or of another sort.", "/cursor") from None


def _moment(place: Any) -> datetime:
    at = datetime.fromisoformat(place)
    if at.tzinfo is None:
        raise ValueError
    return near_year(at)


def _count(place: Any) -> int:
    if type(place) is not int or not 0 <= place < 2**31:
        raise ValueError
    return place


def _waiting(place: Any) -> str:
    if not _QUEUE_PLACE.fullmatch(place):
        raise ValueError
    return str(place)


_PLACES: Mapping[str, Callable[[Any], Any]] = {
    "newest": _moment,
    "oldest": _moment,
    "useful": _count,
    "queue": _waiting,
}


def _next(request: Request, kind: str, place: tuple[Any, UUID] | None) -> str | None:
    if place is None:
        return None
    query = {**request.query_params, "cursor": write_cursor(kind, *place)}
    return f"{request.url.path}?{urlencode(query)}"


Cursor = Annotated[str | None, Query(max_length=300, description="from `next`")]


@router.post(
    "/proposals/{proposal_id}/endorsements",
    response_model=Endorsed,
    responses=responses(Unauthenticated, ProposalNotFound, WrongPhase),
)
def endorse(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Stand behind a proposal: counted once a person."""
    return once.run(lambda: Endorsed(endorsements=service.endorse(session, key, principal.user_id)))


@router.delete(
    "/proposals/{proposal_id}/endorsements",
    response_model=Endorsed,
    responses=responses(Unauthenticated, ProposalNotFound, WrongPhase),
)
def take_back(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Stand behind a proposal no more, while endorsements are open."""
    return once.run(
        lambda: Endorsed(endorsements=service.take_back(session, key, principal.user_id))
    )


@router.get("/proposals/{proposal_id}/comments", responses=responses(ProposalNotFound, Invalid))
def list_comments(
    request: Request,
    key: ProposalKey,
    session: SessionDep,
    principal: MaybePrincipal,
    sort: Sort = "newest",
    parent: Annotated[UUID | None, Query(description="whose replies; else the first level")] = None,
    cursor: Cursor = None,
    limit: CommentLimit = 20,
) -> CommentPage:
    """Comments with the first replies to each, oldest first; ``more`` counts those left out."""
    page, following = service.list_comments(
        session,
        key,
        principal,
        parent=parent,
        sort=sort,
        after=read_cursor(cursor, sort),
        limit=limit,
    )
    page.next = _next(request, sort, following)
    return page


@router.post(
    "/proposals/{proposal_id}/comments",
    status_code=201,
    response_model=CommentCreated,
    responses=responses(Unauthenticated, ProposalNotFound, WrongPhase, TooMany),
)
def comment(
    key: ProposalKey,
    body: NewComment,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Say something about a proposal, or in reply to a comment. So many an hour."""

    def effect() -> CommentCreated:
        service.count_comment(session, principal)
        return service.comment(session, key, principal, body)

    return once.run(effect, status=201)


@router.delete(
    "/comments/{comment_id}",
    response_model=CommentWithdrawn,
    responses=responses(Unauthenticated, Forbidden, CommentNotFound, CommentClosed),
)
def withdraw(
    comment_id: UUID, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Take one's own comment back: its words are gone at once, its place stays for replies."""
    return once.run(lambda: service.withdraw(session, comment_id, principal))


@router.post(
    "/comments/{comment_id}/useful",
    response_model=Useful,
    responses=responses(Unauthenticated, CommentNotFound, CommentClosed),
)
def mark_useful(
    comment_id: UUID, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Find somebody else's comment useful: counted once a person."""
    return once.run(lambda: Useful(useful=service.mark_useful(session, comment_id, principal)))


@router.post(
    "/abuse-reports",
    status_code=201,
    response_model=AbuseReported,
    responses=responses(Unauthenticated, NotFound, Conflict, TooMany),
)
def report_abuse(
    body: NewAbuseReport, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Tell the mairie what is wrong with a proposal or a comment, so many an hour.

    Again only once the mairie handled what one told.
    """

    def effect() -> AbuseReported:
        service.count_abuse_report(session, principal)
        return service.report_abuse(session, principal, body)

    return once.run(effect, status=201)


@router.get("/moderation", responses=responses(Unauthenticated, Forbidden, Invalid))
def queue(
    request: Request,
    session: SessionDep,
    principal: CurrentPrincipal,
    commune: CommuneCode,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Queue:
    """What waits for the commune's decision: what harms first, then what waits longest."""
    items, following = moderation.queue(
        session, principal, commune, read_cursor(cursor, "queue"), limit
    )
    return Queue(items=items, next=_next(request, "queue", following))


@router.post(
    "/moderation",
    response_model=Decided,
    responses=responses(Unauthenticated, Forbidden, NotFound, ChangedMeanwhile, SameAgent),
)
def decide(
    body: NewDecision, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Hide words, show or keep them (the commune's agents); reason and note are published."""
    return once.run(lambda: moderation.decide(session, principal, body))


@router.post(
    "/moderation/appeals",
    status_code=201,
    response_model=Decided,
    responses=responses(Unauthenticated, Forbidden, NotFound, Conflict),
)
def appeal(
    body: NewAppeal, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Ask for one's hidden words to be looked at by another agent, once a hiding."""
    return once.run(lambda: moderation.appeal(session, principal, body), status=201)


@router.post(
    "/moderation/appeals/decision",
    response_model=Decided,
    responses=responses(Unauthenticated, Forbidden, NotFound, SameAgent),
)
def decide_appeal(
    body: AppealAnswer, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Uphold what hides somebody's words or take it back: another agent than who hid them."""
    return once.run(lambda: moderation.decide_appeal(session, principal, body))


@router.get("/proposals/{proposal_id}/moderation", responses=responses(ProposalNotFound))
def public_log(key: ProposalKey, session: SessionDep) -> PublicLog:
    """What was decided about a proposal and its comments, when and why: never the words."""
    return moderation.public_log(session, key)


@router.post(
    "/proposals/{proposal_id}/follow",
    response_model=Following,
    responses=responses(Unauthenticated, ProposalNotFound),
)
def follow(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Follow a proposal."""

    def effect() -> Following:
        service.follow(session, key, principal)
        return Following(following=True)

    return once.run(effect)


@router.delete(
    "/proposals/{proposal_id}/follow",
    response_model=Following,
    responses=responses(Unauthenticated, ProposalNotFound),
)
def unfollow(
    key: ProposalKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
) -> Response:
    """Follow a proposal no more."""

    def effect() -> Following:
        service.unfollow(session, key, principal)
        return Following(following=False)

    return once.run(effect)


@router.get("/follows", responses=responses(Unauthenticated))
def news(session: SessionDep, principal: CurrentPrincipal) -> NewsList:
    """What changed of the proposals that the bearer follows, endorses or wrote."""
    return NewsList(items=service.news(session, principal))
