"""Budget campaigns and their proposals, for citizens."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import CampaignId, Form, Json
from gateway.places import Places, PlacesDep
from gateway.projections.linked import linked_reports
from gateway.session import ApiDep, CheckedForm, MaybePerson, SignedIn
from gateway.web import gettext, redirect, render
from services.common.db import SessionDep

router = APIRouter(include_in_schema=False)

Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/communes/{code}/budget")
def campaigns(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List a commune's campaigns, the one that asks something now first."""
    _ = gettext(request)
    found = api.campaigns(commune=code)
    first = base.foremost(found)
    found.sort(key=lambda c: c is not first)
    return render(
        request,
        "budget/list.html",
        commune=places.commune(code),
        nav="budget",
        campaigns=[base.told(c, _) for c in found],
    )


@router.get("/budget/{campaign}")
def campaign(
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    who: MaybePerson,
    cursor: Cursor = None,
) -> Response:
    """Show a campaign: its phases, its amount, its proposals as a list and a map."""
    found = base.told(api.campaign(campaign), gettext(request))
    code = found["commune"]
    names = base.place_names(places, code)
    answer = api.proposals(campaign=campaign, limit=base.PAGE, cursor=cursor)
    drafts = api.proposals(campaign=campaign, status="draft")["features"] if who else []
    path = f"/budget/{found['id']}"
    return render(
        request,
        "budget/one.html",
        commune=places.commune(code),
        nav="budget",
        map=commune_map_parts(request, code, "proposals"),
        places=names,
        campaign=found,
        count=sum(found["counts"].values()),
        proposals=base.proposals_of(answer, names),
        drafts=[base.located(one["properties"], names) for one in drafts],
        base=path,
        following=base.following(path, {}, answer),
        later=cursor is not None,
    )


@router.get("/budget/{campaign}/proposer")
def new_proposal(
    campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep, _person: SignedIn
) -> Response:
    """Give the form that proposes a project."""
    return _form(api.campaign(campaign), request, places, Form())


def _form(campaign: Json, request: Request, places: Places, form: Form) -> Response:
    code = campaign["commune"]
    names = base.place_names(places, code)
    return render(
        request,
        "budget/propose.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="budget",
        form=form,
        campaign=campaign,
        map=commune_map_parts(request, code, "place"),
        places=names,
        arrondissements=list(names.items()),
    )


@router.post("/budget/{campaign}/proposer")
def create_proposal(
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Submit a project."""
    form = Form.of(sent)
    found = api.campaign(campaign)
    body = _proposal(request, places, found, form)
    if form.bad:
        return _form(found, request, places, form)
    try:
        made = api.create_proposal(body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        base.refuse(request, form, problem, over_budget="estimated_cost")
        return _form(found, request, places, form)
    return redirect(f"/propositions/{made['ref']}?merci=1")


def _proposal(request: Request, places: Places, campaign: Json, form: Form) -> Json:
    """Read the form into a proposal; what is missing is written on the form."""
    _ = gettext(request)
    values = form.values
    at = base.point(form)
    if at is None and values["arrondissement"] in base.place_names(places, campaign["commune"]):
        inside = places.now().parts[values["arrondissement"]].representative_point()
        at = (round(inside.x, 6), round(inside.y, 6))
    if at is None:
        form.wrong(request, "place")
    cost = base.amount(values["estimated_cost"])
    for name, good in (
        ("title", bool(values["title"])),
        ("description", bool(values["description"])),
        ("estimated_cost", bool(cost)),
    ):
        if not good:
            form.wrong(request, name)
    return {
        "campaign": campaign["id"],
        "title": values["title"],
        "description": values["description"],
        "geometry": {"type": "Point", "coordinates": list(at or ())},
        "estimated_cost": cost,
        "theme": values["theme"] or None,
    }


@router.get("/propositions/{ref}")
def proposal(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    merci: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Show one proposal and what the mairie said of it; a draft to those who may finish it."""
    return _show(api, ref, request, places, session, thanks=bool(merci))


def _show(
    api: Api,
    ref: str,
    request: Request,
    places: Places,
    session: Session,
    *,
    thanks: bool = False,
    notice: str = "",
) -> Response:
    found = api.proposal(ref)
    names = base.place_names(places, found["commune"])
    linked = linked_reports(session, found["reports"])
    return render(
        request,
        "budget/proposal.html",
        status=409 if notice else 200,
        commune=places.commune(found["commune"]),
        nav="budget",
        proposal=base.located(found, names),
        reports=[base.located(one, names) for one in linked],
        campaign=api.campaign(found["campaign"]),
        thanks=thanks,
        problem=notice,
    )


@router.post("/propositions/{ref}/soutien")
def endorse(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Stand behind a proposal."""
    try:
        api.endorse(ref, key=str(sent.get("idempotency_key", "")))
    except ServiceProblem as problem:
        refused = base.refuse(request, Form(), problem)
        return _show(api, ref, request, places, session, notice=refused.notice)
    return redirect(f"/propositions/{ref}")
