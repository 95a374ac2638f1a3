"""Proposals written by several: co-authors, suggestions, merges; and what is one's own."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import APIRouter, Request, Response

from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.pages import base, propose
from gateway.pages.base import Form, Json
from gateway.pages.proposals import (
    CHANGED,
    Site,
    SiteDep,
    Word,
    conflict,
    diff_of,
    editable,
    show,
)
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, SignedIn
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(include_in_schema=False)

PAGE = "/propositions/{ref}"
#: The fields that others may suggest otherwise.
AMENDABLE = ("title", "need", "description", "beneficiaries", "estimated_cost", "theme")
#: How many suggestions are shown word by word, and how many proposals are looked through.
COMPARED, LOOKED = 10, 20
FIRST_AUTHOR = N_("Le premier auteur reste : le projet peut être retiré à la place.")
#: How many letters of an invitation's code are said in one breath.
BREATH = 5


def _id(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise NotFound from None


# Co-authors


@router.post(f"{PAGE}/invitation")
def invite(ref: str, site: SiteDep, _sent: CheckedForm, _person: SignedIn) -> Response:
    """Make an invitation's code and show it, once."""
    try:
        code = site.api.budget_write("proposals", ref, "invitations")["code"]
    except ServiceProblem as problem:
        return conflict(site, ref, problem)
    return _join(site, ref, Form(), code=code)


@router.get(f"{PAGE}/rejoindre")
def joining(ref: str, site: SiteDep, _person: SignedIn) -> Response:
    """Ask for an invitation's code."""
    return _join(site, ref, Form())


def _join(site: Site, ref: str, form: Form, code: str = "") -> Response:
    """Give the page of an invitation: a draft's title is not told to who is not in it yet."""
    found = _readable(site, ref)
    spoken = [code[at : at + BREATH] for at in range(0, len(code), BREATH)]
    address = str(site.request.url.replace(path=f"/propositions/{ref}/rejoindre", query=""))
    return render(
        site.request,
        "budget/join.html",
        status=422 if form.bad else 200,
        commune=site.places.commune(found["commune"]) if found else None,
        nav="budget",
        proposal=found,
        ref=ref,
        form=form,
        spoken=spoken,
        address=address,
    )


def _readable(site: Site, ref: str) -> Json | None:
    try:
        return site.api.proposal(ref)
    except ServiceProblem as problem:
        if problem.status != 404:
            raise
        return None


