"""A proposal's page: its text, its place, its cost, who stands behind it, what the mairie said."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.locator import locator
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.projections.linked import linked_reports
from gateway.session import ApiDep, CheckedForm, SignedIn
from gateway.web import gettext, money, redirect, render
from services.common.db import SessionDep

router = APIRouter(prefix="/propositions/{ref}", include_in_schema=False)

#: What was just done → the words that say so.
DONE: Mapping[str, str] = {
    "soutien": N_("Merci ! Votre soutien est compté."),
    "soutien-retire": N_("Votre soutien est retiré."),
    "suivi": N_("Vous suivez ce projet : ce qui change est dans « Mes projets »."),
    "suivi-fin": N_("Vous ne suivez plus ce projet."),
    "modifie": N_("C'est enregistré : une nouvelle version est publiée."),
    "retrait": N_("Votre projet est retiré."),
    "reponse": N_("Votre réponse est publiée : la mairie étudiera le projet une seconde fois."),
    "avis": N_("Votre avis est publié."),
    "avis-retire": N_("Votre avis est retiré."),
    "alerte": N_("Merci : la mairie va regarder."),
    "recours": N_("Votre demande est envoyée : un autre agent regardera."),
    "suggestion": N_("Votre suggestion est envoyée à l'auteur."),
    "reunion": N_("C'est proposé : l'accord des auteurs est attendu."),
    "reuni": N_("Les projets sont réunis."),
    "reunion-non": N_("La fusion est refusée. Rien n'a changé."),
    "separe": N_("Les projets sont de nouveau séparés."),
    "auteur": N_("Bienvenue parmi les auteurs !"),
    "quitte": N_("Vous n'êtes plus parmi les auteurs."),
}
CHANGED = N_("Ce projet a changé entre-temps : le voici comme il est maintenant.")
SORTS: Mapping[str, str] = {
    "newest": N_("Les plus récents"),
    "useful": N_("Les plus utiles"),
    "oldest": N_("Les plus anciens"),
}
#: Comments on the proposal's own page; the rest has a page of its own.
FEW = 5
Word = Annotated[str, Query(max_length=40)]


@dataclass(frozen=True, slots=True)
class Site:
    """What every page about a proposal needs of its request."""

    request: Request
    places: Places
    api: Api
    session: Session


def _site(request: Request, places: PlacesDep, api: ApiDep, session: SessionDep) -> Site:
    return Site(request, places, api, session)


SiteDep = Annotated[Site, Depends(_site)]


@router.get("")
def proposal(
    ref: str,
    site: SiteDep,
    merci: Word = "",
    fait: Word = "",
    repondre: Word = "",
) -> Response:
    """Show one proposal; a draft to those who may finish it."""
    return show(site, ref, thanks=merci, done=fait, reply=repondre)


def show(
    site: Site,
    ref: str,
    *,
    thanks: str = "",
    done: str = "",
    reply: str = "",
    form: Form | None = None,
    problem: str = "",
) -> Response:
    """Give a proposal's page: with ``form`` a comment to mend, with ``problem`` a conflict."""
    api, request = site.api, site.request
    found = api.proposal(ref)
    campaign = api.campaign(found["campaign"])
    names = base.place_names(site.places, found["commune"])
    linked = linked_reports(site.session, found["reports"])
    draft = found["status"] == "draft"
    form = form or Form()
    return render(
        request,
        "budget/proposal.html",
        status=409 if problem else 422 if form.bad else 200,
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=base.located(found, names),
        reports=[base.located(one, names) for one in linked],
        campaign=campaign,
        drawing=_drawing(site, found, names),
        author=_author(request, found),
        editable=editable(found, campaign),
        thanks=thanks,
        done=DONE.get(done, ""),
        problem=problem,
        form=form,
        reply=reply,
        talk=None if draft else talk_of(site, found, FEW),
        talk_path=f"/propositions/{found['ref']}",
        answering="",
        sheet=api.budget("proposals", found["ref"], "review") if found["reviews"] else None,
        merges=[] if draft else merges_of(api, found),
        open_amendments=_waiting(api, found),
        moderation=[] if draft else _moderation(api, found),
    )


def _drawing(site: Site, found: Json, names: Mapping[str, str]) -> Any:
    place = names.get(found["arrondissement"] or "") or site.places.commune(found["commune"]).name
    said = gettext(site.request)("Le lieu du projet sur le plan : %(place)s") % {"place": place}
    return locator(site.places, found["commune"], found["arrondissement"], found["geometry"], said)


def _author(request: Request, found: Json) -> str:
    """Return in whose name a proposal speaks, in words."""
    _ = gettext(request)
    if found["author"]["name"]:
        return str(found["author"]["name"])
    if found["forum"]:
        return str(found["forum"]["name"])
    return _("Un habitant ou une habitante")


def talk_of(
    site: Site, found: Json, limit: int, sort: str = "newest", cursor: str | None = None
) -> Json:
    """Return a page of a proposal's comments with the counts of stances."""
    return dict(
        site.api.budget(
            "proposals", found["ref"], "comments", sort=sort, limit=limit, cursor=cursor
        )
    )


def merges_of(api: Api, found: Json) -> list[Json]:
    """Return the merges that a proposal is, or was, a part of."""
    return list(api.budget("merges", proposal=found["ref"], limit=20)["items"])


def _waiting(api: Api, found: Json) -> int:
    """Return how many suggestions wait for this reader's answer."""
    if "edit" not in found["may"]:
        return 0
    items = api.budget("proposals", found["ref"], "amendments", limit=50)["items"]
    return sum(one["state"] == "open" for one in items)


