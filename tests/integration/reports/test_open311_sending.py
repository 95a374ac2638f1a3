"""Reports sent by somebody else's software: keys, places, questions, photos, retries, hostility."""

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from fastapi.testclient import TestClient
from PIL import Image

from services.reports.domain import MAX_PHOTOS
from services.reports.open311 import domain
from tests.apps import Tokens, count, serve
from tests.integration.reports.open311_world import (
    FORM,
    PRODUCTION,
    TEST,
    World,
    open_world,
    plain,
    xml,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

TABLES = ("reports", "history", "attachments", "contacts", "outbox", "idempotency_keys")


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens, media: Path) -> Iterator[World]:
    with open_world(fresh_database, tokens, media) as made:
        yield made


@pytest.fixture(scope="module")
def key(world: World) -> str:
    return world.key()


def stored(world: World) -> dict[str, int]:
    """Count the rows of every table that a refused request must not touch."""
    return {table: count(world.database, "reports", table) for table in TABLES}


def report(world: World, ref: str) -> dict[str, Any]:
    (row,) = world.sql(f"SELECT * FROM reports WHERE ref = '{ref}'")
    return row


def image(kind: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind)
    return out.getvalue()


# What is accepted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "xml"])
def test_an_accepted_request_is_a_report_with_its_id(world: World, key: str, form: str) -> None:
    answer = world.post(key, form, email="", attribute="")
    assert answer.status_code == 200
    (sent,) = answer.json() if form == "json" else plain(xml(answer))
    assert set(sent) == {"service_request_id", "service_notice", "account_id"}
    assert sent["service_notice"].startswith("Confié à : Service de la voirie. Réparation")
    assert sent["account_id"] is None
    kept = report(world, sent["service_request_id"])
    assert kept["commune"] == "0801"
    assert kept["channel"] == "open311"
    assert kept["category"] == "roads"
    assert kept["reporter"] is None
    assert set(kept["attributes"]) == {"client"}
    (event,) = world.sql(f"SELECT type FROM outbox WHERE subject = '{kept['id']}'")
    assert event["type"] == "bj.palabre.report.received.v1"
    (found,) = world.get(f"requests/{kept['ref']}.json")
    assert found["description"] == "Un trou dans la chaussée"


def test_a_description_may_be_missing_and_texts_may_be_in_any_script(
    world: World, key: str
) -> None:
    silent = world.sent(key, description=None, service_code="noise")
    assert report(world, silent)["description"] == "Nuisance sonore (sans description)"
    said = "Ègbɛ́ ɖò ali jí — « l’eau » 水 🚰\n\tdeuxième ligne"
    assert report(world, world.sent(key, description=said))["description"] == said


def test_answers_to_a_services_questions_are_kept_by_type(world: World, key: str) -> None:
    ref = world.sent(
        key,
        service_code="waste",
        **{"attribute[kind][]": ["rubble", "plants", "rubble"], "attribute[size]": "cart"},
    )
    assert report(world, ref)["attributes"]["answers"] == {
        "kind": ["rubble", "plants"],
        "size": "cart",
    }
    ref = world.sent(
        key,
        service_code="lighting",
        **{"attribute[pole]": " CT-0412 ", "attribute[lamps]": "2", "attribute[fault]": ""},
    )
    assert report(world, ref)["attributes"]["answers"] == {"pole": "CT-0412", "lamps": 2}
    ref = world.sent(
        key,
        service_code="water",
        **{"attribute[since]": "2026-11-01", "attribute[detail]": "Rouge\net trouble"},
    )
    assert report(world, ref)["attributes"]["answers"] == {
        "since": "2026-10-31T23:00:00+00:00",
        "detail": "Rouge\net trouble",
    }


BAD_ATTRIBUTES = [
    ("buildings", {}, "attribute[building]: required"),
    ("buildings", {"attribute[building]": ""}, "attribute[building]: required"),
    ("waste", {"attribute[size]": "huge"}, "attribute[size]: one of bag"),
    ("waste", {"attribute[size][]": ["bag", "cart"]}, "one value only"),
    ("waste", {"attribute[kind][]": ["rubble", "gold"]}, "attribute[kind]: one of"),
    ("waste", {"attribute[colour]": "red"}, "no such attribute"),
    ("noise", {"attribute[size]": "bag"}, "no such attribute"),
    ("lighting", {"attribute[danger]": "x"}, "no such attribute"),  # it only tells something
    ("lighting", {"attribute[lamps]": "NaN"}, "attribute[lamps]"),
    ("lighting", {"attribute[lamps]": "1e400"}, "attribute[lamps]"),
    ("lighting", {"attribute[lamps]": "9" * 400}, "attribute[lamps]"),
    ("lighting", {"attribute[pole]": "x" * 201}, "200 characters"),
    ("lighting", {"attribute[pole]": "a\x00b"}, "control"),
    ("water", {"attribute[since]": "hier"}, "attribute[since]"),
    ("water", {"attribute[detail]": "x" * 2001}, "2000 characters"),
    ("waste", {"attribute[<b>]": "x"}, "attribute[code]"),
    ("waste", {"attribute[size": "bag"}, "attribute[code]"),
]


