"""The page of a commune: its map, its figures, its news."""

from fastapi import APIRouter, Request, Response

from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.places import PlacesDep
from gateway.projections import queries
from gateway.session import ApiDep
from gateway.web import gettext, render
from services.common.db import SessionDep

router = APIRouter(include_in_schema=False)
LATEST = 4


@router.get("/communes/{code}")
def commune(
    code: str, request: Request, places: PlacesDep, api: ApiDep, session: SessionDep
) -> Response:
    """Show the map, the campaign under way and the latest reports."""
    found = places.commune(code)
    names = base.place_names(places, code)
    counts = queries.report_counts(session, code)
    campaigns = queries.campaigns(session, code)
    shown = base.foremost(campaigns)
    proposed = sum(sum(queries.proposal_counts(session, c["id"]).values()) for c in campaigns)
    return render(
        request,
        "commune.html",
        commune=found,
        nav="map",
        map=commune_map_parts(request, code),
        places=names,
        figures={
            "reports": sum(counts.values()),
            "open": sum(counts.get(s, 0) for s in base.OPEN),
            "resolved": counts.get("resolved", 0),
            "proposals": proposed,
        },
        campaign=base.told(shown, gettext(request)) if shown else None,
        reports=base.reports_of(api.reports(commune=code, limit=LATEST), names),
    )
