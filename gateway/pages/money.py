"""Where a campaign's money stands: voted, committed, invoiced, paid, envelope by envelope."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response

from gateway.pages import base
from gateway.pages.base import CampaignId, Json
from gateway.places import PlacesDep
from gateway.session import ApiDep
from gateway.web import render

router = APIRouter(include_in_schema=False)

#: The sums of a work that a table adds up.
SUMS = ("voted", "committed", "invoiced", "paid", "balance")


@router.get("/budget/{campaign}/argent")
def money(campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show where a campaign's money stands, each work a line, each sum under what it adds up."""
    found = api.budget("campaigns", campaign, "money")
    names = base.place_names(places, found["commune"])
    return render(
        request,
        "budget/money.html",
        commune=places.commune(found["commune"]),
        nav="budget",
        places=names,
        campaign=campaign,
        money_of=found,
        envelopes=[envelope(one, names) for one in found["envelopes"]],
        stages=stages(found, found["budget"]),
    )


def envelope(one: Json, names: Mapping[str, str]) -> Json:
    """Return an envelope with its works as lines of a table, and whose it is."""
    return {
        **one,
        "place": names.get(one["arrondissement"] or "", ""),
        "lines": [line(work) for work in one["works"]],
    }


def line(work: Json) -> Json:
    """Return a work with its bar: how much of what was voted for it is paid, and committed."""
    voted = work["voted_cost"]
    return {**work, "voted": voted, **shares(work, voted)}


def shares(sums: Json, whole: int) -> Json:
    """Return how much of ``whole`` is paid and committed, in percent, and as far as it is drawn."""
    paid = round(100 * sums["paid"] / whole) if whole else 0
    committed = round(100 * sums["committed"] / whole) if whole else 0
    return {
        "paid_share": paid,
        "committed_share": committed,
        "drawn_paid": _drawn(paid),
        "drawn_committed": _drawn(max(paid, committed)),
    }


def _drawn(share: int) -> int:
    return max(0, min(share, 100))


def stages(sums: Json, budget: int) -> Sequence[Json]:
    """Return what was voted, committed, invoiced and paid of a budget, with shares of it."""
    found = []
    for name in SUMS[:4]:
        share = round(100 * sums[name] / budget) if budget else 0
        found.append({"name": name, "sum": sums[name], "share": share, "drawn": _drawn(share)})
    return found