def _moderation(api: Api, found: Json) -> list[Json]:
    return list(api.budget("proposals", found["ref"], "moderation")["items"])


def editable(found: Json, campaign: Json) -> bool:
    """Tell whether this reader may give a submitted proposal a new version now."""
    if "edit" not in found["may"]:
        return False
    if campaign["phase"] == "revision":
        return bool(found["review"]) and found["review"]["outcome"] == "feasible_with_changes"
    return bool(found["status"] == "submitted")


# Acts of one button


def _act(
    site: Site, ref: str, sent: Mapping[str, Any], done: str, *path: str, **how: Any
) -> Response:
    """Do one thing to a proposal and show it; a refusal is said on its page as it is now."""
    key = str(sent.get("idempotency_key", "")) or None
    try:
        site.api.budget_write("proposals", ref, *path, key=key, **how)
    except ServiceProblem as problem:
        return conflict(site, ref, problem)
    return redirect(f"/propositions/{ref}?fait={done}")


def conflict(site: Site, ref: str, problem: ServiceProblem) -> Response:
    """Show the proposal as it is, with what was refused above it."""
    form = base.refuse(site.request, Form(), problem)
    said = gettext(site.request)(CHANGED) if problem.code == "changed_meanwhile" else ""
    return show(site, ref, problem=said or form.notice or next(iter(form.errors.values()), CHANGED))


@router.post("/soutien")
def endorse(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Stand behind a proposal."""
    return _act(site, ref, sent, "soutien", "endorsements")


@router.post("/soutien/retrait")
def take_back(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Stand behind it no more."""
    return _act(site, ref, sent, "soutien-retire", "endorsements", method="DELETE")


@router.post("/suivi")
def follow(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Follow a proposal."""
    return _act(site, ref, sent, "suivi", "follow")


@router.post("/suivi/fin")
def unfollow(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Follow it no more."""
    return _act(site, ref, sent, "suivi-fin", "follow", method="DELETE")


@router.post("/retrait")
def withdraw(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Take one's proposal back."""
    return _act(site, ref, sent, "retrait", "withdraw")


@router.post("/reponse")
def answer(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Answer the mairie's review, once."""
    form = Form.of(sent)
    if not form.values["answer"]:
        form.wrong(site.request, "answer")
    else:
        body = {"answer": form.values["answer"]}
        key = form.values["idempotency_key"]
        try:
            site.api.budget_write("proposals", ref, "review", "answer", body=body, key=key)
        except ServiceProblem as problem:
            base.refuse(site.request, form, problem)
        else:
            return redirect(f"/propositions/{ref}?fait=reponse#etude")
    return show(site, ref, form=form)


# Versions


@router.get("/versions")
def revisions(ref: str, site: SiteDep) -> Response:
    """List all texts that a proposal had."""
    found = site.api.proposal(ref)
    items = site.api.budget("proposals", found["ref"], "revisions")["items"]
    return render(
        site.request,
        "budget/revisions.html",
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        revisions=items[::-1],
        one=None,
        diff=[],
    )


@router.get("/versions/{number}")
def revision(ref: str, number: str, site: SiteDep) -> Response:
    """Show one text of a proposal, and how it differs from the one before."""
    found = site.api.proposal(ref)
    one = site.api.budget("proposals", found["ref"], "revisions", number[:9])
    campaign = site.api.campaign(found["campaign"])
    return render(
        site.request,
        "budget/revisions.html",
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        revisions=[],
        one=one,
        diff=diff_of(site, one, campaign),
        content=[
            {"field": name, "text": worded(site, name, one["content"].get(name), campaign)}
            for name in labels.PARTS
            if name not in ("geometry", "reports") and one["content"].get(name)
        ],
    )


def diff_of(site: Site, revision: Json, campaign: Json | None) -> list[Json]:
    """Return what a revision or a suggestion changes, each value in words."""
    changes: list[Json] = revision["diff"] if "diff" in revision else revision["changes"]
    return [
        {
            "field": one["field"],
            "segments": _spaced(one.get("segments", [])),
            "before": worded(site, one["field"], one["before"], campaign),
            "after": worded(site, one["field"], one["after"], campaign),
        }
        for one in changes
    ]


def _spaced(segments: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return segments whose words are marked without the space before them."""
    found = []
    for sign, text in segments:
        word = text.lstrip()
        if sign != "=" and word != text:
            found.append(("=", text[: len(text) - len(word)]))
        found.append((sign, word if sign != "=" else text))
    return [(sign, text) for sign, text in found if text]


def worded(site: Site, name: str, value: Any, campaign: Json | None) -> str:
    """Return a proposal's value in words; empty where there is none."""
    _ = gettext(site.request)
    if value in (None, ""):
        return ""
    if name == "estimated_cost":
        return money(int(value))
    if name == "theme":
        return _(labels.theme(value).text)
    if name == "envelope":
        envelopes = campaign["envelopes"] if campaign else []
        return next((str(e["name"]) for e in envelopes if e["id"] == value), "")
    if name == "arrondissement":
        return base.place_names(site.places, str(value)[:4]).get(value, "")
    if name == "geometry":
        return _(GEOMETRIES.get(value["type"], ""))
    return str(value)


#: What a place is called by its shape.
GEOMETRIES: Mapping[str, str] = {
    "Point": N_("Un point sur la carte"),
    "LineString": N_("Un tracé sur la carte"),
    "Polygon": N_("Une zone sur la carte"),
}
