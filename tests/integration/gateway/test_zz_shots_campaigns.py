"""Temporary: pictures."""
from pathlib import Path
from datetime import UTC, datetime, timedelta
import httpx2 as httpx
from playwright.sync_api import expect
from tests.apps import AGENT
from tests.e2e.browsing import chromium as launch, overflow
from tests.integration.gateway.desk_front import desk_front, COTONOU, HERE
from gateway.session import ACCESS
import pytest
pytestmark = pytest.mark.integration
OUT = Path("/tmp/pal/shots-campaigns")

def test_shots(fresh_database, gateway_settings, tokens, tmp_path_factory, chromium):
    OUT.mkdir(exist_ok=True)
    for f in OUT.glob("*"): f.unlink()
    with desk_front(fresh_database, gateway_settings, tokens, tmp_path_factory.mktemp("m")) as front, launch(chromium) as browser:
        bearer = tokens.bearer({COTONOU: (*AGENT, "works.manage", "works.spend")})
        ctx = browser.new_context(base_url=front.url, locale="fr-BJ")
        ctx.add_cookies([{"name": ACCESS, "value": bearer["Authorization"].split()[1], "url": front.url}])
        page = ctx.new_page()
        page.on("console", lambda m: print("CONSOLE", m.type, m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: print("ERR", e))
        def shoot(name):
            for size, w in (("1280", 1280), ("360", 360)):
                page.set_viewport_size({"width": w, "height": 900})
                page.wait_for_load_state("networkidle")
                page.screenshot(path=OUT / f"{name}-{size}.png", full_page=True, animations="disabled")
            o = overflow(page)
            if o: print("WIDE", name, o)
            page.set_viewport_size({"width": 1280, "height": 900})
        desk = f"/mairie/{COTONOU}"
        page.goto(f"{desk}/budget/nouvelle")
        shoot("01-new")
        page.get_by_label("Montant").fill("25 000 000")
        page.locator("label").filter(has_text="Commune et arrondissements").click()
        page.get_by_role("button", name="Partager entre").click()
        shoot("02-new-rows")
        page.get_by_label("Présentation").fill("L'argent de la commune, choisi par ses habitants.")
        page.get_by_role("button", name="Créer la campagne").click()
        expect(page.get_by_text("Étape suivante")).to_be_visible()
        shoot("03-campaign")
        cid = page.url.rpartition("/")[2]
        page.goto(f"{desk}/budget/{cid}/modifier"); shoot("04-edit")
        page.goto(f"{desk}/budget/{cid}/cloner"); shoot("05-clone")
        page.goto(f"{desk}/budget/{cid}/etape?phase=ideas"); shoot("06-confirm")
        page.get_by_role("button", name="Oui, ouvrir").click()
        page.goto(f"{desk}/budget/{cid}/assemblees")
        page.get_by_label("Nom de l'assemblée").fill("Forum du 12e arrondissement")
        page.get_by_label("Tenue le").fill(datetime.now(UTC).date().isoformat())
        page.get_by_label("Femmes").fill("57"); page.get_by_label("Hommes").fill("49"); page.get_by_label("Dont jeunes").fill("38")
        page.get_by_role("button", name="Enregistrer l'assemblée").click()
        shoot("07-forums")
        page.goto(f"{desk}/budget/{cid}/saisie"); shoot("08-paper")
        for n in range(6):
            if n == 1: page.locator("#f-forum").select_option(index=1)
            page.get_by_label("Titre du projet").fill(f"Six lampadaires au marché, carrefour {n}")
            page.get_by_label("Le projet", exact=True).fill("La nuit on n'y voit rien.")
            page.get_by_label("Coût estimé").fill("350 000")
            page.locator("#f-arrondissement").select_option(index=2 + n % 3)
            page.get_by_role("button", name="Enregistrer et saisir").click()
            page.wait_for_url("**fait=*")
        shoot("09-paper-next")
        page.goto(f"{desk}/budget/{cid}"); shoot("10-ideas")
        page.goto(f"{desk}/budget/{cid}/etape?phase=review"); shoot("11-confirm-early")
        page.get_by_label("Raison").fill("Tous les quartiers ont déposé.")
        page.get_by_role("button", name="Oui, ouvrir").click()
        api = httpx.Client(base_url=front.url + "/api/v1", headers=bearer)
        for i, f in enumerate(api.get("/proposals", params={"campaign": cid}).json()["features"]):
            r = api.post(f"/proposals/{f['properties']['ref']}/review", json={"outcome": "feasible", "cost": 300000 + 90000 * i, "reason": "Faisable."}) if i < 5 else None
            if r is not None: assert r.is_success, r.text
        page.goto(f"{desk}/budget/{cid}/calendrier"); shoot("12-calendar")
        page.get_by_label("Étape").select_option("vote") if False else None
        page.get_by_label("Nouvelle fin").fill((datetime.now(UTC).date() + timedelta(days=60)).isoformat())
        page.get_by_label("Raison").fill("Les services demandent une semaine de plus.")
        page.get_by_role("button", name="Voir ce qui bouge").click()
        shoot("13-moves")
        page.get_by_role("button", name="Oui, prolonger").click()
        shoot("14-review")
        page.goto(f"{desk}/budget/{cid}/etape?phase=vote"); shoot("15-freeze")
        page.goto(f"{desk}/couts"); shoot("16-costs")
        page.goto(f"{desk}/couts?modifier=forage"); shoot("17-costs-edit")
        page.goto(f"{desk}/budget"); shoot("18-campaigns")
        page.goto(f"{desk}/budget/{cid}/modifier"); shoot("19-edit-later")
        page.goto(f"{desk}/budget/nouvelle?x")
        page.get_by_label("Montant").fill("1 000")
        page.locator("label").filter(has_text="Par thème").click()
        page.locator("[name=envelope_amount_1]").fill("9 000")
        page.get_by_label("Nom de la campagne").fill("X")
        page.locator("[name=author_person]").uncheck(); page.locator("[name=author_group]").uncheck(); page.locator("[name=author_association]").uncheck()
        page.get_by_role("button", name="Créer la campagne").click()
        shoot("20-wrong")
