"""The catalogue of what is voted on, for the screen and for paper."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from gateway import i18n, printing
from gateway.caching import not_modified
from gateway.clients import Api
from gateway.pages import base
from gateway.pages.base import CampaignId, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep
from gateway.web import render, templates

router = APIRouter(include_in_schema=False)

#: Letters of a project's own words that fit under its title.
SHORT = 240
#: Phases whose ballot has its numbers.
FROZEN = ("vote", "results", "works", "closed")
PRESS = printing.Press()


@router.get("/budget/{campaign}/catalogue")
def catalogue(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show what is voted on, by envelope, with number, cost and place."""
    told = contents(api, campaign, places)
    return render(request, "budget/catalogue.html", nav="budget", **told)


@router.get("/budget/{campaign}/catalogue.pdf")
def printed(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Give the catalogue as PDF, for those who vote on paper or by USSD; ask again with its ETag.

    Another answer than the page's is only what changed: the same one is rendered once.
    """
    told = contents(api, campaign, places)
    locale = i18n.choose(request)
    page = templates(locale).get_template("budget/catalogue_pdf.html")
    html = page.render(drawn=printing.drawn, **told)
    headers = {"ETag": f'"{printing.version(html)}"', "Cache-Control": "no-cache"}
    headers["Vary"] = "Accept-Language, Cookie"
    unchanged = not_modified(request, headers)
    if unchanged:
        return unchanged
    made = PRESS.pdf((campaign, locale), html)
    name = f"catalogue-{told['commune'].code}-{campaign[:8]}-{locale}.pdf"
    headers["Content-Disposition"] = f'inline; filename="{name}"'
    return Response(made, headers=headers, media_type="application/pdf")


def contents(api: Api, campaign: str, places: Places) -> dict[str, Any]:
    """Return what both catalogues say: the campaign and its shortlist, each project in short."""
    found = api.campaign(campaign)
    names = base.place_names(places, found["commune"])
    words = _words(api, campaign)
    envelopes = [
        {
            **one,
            "place": names.get(one["arrondissement"] or "", ""),
            "projects": [_project(project, names, words) for project in one["proposals"]],
        }
        for one in api.budget("campaigns", campaign, "shortlist")["envelopes"]
    ]
    vote = next((step for step in found["phases"] if step["phase"] == "vote"), None)
    return {
        "campaign": found,
        "commune": places.commune(found["commune"]),
        "envelopes": [one for one in envelopes if one["projects"]],
        "count": sum(len(one["projects"]) for one in envelopes),
        "vote": vote,
        "numbered": found["phase"] in FROZEN,
        "over": found["phase"] in FROZEN[1:],
    }


def _project(project: Json, names: Mapping[str, str], words: Mapping[str, str]) -> Json:
    return {
        **project,
        "place": names.get(project["arrondissement"] or "", ""),
        "text": words.get(project["ref"], ""),
    }


def _words(api: Api, campaign: str) -> dict[str, str]:
    """Return what each proposal of a campaign is for, in its authors' words, cut short."""
    # The shortlist has no texts; the public file has them all at once.
    features = api.budget("campaigns", campaign, "export", "proposals.geojson")["features"]
    return {
        one["properties"]["ref"]: shortened(
            one["properties"]["need"] or one["properties"]["description"]
        )
        for one in features
    }


def shortened(text: str, most: int = SHORT) -> str:
    """Return a text on one line, its end cut off between words where it is too long."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    return line[: most - 1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"
