"""Every page of the demonstration: what it weighs, what it says to machines, what it looks like."""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from infra.demo.load import PLAN
from tests.e2e import checks
from tests.e2e.browsing import ARTEFACTS, DESK, PHONE, Visit, map_of, overflow, sign_in
from tests.e2e.running import Palabre

pytestmark = pytest.mark.e2e

#: Where the demonstration is loaded.
EMBEDDED = pytest.mark.parametrize("palabre", ["embedded"], indirect=True, scope="session")

COTONOU, PARAKOU, DOGBO = (plan.code for plan in PLAN)
AGENT = PLAN[0].agent_phone
IMAGES = Path(__file__).parents[2] / "docs/images"
FIRST_VIEW = 250_000  # bytes that a commune's page may cost the first time
README_BYTES = 200_000


BAD = """<html><body><main></main><main><h1>a</h1><h3>b</h3><img src="data:,">
<button></button><input name="x">
<p id="i" style="color:#999">pale</p><p id="i" aria-describedby="none">twice</p>
<button style="height:20px">small</button></main></body></html>"""


@pytest.fixture(scope="module")
def agent(palabre: Palabre, browser: Browser) -> Iterator[Page]:
    """An agent of Cotonou, who sees citizens' pages and the desk."""
    with Visit(browser, palabre) as page:
        sign_in(page, palabre, AGENT)
        yield page


def get(page: Page, path: str, **query: str) -> Any:
    """Return the JSON of our own API."""
    answer = page.request.get(f"/api/v1/{path}", params=query)
    assert answer.ok, f"{path}: {answer.status}"
    return answer.json()


def of_visitor(page: Page) -> dict[str, str]:
    """Name → path of the pages that anybody sees."""
    campaigns = {
        c["phase"]: c["id"]
        for code in (COTONOU, PARAKOU, DOGBO)
        for c in get(page, "campaigns", commune=code)["items"]
    }
    report = get(page, "reports", commune=COTONOU, status="resolved", limit="1")["features"][0]
    funded = get(page, "proposals", commune=COTONOU, status="funded", limit="1")["features"][0]
    idea = get(page, "proposals", campaign=campaigns["ideas"], sort="discussed")["features"][0]
    work = get(page, "works", campaign=campaigns["works"], status="under_way")["features"][0]
    (merge, *_) = get(page, "merges", campaign=campaigns["review"])["items"]
    return {
        "home": "/",
        "search": "/?q=a",
        "nothing-found": "/?q=zzz",
        "commune": f"/communes/{COTONOU}",
        "commune-rural": f"/communes/{DOGBO}",
        "commune-empty": "/communes/0102",
        "reports": f"/communes/{COTONOU}/signalements",
        "report": f"/signalements/{report['properties']['ref']}",
        "report-form": f"/communes/{COTONOU}/signalements/nouveau",
        "hotspots": f"/communes/{COTONOU}/points-chauds",
        "ogc": "/ogc?f=html",
        "ogc-reports": "/ogc/collections/signalements/items?f=html",
        "budget": f"/communes/{PARAKOU}/budget",
        "campaign-ideas": f"/budget/{campaigns['ideas']}",
        "campaign-review": f"/budget/{campaigns['review']}",
        "campaign-vote": f"/budget/{campaigns['vote']}",
        "campaign-works": f"/budget/{campaigns['works']}",
        "calendar": f"/budget/{campaigns['works']}/calendrier",
        "assemblies": f"/budget/{campaigns['works']}/assemblees",
        "catalogue": f"/budget/{campaigns['vote']}/catalogue",
        "works": f"/budget/{campaigns['works']}/travaux",
        "work": f"/travaux/{work['properties']['ref']}",
        "money": f"/budget/{campaigns['works']}/argent",
        "idea": f"/propositions/{idea['properties']['ref']}",
        "idea-talk": f"/propositions/{idea['properties']['ref']}/avis",
        "idea-versions": f"/propositions/{idea['properties']['ref']}/versions",
        "merge": f"/propositions/{merge['target']['ref']}/reunions/{merge['id']}",
        "results": f"/budget/{campaigns['works']}/resultats",
        "proposal": f"/propositions/{funded['properties']['ref']}",
        "sign-in": "/connexion",
        "about": "/a-propos",
        "accessibility": "/accessibilite",
        "english": f"/langue/en?retour=/communes/{COTONOU}",
    }


def of_agent(page: Page) -> dict[str, str]:
    """Name → path of the pages that ask who one is."""
    (vote,) = get(page, "campaigns", commune=COTONOU, phase="vote")["items"]
    (ideas,) = get(page, "campaigns", commune=PARAKOU, phase="ideas")["items"]
    report = get(page, "reports", commune=COTONOU, status="in_progress", limit="1")["features"][0]
    project = get(page, "proposals", commune=COTONOU, status="shortlisted", limit="1")
    ref = project["features"][0]["properties"]["ref"]
    work = get(page, "works", commune=COTONOU, status="under_way")["features"][0]["properties"]
    budget = f"/mairie/{COTONOU}/budget/{vote['id']}"
    desk = f"/mairie/{COTONOU}"
    return {
        "account": "/compte",
        "proposal-form": f"/budget/{ideas['id']}/proposer",
        "ballot": f"/budget/{vote['id']}/vote",
        "desk": desk,
        "desk-report": f"{desk}/signalements/{report['properties']['ref']}",
        "desk-overdue": f"{desk}?overdue=true&sort=due",
        "desk-hotspots": f"{desk}/points-chauds",
        "desk-stats": f"{desk}/tableau-de-bord",
        "desk-round": f"{desk}/tournee",
        "desk-settings": f"{desk}/reglages",
        "desk-routing": f"{desk}/reglages/aiguillage",
        "desk-targets": f"{desk}/reglages/delais",
        "desk-agents": f"{desk}/reglages/annuaire",
        "desk-budget": f"{desk}/budget",
        "desk-campaign": f"{desk}/budget/{vote['id']}",
        "desk-new-campaign": f"{desk}/budget/nouvelle",
        "desk-close": f"{desk}/budget/{vote['id']}/cloture",
        "desk-proposal": f"{desk}/propositions/{ref}",
        "desk-edit-campaign": f"{budget}/modifier",
        "desk-calendar": f"{budget}/calendrier",
        "desk-assemblies": f"{budget}/assemblees",
        "desk-paper-closed": f"{budget}/saisie",
        "desk-costs": f"{desk}/couts",
        "desk-reviews": f"{desk}/etudes",
        "desk-merges": f"{desk}/fusions",
        "desk-moderation": f"{desk}/moderation",
        "desk-works": f"{desk}/travaux",
        "desk-work": f"{desk}/travaux/{work['ref']}",
        "desk-finished": f"{desk}/travaux-finis",
        "my-projects": "/mes-projets",
    }


