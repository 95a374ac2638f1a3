"""HTTP of voting."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.common.auth import CurrentPrincipal
from services.common.db import SessionDep
from services.common.idempotency import IdempotencyKey, OnceDep
from services.common.problems import Forbidden, Unauthenticated, responses
from services.common.requests import After, Limit, next_link
from services.voting import domain, repository, service
from services.voting.errors import (
    AlreadyVoted,
    ElectionClosed,
    ElectionNotFound,
    OverBudget,
    ReasonNeeded,
    ResultsNotPublished,
)
from services.voting.explain import rule_text
from services.voting.models import Election
from services.voting.schemas import (
    Accepted,
    BallotIn,
    Closing,
    CommuneCode,
    ElectionDetail,
    ElectionPage,
    ElectionSummary,
    EnvelopeOut,
    Limits,
    ProjectOut,
    Results,
)

router = APIRouter(prefix="/api/v1/elections", tags=["voting"])


@router.get("")
def list_elections(
    request: Request,
    session: SessionDep,
    after: After,
    campaign: UUID | None = None,
    commune: CommuneCode | None = None,
    limit: Limit = 50,
) -> ElectionPage:
    """Elections, the last to open first; ``next`` leads to the following page."""
    found = repository.elections(
        session, campaign=campaign, commune=commune, after=after, limit=limit + 1
    )
    now = repository.now(session)
    following = None
    if len(found) > limit:
        following = next_link(request, found[limit - 1].opens_at, found[limit - 1].id)
    return ElectionPage(
        items=[ElectionSummary(**_summary(e, now)) for e in found[:limit]], next=following
    )


@router.get("/{election_id}", responses=responses(ElectionNotFound))
def get_election(election_id: UUID, session: SessionDep) -> ElectionDetail:
    """One election: its projects, its limits, and the rule as it was pinned."""
    found = service.get_election(session, election_id)
    return ElectionDetail(
        **_summary(found, repository.now(session)),
        limits=Limits(minimum_choices=1, maximum_cost=found.budget),
        envelopes=[EnvelopeOut(**one) for one in found.envelopes],
        rule_definition=found.definition,
        rule_text=rule_text(domain.is_parted(service.envelopes_of(found.envelopes))),
        projects=[ProjectOut.model_validate(p) for p in found.projects],
    )


@router.post(
    "/{election_id}/ballots",
    status_code=201,
    responses=responses(Unauthenticated, ElectionNotFound, AlreadyVoted, OverBudget),
)
def vote(
    election_id: UUID,
    body: BallotIn,
    request: Request,
    session: SessionDep,
    principal: CurrentPrincipal,
    key: IdempotencyKey,
) -> Accepted:
    """Vote, or change one's ballot with its ``replace_token``.

    Not through ``Once``: its stored answer would join the person to the ballot (ADR 0006).
    """
    return service.vote(
        session,
        request.app.state.settings.secret.get_secret_value(),
        principal.user_id,
        election_id,
        body.choices,
        key=key,
        replace_token=body.replace_token,
    )


@router.post(
    "/{election_id}/close",
    response_model=Results,
    responses=responses(Unauthenticated, Forbidden, ElectionNotFound, ElectionClosed, ReasonNeeded),
)
def close(
    election_id: UUID,
    session: SessionDep,
    principal: CurrentPrincipal,
    once: OnceDep,
    body: Closing | None = None,
) -> Response:
    """Close the vote, count and publish (the commune's agents); why, before its announced end."""
    reason = body.reason if body else ""
    return once.run(lambda: service.close(session, election_id, principal, reason))


@router.get(
    "/{election_id}/results",
    response_model=Results,
    responses=responses(ElectionNotFound, ResultsNotPublished),
)
def results(election_id: UUID, session: SessionDep) -> dict[str, Any]:
    """The published results."""
    return service.results(session, election_id)


def _summary(election: Election, now: datetime) -> dict[str, Any]:
    window = domain.window(election.state, election.opens_at, election.closes_at, now)
    names = ElectionSummary.model_fields.keys() - {"voting"}
    return {"voting": window, **{name: getattr(election, name) for name in names}}
