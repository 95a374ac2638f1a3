"""The main job, from the first page to the funded project, as people do it in a browser."""

import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import (
    ARTEFACTS,
    DESK,
    PHONE,
    Visit,
    map_of,
    pick,
    press,
    shoot,
    sign_in,
    tick,
    touch_map,
    words,
)
from tests.e2e.running import Palabre, wait_for

pytestmark = pytest.mark.e2e

COMMUNE = "Abomey-Calavi"
CITIZEN, AGENT, SECOND, THIRD = (f"+22901970003{n}" for n in (11, 12, 13, 14))
NASTY = "Poteau tombé ${alert(1)} `rm -rf` <b>gras</b> <img src=x onerror=alert(2)> {{7*7}}"
REPLY = "Une équipe passe jeudi ${1+1} `merci` <i>vite</i>"
#: title, cost asked, cost reviewed; the budget is 5 000 000.
PROJECTS = (
    ("Six lampadaires au marché ${alert(1)} <b>", 1_900_000, 2_000_000),
    ("Puits à pompe de l'école", 2_500_000, 2_500_000),
    ("Piste jusqu'au centre de santé", 3_000_000, 3_000_000),
)
LAMPS, WELL, TRACK = (title for title, *_ in PROJECTS)


@dataclass
class Story:
    """What one step hands to the next."""

    palabre: Palabre
    browser: Browser
    commune: str = ""
    report: str = ""
    campaign: str = ""

    def visit(self, **options: Any) -> Visit:
        return Visit(self.browser, self.palabre, **options)

    def shoot(self, page: Page, name: str) -> None:
        """Keep pictures; once, for the pages are the same on both transports."""
        if self.palabre.events == "embedded":
            shoot(page, ARTEFACTS / "main-job", name)

    def layer(self, page: Page, layer: str) -> dict[str, dict[str, Any]]:
        """Return the features of one of the commune's layers, by ref."""
        answer = page.request.get(f"/communes/{self.commune}/layers/{layer}.geojson")
        assert answer.ok
        return {f["properties"]["ref"]: f["properties"] for f in answer.json()["features"]}


@pytest.fixture(scope="module")
def story(palabre: Palabre, browser: Browser) -> Story:
    return Story(palabre, browser)


def photo() -> dict[str, Any]:
    """Return a real JPEG as a file chosen on a phone."""
    picture = Image.radial_gradient("L").resize((1200, 900)).convert("RGB")
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=88)
    return {"name": "poteau.jpg", "mimeType": "image/jpeg", "buffer": data.getvalue()}


def until(page: Page, shown: Callable[[], bool], seconds: float = 10) -> None:
    """Load the page again until it shows something that an event brings."""

    def look() -> bool:
        page.reload()
        return shown()

    wait_for(look, seconds, f"{page.url} to change", every=0.2)


def test_the_main_job(story: Story) -> None:
    citizen, agent, watcher = story.visit(), story.visit(), story.visit()
    with citizen as at_home, agent as at_work, watcher as beside:
        choose_a_commune(story, at_home, beside)
        sign_in(at_home, story.palabre, CITIZEN)
        report_a_problem(story, at_home)
        become_agent(story, at_work)
        answer_the_report(story, at_work, at_home)
        open_a_campaign(story, at_work)
        # The page that was open all along has brought itself up to date.
        pin = beside.get_by_label(re.compile("Éclairage public, (Reçu|Pris en compte)"))
        expect(pin).to_be_attached(timeout=25_000)
        propose(story, at_home)
        review_and_open_the_vote(story, at_work)
        vote(story, at_home)
        vote_on_a_phone_without_javascript(story)
        with story.visit(viewport=PHONE, has_touch=True, is_mobile=True) as third:
            sign_in(third, story.palabre, THIRD)
            cast(story, third, LAMPS, WELL)
        close_and_count(story, at_work)
        see_what_is_funded(story, at_home)


def choose_a_commune(story: Story, page: Page, beside: Page) -> None:
    page.goto("/")
    story.shoot(page, "01-home")
    page.get_by_label("Votre commune").fill(COMMUNE)
    page.get_by_label("Votre commune").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(COMMUNE)
    story.commune = page.url.rpartition("/")[2]
    assert re.fullmatch(r"\d{4}", story.commune)
    map_of(page)
    story.shoot(page, "02-commune")

    beside.goto("/")
    outline = map_of(beside).locator("path").first
    outline.dispatch_event("click")
    expect(beside).to_have_url(re.compile(r"/communes/\d{4}$"))
    beside.goto(f"/communes/{story.commune}")
    map_of(beside)


