"""Merges at the mairie's desk: which wait, which were done and undone, and proposing one."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.desk_budget import MANAGE, own
from gateway.pages.desk_review import MERGEABLE, alike
from gateway.pages.proposals import Word
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}/fusions", include_in_schema=False)

MAX_SOURCES = 10
DONE = {
    "proposee": N_("C'est proposé : l'accord des auteurs est attendu."),
    "reunis": N_("Les projets sont réunis."),
    "accord": N_("L'accord est noté."),
    "arretee": N_("La fusion est arrêtée. Rien n'a changé."),
    "separes": N_("Les projets sont de nouveau séparés."),
}
#: What a merge became → what was just done.
AFTER = {"open": "accord", "done": "reunis", "refused": "arretee", "undone": "separes"}
STALE = N_("Un de ces projets ne peut plus être réuni ni séparé : %(ref)s, « %(status)s ».")
Refs = Annotated[list[str], Query(max_length=MAX_SOURCES)]


@router.get("")
def merges(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    campagne: Word = "",
    etat: Word = "",
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Response:
    """List a campaign's merges, newest first."""
    places.commune(code)
    require(request, MANAGE, code)
    campaigns = api.campaigns(commune=code)
    first = base.foremost(campaigns)
    campaign = next((one for one in campaigns if one["id"] == campagne), first)
    state = base.known(etat, labels.MERGES)
    answer: Json = {"items": [], "next": None}
    if campaign:
        wanted = {"campaign": campaign["id"], "state": state or None}
        answer = api.budget("merges", limit=base.PAGE, cursor=cursor, **wanted)
    path = f"/mairie/{code}/fusions"
    kept = {"campagne": campaign["id"] if campaign else "", "etat": state}
    return _page(
        request,
        places,
        code,
        "desk/merges.html",
        campaigns=campaigns,
        campaign=campaign,
        state=state,
        merges=answer["items"],
        form=None,
        base=path,
        kept=urlencode({name: value for name, value in kept.items() if value}),
        following=base.following(path, kept, answer),
        later=cursor is not None,
    )


def _page(
    request: Request, places: Places, code: str, template: str, status: int = 200, **more: object
) -> Response:
    return render(
        request,
        template,
        status=status,
        commune=places.commune(code),
        nav="desk",
        tab="merges",
        **more,
    )


# Proposing one