@pytest.mark.parametrize(("service", "sent", "words"), BAD_ATTRIBUTES)
def test_a_wrong_answer_is_refused_by_name(
    world: World, key: str, service: str, sent: dict[str, Any], words: str
) -> None:
    before = stored(world)
    assert words in world.refused(world.post(key, service_code=service, **sent), 400)
    assert stored(world) == before


def test_every_wrong_answer_is_told_at_once(world: World, key: str) -> None:
    sent = {"attribute[size]": "huge", "attribute[colour]": "red", "service_code": "waste"}
    errors = [error.tag for error in xml(world.post(key, "xml", **sent))]
    assert errors == ["error", "error"]


def test_contacts_are_kept_for_staff_and_for_nobody_else(world: World, key: str) -> None:
    ref = world.sent(
        key,
        first_name="Afi",
        last_name="Dossou",
        phone="+229 01 97 00 00 42",
        email="afi@example.bj",
        device_id="device-sentinel",
        account_id="account-sentinel",
    )
    kept = report(world, ref)
    (contact,) = world.sql(f"SELECT * FROM contacts WHERE report_id = '{kept['id']}'")
    assert contact == {
        "report_id": kept["id"],
        "name": "Afi Dossou",
        "phone": "+229 01 97 00 00 42",
        "email": "afi@example.bj",
        "device": "device-sentinel",
        "account": "account-sentinel",
    }
    mine = world.client.get(f"/api/v1/reports/{ref}", headers=world.tokens.agent("0801")).json()
    assert mine["staff"]["contact"]["email"] == "afi@example.bj"
    assert "afi@" not in world.client.get(f"/api/v1/reports/{ref}").text


# Where it is --------------------------------------------------------------------------------------


def test_a_place_may_be_an_arrondissement_by_code_or_by_name(world: World, key: str) -> None:
    nowhere = {"lat": None, "long": None}
    ref = world.sent(key, **nowhere, address_id="0801-05")
    assert report(world, ref)["arrondissement"] == "0801-05"
    ref = world.sent(key, **nowhere, address_string="Près du marché, 11ème Arrondissement, Cotonou")
    kept = report(world, ref)
    assert kept["geom"] is None
    assert kept["arrondissement"] == "0801-02"
    assert kept["landmark"] == "Près du marché, 11ème Arrondissement, Cotonou"
    calavi = world.key("0301")
    ref = world.sent(calavi, **nowhere, address_string="derrière l'école, GODOMEY, Abomey-Calavi")
    (kept,) = world.get(f"requests/{ref}.json")
    assert kept["address"].endswith("Godomey, Abomey-Calavi")
    ref = world.sent(key, address_string="En face de la\npharmacie")  # beside a point
    assert report(world, ref)["landmark"] == "En face de la pharmacie"


BAD_PLACES: list[tuple[dict[str, Any], str]] = [
    ({"lat": None, "long": None}, "give lat and long, address_id, or address_string"),
    ({"lat": None}, "lat and long go together"),
    ({"long": ""}, "lat and long go together"),
    ({"lat": "NaN"}, "lat: "),
    ({"long": "inf"}, "long: "),
    ({"lat": "6,37"}, "lat: "),
    ({"lat": "6_3"}, "lat: "),
    ({"lat": "91"}, "lat: "),
    ({"long": "-181"}, "long: "),
    ({"lat": "2.42", "long": "6.37"}, "swapped"),
    ({"lat": "48.85", "long": "2.35"}, "not in Bénin"),
    ({"lat": "9.337", "long": "2.628", "jurisdiction_id": "0801"}, "too far"),
    ({"lat": None, "long": None, "address_id": "0801-99"}, "address_id: "),
    ({"lat": None, "long": None, "address_id": "0801"}, "address_id: "),
    ({"lat": None, "long": None, "address_id": "0405-01", "jurisdiction_id": "0801"}, "another"),
    ({"lat": None, "long": None, "address_string": "rue 12, Cotonou"}, "no arrondissement"),
    (
        {"lat": None, "long": None, "address_string": "entre le 2e arrondissement et le 3e "
         "arrondissement"},
        "several arrondissements",
    ),
    ({"address_string": "x" * 201}, "address_string: 200"),
    ({"address_string": "a\x00b"}, "address_string: "),
]  # fmt: skip


