"""The catalogue of what is voted on: on the screen, and as a PDF that reads nothing else."""

import io
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pypdf
import pytest

from gateway import printing
from gateway.pages import catalogue
from gateway.settings import Settings
from gateway.web import money
from tests.apps import Tokens
from tests.integration.gateway.desk_front import plain
from tests.integration.gateway.exercise_world import Exercise, exercise_world
from tests.servers import Database

pytestmark = pytest.mark.integration

THEMES = ("roads", "lighting", "water", "school", "health", "market", "environment", None)
#: What a citizen may try to put into the document.
HOSTILE = '<img src="file:///etc/hostname"><style>@import url(http://127.0.0.1:9/x)</style>'


@pytest.fixture(scope="module")
def world(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exercise]:
    media = tmp_path_factory.mktemp("media")
    with exercise_world(fresh_database, gateway_settings, tokens, media) as served:
        yield served


@pytest.fixture(scope="module")
def frozen(world: Exercise) -> dict[str, Any]:
    """A campaign of which 40 projects are voted on: its id and its shortlist as it was before."""
    made = world.announce(title="Budget participatif « 2027 » & après")
    key = made["id"]
    world.enter(key, "ideas", reason="")
    for number in range(40):
        theme = THEMES[number % len(THEMES)]
        title = f"Projet {number:02} : réfection des abords du collège et de son accès"
        need = HOSTILE if number == 7 else "Les enfants traversent sans être vus. " * 9
        cost = 1_000_000 + number * 10_000
        found = world.propose(
            key, title, theme=theme, need=need, place=number % 9, estimated_cost=cost
        )
        world.review(found["ref"], cost)
    world.enter(key, "review")
    visitor = world.visitor()
    before = visitor.get(f"/budget/{key}/catalogue")
    paper = visitor.get(f"/budget/{key}/catalogue.pdf")
    world.enter(key, "vote")
    return {"id": key, "before": before, "paper": paper}


def shortlist(world: Exercise, campaign: str) -> list[dict[str, Any]]:
    found = world.call("GET", f"campaigns/{campaign}/shortlist")["envelopes"]
    return [project for one in found for project in one["proposals"]]


