"""What people say about a proposal: comments, replies, what is useful, what is wrong with words."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway import labels
from gateway.errors import ServiceProblem
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.proposals import DONE, SORTS, Site, SiteDep, Word, conflict, show, talk_of
from gateway.session import CheckedForm, SignedIn
from gateway.web import redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/propositions/{ref}", include_in_schema=False)

MANY = 20
Cursor = Annotated[str | None, Query(max_length=300)]


@router.get("/avis")
def comments(
    ref: str,
    site: SiteDep,
    tri: Word = "newest",
    fait: Word = "",
    repondre: Word = "",
    cursor: Cursor = None,
) -> Response:
    """Show all that people said about a proposal, page by page."""
    return _talk(site, ref, sort=tri, done=fait, reply=repondre, cursor=cursor)


def _talk(
    site: Site,
    ref: str,
    *,
    sort: str = "newest",
    done: str = "",
    reply: str = "",
    cursor: str | None = None,
    form: Form | None = None,
) -> Response:
    found = site.api.proposal(ref)
    sort = base.known(sort, SORTS) or "newest"
    talk = talk_of(site, found, MANY, sort, cursor)
    path = f"/propositions/{found['ref']}/avis"
    form = form or Form()
    return render(
        site.request,
        "budget/talk.html",
        status=422 if form.bad else 200,
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        talk=talk,
        talk_path=path,
        answering=_kept(sort, cursor),
        sort=sort,
        sorts=SORTS,
        form=form,
        reply=reply,
        done=DONE.get(done, ""),
        following=base.following(path, {"tri": sort}, talk),
        later=cursor is not None,
    )


def _kept(sort: str, cursor: str | None) -> Mapping[str, str]:
    """Return what a link to a reply's form must keep to find its comment again."""
    return {"tri": sort, **({"cursor": cursor} if cursor else {})}


@router.post("/avis")
def comment(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Say something, or reply to somebody."""
    form = Form.of(sent)
    values = form.values
    whole = values["page"] == "avis"
    body: Json = {
        "body": values["body"],
        "stance": base.known(values["stance"], labels.STANCES) or "neutral",
        "name": values["name"],
        "parent": values["parent"] or None,
    }
    if not values["body"]:
        form.wrong(site.request, "body")
    else:
        key = values["idempotency_key"]
        try:
            made = site.api.budget_write("proposals", ref, "comments", body=body, key=key)
        except ServiceProblem as problem:
            base.refuse(site.request, form, problem)
        else:
            page = "/avis" if whole else ""
            return redirect(f"/propositions/{ref}{page}?fait=avis#avis-{made['id']}")
    if whole:
        return _talk(site, ref, form=form, reply=values["parent"], sort=values["tri"])
    return show(site, ref, form=form, reply=values["parent"])


def _comment(comment: str) -> str:
    try:
        return str(UUID(comment))
    except ValueError:
        raise NotFound from None


@router.post("/avis/{comment}/utile")
def useful(ref: str, comment: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Find somebody's comment useful."""
    key = str(sent.get("idempotency_key", "")) or None
    try:
        site.api.budget_write("comments", _comment(comment), "useful", key=key)
    except ServiceProblem as problem:
        return conflict(site, ref, problem)
    return redirect(f"/propositions/{ref}{_page(sent.get('page'))}#avis-{comment}")


@router.post("/avis/{comment}/retrait")
def withdraw(
    ref: str, comment: str, site: SiteDep, sent: CheckedForm, _person: SignedIn
) -> Response:
    """Take one's own comment back."""
    key = str(sent.get("idempotency_key", "")) or None
    try:
        site.api.budget_write("comments", _comment(comment), key=key, method="DELETE")
    except ServiceProblem as problem:
        return conflict(site, ref, problem)
    return redirect(f"/propositions/{ref}{_page(sent.get('page'))}?fait=avis-retire#avis")


def _page(name: object) -> str:
    return "/avis" if name == "avis" else ""


# What is wrong with words


@router.get("/alerte")
def abuse(ref: str, site: SiteDep, _person: SignedIn, avis: Word = "") -> Response:
    """Ask what is wrong with a proposal's words, or a comment's."""
    return _words(site, ref, "abuse", avis, Form())


@router.get("/recours")
def appeal(ref: str, site: SiteDep, _person: SignedIn, avis: Word = "") -> Response:
    """Ask why one's hidden words should be looked at again."""
    return _words(site, ref, "appeal", avis, Form())


def _words(site: Site, ref: str, what: str, comment: str, form: Form) -> Response:
    found = site.api.proposal(ref)
    return render(
        site.request,
        "budget/words.html",
        status=422 if form.bad else 200,
        commune=site.places.commune(found["commune"]),
        nav="budget",
        proposal=found,
        what=what,
        comment=_comment(comment) if comment else "",
        form=form,
    )


@router.post("/alerte")
def report_abuse(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Tell the mairie what is wrong."""
    form = Form.of(sent)
    if form.values["reason"] not in labels.ABUSE:
        form.wrong(site.request, "reason")
    more = {"reason": form.values["reason"]}
    return _send(site, ref, form, "abuse", more, "abuse-reports")


@router.post("/recours")
def send_appeal(ref: str, site: SiteDep, sent: CheckedForm, _person: SignedIn) -> Response:
    """Ask for another look at one's hidden words."""
    form = Form.of(sent)
    if not form.values["note"]:
        form.wrong(site.request, "note")
    return _send(site, ref, form, "appeal", {}, "moderation", "appeals")


def _send(
    site: Site, ref: str, form: Form, what: str, more: Mapping[str, str], *path: str
) -> Response:
    values = form.values
    comment = values["avis"]
    if not form.bad:
        subject = _comment(comment) if comment else site.api.proposal(ref)["id"]
        body = {
            "subject": "comment" if comment else "proposal",
            "id": subject,
            "note": values["note"],
            **more,
        }
        try:
            site.api.budget_write(*path, body=body, key=values["idempotency_key"])
        except ServiceProblem as problem:
            base.refuse(site.request, form, problem)
        else:
            done = "alerte" if what == "abuse" else "recours"
            return redirect(f"/propositions/{ref}?fait={done}")
    return _words(site, ref, what, comment, form)
