"""HTTP of reviews: the sheet, its grid, its assignments, the decision, the answer, the queue."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Conflict, Forbidden, Invalid, Unauthenticated, responses
from services.common.requests import After, Limit, next_link
from services.proposals.api import ProposalKey
from services.proposals.errors import (
    AlreadyReviewed,
    CampaignNotFound,
    ProposalNotFound,
)
from services.proposals.reviews import domain
from services.proposals.reviews import service as reviews
from services.proposals.reviews.domain import Criterion, Service, State
from services.proposals.reviews.errors import AssignmentNotFound, NothingToAnswer
from services.proposals.reviews.schemas import (
    CriterionChange,
    NewAnswer,
    NewAssignment,
    NewReview,
    Queue,
    Reviewed,
    ServiceList,
    Sheet,
    Waiting,
)
from services.proposals.schemas import CommuneCode

router = APIRouter(prefix="/api/v1", tags=["reviews"])

_WRITE = responses(Unauthenticated, Forbidden, ProposalNotFound, Conflict, Invalid)


@router.get(
    "/reviews/queue",
    response_model=Queue,
    responses=responses(Unauthenticated, Forbidden, CampaignNotFound, Invalid),
)
def get_queue(
    request: Request,
    session: SessionDep,
    principal: CurrentPrincipal,
    after: After,
    commune: CommuneCode | None = None,
    campaign: UUID | None = None,
    service: Service | None = None,
    state: State | None = None,
    limit: Limit = 50,
) -> Any:
    """Proposals by how long they wait for the mairie's decision (its reviewers)."""
    rows, counts = reviews.queue(
        session, principal, commune, campaign, service, state, after, limit + 1
    )
    page = rows[:limit]
    more = len(rows) > limit
    return Queue(
        items=[_waiting(row) for row in page],
        counts=counts,
        next=next_link(request, page[-1].submitted_at, page[-1].id) if more else None,
    )


def _waiting(row: Any) -> Waiting:
    grid = {"done": row.done, "total": len(domain.CRITERIA)}
    return Waiting.model_validate({**row._mapping, "criteria": grid})


@router.get("/reviews/services")
def list_services() -> ServiceList:
    """The services that a proposal may be given to, and their names."""
    return ServiceList.model_validate(
        {
            "items": [
                {"code": code, "fr": name.fr, "en": name.en}
                for code, name in domain.SERVICES.items()
            ]
        }
    )


@router.get("/proposals/{proposal_id}/review", responses=responses(ProposalNotFound))
def get_sheet(key: ProposalKey, session: SessionDep, principal: MaybePrincipal) -> Sheet:
    """A proposal's review; before its outcome the grid is the reviewers' alone."""
    return reviews.sheet(session, key, principal)


@router.post(
    "/proposals/{proposal_id}/review",
    response_model=Reviewed,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, AlreadyReviewed, Invalid),
)
def review(
    key: ProposalKey,
    body: NewReview,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Answer a proposal with an outcome, a reason and a cost (the commune's reviewers).

    Once, and once more after its author's answer.
    """
    return once.run(lambda: reviews.review(session, principal, key, body))


@router.put(
    "/proposals/{proposal_id}/review/criteria/{criterion}",
    response_model=Sheet,
    responses=_WRITE,
)
def judge(
    key: ProposalKey,
    criterion: Criterion,
    body: CriterionChange,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Judge one criterion (the commune's reviewers); it is published with the outcome."""
    return once.run(
        lambda: reviews.judge(session, principal, key, criterion, body),
        shown=lambda: reviews.sheet(session, key, principal),
    )


@router.post(
    "/proposals/{proposal_id}/review/assignments",
    status_code=201,
    response_model=Sheet,
    responses=_WRITE,
)
def assign(
    key: ProposalKey,
    body: NewAssignment,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Give a proposal to a technical service, or ask it again (the commune's reviewers)."""
    return once.run(
        lambda: reviews.assign(session, principal, key, body),
        status=201,
        shown=lambda: reviews.sheet(session, key, principal),
    )


@router.delete(
    "/proposals/{proposal_id}/review/assignments/{service}",
    response_model=Sheet,
    responses=responses(Unauthenticated, Forbidden, AssignmentNotFound, Conflict, Invalid),
)
def take_back(
    key: ProposalKey,
    service: Service,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Take a proposal from a technical service (the commune's reviewers)."""
    return once.run(
        lambda: reviews.take_back(session, principal, key, service),
        shown=lambda: reviews.sheet(session, key, principal),
    )


@router.post(
    "/proposals/{proposal_id}/review/answer",
    response_model=Sheet,
    responses=responses(Unauthenticated, Forbidden, ProposalNotFound, NothingToAnswer, Invalid),
)
def answer(
    key: ProposalKey,
    body: NewAnswer,
    session: SessionDep,
    once: OnceDep,
    principal: CurrentPrincipal,
) -> Response:
    """Reply to the mairie's review (an author), once: it may then decide a second time."""
    return once.run(
        lambda: reviews.answer(session, principal, key, body.answer),
        shown=lambda: reviews.sheet(session, key, principal),
    )
