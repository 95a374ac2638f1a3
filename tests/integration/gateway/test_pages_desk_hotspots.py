"""From a hotspot to a draft in one click, once; then finished, submitted, and read by anybody."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from shapely.geometry import Polygon, box, mapping

from gateway import labels
from gateway.pages.desk_hotspots import THEME, centre, title
from gateway.settings import Settings
from tests.apps import AGENT, Tokens
from tests.integration.gateway.desk_front import COTONOU, DESK, HERE, SAVE, Front, desk_front, plain
from tests.servers import Database

pytestmark = pytest.mark.integration

PAGE = f"{DESK}/points-chauds"


@pytest.fixture(scope="module")
def served(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with desk_front(fresh_database, gateway_settings, tokens, media) as running:
        yield running


@pytest.fixture
def front(served: Front) -> Front:
    """Eight drains flood at one place; a few other problems are elsewhere."""
    served.clear()
    served.gather(8)
    for n in range(6):
        served.report("waste", lon=2.37 + n / 70, lat=6.372)
    served.detect()
    served.tell()
    return served


def hotspot(front: Front) -> dict[str, Any]:
    (found,) = front.rows("reports", "SELECT * FROM hotspots WHERE ended_at IS NULL")
    return found


def drafts(front: Front) -> list[dict[str, Any]]:
    return front.rows("proposals", "SELECT * FROM proposals ORDER BY created_at")


def prepare(front: Front, page: str | httpx.Response = PAGE, **fields: str) -> httpx.Response:
    return front.agent().fill(page, "/projet", **fields)


def draft(front: Front, phase: str = "ideas") -> str:
    """Draft from the hotspot; return the draft's ref."""
    front.campaign(phase)
    answer = prepare(front)
    assert answer.status_code == 303
    found = re.fullmatch(r"/propositions/(P-\w+)/modifier\?nouveau=1", answer.headers["location"])
    assert found
    return found[1]


# The list


def test_the_list_is_the_mairies_own(front: Front) -> None:
    assert front.visitor().get(PAGE).status_code == 403
    assert front.agent(commune=SAVE).get(PAGE).status_code == 403


def test_hotspots_are_told_with_their_reports(front: Front) -> None:
    answer = front.agent().get(PAGE)
    said = plain(answer)
    assert "1 point chaud" in said
    assert "Caniveau, inondation : 8 signalements dans le 12e arrondissement" in said
    assert "Émergent" in said
    assert f"{DESK}?status=all&amp;category=drainage&amp;arrondissement=0801-03" in answer.text
    refs = [r["ref"] for r in front.rows("reports", "SELECT ref, category FROM reports")]
    linked = [ref for ref in refs if f'href="{DESK}/signalements/{ref}"' in answer.text]
    assert len(linked) == 8


def test_other_categories_and_periods(front: Front) -> None:
    agent = front.agent()
    assert "Pas de point chaud" in plain(agent.get(f"{PAGE}?category=water"))
    year = agent.get(f"{PAGE}?days=365")
    assert "1 point chaud" in plain(year)
    # Only hotspots that are followed can lead to a project.
    assert "/projet" not in year.text
    assert "90 derniers jours" in plain(year)
    for query in ("days=7", "days=x", "category=dragons", "days=²", "category=%00"):
        assert agent.get(f"{PAGE}?{query}").status_code == 200


# One click


def test_one_click_drafts_a_project_with_its_reports(front: Front) -> None:
    ref = draft(front, "preparation")
    (made,) = drafts(front)
    spot = hotspot(front)
    assert (made["ref"], made["status"]) == (ref, "draft")
    assert made["title"] == "Caniveau, inondation\u00a0: point chaud dans le 12e arrondissement"
    assert made["description"].startswith("Caniveau, inondation\u00a0: 8 signalements")
    assert (made["theme"], made["arrondissement"]) == ("drainage", "0801-03")
    assert made["hotspot"] == spot["ref"]
    assert spot["proposal_ref"] == ref
    ids = front.rows("reports", "SELECT id FROM reports WHERE category = 'drainage'")
    assert sorted(made["reports"]) == sorted(row["id"] for row in ids)
    sql = "SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat FROM proposals"
    (at,) = front.rows("proposals", sql)
    assert abs(at["lon"] - HERE[0]) < 0.005
    assert abs(at["lat"] - HERE[1]) < 0.005
    front.detect()
    answer = front.agent().get(PAGE)
    assert f'href="/propositions/{ref}"' in answer.text
    assert "/projet" not in answer.text


