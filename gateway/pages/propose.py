"""The form that proposes a project: place, cost, photos, and what is like it already."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import CampaignId, Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, SignedIn
from gateway.web import gettext, money, redirect, render

router = APIRouter(include_in_schema=False)

OPEN = "ideas"
MAX_PHOTOS = 5
MAX_PHOTO_BYTES = 10 * 1024 * 1024
#: Lines of the estimate: how many there are at first, at most, and how many of each.
LINES, MOST_LINES, MOST_OF_ONE = 3, 20, 100_000
#: How many similar proposals are shown, and how much of a description finds them.
SIMILAR, READ = 4, 1000
SHAPES = ("Point", "LineString", "Polygon")
TEXTS = ("title", "need", "description", "beneficiaries")
#: What the form of a new proposal begins with.
NOTHING: Mapping[str, Any] = {
    **dict.fromkeys((*TEXTS, "theme", "lon", "lat", "geometry", "author_name"), ""),
    "estimated_cost": None,
    "envelope": None,
}
TOO_LARGE = base.REFUSALS["photo_too_large"][1]
TOO_MUCH = N_("C'est plus que l'enveloppe, qui est de %(most)s.")
#: Buttons that change the form and send nothing.
ASIDE = ("count", "line", "change")
#: Fields that are not sent once more from the step between.
APART = ("csrf_token", "idempotency_key", "do", "photo_ids", "seen_similar")


@dataclass
class Estimate:
    """Lines of an estimate as they were typed, each with its ``total`` in FCFA or None."""

    lines: list[Json] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The sum in FCFA of the lines that are whole."""
        return sum(line["total"] or 0 for line in self.lines)

    @property
    def sent(self) -> list[Json]:
        """The whole lines as the service takes them."""
        return [
            {"code": line["code"], "quantity": int(line["quantity"])}
            for line in self.lines
            if line["total"] is not None
        ]

    @property
    def wrong(self) -> bool:
        """Tell whether a line is half filled, or unreadable."""
        return any(
            line["total"] is None and (line["code"] or line["quantity"]) for line in self.lines
        )


def unit_costs(api: Api, commune: str) -> list[Json]:
    """Return the unit costs of a commune; none while they cannot be read: an amount will do."""
    try:
        found: list[Json] = api.budget("unit-costs", commune=commune)["items"]
    except (ServiceDown, ServiceProblem):
        return []
    return found


def read_estimate(values: Mapping[str, str], units: Sequence[Json]) -> Estimate:
    """Read ``cost_code_1``, ``cost_quantity_1``…: at least the lines that a form begins with."""
    known = {unit["code"]: unit["cost"] for unit in units}
    found = Estimate()
    last = max((n for n in range(1, MOST_LINES + 1) if f"cost_code_{n}" in values), default=LINES)
    for n in range(1, max(last, LINES) + 1):
        code = values.get(f"cost_code_{n}", "")
        quantity = "".join(values.get(f"cost_quantity_{n}", "").split())
        whole = quantity.isascii() and quantity.isdigit() and 0 < int(quantity[:9]) <= MOST_OF_ONE
        total = int(quantity) * known[code] if whole and code in known else None
        found.lines.append({"code": code, "quantity": quantity, "total": total})
    return found


def estimate_of(proposal: Json) -> Estimate:
    """Return the lines that a proposal has, and free ones."""
    kept = [
        {"code": line["code"], "quantity": str(line["quantity"]), "total": line["total"]}
        for line in proposal["cost_lines"]
    ]
    free = [{"code": "", "quantity": "", "total": None}] * max(1, LINES - len(kept))
    return Estimate((kept + free)[:MOST_LINES])


def settle(form: Form, estimate: Estimate) -> int | None:
    """Return the amount in FCFA: the typed one, else the estimate's, which follows its lines."""
    values = form.values
    typed = values["estimated_cost"]
    if estimate.total and typed in ("", values["computed"]):
        values["estimated_cost"] = values["computed"] = str(estimate.total)
        return estimate.total
    return base.amount(typed)