def report_a_problem(story: Story, page: Page) -> None:
    page.goto(f"/communes/{story.commune}")
    press(page, "Signaler un problème")
    touch_map(page)
    pick(page, "Éclairage public")
    page.get_by_label("Que se passe-t-il").fill(NASTY)
    page.get_by_label(re.compile(r"^\s*Photo")).set_input_files(photo())
    expect(page.locator("img.preview, img[src^=blob]")).to_be_visible()
    story.shoot(page, "03-report-form")
    # A photo may still be on its way by itself.
    form = lambda r: r.request.method == "POST" and "/uploads" not in r.url  # noqa: E731
    with page.expect_response(form) as sent:
        press(page, "Envoyer à la mairie")
    answered = time.monotonic()
    assert sent.value.status == 303
    story.report = sent.value.headers["location"].rpartition("/")[2].partition("?")[0]
    wait_for(lambda: story.report in story.layer(page, "reports"), 2, "the pin")
    print(f"on the map {time.monotonic() - answered:.2f} s after the answer")
    expect(page.get_by_text(NASTY)).to_be_visible()
    picture = page.get_by_role("img", name="Photo du problème")
    expect(picture).to_be_visible()
    picture.scroll_into_view_if_needed()
    wait_for(lambda: picture.evaluate("i => i.complete && i.naturalWidth") == 1200, 5, "the photo")
    story.shoot(page, "04-report-thanks")
    press(page, "Voir sur la carte")
    expect(page.get_by_text(story.report)).to_be_visible()  # its card is open on the map
    story.shoot(page, "05-report-on-map")


def become_agent(story: Story, page: Page) -> None:
    sign_in(page, story.palabre, AGENT)
    refused = page.request.get(f"/mairie/{story.commune}")
    assert refused.status == 403
    said = story.palabre.command(
        "users", "grant", AGENT, "--role", "agent", "--commune", story.commune
    )
    assert "granted" in said
    page.goto(f"/mairie/{story.commune}")


def answer_the_report(story: Story, page: Page, citizen: Page) -> None:
    story.shoot(page, "06-desk")
    press(page, story.report)
    expect(page.locator(".user-text", has_text=NASTY)).to_be_visible()
    pick(page, "Pris en compte")
    answer = page.locator("form", has=page.get_by_role("button", name="Enregistrer et répondre"))
    answer.get_by_label("Réponse publique").fill(REPLY)
    answer.get_by_label("Note interne").fill("Voir avec la SBEE, secret")
    press(page, "Enregistrer et répondre")
    expect(page.get_by_text(REPLY)).to_be_visible()
    wait_for(
        lambda: story.layer(citizen, "reports")[story.report]["status"] == "acknowledged",
        2,
        "the new status on the map",
    )
    story.shoot(page, "07-desk-report")
    citizen.goto(f"/signalements/{story.report}")
    expect(citizen.get_by_text("Réponse de la mairie")).to_be_visible()
    expect(citizen.get_by_text(REPLY)).to_be_visible()
    assert "secret" not in citizen.content()
    story.shoot(citizen, "08-report-answered")


def open_a_campaign(story: Story, page: Page) -> None:
    page.goto(f"/mairie/{story.commune}/budget")
    press(page, "Nouvelle campagne")
    page.get_by_label("Nom de la campagne").fill("Budget participatif d'essai")
    page.get_by_label("Montant").fill("5 000 000")
    story.shoot(page, "09-new-campaign")
    press(page, "Créer la campagne")
    expect(page.get_by_role("heading", name="Budget participatif d'essai")).to_be_visible()
    story.campaign = page.url.rpartition("/")[2]
    enter_phase(page, "Idées")


def enter_phase(page: Page, name: str) -> None:
    press(page, f"Ouvrir : {name}")
    expect(page.get_by_role("button", name="Oui, ouvrir")).to_be_visible()
    reason = page.locator("[name=reason]")
    if reason.count():  # before its announced end a phase is left with a reason
        reason.fill("Tout le monde a pu répondre.")
    press(page, "Oui, ouvrir")
    expect(page).to_have_url(re.compile(r"/budget/[0-9a-f-]{36}$"))


def propose(story: Story, page: Page) -> None:
    for number, (title, cost, _) in enumerate(PROJECTS):
        page.goto(f"/communes/{story.commune}")
        until(page, lambda: page.get_by_role("link", name="Proposer un projet").count() > 0)
        press(page, "Proposer un projet")
        touch_map(page, 0.4 + 0.1 * number, 0.5)
        page.get_by_label("Titre du projet").fill(title)
        pick(page, ("Éclairage", "Eau et puits", "Routes et pistes")[number])
        page.get_by_label("À quoi ce projet").fill(NASTY)
        page.get_by_label("Coût estimé").fill(f"{cost:,}".replace(",", " "))
        if number == 0:
            story.shoot(page, "10-proposal-form")
        press(page, "Proposer ce projet")
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        expect(page.get_by_text(NASTY)).to_be_visible()
    story.shoot(page, "11-proposal")
    wait_for(lambda: len(story.layer(page, "proposals")) == 3, 2, "the proposals on the map")


