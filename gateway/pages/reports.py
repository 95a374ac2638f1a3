"""Reports for citizens: the list, the pin, the follow-up."""

from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from gateway import clients, labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, MaybePerson, SignedIn, person
from gateway.web import gettext, redirect, render
from services.common.problems import Unauthenticated

router = APIRouter(include_in_schema=False)

MAX_PHOTO_BYTES = 10 * 1024 * 1024
MAX_CODE = 100
Code = Annotated[str, Query(max_length=40)]
Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/communes/{code}/signalements")
def reports(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    category: Code = "",
    status: Code = "",
    cursor: Cursor = None,
) -> Response:
    """List a commune's reports beside their map."""
    commune = places.commune(code)
    names = base.place_names(places, code)
    category = base.known(category, labels.CATEGORIES)
    status = base.known(status, labels.STATUSES)
    chosen = {"category": category, "status": status}
    answer = api.reports(
        commune=code,
        category=category or None,
        status=status or None,
        limit=base.PAGE,
        cursor=cursor,
    )
    path = f"/communes/{code}/signalements"
    return render(
        request,
        "reports/list.html",
        commune=commune,
        nav="map",
        map=commune_map_parts(request, code, "reports"),
        places=names,
        chosen=chosen,
        reports=base.reports_of(answer, names),
        base=path,
        following=base.following(path, chosen, answer),
        later=cursor is not None,
    )


@router.get("/communes/{code}/signalements/nouveau")
def new_report(code: str, request: Request, places: PlacesDep) -> Response:
    """Give the form that pins a problem."""
    return _form(code, request, places, Form())


def _form(code: str, request: Request, places: Places, form: Form) -> Response:
    names = base.place_names(places, code)
    return render(
        request,
        "reports/new.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="report",
        form=form,
        map=commune_map_parts(request, code, "pin"),
        places=names,
        arrondissements=list(names.items()),
    )


@router.post("/communes/{code}/signalements/nouveau")
def create_report(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Pin the problem; ask who sends it only now, and only unless anonymous."""
    places.commune(code)
    form = Form.of({name: value for name, value in sent.items() if name != "photos"})
    path = f"/communes/{code}/signalements/nouveau"
    anonymous = bool(form.values["anonymous"])
    body = _report(request, code, form)
    if form.bad:
        return _form(code, request, places, form)
    if not anonymous and person(request) is None:
        return redirect(f"/connexion?retour={path}")
    try:
        body["photos"] = _photos(api, sent, form.values["idempotency_key"])
        made = api.create_report(body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _form(code, request, places, base.refuse(request, form, problem))
    if "follow_up_token" in made:
        return _show(made["ref"], request, places, api, thanks=True, follow_up=made)
    return redirect(f"/signalements/{made['ref']}?merci=1")


def _report(request: Request, code: str, form: Form) -> Json:
    """Read the form into a report; what is missing is written on the form."""
    _ = gettext(request)
    values = form.values
    body: Json = {"commune": code, "category": values["category"]}
    at = base.point(form)
    if at:
        body["lon"], body["lat"] = at
    elif values["arrondissement"]:
        body["arrondissement"] = values["arrondissement"]
    else:
        form.wrong(request, "place")
    body["landmark"] = values["landmark"]
    body["description"] = values["description"]
    body["anonymous"] = bool(values["anonymous"])
    if values["category"] not in labels.CATEGORIES:
        form.wrong(request, "category")
    if len(values["description"]) < 3:
        form.wrong(request, "description")
    return body


def _photos(api: Api, sent: FormData, key: str) -> list[str]:
    """Upload the photos that came with the form; each has its own key, made from the form's."""
    found = []
    for number, file in enumerate(sent.getlist("photos")):
        if isinstance(file, UploadFile) and file.size:
            if file.size > MAX_PHOTO_BYTES:
                raise ServiceProblem(413, "photo_too_large", "The photo is too large.")
            one = str(uuid5(NAMESPACE_URL, f"{key}/{number}")) if key else None
            found.append(api.upload(file.file.read(), key=one))
    return found


@router.get("/signalements/{ref}")
def report(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    merci: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Show one report and where it stands."""
    return _show(ref, request, places, api, thanks=bool(merci))


def _show(
    ref: str,
    request: Request,
    places: Places,
    api: Api,
    *,
    thanks: bool = False,
    follow_up: Json | None = None,
    form: Form | None = None,
) -> Response:
    found: dict[str, Any] = api.report(ref)
    return render(
        request,
        "reports/one.html",
        status=422 if form and form.bad else 200,
        commune=places.commune(found["commune"]),
        report=base.located(found, base.place_names(places, found["commune"])),
        thanks=thanks,
        follow_up=follow_up and follow_up["follow_up_token"],
        form=form or Form(),
    )


@router.post("/signalements/{ref}/soutien")
def support(ref: str, api: ApiDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Say "me too"."""
    api.support(ref, key=str(sent.get("idempotency_key", "")))
    return redirect(f"/signalements/{ref}")


@router.post("/signalements/{ref}/rouvrir")
def reopen(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    who: MaybePerson,
) -> Response:
    """Let the reporter say that it is not solved: the person, or who holds its secret code."""
    form = Form.of(sent)
    change = {"status": "reopened", "public_note": form.values["public_note"]}
    code = "".join(form.values["follow_up"].split()).lower()
    if "follow_up" in form.values:
        if not (code.isascii() and code.isalnum() and len(code) <= MAX_CODE):
            form.wrong(request, "follow_up")
            return _show(ref, request, places, api, form=form)
    elif who is None:
        raise Unauthenticated
    # The service is told nobody's name with a code: its holder wanted none.
    speaker = clients.api(request) if code else api
    try:
        speaker.set_status(ref, change, key=form.values["idempotency_key"], follow_up=code)
    except ServiceProblem as problem:
        if not (code and problem.status == 403):
            base.refuse(request, form, problem)
        else:
            form.wrong(request, "follow_up")
        return _show(ref, request, places, api, form=form)
    return redirect(f"/signalements/{ref}")