def look(page: Page, name: str) -> list[str]:
    """Keep pictures of the page at both widths; return what is wrong with it."""
    wrong: list[str] = []
    for width, view in (("1280", DESK), ("360", PHONE)):
        page.set_viewport_size(view)
        page.wait_for_load_state("networkidle")
        path = ARTEFACTS / f"pages/{name}-{width}.png"
        page.screenshot(path=path, full_page=True, animations="disabled")
        wrong += [f"{width} wide: {part}" for part in overflow(page)]
        wrong += [f"{width}: {fault}" for fault in checks.faults(page)]
    return [f"{name} {fault}" for fault in wrong]


def test_the_checks_see_what_is_wrong(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.set_content(BAD)
    found = " ".join(checks.faults(page))
    page.close()
    for fault in (
        *("no language", "no title", "2 main", "no alt", "no name", "no label", "ids twice: i"),
        *("aria-describedby of nothing", "h1 before h3", "small to touch", "contrast 2.8"),
    ):
        assert fault in found


@EMBEDDED
def test_the_demonstration_loads_in_time_and_once(palabre: Palabre) -> None:
    (line,) = palabre.lines("demonstration loaded in")
    seconds = float(line.rpartition(" in ")[2].removesuffix(" s"))
    print(line)
    assert seconds < 30
    assert "no demonstration is loaded" in palabre.command("demo", "load")


@EMBEDDED
def test_pages_of_visitors(palabre: Palabre, browser: Browser) -> None:
    with Visit(browser, palabre) as page:
        wrong = []
        for name, path in of_visitor(page).items():
            page.goto(path)
            wrong += look(page, name)
        assert page.locator("html").get_attribute("lang") == "en"
    assert wrong == []


@EMBEDDED
def test_pages_of_agents(palabre: Palabre, agent: Page) -> None:
    wrong = []
    for name, path in of_agent(agent).items():
        agent.goto(path)
        assert agent.url.endswith(path), f"{name} leads to {agent.url}"
        wrong += look(agent, name)
    assert wrong == []


@EMBEDDED
def test_what_is_not_there_says_so(palabre: Palabre, browser: Browser) -> None:
    visit = Visit(browser, palabre)
    with visit as page:
        wrong = []
        for path in ("/communes/9999", "/signalements/S-NOTHING", "/nowhere"):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 404
            wrong += look(page, f"missing{path.replace('/', '-')}")
            assert visit.faults == [f"404 {page.url}"]  # and nothing else
            visit.faults.clear()
    assert wrong == []


@EMBEDDED
def test_a_commune_s_page_is_light(palabre: Palabre, browser: Browser) -> None:
    """A first view on a phone, nothing cached, counted as it travels (compressed, with headers)."""
    with Visit(browser, palabre, viewport=PHONE, is_mobile=True, has_touch=True) as page:
        watch = page.context.new_cdp_session(page)
        watch.send("Network.enable")
        urls: dict[str, str] = {}
        weights: dict[str, int] = {}
        watch.on(
            "Network.responseReceived",
            lambda e: urls.update({e["requestId"]: e["response"]["url"]}),
        )
        watch.on(
            "Network.loadingFinished",
            lambda e: weights.update({e["requestId"]: int(e["encodedDataLength"])}),
        )
        page.goto(f"/communes/{COTONOU}")
        map_of(page)
        page.wait_for_load_state("networkidle")
        total = sum(weights.values())
        for request, size in sorted(weights.items(), key=lambda item: -item[1])[:8]:
            print(f"{size:8} {urls.get(request, '?').removeprefix(palabre.url)}")
        print(f"{total:8} bytes in {len(weights)} answers for the first view")
        assert len(weights) > 5
        assert total < FIRST_VIEW


@pytest.mark.skipif(
    os.environ.get("PALABRE_UPDATE_SCREENSHOTS") != "1", reason="PALABRE_UPDATE_SCREENSHOTS=1"
)
@EMBEDDED
def test_pictures_for_the_readme(palabre: Palabre, agent: Page) -> None:
    agent.set_viewport_size({"width": 1280, "height": 860})
    for name, path in (("commune", f"/communes/{COTONOU}"), ("desk", f"/mairie/{COTONOU}")):
        agent.goto(path)
        if name == "commune":
            expect(
                map_of(agent).get_by_role("button", name=re.compile("éléments")).first
            ).to_be_visible()
        agent.wait_for_load_state("networkidle")
        shot = Image.open(io.BytesIO(agent.screenshot(animations="disabled")))
        IMAGES.mkdir(parents=True, exist_ok=True)
        path = IMAGES / f"{name}.png"
        shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < README_BYTES
