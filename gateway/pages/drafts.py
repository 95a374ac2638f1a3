"""A proposal's text changed by who may: a draft until it is submitted, then version by version."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

import shapely
from fastapi import APIRouter, Query, Response
from starlette.datastructures import FormData

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.pages import base, propose
from gateway.pages.base import Form, Json
from gateway.pages.proposals import Site, SiteDep, diff_of, editable
from gateway.pages.propose import OPEN, TEXTS, Estimate
from gateway.projections.linked import linked_reports
from gateway.session import CheckedForm, SignedIn
from gateway.web import gettext, redirect, render

router = APIRouter(prefix="/propositions/{ref}", include_in_schema=False)

DRAFT = "draft"
CHANGED = N_(
    "Ce projet a changé pendant que vous écriviez. Voici ce qui a changé ; rien n'a été "
    "enregistré, et votre texte est gardé."
)


@router.get("/modifier")
def edit(
    ref: str,
    site: SiteDep,
    _person: SignedIn,
    nouveau: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Give the form that finishes a draft, or changes what was submitted."""
    found = site.api.proposal(ref)
    campaign = site.api.campaign(found["campaign"])
    if not _may_edit(found, campaign):
        return redirect(f"/propositions/{found['ref']}")
    _ = gettext(site.request)
    notice = _("Le brouillon est prêt : complétez-le, puis déposez-le.") if nouveau else ""
    return _form(site, found, campaign, Form(), notice=notice)


def _may_edit(found: Json, campaign: Json) -> bool:
    return found["status"] == DRAFT or editable(found, campaign)


def _form(
    site: Site,
    found: Json,
    campaign: Json,
    form: Form,
    *,
    photos: list[str] | None = None,
    notice: str = "",
    changed: list[Json] | None = None,
) -> Response:
    names = base.place_names(site.places, found["commune"])
    said = _summaries(site.api, found["hotspot"])
    units = propose.unit_costs(site.api, found["commune"])
    estimate = _estimate(form, units, found)
    if form.values["do"] == "line":
        estimate.lines.append({"code": "", "quantity": "", "total": None})
    ids = [photo["id"] for photo in found["photos"]] if photos is None else photos
    return render(
        site.request,
        "budget/draft.html",
        status=409 if changed is not None else 422 if form.bad else 200,
        form=form,
        notice=notice,
        changed=changed,
        proposal=found,
        old=_old(found),
        draft=found["status"] == DRAFT,
        open_now=OPEN,
        estimate=estimate,
        photos=ids,
        reports=[
            {**base.located(one, names), "summary": said.get(one["id"], "")}
            for one in linked_reports(site.session, found["reports"])
        ],
        **propose.shared(site.request, site.places, campaign, units),
    )


def _estimate(form: Form, units: list[Json], found: Json) -> Estimate:
    if "cost_code_1" not in form.values:
        return propose.estimate_of(found)
    estimate = propose.read_estimate(form.values, units)
    propose.settle(form, estimate)
    return estimate


def _old(found: Json) -> Mapping[str, Any]:
    """Return what the form holds before anything is typed."""
    envelope = found["envelope"]
    drawn = "" if found["geometry"]["type"] == "Point" else found["geometry"]
    return {
        **propose.NOTHING,
        **{name: found[name] for name in (*TEXTS, "theme", "estimated_cost", "lon", "lat")},
        "geometry": drawn,
        "envelope": envelope and envelope["id"],
        "author_name": found["author"]["name"],
    }


def _summaries(api: Api, hotspot: str | None) -> Mapping[str, str]:
    """Return what the reports of a hotspot say, by id; nothing when it cannot be asked."""
    if not hotspot:
        return {}
    try:
        return {one["id"]: one["summary"] for one in api.hotspot(hotspot)["reports"]}
    except (ServiceDown, ServiceProblem):
        return {}