def test_the_same_click_twice_drafts_once(front: Front) -> None:
    front.campaign("ideas")
    agent = front.agent()
    page = agent.get(PAGE)
    first, again = (agent.fill(page, "/projet") for _ in range(2))
    (made,) = drafts(front)
    assert first.headers["location"] == f"/propositions/{made['ref']}/modifier?nouveau=1"
    assert again.headers["location"] == f"/propositions/{made['ref']}"


def test_a_click_cut_short_goes_on_where_it_was(front: Front) -> None:
    front.campaign("ideas")
    agent = front.agent()
    page = agent.get(PAGE)
    agent.fill(page, "/projet")
    # As if the answer of the first write had been the last thing that happened.
    front.execute("reports", "UPDATE hotspots SET proposal_ref = NULL")
    front.execute("reports", "TRUNCATE idempotency_keys")
    again = agent.fill(page, "/projet")
    (made,) = drafts(front)
    assert again.headers["location"] == f"/propositions/{made['ref']}/modifier?nouveau=1"
    assert hotspot(front)["proposal_ref"] == made["ref"]


def test_a_colleague_who_was_faster_is_followed(front: Front) -> None:
    front.campaign("ideas")
    first, second = front.agent(), front.agent()
    pages = [first.get(PAGE), second.get(PAGE)]
    first.fill(pages[0], "/projet")
    late = second.fill(pages[1], "/projet")
    (made,) = drafts(front)
    assert late.headers["location"] == f"/propositions/{made['ref']}"


def test_several_campaigns_are_a_question(front: Front) -> None:
    ideas, coming = front.campaign("ideas", "Budget 2027"), front.campaign("preparation", "2028")
    agent = front.agent()
    asked = agent.fill(PAGE, "/projet")
    assert asked.status_code == 200
    assert "Pour quelle campagne ?" in plain(asked)
    assert ideas in asked.text
    assert coming in asked.text
    assert drafts(front) == []
    assert agent.fill(asked, "/projet", campaign=coming).status_code == 303
    (made,) = drafts(front)
    assert str(made["campaign_id"]) == coming


@pytest.mark.parametrize("campaign", ["", "x", "00000000-0000-0000-0000-000000000000", "\0"])
def test_a_campaign_that_was_not_offered_is_asked_again(front: Front, campaign: str) -> None:
    front.campaign("ideas")
    front.campaign("preparation", "2028")
    assert "Pour quelle campagne ?" in plain(prepare(front, campaign=campaign))
    assert drafts(front) == []


def test_without_a_campaign_nothing_is_lost(front: Front) -> None:
    front.campaign("review")  # too late for projects
    answer = prepare(front)
    assert answer.status_code == 200
    assert "Aucune campagne ne prend de projets" in plain(answer)
    assert f'href="{DESK}/budget/nouvelle"' in answer.text
    assert drafts(front) == []
    assert hotspot(front)["proposal_ref"] is None


def test_a_hotspot_elsewhere_is_not_there(front: Front) -> None:
    front.campaign("ideas", commune=SAVE)
    neighbour = front.agent(commune=SAVE)
    page = neighbour.get(f"/mairie/{SAVE}/points-chauds")
    token = re.search(r'name="csrf_token" value="([^"]+)"', front.agent().get(PAGE).text)
    assert token
    ref = hotspot(front)["ref"]
    assert "/projet" not in page.text
    for path in (f"/mairie/{SAVE}/points-chauds/{ref}/projet", f"{PAGE}/{ref}/projet"):
        assert neighbour.post(path, data={"csrf_token": token[1]}).status_code == 403
    both = front.visitor({COTONOU: AGENT, SAVE: AGENT})
    page = both.get(PAGE)
    forged = page.text.replace(f'action="{PAGE}/', f'action="/mairie/{SAVE}/points-chauds/')
    assert both.fill(httpx.Response(200, text=forged), "/projet").status_code == 404
    assert drafts(front) == []


def test_every_category_has_its_theme() -> None:
    assert set(THEME) == set(labels.CATEGORIES)
    assert set(THEME.values()) <= set(labels.THEMES)


