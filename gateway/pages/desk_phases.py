"""The desk changes where a campaign stands: its next phase, its dates, the end of its vote."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.pages import base, plans
from gateway.pages.base import CampaignId, Form, Json
from gateway.pages.desk_budget import MANAGE, WARNINGS, own, page, shortlist
from gateway.pages.voting import election_of
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import TIMEZONE, gettext, redirect
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}/budget/{campaign}", include_in_schema=False)

CLOSE = "elections.manage"
#: How long a vote lasts whose announced end is past, as the service has it.
VOTE_LASTS = timedelta(days=14)


@router.get("/etape")
def confirm_phase(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    phase: Annotated[str, Query(max_length=20)],
) -> Response:
    """Ask to confirm a phase: what it does, and before the vote all that will be on the ballot."""
    require(request, MANAGE, code)
    return _confirm_phase(request, places, api, own(api, code, campaign), phase, Form())


def _confirm_phase(
    request: Request, places: Places, api: Api, campaign: Json, phase: str, form: Form
) -> Response:
    _ = gettext(request)
    freezes = phase == "vote"
    return _confirm(
        request,
        places,
        campaign,
        form,
        title=_("Ouvrir l'étape « %(phase)s » ?") % {"phase": _(labels.phase(phase).text)},
        lines=[
            _(WARNINGS.get(phase, labels.phase(phase).says)),
            _("On ne revient pas en arrière."),
        ],
        confirm=_("Oui, ouvrir"),
        fields={"phase": phase},
        final=freezes,
        early=_ahead(base.until(campaign)),
        ballot=shortlist(api, campaign["id"]) if freezes else None,
        vote_ends=_vote_ends(campaign) if freezes else None,
    )


def _ahead(announced: str | None) -> str | None:
    """Return an announced end while it is still to come."""
    if announced and datetime.fromisoformat(announced) > datetime.now(TIMEZONE):
        return announced
    return None


def _vote_ends(campaign: Json) -> datetime:
    now = datetime.now(TIMEZONE)
    planned = next((d.closes_at for d in plans.dates_of(campaign) if d.phase == "vote"), now)
    return planned if planned > now else now + VOTE_LASTS


def _confirm(
    request: Request, places: Places, campaign: Json, form: Form, **words: object
) -> Response:
    return page(
        request,
        places,
        campaign["commune"],
        "desk/confirm.html",
        bad=form.bad,
        campaign=campaign,
        form=form,
        **words,
    )


@router.post("/etape")
def open_phase(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Open the phase; before the announced end of the present one it takes a reason."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form.of(sent)
    body = {name: form.values[name] for name in ("phase", "reason")}
    try:
        key = form.values["idempotency_key"]
        api.budget_write("campaigns", campaign, "phase", body=body, key=key)
    except ServiceProblem as problem:
        base.refuse(request, form, problem)
        return _confirm_phase(request, places, api, found, body["phase"], form)
    return redirect(f"/mairie/{code}/budget/{campaign}")


@router.get("/cloture")
def confirm_close(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Ask to confirm the end of the vote."""
    require(request, CLOSE, code)
    found = own(api, code, campaign)
    return _confirm_close(request, places, found, _election(api, campaign), Form())


def _election(api: Api, campaign: str) -> Json:
    found = election_of(api, campaign)
    if found is None:
        raise NotFound
    return found


def _confirm_close(
    request: Request, places: Places, campaign: Json, election: Json, form: Form
) -> Response:
    _ = gettext(request)
    return _confirm(
        request,
        places,
        campaign,
        form,
        title=_("Clore le vote et compter ?"),
        lines=[
            _("Plus personne ne pourra voter ni changer son bulletin."),
            _("Les voix sont comptées aussitôt et les résultats publiés. C'est définitif."),
        ],
        confirm=_("Clore et publier les résultats"),
        fields={},
        final=True,
        early=_ahead(election["closes_at"]),
        ballot=None,
    )


@router.post("/cloture")
def close(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Close the vote, count, publish; before its announced end it takes a reason."""
    require(request, CLOSE, code)
    found = own(api, code, campaign)
    election = _election(api, campaign)
    form = Form.of(sent)
    try:
        key = form.values["idempotency_key"]
        api.close_election(election["id"], form.values["reason"], key)
    except ServiceProblem as problem:
        base.refuse(request, form, problem)
        return _confirm_close(request, places, found, election, form)
    return redirect(f"/budget/{campaign}/resultats")


# The calendar


@router.get("/calendrier")
def calendar(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Give the form that prolongs a phase, under the whole calendar."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form()
    form.values["phase"] = found["phase"]
    return _calendar(request, places, found, form)


def _calendar(
    request: Request,
    places: Places,
    campaign: Json,
    form: Form,
    moves: Sequence[tuple[plans.Dates, plans.Dates]] = (),
) -> Response:
    return page(
        request,
        places,
        campaign["commune"],
        "desk/calendar.html",
        bad=form.bad,
        campaign=base.told(campaign, gettext(request)),
        open_phases=[one.phase for one in _to_come(campaign)],
        form=form,
        moves=moves,
    )


def _to_come(campaign: Json) -> list[plans.Dates]:
    """Return the planned phases that are not over: a vote is when its end is past."""
    order = base.PHASE_ORDER
    entered = order.index(campaign["phase"])
    now = datetime.now(TIMEZONE)
    return [
        one
        for one in plans.dates_of(campaign)
        if order.index(one.phase) >= entered
        and campaign["phase"] != "closed"
        and not (one.phase == campaign["phase"] == "vote" and one.closes_at <= now)
    ]


@router.post("/calendrier")
def prolong(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Show what moves when a phase ends later; once that was seen, do it."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form.of(sent)
    body, moves = _prolongation(request, found, form)
    if form.bad or form.values["do"] != "confirm":
        return _calendar(request, places, found, form, moves)
    try:
        key = form.values["idempotency_key"]
        api.budget_write("campaigns", campaign, "calendar", body=body, key=key)
    except ServiceProblem as problem:
        return _calendar(request, places, found, base.refuse(request, form, problem))
    return redirect(f"/mairie/{code}/budget/{campaign}")


def _prolongation(
    request: Request, campaign: Json, form: Form
) -> tuple[Json, list[tuple[plans.Dates, plans.Dates]]]:
    """Read the new end of a phase, and what it moves; what is wrong is written on the form."""
    values = form.values
    phases = _to_come(campaign)
    chosen = next((one for one in phases if one.phase == values["phase"]), None)
    day = plans.read_day(values["closes"])
    if chosen is None:
        form.wrong(request, "phase", "planned")
    if day is None:
        form.wrong(request, "closes", "day")
    if not values["reason"]:
        form.wrong(request, "reason")
    if chosen is None or day is None:
        return {}, []
    closes_at = plans.ends(day)
    moment = datetime.fromisoformat(closes_at)
    if moment <= chosen.closes_at or moment <= datetime.now(TIMEZONE):
        form.wrong(request, "closes", "later")
        return {}, []
    body = {"phase": chosen.phase, "closes_at": closes_at, "reason": values["reason"]}
    return body, plans.moved(phases, chosen.phase, moment)
