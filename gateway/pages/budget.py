"""Budget campaigns, for citizens: what is asked when, how much there is, what is proposed."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.labels import N_
from gateway.layers import Show, commune_map_parts
from gateway.pages import base
from gateway.pages.base import CampaignId, Json
from gateway.places import PlacesDep
from gateway.projections.envelopes import Filled, Sum, filled
from gateway.session import ApiDep, MaybePerson
from gateway.web import gettext, render
from services.common.db import SessionDep

router = APIRouter(include_in_schema=False)

Code = Annotated[str, Query(max_length=40)]
Search = Annotated[str, Query(max_length=100)]
Cursor = Annotated[str | None, Query(max_length=200)]

SORTS: Mapping[str, str] = {
    "newest": N_("Les plus récents"),
    "endorsed": N_("Les plus soutenus"),
    "discussed": N_("Les plus discutés"),
    "number": N_("Par numéro de bulletin"),
}
#: What a list can be filtered by: what an author took back is no proposal any more.
STATUSES = ("submitted", "shortlisted", "not_feasible", "funded", "not_funded", "merged")
#: Phases in which the vote has made works of proposals.
BUILT = ("results", "works", "closed")
#: Phases whose map shows something else than all that is proposed.
SHOWN: Mapping[str, Show] = {
    "vote": "shortlist",
    "results": "works",
    "works": "works",
    "closed": "works",
}
#: How far an envelope is filled, as drawn: the words, and the colour of its bar.
STAGES: Sequence[tuple[str, str, str]] = (
    ("proposed", N_("Proposé"), "faint"),
    ("shortlisted", N_("Retenu pour le vote"), "ochre-bar"),
    ("funded", N_("Financé"), ""),
)
#: Lines of the history that say that a date is another one now.
MOVES_SHOWN = 3
NOTHING = Filled()


@router.get("/communes/{code}/budget")
def campaigns(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List a commune's campaigns, the one that asks something now first."""
    commune = places.commune(code)
    _ = gettext(request)
    found = api.campaigns(commune=code)
    first = base.foremost(found)
    found.sort(key=lambda c: c is not first)
    return render(
        request,
        "budget/list.html",
        commune=commune,
        nav="budget",
        campaigns=[{**base.told(c, _), "built": c["phase"] in BUILT} for c in found],
    )


@router.get("/budget/{campaign}")
def campaign(
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    who: MaybePerson,
    envelope: Code = "",
    theme: Code = "",
    arrondissement: Code = "",
    status: Code = "",
    sort: Code = "",
    q: Search = "",
    cursor: Cursor = None,
) -> Response:
    """Show a campaign: its phases, its envelopes, its rules, its proposals as a list and a map."""
    found = base.told(api.campaign(campaign), gettext(request))
    code = found["commune"]
    names = base.place_names(places, code)
    numbered = sum(found["counts"][s] for s in ("shortlisted", "funded", "not_funded")) > 0
    sorts = {s: text for s, text in SORTS.items() if numbered or s != "number"}
    chosen = {
        "q": q.strip(),
        "envelope": base.known(envelope, [one["id"] for one in found["envelopes"]]),
        "theme": base.known(theme, labels.THEMES),
        "arrondissement": base.known(arrondissement, names),
        "status": base.known(status, STATUSES),
        "sort": base.known(sort, sorts),
    }
    wanted = {name: value for name, value in chosen.items() if value}
    answer = api.proposals(campaign=campaign, **wanted, limit=base.PAGE, cursor=cursor)
    drafts = api.proposals(campaign=campaign, status="draft")["features"] if who else []
    path = f"/budget/{found['id']}"
    return render(
        request,
        "budget/one.html",
        commune=places.commune(code),
        nav="budget",
        map=commune_map_parts(request, code, SHOWN.get(found["phase"], "proposals"), campaign),
        places=names,
        campaign=found,
        moves=moves(history(api, campaign))[-MOVES_SHOWN:],
        envelopes=envelopes(found, filled(session, campaign)),
        built=found["phase"] in BUILT,
        shortlisted=numbered,
        forums=forums(api, campaign),
        count=sum(found["counts"].values()),
        proposals=base.proposals_of(answer, names),
        drafts=[base.located(one["properties"], names) for one in drafts],
        chosen=chosen,
        filtered=bool(wanted.keys() - {"sort"}),
        sorts=sorts,
        statuses=[s for s in STATUSES if found["counts"].get(s)],
        base=path,
        following=base.following(path, chosen, answer),
        later=cursor is not None,
    )


def envelopes(campaign: Json, sums: Mapping[str, Filled]) -> list[Json]:
    """Return a campaign's envelopes, each with the stages that hold something and their share."""
    return [
        {**one, "stages": _stages(one["amount"], sums.get(one["id"], NOTHING))}
        for one in campaign["envelopes"]
    ]


def _stages(amount: int, held: Filled) -> list[Json]:
    found = []
    for name, text, tone in STAGES:
        told: Sum = getattr(held, name)
        if told.number or name == "proposed":
            share = round(100 * told.cost / amount)
            found.append(
                {
                    "name": name,
                    "text": text,
                    "tone": tone,
                    "number": told.number,
                    "cost": told.cost,
                    "share": share,
                    "drawn": min(share, 100),
                }
            )
    return found


def history(api: Api, campaign: str) -> list[Json]:
    """Return the public lines of a campaign's history, the first one first."""
    lines: list[Json] = api.budget("campaigns", campaign, "history")["items"]
    return lines


def moves(lines: Sequence[Json]) -> list[Json]:
    """Return the lines that say that a phase was prolonged, or left before its announced end."""
    return [
        line
        for line in lines
        if line["kind"] == "calendar" or (line["kind"] == "phase" and line["detail"].get("early"))
    ]


def forums(api: Api, campaign: str) -> list[Json]:
    """Return a campaign's assemblies with how many came, the first held first."""
    found: list[Json] = api.budget("campaigns", campaign, "forums")["items"]
    return [{**one, "people": one["women"] + one["men"]} for one in found]


@router.get("/budget/{campaign}/calendrier")
def calendar(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show a campaign's dates, and everything that was done to it, by whom and why."""
    found = base.told(api.campaign(campaign), gettext(request))
    lines = history(api, campaign)
    return render(
        request,
        "budget/calendar.html",
        commune=places.commune(found["commune"]),
        nav="budget",
        campaign=found,
        lines=lines[::-1],
        prolonged={line["detail"]["phase"] for line in lines if line["kind"] == "calendar"},
    )


@router.get("/budget/{campaign}/assemblees")
def assemblies(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List the assemblies held for a campaign, with how many women, men and young people came."""
    found = api.campaign(campaign)
    names = base.place_names(places, found["commune"])
    held = forums(api, campaign)
    return render(
        request,
        "budget/assemblies.html",
        commune=places.commune(found["commune"]),
        nav="budget",
        campaign=found,
        forums=[{**one, "where": _where(one, names)} for one in held],
        totals={
            name: sum(one[name] for one in held) for name in ("women", "men", "youth", "people")
        },
    )


def _where(forum: Json, names: Mapping[str, str]) -> str:
    words = (forum["place"], names.get(forum["arrondissement"] or "", ""))
    return ", ".join(word for word in words if word)
