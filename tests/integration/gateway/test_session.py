"""Sessions in cookies, forms against forgery, and the headers of every answer."""

import time
from datetime import timedelta
from itertools import count
from uuid import uuid4

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from gateway.session import ACCESS, CSRF, REFRESH
from services.accounts.service import grant
from services.common.db import make_engine, make_sessions
from tests.apps import Tokens
from tests.servers import Database

pytestmark = pytest.mark.integration

numbers = count(10)


def tokens_of(accounts: str, phone: str = "") -> dict[str, str]:
    phone = phone or f"+22901970000{next(numbers)}"  # codes are few per phone and hour
    code = httpx.post(f"{accounts}/api/v1/auth/codes", json={"phone": phone}).json()["demo_code"]
    body = {"phone": phone, "code": code}
    found: dict[str, str] = httpx.post(f"{accounts}/api/v1/auth/tokens", json=body).json()
    return found


def set_cookies(answer: httpx.Response) -> dict[str, str]:
    return {line.split("=", 1)[0]: line for line in answer.headers.get_list("set-cookie")}


def form_token(browser: httpx.Client) -> str:
    return browser.get("/essai/jeton").text


def test_a_session_is_two_cookies_that_scripts_cannot_read(
    browser: httpx.Client, accounts: str
) -> None:
    before = browser.get("/essai/jeton")
    assert set(set_cookies(before)) == {CSRF}
    answer = browser.post("/essai/entree", json=tokens_of(accounts))
    cookies = set_cookies(answer)
    assert set(cookies) == {ACCESS, REFRESH, CSRF}  # the visitor's forms are not the person's
    for line in cookies.values():
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
        assert "Secure" not in line
    assert "••" in browser.get("/essai/moi").json()["phone"]


def test_signing_out_ends_the_session_everywhere(browser: httpx.Client, accounts: str) -> None:
    given = tokens_of(accounts)
    browser.post("/essai/entree", json=given)
    gone = set_cookies(browser.post("/essai/sortie"))
    assert "Max-Age=0" in gone[ACCESS]
    assert "Max-Age=0" in gone[REFRESH]
    assert browser.get("/essai/moi").status_code == 303
    body = {"refresh_token": given["refresh_token"]}
    assert httpx.post(f"{accounts}/api/v1/auth/refresh", json=body).status_code == 401


def test_a_session_without_its_token_is_renewed_and_forms_stay_good(
    browser: httpx.Client, accounts: str
) -> None:
    browser.cookies.set(REFRESH, tokens_of(accounts)["refresh_token"])
    answer = browser.get("/essai/moi")
    assert answer.status_code == 200
    assert set(set_cookies(answer)) == {ACCESS}


