"""HTTP of works: anybody reads; the commune's services build, its treasurers keep the ledger."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import (
    Forbidden,
    Invalid,
    TooMany,
    Unauthenticated,
    responses,
)
from services.common.requests import After, Limit, id_or_ref, next_link
from services.proposals.domain import WorkStatus
from services.proposals.errors import CampaignNotFound, ChangedMeanwhile, WrongPhase
from services.proposals.schemas import CommuneCode
from services.proposals.works import reading, service
from services.proposals.works.errors import WorkNotFound
from services.proposals.works.schemas import (
    Completion,
    Confirmations,
    Delay,
    EntryDone,
    Milestones,
    Money,
    NewConfirmation,
    NewEntry,
    NewNote,
    NoteModeration,
    Progress,
    Reached,
    Reason,
    StatusChange,
    WorkChanges,
    WorkDetail,
    WorkPage,
)

router = APIRouter(prefix="/api/v1", tags=["works"])


def work_key(work_id: str) -> UUID | str:
    """Read a path's id or ref."""
    return id_or_ref(work_id)


WorkKey = Annotated[UUID | str, Depends(work_key)]
_WRITES = responses(Unauthenticated, Forbidden, WorkNotFound, WrongPhase, ChangedMeanwhile, Invalid)


class Act:
    """What a write shares: its session, its person, and the work as the person then sees it.

    What citizens say of a work may be hidden later: no stored answer has it.
    """

    def __init__(
        self, key: WorkKey, session: SessionDep, once: OnceDep, principal: CurrentPrincipal
    ) -> None:
        self.key = key
        self.session = session
        self.once = once
        self.person = principal

    def done(self, effect: Callable[[], UUID]) -> Response:
        """Run a change of a work once, and answer with the whole work."""
        return self.once.run(
            effect, shown=lambda: reading.work(self.session, self.key, self.person)
        )

    def entered(self, effect: Callable[[], tuple[UUID, UUID]]) -> Response:
        """Run an entry of a ledger once, and answer with it and the sums."""
        return self.once.run(
            lambda: reading.entry(self.session, *effect()),
            status=201,
            location=lambda made: f"/api/v1/works/{made.work}",
        )

    def confirmed(self, effect: Callable[[], UUID]) -> Response:
        """Run a change of what is said of a finished work once, and answer with all of it."""
        return self.once.run(
            effect, shown=lambda: reading.confirmations(self.session, self.key, self.person)
        )


ActDep = Annotated[Act, Depends()]


