"""The town hall's desk: the queue, answers to one report or to many, the round."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

Code = Annotated[str, Query(max_length=40)]
MANAGE = "reports.manage"
PAGE = 25
EXPORTS = ("csv", "geojson", "gpkg")
ROUND = 30

SORTS: Mapping[str, str] = {
    "newest": N_("Les plus récents"),
    "due": N_("L'échéance la plus proche"),
    "supports": N_("Les plus soutenus"),
    "updated": N_("Les derniers changés"),
    "oldest": N_("Les plus anciens"),
}
#: The filters of the queue: name → the values it may have, given the commune's own.
FILTERS = ("status", "category", "agency", "assignee", "arrondissement", "channel")
#: What can be done to many reports at once, in the order shown.
BULK: Mapping[str, str] = {
    "acknowledged": N_("Prendre en compte"),
    "in_progress": N_("Mettre en cours"),
    "waiting": N_("Mettre en attente"),
    "resolved": N_("Marquer résolus"),
    "rejected": N_("Rejeter, avec un motif"),
    "assign": N_("Attribuer à un service"),
    "mine": N_("M'attribuer"),
    "correct": N_("Changer de catégorie"),
}


def _chosen(request: Request, places: Places, code: str, agents: list[Json]) -> dict[str, str]:
    """Return the filters of the address that mean something."""
    known = {
        "status": {*labels.STATUSES, "all"},
        "category": set(labels.CATEGORIES),
        "agency": set(labels.AGENCIES),
        "assignee": {"me", "none", *(agent["user_id"] for agent in agents)},
        "arrondissement": set(base.place_names(places, code)),
        "channel": set(labels.CHANNELS),
        "sort": set(SORTS),
        "overdue": {"true"},
        "hidden": {"true"},
    }
    given = request.query_params
    found = {name: base.known(given.get(name, ""), values) for name, values in known.items()}
    return found | {"q": given.get("q", "").replace("\x00", "").strip()[:100]}


def _wanted(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the service's query of the chosen filters."""
    query = {name: value for name, value in chosen.items() if value}
    if query.get("status") == "all":
        query["status"] = ",".join(labels.STATUSES)
    return query


