"""The desk's pages of works, ledgers and finished works, without scripts, over real services."""

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.orm import sessionmaker

from gateway.app import make_app
from gateway.settings import Settings
from services.common.auth import FixedKeys
from services.common.events import inbox, outbox
from services.common.media.settings import MediaSettings
from services.proposals.main import make_app as make_proposals
from services.proposals.settings import Settings as ProposalsSettings
from services.reports.consumers import CONSUMER
from services.reports.main import make_app as make_reports
from services.reports.settings import Settings as ReportsSettings
from tests.apps import Tokens, serve
from tests.documents import pdf
from tests.integration.gateway.desk_front import COTONOU, DESK, plain
from tests.integration.gateway.exercise_world import MAIRIE, Exercise
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

pytestmark = pytest.mark.integration

LIST = f"{DESK}/travaux"
HOSTILE = "<script>alert(1)</script> {{7*7}}"
PDF = pdf()


@pytest.fixture(scope="module")
def world(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exercise]:
    """Serve the gateway with reports and proposals behind it."""
    media = MediaSettings(_env_file=None, dir=tmp_path_factory.mktemp("media"))
    url = fresh_database.url
    reports = make_reports(
        ReportsSettings(_env_file=None, database_url=url("reports"), secret="secret"), media
    )
    proposals = make_proposals(
        ProposalsSettings(_env_file=None, database_url=url("proposals"), env="demo"), media
    )
    keys = FixedKeys(tokens.signer.jwks)
    reports.state.keys = proposals.state.keys = keys
    with serve(reports) as reports_url, serve(proposals) as proposals_url:
        urls = {"reports_url": reports_url, "proposals_url": proposals_url}
        gateway = make_app(gateway_settings.model_copy(update=urls))
        gateway.state.keys = keys
        with serve(gateway) as front, ExitStack() as browsers:
            yield Exercise(front, gateway, reports, proposals, tokens, browsers)


@pytest.fixture(scope="module")
def pages(world: Exercise) -> Visitor:
    """The browser of an agent who may do everything."""
    return world.visitor({COTONOU: (*MAIRIE, "reports.manage")})


@pytest.fixture(scope="module")
def treasurer(world: Exercise) -> Visitor:
    return world.visitor({COTONOU: ("works.spend",)})


def open_work(world: Exercise, cost: int = 4_000_000, **more: Any) -> str:
    """Bring a proposal through the vote; return its work's ref."""
    made = world.announce(title="Budget des travaux", budget=60_000_000, envelopes=[])
    world.enter(made["id"], "ideas", reason="")
    proposal = world.propose(made["id"], **more)
    world.review(proposal["ref"], cost)
    world.enter(made["id"], "review", "revision", "vote")
    (ref,) = world.count(made["id"], [proposal["id"]])
    return ref


@pytest.fixture
def ref(world: Exercise) -> str:
    return open_work(world)


def begin(world: Exercise, ref: str) -> None:
    for status in ("tendering", "under_way"):
        world.build(ref, "status", status=status)


def shown(world: Exercise, ref: str) -> dict[str, Any]:
    found: dict[str, Any] = world.call("GET", f"works/{ref}")
    return found


