"""Works, for citizens: what is being built, when, for how much, and whether it is finished."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import CampaignId, Form, Json
from gateway.places import Places, PlacesDep
from gateway.projections.linked import linked_reports
from gateway.session import ApiDep, CheckedForm, SignedIn
from gateway.web import gettext, redirect, render
from services.common.db import SessionDep

router = APIRouter(include_in_schema=False)

Done = Annotated[str, Query(max_length=20)]
#: The states in the order in which a list tells them: what goes on now first.
ORDER = ("under_way", "suspended", "tendering", "planned", "completed", "abandoned")
#: How many works are asked for at once: some five times more than a campaign has.
MANY = 200
#: Of each kind of entry, the sum that it adds to.
SUM_OF: Mapping[str, str] = {"commitment": "committed", "invoice": "invoiced", "payment": "paid"}
#: What a person may say of a finished work, and the words.
VERDICTS: Mapping[str, str] = {
    "confirmed": N_("Oui, c'est fini"),
    "disputed": N_("Non, il manque quelque chose"),
}
_NOT_NOW = N_("Ces travaux ne sont plus donnés pour terminés : rien n'a été enregistré.")


@router.get("/budget/{campaign}/travaux")
def works(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List a campaign's works by state, beside their map."""
    found = api.campaign(campaign)
    names = base.place_names(places, found["commune"])
    features = api.budget("works", campaign=campaign, limit=MANY)["features"]
    listed = [base.located(one["properties"], names) for one in features]
    states = [(state, [one for one in listed if one["status"] == state]) for state in ORDER]
    return render(
        request,
        "works/list.html",
        commune=places.commune(found["commune"]),
        nav="budget",
        map=commune_map_parts(request, found["commune"], "works", campaign),
        places=names,
        campaign=found,
        works=listed,
        states=[(state, some) for state, some in states if some],
    )


@router.get("/travaux/{ref}")
def work(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    fait: Done = "",
) -> Response:
    """Show a work: where it stands, its steps, its journal, every franc, what citizens say."""
    found = api.budget("works", ref)
    return _show(found, request, places, session, Form(), done=fait)


def _show(
    found: Json,
    request: Request,
    places: Places,
    session: SessionDep,
    form: Form,
    *,
    done: str = "",
    status: int = 200,
) -> Response:
    names = base.place_names(places, found["commune"])
    linked = linked_reports(session, found["reports"])
    return render(
        request,
        "works/one.html",
        status=422 if form.errors else status,
        commune=places.commune(found["commune"]),
        nav="budget",
        places=names,
        work=base.located(found, names),
        milestones=milestones(found["milestones"]),
        delays=[line for line in found["journal"] if line["kind"] == "delay"],
        journal=found["journal"][::-1],
        entries=running(found["ledger"], found["voted_cost"]),
        reports=[base.located(one, names) for one in linked],
        verdicts=VERDICTS,
        said=done if done in VERDICTS else "",
        form=form,
    )


def milestones(steps: Sequence[Json]) -> list[Json]:
    """Return the steps of a work, each ``done`` or ``later``; the first one to come is ``now``."""
    following = next((one["id"] for one in steps if one["reached_on"] is None), None)
    found = []
    for one in steps:
        state = "now" if one["id"] == following else "done" if one["reached_on"] else "later"
        found.append({**one, "state": state})
    return found


def running(ledger: Sequence[Json], voted: int) -> list[Json]:
    """Return the lines of a ledger in order, each with the three sums and the balance after it."""
    sums = {"committed": 0, "invoiced": 0, "paid": 0}
    found = []
    for line in ledger:
        name = SUM_OF[line["kind"]]
        sums[name] += line["amount"]
        found.append({**line, "column": name, "sums": dict(sums), "balance": voted - sums["paid"]})
    return found


@router.post("/travaux/{ref}/avis")
def confirm(
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    sent: CheckedForm,
    _person: SignedIn,
) -> Response:
    """Say that a finished work is finished, or what is missing."""
    form = Form.of(sent)
    if form.values["verdict"] not in VERDICTS:
        form.wrong(request, "verdict", "outcome")
    if form.values["verdict"] == "disputed" and not form.values["note"]:
        form.wrong(request, "note")
    if form.bad:
        return _show(api.budget("works", ref), request, places, session, form)
    return _confirmed(ref, request, places, api, session, form)


def _confirmed(
    ref: str, request: Request, places: Places, api: Api, session: SessionDep, form: Form
) -> Response:
    body = {"verdict": form.values["verdict"], "note": form.values["note"]}
    try:
        key = form.values["idempotency_key"]
        api.budget_write("works", ref, "confirmations", body=body, key=key)
    except ServiceProblem as problem:
        if problem.status != 409:
            form = base.refuse(request, form, problem, note_needed="note")
        else:
            form.notice = gettext(request)(_NOT_NOW)
        status = 409 if problem.status == 409 else 422
        return _show(api.budget("works", ref), request, places, session, form, status=status)
    return redirect(f"/travaux/{ref}?fait={form.values['verdict']}#avis")