def read_place(form: Form, places: Places, commune: str, area: str) -> Json | None:
    """Return the GeoJSON of the place: what was drawn, the point, or an arrondissement's middle."""
    values = form.values
    drawn = _drawn(values["geometry"])
    if drawn:
        return drawn
    at = base.point(form)
    if at is None and values[area] in base.place_names(places, commune):
        at = middle(places, values[area])
    return {"type": "Point", "coordinates": list(at)} if at else None


def middle(places: Places, arrondissement: str) -> tuple[float, float]:
    """Return a point well inside an arrondissement."""
    inside = places.now().parts[arrondissement].representative_point()
    return round(inside.x, 6), round(inside.y, 6)


def _drawn(text: str) -> Json | None:
    """Read a drawn GeoJSON geometry, no more than its two members; the service judges the rest."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("type") not in SHAPES:
        return None
    return {"type": found["type"], "coordinates": found.get("coordinates")}


def keep_photos(request: Request, api: Api, sent: FormData, form: Form) -> list[str]:
    """Keep the photos that came with a form; return their ids, earlier ones first."""
    too_large = gettext(request)(TOO_LARGE)
    found = [one for one in map(_id, sent.getlist("photo_ids")) if one]
    for file in sent.getlist("photos"):
        if not isinstance(file, UploadFile) or not file.size:
            continue
        if len(found) >= MAX_PHOTOS:
            form.wrong(request, "photos")
            break
        if file.size > MAX_PHOTO_BYTES:
            form.errors["photos"] = too_large
            continue
        try:
            found.append(api.budget_file(file.file.read()))
        except ServiceProblem as problem:
            base.refuse(request, form, problem)
    return list(dict.fromkeys(found))[:MAX_PHOTOS]


def _id(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return ""


def shared(request: Request, places: Places, campaign: Json, units: Sequence[Json]) -> Json:
    """Return what every form about a proposal's text needs."""
    code = campaign["commune"]
    names = base.place_names(places, code)
    return {
        "commune": places.commune(code),
        "nav": "budget",
        "campaign": campaign,
        "map": commune_map_parts(request, code, "place"),
        "places": names,
        "arrondissements": list(names.items()),
        "units": units,
        "most_photos": MAX_PHOTOS,
        "until": base.until(campaign),
    }


def refused(request: Request, form: Form, problem: ServiceProblem) -> Form:
    """Write a refusal of a proposal's text on its form, with the amount that was too much."""
    base.refuse(request, form, problem, over_budget="estimated_cost")
    if most := problem.now.get("most") if problem.code == "over_budget" else None:
        said = gettext(request)(TOO_MUCH) % {"most": money(int(most))}
        form.errors["estimated_cost"] = said
    if "geometry" in form.errors:
        form.errors["place"] = form.errors.pop("geometry")
    return form


# A new proposal


@router.get("/budget/{campaign}/proposer")
def new_proposal(
    campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep, _person: SignedIn
) -> Response:
    """Give the form that proposes a project, and the rules of the campaign above it."""
    return _form(api.campaign(campaign), request, places, api, Form(), [])