@router.post("/modifier")
def save(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Save the text, and submit a draft if asked to."""
    api, request = site.api, site.request
    found = api.proposal(ref)
    campaign = api.campaign(found["campaign"])
    page = f"/propositions/{found['ref']}"
    form = Form.of({name: value for name, value in sent.items() if name not in _LISTS})
    do = form.values["do"]
    if not _may_edit(found, campaign) or (do == "submit" and found["status"] != DRAFT):
        return redirect(page)
    photos = propose.keep_photos(request, api, sent, form)
    if do in propose.ASIDE:
        return _form(site, found, campaign, form, photos=photos)
    changes = _changes(site, found, form) | _lists(site, found, sent, photos)
    if form.bad:
        return _form(site, found, campaign, form, photos=photos)
    if form.values["revision"] != str(found["revision"]):
        # The same words sent twice are no conflict with themselves.
        done = all(changes[name] == found[name] for name in _COMPARED if name in changes)
        return redirect(page) if done else _conflict(site, ref, form, photos)
    key = form.values["idempotency_key"]
    body = changes | {"seen": found["version"]}
    try:
        found = api.budget_write("proposals", ref, body=body, key=key, method="PATCH")
    except ServiceProblem as problem:
        if problem.code == "changed_meanwhile":
            return _conflict(site, ref, form, photos)
        return _refused(site, found, campaign, form, problem, photos=photos)
    if do == "submit":
        return _submit(site, found, campaign, form, _second(key))
    return redirect(page if found["status"] == DRAFT else f"{page}?fait=modifie")


#: Fields that a form may send many times.
_LISTS = ("reports", "photo_ids")
#: What tells whether a text is there already.
_COMPARED = (*TEXTS, "theme", "estimated_cost")


def _second(key: str) -> str | None:
    """Return the key of the submission that follows a change with ``key``."""
    return str(uuid5(NAMESPACE_URL, f"{key}/submit")) if key else None


def _submit(site: Site, found: Json, campaign: Json, form: Form, key: str | None) -> Response:
    """Submit a draft; what it lacks is asked for in its form."""
    _ = gettext(site.request)
    try:
        site.api.budget_write("proposals", found["ref"], "submit", key=key)
    except ServiceProblem as problem:
        kept = _("Le brouillon est gardé, mais pas encore déposé.")
        return _refused(site, found, campaign, form, problem, kept)
    return redirect(f"/propositions/{found['ref']}?merci=1")


def _refused(
    site: Site,
    found: Json,
    campaign: Json,
    form: Form,
    problem: ServiceProblem,
    kept: str = "",
    photos: list[str] | None = None,
) -> Response:
    if problem.code == "already_submitted":
        return redirect(f"/propositions/{found['ref']}")
    propose.refused(site.request, form, problem)
    form.notice = f"{kept} {form.notice}".strip()
    return _form(site, found, campaign, form, photos=photos)


def _conflict(site: Site, ref: str, form: Form, photos: list[str]) -> Response:
    """Give the form with what was typed, and beside it what others changed since."""
    found = site.api.proposal(ref)
    campaign = site.api.campaign(found["campaign"])
    if not _may_edit(found, campaign):
        return redirect(f"/propositions/{found['ref']}")
    changed: list[Json] = []
    if found["status"] != DRAFT:
        since = form.values["revision"]
        first = int(since) + 1 if since.isascii() and since.isdigit() and len(since) < 6 else 1
        for number in range(max(first, found["revision"] - 4, 1), found["revision"] + 1):
            one = site.api.budget("proposals", found["ref"], "revisions", str(number))
            changed += diff_of(site, one, campaign)
    form.notice = gettext(site.request)(CHANGED)
    return _form(site, found, campaign, form, photos=photos, changed=changed)


def _changes(site: Site, found: Json, form: Form) -> Json:
    """Read the form's own fields into what changes; what is wrong is written on the form."""
    request, values = site.request, form.values
    changes: Json = {
        **{name: values[name] for name in TEXTS if name in values},
        "theme": base.known(values["theme"], labels.THEMES) or None,
    }
    if "cost_code_1" in values:
        estimate = propose.read_estimate(values, propose.unit_costs(site.api, found["commune"]))
        changes["cost_lines"] = estimate.sent
        if estimate.wrong:
            form.wrong(request, "cost_lines")
        propose.settle(form, estimate)
    cost = changes["estimated_cost"] = base.amount(values["estimated_cost"])
    if not values["title"]:
        form.wrong(request, "title")
    if values["estimated_cost"] and not cost:
        form.wrong(request, "estimated_cost")
    if "author_name" in values:
        changes["author_name"] = values["author_name"]
        if found["author"]["kind"] in ("group", "association") and not values["author_name"]:
            form.wrong(request, "author_name")
    if "envelope" in values and values["envelope"] != ((found["envelope"] or {}).get("id") or ""):
        changes["envelope"] = values["envelope"] or None
    if found["status"] != DRAFT:
        changes["note"] = values["note"]
    geometry = _moved(site, found, form)
    return changes | ({"geometry": geometry} if geometry else {})


def _moved(site: Site, found: Json, form: Form) -> Json | None:
    """Return the new place; any shape that a client drew stays, unless the place is another."""
    values = form.values
    if values["area"] in base.place_names(site.places, found["commune"]):
        at = propose.middle(site.places, values["area"])
        return {"type": "Point", "coordinates": list(at)}
    chosen = propose.read_place(form, site.places, found["commune"], "area")
    if chosen is None or _same(chosen, found["geometry"]):
        return None
    at_first = (round(found["lon"], 6), round(found["lat"], 6))
    return None if chosen["type"] == "Point" and base.point(form) == at_first else chosen


def _same(one: Json, other: Json) -> bool:
    """Tell whether two GeoJSON geometries are one shape, wherever their rings begin."""
    try:
        shapes = [shapely.geometry.shape(geometry).normalize() for geometry in (one, other)]
    except (ValueError, TypeError, IndexError, shapely.errors.ShapelyError):
        return False  # the service says what is wrong with it
    return bool(shapes[0].equals_exact(shapes[1], 1e-6))


def _lists(site: Site, found: Json, sent: FormData, photos: list[str]) -> Json:
    """Return reports and photos where they change.

    What the form did not list (hidden since, or taken back) stays as it is.
    """
    listed = {one["id"] for one in linked_reports(site.session, found["reports"])}
    left = listed - set(map(str, sent.getlist("reports")))
    kept = [one for one in found["reports"] if one not in left]
    changes: Json = {"reports": kept} if kept != found["reports"] else {}
    if photos != [photo["id"] for photo in found["photos"]]:
        changes["photos"] = photos
    return changes


@router.post("/suppression")
def discard(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Delete a draft."""
    found = site.api.proposal(ref)
    key = str(sent.get("idempotency_key", ""))
    site.api.budget_write("proposals", ref, key=key, method="DELETE")
    return redirect(f"/budget/{found['campaign']}")


@router.post("/depot")
def submit(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Submit a draft as it is."""
    key = str(sent.get("idempotency_key", ""))
    found = site.api.proposal(ref)
    return _submit(site, found, site.api.campaign(found["campaign"]), Form(), key)