@router.get("/works", response_model=WorkPage, responses=responses(Invalid))
def list_works(
    request: Request,
    session: SessionDep,
    after: After,
    campaign: UUID | None = None,
    commune: CommuneCode | None = None,
    status: WorkStatus | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Works as GeoJSON, newest first; ``next`` leads to the following page."""
    wanted = {"campaign": campaign, "commune": commune, "status": status, "after": after}
    asked: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if after:
        asked["after_at"], asked["after_id"] = after
    rows = reading.features(session, asked, limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "type": "FeatureCollection",
        "features": [row.feature for row in rows[:limit]],
        "next": next_link(request, last.at, last.id) if last else None,
    }


@router.get("/works/{work_id}", responses=responses(WorkNotFound))
def get_work(key: WorkKey, session: SessionDep, principal: MaybePrincipal) -> WorkDetail:
    """One work by id or ref: milestones, journal with photos, ledger, what citizens say."""
    return reading.work(session, key, principal)


@router.patch("/works/{work_id}", response_model=WorkDetail, responses=_WRITES)
def change_work(key: WorkKey, body: WorkChanges, act: ActDep) -> Response:
    """Say who builds and when; a later end than told is a delay."""
    return act.done(lambda: service.change(act.session, act.person, key, body))


@router.post("/works/{work_id}/status", response_model=WorkDetail, responses=_WRITES)
def change_status(key: WorkKey, body: StatusChange, act: ActDep) -> Response:
    """Take a work to another status; it is completed and reopened by their own calls."""
    return act.done(lambda: service.change_status(act.session, act.person, key, body))


@router.post("/works/{work_id}/progress", response_model=WorkDetail, responses=_WRITES)
def set_progress(key: WorkKey, body: Progress, act: ActDep) -> Response:
    """Say how much is done, in percent."""
    return act.done(lambda: service.set_progress(act.session, act.person, key, body))


@router.post("/works/{work_id}/delay", response_model=WorkDetail, responses=_WRITES)
def delay(key: WorkKey, body: Delay, act: ActDep) -> Response:
    """Tell a later end than planned, with the reason."""
    return act.done(lambda: service.delay(act.session, act.person, key, body))


@router.put("/works/{work_id}/milestones", response_model=WorkDetail, responses=_WRITES)
def set_milestones(key: WorkKey, body: Milestones, act: ActDep) -> Response:
    """Replace the steps still to come; reached ones stay."""
    return act.done(lambda: service.set_milestones(act.session, act.person, key, body))


@router.post(
    "/works/{work_id}/milestones/{milestone_id}/reached",
    response_model=WorkDetail,
    responses=_WRITES,
)
def reach_milestone(key: WorkKey, milestone_id: UUID, body: Reached, act: ActDep) -> Response:
    """Say that a step was reached."""
    return act.done(
        lambda: service.reach_milestone(act.session, act.person, key, milestone_id, body)
    )


@router.post("/works/{work_id}/notes", response_model=WorkDetail, responses=_WRITES)
def note(key: WorkKey, body: NewNote, act: ActDep) -> Response:
    """Add a note, perhaps with photos, to the journal."""
    return act.done(lambda: service.note(act.session, act.person, key, body))


@router.post(
    "/works/{work_id}/entries", status_code=201, response_model=EntryDone, responses=_WRITES
)
def spend(key: WorkKey, body: NewEntry, act: ActDep) -> Response:
    """Add a commitment, an invoice or a payment to the ledger; nothing there is ever changed."""
    return act.entered(lambda: service.spend(act.session, act.person, key, body))


@router.post(
    "/works/{work_id}/entries/{entry_id}/counter",
    status_code=201,
    response_model=EntryDone,
    responses=_WRITES,
)
def counter(key: WorkKey, entry_id: UUID, body: Reason, act: ActDep) -> Response:
    """Take an entry back with its exact mirror, once."""
    return act.entered(lambda: service.counter(act.session, act.person, key, entry_id, body.reason))


@router.post("/works/{work_id}/completion", response_model=WorkDetail, responses=_WRITES)
def complete(key: WorkKey, body: Completion, act: ActDep) -> Response:
    """Publish that the work is finished."""
    return act.done(lambda: service.complete(act.session, act.person, key, body))


@router.post("/works/{work_id}/reopen", response_model=WorkDetail, responses=_WRITES)
def reopen(key: WorkKey, body: Reason, act: ActDep) -> Response:
    """Take up again what was called finished, or given up."""
    return act.done(lambda: service.reopen(act.session, act.person, key, body.reason))


@router.post(
    "/works/{work_id}/confirmations",
    response_model=Confirmations,
    responses={**_WRITES, **responses(TooMany)},
)
def confirm(key: WorkKey, body: NewConfirmation, act: ActDep) -> Response:
    """Confirm or dispute that a finished work is finished; a person's last word counts."""
    return act.confirmed(lambda: service.confirm(act.session, act.person, key, body))


@router.post(
    "/works/{work_id}/confirmations/moderation", response_model=Confirmations, responses=_WRITES
)
def moderate_note(key: WorkKey, body: NoteModeration, act: ActDep) -> Response:
    """Hide a citizen's note, or show it again (who runs the commune's campaigns)."""
    return act.confirmed(lambda: service.moderate_note(act.session, act.person, key, body))


@router.get("/campaigns/{campaign_id}/money", responses=responses(CampaignNotFound))
def money(campaign_id: UUID, session: SessionDep) -> Money:
    """Where the money stands: voted, committed, invoiced, paid, by envelope and by work."""
    return reading.money(session, campaign_id)
