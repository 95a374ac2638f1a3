"""Signing in, roles and tokens, over a real database."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count as count_up
from itertools import repeat
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from services.accounts import service
from services.accounts.main import make_app
from services.accounts.settings import Settings
from services.common.db import make_engine
from services.common.problems import DomainError
from tests.apps import Tokens, count, rows
from tests.servers import Database

pytestmark = pytest.mark.integration
PHONE = "+2290197000042"


def settings_for(database: Database, key: Path, **more: object) -> Settings:
    return Settings(
        _env_file=None,
        database_url=database.url("accounts"),
        signing_key_file=key,
        pepper="pepper",
        **{"env": "demo", **more},
    )


@pytest.fixture
def client(fresh_database: Database, signing_key: Path) -> Iterator[TestClient]:
    with TestClient(make_app(settings_for(fresh_database, signing_key))) as made:
        yield made


@pytest.fixture
def sessions(fresh_database: Database) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(fresh_database.url("accounts"), threads=2)
    yield sessionmaker(engine)
    engine.dispose()


def ask(client: TestClient, phone: str = PHONE) -> str:
    answer = client.post("/api/v1/auth/codes", json={"phone": phone})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["demo_code"])


def test_a_code_gives_tokens_once(client: TestClient) -> None:
    code = ask(client, "01 97 00 00 01")
    body = {"phone": "+2290197000001", "code": code}
    answer = client.post("/api/v1/auth/tokens", json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["token_type"] == "bearer"
    assert found["expires_in"] == 900
    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {found['access_token']}"})
    assert me.json()["phone"] == "+229 •• 01"
    assert me.json()["roles"] == []
    again = client.post("/api/v1/auth/tokens", json=body)
    assert again.status_code == 401
    assert again.json()["code"] == "bad_code"


def test_five_wrong_tries_spend_the_code(client: TestClient) -> None:
    phone = "+2290197000002"
    code = ask(client, phone)
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(5):
        assert (
            client.post("/api/v1/auth/tokens", json={"phone": phone, "code": wrong}).status_code
            == 401
        )
    assert (
        client.post("/api/v1/auth/tokens", json={"phone": phone, "code": code}).status_code == 401
    )


def test_guesses_at_once_all_count(client: TestClient) -> None:
    phone = "+2290197000003"
    code = ask(client, phone)
    wrong = "000000" if code != "000000" else "111111"

    def guess(_: int) -> int:
        return client.post("/api/v1/auth/tokens", json={"phone": phone, "code": wrong}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(8))) == {401}
    assert (
        client.post("/api/v1/auth/tokens", json={"phone": phone, "code": code}).status_code == 401
    )


def test_an_old_code_is_refused(client: TestClient, sessions: sessionmaker[Session]) -> None:
    from sqlalchemy import text

    phone = "+2290197000004"
    code = ask(client, phone)
    with sessions.begin() as session:
        session.execute(text("UPDATE sign_in_codes SET expires_at = now() - interval '1 s'"))
    assert (
        client.post("/api/v1/auth/tokens", json={"phone": phone, "code": code}).status_code == 401
    )


def sent_before_limit(client: TestClient, phones: Iterator[str], limit: int) -> int:
    """Ask until it is refused; return how many were sent within one clock hour."""
    hour, sent = datetime.now(UTC).hour, 0
    while sent <= limit:
        answer = client.post("/api/v1/auth/codes", json={"phone": next(phones)})
        if datetime.now(UTC).hour != hour:  # the count began anew: so does the test
            hour, sent = datetime.now(UTC).hour, int(answer.status_code == 202)
        elif answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) > 0
            return sent
        else:
            assert answer.status_code == 202
            sent += 1
    raise AssertionError("there is no limit")


def test_codes_are_limited_by_phone_and_by_address(client: TestClient) -> None:
    one_phone = repeat("+2290197000005")
    assert sent_before_limit(TestClient(client.app), one_phone, 5) == 5
    one_address = TestClient(client.app, client=("203.0.113.9", 1))
    many_phones = (f"+2290197001{n:03d}" for n in count_up())
    assert sent_before_limit(one_address, many_phones, 60) == 60


@pytest.mark.parametrize("phone", ["", "12", "+229 97", "abc", "+2290197\x00000", "9" * 40])
def test_a_bad_phone_is_refused(client: TestClient, phone: str) -> None:
    answer = client.post("/api/v1/auth/codes", json={"phone": phone})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_codes_are_not_shown_in_production(fresh_database: Database, signing_key: Path) -> None:
    settings = settings_for(fresh_database, signing_key, env="production")
    with TestClient(make_app(settings)) as client:
        answer = client.post("/api/v1/auth/codes", json={"phone": "+2290197000006"})
    assert answer.json()["demo_code"] is None


def test_the_log_holds_the_code_but_no_phone(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        code = ask(client, "+2290197000007")
    assert code in caplog.text
    assert "0197000007" not in caplog.text


def test_nothing_readable_is_stored(client: TestClient, fresh_database: Database) -> None:
    code = ask(client, "+2290197000008")
    stored = rows(fresh_database, "accounts", "SELECT code_hash FROM sign_in_codes")
    assert all(code.encode() not in bytes(row["code_hash"]) for row in stored)


def test_roles_reach_the_token_and_the_outbox(
    client: TestClient, sessions: sessionmaker[Session], fresh_database: Database
) -> None:
    phone = "+2290197000009"
    with sessions.begin() as session:
        assert service.grant(session, phone, "agent", "0801")
    with sessions.begin() as session:
        assert not service.grant(session, phone, "agent", "0801")
    tokens = client.post(
        "/api/v1/auth/tokens", json={"phone": phone, "code": ask(client, phone)}
    ).json()
    me = client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    ).json()
    assert me["roles"] == [{"role": "agent", "scope": "0801"}]
    said = rows(fresh_database, "accounts", "SELECT key, payload FROM outbox")
    assert [row["key"] for row in said] == ["0801"]
    assert phone not in str(said)
    assert me["id"] not in str(said)
    with sessions.begin() as session:
        assert service.revoke(session, phone, "agent", "0801")
    with sessions.begin() as session:
        assert not service.revoke(session, phone, "agent", "0801")
    renewed = client.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    ).json()
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert client.get("/api/v1/auth/me", headers=headers).json()["roles"] == []
    assert count(fresh_database, "accounts", "outbox") == 2


def test_a_short_foreign_number_signs_in(client: TestClient) -> None:
    body = {"phone": "+6834002", "code": ask(client, "+6834002")}
    assert client.post("/api/v1/auth/tokens", json=body).status_code == 200


@pytest.mark.parametrize(
    ("role", "commune"), [("mayor", "0801"), ("agent", None), ("agent", "9999"), ("agent", "")]
)
def test_a_wrong_grant_changes_nothing(
    sessions: sessionmaker[Session], fresh_database: Database, role: str, commune: str | None
) -> None:
    before = count(fresh_database, "accounts", "role_grants")
    with pytest.raises(DomainError), sessions.begin() as session:
        service.grant(session, PHONE, role, commune)
    assert count(fresh_database, "accounts", "role_grants") == before


def test_refresh_and_sign_out(client: TestClient) -> None:
    phone = "+2290197000010"
    tokens = client.post(
        "/api/v1/auth/tokens", json={"phone": phone, "code": ask(client, phone)}
    ).json()
    body = {"refresh_token": tokens["refresh_token"]}
    assert client.post("/api/v1/auth/refresh", json=body).status_code == 200
    assert client.post("/api/v1/auth/sign-out", json=body).status_code == 204
    ended = client.post("/api/v1/auth/refresh", json=body)
    assert ended.status_code == 401
    assert ended.json()["code"] == "session_ended"


def test_tokens_of_others_are_refused(client: TestClient, tokens: Tokens, tmp_path: Path) -> None:
    from services.accounts.tokens import Signer
    from tests.apps import make_key

    forger = Tokens(Signer(make_key(tmp_path / "other.pem")))
    expired = tokens.bearer(life=timedelta(seconds=-1))
    for headers in (
        forger.bearer(),
        expired,
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
    ):
        answer = client.get("/api/v1/auth/me", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
