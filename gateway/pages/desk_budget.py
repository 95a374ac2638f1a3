"""The town hall's desk: campaigns, reviews of proposals, the close of a vote."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import CampaignId, Form, Json
from gateway.pages.voting import election_of
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import TIMEZONE, gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

MANAGE = "campaigns.manage"
REVIEW = "proposals.review"
CLOSE = "elections.manage"

#: The usual calendar: days that each phase lasts, one after the other.
PLANNED: Mapping[str, int] = {"ideas": 30, "review": 21, "vote": 14}
END_OF_DAY = time(23, 59, 59)
#: What an agent should know before opening a phase.
WARNINGS: Mapping[str, str] = {
    "ideas": N_("Les habitants pourront proposer des projets dès maintenant."),
    "review": N_("Plus aucun projet ne pourra être proposé."),
    "revision": N_("Les études sont finies ; les projets sont corrigés."),
    "vote": N_("La liste des projets et leurs coûts seront figés : plus rien ne pourra changer."),
    "works": N_("Les projets financés passeront en travaux."),
    "closed": N_("La campagne sera terminée et ne pourra plus être rouverte."),
}


@router.get("/budget")
def campaigns(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List the commune's campaigns."""
    commune = places.commune(code)
    require(request, MANAGE, code)
    return render(
        request,
        "desk/campaigns.html",
        commune=commune,
        nav="desk",
        tab="budget",
        campaigns=api.campaigns(commune=code),
    )


@router.get("/budget/nouvelle")
def new_campaign(code: str, request: Request, places: PlacesDep) -> Response:
    """Give the form of a campaign, its dates filled in."""
    _ = gettext(request)
    require(request, MANAGE, code)
    day = datetime.now(TIMEZONE).date()
    form = Form()
    form.values["title"] = _("Budget participatif %(year)s") % {"year": day.year + 1}
    for phase, days in PLANNED.items():
        form.values[f"{phase}_opens"] = day.isoformat()
        day += timedelta(days=days)
        form.values[f"{phase}_closes"] = day.isoformat()
        day += timedelta(days=1)
    return _form(code, request, places, form)


def _form(code: str, request: Request, places: Places, form: Form) -> Response:
    return render(
        request,
        "desk/new_campaign.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="budget",
        form=form,
        planned=list(PLANNED),
    )