def test_cookies_are_secure_behind_https(browser: httpx.Client) -> None:
    answer = browser.get("/essai/jeton", headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in set_cookies(answer)[CSRF]


def test_an_expired_token_is_renewed_in_passing(
    browser: httpx.Client, accounts: str, tokens: Tokens
) -> None:
    given = tokens_of(accounts)
    old = tokens.signer.sign(uuid4(), {}, timedelta(seconds=-1))
    browser.cookies.set(ACCESS, old)
    browser.cookies.set(REFRESH, given["refresh_token"])
    answer = browser.get("/essai/moi")
    assert answer.status_code == 200
    assert ACCESS in set_cookies(answer)
    assert old not in set_cookies(answer)[ACCESS]


@pytest.mark.parametrize(
    "cookie", ["", "x", "a.b.c", "é" * 3, "x" * 3000, "..", "eyJhbGciOiJub25lIn0.e30."]
)
def test_a_bad_cookie_is_nobody_and_is_removed(browser: httpx.Client, cookie: str) -> None:
    raw = f"{ACCESS}={cookie}; {REFRESH}={cookie}".encode()
    answer = browser.get("/essai/moi", headers={b"Cookie": raw})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/connexion?retour=%2Fessai%2Fmoi"
    if cookie:
        assert "Max-Age=0" in set_cookies(answer)[ACCESS]


def test_a_forged_token_is_nobody(browser: httpx.Client, accounts: str, tmp_path) -> None:
    from services.accounts.tokens import Signer
    from tests.apps import make_key

    forged = Signer(make_key(tmp_path / "other.pem")).sign(uuid4(), {"*": ["*"]}, timedelta(1))
    browser.cookies.set(ACCESS, forged)
    assert browser.get("/essai/moi").status_code == 303
    assert browser.get("/essai/mairie/0801").status_code == 303


def test_a_role_just_granted_is_seen_at_once(
    browser: httpx.Client, accounts: str, fresh_database: Database
) -> None:
    phone = "+2290197000001"
    given = tokens_of(accounts, phone)
    browser.cookies.set(ACCESS, given["access_token"])
    browser.cookies.set(REFRESH, given["refresh_token"])
    refused = browser.get("/essai/mairie/0801")
    assert refused.status_code == 403
    engine = make_engine(fresh_database.url("accounts"), threads=1)
    with make_sessions(engine).begin() as session:
        grant(session, phone, "agent", "0801")
    engine.dispose()
    answer = browser.get("/essai/mairie/0801")
    assert answer.json() == {"desks": ["0801"]}
    assert ACCESS in set_cookies(answer)
    assert browser.get("/essai/mairie/0401").status_code == 403


def test_a_form_of_ours_is_stored(browser: httpx.Client, gateway: FastAPI) -> None:
    token = form_token(browser)
    mark = str(uuid4())
    answer = browser.post("/essai/form", data={"csrf_token": token, "what": mark})
    assert answer.status_code == 200
    assert mark in gateway.state.stored
    photo = {"photo": ("p.jpg", b"x" * 400_000, "image/jpeg")}
    form = {"csrf_token": token, "what": mark}
    assert browser.post("/essai/form", data=form, files=photo).status_code == 413
    assert form_token(browser) != token  # salted: a compressed page tells nothing


def test_photos_may_be_long_but_not_without_end(browser: httpx.Client) -> None:
    form = {"csrf_token": form_token(browser)}

    def send(size: int) -> httpx.Response:
        photo = {"photo": ("p.jpg", b"x" * size, "image/jpeg")}
        return browser.post("/communes/0801/essai", data=form, files=photo)

    assert send(5_000_000).text == "5000000"
    assert send(27_000_000).status_code == 413
    text = browser.post("/communes/0801/essai", data={**form, "photo": "x" * 300_000})
    assert text.status_code == 413
    field = {**form, "text": "x" * 300_000}
    photo = {"photo": ("p.jpg", b"x", "image/jpeg")}
    assert browser.post("/communes/0801/essai", data=field, files=photo).status_code == 400


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("x", {}),
        (".", {}),
        ("salt.é", {}),
        ("another browser's", {}),
        ("ours", {"Sec-Fetch-Site": "cross-site"}),
        ("ours", {"Sec-Fetch-Site": "same-site"}),
        ("ours", {"Origin": "https://evil.example"}),
        ("ours", {"Origin": "null"}),
    ],
)
def test_a_forged_form_does_nothing(
    browser: httpx.Client, gateway: FastAPI, token: str, headers: dict[str, str]
) -> None:
    mine = form_token(browser)
    if token == "another browser's":
        with httpx.Client(base_url=gateway.state.url) as other:
            token = form_token(other)
    elif token == "ours":
        token = mine
    mark = str(uuid4())
    data = {"csrf_token": token, "what": mark}
    answer = browser.post("/essai/form", data=data, headers=headers)
    assert answer.status_code == 403
    assert mark not in gateway.state.stored
    assert answer.headers["content-type"].startswith("text/html")


def test_the_right_origin_passes(browser: httpx.Client, gateway: FastAPI) -> None:
    data = {"csrf_token": form_token(browser), "what": "w"}
    for headers in (
        {"Origin": gateway.state.url},
        {"Sec-Fetch-Site": "same-origin", "Origin": gateway.state.url},
    ):
        assert browser.post("/essai/form", data=data, headers=headers).status_code == 200