@pytest.mark.parametrize(("place", "words"), BAD_PLACES)
def test_a_place_that_cannot_be_is_refused(
    world: World, key: str, place: dict[str, Any], words: str
) -> None:
    before = stored(world)
    assert words in world.refused(world.post(key, **place), 400)
    assert stored(world) == before


def test_a_national_client_sends_anywhere_and_says_where_for_an_address(world: World) -> None:
    key = world.key("*")
    ref = world.sent(key, lat="9.337", long="2.628")
    assert report(world, ref)["commune"] == "0405"
    ref = world.sent(key, jurisdiction_id="0801")
    assert report(world, ref)["commune"] == "0801"
    named = {"lat": None, "long": None, "address_string": "2e arrondissement"}
    assert "jurisdiction_id: required" in world.refused(world.post(key, **named), 400)
    ref = world.sent(key, **named, jurisdiction_id="0405")
    assert report(world, ref)["arrondissement"] == "0405-02"


# Who may send -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("given", [None, "", "palabre_nothing", "\x00", "é"])
def test_without_a_good_key_nothing_is_stored(world: World, form: str, given: str | None) -> None:
    before = stored(world)
    sent = {**({} if given is None else {"api_key": given}), "service_code": "roads"}
    answer = world.client.post(
        f"{PRODUCTION}/requests.{form}",
        content=urlencode(sent),
        headers={"Content-Type": FORM},
    )
    assert "api_key" in world.refused(answer, 403)
    assert stored(world) == before


def test_the_key_of_another_commune_is_refused(world: World, key: str) -> None:
    before = stored(world)
    parakou = {"lat": "9.337", "long": "2.628"}
    sent: list[dict[str, Any]] = [
        {"jurisdiction_id": "0405", **parakou},
        {"jurisdiction_id": "0405"},
        parakou,
        {"lat": None, "long": None, "address_id": "0405-01"},
    ]
    for one in sent:
        assert "another commune" in world.refused(world.post(key, **one), 403)
    assert stored(world) == before


def test_unknown_things_are_404_and_a_missing_service_is_400(world: World, key: str) -> None:
    world.refused(world.post(key, service_code="potholes"), 404)
    world.refused(world.post(key, jurisdiction_id="9999"), 404)
    world.refused(world.post(key, service_code=""), 400)
    world.refused(world.post(key, service_code="\x00"), 404)


def test_a_client_may_send_so_many_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "REQUESTS_PER_HOUR", 2)
    key = world.key()
    world.refused(world.post(key, lat="x"), 400)  # a refusal counts
    world.sent(key)
    answer = world.post(key, "xml")
    world.refused(answer, 429)
    assert answer.headers["retry-after"] == "3600"
    world.sent(world.key())  # and nobody else pays for it


# Photos -------------------------------------------------------------------------------------------


def test_photos_come_with_the_form_whatever_their_fields_are_called(world: World, key: str) -> None:
    files = [
        ("media", ("../../etc/passwd", image(), "text/html")),
        ("media[]", ("b.png", image("PNG"), "image/png")),
        ("photo2", ("c", image("WEBP"), "application/octet-stream")),
        ("media", ("", b"", "application/octet-stream")),
    ]
    ref = world.sent(key, files=files, description="Trois photos é")
    (found,) = world.get(f"requests/{ref}.json")
    assert found["description"] == "Trois photos é"
    assert found["media_url"].startswith("http://testserver/api/v1/uploads/")
    photo = world.client.get(found["media_url"])
    assert photo.headers["content-type"] == "image/jpeg"
    kept = report(world, ref)
    assert world.sql(f"SELECT count(*) FROM attachments WHERE report_id = '{kept['id']}'") == [
        {"count": 3}
    ]


def test_bad_photos_refuse_the_whole_request(world: World, key: str) -> None:
    before = stored(world)
    good, bad = ("media", ("a.jpg", image(), "image/jpeg")), ("media", ("b.jpg", b"<svg/>", "x/y"))
    world.refused(world.post(key, files=[good, bad]), 400)
    cut = image(size=(400, 400))[:900]
    world.refused(world.post(key, files=[("media", ("a.jpg", cut, "image/jpeg"))]), 400)
    world.refused(world.post(key, files=[good] * (MAX_PHOTOS + 1)), 400)
    world.refused(world.post(key, files=[good] * (MAX_PHOTOS + 5)), 400)
    huge = ("media", ("a.jpg", b"\xff\xd8" + bytes(10 * 1024 * 1024), "image/jpeg"))
    world.refused(world.post(key, files=[huge]), 413)
    assert stored(world) == before


