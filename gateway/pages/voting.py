"""The vote: ballot, review, receipt, results."""

import random
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import i18n
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import CampaignId, Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, Person, SignedIn
from gateway.web import gettext, redirect, render
from services.common.problems import NotFound

router = APIRouter(include_in_schema=False)


def election_of(api: Api, campaign: str) -> Json | None:
    """Return the campaign's election, or None before its ballot is frozen."""
    found = api.elections(campaign=campaign)
    return api.election(found[0]["id"]) if found else None


@router.get("/budget/{campaign}/vote")
def ballot(
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    who: SignedIn,
    choix: Annotated[list[str] | None, Query(max_length=200)] = None,
) -> Response:
    """Give the ballot, its projects in an order of this voter's own."""
    election = election_of(api, campaign)
    if election is None or election["voting"] != "open":
        return redirect(f"/budget/{campaign}")
    form = Form()
    return _ballot(campaign, request, places, who, election, form, choix or [])


def _ballot(
    campaign: str,
    request: Request,
    places: Places,
    who: Person,
    election: Json,
    form: Form,
    chosen: list[str],
) -> Response:
    code = election["commune"]
    names = base.place_names(places, code)
    projects = [base.located(p, names) for p in election["projects"]]
    # The same order again for the same person, so that going back changes nothing under them.
    random.Random(f"{who.user_id}/{election['id']}").shuffle(projects)  # noqa: S311 - no secret
    return render(
        request,
        "vote/ballot.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="budget",
        campaign={"id": campaign, "title": election["title"]},
        election=election,
        parts=_parts(election, projects),
        chosen=chosen,
        form=form,
    )


def _parts(election: Json, projects: list[Json]) -> list[Json]:
    """Return the projects by envelope, each with its amount: one part where it is not divided."""
    envelopes = election.get("envelopes") or []
    if len(envelopes) < 2:
        return [{"name": "", "amount": election["budget"], "projects": projects}]
    parts = [
        {**one, "projects": [p for p in projects if p["envelope"] == one["id"]]}
        for one in envelopes
    ]
    return [part for part in parts if part["projects"]]


def _overspent(election: Json, picked: list[Json]) -> Json | None:
    """Return the first envelope that the chosen projects cost more than, if one is."""
    for part in _parts(election, picked):
        if sum(p["cost"] for p in part["projects"]) > part["amount"]:
            return part
    return None


@router.post("/budget/{campaign}/vote")
def vote(
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
    who: SignedIn,
) -> Response:
    """Check the ballot, show it again to be sure, then cast it."""
    election = election_of(api, campaign)
    if election is None:
        raise NotFound
    _ = gettext(request)
    form = Form.of(sent)
    wanted = {str(choice) for choice in sent.getlist("choices")}
    picked = [p for p in election["projects"] if p["id"] in wanted]
    total = sum(p["cost"] for p in picked)
    chosen = [p["id"] for p in picked]
    step = form.values["step"]
    if not picked:
        form.wrong(request, "choices")
    elif part := _overspent(election, picked):
        form.errors["choices"] = (
            _("Dans « %(envelope)s » le total dépasse l'enveloppe : retirez un projet.")
            % {"envelope": part["name"]}
            if part["name"]
            else _("Le total dépasse le budget : retirez un projet.")
        )
    if form.bad or step == "edit":
        return _ballot(campaign, request, places, who, election, form, chosen)
    shared: Json = {
        "commune": places.commune(election["commune"]),
        "nav": "budget",
        "campaign": {"id": campaign, "title": election["title"]},
        "election": election,
    }
    token = form.values["replace_token"]
    if step != "cast":
        found: Json = {"picked": picked, "total": total, "replace_token": token}
        return render(request, "vote/review.html", **shared, **found)
    body: Json = {"choices": chosen} | ({"replace_token": token} if token else {})
    try:
        made = api.cast_ballot(election["id"], body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        base.refuse(request, form, problem, over_budget="choices")
        return _ballot(campaign, request, places, who, election, form, chosen)
    # Shown in the answer itself: a receipt has no address that somebody else could open.
    return render(request, "vote/receipt.html", **shared, ballot=made)


@router.get("/budget/{campaign}/resultats")
def results(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show the winners first, and for each project why."""
    election = election_of(api, campaign)
    if election is None or election["state"] == "open":
        return redirect(f"/budget/{campaign}")
    found = api.results(election["id"])
    english = i18n.choose(request) == "en"
    for project in found["projects"]:
        project["sentence"] = project["sentence_en" if english else "sentence"]
    return render(
        request,
        "vote/results.html",
        commune=places.commune(found["commune"]),
        nav="budget",
        map=commune_map_parts(request, found["commune"], "funded", campaign),
        places=base.place_names(places, found["commune"]),
        campaign={"id": campaign, "title": found["title"]},
        election=election,
        results=found,
        winners=[p for p in found["projects"] if p["funded"]],
        losers=[p for p in found["projects"] if not p["funded"]],
        most=max((p["votes"] for p in found["projects"]), default=0) or 1,
        share=round(100 * found["total_cost"] / found["budget"]),
        rule_text=found["rule_text"]["en" if english else "fr"],
    )
