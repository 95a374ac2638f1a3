"""The desk enters what came on paper or out of assemblies, and what usual works cost."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.layers import commune_map_parts
from gateway.pages import base, plans, propose
from gateway.pages.base import CampaignId, Form, Json
from gateway.pages.desk_budget import MANAGE, own, page
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

Code = Annotated[str, Query(max_length=40)]
PEOPLE = ("women", "men", "youth")
MOST_PEOPLE = 100_000
#: Who may sign a paper form.
KINDS = ("person", "group", "association")
REF = re.compile(r"P-[0-9A-Z]{5,8}")
TAKEN = N_("Un ouvrage a déjà ce nom : modifiez-le dans la liste.")


# Assemblies


@router.get("/budget/{campaign}/assemblees")
def forums(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """List a campaign's assemblies, and give the form that enters one."""
    require(request, MANAGE, code)
    return _forums(request, places, api, own(api, code, campaign), Form())


def _held(api: Api, campaign: str) -> list[Json]:
    found: list[Json] = api.budget("campaigns", campaign, "forums")["items"]
    return found


def _forums(request: Request, places: Places, api: Api, campaign: Json, form: Form) -> Response:
    code = campaign["commune"]
    names = plans.counted(base.place_names(places, code))
    held = _held(api, campaign["id"])
    return page(
        request,
        places,
        code,
        "desk/forums.html",
        bad=form.bad,
        campaign=campaign,
        form=form,
        areas=names,
        forums=held,
        totals={name: sum(one[name] for one in held) for name in PEOPLE},
    )


