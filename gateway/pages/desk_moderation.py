"""Moderation at the mairie's desk: what people report, appeals, decisions and their log."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.desk_budget import MANAGE
from gateway.pages.proposals import Word
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}/moderation", include_in_schema=False)

PAGE = 20
#: How many pages are looked through for one thing: of the queue, of a proposal's comments.
LOOKED = 10
#: What is decided about an appeal; the rest is decided of one's own accord.
ON_APPEAL = ("uphold", "reverse")
DECISIONS = ("hide", "show", "keep", *ON_APPEAL)
DONE = {
    "hide": N_("C'est masqué. La raison est publiée, l'auteur peut demander un nouvel examen."),
    "show": N_("C'est montré de nouveau."),
    "keep": N_("C'est laissé tel quel."),
    "uphold": N_("La décision est confirmée."),
    "reverse": N_("La décision est annulée : le texte est montré de nouveau."),
}
OVERTAKEN = N_(
    "Un collègue vient d'en décider. Lisez sa décision ; ce que vous avez écrit est gardé."
)
Cursor = Annotated[str | None, Query(max_length=400)]


@router.get("")
def queue(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    cursor: Cursor = None,
    projet: Word = "",
    fait: Word = "",
) -> Response:
    """List what waits for a decision, what harms first; and a proposal's log where one is named."""
    commune = places.commune(code)
    require(request, MANAGE, code)
    _ = gettext(request)
    answer = api.budget("moderation", commune=code, limit=PAGE, cursor=cursor)
    path = f"/mairie/{code}/moderation"
    named, lines = _log_of(api, code, projet.strip().upper()) if projet else (None, [])
    return render(
        request,
        "desk/moderation.html",
        commune=commune,
        nav="desk",
        tab="moderation",
        items=answer["items"],
        asked=projet,
        named=named,
        lines=lines,
        base=path,
        following=base.following(path, {}, answer),
        later=cursor is not None,
        notice=_(DONE[fait]) if fait in DONE else None,
    )


def _log_of(api: Api, code: str, ref: str) -> tuple[Json | None, list[Json]]:
    """Return one of the commune's proposals and what was decided about it, newest first."""
    try:
        found = api.proposal(ref)
        if found["commune"] != code:
            return None, []
        return found, list(api.budget("proposals", ref, "moderation")["items"])
    except ServiceProblem as problem:
        if problem.status not in (404, 422):
            raise
        return None, []


# One case