def _form(
    campaign: Json, request: Request, places: Places, api: Api, form: Form, photos: Sequence[str]
) -> Response:
    units = unit_costs(api, campaign["commune"])
    estimate = read_estimate(form.values, units)
    if form.values["do"] == "line" and len(estimate.lines) < MOST_LINES:
        estimate.lines.append({"code": "", "quantity": "", "total": None})
    settle(form, estimate)
    return render(
        request,
        "budget/propose.html",
        status=422 if form.bad else 200,
        form=form,
        old=NOTHING,
        estimate=estimate,
        photos=photos,
        open_now=campaign["phase"] == OPEN or request.method == "POST",
        **shared(request, places, campaign, units),
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
    """Submit a project, or keep it as a draft; what is like it already is shown once before."""
    form = Form.of({name: value for name, value in sent.items() if name != "photo_ids"})
    found = api.campaign(campaign)
    photos = keep_photos(request, api, sent, form)
    do = form.values["do"]
    if do in ASIDE:
        return _form(found, request, places, api, form, photos)
    body = _proposal(request, places, api, found, form) | {"photos": photos, "draft": do == "draft"}
    if form.bad:
        return _form(found, request, places, api, form, photos)
    if do != "draft" and not form.values["seen_similar"]:
        alike = similar(api, found, form, body["geometry"])
        if alike:
            return _between(request, places, found, form, photos, alike)
    try:
        made = api.budget_write("proposals", body=body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _form(found, request, places, api, refused(request, form, problem), photos)
    return redirect(f"/propositions/{made['ref']}?merci={'brouillon' if body['draft'] else '1'}")


def _proposal(request: Request, places: Places, api: Api, campaign: Json, form: Form) -> Json:
    """Read the form into a proposal; what is missing is written on the form.

    A draft needs a title and a place, no more.
    """
    values = form.values
    units = unit_costs(api, campaign["commune"])
    estimate = read_estimate(values, units)
    cost = settle(form, estimate)
    whole = values["do"] != "draft"
    kind = values["author_kind"] or (campaign["author_kinds"] or ["person"])[0]
    geometry = read_place(form, places, campaign["commune"], "arrondissement")
    for name, good in (
        ("place", geometry is not None),
        ("title", bool(values["title"])),
        ("description", bool(values["description"]) or not whole),
        ("estimated_cost", bool(cost) or (not whole and not values["estimated_cost"])),
        ("cost_lines", not estimate.wrong),
        ("author_name", bool(values["author_name"]) or kind == "person"),
        ("author_kind", kind in campaign["author_kinds"]),
    ):
        if not good:
            form.wrong(request, name)
    return {
        "campaign": campaign["id"],
        **{name: values[name] for name in TEXTS},
        "geometry": geometry,
        "estimated_cost": cost,
        "cost_lines": estimate.sent,
        "theme": base.known(values["theme"], labels.THEMES) or None,
        "envelope": base.known(values["envelope"], [e["id"] for e in campaign["envelopes"]])
        or None,
        "author_kind": kind,
        "author_name": values["author_name"],
    }


# What is like it already


def similar(
    api: Api, campaign: Json, form: Form, geometry: Json | None = None, without: str | None = None
) -> list[Json]:
    """Return proposals like the one being written; a help that is not there keeps nobody back."""
    lon, lat = base.point(form) or (None, None)
    if geometry and geometry["type"] == "Point" and lon is None:
        lon, lat = geometry["coordinates"]
    try:
        found: list[Json] = api.budget(
            "proposals",
            "similar",
            campaign=campaign["id"],
            title=form.values["title"][:120],
            description=form.values["description"][:READ],
            lon=lon,
            lat=lat,
            without=without,
            limit=SIMILAR,
        )["items"]
    except (ServiceDown, ServiceProblem, ValueError, TypeError):
        return []
    return found


def _between(
    request: Request,
    places: Places,
    campaign: Json,
    form: Form,
    photos: Sequence[str],
    alike: Sequence[Json],
) -> Response:
    kept = [(name, value) for name, value in form.values.items() if value and name not in APART]
    return render(
        request,
        "budget/similar.html",
        commune=places.commune(campaign["commune"]),
        nav="budget",
        campaign=campaign,
        form=form,
        kept=kept,
        photos=photos,
        alike=alike,
    )


@router.post("/budget/{campaign}/proposer/ressemblances")
def see_similar(
    campaign: CampaignId, request: Request, api: ApiDep, sent: CheckedForm, _person: SignedIn
) -> Response:
    """Give the piece of the form that shows what is like it, for who is still writing."""
    form = Form.of(sent)
    found = similar(api, {"id": campaign}, form) if form.values["title"] else []
    return render(request, "budget/_similar.html", alike=found, inside=True)