@router.get("")
def queue(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Response:
    """List what waits for the mairie."""
    places.commune(code)
    require(request, MANAGE, code)
    return _queue(code, request, places, api, cursor)


def _queue(
    code: str,
    request: Request,
    places: Places,
    api: Api,
    cursor: str | None = None,
    *,
    outcome: Json | None = None,
    form: Form | None = None,
) -> Response:
    _ = gettext(request)
    agents: list[Json] = api.desk(code, "agents")
    chosen = _chosen(request, places, code, agents)
    answer = api.desk(code, "reports", limit=PAGE, cursor=cursor, **_wanted(chosen))
    path = f"/mairie/{code}"
    kept = {name: value for name, value in chosen.items() if value}
    return render(
        request,
        "desk/reports.html",
        status=422 if form and form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="reports",
        chosen=chosen,
        filtered=bool({name for name in kept if name != "sort"}),
        kept=urlencode(kept),
        counts=answer["counts"],
        sorts=[(value, _(text)) for value, text in SORTS.items()],
        bulk=[(value, _(text)) for value, text in BULK.items()],
        reasons=[(reason, _(text)) for reason, text in labels.REASONS.items()],
        agents=agents,
        arrondissements=list(base.place_names(places, code).items()),
        reports=base.reports_of(answer, base.place_names(places, code)),
        outcome=outcome,
        form=form or Form(),
        base=path,
        following=base.following(path, kept, answer),
        later=cursor is not None,
    )


@router.get("/export.{kind}")
def export(
    code: str, kind: str, request: Request, places: PlacesDep, api: ApiDep
) -> StreamingResponse:
    """Download what the queue's filters show, as a table or for a map program."""
    require(request, MANAGE, code)
    if kind not in EXPORTS:
        raise NotFound
    wanted = _wanted(_chosen(request, places, code, api.desk(code, "agents")))
    wanted.pop("sort", None)
    answer = api.desk_export(code, kind, **wanted)

    def pieces() -> Iterator[bytes]:
        try:
            yield from answer.iter_bytes()
        finally:
            answer.close()

    kept = ("content-type", "content-disposition")
    headers = {name: answer.headers[name] for name in kept if name in answer.headers}
    return StreamingResponse(pieces(), headers=headers | {"Cache-Control": "private, no-store"})


@router.post("/lot")
def many(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Do one thing to all the reports that were ticked; say what became of each."""
    who = require(request, MANAGE, code)
    form = Form.of({name: value for name, value in sent.items() if name != "refs"})
    versions = _ticked(sent)
    action = _bulk_action(request, form, str(who.user_id))
    if not versions:
        _ = gettext(request)
        form.notice = _("Cochez au moins un signalement.")
    if form.bad:
        return _queue(code, request, places, api, form=form)
    body = {"refs": list(versions), "versions": versions, "action": action}
    try:
        outcome = api.desk_write(code, "reports/bulk", body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _queue(code, request, places, api, form=base.refuse(request, form, problem))
    return _queue(code, request, places, api, outcome=outcome)


def _ticked(sent: FormData) -> dict[str, int]:
    """Return the ticked reports with the version that was on the page: ``REF:VERSION``."""
    pairs = (str(value).rpartition(":") for value in sent.getlist("refs")[:100])
    return {ref: int(seen) for ref, _, seen in pairs if ref and seen.isdecimal() and len(seen) < 9}


def _bulk_action(request: Request, form: Form, me: str) -> Json:
    """Read what is to be done; what is missing is written on the form."""
    values = form.values
    what = base.known(values["action"], BULK)
    note = {"public_note": values["public_note"]}
    if what == "assign":
        if values["agency"] not in labels.AGENCIES:
            form.wrong(request, "agency", "assignee")
        return {"type": "assign", "agency": values["agency"]}
    if what == "mine":
        return {"type": "assign", "assignee": me}
    if what == "correct":
        if values["category"] not in labels.CATEGORIES:
            form.wrong(request, "category")
        return {"type": "correct", "category": values["category"]}
    if what == "rejected":
        if values["reason"] not in labels.REASONS:
            form.wrong(request, "reason")
        note["reason"] = values["reason"]
    if not what:
        form.wrong(request, "action", "status")
    return {"type": "status", "status": what, **note}


# One report


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
    done = _("C'est enregistré.") if fait else ""
    return _show(request, places, api, _report(api, code, ref), Form(), done)


def _report(api: Api, code: str, ref: str) -> Json:
    found = api.report(ref)
    if found["commune"] != code or not found["staff"]:
        raise NotFound
    return found


def _show(
    request: Request, places: Places, api: Api, found: Json, form: Form, notice: str = ""
) -> Response:
    _ = gettext(request)
    code = found["commune"]
    near: list[Json] = []
    if found["lon"] is not None and found["status"] in base.OPEN:
        answer = api.duplicates(found["lon"], found["lat"], found["category"])
        items = base.reports_of(answer, base.place_names(places, code))
        near = [item for item in items if item["ref"] != found["ref"]][:4]
    return render(
        request,
        "desk/report.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="reports",
        report=base.located(found, base.place_names(places, code)),
        reasons=[(reason, _(text)) for reason, text in labels.REASONS.items()],
        agents=api.desk(code, "agents"),
        near=near,
        form=form,
        notice=notice,
    )


def _answer(request: Request, form: Form, found: Json) -> tuple[str, Json]:
    values = form.values
    names = ("status", "public_note", "internal_note")
    body: Json = {name: values[name] for name in names}
    if values["status"] not in found["allowed"]:
        form.wrong(request, "status")
    for status, field in (
        ("rejected", "reason"),
        ("forwarded", "forwarded_to"),
        ("duplicate", "duplicate_of"),
    ):
        if values["status"] == status:
            body[field] = values[field]
            if not values[field] or (field == "reason" and values[field] not in labels.REASONS):
                form.wrong(request, field)
    return "status", body


def _assignment(request: Request, form: Form, found: Json) -> tuple[str, Json]:
    values = form.values
    body: Json = {"internal_note": values["internal_note"]}
    if values["agency"] and values["agency"] != found["agency"]:
        body["agency"] = values["agency"]
    if values["assignee"] != (found["staff"]["assignee"] or ""):
        body["assignee"] = values["assignee"] or None
    if len(body) == 1:
        form.wrong(request, "assignee")
    return "assignment", body


def _notes(request: Request, form: Form, _found: Json) -> tuple[str, Json]:
    values = form.values
    if not values["public_note"] and not values["internal_note"]:
        form.wrong(request, "internal_note", "note")
    return "notes", {name: values[name] for name in ("public_note", "internal_note")}


def _correction(request: Request, form: Form, found: Json) -> tuple[str, Json]:
    category = form.values["category"]
    if category not in labels.CATEGORIES or category == found["category"]:
        form.wrong(request, "category")
    return "correction", {"category": category}


def _moderation(request: Request, form: Form, found: Json) -> tuple[str, Json]:
    """Read what the public shall see: unticked photos are hidden, an empty text is no change."""
    values = form.values
    body: Json = {"reason": values["reason"]}
    if not values["reason"]:
        form.wrong(request, "reason")
    hidden = bool(values["hidden"])
    if hidden != found["staff"]["hidden"]:
        body["hidden"] = hidden
    if values["text"] and values["text"] != found["description"]:
        body["text"] = values["text"]
    elif values["restore"]:
        body["text"] = None
    sent = [*found["photos"], *([found["voice"]] if found["voice"] else [])]
    shown = set(values["shown"].split())
    body["hide"] = [one["id"] for one in sent if not one["hidden"] and one["id"] not in shown]
    body["show"] = [one["id"] for one in sent if one["hidden"] and one["id"] in shown]
    if not form.bad and not ({"hidden", "text"} & set(body) or body["hide"] or body["show"]):
        _ = gettext(request)
        form.notice = _("Dites ce qu'il faut cacher, montrer ou remplacer.")
    return "moderation", body


def _unmerge(_request: Request, form: Form, _found: Json) -> tuple[str, Json]:
    return "unmerge", {"public_note": form.values["public_note"]}


#: What an agent may do to a report: the form's name → how it is read. Those of the desk's own
#: API are written there, the others on the report itself.
FORMS: Mapping[str, Callable[[Request, Form, Json], tuple[str, Json]]] = {
    "reponse": _answer,
    "attribution": _assignment,
    "note": _notes,
    "correction": _correction,
    "moderation": _moderation,
    "separation": _unmerge,
}
AT_DESK = ("assignment", "notes", "moderation")


@router.post("/signalements/{ref}/{what}")
def change(
    code: str,
    ref: str,
    what: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Change one report: answer, assign, note, correct, moderate, part a duplicate."""
    require(request, MANAGE, code)
    if what not in FORMS:
        raise NotFound
    found = _report(api, code, ref)
    form = Form.of(sent)
    form.values["form"] = what
    form.values["shown"] = " ".join(str(one) for one in sent.getlist("shown"))
    path, body = FORMS[what](request, form, found)
    if form.bad:
        return _show(request, places, api, found, form)
    if form.values["version"].isdecimal():
        body["version"] = int(form.values["version"][:9])
    key = form.values["idempotency_key"]
    try:
        if path in AT_DESK:
            api.desk_write(code, f"reports/{found['ref']}/{path}", body, key=key)
        else:
            api.change_report(found["ref"], path, body, key=key)
    except ServiceProblem as problem:
        if problem.code == "invalid" and path == "status" and "duplicate_of" in body:
            form.wrong(request, "duplicate_of")
        else:
            base.refuse(request, form, problem)
        return _show(request, places, api, _report(api, code, ref), form)
    return redirect(f"/mairie/{code}/signalements/{found['ref']}?fait=1")


# The round


@router.get("/tournee")
def field_round(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    agency: Code = "",
    arrondissement: Code = "",
    assignee: Code = "",
) -> Response:
    """Show a printable sheet: the reports that are due first, in the order of a short walk."""
    require(request, MANAGE, code)
    names = base.place_names(places, code)
    chosen = {
        "agency": base.known(agency, labels.AGENCIES),
        "arrondissement": base.known(arrondissement, names),
        "assignee": base.known(assignee, {"me"}),
    }
    wanted = {name: value for name, value in chosen.items() if value}
    return render(
        request,
        "desk/round.html",
        commune=places.commune(code),
        nav="desk",
        tab="round",
        chosen=chosen,
        places=names,
        arrondissements=list(names.items()),
        round=api.desk(code, "round", limit=ROUND, **wanted),
    )