def review_and_open_the_vote(story: Story, page: Page) -> None:
    desk = f"/mairie/{story.commune}/budget/{story.campaign}"
    page.goto(desk)
    enter_phase(page, "Étude")
    for title, _, cost in PROJECTS:
        page.goto(desk)
        page.get_by_role("link", name=title).click()
        pick(page, "Réalisable : proposé au vote")
        page.get_by_label("Coût réel").fill(str(cost))
        page.get_by_label("Explication publique").fill(f"Faisable. {NASTY}")
        press(page, "Publier l'étude")
        expect(page.get_by_text("Retenu pour le vote")).to_be_visible()
    story.shoot(page, "12-reviewed")
    page.goto(desk)
    enter_phase(page, "Vote")
    until(page, lambda: page.get_by_text("Clore le vote").count() > 0)
    story.shoot(page, "13-desk-vote")


def choose(story: Story, page: Page, *titles: str) -> None:
    """Tick projects on the ballot."""
    page.goto(f"/budget/{story.campaign}/vote")
    for title in titles:
        tick(page, title)


def cast(story: Story, page: Page, *titles: str) -> None:
    choose(story, page, *titles)
    press(page, "Vérifier mon bulletin")
    for title in titles:
        expect(page.get_by_text(title)).to_be_visible()
    press(page, "Envoyer mon vote")


def vote(story: Story, page: Page) -> None:
    page.goto(f"/communes/{story.commune}")
    page.get_by_role("link", name="Voter").first.click()
    expect(page.get_by_role("heading", name="Choisissez les projets")).to_be_visible()
    choose(story, page, LAMPS, WELL, TRACK)
    expect(page.get_by_role("button", name="Vérifier")).to_be_disabled()
    expect(page.get_by_text("dépassé de")).to_be_visible()
    story.shoot(page, "14-over-budget")
    cast(story, page, LAMPS, WELL)
    expect(page.get_by_role("heading", name="Votre vote est compté")).to_be_visible()
    story.shoot(page, "15-receipt")
    cast(story, page, TRACK)  # one person, one ballot
    expect(page.get_by_text("Vous avez déjà voté").first).to_be_visible()
    story.shoot(page, "16-already-voted")


def vote_on_a_phone_without_javascript(story: Story) -> None:
    with story.visit(java_script_enabled=False, viewport=PHONE) as page:
        page.goto(f"/communes/{story.commune}")
        sign_in(page, story.palabre, SECOND)
        page.goto(f"/communes/{story.commune}/signalements/nouveau")
        press(page, "Envoyer à la mairie")  # a browser's own check asks for the rest
        page.get_by_label("Arrondissement", exact=True).select_option(index=1)
        page.get_by_label("Repère").fill("Derrière le marché `${x}`")
        pick(page, "Caniveau, inondation")
        page.get_by_label("Que se passe-t-il").fill("L'eau ne part plus.")
        press(page, "Envoyer à la mairie")
        expect(page.get_by_text(words("Merci, c'est envoyé"))).to_be_visible()
        expect(page.get_by_text("Derrière le marché `${x}`").first).to_be_visible()
        page.screenshot(path=ARTEFACTS / "main-job/17-no-script.png")

        choose(story, page, LAMPS, WELL, TRACK)
        press(page, "Vérifier mon bulletin")
        expect(page.get_by_text("Le total dépasse le budget").first).to_be_visible()
        tick(page, WELL, on=False)
        press(page, "Vérifier mon bulletin")
        press(page, "Envoyer mon vote")
        expect(page.get_by_role("heading", name="Votre vote est compté")).to_be_visible()


def close_and_count(story: Story, page: Page) -> None:
    page.goto(f"/mairie/{story.commune}/budget/{story.campaign}")
    press(page, "Clore le vote et compter")
    page.locator("[name=reason]").fill("Tout le monde a voté.")
    press(page, "Clore et publier les résultats")
    expect(page.get_by_role("heading", level=1, name="Résultats")).to_be_visible()


def see_what_is_funded(story: Story, page: Page) -> None:
    funded = wait_for(
        lambda: len(found := story.layer(page, "funded")) == 2 and found, 5, "funded on the map"
    )
    assert {p["title"] for p in funded.values()} == {LAMPS, WELL}
    assert story.layer(page, "proposals") == {}  # what was not funded is no promise
    page.goto(f"/communes/{story.commune}")
    page.get_by_role("link", name="Voir les résultats").click()
    results = page.locator("article")
    expect(results.filter(has_text=LAMPS)).to_contain_text("3 voix")
    expect(results.filter(has_text=WELL)).to_contain_text("2 voix")
    expect(results.filter(has_text=TRACK)).to_contain_text("1 voix")
    expect(
        map_of(page).locator("[aria-label*='Financée'], [aria-label*='2 éléments']").first
    ).to_be_attached()
    story.shoot(page, "18-results")
    # The proposals service learned it from voting's event, not from this page.
    for title, word in ((LAMPS, "Financé"), (TRACK, "Non financé")):
        page.get_by_role("link", name=title).click()
        expect(page.get_by_text(word, exact=True)).to_be_visible()
        story.shoot(page, f"19-{word.lower().replace(' ', '-')}")
        page.go_back()
    page.set_viewport_size(DESK)
    page.goto(f"/budget/{story.campaign}")
    expect(page.get_by_text("Résultats").first).to_be_visible()
    assert story.palabre.command("events", "dead-letters") == ""
