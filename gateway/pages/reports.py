"""Reports for citizens: the list, one report, and what its author may do with it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from shapely import Point

from gateway import clients, labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Commune, Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, MaybePerson, SignedIn
from gateway.web import TIMEZONE, gettext, redirect, render
from services.common.problems import Unauthenticated

router = APIRouter(include_in_schema=False)

MAX_CODE = 100
#: The filter that stands for all that still wait.
WAITING = "open"
#: Degrees from a report to the communes it may belong to: some 6 km, a little over the service's.
NEAR = 0.055
#: What was just done → the words that say so.
DONE: Mapping[str, str] = {
    "supported": N_("Merci ! Votre voix compte : la mairie voit combien vous êtes."),
    "confirmed": N_("Merci ! La réparation est confirmée."),
    "reopened": N_("C'est rouvert : la mairie est prévenue que ce n'est pas réglé."),
    "withdrawn": N_("Votre signalement est retiré : plus personne ne le voit."),
    "corrected": N_("C'est corrigé."),
    "redacted": N_("Votre nouveau texte remplace l'ancien, qui est effacé."),
}
#: What an author may set, if the workflow allows it now.
SETTABLE = ("confirmed", "reopened", "withdrawn")
#: Refusals that mean: somebody was faster, look again.
STALE = ("changed_meanwhile", "transition_not_allowed", "merge_refused")
CHANGED = N_(
    "Ce signalement a changé pendant que vous écriviez. Voici où il en est ; rien n'a été "
    "enregistré, et votre texte est gardé."
)
#: How far a report has come: the stages as drawn, and the stage of each status.
STAGES = ("received", "acknowledged", "in_progress", "resolved")
STAGE: Mapping[str, int] = {
    "received": 0,
    "reopened": 0,
    "acknowledged": 1,
    "in_progress": 2,
    "waiting": 2,
    "resolved": 3,
    "confirmed": 3,
}
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
    arrondissement: Code = "",
    fait: Code = "",
    cursor: Cursor = None,
) -> Response:
    """List a commune's reports beside their map."""
    commune = places.commune(code)
    names = base.place_names(places, code)
    chosen = {
        "category": base.known(category, labels.CATEGORIES),
        "status": base.known(status, (*labels.STATUSES, WAITING)),
        "arrondissement": base.known(arrondissement, names),
    }
    wanted = {name: value for name, value in chosen.items() if value}
    if wanted.get("status") == WAITING:
        wanted["status"] = ",".join(base.OPEN)
    answer = api.reports(commune=code, **wanted, limit=base.PAGE, cursor=cursor)
    path = f"/communes/{code}/signalements"
    return render(
        request,
        "reports/list.html",
        commune=commune,
        nav="map",
        map=commune_map_parts(request, code, "reports"),
        places=names,
        chosen=chosen,
        wanted={"commune": code, **wanted},
        reports=base.reports_of(answer, names),
        base=path,
        following=base.following(path, chosen, answer),
        later=cursor is not None,
        notice=DONE.get(fait),
    )


@router.get("/signalements/{ref}")
def report(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    merci: Code = "",
    fait: Code = "",
    moi: Code = "",
) -> Response:
    """Show one report and where it stands; whoever has its code may say so even where it hides."""
    try:
        return show(ref, request, places, api, thanks=bool(merci), done=fait, invited=bool(moi))
    except ServiceProblem as problem:
        if problem.status != 404:
            raise
        return _unknown(ref, request, Form())


def _unknown(ref: str, request: Request, form: Form) -> Response:
    return render(
        request, "reports/unknown.html", status=422 if form.bad else 404, ref=ref, form=form
    )


def show(
    ref: str,
    request: Request,
    places: Places,
    api: Api,
    *,
    thanks: bool = False,
    done: str = "",
    invited: bool = False,
    code: str = "",
    form: Form | None = None,
) -> Response:
    """Give a report's page. With ``code`` it is its author's, and carries the code in its forms."""
    _ = gettext(request)
    found = (clients.api(request) if code else api).report(ref, code)
    commune = places.commune(found["commune"])
    author = "citizen" in found["capacities"]
    site = request.url.replace(path="", query="", fragment="")
    answer = render(
        request,
        "reports/one.html",
        status=422 if form and form.bad else 200,
        commune=commune,
        report=base.located(found, base.place_names(places, commune.code)),
        stages=_stages(found["status"]),
        late=_late(found),
        names={c: places.commune(c).name for c in _communes(found)},
        author=author,
        category_options=[(c, _(label.text)) for c, label in labels.CATEGORIES.items()],
        neighbours=_neighbours(places, found, commune) if author else [],
        follow_up=code,
        link=f"{site}/signalements/{found['ref']}",
        thanks=thanks,
        done=DONE.get(done),
        received=thanks or done in DONE,
        supported=done == "supported",
        invited=invited and not author,
        form=form or Form(),
    )
    if code:
        answer.headers["Cache-Control"] = "no-store"
    return answer