@router.post("/budget/nouvelle")
def create_campaign(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Announce a campaign; it starts in preparation."""
    require(request, MANAGE, code)
    form = Form.of(sent)
    body = _campaign(request, code, form)
    if form.bad:
        return _form(code, request, places, form)
    try:
        made = api.create_campaign(body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _form(code, request, places, base.refuse(request, form, problem))
    return redirect(f"/mairie/{code}/budget/{made['id']}")


def _campaign(request: Request, code: str, form: Form) -> Json:
    """Read the form into a campaign; what is wrong is written on the form."""
    _ = gettext(request)
    budget = base.amount(form.values["budget"])
    if not budget:
        form.wrong(request, "budget")
    if not form.values["title"]:
        form.wrong(request, "title")
    phases = []
    latest = date.min
    for phase in PLANNED:
        opens, closes = (_day(form.values[f"{phase}_{end}"]) for end in ("opens", "closes"))
        if not opens or not closes or closes < opens or opens <= latest:
            form.wrong(request, f"{phase}_opens", "phases")
            continue
        latest = closes
        phases.append(
            {
                "phase": phase,
                "opens_at": _utc(opens, time.min),
                "closes_at": _utc(closes, END_OF_DAY),
            }
        )
    return {"commune": code, "title": form.values["title"], "budget": budget, "phases": phases}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _utc(day: date, at: time) -> str:
    return datetime.combine(day, at, TIMEZONE).astimezone(UTC).isoformat()


def _own(api: Api, code: str, campaign: str) -> Json:
    found = api.campaign(campaign)
    if found["commune"] != code:
        raise NotFound
    return found


@router.get("/budget/{campaign}")
def campaign(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show a campaign to those who run it: counts, proposals, next phases."""
    require(request, MANAGE, code)
    _ = gettext(request)
    found = base.told(_own(api, code, campaign), _)
    answer = api.proposals(campaign=campaign, limit=base.PAGE, cursor=cursor)
    path = f"/mairie/{code}/budget/{campaign}"
    voting = found["phase"] == "vote"
    election = election_of(api, campaign) if voting else None
    return render(
        request,
        "desk/campaign.html",
        commune=places.commune(code),
        nav="desk",
        tab="budget",
        campaign=found,
        counts=[(s, n) for s, n in found["counts"].items() if n or s in ("submitted",)],
        proposals=base.proposals_of(answer, base.place_names(places, code)),
        election=election,
        waiting=_("Le vote s'ouvre ou les résultats arrivent : rechargez dans un instant.")
        if voting
        else _("Plus rien à ouvrir : la campagne est terminée."),
        base=path,
        following=base.following(path, {}, answer),
        later=cursor is not None,
    )


@router.get("/budget/{campaign}/etape")
def confirm_phase(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    phase: Annotated[str, Query(max_length=20)],
) -> Response:
    """Ask to confirm a phase."""
    require(request, MANAGE, code)
    return _confirm_phase(request, places, _own(api, code, campaign), phase, Form())


def _confirm_phase(
    request: Request, places: Places, campaign: Json, phase: str, form: Form
) -> Response:
    _ = gettext(request)
    name = _(labels.phase(phase).text)
    return _confirm(
        request,
        places,
        campaign,
        form,
        title=_("Ouvrir l'étape « %(phase)s » ?") % {"phase": name},
        lines=[
            _(WARNINGS.get(phase, labels.phase(phase).says)),
            _("On ne revient pas en arrière."),
        ],
        confirm=_("Oui, ouvrir"),
        fields={"phase": phase},
        final=phase == "vote",
    )


def _confirm(
    request: Request, places: Places, campaign: Json, form: Form, **words: object
) -> Response:
    return render(
        request,
        "desk/confirm.html",
        status=422 if form.bad else 200,
        commune=places.commune(campaign["commune"]),
        nav="desk",
        tab="budget",
        campaign=campaign,
        form=form,
        **words,
    )


@router.post("/budget/{campaign}/etape")
def open_phase(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Open the phase."""
    require(request, MANAGE, code)
    found = _own(api, code, campaign)
    form = Form.of(sent)
    phase = form.values["phase"]
    try:
        api.set_phase(campaign, phase, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        base.refuse(request, form, problem)
        return _confirm_phase(request, places, found, phase, form)
    return redirect(f"/mairie/{code}/budget/{campaign}")


@router.get("/budget/{campaign}/cloture")
def confirm_close(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Ask to confirm the end of the vote."""
    require(request, CLOSE, code)
    return _confirm_close(request, places, _own(api, code, campaign), Form())


def _confirm_close(request: Request, places: Places, campaign: Json, form: Form) -> Response:
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
    )


@router.post("/budget/{campaign}/cloture")
def close(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Close the vote, count, publish."""
    require(request, CLOSE, code)
    found = _own(api, code, campaign)
    election = election_of(api, campaign)
    if election is None:
        raise NotFound
    form = Form.of(sent)
    try:
        api.close_election(election["id"], key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _confirm_close(request, places, found, base.refuse(request, form, problem))
    return redirect(f"/budget/{campaign}/resultats")


@router.get("/propositions/{ref}")
def proposal(code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show a proposal with the form of its review."""
    require(request, REVIEW, code)
    return _proposal(request, places, api, code, ref, Form())


def _proposal(
    request: Request, places: Places, api: Api, code: str, ref: str, form: Form
) -> Response:
    found = api.proposal(ref)
    if found["commune"] != code:
        raise NotFound
    if found["status"] == "draft":  # not yet anybody's to review
        return redirect(f"/propositions/{found['ref']}")
    return render(
        request,
        "desk/proposal.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="budget",
        proposal=base.located(found, base.place_names(places, code)),
        campaign=api.campaign(found["campaign"]),
        form=form,
    )


@router.post("/propositions/{ref}")
def review(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Publish a review: an outcome, a cost, a reason."""
    require(request, REVIEW, code)
    _ = gettext(request)
    form = Form.of(sent)
    values = form.values
    cost = base.amount(values["cost"])
    for name, good in (
        ("outcome", values["outcome"] in labels.OUTCOMES),
        ("cost", bool(cost)),
        ("reason", bool(values["reason"])),
    ):
        if not good:
            form.wrong(request, name)
    if not form.bad:
        body = {"outcome": values["outcome"], "cost": cost, "reason": values["reason"]}
        try:
            api.review(ref, body, key=values["idempotency_key"])
        except ServiceProblem as problem:
            base.refuse(request, form, problem, over_budget="cost")
        else:
            return redirect(f"/mairie/{code}/propositions/{ref}")
    return _proposal(request, places, api, code, ref, form)
