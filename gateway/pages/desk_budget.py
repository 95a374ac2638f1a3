"""The town hall's desk: its campaigns, and where each of them stands."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway.clients import Api
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import CampaignId, Json
from gateway.pages.voting import election_of
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, require
from gateway.web import gettext, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

MANAGE = "campaigns.manage"
REVIEW = "proposals.review"

#: What an agent should know before opening a phase.
WARNINGS: Mapping[str, str] = {
    "ideas": N_("Les habitants pourront proposer des projets dès maintenant."),
    "review": N_("Plus aucun projet ne pourra être proposé."),
    "revision": N_("Les études sont finies ; les projets sont corrigés."),
    "vote": N_("La liste des projets et leurs coûts seront figés : plus rien ne pourra changer."),
    "works": N_("Les projets financés passeront en travaux."),
    "closed": N_("La campagne sera terminée et ne pourra plus être rouverte."),
}
BEFORE_VOTE = ("ideas", "review", "revision")
#: Statuses of works that keep a campaign open.
UNFINISHED = ("planned", "tendering", "under_way", "suspended")
#: Lines of the history that are shown at once.
RECENT = 5
#: The work of a campaign under its page, or under the commune's desk: where, the icon, the words,
#: and the permission that it takes.
DUTIES: Sequence[tuple[str, str, str, str]] = (
    ("etudes?campagne={campaign}", "scale", N_("Études à faire"), REVIEW),
    ("fusions?campagne={campaign}", "git-merge", N_("Projets à réunir"), MANAGE),
    ("moderation", "shield", N_("Textes signalés"), MANAGE),
    ("budget/{campaign}/saisie", "file", N_("Saisir des projets sur papier"), MANAGE),
    ("budget/{campaign}/assemblees", "users", N_("Assemblées"), MANAGE),
    ("budget/{campaign}/calendrier", "calendar-clock", N_("Prolonger une étape"), MANAGE),
    ("travaux?campaign={campaign}", "hammer", N_("Travaux et dépenses"), "works.manage"),
    ("couts", "receipt", N_("Coûts unitaires"), MANAGE),
    ("budget/{campaign}/cloner", "copy", N_("Reprendre pour une autre année"), MANAGE),
)
#: What is given away of a campaign.
EXPORTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "proposals": (N_("Projets"), ("csv", "geojson")),
    "revisions": (N_("Versions des textes"), ("csv",)),
    "works": (N_("Travaux"), ("csv", "geojson")),
    "ledger": (N_("Dépenses"), ("csv",)),
}


def own(api: Api, code: str, campaign: str) -> Json:
    """Return a campaign of the commune; another's is not found at this desk."""
    found = api.campaign(campaign)
    if found["commune"] != code:
        raise NotFound
    return found


def page(
    request: Request,
    geography: Places,
    code: str,
    template: str,
    /,
    *,
    bad: bool = False,
    **more: object,
) -> Response:
    """Return a page of the desk's budget part; 422 where its form is wrong."""
    return render(
        request,
        template,
        status=422 if bad else 200,
        commune=geography.commune(code),
        nav="desk",
        tab="budget",
        **more,
    )


@router.get("/budget")
def campaigns(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List the commune's campaigns, the one that asks something now first."""
    places.commune(code)
    require(request, MANAGE, code)
    _ = gettext(request)
    found = api.campaigns(commune=code)
    first = base.foremost(found)
    found.sort(key=lambda one: one is not first)
    told = [base.told(one, _) for one in found]
    return page(request, places, code, "desk/campaigns.html", campaigns=told)


@router.get("/budget/{campaign}")
def campaign(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show a campaign to those who run it: next step, envelopes, proposals, all that was done."""
    require(request, MANAGE, code)
    _ = gettext(request)
    found = base.told(own(api, code, campaign), _)
    answer = api.proposals(campaign=campaign, limit=base.PAGE, cursor=cursor)
    lines = api.budget("campaigns", campaign, "history")["items"][::-1]
    planned = [step["phase"] for step in found["phases"]]
    path = f"/mairie/{code}/budget/{campaign}"
    voting = found["phase"] == "vote"
    return page(
        request,
        places,
        code,
        "desk/campaign.html",
        campaign=found,
        steps=sorted(found["allowed"], key=lambda one: one not in planned),
        warnings=WARNINGS,
        counts=[(s, n) for s, n in found["counts"].items() if n or s == "submitted"],
        envelopes=shortlist(api, campaign),
        proposals=base.proposals_of(answer, base.place_names(places, code)),
        lines=lines[:RECENT],
        older=lines[RECENT:],
        works=_unfinished(api, found),
        election=election_of(api, campaign) if voting else None,
        waiting=_("Le vote s'ouvre ou les résultats arrivent : rechargez dans un instant.")
        if voting
        else _("Plus rien à ouvrir : la campagne est terminée."),
        before_vote=found["phase"] in BEFORE_VOTE,
        duties=_duties(request, code, campaign),
        exports=EXPORTS,
        base=path,
        following=base.following(path, {}, answer),
        later=cursor is not None,
    )


def shortlist(api: Api, campaign: str) -> Sequence[Json]:
    """Return the envelopes, each with its shortlisted proposals, numbered as the ballot does.

    The service numbers envelope by envelope, in the order in which it lists them.
    """
    found: list[Json] = api.budget("campaigns", campaign, "shortlist")["envelopes"]
    number = 0
    for envelope in found:
        for proposal in envelope["proposals"]:
            number += 1
            proposal["number"] = proposal["number"] or number
        envelope["left"] = envelope["amount"] - envelope["total"]
    return found


def _duties(request: Request, code: str, campaign: str) -> list[Json]:
    """Return the links to what this agent may do around a campaign."""
    _ = gettext(request)
    who = require(request, MANAGE, code)
    return [
        {"href": f"/mairie/{code}/{path.format(campaign=campaign)}", "icon": icon, "text": _(text)}
        for path, icon, text, permission in DUTIES
        if who.can(permission, code)
    ]


def _unfinished(api: Api, campaign: Json) -> list[str]:
    """Return refs of the works that keep a campaign from its end."""
    if campaign["phase"] != "works" or "closed" in campaign["allowed"]:
        return []
    works = api.budget("works", campaign=campaign["id"], limit=200)["features"]
    return [w["properties"]["ref"] for w in works if w["properties"]["status"] in UNFINISHED]