def test_titles_are_french_and_short() -> None:
    names = {"0405-01": "Adido", "0801-03": "12e arrondissement"}
    for category in labels.CATEGORIES:
        for part, where in (("0405-01", "à Adido"), ("0801-03", "dans le 12e arrondissement")):
            told = title({"category": category, "arrondissement": part}, names, "Savè")
            assert told.endswith(f"\u00a0: point chaud {where}")
            assert len(told) <= 120
    assert title({"category": "waste", "arrondissement": None}, {}, "Savè").endswith("à Savè")


def test_the_middle_of_a_hotspot_is_inside_the_commune() -> None:
    commune = box(0, 0, 1, 1)
    assert centre(mapping(box(0.2, 0.2, 0.4, 0.4)), commune) == (0.3, 0.3)
    across = centre(mapping(box(-1, 0.2, 0.2, 0.4)), commune)
    assert commune.contains(Polygon.from_bounds(*across, *across).centroid)
    bent = Polygon([(0, 0), (1, 0), (1, 1), (0.9, 1), (0.9, 0.1), (0, 0.1)])
    lon, lat = centre(mapping(bent), commune)
    assert bent.contains(box(lon, lat, lon + 1e-9, lat + 1e-9).centroid)


# The draft


def test_a_draft_is_its_authors_and_the_mairies(front: Front) -> None:
    ref = draft(front)
    for path in (f"/propositions/{ref}", f"/propositions/{ref}/modifier"):
        assert front.visitor().get(path).status_code == 404
        assert front.agent(commune=SAVE).get(path).status_code == 404
        assert front.agent().get(path).status_code == 200
    nobody = httpx.get(f"{front.url}/propositions/{ref}", headers={"Accept": "text/html"})
    assert nobody.status_code == 404
    said = plain(front.agent().get(f"/propositions/{ref}"))
    assert "C'est un brouillon" in said
    assert "Je soutiens" not in said
    assert "Ce projet répond à 8 signalements" in said


def test_the_campaign_lists_drafts_to_those_who_may_finish_them(front: Front) -> None:
    ref = draft(front)
    campaign = f"/budget/{drafts(front)[0]['campaign_id']}"
    assert ref in front.agent().get(campaign).text
    assert ref not in front.visitor().get(campaign).text
    assert ref not in httpx.get(f"{front.url}{campaign}").text


def fields(front: Front, ref: str, **changed: Any) -> dict[str, Any]:
    """Return the draft's form as it stands, with changes."""
    (found,) = (one for one in drafts(front) if one["ref"] == ref)
    linked = [str(one) for one in found["reports"]]
    return {
        "title": found["title"],
        "description": found["description"],
        "estimated_cost": str(found["estimated_cost"] or ""),
        "theme": found["theme"],
        "reports": linked,
        "area": "",
        "do": "save",
    } | changed


def test_a_draft_is_changed_by_its_form(front: Front) -> None:
    ref = draft(front)
    agent = front.agent()
    path = f"/propositions/{ref}/modifier"
    page = agent.get(path)
    assert page.text.count('name="reports"') == 8
    assert "Tas d'ordures au carrefour" in plain(page)  # what the reports say
    before = drafts(front)[0]
    kept = [str(one) for one in before["reports"][:-1]]
    answer = agent.fill(
        page,
        "/modifier",
        **fields(
            front, ref, title="Un dalot", estimated_cost="6 500 000", theme="roads", reports=kept
        ),
    )
    assert answer.headers["location"] == f"/propositions/{ref}"
    after = drafts(front)[0]
    assert (after["title"], after["estimated_cost"]) == ("Un dalot", 6_500_000)
    assert (after["theme"], after["status"]) == ("roads", "draft")
    assert [str(one) for one in after["reports"]] == kept
    sql = "SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat, arrondissement FROM proposals"
    place = front.rows("proposals", sql)
    # Emptied, the cost is not known again; another arrondissement moves the project.
    agent.fill(path, "/modifier", **fields(front, ref, estimated_cost="", area="0801-04"))
    assert drafts(front)[0]["estimated_cost"] is None
    moved = front.rows("proposals", sql)
    assert moved != place
    assert moved[0]["arrondissement"] == "0801-04"