def day(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def picture() -> bytes:
    """A photo of Cotonou's market, by its EXIF."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (6.0, 21.0, 36.0), 3: "E", 4: (2.0, 23.0, 25.0)})
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (120, 80, 20)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def forms(page: Any) -> set[str]:
    """The last part of the address of each POST form of a page."""
    found = re.findall(r'<form method="post" action="([^"]+)"', page.text)
    return {action.rsplit("/", 1)[1] for action in found}


# Who sees what


def test_each_sees_the_forms_of_their_own_acts(
    world: Exercise, pages: Visitor, treasurer: Visitor, ref: str
) -> None:
    here = f"{LIST}/{ref}"
    everything = pages.get(here)
    assert everything.status_code == 200, everything.text
    assert forms(everything) == {"etat", "nouvelle", "entreprise", "etapes", "ecriture"}
    assert forms(treasurer.get(here)) == {"ecriture"}
    builder = world.visitor({COTONOU: ("works.manage",)})
    assert forms(builder.get(here)) == {"etat", "nouvelle", "entreprise", "etapes"}
    assert builder.get(f"{here}/ecriture").status_code == 403
    assert 'href="/mairie/0801/travaux"' in treasurer.get(LIST).text
    assert 'href="/mairie/0801/budget"' not in treasurer.get(LIST).text
    for stranger in (world.visitor(), world.visitor({"0405": MAIRIE})):
        assert stranger.get(LIST).status_code == 403
        assert stranger.get(here).status_code == 403
    assert world.visitor({"0405": MAIRIE}).get(f"/mairie/0405/travaux/{ref}").status_code == 404
    assert pages.get(f"{LIST}/T-2222222").status_code == 404
    assert pages.fill(here, "/etat", etat_status="tendering").status_code == 303
    assert treasurer.post(f"{here}/etat").status_code == 403  # no token of this site's forms


def test_a_treasurer_cannot_build(world: Exercise, treasurer: Visitor, ref: str) -> None:
    page = treasurer.get(f"{LIST}/{ref}")
    stolen = page.text.replace("/ecriture", "/nouvelle")
    answer = treasurer.fill(
        type(page)(200, text=stolen, request=page.request), "/nouvelle", nouvelle_note="Bonjour"
    )
    assert answer.status_code == 403
    assert [line["kind"] for line in shown(world, ref)["journal"]] == ["opened"]


# All works


def test_the_list_shows_sums_and_what_asks_for_attention(world: Exercise, pages: Visitor) -> None:
    late = open_work(world, title="Un marché couvert")
    begin(world, late)
    world.call("PATCH", f"works/{late}", {"contractor": "Bâtir SA", "ends_on": day(-9)})
    world.spend(late, "commitment", 3_000_000)
    world.spend(late, "invoice", 1_500_000)
    world.spend(late, "payment", 500_000)
    alone = open_work(world, title=HOSTILE)
    begin(world, alone)
    done = open_work(world, title="Un puits")
    begin(world, done)
    world.build(done, "completion", note="Fini.")
    neighbour = world.tokens.bearer()
    body = {"verdict": "disputed", "note": "Il manque la pompe."}
    world.call("POST", f"works/{done}/confirmations", body, neighbour)
    world.tell()
    page = pages.get(LIST)
    assert page.status_code == 200, page.text
    assert HOSTILE not in page.text
    said = plain(page)
    row = said.split("Un marché couvert", 1)[1].split("Solde", 1)[0]
    assert "En retard" in row
    assert "Facture à payer" in row
    assert "Sans entreprise" not in row
    for part in ("4 000 000", "3 000 000", "1 500 000", "500 000", "3 500 000"):
        assert part in said
    for voir, expected in (
        ("late", {late}),
        ("unpaid", {late}),
        ("no_contractor", {alone}),
        ("disputed", {done}),
    ):
        found = set(re.findall(rf'href="{LIST}/(T-\w+)"', pages.get(f"{LIST}?voir={voir}").text))
        assert found == expected, voir
    campaign = shown(world, late)["campaign"]
    for query, expected in (
        (f"campaign={campaign}", {late}),
        (f"campaign={campaign}&status=planned", set()),
        ("status=completed", {done}),
    ):
        found = set(re.findall(rf'href="{LIST}/(T-\w+)"', pages.get(f"{LIST}?{query}").text))
        assert found & {late, alone, done} == expected, query
    every = pages.get(f"{LIST}?campaign=x&status=dragons&voir=all")
    assert set(re.findall(rf'href="{LIST}/(T-\w+)"', every.text)) >= {late, alone, done}


# Building


def test_an_agent_plans_builds_delays_and_finishes(
    world: Exercise, pages: Visitor, ref: str
) -> None:
    here = f"{LIST}/{ref}"
    photo = {"avancement_photos": ("chantier.jpg", picture(), "image/jpeg")}
    steps: tuple[tuple[str, dict[str, Any], Any], ...] = (
        ("entreprise", {"entreprise_contractor": "Bâtir SA", "entreprise_starts_on": day(-5),
                        "entreprise_ends_on": day(30)}, None),
        ("etapes", {"etapes_title_1": "Fondations", "etapes_planned_on_1": day(3),
                    "etapes_title_3": HOSTILE}, None),
        ("etat", {"etat_status": "tendering"}, None),
        ("etat", {"etat_status": "under_way", "etat_note": "C'est parti."}, None),
        ("avancement", {"avancement_progress": "40 %", "avancement_note": HOSTILE}, photo),
        ("retard", {"retard_ends_on": day(60), "retard_reason": "La pluie."}, None),
        ("nouvelle", {"nouvelle_note": "Rue barrée lundi."}, None),
    )  # fmt: skip
    for what, fields, files in steps:
        answer = pages.fill(here, f"/{what}", files=files, **fields)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == f"{here}?fait={what}"
    page = pages.get(f"{here}?fait=retard")
    assert "C'est enregistré." in plain(page)
    assert HOSTILE not in page.text
    assert "le lieu et la date" in plain(page).lower()
    step = shown(world, ref)["milestones"][0]
    reached = {"atteinte_step": step["id"], "atteinte_reached_on": day(-1), "atteinte_note": "Bon."}
    assert pages.fill(here, "/atteinte", **reached).status_code == 303
    assert (
        'name="etapes_title_1" maxlength="120" value="Fondations" readonly' in pages.get(here).text
    )
    assert pages.fill(here, "/fin", fin_note="Tout est là.").status_code == 303
    work = shown(world, ref)
    assert (work["status"], work["progress"], work["contractor"]) == ("completed", 100, "Bâtir SA")
    assert (work["first_ends_on"], work["ends_on"]) == (day(30), day(60))
    assert [one["title"] for one in work["milestones"]] == ["Fondations", HOSTILE]
    assert work["milestones"][0]["reached_on"] == day(-1)
    (kept,) = next(line for line in work["journal"] if line["kind"] == "progress")["photos"]
    assert (round(kept["lon"], 3), round(kept["lat"], 3)) == (2.39, 6.36)
    ended = pages.get(here)
    assert forms(ended) == {"nouvelle", "atteinte", "reprise", "ecriture"}
    assert pages.fill(ended, "/reprise", reprise_reason="Une lampe est morte.").status_code == 303
    assert shown(world, ref)["status"] == "under_way"


WRONG: tuple[tuple[str, dict[str, str], str], ...] = (
    ("etat", {}, "Choisissez le nouvel état."),
    ("etat", {"etat_status": "completed"}, "Choisissez le nouvel état."),
    ("etat", {"etat_status": "abandoned"}, "Dites pourquoi : tout le monde le lira."),
    ("avancement", {"avancement_progress": "beaucoup"}, "Un nombre de 0 à 100."),
    ("avancement", {"avancement_progress": "101"}, "Un nombre de 0 à 100."),
    ("avancement", {"avancement_progress": "10"}, "C'est moins que ce qui était annoncé"),
    ("entreprise", {}, "C'est déjà ainsi"),
    ("entreprise", {"entreprise_starts_on": "lundi"}, "Donnez une date."),
    ("entreprise", {"entreprise_contractor": "x" * 121}, "120 signes au plus"),
    ("retard", {"retard_ends_on": day(1), "retard_reason": "Pluie."}, "Un retard finit après"),
    ("retard", {"retard_ends_on": day(50)}, "Dites pourquoi : tout le monde le lira."),
    ("etapes", {"etapes_title_1": "A", "etapes_title_2": "A"}, "Chaque étape a un titre à elle."),
    ("etapes", {"etapes_title_1": "A", "etapes_planned_on_1": "x"}, "Donnez une date."),
    ("atteinte", {"atteinte_step": "x", "atteinte_reached_on": day(0)}, "Choisissez une étape"),
    ("nouvelle", {}, "Écrivez quelque chose."),
    ("fin", {}, "Écrivez quelque chose."),
)


@pytest.fixture(scope="module")
def going_on(world: Exercise) -> str:
    """A work on the site, 20 % done, to end in ten days."""
    ref = open_work(world)
    begin(world, ref)
    world.call("PATCH", f"works/{ref}", {"contractor": "Bâtir SA", "ends_on": day(10)})
    world.build(ref, "progress", progress=20)
    world.call("PUT", f"works/{ref}/milestones", {"milestones": [{"title": "Fondations"}]})
    return ref


@pytest.mark.parametrize(("what", "fields", "said"), WRONG)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    world: Exercise, pages: Visitor, going_on: str, what: str, fields: dict[str, str], said: str
) -> None:
    page = pages.get(f"{LIST}/{going_on}")
    before = shown(world, going_on)
    usual = {"entreprise_contractor": "Bâtir SA"} if what == "entreprise" else {}
    answer = pages.fill(page, f"/{what}", **{**usual, **fields})
    assert answer.status_code == 422
    assert said in plain(answer)
    assert re.search(rf'id="{what}" open', answer.text)
    for name, value in fields.items():
        if not name.endswith(("status", "step")):
            assert f'value="{value}"' in answer.text or f">{value}</textarea>" in answer.text
    assert shown(world, going_on)["version"] == before["version"]


def test_a_day_to_come_is_no_step_reached(world: Exercise, pages: Visitor, going_on: str) -> None:
    step = shown(world, going_on)["milestones"][0]["id"]
    fields = {"atteinte_step": step, "atteinte_reached_on": day(5)}
    answer = pages.fill(f"{LIST}/{going_on}", "/atteinte", **fields)
    assert answer.status_code == 422
    assert "Ce jour est encore à venir." in plain(answer)


def test_a_photo_is_kept_when_the_rest_is_wrong(
    world: Exercise, pages: Visitor, going_on: str
) -> None:
    here = f"{LIST}/{going_on}"
    photo = {"nouvelle_photos": ("chantier.jpg", picture(), "image/jpeg")}
    answer = pages.fill(here, "/nouvelle", files=photo)
    assert answer.status_code == 422
    (kept,) = re.findall(r'name="nouvelle_photos_ids" value="([^"]+)" checked', answer.text)
    sent = {"nouvelle_note": "Voici.", "nouvelle_photos_ids": kept}
    assert pages.fill(answer, "/nouvelle", **sent).status_code == 303
    assert [p["id"] for p in shown(world, going_on)["journal"][-1]["photos"]] == [kept]
    text = {"nouvelle_photos": ("x.jpg", b"no photo", "image/jpeg")}
    answer = pages.fill(here, "/nouvelle", files=text, nouvelle_note="Voici encore.")
    assert answer.status_code == 422
    assert "n'est pas une photo" in plain(answer)


def test_who_comes_second_learns_what_it_is_now(world: Exercise, pages: Visitor, ref: str) -> None:
    begin(world, ref)
    page = pages.get(f"{LIST}/{ref}")
    world.build(ref, "progress", progress=35)
    answer = pages.fill(page, "/avancement", avancement_progress="30", avancement_note="À moi.")
    assert answer.status_code == 409
    assert "« En travaux », faits à 35 %, payé 0 F CFA" in plain(answer)
    assert ">À moi.</textarea>" in answer.text
    again = pages.fill(answer, "/avancement", avancement_progress="60", avancement_note="À moi.")
    assert again.status_code == 303
    assert shown(world, ref)["progress"] == 60


def test_an_act_that_the_state_forbids_by_now_is_said(
    world: Exercise, pages: Visitor, ref: str
) -> None:
    begin(world, ref)
    page = pages.get(f"{LIST}/{ref}")
    world.build(ref, "completion", note="Fini.")
    late = pages.fill(page, "/avancement", avancement_progress="50", avancement_note="Tard.")
    assert late.status_code == 409
    assert pages.fill(page, "/nouvelle", nouvelle_note="Encore.").status_code == 303


def test_a_citizens_note_is_hidden_and_shown_again(
    world: Exercise, pages: Visitor, ref: str
) -> None:
    begin(world, ref)
    world.build(ref, "completion", note="Fini.")
    body = {"verdict": "disputed", "note": HOSTILE}
    world.call("POST", f"works/{ref}/confirmations", body, world.tokens.bearer())
    here = f"{LIST}/{ref}"
    page = pages.get(here)
    assert HOSTILE not in page.text
    assert "Fin contestée" in plain(page)
    citizen = world.tokens.bearer()
    for hidden in (True, False):
        assert pages.fill(here, "/avis").status_code == 303
        said = world.call("GET", f"works/{ref}", headers=citizen)["confirmations"]
        assert (len(said["notes"]), said["disputed"]) == (0 if hidden else 1, 1)


def test_a_closed_campaign_changes_nothing_more(world: Exercise, pages: Visitor, ref: str) -> None:
    begin(world, ref)
    world.build(ref, "completion", note="Fini.")
    campaign = shown(world, ref)["campaign"]
    world.enter(campaign, "works", "closed")
    page = pages.get(f"{LIST}/{ref}")
    assert forms(page) == set()
    assert "Rien ne peut plus être changé ici" in plain(page)


# The ledger


def line(kind: str = "commitment", amount: str = "2 500 000", **more: str) -> dict[str, str]:
    told = {"kind": kind, "amount": amount, "dated": "2026-01-02", "label": "Lampadaires", **more}
    return {f"ecriture_{name}": value for name, value in told.items()}


def test_a_treasurer_writes_a_line_with_its_papers(
    world: Exercise, treasurer: Visitor, ref: str
) -> None:
    here = f"{LIST}/{ref}"
    files = [
        ("ecriture_files", ("marché n°3.pdf", PDF, "application/pdf")),
        ("ecriture_files", ("bon.jpg", picture(), "image/jpeg")),
    ]
    fields = line(amount="2.500.000 FCFA", payee="Bâtir SA", document="F-3", label=HOSTILE)
    answer = treasurer.fill(here, "/ecriture", files=files, **fields)
    assert answer.status_code == 303, plain(answer)
    assert answer.headers["location"] == f"{here}?ligne=1#comptes"
    page = treasurer.get(answer.headers["location"])
    assert HOSTILE not in page.text
    assert "La ligne n° 1 est écrite dans les comptes." in plain(page)
    assert "ne se modifie ni ne s'efface" in plain(page)
    (entry,) = shown(world, ref)["ledger"]
    assert (entry["amount"], entry["payee"], entry["document"]) == (2_500_000, "Bâtir SA", "F-3")
    assert {file["kind"] for file in entry["files"]} == {"document", "photo"}
    assert all("lon" not in file for file in entry["files"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (line(amount="2 500 000,50"), "sans centimes"),
        (line(amount="25 00 000"), "sans centimes"),
        (line(amount="-5"), "sans centimes"),
        (line(amount="0"), "sans centimes"),
        (line(kind="gift"), "Choisissez : engagement, facture ou paiement."),
        (line(label=""), "Dites pour quoi"),
        (line(dated="hier"), "Donnez une date."),
        (line(dated=day(3)), "Ce jour est encore à venir."),
        (line(label="x" * 201), "Dites pour quoi"),
    ],
)
def test_a_line_that_is_wrong_comes_again(
    world: Exercise, treasurer: Visitor, going_on: str, fields: dict[str, str], said: str
) -> None:
    answer = treasurer.fill(f"{LIST}/{going_on}/ecriture", "/ecriture", **fields)
    assert answer.status_code == 422
    assert said in plain(answer)
    assert f'value="{fields["ecriture_amount"]}"' in answer.text
    assert shown(world, going_on)["ledger"] == []


def test_a_line_past_a_limit_asks_for_the_published_reason(
    world: Exercise, treasurer: Visitor, ref: str
) -> None:
    here = f"{LIST}/{ref}"
    pdf = {"ecriture_files": ("marché.pdf", PDF, "application/pdf")}
    answer = treasurer.fill(here, "/ecriture", files=pdf, **line(amount="5 000 000"))
    assert answer.status_code == 422
    said = plain(answer)
    assert "5 000 000 F CFA seraient engagés pour 4 000 000 F CFA votés" in said
    assert re.search(r'name="ecriture_reason"[^>]*aria-invalid="true"', answer.text)
    (paper,) = re.findall(r'name="ecriture_files_ids" value="([^"]+)"', answer.text)
    fields = line(amount="5 000 000", reason=HOSTILE)
    again = treasurer.fill(answer, "/ecriture", ecriture_files_ids=paper, **fields)
    assert again.status_code == 303
    for kind, words in (("invoice", "facturés"), ("payment", "payés")):
        answer = treasurer.fill(here, "/ecriture", **line(kind, "5 000 001"))
        assert f"5 000 001 F CFA seraient {words} pour 5 000 000 F CFA engagés" in plain(answer)
    page = treasurer.get(here)
    assert HOSTILE not in page.text
    (entry,) = shown(world, ref)["ledger"]
    assert (entry["reason"], [file["id"] for file in entry["files"]]) == (HOSTILE, [paper])


def test_a_large_amount_is_shown_once_more(world: Exercise, treasurer: Visitor) -> None:
    ref = open_work(world, 50_000_000, estimated_cost=50_000_000)
    here = f"{LIST}/{ref}"
    assert treasurer.fill(here, "/ecriture", **line(amount="10 000 000")).status_code == 303
    pdf = {"ecriture_files": ("marché.pdf", PDF, "application/pdf")}
    asked = treasurer.fill(here, "/ecriture", files=pdf, **line(amount="25000000"))
    assert asked.status_code == 200
    assert "Oui, écrire 25 000 000 F CFA" in plain(asked)
    assert "35 000 000 F CFA" in plain(asked)
    assert len(shown(world, ref)["ledger"]) == 1
    form = re.search(r'<form method="post" action="[^"]*/ecriture".*?</form>', asked.text, re.S)
    assert form
    back = treasurer.fill(asked, "/ecriture", do="change")
    assert back.status_code == 200
    assert 'value="25000000"' in back.text
    assert 'name="ecriture_files_ids"' in back.text
    more = treasurer.fill(asked, "/ecriture", do="write", ecriture_amount="26 000 000")
    assert "Oui, écrire 26 000 000 F CFA" in plain(more)  # another amount is shown anew
    assert treasurer.fill(asked, "/ecriture", do="write").status_code == 303
    entry = shown(world, ref)["ledger"][1]
    assert (entry["amount"], len(entry["files"])) == (25_000_000, 1)


def test_sending_the_same_line_twice_writes_it_once(
    world: Exercise, treasurer: Visitor, ref: str
) -> None:
    page = treasurer.get(f"{LIST}/{ref}")
    answers = [treasurer.fill(page, "/ecriture", **line()) for _ in range(2)]
    assert [one.status_code for one in answers] == [303, 303]
    assert len(shown(world, ref)["ledger"]) == 1


def test_who_writes_second_sees_the_sums_now(world: Exercise, treasurer: Visitor, ref: str) -> None:
    page = treasurer.get(f"{LIST}/{ref}")
    world.spend(ref, "commitment", 1_000_000)
    answer = treasurer.fill(page, "/ecriture", **line(amount="1 000 000"))
    assert answer.status_code == 409
    assert "engagé 1 000 000 F CFA, facturé 0 F CFA, payé 0 F CFA" in plain(answer)
    assert 'value="1 000 000"' in answer.text
    assert treasurer.fill(answer, "/ecriture", **line(amount="1 000 000")).status_code == 303
    assert shown(world, ref)["committed"] == 2_000_000


def test_a_line_is_taken_back_once_with_a_reason(
    world: Exercise, treasurer: Visitor, ref: str
) -> None:
    world.spend(ref, "payment", 700_000, reason="Avance.")
    here = f"{LIST}/{ref}"
    ask = f"{here}/ecritures/1/annuler"
    assert f'href="{ask}"' in treasurer.get(here).text
    page = treasurer.get(ask)
    assert "−700 000 F CFA" in plain(page).replace("− ", "−")
    assert treasurer.fill(page, "/annuler").status_code == 422
    done = treasurer.fill(page, "/annuler", reason=HOSTILE)
    assert done.headers["location"] == f"{here}?ligne=2#comptes"
    work = shown(world, ref)
    assert (work["paid"], work["ledger"][1]["reason"]) == (0, HOSTILE)
    assert "annulée par la ligne 2" in plain(treasurer.get(here))
    assert "/annuler" not in treasurer.get(here).text
    late = treasurer.fill(page, "/annuler", reason="Encore.")
    assert late.status_code == 409
    assert "déjà annulée" in plain(late)
    assert "/annuler" not in forms(treasurer.get(ask))
    assert treasurer.get(f"{here}/ecritures/9/annuler").status_code == 404


# Finished works


def test_reports_of_a_finished_work_are_closed_in_one_act(world: Exercise, pages: Visitor) -> None:
    pins = [world.report("lighting", description=HOSTILE) for _ in range(3)]
    ref = open_work(world, reports=[one["id"] for one in pins], title="Éclairer le marché")
    begin(world, ref)
    world.build(ref, "completion", note="Fini.")
    _tell_reports(world)
    here = f"{DESK}/travaux-finis"
    assert f'href="{here}"' in pages.get(DESK).text
    page = pages.get(here)
    assert page.status_code == 200, page.text
    assert HOSTILE not in page.text
    assert f"Les travaux « Éclairer le marché » ({ref}) sont terminés" in plain(page)
    found = re.findall(r'name="refs" value="([^"]+)" checked', page.text)
    ticks = {value.split(":")[1]: value for value in found}
    assert set(ticks) == {one["ref"] for one in pins}
    assert pages.fill(page, "/travaux-finis").status_code == 422
    closed, changed, left = (one["ref"] for one in pins)
    world.answer(changed, "in_progress")
    answer = pages.fill(page, "/travaux-finis", refs=[ticks[closed], ticks[changed]])
    assert answer.status_code == 200
    said = plain(answer)
    assert "1 signalement clos. 1 n'a pas pu l'être :" in said
    assert f"{changed} : changé entre-temps par quelqu'un d'autre" in said
    told = world.call("GET", f"reports/{closed}")
    assert told["status"] == "resolved"
    note = " ".join(told["history"][-1]["public_note"].split())
    assert f"« Éclairer le marché » ({ref})" in note
    assert world.call("GET", f"reports/{left}")["status"] == "received"
    assert closed not in "".join(re.findall(r'name="refs" value="[^"]+"', answer.text))
    tried = [ticks[left], "nonsense", "a:b:c", f"{ref}:S-2222222:1"]
    fields = {"refs": tried, f"note_{ref}": "C'est fait."}
    answer = pages.fill(answer, "/travaux-finis", **fields)
    assert answer.status_code == 200
    assert world.call("GET", f"reports/{left}")["history"][-1]["public_note"] == "C'est fait."
    assert "S-2222222" in plain(answer)
    assert world.visitor({COTONOU: ("works.manage",)}).get(here).status_code == 403


def _tell_reports(world: Exercise) -> None:
    with sessionmaker(world.proposals.state.engine)() as session:
        told = outbox.read(session, "proposals", after=0, upto=2**31, limit=10_000)
    with sessionmaker(world.reports.state.engine).begin() as session:
        for one in told:
            if one.event.type in CONSUMER.handlers:
                inbox.apply(session, CONSUMER, one.event)


def test_nothing_to_close_is_said(world: Exercise) -> None:
    agent = world.visitor({"0405": ("reports.manage",)})
    page = agent.get("/mairie/0405/travaux-finis")
    assert "Aucun signalement n'attend la fin de travaux." in plain(page)