def _stages(status: str) -> list[Json]:
    """Return the stages, each ``done``, ``now`` or ``later``; none beside the main road."""
    at = STAGE.get(status)
    if at is None:
        return []
    return [
        {
            "status": status if number == at else stage,
            "state": "done" if number < at else "now" if number == at else "later",
        }
        for number, stage in enumerate(STAGES)
    ]


def _late(report: Json) -> bool:
    due = report["due_at"]
    passed = bool(due) and datetime.fromisoformat(due) < datetime.now(TIMEZONE)
    return passed and report["status"] in base.OPEN


def _communes(report: Json) -> set[str]:
    """Return the communes that corrections of this report name."""
    return {c for line in report["history"] for c in line["detail"].get("commune", ())}


def _neighbours(places: Places, report: Json, commune: Commune) -> list[tuple[str, str]]:
    """Return the communes that a report may belong to: one without a point stays where it is."""
    if report["lon"] is None:
        return [(commune.code, commune.name)]
    at, shapes = Point(report["lon"], report["lat"]), places.now().shapes
    near = [c for c in places.communes() if c == commune or shapes[c.code].distance(at) < NEAR]
    return [(c.code, c.name) for c in near]


@router.post("/signalements/{ref}/soutien")
def support(ref: str, api: ApiDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Say "me too"."""
    api.support(ref, key=str(sent.get("idempotency_key", "")))
    return redirect(f"/signalements/{ref}?fait=supported")


# What an author may do: the person, or who holds the report's secret code.


@router.post("/signalements/{ref}/suivi")
def follow(
    ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Show a report as its author sees it, to who has its code."""
    form = Form.of(sent)
    code = _code(request, form)
    if not form.bad:
        found = _as_author(ref, request, code)
        if found:
            return show(found["ref"], request, places, api, code=code)
        form.wrong(request, "follow_up")
    return _again(ref, request, places, api, form)


def _as_author(ref: str, request: Request, code: str) -> Json | None:
    """Return the report if ``code`` is its own."""
    try:
        found = clients.api(request).report(ref, code)
    except ServiceProblem as problem:
        if problem.status != 404:
            raise
        return None
    return found if "citizen" in found["capacities"] else None


def _again(
    ref: str, request: Request, places: Places, api: Api, form: Form, code: str = ""
) -> Response:
    """Show the report again with what is wrong, even where it hides from who has no code."""
    try:
        return show(ref, request, places, api, code=code, form=form)
    except ServiceProblem as problem:
        if problem.status != 404:
            raise
        return _unknown(ref, request, form)


def _code(request: Request, form: Form) -> str:
    """Return the follow-up code as it was given out; what cannot be one is marked on the form."""
    code = "".join(form.values["follow_up"].split()).lower()
    if "follow_up" in form.values and not (
        code.isascii() and code.isalnum() and len(code) <= MAX_CODE
    ):
        form.wrong(request, "follow_up")
    return code


@router.post("/signalements/{ref}/etat")
def set_status(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    who: MaybePerson,
) -> Response:
    """Confirm the repair, say that it is none, or take the report back."""
    form = Form.of(sent)
    status = form.values["status"]
    if status not in SETTABLE:
        form.wrong(request, "status")
    body = {"status": status, "public_note": form.values["public_note"]}
    return _change(ref, request, places, api, form, who is not None, "status", body, status)


@router.post("/signalements/{ref}/correction")
def correct(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    who: MaybePerson,
) -> Response:
    """Set the right category or commune."""
    form = Form.of(sent)
    body = {name: form.values[name] for name in ("category", "commune") if form.values[name]}
    if form.values["category"] not in labels.CATEGORIES:
        form.wrong(request, "category")
    return _change(
        ref, request, places, api, form, who is not None, "correction", body, "corrected"
    )


def _change(
    ref: str,
    request: Request,
    places: Places,
    api: Api,
    form: Form,
    known: bool,
    what: str,
    body: Json,
    done: str,
) -> Response:
    """Write a change of an author's own report, then lead back to it; or show what is wrong."""
    code = _code(request, form)
    if not code and not known and not form.bad:
        raise Unauthenticated
    if form.bad:
        return _again(ref, request, places, api, form)
    try:
        changed = _write(ref, request, api, form, what, body, code)
    except ServiceProblem as problem:
        if problem.status == 404 or (code and problem.status == 403):
            form.wrong(request, "follow_up")
            return _again(ref, request, places, api, form)
        return _again(ref, request, places, api, _refused(request, form, problem), code)
    if done == "withdrawn":
        return redirect(f"/communes/{changed['commune']}/signalements?fait={done}")
    return redirect(f"/signalements/{changed['ref']}?fait={done}")


def _write(
    ref: str, request: Request, api: Api, form: Form, what: str, body: Json, code: str
) -> Json:
    """Send a change with the version that its author saw.

    The service is told nobody's name with a code: its holder wanted none.
    """
    seen = form.values["version"]
    if seen.isascii() and seen.isdigit() and len(seen) < 10:
        body = {**body, "version": int(seen)}
    speaker = clients.api(request) if code else api
    return speaker.change_report(ref, what, body, form.values["idempotency_key"], code)


def _refused(request: Request, form: Form, problem: ServiceProblem) -> Form:
    if problem.code in STALE:
        form.notice = gettext(request)(CHANGED)
        return form
    return base.refuse(request, form, problem, commune_too_far="commune")


# Rewriting one's own words.


@router.get("/signalements/{ref}/modifier")
def rewrite(
    ref: str, request: Request, places: PlacesDep, api: ApiDep, _person: SignedIn
) -> Response:
    """Give its author the texts of a report to rewrite."""
    found = api.report(ref)
    if "citizen" not in found["capacities"]:
        return redirect(f"/signalements/{ref}")
    return _rewriting(found, request, places, Form())


def _rewriting(
    report: Json,
    request: Request,
    places: Places,
    form: Form,
    code: str = "",
    preview: Json | None = None,
) -> Response:
    answer = render(
        request,
        "reports/rewrite.html",
        status=422 if form.bad else 200,
        commune=places.commune(report["commune"]),
        report=report,
        notes=_own_notes(report),
        form=form,
        follow_up=code,
        preview=preview,
        removed=[v for n, v in form.values.items() if n.startswith("remove-")],
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _own_notes(report: Json) -> list[Json]:
    return [x for x in report["history"] if x["by"] == "citizen" and x["public_note"]]


@router.post("/signalements/{ref}/modifier")
def rewritten(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    who: MaybePerson,
) -> Response:
    """Open the texts to who has the code, show how all will read the new ones, or store them."""
    form = Form.of(sent)
    code = _code(request, form)
    if not code and who is None and not form.bad:
        raise Unauthenticated
    found = None if form.bad else _as_author(ref, request, code) if code else api.report(ref)
    if found is None or "citizen" not in found["capacities"]:
        form.wrong(request, "follow_up")
        return _again(ref, request, places, api, form)
    step = form.values["step"]
    if step == "open":
        return _rewriting(found, request, places, Form(), code)
    body = _redaction(found, form)
    if step == "look":
        return _rewriting(found, request, places, form, code, _looked(api, body, found))
    try:
        changed = _write(ref, request, api, form, "redaction", body, code)
    except ServiceProblem as problem:
        form = _refused(request, form, problem)
        return _rewriting(_now(ref, request, api, code), request, places, form, code)
    return redirect(f"/signalements/{changed['ref']}?fait=redacted")


def _now(ref: str, request: Request, api: Api, code: str) -> Json:
    return (clients.api(request) if code else api).report(ref, code)


def _redaction(report: Json, form: Form) -> Json:
    """Read what its author lets stand; only texts and files of this report are named."""
    files = [*report["photos"], *([report["voice"]] if report["voice"] else [])]
    return {
        "description": form.values["description"],
        "landmark": form.values["landmark"],
        "remove": [f["id"] for f in files if form.values[f"remove-{f['id']}"]],
        "notes": {
            str(x["version"]): form.values[f"note-{x['version']}"]
            for x in _own_notes(report)
            if form.values[f"note-{x['version']}"] != x["public_note"]
        },
    }


def _looked(api: Api, body: Json, report: Json) -> Json:
    """Return how all will read it: the marked texts, and the files that stay."""
    found = api.preview({name: body[name] for name in ("description", "landmark")})
    return {
        **found,
        **{name: marked(found, name) for name in ("description", "landmark")},
        "photos": [p for p in report["photos"] if p["id"] not in body["remove"]],
    }


def marked(preview: Json, field: str) -> list[tuple[str, str]]:
    """Return a previewed text in pieces: each with what it seems to be, if that is personal."""
    text: str = preview[field]
    pieces: list[tuple[str, str]] = []
    at = 0
    found: list[Any] = [p for p in preview["personal"] if p["field"] == field]
    for one in sorted(found, key=lambda p: p["start"]):
        pieces += [(text[at : one["start"]], ""), (text[one["start"] : one["end"]], one["kind"])]
        at = one["end"]
    return [piece for piece in (*pieces, (text[at:], "")) if piece[0]]
