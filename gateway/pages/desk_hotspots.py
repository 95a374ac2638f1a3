"""The town hall's hotspots: ranked, and one click away from a draft proposal with its reports."""

import re
from collections.abc import Mapping
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

import shapely
from fastapi import APIRouter, Query, Request, Response
from shapely.geometry.base import BaseGeometry

from gateway import i18n, labels, layers
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.hotspots import PRESENT, SHOW, WINDOWS
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}/points-chauds", include_in_schema=False)

MANAGE = "reports.manage"
#: The phases in which the mairie may prepare projects.
DRAFTING = ("preparation", "ideas")
#: The most reports that a proposal may be linked to.
MAX_REPORTS = 20
#: What a project against problems of a category is about.
THEME: Mapping[str, str] = {
    "waste": "environment",
    "lighting": "lighting",
    "roads": "roads",
    "drainage": "drainage",
    "water": "water",
    "occupation": "other",
    "noise": "other",
    "buildings": "other",
    "markets": "market",
    "other": "other",
}

Code = Annotated[str, Query(max_length=40)]


@router.get("")
def hotspots(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    category: Code = "",
    days: Code = PRESENT,
) -> Response:
    """Rank where problems gather, each with its reports and what can be done about it."""
    require(request, MANAGE, code)
    return _list(code, request, places, api, category, days, Form())


def _list(
    code: str,
    request: Request,
    places: Places,
    api: Api,
    category: str,
    days: str,
    form: Form,
) -> Response:
    chosen = {
        "category": base.known(category, labels.CATEGORIES),
        "days": base.known(days, WINDOWS) or PRESENT,
    }
    found = api.hotspots(
        commune=code, category=chosen["category"] or None, days=int(chosen["days"])
    )
    return render(
        request,
        "desk/hotspots.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="hotspots",
        map=layers.commune_map_parts(request, code, SHOW),
        places=base.place_names(places, code),
        form=form,
        chosen=chosen,
        windows=WINDOWS,
        present=chosen["days"] == PRESENT,
        found=found,
        sentence="sentence" if i18n.choose(request) == i18n.DEFAULT else "sentence_en",
        note=found["population"]["note" if i18n.choose(request) == i18n.DEFAULT else "note_en"],
    )


@router.post("/{ref}/projet")
def prepare(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Draft a proposal from a hotspot, its reports linked, and lead to it.

    Sent again with the same form it makes nothing new: both writes have keys made from its key.
    """
    require(request, MANAGE, code)
    form = Form.of(sent)
    hotspot = api.hotspot(ref)
    if hotspot["properties"]["commune"] != code:
        raise NotFound
    if hotspot["properties"]["proposal_ref"]:
        return redirect(f"/propositions/{hotspot['properties']['proposal_ref']}")
    campaigns = [one for one in api.campaigns(commune=code) if one["phase"] in DRAFTING]
    chosen = [one for one in campaigns if one["id"] == form.values["campaign"]] or campaigns
    if len(chosen) != 1:
        return _choose(code, request, places, hotspot, campaigns)
    try:
        return _draft(places, api, hotspot, chosen[0]["id"], form.values["idempotency_key"])
    except ServiceProblem as problem:
        refused = base.refuse(request, form, problem, outside_commune="")
        return _list(code, request, places, api, "", PRESENT, refused)


def _choose(
    code: str, request: Request, places: Places, hotspot: Json, campaigns: list[Json]
) -> Response:
    """Ask which campaign the project is for, or say that none takes projects now."""
    names = base.place_names(places, code)
    return render(
        request,
        "desk/hotspot_campaign.html",
        commune=places.commune(code),
        nav="desk",
        tab="hotspots",
        hotspot=hotspot["properties"],
        title=title(hotspot["properties"], names, places.commune(code).name),
        campaigns=campaigns,
    )


def _draft(places: Places, api: Api, hotspot: Json, campaign: str, key: str) -> Response:
    told = hotspot["properties"]
    code = told["commune"]
    lon, lat = centre(hotspot["geometry"], places.now().shapes[code])
    draft = {
        "campaign": campaign,
        "title": title(told, base.place_names(places, code), places.commune(code).name),
        "description": f"{_facts(told['sentence'])}. Ce projet doit : ",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "theme": THEME[told["category"]],
        "reports": [one["id"] for one in hotspot["reports"][:MAX_REPORTS]],
        "hotspot": told["ref"],
        "draft": True,
    }
    # By the hotspot, not by the form: who asks twice, from two windows, makes one draft.
    made = api.budget_write("proposals", body=draft, key=_key(f"{campaign}/{told['ref']}", "draft"))
    try:
        api.draft_from_hotspot(told["ref"], made["ref"], key=_key(key, "hotspot"))
    except ServiceProblem as problem:
        if problem.code != "proposal_recorded":
            raise
        # A colleague was faster: theirs is the hotspot's project.
        recorded = api.hotspot(told["ref"])["properties"]["proposal_ref"]
        return redirect(f"/propositions/{recorded}")
    return redirect(f"/propositions/{made['ref']}/modifier?nouveau=1")


def _facts(sentence: str) -> str:
    """Return what a hotspot's sentence counts, without how unlikely that is."""
    return re.split(r", (?=point chaud|contre )", sentence)[0].rstrip(".")


def _key(key: str, what: str) -> str | None:
    """Return the key of one of the writes that a form makes."""
    return str(uuid5(NAMESPACE_URL, f"{key}/{what}")) if key else None


def title(hotspot: Json, names: Mapping[str, str], commune: str) -> str:
    """Return the title of a draft, in French whoever writes it: it will be published."""
    say = i18n.translations(i18n.DEFAULT).gettext
    place = names.get(hotspot["arrondissement"] or "", commune)
    where = f"dans le {place}" if place[:1].isdigit() else f"à {place}"
    return f"{say(labels.category(hotspot['category']).text)}\u00a0: point chaud {where}"


def centre(outline: Json, commune: BaseGeometry) -> tuple[float, float]:
    """Return the middle of a hotspot's outline, or a point of it inside the commune (degrees)."""
    inside = shapely.geometry.shape(outline).intersection(commune)
    middle = inside.centroid
    if not inside.contains(middle):
        middle = inside.representative_point()
    return round(middle.x, 6), round(middle.y, 6)