def test_a_media_url_is_kept_for_staff_and_never_fetched(world: World, key: str) -> None:
    asked: list[str] = []

    async def trap(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    with serve(trap) as url:
        ref = world.sent(key, media_url=[f"{url}/a.jpg", "https://example.org/b"])
    assert asked == []
    assert report(world, ref)["attributes"]["media_urls"] == [
        f"{url}/a.jpg",
        "https://example.org/b",
    ]
    (found,) = world.get(f"requests/{ref}.json")
    assert found["media_url"] is None
    assert "example.org" not in world.client.get(f"/api/v1/reports/{ref}").text


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "javascript:alert(1)", "//host/x", "http://", "http://a b", "x" * 2001,
     "http://[::1", "https://exämple.org/", "http://a/\x00"],
)  # fmt: skip
def test_a_media_url_that_is_none_is_refused(world: World, key: str, url: str) -> None:
    assert "media_url: " in world.refused(world.post(key, media_url=url), 400)


# Retries ------------------------------------------------------------------------------------------


def test_the_same_idempotency_key_stores_once_in_both_formats(world: World, key: str) -> None:
    once = {"Idempotency-Key": str(uuid.uuid4())}
    files = [("media", ("a.jpg", image(), "image/jpeg"))]
    first = world.post(key, headers=once, files=files)
    before = stored(world)
    # Another boundary, another format: the same request all the same.
    again = world.post(key, "xml", headers=once, files=files)
    assert again.headers["idempotent-replayed"] == "true"
    (sent,) = first.json()
    assert plain(xml(again)) == [sent]
    assert "idempotent-replayed" not in first.headers
    world.refused(world.post(key, headers=once, description="Autre chose"), 400)
    world.refused(world.post(key, headers=once, at=TEST, files=files), 400)
    another = [("media", ("a.jpg", image(size=(41, 30)), "image/jpeg"))]
    world.refused(world.post(key, headers=once, files=another), 400)
    assert stored(world) == before
    other = world.post(world.key(), headers=once, files=files)
    assert other.json()[0]["service_request_id"] != sent["service_request_id"]
    world.refused(world.post(key, headers={"Idempotency-Key": "1"}), 400)


def test_without_one_a_retry_is_a_second_report(world: World, key: str) -> None:
    assert world.sent(key) != world.sent(key)


def test_a_reference_that_is_taken_is_drawn_again(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = world.sent(key)
    draws = iter([taken, taken, "S-FRESH22"])
    monkeypatch.setattr("services.reports.service.new_ref", lambda *_: next(draws))
    assert world.sent(key) == "S-FRESH22"


# The test endpoint --------------------------------------------------------------------------------


def test_the_test_endpoint_checks_everything_and_keeps_nothing(world: World, key: str) -> None:
    for_tests = world.key(test=True)
    before = {t: n for t, n in stored(world).items() if t != "idempotency_keys"}
    files_before = sorted(world.folder.rglob("*"))
    photo = [("media", ("a.jpg", image(), "image/jpeg"))]
    for holder in (key, for_tests):
        answer = world.post(holder, at=TEST, files=photo, email="a@example.org", phone="1")
        assert answer.status_code == 200, answer.text
        (sent,) = answer.json()
        ref = sent["service_request_id"]
        assert ref.startswith("TEST-")
        assert sent["service_notice"].startswith("Confié à : Service de la voirie.")
        gone = world.client.get(f"{TEST}/requests/{ref}.json")
        assert "not kept" in world.refused(gone, 404)
    bad = [("media", ("a.jpg", b"none", "image/jpeg"))]
    world.refused(world.post(for_tests, at=TEST, files=bad), 400)
    world.refused(world.post(for_tests, at=TEST, lat="2.42", long="6.37"), 400)
    world.refused(world.post(for_tests, at=TEST, service_code="buildings"), 400)
    world.refused(world.post("", at=TEST), 403)
    once = {"Idempotency-Key": str(uuid.uuid4())}
    first = world.post(for_tests, at=TEST, headers=once).json()
    assert world.post(for_tests, at=TEST, headers=once).json() == first
    assert {t: n for t, n in stored(world).items() if t != "idempotency_keys"} == before
    assert sorted(world.folder.rglob("*")) == files_before


def test_a_test_key_opens_nothing_but_the_test_endpoint(world: World) -> None:
    before = stored(world)
    answer = world.post(world.key(test=True))
    assert "test endpoint only" in world.refused(answer, 403)
    assert stored(world) == before


# Hostile forms ------------------------------------------------------------------------------------


def test_markup_in_a_description_stays_text_in_both_formats(world: World, key: str) -> None:
    said = "]]></description><request/><!-- & --> <?xml?> \"' {{7*7}} <script>alert(1)</script>"
    ref = world.sent(key, description=said, address_string="<b>&amp;</b> ici")
    (found,) = world.get(f"requests/{ref}.json")
    (same,) = plain(xml(world.client.get(f"{PRODUCTION}/requests/{ref}.xml")))
    assert found["description"] == same["description"] == said
    assert same["address"].startswith("<b>&amp;</b> ici, ")


def test_characters_that_xml_cannot_hold_are_left_out_of_it(world: World, key: str) -> None:
    ref = world.sent(key, description="cloche \x07 et \x1b[31m rouge \ufffe\uffff fin")
    (same,) = plain(xml(world.client.get(f"{PRODUCTION}/requests/{ref}.xml")))
    assert same["description"] == "cloche  et [31m rouge  fin"
    (found,) = world.get(f"requests/{ref}.json")
    assert "\x07" in found["description"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"description": "a\x00b"}, "description: "),
        ({"description": "x" * 4001}, "description: "),
        ({"description": "ab"}, "description: "),
        ({"email": "x" * 255}, "email: "),
        ({"phone": "1\x00"}, "phone: "),
    ],
)
def test_texts_are_bounded_and_without_nul(
    world: World, key: str, more: dict[str, str], words: str
) -> None:
    before = stored(world)
    assert words in world.refused(world.post(key, **more), 400)
    assert stored(world) == before


