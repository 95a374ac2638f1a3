"""Draft proposals: finished by their author or by the mairie, then submitted."""

from collections.abc import Mapping
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.projections.linked import linked_reports
from gateway.session import ApiDep, CheckedForm, SignedIn
from gateway.web import gettext, redirect, render
from services.common.db import SessionDep

router = APIRouter(prefix="/propositions/{ref}", include_in_schema=False)

DRAFT = "draft"
#: The phase in which a draft can be submitted.
OPEN = "ideas"


@router.get("/modifier")
def edit(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    _person: SignedIn,
    nouveau: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Give the form that finishes a draft."""
    found = api.proposal(ref)
    if found["status"] != DRAFT:
        return redirect(f"/propositions/{found['ref']}")
    form = Form()
    _ = gettext(request)
    notice = _("Le brouillon est prêt : complétez-le, puis déposez-le.") if nouveau else ""
    return _form(request, places, api, session, found, form, notice)


def _form(
    request: Request,
    places: Places,
    api: Api,
    session: Session,
    found: Json,
    form: Form,
    notice: str = "",
) -> Response:
    code = found["commune"]
    names = base.place_names(places, code)
    said = _summaries(api, found["hotspot"])
    return render(
        request,
        "budget/draft.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="budget",
        form=form,
        notice=notice,
        proposal=found,
        campaign=api.campaign(found["campaign"]),
        open_now=OPEN,
        map=commune_map_parts(request, code, "place"),
        places=names,
        arrondissements=list(names.items()),
        reports=[
            {**base.located(one, names), "summary": said.get(one["id"], "")}
            for one in linked_reports(session, found["reports"])
        ],
    )


def _summaries(api: Api, hotspot: str | None) -> Mapping[str, str]:
    """Return what the reports of a hotspot say, by id; nothing when it cannot be asked."""
    if not hotspot:
        return {}
    try:
        return {one["id"]: one["summary"] for one in api.hotspot(hotspot)["reports"]}
    except (ServiceDown, ServiceProblem):
        return {}


@router.post("/modifier")
def save(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Save a draft, and submit it if asked to."""
    found = api.proposal(ref)
    page = f"/propositions/{found['ref']}"
    if found["status"] != DRAFT:
        return redirect(page)
    form = Form.of({name: value for name, value in sent.items() if name != "reports"})
    changes = _changes(request, places, found, form)
    # What the form did not list (hidden since, or taken back) stays as it is.
    listed = {one["id"] for one in linked_reports(session, found["reports"])}
    left = listed - set(map(str, sent.getlist("reports")))
    changes["reports"] = [one for one in found["reports"] if one not in left]
    if form.bad:
        return _form(request, places, api, session, found, form)
    key = form.values["idempotency_key"]
    try:
        found = api.edit_draft(ref, changes, key=key)
    except ServiceProblem as problem:
        return _refused(request, places, api, session, found, form, problem)
    if form.values["do"] == "submit":
        return _submit(request, places, api, session, found, form, _second(key))
    return redirect(page)


def _second(key: str) -> str | None:
    """Return the key of the submission that follows a change with ``key``."""
    return str(uuid5(NAMESPACE_URL, f"{key}/submit")) if key else None


def _submit(
    request: Request,
    places: Places,
    api: Api,
    session: Session,
    found: Json,
    form: Form,
    key: str | None,
) -> Response:
    """Submit a draft; what it lacks is asked for in its form."""
    _ = gettext(request)
    try:
        api.submit_draft(found["ref"], key=key)
    except ServiceProblem as problem:
        kept = _("Le brouillon est gardé, mais pas encore déposé.")
        return _refused(request, places, api, session, found, form, problem, kept)
    return redirect(f"/propositions/{found['ref']}?merci=1")


def _refused(
    request: Request,
    places: Places,
    api: Api,
    session: Session,
    found: Json,
    form: Form,
    problem: ServiceProblem,
    kept: str = "",
) -> Response:
    if problem.code == "already_submitted":
        return redirect(f"/propositions/{found['ref']}")
    base.refuse(request, form, problem, over_budget="estimated_cost")
    form.notice = f"{kept} {form.notice}".strip()
    return _form(request, places, api, session, found, form)


def _changes(request: Request, places: Places, found: Json, form: Form) -> Json:
    """Read the form's own fields into what changes; what is wrong is written on the form."""
    values = form.values
    cost = base.amount(values["estimated_cost"])
    if not values["title"]:
        form.wrong(request, "title")
    if values["estimated_cost"] and not cost:
        form.wrong(request, "estimated_cost")
    changes: Json = {
        "title": values["title"],
        "description": values["description"],
        "estimated_cost": cost,
        "theme": base.known(values["theme"], labels.THEMES) or None,
    }
    at = base.point(form)
    if values["area"] in base.place_names(places, found["commune"]):
        middle = places.now().parts[values["area"]].representative_point()
        at = (round(middle.x, 6), round(middle.y, 6))
    # Any other shape that a client drew stays, unless the place is another.
    if at and at != (round(found["lon"], 6), round(found["lat"], 6)):
        changes["geometry"] = {"type": "Point", "coordinates": list(at)}
    return changes


@router.post("/depot")
def submit(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Submit a draft as it is."""
    key = str(sent.get("idempotency_key", ""))
    return _submit(request, places, api, session, api.proposal(ref), Form(), key)