def pages(answer: httpx.Response) -> list[str]:
    """Return the text of each page of a PDF, its spaces made plain."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    read = pypdf.PdfReader(io.BytesIO(answer.content))
    return [" ".join(page.extract_text().split()) for page in read.pages]


def test_the_screen_shows_each_project_with_its_number_and_cost(
    world: Exercise, frozen: dict[str, Any]
) -> None:
    page = world.visitor().get(f"/budget/{frozen['id']}/catalogue")
    said = plain(page)
    projects = shortlist(world, frozen["id"])
    numbers = [int(n) for n in re.findall(r"Numéro </span>(\d+)</p>", page.text)]
    assert numbers == [one["number"] for one in projects] == list(range(1, 41))
    for one in projects:
        assert f"{one['title']}" in said
        assert " ".join(money(one["cost"]).split()) in said
    assert "<img src=" not in page.text.split('class="plain entries"', 1)[1]


def test_the_paper_has_every_number_title_cost_and_place(
    world: Exercise, frozen: dict[str, Any]
) -> None:
    answer = world.visitor().get(f"/budget/{frozen['id']}/catalogue.pdf")
    text = pages(answer)
    assert 6 <= len(text) <= 14
    whole = " ".join(text)
    for one in shortlist(world, frozen["id"]):
        cost = " ".join(money(one["cost"]).split())
        assert re.search(rf"\b{one['number']}\b[^№]*?{re.escape(one['title'])}", whole)
        assert cost in whole.replace("\u202f", " ")
        assert one["ref"] in whole
    cover = text[0]
    for words in ("Cotonou", "Budget participatif « 2027 » & après", "Comment voter ?", "Du "):
        assert words in cover
    assert f"2 / {len(text)}" in text[1]
    assert "1 / " not in cover.split("Comment voter")[1]
    sizes = {tuple(map(round, page.mediabox[2:])) for page in _reader(answer).pages}
    assert sizes == {(595, 842)}  # A4


def _reader(answer: httpx.Response) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(answer.content))


def test_the_paper_is_black_on_white_and_reads_nothing_from_elsewhere(
    world: Exercise, frozen: dict[str, Any]
) -> None:
    read = _reader(world.visitor().get(f"/budget/{frozen['id']}/catalogue.pdf"))
    colours = set()
    fonts = set()
    for page in read.pages:
        assert not page.images
        drawn = page.get_contents()
        assert drawn is not None
        colours |= set(re.findall(rb"([\d.]+ [\d.]+ [\d.]+) (?:rg|RG|scn|SCN)\b", drawn.get_data()))
        fonts |= {str(font["/BaseFont"]) for font in _fonts(page)}
    assert colours <= {b"0 0 0", b"1 1 1"}
    assert fonts
    assert all("DejaVu-Sans" in name for name in fonts)
    assert "/URI" not in str(read.trailer)
    assert "<img src=" in " ".join(
        pages(world.visitor().get(f"/budget/{frozen['id']}/catalogue.pdf"))
    )  # as words, for all to read


def _fonts(page: Any) -> list[Any]:
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


def test_before_the_freeze_there_is_no_number_and_it_is_said(frozen: dict[str, Any]) -> None:
    assert "Les numéros viendront avec l'ouverture du vote" in plain(frozen["before"])
    assert "Numéro </span>" not in frozen["before"].text
    whole = " ".join(pages(frozen["paper"])).replace("’", "'")
    assert "Les numéros viendront avec l'ouverture du vote" in whole
    assert "Projet 39" in whole


def test_the_same_document_is_rendered_once_and_not_sent_again(
    world: Exercise, frozen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def render(html: str) -> bytes:
        made.append(html)
        return b"%PDF-"

    monkeypatch.setattr(printing, "render", render)
    monkeypatch.setattr(catalogue, "PRESS", printing.Press())
    visitor, path = world.visitor(), f"/budget/{frozen['id']}/catalogue.pdf"
    first = visitor.get(path)
    assert visitor.get(path).content == first.content == b"%PDF-"
    assert len(made) == 1
    again = visitor.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    english = visitor.get(path, headers={"Accept-Language": "en"})
    assert english.headers["etag"] != first.headers["etag"]
    assert 'lang="en"' in made[1]
    assert len(made) == 2


def test_a_press_renders_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0

    def render(html: str) -> bytes:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.01)
        inside -= 1
        return html.encode()

    monkeypatch.setattr(printing, "render", render)
    press = printing.Press()
    answers: dict[str, bytes] = {}

    def ask(name: str) -> None:
        answers[name] = press.pdf((name,), name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: name.encode() for name in "abcd"}
    assert most == 1


def test_a_press_lets_no_crowd_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = threading.Event(), threading.Event()

    def render(html: str) -> bytes:
        entered.set()
        go.wait(10)
        return html.encode()

    monkeypatch.setattr(printing, "render", render)
    press = printing.Press(waiting=1)
    first = threading.Thread(target=press.pdf, args=(("a",), "a"))
    first.start()
    assert entered.wait(10)
    with pytest.raises(printing.Busy):
        press.pdf(("b",), "b")
    go.set()
    first.join()
    assert press.pdf(("a",), "a") == press.pdf(("a",), "a") == b"a"
    impatient = printing.Press(patience=0)
    with impatient._turn, pytest.raises(printing.Busy):
        impatient.pdf(("c",), "c")


def test_a_press_keeps_the_last_documents_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def render(html: str) -> bytes:
        made.append(html)
        return html.encode()

    monkeypatch.setattr(printing, "render", render)
    press = printing.Press(kept=2)
    for name in ("a", "b", "a", "c", "b", "a"):
        press.pdf((name,), name)
    assert made == ["a", "b", "c", "b", "a"]
    assert press.pdf(("a",), "changed") == b"changed"


def test_a_document_fetches_nothing() -> None:
    asked = '<p>Un <img src="http://127.0.0.1:9/x.png"><img src="file:///etc/hostname"></p>'
    read = pypdf.PdfReader(io.BytesIO(printing.render(asked)))
    assert not read.pages[0].images


def test_a_campaign_without_a_shortlist_has_an_empty_catalogue(world: Exercise) -> None:
    made = world.announce(title="Budget vide")
    page = world.visitor().get(f"/budget/{made['id']}/catalogue")
    assert "Aucun projet n'est encore retenu pour le vote." in plain(page)
    assert "catalogue.pdf" not in page.text


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Un  puits\n\npour tous", "Un puits pour tous"),
        ("mot " * 80, "mot " * 3 + "mot…"),
        ("x" * 300, "x" * 19 + "…"),
        ("", ""),
    ],
)
def test_a_text_is_cut_between_words(text: str, short: str) -> None:
    assert catalogue.shortened(text, 20) == short