RAW: list[tuple[str, bytes, int]] = [
    ("application/json", json.dumps({"service_code": "roads"}).encode(), 400),
    ("text/xml", b"<x/>", 400),
    ("", b"service_code=roads", 400),
    (FORM, b"", 403),
    (FORM, b"service_code=%ff%fe&api_key=x", 400),
    (FORM, b"\xff\xfe", 400),
    (FORM, b"&".join(b"a%d=1" % n for n in range(300)), 400),
    (f"{FORM}; charset=utf-7", b"description=+2AA-", 400),
    (FORM, b"description=" + b"x" * (300 * 1024), 413),
    ("multipart/form-data", b"x", 400),
    ("multipart/form-data; boundary=b", b"x", 400),
    ("multipart/form-data; boundary=b", b"--b\r\n\r\nno name\r\n--b--\r\n", 400),
    ("multipart/form-data; boundary=b; charset=unicode_escape", b"--b--\r\n", 400),
    (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="description"\r\n\r\n'
        + b"x" * (300 * 1024)
        + b"\r\n--b--\r\n",
        400,
    ),
    ("multipart/form-data; boundary=b", bytes(26 * 1024 * 1024), 413),
    (FORM, bytes(26 * 1024 * 1024), 413),
]


@pytest.mark.parametrize(("kind", "body", "code"), RAW)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_form_that_is_none_is_refused_in_the_format(
    world: World, kind: str, body: bytes, code: int, form: str
) -> None:
    before = stored(world)
    headers = {"Content-Type": kind} if kind else {}
    answer = world.client.post(f"{PRODUCTION}/requests.{form}", content=body, headers=headers)
    world.refused(answer, code)
    assert answer.headers["content-type"].startswith({"json": "app", "xml": "text/xml"}[form])
    assert stored(world) == before


def test_ten_megabytes_in_pieces_are_refused_over_the_network(world: World) -> None:
    with serve(world.make_app()) as url:
        pieces = (b"description=" if n == 0 else b"x" * 65536 for n in range(160))
        answer = requests.post(
            f"{url}{PRODUCTION}/requests.xml",
            data=pieces,
            headers={"Content-Type": FORM},
            timeout=60,
        )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert xml(answer).tag == "errors"


def test_the_last_of_two_texts_of_one_name_holds(world: World, key: str) -> None:
    ref = world.sent(key, description=["La première", "La seconde", " "])
    assert report(world, ref)["description"] == "La seconde"


def test_our_own_failure_stores_nothing(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(world)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr("services.reports.open311.service.notice", broken)
    with TestClient(world.make_app(), raise_server_exceptions=False) as client:
        monkeypatch.setattr(world, "client", client)
        answer = world.post(key)
    assert "secret" not in world.refused(answer, 500)
    assert stored(world) == before