@router.get("/{ref}")
def proposal_case(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Show what is said against a proposal, and what was decided."""
    require(request, MANAGE, code)
    return _show(request, places, api, code, ref, "", Form())


@router.get("/{ref}/avis/{comment}")
def comment_case(
    code: str, ref: str, comment: str, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Show what is said against a comment, and what was decided."""
    require(request, MANAGE, code)
    return _show(request, places, api, code, ref, _id(comment), Form())


def _id(comment: str) -> str:
    try:
        return str(UUID(comment))
    except ValueError:
        raise NotFound from None


def _show(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    ref: str,
    comment: str,
    form: Form,
    now: Json | None = None,
) -> Response:
    """Give the page of a case; ``now`` is what a conflict said of what a colleague decided."""
    proposal, log = _log_of(api, code, ref)
    if proposal is None:
        raise NotFound
    subject = (comment and "comment") or "proposal"
    about = comment or proposal["id"]
    lines = [one for one in log if (one["subject"], one["id"]) == (subject, about)]
    case = _queued(api, code, subject, about)
    if case is None:
        case = _calm(api, proposal, comment, lines)
    return render(
        request,
        "desk/moderation_case.html",
        status=409 if now is not None else 422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="moderation",
        proposal=proposal,
        case=case,
        lines=lines,
        appealed=bool(lines) and lines[0]["action"] == "appeal",
        decisions=[one for one in DECISIONS if one in case["may"] and one not in ON_APPEAL],
        on_appeal=[one for one in ON_APPEAL if one in case["may"]],
        public=f"/propositions/{proposal['ref']}" + ("/avis" if comment else ""),
        form=form,
        now=now,
    )


def _queued(api: Api, code: str, subject: str, about: str) -> Json | None:
    """Return a subject as the queue has it: reports and an appeal may both wait."""
    found: Json | None = None
    for one in _pages(api, "moderation", commune=code, limit=100):
        if (one["subject"], one["id"]) != (subject, about):
            continue
        if found is None:
            found = one
        else:
            found |= {
                "reports": found["reports"] + one["reports"],
                "appeal": found["appeal"] or one["appeal"],
                "urgent": found["urgent"] or one["urgent"],
            }
    return found


def _pages(api: Api, *path: str, **query: object) -> Iterator[Json]:
    """Give the items of a list, page after page."""
    cursor: str | None = None
    for _page in range(LOOKED):
        answer = api.budget(*path, cursor=cursor, **query)
        yield from answer["items"]
        cursor = base.cursor(answer)
        if cursor is None:
            return


def _calm(api: Api, proposal: Json, comment: str, lines: Sequence[Json]) -> Json:
    """Return a subject that nobody reports now, as a case with no reports."""
    if comment:
        comments = _pages(api, "proposals", proposal["ref"], "comments", limit=50)
        said = next((one for one in _flat(comments) if one["id"] == comment), None)
        if said is None or said["withdrawn"]:
            raise NotFound
        words, name, at, hidden = said["body"], said["name"], said["created_at"], said["hidden"]
    else:
        texts = (proposal[one] for one in ("title", "need", "description", "beneficiaries"))
        words = "\n\n".join(text for text in texts if text)
        name, at, hidden = proposal["author"]["name"], proposal["submitted_at"], proposal["hidden"]
    return {
        "subject": "comment" if comment else "proposal",
        "id": comment or proposal["id"],
        "ref": proposal["ref"],
        "words": words,
        "name": name,
        "written_at": at,
        "urgent": False,
        "reports": 0,
        "reasons": {},
        "notes": [],
        "appeal": None,
        "hidden": bool(hidden),
        "seen": len(lines),
        "may": ["show"] if hidden else ["hide"],
    }


def _flat(comments: Iterable[Json]) -> Iterator[Json]:
    for one in comments:
        yield one
        yield from _flat(one["replies"])


@router.post("/{ref}")
def decide_proposal(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Decide about a proposal's words."""
    return _decide(request, places, api, code, ref, "", Form.of(sent))


@router.post("/{ref}/avis/{comment}")
def decide_comment(
    code: str,
    ref: str,
    comment: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Decide about a comment's words."""
    return _decide(request, places, api, code, ref, _id(comment), Form.of(sent))


def _decide(
    request: Request, places: Places, api: Api, code: str, ref: str, comment: str, form: Form
) -> Response:
    require(request, MANAGE, code)
    values = form.values
    action = base.known(values["action"], DECISIONS)
    if not action:
        form.wrong(request, "action", "decision")
    if action not in ON_APPEAL and values["reason"] not in labels.ABUSE:
        form.wrong(request, "reason", "abuse")
    if not values["note"]:
        form.wrong(request, "note", "public_note")
    if form.bad:
        return _show(request, places, api, code, ref, comment, form)
    body: Json = {
        "subject": "comment" if comment else "proposal",
        "id": comment or api.proposal(ref)["id"],
        "action": action,
        "note": values["note"],
        "seen": base.whole(values["seen"]),
    }
    path = ("moderation", "appeals", "decision") if action in ON_APPEAL else ("moderation",)
    if action not in ON_APPEAL:
        body["reason"] = values["reason"]
    try:
        api.budget_write(*path, body=body, key=values["idempotency_key"])
    except ServiceProblem as problem:
        base.refuse(request, form, problem)
        if problem.code == "changed_meanwhile":
            form.notice = gettext(request)(OVERTAKEN)
            return _show(request, places, api, code, ref, comment, form, problem.now)
        return _show(request, places, api, code, ref, comment, form)
    return redirect(f"/mairie/{code}/moderation?fait={action}")