@router.post("/budget/{campaign}/assemblees")
def add_forum(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Enter an assembly that was held, and how many came."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form.of(sent)
    body = _forum(request, form)
    if not form.bad:
        try:
            key = form.values["idempotency_key"]
            api.budget_write("campaigns", campaign, "forums", body=body, key=key)
        except ServiceProblem as problem:
            base.refuse(request, form, problem)
        else:
            return redirect(f"/mairie/{code}/budget/{campaign}/assemblees")
    return _forums(request, places, api, found, form)


def _forum(request: Request, form: Form) -> Json:
    values = form.values
    day = plans.read_day(values["held_on"])
    people = {name: base.amount(values[name] or "0") for name in PEOPLE}
    for name, good in (
        ("name", bool(values["name"])),
        ("held_on", day is not None),
        *((who, n is not None and n <= MOST_PEOPLE) for who, n in people.items()),
    ):
        if not good:
            form.wrong(request, name, "people" if name in people else "")
    came = (people["women"] or 0) + (people["men"] or 0)
    if "youth" not in form.errors and (people["youth"] or 0) > came:
        form.wrong(request, "youth")
    return {
        "name": values["name"],
        "held_on": values["held_on"],
        "place": values["place"],
        "arrondissement": values["arrondissement"] or None,
        **people,
    }


# Proposals from paper and from assemblies


@router.get("/budget/{campaign}/saisie")
def entry(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    forum: Code = "",
    enveloppe: Code = "",
    fait: Code = "",
) -> Response:
    """Give the form that enters a proposal; what many have in common is kept from the last one."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    held = _held(api, campaign)
    form = Form()
    form.values["forum"] = base.known(forum, [one["id"] for one in held])
    form.values["envelope"] = base.known(enveloppe, [one["id"] for one in found["envelopes"]])
    area = next((f["arrondissement"] for f in held if f["id"] == form.values["forum"]), None)
    form.values["arrondissement"] = area or ""
    done = _entered(api, campaign, fait)
    return _entry(request, places, found, held, form, done)


def _entered(api: Api, campaign: str, ref: str) -> Json | None:
    """Return the proposal that was just entered, if it is one of this campaign."""
    if not REF.fullmatch(ref):
        return None
    try:
        found = api.proposal(ref)
    except ServiceProblem:
        return None
    return found if found["campaign"] == campaign else None


def _entry(
    request: Request,
    places: Places,
    campaign: Json,
    held: Sequence[Json],
    form: Form,
    done: Json | None = None,
) -> Response:
    code = campaign["commune"]
    names = plans.counted(base.place_names(places, code))
    open_now = campaign["phase"] == propose.OPEN
    return page(
        request,
        places,
        code,
        "desk/paper.html",
        bad=form.bad,
        campaign=campaign,
        form=form,
        done=done,
        forums=[(one["id"], one["name"]) for one in held],
        kinds=KINDS,
        map=commune_map_parts(request, code, "place") if open_now else None,
        places=names,
        open_now=open_now,
    )


@router.post("/budget/{campaign}/saisie")
def enter(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Submit a proposal in the name of who signed the paper, or of the assembly."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    held = _held(api, campaign)
    form = Form.of(sent)
    body = _proposal(request, places, found, held, form)
    if not form.bad:
        try:
            made = api.budget_write("proposals", body=body, key=form.values["idempotency_key"])
        except ServiceProblem as problem:
            propose.refused(request, form, problem)
        else:
            kept = f"forum={body['forum'] or ''}&enveloppe={form.values['envelope']}"
            return redirect(f"/mairie/{code}/budget/{campaign}/saisie?{kept}&fait={made['ref']}")
    return _entry(request, places, found, held, form)


def _proposal(
    request: Request, places: Places, campaign: Json, held: Sequence[Json], form: Form
) -> Json:
    values = form.values
    forum = base.known(values["forum"], [one["id"] for one in held]) or None
    kind = base.known(values["author_kind"], KINDS) or "person"
    cost = base.amount(values["estimated_cost"])
    geometry = propose.read_place(form, places, campaign["commune"], "arrondissement")
    named = bool(values["author_name"]) or kind == "person" or forum is not None
    for name, good in (
        ("title", bool(values["title"])),
        ("description", bool(values["description"])),
        ("estimated_cost", bool(cost)),
        ("place", geometry is not None),
        ("author_name", named),
    ):
        if not good:
            form.wrong(request, name)
    values["envelope"] = base.known(values["envelope"], [e["id"] for e in campaign["envelopes"]])
    return {
        "campaign": campaign["id"],
        **{name: values[name] for name in propose.TEXTS},
        "geometry": geometry,
        "estimated_cost": cost,
        "theme": base.known(values["theme"], labels.THEMES) or None,
        "envelope": values["envelope"] or None,
        "origin": "assembly" if forum else "paper",
        "forum": forum,
        "author_kind": "person" if forum else kind,
        "author_name": "" if forum else values["author_name"],
    }


# What usual works cost


@router.get("/couts")
def unit_costs(
    code: str, request: Request, places: PlacesDep, api: ApiDep, modifier: Code = ""
) -> Response:
    """List what usual works cost in the commune, and give the form that keeps a figure."""
    places.commune(code)
    require(request, MANAGE, code)
    costs = _costs(api, code)
    form = Form()
    chosen = next((one for one in costs if one["code"] == modifier), None)
    if chosen:
        form.values |= {
            "code": modifier,
            "name": chosen["name"],
            "unit": chosen["unit"],
            "cost": plans.written(chosen["cost"]),
            "theme": chosen["theme"] or "",
        }
    return _unit_costs(request, places, code, costs, form)


def _costs(api: Api, code: str) -> list[Json]:
    found: list[Json] = api.budget("unit-costs", commune=code)["items"]
    return found


def _unit_costs(
    request: Request, places: Places, code: str, costs: Sequence[Json], form: Form
) -> Response:
    chosen = next((one for one in costs if one["code"] == form.values["code"]), None)
    template = "desk/unit_costs.html"
    shown = {"costs": costs, "chosen": chosen, "form": form}
    return page(request, places, code, template, bad=form.bad, **shown)


@router.post("/couts")
def keep_unit_cost(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Keep the mairie's own figure, or with ``do`` "remove" forget it."""
    require(request, MANAGE, code)
    form = Form.of(sent)
    values = form.values
    costs = _costs(api, code)
    known = {one["code"] for one in costs}
    if values["code"] and values["code"] not in known:
        raise NotFound
    remove = values["do"] == "remove"
    unit, body = _unit_cost(request, form, known) if not remove else (values["code"], {})
    if not form.bad:
        method = "DELETE" if remove else "PUT"
        key = values["idempotency_key"]
        try:
            api.budget_write("unit-costs", code, unit, body=body, key=key, method=method)
        except ServiceProblem as problem:
            base.refuse(request, form, problem)
        else:
            return redirect(f"/mairie/{code}/couts")
    return _unit_costs(request, places, code, costs, form)


def _unit_cost(request: Request, form: Form, known: set[str]) -> tuple[str, Json]:
    """Read a figure and the code it is kept under; what is wrong is written on the form."""
    values = form.values
    unit = values["code"] or plans.slug(values["name"])
    cost = base.amount(values["cost"])
    for name, good in (
        ("name", bool(unit and values["name"])),
        ("unit", bool(values["unit"])),
        ("cost", bool(cost)),
    ):
        if not good:
            form.wrong(request, name, "unit_cost" if name == "cost" else "")
    if not values["code"] and unit in known:
        form.errors["name"] = gettext(request)(TAKEN)
    theme = base.known(values["theme"], labels.THEMES) or None
    return unit, {"name": values["name"], "unit": values["unit"], "cost": cost, "theme": theme}