@router.post(f"{PAGE}/rejoindre")
def join(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Join the authors with a code."""
    form = Form.of(sent)
    body = {"code": form.values["code"], "name": form.values["name"]}
    if not body["code"]:
        form.errors["code"] = gettext(site.request)(base.REFUSALS["bad_invitation"][1])
        return _join(site, ref, form)
    try:
        key = form.values["idempotency_key"]
        site.api.budget_write("proposals", ref, "coauthors", body=body, key=key)
    except ServiceProblem as problem:
        base.refuse(site.request, form, problem)
        if problem.code != "bad_invitation" and "code" in form.errors:
            form.errors["code"] = gettext(site.request)(base.REFUSALS["bad_invitation"][1])
        return _join(site, ref, form)
    return redirect(f"/propositions/{ref}?fait=auteur")


@router.post(f"{PAGE}/quitter")
def leave(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Leave the co-authors."""
    key = str(sent.get("idempotency_key", "")) or None
    try:
        site.api.budget_write("proposals", ref, "coauthors", "me", key=key, method="DELETE")
    except ServiceProblem as problem:
        if problem.status == 403:
            return show(site, ref, problem=gettext(site.request)(FIRST_AUTHOR))
        return conflict(site, ref, problem)
    return redirect(f"/propositions/{ref}?fait=quitte")


# Suggestions


@router.get(f"{PAGE}/suggestions")
def amendments(ref: str, site: SiteDep, fait: Word = "") -> Response:
    """Show what others suggest, and give the form to suggest something."""
    return _amend(site, ref, Form(), done=DECIDED.get(fait, ""))


DECIDED: Mapping[str, str] = {
    "acceptee": N_("La suggestion est acceptée : une nouvelle version est publiée."),
    "refusee": N_("La suggestion est refusée."),
    "retiree": N_("Votre suggestion est retirée."),
}


def _amend(
    site: Site,
    ref: str,
    form: Form,
    *,
    done: str = "",
    problem: str = "",
    fields: Mapping[str, Json] | None = None,
) -> Response:
    found = site.api.proposal(ref)
    campaign = site.api.campaign(found["campaign"])
    items = site.api.budget("proposals", found["ref"], "amendments", limit=50)["items"]
    opened = 0
    for one in items:
        opened += one["state"] == "open"
        if one["state"] == "open" and opened <= COMPARED:
            one |= site.api.budget("amendments", one["id"])
        one["changed"] = diff_of(site, one, campaign)
    clash = [{"field": k, **v} for k, v in (fields or {}).items()]
    return render(
        site.request,
        "budget/amend.html",
        status=409 if problem else 422 if form.bad else 200,
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        amendments=items,
        may_decide="edit" in found["may"],
        may_suggest="edit" not in found["may"] and _suggestable(found, campaign),
        form=form,
        done=done,
        problem=problem,
        clash=diff_of(site, {"diff": [{**c, "before": c["now"]} for c in clash]}, campaign),
    )


def _suggestable(found: Json, campaign: Json) -> bool:
    """Tell whether others may suggest changes now: while its authors may make them."""
    open_now = campaign["phase"] in ("ideas", "revision")
    return open_now and editable({**found, "may": ["edit"]}, campaign)


@router.post(f"{PAGE}/suggestions")
def suggest(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Suggest another text to its authors."""
    form = Form.of(sent)
    values = form.values
    found = site.api.proposal(ref)
    given: Json = {name: values[name] for name in AMENDABLE if values[name]}
    if "estimated_cost" in given:
        given["estimated_cost"] = base.amount(given["estimated_cost"])
        if not given["estimated_cost"]:
            form.wrong(site.request, "estimated_cost")
    changes = {name: value for name, value in given.items() if value != found[name]}
    if values["revision"] != str(found["revision"]):
        return _amend(site, ref, form, problem=gettext(site.request)(CHANGED))
    if not values["note"]:
        form.wrong(site.request, "note")
    if not changes and not form.bad:
        form.notice = gettext(site.request)(base.REFUSALS["nothing_changes"][1])
    if form.bad:
        return _amend(site, ref, form)
    body = {"changes": changes, "note": values["note"], "name": values["name"]}
    body["seen"] = found["version"]
    try:
        key = values["idempotency_key"]
        site.api.budget_write("proposals", ref, "amendments", body=body, key=key)
    except ServiceProblem as problem:
        if problem.code == "changed_meanwhile":
            return _amend(site, ref, form, problem=gettext(site.request)(CHANGED))
        return _amend(site, ref, base.refuse(site.request, form, problem))
    return redirect(f"/propositions/{ref}?fait=suggestion")


@router.post(f"{PAGE}/suggestions/{{amendment}}")
def decide(
    ref: str, amendment: str, site: SiteDep, sent: CheckedForm, _person: SignedIn
) -> Response:
    """Accept a suggestion, refuse it, take one's own back; the mairie may take its words away."""
    form = Form.of(sent)
    do = form.values["do"]
    body = {"accept": do == "accept", "answer": form.values["answer"]}
    key = form.values["idempotency_key"]
    path = ("amendments", _id(amendment))
    try:
        if do == "withdraw":
            site.api.budget_write(*path, "withdraw", key=key)
        elif do == "hide":
            why = {name: form.values[name] for name in ("reason", "note")}
            site.api.budget_write(*path, "hide", body=why, key=key)
        else:
            site.api.budget_write(*path, "decision", body=body, key=key)
    except ServiceProblem as problem:
        if problem.code == "changed_meanwhile":
            said = gettext(site.request)(CHANGED)
            return _amend(site, ref, Form(), problem=said, fields=problem.now.get("fields"))
        refused = base.refuse(site.request, Form(), problem)
        said = refused.notice or " ".join(refused.errors.values())
        return _amend(site, ref, Form(), problem=said)
    done = {"accept": "acceptee", "withdraw": "retiree", "hide": "retiree"}.get(do, "refusee")
    return redirect(f"/propositions/{ref}/suggestions?fait={done}")


# Merges


@router.get(f"{PAGE}/reunir")
def merging(ref: str, site: SiteDep, _person: SignedIn) -> Response:
    """Ask which other proposal this one goes on with."""
    return _merge(site, ref, Form())


def _merge(site: Site, ref: str, form: Form, problem: str = "") -> Response:
    found = site.api.proposal(ref)
    text = Form.of({"title": found["title"], "description": found["description"]})
    text.values |= {"lon": str(found["lon"]), "lat": str(found["lat"])}
    alike = propose.similar(site.api, {"id": found["campaign"]}, text, without=found["ref"])
    return render(
        site.request,
        "budget/merge.html",
        status=409 if problem else 422 if form.bad else 200,
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        alike=[one for one in alike if one["status"] == "submitted"],
        form=form,
        problem=problem,
    )


@router.post(f"{PAGE}/reunir")
def propose_merge(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Propose that two proposals go on as one."""
    form = Form.of(sent)
    values = form.values
    other = (values["ref"] or values["other"]).upper()
    if not other:
        form.wrong(site.request, "other")
        return _merge(site, ref, form)
    target, source = (ref, other) if values["keep"] == "this" else (other, ref)
    body = {"target": target, "sources": [source], "note": values["note"]}
    try:
        made = site.api.budget_write("merges", body=body, key=values["idempotency_key"])
    except ServiceProblem as problem:
        return _merge(site, ref, base.refuse(site.request, form, problem))
    done = "reuni" if made["state"] == "done" else "reunion"
    return redirect(f"/propositions/{made['target']['ref']}?fait={done}")


@router.get(f"{PAGE}/reunions/{{merge}}")
def see_merge(ref: str, merge: str, site: SiteDep) -> Response:
    """Show a merge: all texts side by side, and what this reader may do."""
    return _one_merge(site, ref, merge, Form())


def _one_merge(site: Site, ref: str, merge: str, form: Form, problem: str = "") -> Response:
    found = site.api.budget("merges", _id(merge))
    parts = [_readable(site, one["ref"]) for one in (found["target"], *found["sources"])]
    shown = next((part for part in parts if part), None)
    if shown is None:
        raise NotFound
    return render(
        site.request,
        "budget/merging.html",
        status=409 if problem else 422 if form.bad else 200,
        commune=site.places.commune(shown["commune"]),
        nav="budget",
        ref=ref,
        merge=found,
        parts=[part for part in parts if part],
        asked=[one for one in (found["target"], *found["sources"]) if not one["consented"]],
        form=form,
        problem=problem,
    )


@router.post(f"{PAGE}/reunions/{{merge}}")
def answer_merge(
    ref: str, merge: str, site: SiteDep, sent: CheckedForm, _person: SignedIn
) -> Response:
    """Agree to a merge, refuse it, or undo it."""
    form = Form.of(sent)
    do, key = form.values["do"], form.values["idempotency_key"]
    path = ("merges", _id(merge))
    if do == "undo" and not form.values["reason"]:
        form.wrong(site.request, "reason")
        return _one_merge(site, ref, merge, form)
    try:
        if do == "undo":
            body: Json = {"reason": form.values["reason"]}
            site.api.budget_write(*path, "undo", body=body, key=key)
            return redirect(f"/propositions/{ref}?fait=separe")
        made = site.api.budget_write(*path, "consent", body={"agree": do == "agree"}, key=key)
    except ServiceProblem as problem:
        refused = base.refuse(site.request, form, problem)
        said = refused.notice or next(iter(refused.errors.values()), "")
        return _one_merge(site, ref, merge, Form(), said)
    if do != "agree":
        return redirect(f"/propositions/{ref}?fait=reunion-non")
    done = "reuni" if made["state"] == "done" else "reunion"
    return redirect(f"/propositions/{made['target']['ref']}?fait={done}")


# What is one's own


@router.get("/mes-projets")
def mine(
    request: Request, places: PlacesDep, api: ApiDep, _person: SignedIn, fait: Word = ""
) -> Response:
    """Show what a person wrote, endorses and follows, and what waits for their answer."""
    return _mine(request, places, api, ANSWERED.get(fait, ""))


ANSWERED: Mapping[str, str] = {
    "confirme": N_("Votre soutien est reporté."),
    "decline": N_("C'est noté : votre soutien n'est pas reporté."),
}


def _mine(request: Request, places: Places, api: Api, done: str, problem: str = "") -> Response:
    items = [
        {**one, "place": places.commune(one["commune"]).name}
        for one in api.budget("proposals", "mine")["items"]
    ]
    own = [one for one in items if one["mine"]]
    return render(
        request,
        "budget/mine.html",
        status=409 if problem else 200,
        nav="account",
        own=own,
        endorsed=[one for one in items if one["endorsed"] and not one["mine"]],
        followed=[
            one for one in items if one["following"] and not (one["mine"] or one["endorsed"])
        ],
        offers=api.budget("endorsement-offers")["items"],
        merges=api.budget("merges", waiting=True, limit=20)["items"],
        suggestions=_suggestions(api, own),
        done=done,
        problem=problem,
    )


def _suggestions(api: Api, own: Sequence[Json]) -> list[Json]:
    """Return one's submitted proposals that suggestions wait on, with how many."""
    found = []
    for one in [one for one in own if one["status"] == "submitted"][:LOOKED]:
        try:
            items = api.budget("proposals", one["ref"], "amendments", limit=50)["items"]
        except (ServiceDown, ServiceProblem):
            continue
        waiting = sum(item["state"] == "open" for item in items)
        if waiting:
            found.append({**one, "waiting": waiting})
    return found


@router.post("/mes-projets/reports/{merge}")
def answer_offer(
    merge: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Carry one's endorsement over, or do not."""
    confirm = sent.get("do") == "confirm"
    key = str(sent.get("idempotency_key", "")) or None
    try:
        api.budget_write("endorsement-offers", _id(merge), body={"confirm": confirm}, key=key)
    except ServiceProblem as problem:
        refused = base.refuse(request, Form(), problem)
        return _mine(request, places, api, "", refused.notice)
    return redirect(f"/mes-projets?fait={'confirme' if confirm else 'decline'}")
