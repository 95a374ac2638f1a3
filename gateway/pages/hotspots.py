"""Where problems gather: a commune's hotspots, ranked, and the arrondissements that say little."""

from collections.abc import Mapping
from typing import Annotated, get_args

from babel import numbers
from fastapi import APIRouter, Query, Request, Response

from gateway import i18n, labels, layers
from gateway.errors import ServiceDown, ServiceProblem
from gateway.pages import base
from gateway.pages.base import Json
from gateway.places import PlacesDep
from gateway.session import ApiDep
from gateway.web import render
from services.common.problems import NotFound

router = APIRouter(include_in_schema=False)

#: The windows that can be chosen, in days; the services find hotspots by the second.
WINDOWS = ("30", "90", "180", "365")
PRESENT = "90"
#: How many a commune's own page tells of.
FOREMOST = 3
#: The map beside the list.
SHOW: layers.Show = "hotspots" if "hotspots" in get_args(layers.Show) else "reports"

Code = Annotated[str, Query(max_length=40)]


@router.get("/communes/{code}/points-chauds")
def hotspots(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    category: Code = "",
    days: Code = PRESENT,
) -> Response:
    """Rank a commune's hotspots beside their map, each in one sentence."""
    commune = places.commune(code)
    chosen = {
        "category": base.known(category, labels.CATEGORIES),
        "days": base.known(days, WINDOWS) or PRESENT,
    }
    french = i18n.choose(request) == i18n.DEFAULT
    found = api.hotspots(
        commune=code, category=chosen["category"] or None, days=int(chosen["days"])
    )
    return render(
        request,
        "hotspots/list.html",
        commune=commune,
        nav="map",
        map=layers.commune_map_parts(request, code, SHOW),
        places=base.place_names(places, code),
        chosen=chosen,
        windows=WINDOWS,
        hotspots=[_told(request, item) for item in found["hotspots"]],
        silent=[_told(request, item) for item in found["silent"]],
        reports=found["reports"],
        population=found["population"]["note" if french else "note_en"],
    )


def _told(request: Request, item: Json) -> Json:
    """Return ``item`` with its sentence and its rate in the language of the page."""
    locale = i18n.choose(request)
    rate = item["per_1000"]
    return {
        **item,
        "said": item["sentence" if locale == i18n.DEFAULT else "sentence_en"],
        "rate": "" if rate is None else numbers.format_decimal(rate, "#,##0.0", locale),
    }


@router.get("/communes/{code}/points-chauds/apercu")
def foremost(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Give the piece of a commune's page that tells of its first hotspots; empty without answer.

    Asked for by the page once it is shown: a slow or silent service costs it nothing.
    """
    commune = places.commune(code)
    try:
        found = api.hotspots(commune=code, days=int(PRESENT))["hotspots"]
    except (ServiceDown, ServiceProblem):
        found = []
    return render(
        request,
        "hotspots/card.html",
        commune=commune,
        hotspots=[_told(request, item) for item in found if item["significant"]][:FOREMOST],
    )


@router.get("/communes/{code}/points-chauds/{ref}")
def hotspot(code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show one hotspot with its reports and what grew out of it."""
    commune = places.commune(code)
    found = api.hotspot(ref)
    told: Json = _told(request, found["properties"])
    if told["commune"] != code:
        raise NotFound
    names: Mapping[str, str] = base.place_names(places, code)
    return render(
        request,
        "hotspots/one.html",
        commune=commune,
        nav="map",
        map=layers.commune_map_parts(request, code, SHOW),
        places=names,
        hotspot={**told, "place": names.get(told["arrondissement"] or "", commune.name)},
        reports=[{**one, "supports": 0, "place": "", "thumb": None} for one in found["reports"]],
    )