@router.get("/nouvelle")
def new_merge(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    garde: Word = "",
    avec: Refs = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Give the form that proposes a merge: which one goes on, and which would join it."""
    require(request, MANAGE, code)
    form = Form()
    form.values["target"] = _ref(garde)
    return _new(request, places, api, code, form, [_ref(one) for one in avec])


def _ref(text: str) -> str:
    return text.strip().upper()[:40]


def _new(
    request: Request, places: Places, api: Api, code: str, form: Form, ticked: Sequence[str]
) -> Response:
    target = _found(api, code, form.values["target"])
    near = [one for one in alike(api, target) if one["status"] == MERGEABLE] if target else []
    known = {one["ref"] for one in near}
    named = [_found(api, code, ref) for ref in ticked if ref and ref not in known]
    return _page(
        request,
        places,
        code,
        "desk/merges.html",
        422 if form.bad else 200,
        target=target,
        candidates=[*(one for one in named if one), *near],
        ticked=ticked,
        form=form,
        base=f"/mairie/{code}/fusions",
    )


def _found(api: Api, code: str, ref: str) -> Json | None:
    """Return one of the commune's proposals, or None."""
    if not ref:
        return None
    try:
        found = api.proposal(ref)
    except ServiceProblem as problem:
        if problem.status not in (404, 422):
            raise
        return None
    return found if found["commune"] == code else None


@router.post("/nouvelle")
def propose(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Propose a merge: it is done when an author of each part agreed."""
    require(request, MANAGE, code)
    form = Form.of({name: value for name, value in sent.items() if name != "with"})
    values = form.values
    values["target"] = _ref(values["target"])
    ticked = list(dict.fromkeys(_ref(str(one)) for one in sent.getlist("with")[:MAX_SOURCES]))
    sources = list(dict.fromkeys([*ticked, *_refs(values["others"])]))
    if not values["target"]:
        form.wrong(request, "target", "other")
    if not sources:
        form.wrong(request, "others", "other")
    if form.bad:
        return _new(request, places, api, code, form, ticked)
    body = {"target": values["target"], "sources": sources, "note": values["note"]}
    try:
        made = api.budget_write("merges", body=body, key=values["idempotency_key"])
    except ServiceProblem as problem:
        _refused(request, form, problem, sources)
        return _new(request, places, api, code, form, ticked)
    fait = "proposee" if made["state"] == "open" else AFTER[made["state"]]
    return redirect(f"/mairie/{code}/fusions/{made['id']}?fait={fait}")


def _refs(text: str) -> Iterable[str]:
    """Read references as people write them: with commas, spaces or lines between."""
    return (_ref(one) for one in re.split(r"[\s,;]+", text) if one)


def _refused(request: Request, form: Form, problem: ServiceProblem, sources: Sequence[str]) -> None:
    """Write a refusal at the field of the proposal that it is about."""
    _ = gettext(request)
    now = problem.now
    if problem.code == "not_mergeable" and "status_now" in now:
        status = _(labels.proposal(now["status_now"]).text)
        form.notice = _(STALE) % {"ref": now.get("proposal", ""), "status": status}
        return
    for error in problem.errors:
        name, _sep, place = str(error.get("pointer", "")).strip("/").partition("/")
        if name == "target":
            form.errors["target"] = _(base.REFUSALS.get(problem.code, REFUSED)[1])
        elif name == "sources":
            ref = sources[int(place)] if place.isdigit() and int(place) < len(sources) else ""
            text = _(base.REFUSALS.get(problem.code, REFUSED)[1])
            form.errors["others"] = f"{ref} : {text}" if ref else text
    if not form.errors:
        base.refuse(request, form, problem)


REFUSED = ("others", N_("Donnez les numéros d'un à dix autres projets, chacun une fois."))


# One merge


def _id(merge: str) -> str:
    try:
        return str(UUID(merge))
    except ValueError:
        raise NotFound from None


@router.get("/{merge}")
def merge(
    code: str, merge: str, request: Request, places: PlacesDep, api: ApiDep, fait: Word = ""
) -> Response:
    """Show a merge: its parts side by side, whose consent is missing, what it was made of."""
    require(request, MANAGE, code)
    return _show(request, places, api, code, merge, Form(), done=DONE.get(fait, ""))


def _show(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    merge: str,
    form: Form,
    *,
    done: str = "",
    status: int = 200,
) -> Response:
    found = api.budget("merges", _id(merge))
    campaign = own(api, code, found["campaign"])
    parts = [_told(api, code, part) for part in (found["target"], *found["sources"])]
    return _page(
        request,
        places,
        code,
        "desk/merge.html",
        422 if form.bad and status == 200 else status,
        merge=found,
        campaign=campaign,
        parts=parts,
        missing=[part for part in parts if not part["consented"]],
        form=form,
        base=f"/mairie/{code}/fusions",
        notice=gettext(request)(done) if done else None,
    )


#: What a merge's page tells of each of its parts.
TOLD = ("title", "need", "description", "estimated_cost", "author", "merged", "merged_into")


def _told(api: Api, code: str, part: Json) -> Json:
    """Return a part of a merge with its text; without where it cannot be read."""
    found = _found(api, code, part["ref"]) or {}
    return {**part, **{name: found.get(name) for name in TOLD}}


@router.post("/{merge}")
def act(
    code: str, merge: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Agree for what the mairie entered, stop what is open, undo what was done."""
    require(request, MANAGE, code)
    form = Form.of(sent)
    do = form.values["do"]
    body: Json = {"agree": do == "consent"}
    if do == "undo":
        if not form.values["reason"]:
            form.wrong(request, "reason")
            return _show(request, places, api, code, merge, form)
        body = {"reason": form.values["reason"]}
    path = ("merges", _id(merge), "undo" if do == "undo" else "consent")
    try:
        made = api.budget_write(*path, body=body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        _refused(request, form, problem, [])
        return _show(request, places, api, code, merge, form, status=problem.status)
    return redirect(f"/mairie/{code}/fusions/{made['id']}?fait={AFTER[made['state']]}")
