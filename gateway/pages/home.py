"""The pages that belong to no commune: the choice of one, the words about us, the language."""

from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import i18n
from gateway.layers import country_map_parts
from gateway.places import PlacesDep
from gateway.web import redirect, render
from services.common.problems import NotFound

router = APIRouter(include_in_schema=False)
YEAR = 365 * 24 * 3600


@router.get("/")
def home(
    request: Request, places: PlacesDep, q: Annotated[str, Query(max_length=60)] = ""
) -> Response:
    """Choose a commune: by name, in the list, on the map."""
    query = q.strip()
    found = places.search(query) if query else []
    if len(found) == 1:
        return redirect(f"/communes/{found[0].code}")
    communes = sorted(places.communes(), key=lambda c: (c.department, c.name))
    return render(
        request,
        "home.html",
        query=query,
        found=found,
        names=sorted(c.name for c in communes),
        departments=[(name, list(m)) for name, m in groupby(communes, lambda c: c.department)],
        map=country_map_parts(request),
        places={c.code: c.name for c in communes},
    )


@router.get("/a-propos")
def about(request: Request) -> Response:
    """Say who we are, what is kept, and where the maps come from."""
    return render(request, "about.html")


@router.get("/accessibilite")
def accessibility(request: Request) -> Response:
    """Say who can use the pages, and what is missing."""
    return render(request, "accessibility.html")


@router.get("/langue/{code}")
def language(
    code: str, request: Request, retour: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    """Keep the chosen language in a cookie and go back."""
    if code not in i18n.LANGUAGES:
        raise NotFound
    answer = redirect(retour)
    answer.set_cookie(
        i18n.COOKIE,
        code,
        max_age=YEAR,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer
