"""The desk closes the reports that a finished work answers, in one act."""

from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.desk import MANAGE
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, render

router = APIRouter(prefix="/mairie/{code}/travaux-finis", include_in_schema=False)

#: What the desk's act on many takes at once, and how many works are looked up by name.
MOST, MANY = 100, 200
NOTE = N_("Les travaux « %(title)s » (%(ref)s) sont terminés : ce problème est réglé.")


@router.get("")
def finished(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List finished works with the reports that led to them and are open still."""
    places.commune(code)
    require(request, MANAGE, code)
    return _page(request, places, api, code, Form())


def _works(request: Request, api: Api, code: str) -> list[Json]:
    """Return the works, each with its title and the note that is proposed for its reports."""
    _ = gettext(request)
    found: list[Json] = api.desk(code, "finished-works")["items"]
    known = api.budget("works", commune=code, status="completed", limit=MANY) if found else {}
    titles = {
        one["properties"]["ref"]: one["properties"]["title"] for one in known.get("features", ())
    }
    named = [{**one, "title": titles.get(one["ref"], one["ref"])} for one in found]
    return [{**one, "note": _(NOTE) % {"title": one["title"], "ref": one["ref"]}} for one in named]


def _page(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    form: Form,
    outcomes: Sequence[Json] = (),
) -> Response:
    return render(
        request,
        "desk/finished.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="reports",
        base=f"/mairie/{code}",
        works=_works(request, api, code),
        form=form,
        closed=sum(one["ok"] for one in outcomes),
        refused=[one for one in outcomes if not one["ok"]],
    )


@router.post("")
def close(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Close the ticked reports, each with the note of its work; say what could not be closed."""
    require(request, MANAGE, code)
    form = Form.of({name: value for name, value in sent.items() if name != "refs"})
    ticked = _ticked(sent)
    if not ticked:
        _ = gettext(request)
        form.notice = _("Cochez au moins un signalement.")
        return _page(request, places, api, code, form)
    notes = {one["ref"]: one["note"] for one in _works(request, api, code)}
    outcomes: list[Json] = []
    for work, versions in ticked.items():
        note = form.values[f"note_{work}"] or notes.get(work, "")
        refs = list(versions)
        for at in range(0, len(refs), MOST):
            some = {ref: versions[ref] for ref in refs[at : at + MOST]}
            key = str(uuid5(NAMESPACE_URL, f"{form.values['idempotency_key']}/{work}/{at}"))
            outcomes += _close(api, code, some, note, key)
    return _page(request, places, api, code, Form(), outcomes)


def _ticked(sent: FormData) -> dict[str, dict[str, int]]:
    """Return the ticked reports by work, with the version on the page: ``WORK:REPORT:VERSION``."""
    found: dict[str, dict[str, int]] = {}
    for value in sent.getlist("refs"):
        work, _, rest = str(value).partition(":")
        ref, _, seen = rest.partition(":")
        version = base.whole(seen)
        if work and ref and version:
            found.setdefault(work, {})[ref] = version
    return found


def _close(api: Api, code: str, versions: Mapping[str, int], note: str, key: str) -> Sequence[Json]:
    """Close some reports of one work; a refusal of them all is one of each."""
    action = {"type": "status", "status": "resolved", "public_note": note}
    body = {"refs": list(versions), "versions": versions, "action": action}
    try:
        outcomes: Sequence[Json] = api.desk_write(code, "reports/bulk", body, key=key)["outcomes"]
    except ServiceProblem as problem:
        if problem.status in (401, 403):
            raise
        told = {"code": problem.code}
        return [{"ref": ref, "ok": False, "problem": told} for ref in versions]
    return outcomes