def test_reports_that_the_form_could_not_show_stay_linked(front: Front) -> None:
    ref = draft(front)
    linked = [str(one) for one in drafts(front)[0]["reports"]]
    front.execute("gateway", "UPDATE map_reports SET visible = false WHERE id = :id", id=linked[0])
    agent = front.agent()
    page = agent.get(f"/propositions/{ref}/modifier")
    assert linked[0] not in page.text
    agent.fill(page, "/modifier", **fields(front, ref, reports=[linked[1]]))
    assert sorted(str(one) for one in drafts(front)[0]["reports"]) == sorted(linked[:2])


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"estimated_cost": "beaucoup"}, "estimated_cost"),
        ({"estimated_cost": "900 000 000"}, "estimated_cost"),
        ({"description": "x" * 4001}, "description"),
    ],
)
def test_a_wrong_draft_is_marked_and_kept(front: Front, changed: dict[str, str], at: str) -> None:
    ref = draft(front)
    before = drafts(front)
    sent = fields(front, ref, landmark="", **changed)
    answer = front.agent().fill(f"/propositions/{ref}/modifier", "/modifier", **sent)
    assert answer.status_code == 422
    assert f'id="e-{at}"' in answer.text
    assert drafts(front) == before


def test_what_a_draft_lacks_is_asked_for(front: Front) -> None:
    ref = draft(front)
    answer = front.agent().fill(f"/propositions/{ref}", "/depot")
    assert answer.status_code == 422
    assert "Le brouillon est gardé, mais pas encore déposé" in plain(answer)
    assert 'id="e-estimated_cost"' in answer.text
    assert 'id="e-description"' not in answer.text
    assert drafts(front)[0]["status"] == "draft"


def test_a_submitted_draft_is_everybodys_with_its_reports(front: Front) -> None:
    ref = draft(front)
    agent = front.agent()
    page = agent.get(f"/propositions/{ref}/modifier")
    sent = fields(front, ref, estimated_cost="6500000", do="submit")
    answer = agent.fill(page, "/modifier", **sent)
    assert answer.headers["location"] == f"/propositions/{ref}?merci=1"
    # The same form again finds it done.
    assert agent.fill(page, "/modifier", **sent).headers["location"] == f"/propositions/{ref}"
    refs = front.rows("reports", "SELECT ref FROM reports WHERE category = 'drainage'")
    front.execute(
        "reports", "UPDATE reports SET hidden_at = now() WHERE ref = :r", r=refs[0]["ref"]
    )
    front.execute(
        "gateway", "UPDATE map_reports SET visible = false WHERE ref = :r", r=refs[0]["ref"]
    )
    public = httpx.get(f"{front.url}/propositions/{ref}", headers={"Accept": "text/html"})
    said = plain(public)
    assert "Ce projet répond à 7 signalements" in said
    assert "brouillon" not in said
    linked = {row["ref"] for row in refs if f'href="/signalements/{row["ref"]}"' in public.text}
    assert linked == {row["ref"] for row in refs[1:]}
    edit = agent.get(f"/propositions/{ref}/modifier")
    assert edit.headers["location"] == f"/propositions/{ref}"


def test_before_the_ideas_a_draft_waits(front: Front) -> None:
    ref = draft(front, "preparation")
    agent = front.agent()
    page = agent.get(f"/propositions/{ref}")
    assert "/depot" not in page.text
    assert "quand la campagne sera à l'étape des idées" in plain(page)
    sent = fields(front, ref, estimated_cost="6500000", do="submit")
    answer = agent.fill(f"/propositions/{ref}/modifier", "/modifier", **sent)
    assert answer.status_code == 422
    assert "Le brouillon est gardé, mais pas encore déposé" in plain(answer)
    (kept,) = drafts(front)
    assert (kept["status"], kept["estimated_cost"]) == ("draft", 6_500_000)


def test_a_proposal_without_reports_says_nothing_of_them(front: Front) -> None:
    campaign = front.campaign("ideas")
    body = {
        "campaign": campaign, "title": "Six lampadaires", "description": "Pour y voir",
        "geometry": {"type": "Point", "coordinates": list(HERE)}, "estimated_cost": 1_000_000,
    }  # fmt: skip
    headers = front.tokens.bearer()
    made = httpx.post(f"{front.url}/api/v1/proposals", json=body, headers=headers).json()
    page = plain(front.visitor().get(f"/propositions/{made['ref']}"))
    assert "Ce projet répond" not in page
    assert "Je soutiens" in page
