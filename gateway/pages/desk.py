"""The town hall's desk: the queue of reports and the answer to one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

Code = Annotated[str, Query(max_length=40)]
MANAGE = "reports.manage"


@router.get("")
def queue(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    category: Code = "",
    status: Code = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """List what waits for the mairie."""
    commune = places.commune(code)
    require(request, MANAGE, code)
    category = base.known(category, labels.CATEGORIES)
    status = base.known(status, {*labels.STATUSES, "all"})
    chosen = {"category": category, "status": status}
    wanted = {"": ",".join(base.OPEN), "all": None}.get(status, status)
    answer = api.reports(
        commune=code, category=category or None, status=wanted, limit=base.PAGE, cursor=cursor
    )
    path = f"/mairie/{code}"
    return render(
        request,
        "desk/reports.html",
        commune=commune,
        nav="desk",
        tab="reports",
        chosen=chosen,
        reports=base.reports_of(answer, base.place_names(places, code)),
        base=path,
        following=base.following(path, chosen, answer),
        later=cursor is not None,
    )


@router.get("/signalements/{ref}")
def report(
    code: str,
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    fait: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Show one report with its internal notes and the steps that may follow."""
    _ = gettext(request)
    require(request, MANAGE, code)
    done = _("C'est enregistré ; la réponse est publique.") if fait else ""
    return _show(request, places, _report(api, code, ref), Form(), done)


def _report(api: Api, code: str, ref: str) -> Json:
    found = api.report(ref)
    if found["commune"] != code:
        raise NotFound
    return found


def _show(request: Request, places: Places, found: Json, form: Form, notice: str = "") -> Response:
    _ = gettext(request)
    code = found["commune"]
    return render(
        request,
        "desk/report.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="reports",
        report=base.located(found, base.place_names(places, code)),
        reasons=[(reason, _(text)) for reason, text in labels.REASONS.items()],
        form=form,
        notice=notice,
    )


@router.post("/signalements/{ref}")
def answer(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Change the status and answer."""
    require(request, MANAGE, code)
    found = _report(api, code, ref)
    _ = gettext(request)
    form = Form.of(sent)
    values = form.values
    change: Json = {name: values[name] for name in ("status", "public_note", "internal_note")}
    if values["status"] not in found["allowed"]:
        form.wrong(request, "status")
    if values["status"] == "rejected":
        change["reason"] = values["reason"]
        if values["reason"] not in labels.REASONS:
            form.errors["reason"] = _("Un rejet demande un motif.")
    if form.bad:
        return _show(request, places, found, form)
    try:
        api.set_status(ref, change, key=values["idempotency_key"])
    except ServiceProblem as problem:
        return _show(request, places, found, base.refuse(request, form, problem))
    return redirect(f"/mairie/{code}/signalements/{ref}?fait=1")
