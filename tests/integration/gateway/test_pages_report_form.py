"""Pinning a problem without scripts: the step between, files, voices, nobody's name."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest

from gateway.app import make_app
from gateway.settings import Settings
from tests.apps import Tokens, count, rows
from tests.integration.gateway.conftest import NOWHERE, serve
from tests.integration.gateway.pages_world import COMMUNE, PLACE, Visitor, serve_pages, words
from tests.media import photo, wav
from tests.servers import Database

pytestmark = pytest.mark.integration

NEW = f"/communes/{COMMUNE}/signalements/nouveau"
NEARBY = f"/communes/{COMMUNE}/signalements/proches"
LOOK = f"/communes/{COMMUNE}/signalements/apercu"
#: Each test reports in a part of its own, so that none is near another's.
PARTS = iter(f"0801-{n:02d}" for n in range(1, 14))
EVIL = '<b>gras</b> "${alert(1)}" {{7*7}}'


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    media = tmp_path_factory.mktemp("media")
    with serve_pages(fresh_database, gateway_settings, tokens, media) as url:
        yield url


@pytest.fixture
def part() -> str:
    return next(PARTS)


@pytest.fixture
def visit(front: str) -> Iterator[Callable[..., Visitor]]:
    opened: list[Visitor] = []

    def make(bearer: dict[str, str] | None = None) -> Visitor:
        opened.append(Visitor(front, bearer))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def written(part: str, **more: Any) -> dict[str, Any]:
    about = {"arrondissement": part, "category": "markets", "description": "Toit percé"}
    return about | {"anonymous": "1"} | more


def shots(*names: str) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("photos", (f"../../{n}.jpg", photo(), "image/jpeg")) for n in names]


def ref_of(answer: httpx.Response) -> str:
    found = re.search(r"/signalements/(S-\w+)", answer.headers.get("location", answer.text))
    assert found
    return found[1]


def test_what_is_new_is_sent_at_once_and_gives_a_secret_link(
    front: str, part: str, visit: Callable[..., Visitor], caplog: pytest.LogCaptureFixture
) -> None:
    answer = visit().fill(NEW, "/nouveau", **written(part, description=EVIL))
    assert answer.status_code == 200
    assert "data-received" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert EVIL not in answer.text  # escaped wherever it stands
    link = re.search(r'id="lien-suivi" href="([^"]+)">([^<]+)<', answer.text)
    assert link
    path, _, code = link[1].partition("#suivi=")
    assert re.fullmatch(r"[a-z2-7]{32}", code)
    assert link[2] == f"{front}{link[1]}"
    # What a server or a log sees is the address without the code.
    assert code not in str(answer.request.url)
    assert code not in "".join(answer.headers.values())
    assert code not in caplog.text
    assert visit().get(path).status_code == 200


def test_the_step_between_keeps_all_and_sends_nothing_twice(
    front: str, part: str, visit: Callable[..., Visitor], fresh_database: Database
) -> None:
    visit().fill(NEW, "/nouveau", **written(part, landmark="Derrière la pharmacie"))
    before = count(fresh_database, "reports", "reports")
    uploads = count(fresh_database, "reports", "uploads")

    citizen = visit()
    step = citizen.fill(
        NEW,
        "/nouveau",
        files=shots("a", "b"),
        **written(part, description=f"Hangar {EVIL}, voir 97 12 34 56", gender="f"),
    )
    assert step.status_code == 200
    said = words(step)
    assert "Déjà signalé" in said
    assert "Derrière la pharmacie" in said
    assert "un numéro de téléphone" in said
    assert "<mark>97 12 34 56</mark>" in step.text
    assert EVIL not in step.text
    assert re.search(r'href="/connexion\?retour=/signalements/S-\w+%3Fmoi%3D1"', step.text)
    assert count(fresh_database, "reports", "reports") == before
    assert count(fresh_database, "reports", "uploads") == uploads + 2

    # "Modifier" gives the form again, whole; the photos need not travel again.
    again = citizen.fill(step, "/nouveau", change="1", description="Hangar")
    assert again.status_code == 200
    assert again.text.count('name="photo_ids"') == 2
    assert '<option value="' + part + '" selected>' in again.text

    sent = citizen.fill(step, "/nouveau", description="Hangar percé", landmark="")
    made = httpx.get(f"{front}/api/v1/reports/{ref_of(sent)}").json()
    assert made["description"] == "Hangar percé"
    assert len(made["photos"]) == 2
    assert count(fresh_database, "reports", "uploads") == uploads + 2
    gender = f"SELECT gender FROM reports WHERE ref = '{made['ref']}'"
    assert rows(fresh_database, "reports", gender) == [{"gender": "f"}]

    # The same step sent again, because no answer came, is the same report.
    once_more = citizen.fill(step, "/nouveau", description="Hangar percé", landmark="")
    assert ref_of(once_more) == made["ref"]


def test_what_the_page_showed_already_is_not_shown_again(
    part: str, visit: Callable[..., Visitor]
) -> None:
    citizen = visit()
    citizen.fill(NEW, "/nouveau", **written(part))
    seen = written(part, seen_nearby="1", seen_preview="1", description="Appelez 97 12 34 56")
    assert "data-received" in citizen.fill(NEW, "/nouveau", **seen).text


def test_nobody_sends_in_nobody_s_name_without_saying_so(
    part: str, visit: Callable[..., Visitor], fresh_database: Database
) -> None:
    before = count(fresh_database, "reports", "reports")
    citizen = visit()
    step = citizen.fill(NEW, "/nouveau", **written(part, anonymous=""))
    assert "Qui envoie ?" in words(step)
    assert count(fresh_database, "reports", "reports") == before
    assert "data-received" in citizen.fill(step, "/nouveau", anonymous="1").text


def test_a_signed_in_person_s_photo_names_nobody(
    part: str, visit: Callable[..., Visitor], tokens: Tokens, fresh_database: Database
) -> None:
    person = tokens.bearer(user=(user := uuid.uuid4()))
    sent = visit(person).fill(NEW, "/nouveau", files=shots("a"), **written(part))
    assert "data-received" in sent.text
    scopes = f"SELECT count(*) AS n FROM idempotency_keys WHERE scope = '{user}'"
    assert rows(fresh_database, "reports", scopes) == [{"n": 0}]


def test_who_speaks_need_not_write(front: str, part: str, visit: Callable[..., Visitor]) -> None:
    voice = {"voice": ("v.wav", wav(2), "audio/wav")}
    sent = visit().fill(NEW, "/nouveau", files=voice, **written(part, description=""))
    made = httpx.get(f"{front}/api/v1/reports/{ref_of(sent)}").json()
    assert made["description"] == "Message vocal"
    assert made["voice"]["seconds"] == pytest.approx(2, abs=0.2)
    assert f'src="{made["voice"]["url"]}"' in sent.text


def test_what_is_wrong_is_said_and_the_rest_is_kept(
    part: str, visit: Callable[..., Visitor], fresh_database: Database
) -> None:
    before = count(fresh_database, "reports", "reports")
    citizen = visit()
    files = [
        *shots("a"),
        ("photos", ("b.jpg", b"no photo", "image/jpeg")),
        ("voice", ("v.webm", b"no voice", "audio/webm")),
    ]
    answer = citizen.fill(NEW, "/nouveau", files=files, **written("", description=EVIL))
    assert answer.status_code == 422
    for name in ("place", "photos", "voice"):
        assert f'id="e-{name}"' in answer.text
    assert answer.text.count('name="photo_ids"') == 1
    assert "${alert(1)}" in answer.text
    six = citizen.fill(answer, "/nouveau", files=shots(*"abcdef"), **written(part))
    assert six.status_code == 422
    assert six.text.count('name="photo_ids"') == 5
    assert count(fresh_database, "reports", "reports") == before


@pytest.mark.parametrize("ids", [["x", "\0", "é", "../etc"], [str(uuid.uuid4())], ["{}"] * 300])
def test_made_up_files_are_refused_calmly(
    part: str, visit: Callable[..., Visitor], ids: list[str]
) -> None:
    sent = written(part, photo_ids=ids, voice_id=ids[0], description="abc", seen_nearby="1")
    answer = visit().fill(NEW, "/nouveau", **sent)
    unknown = any(len(i) == 36 for i in ids)
    assert answer.status_code == (422 if unknown else 200)


def test_the_form_opens_with_what_a_link_says(visit: Callable[..., Visitor]) -> None:
    page = visit().get(f"{NEW}?arrondissement=0801-03&category=water").text
    assert '<option value="0801-03" selected>' in page
    assert re.search(r'value="water" required checked', page)
    odd = visit().get(f"{NEW}?arrondissement=0405-01&category={quote(EVIL)[:40]}")
    assert odd.status_code == 200
    assert "checked" not in odd.text.split("f-category")[1].split("</fieldset>")[0]


@pytest.fixture
def pinned(front: str) -> str:
    body = {
        "lon": PLACE[0],
        "lat": PLACE[1],
        "category": "water",
        "description": f"Fuite {EVIL}",
        "anonymous": True,
    }
    made = httpx.post(f"{front}/api/v1/reports", json=body).json()
    return str(made["ref"])


def near(category: str = "water", metres: int = 20) -> str:
    return f"{NEARBY}?lon={PLACE[0]}&lat={PLACE[1] + metres / 111_320}&category={category}"


def test_open_reports_near_by_are_shown_with_one_tap(
    visit: Callable[..., Visitor], tokens: Tokens, front: str, pinned: str
) -> None:
    found = visit().get(near())
    said = words(found)
    assert "à 20 m" in said
    assert "il y a" in said
    assert EVIL not in found.text
    assert f"/connexion?retour=/signalements/{pinned}%3Fmoi%3D1" in found.text
    person = visit(tokens.bearer())
    form = person.get(NEW)
    one = person.get(near())
    action = re.search(rf'form="moi-aussi" formaction="(/signalements/{pinned}/soutien)"', one.text)
    assert action
    secrets = re.search(r'<form id="moi-aussi".*?</form>', form.text, re.S)
    assert secrets
    hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', secrets[0]))
    thanks = person.post(action[1], data=hidden)
    assert thanks.headers["location"] == f"/signalements/{pinned}?fait=supported"
    page = person.get(thanks.headers["location"])
    assert "data-received" in page.text
    assert httpx.get(f"{front}/api/v1/reports/{pinned}").json()["supports"] == 1


def test_nothing_is_shown_of_what_is_far_or_else_or_closed(
    visit: Callable[..., Visitor], tokens: Tokens, front: str, pinned: str
) -> None:
    closed = {"status": "resolved"}
    citizen = visit()
    assert pinned not in citizen.get(near("noise")).text
    assert pinned not in citizen.get(near(metres=150)).text
    agent = tokens.agent(COMMUNE)
    httpx.post(f"{front}/api/v1/reports/{pinned}/status", json=closed, headers=agent)
    assert pinned not in citizen.get(near()).text


HOSTILE = ("", "\0", "nan", "inf", "1e999", "é'\"<", "9" * 40)


@pytest.mark.parametrize("value", HOSTILE)
def test_pieces_stand_hostile_queries(visit: Callable[..., Visitor], value: str) -> None:
    citizen, odd = visit(), quote(value)
    for query in (
        f"category={odd}&lon=2.4&lat=6.3",
        f"category=water&lon={odd}&lat={odd}",
        f"category=water&arrondissement={odd}",
    ):
        answer = citizen.get(f"{NEARBY}?{query}")
        assert answer.status_code == 200
        assert answer.text.strip() == ""


def test_the_preview_marks_what_is_personal(visit: Callable[..., Visitor]) -> None:
    citizen = visit()
    token = re.search(r'name="csrf_token" value="([^"]+)"', citizen.get(NEW).text)
    assert token
    texts = {"description": f"Voir awa@exemple.bj {EVIL}", "landmark": "chez Awa, 0197123456"}
    page = citizen.post(LOOK, data={"csrf_token": token[1], **texts})
    assert page.status_code == 200
    assert "<mark>awa@exemple.bj</mark>" in page.text
    assert "<mark>0197123456</mark>" in page.text
    assert EVIL not in page.text
    assert citizen.post(LOOK, data=texts).status_code == 403


def test_helps_that_do_not_answer_keep_nobody_waiting(gateway_settings: Settings) -> None:
    gateway = make_app(gateway_settings.model_copy(update={"reports_url": NOWHERE}))
    with serve(gateway) as url, Visitor(url) as citizen:
        assert citizen.get(NEW).status_code == 200
        assert citizen.get(near()).text.strip() == ""
        piece = citizen.get(f"/communes/{COMMUNE}/points-chauds/apercu")
        assert (piece.status_code, piece.text.strip()) == (200, "")