def test_a_form_that_is_too_long_is_refused_with_a_page(browser: httpx.Client) -> None:
    token = form_token(browser)
    data = {"csrf_token": token, "what": "x" * 300_000}
    answer = browser.post("/essai/form", data=data)
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")

    def chunks():
        yield b"csrf_token=" + token.encode() + b"&what="
        for _ in range(40):
            yield b"x" * 10_000

    streamed = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/essai/form", content=chunks(), headers=streamed).status_code == 413


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "punycode", "idna", "nothing"])
def test_a_form_is_in_utf_8_whatever_it_says(browser: httpx.Client, charset: str) -> None:
    def send(charset: str, token: str) -> httpx.Response:
        field = b'--xx\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        body = field % (b"csrf_token", token.encode()) + field % (b"what", "é".encode())
        kind = f"multipart/form-data; boundary=xx; charset={charset}"
        content = body + b"--xx--\r\n"
        return browser.post("/essai/form", content=content, headers={"Content-Type": kind})

    token = form_token(browser)
    assert send("UTF-8", token).status_code == 200
    answer = send(charset, "a.\\ud800")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/essai/jeton", "text/html", 200),
        ("/nulle-part", "text/html", 404),
        ("/nulle-part", "application/json", 404),
        ("/essai/panne", "text/html", 500),
        ("/essai/panne", "application/json", 500),
        ("/essai/service", "text/html", 503),
        ("/essai/moi", "text/html", 303),
        ("/api/v1/communes", "application/json", 200),
        ("/api/v1/reports", "text/html", 503),
        ("/api/v1/nothing", "text/html", 404),
        ("/static/js/map.js", "*/*", 200),
        ("/static/nothing.js", "*/*", 404),
        ("/communes/0801/layers/reports.geojson", "*/*", 200),
        ("/readyz", "*/*", 503),
        ("/healthz", "*/*", 200),
    ],
)
def test_every_answer_has_its_headers(
    browser: httpx.Client, path: str, accept: str, status: int
) -> None:
    answer = browser.get(path, headers={"Accept": accept})
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "geolocation=(self)" in answer.headers["permissions-policy"]
    page = accept == "text/html" and not path.startswith("/api/")
    if status >= 400:
        kind = "text/html" if page else "application/problem+json"
        assert answer.headers["content-type"].startswith(kind)
    assert "secret of the inside" not in answer.text


def test_pages_of_a_person_are_not_kept(browser: httpx.Client, accounts: str) -> None:
    anonymous = browser.get("/nulle-part")
    again = browser.get("/nulle-part")
    assert "set-cookie" in anonymous.headers
    assert anonymous.headers["cache-control"] == "no-store"
    assert again.headers["cache-control"] == "no-cache"
    browser.cookies.set(ACCESS, tokens_of(accounts)["access_token"])
    assert browser.get("/nulle-part").headers["cache-control"] == "no-store"


def test_hostile_headers_are_harmless(browser: httpx.Client) -> None:
    hostile = {
        b"Accept-Language": b"\xff\xfe;q=nan,x" * 200,
        b"X-Forwarded-For": b"'; DROP TABLE users; --",
        b"X-Forwarded-Proto": b"javascript:",
        b"traceparent": b"00-zz",
        b"If-None-Match": b'"\xff", W/, ,*x',
        b"Referer": b"https://evil.example/\\",
        b"Cookie": b"palabre_csrf=\xff\xff; langue=../../etc; =; a",
    }
    for path in ("/nulle-part", "/communes/0801/layers/reports.geojson", "/api/v1/communes"):
        answer = browser.get(path, headers=hostile)
        assert answer.status_code in (200, 404), path
    assert browser.get("/essai/service", headers=hostile).status_code == 503


def test_when_accounts_is_away_one_is_nobody_but_keeps_the_session(
    browser: httpx.Client, gateway: FastAPI, accounts: str
) -> None:
    browser.cookies.set(REFRESH, tokens_of(accounts)["refresh_token"])
    client = gateway.state.services.clients["accounts"]
    there = client.base_url
    client.base_url = "http://127.0.0.1:9"
    try:
        started = time.monotonic()
        answer = browser.get("/essai/moi")
        assert answer.status_code == 303
        assert REFRESH not in set_cookies(answer)
        assert time.monotonic() - started < 5
    finally:
        client.base_url = there
    assert browser.get("/essai/moi").status_code == 200
