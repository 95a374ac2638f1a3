"""The kernel's edges: limits, problems, tokens, identifiers, texts."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.accounts.tokens import Signer
from services.common import problems
from services.common.auth import EVERYWHERE, FixedKeys, KeySet, Principal, read_token
from services.common.ids import REF_ALPHABET, new_id, new_ref
from services.common.limits import BodyLimit
from services.common.problems import (
    STATUS,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from services.common.requests import (
    Body,
    Words,
    id_or_ref,
    next_link,
    one_line,
    read_cursor,
    visible,
)
from tests.apps import Tokens, make_key

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(make_key(tmp_path_factory.mktemp("keys") / "key.pem"))


def app_raising(error: Exception) -> TestClient:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("kind", [k for k in STATUS if k is not TooMany and k is not Invalid])
def test_every_kind_of_refusal_is_a_problem_document(kind: type[DomainError]) -> None:
    answer = app_raising(kind("because")).get("/")
    assert answer.status_code == STATUS[kind]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "because"


def test_a_subclass_has_its_kind_s_status_and_its_own_code() -> None:
    class Taken(Conflict):
        """Taken."""

        code = "taken"

    answer = app_raising(Taken(status_now="closed")).get("/")
    assert (answer.status_code, answer.json()["code"]) == (409, "taken")
    assert answer.json()["status_now"] == "closed"


def test_too_many_says_when_to_come_back() -> None:
    assert app_raising(TooMany("slowly", 60)).get("/").headers["Retry-After"] == "60"


def test_an_invalid_field_is_pointed_at() -> None:
    errors = app_raising(Invalid("no", "/lon")).get("/").json()["errors"]
    assert errors == [{"pointer": "/lon", "detail": "no"}]


def test_an_unexpected_error_tells_an_incident_and_nothing_else() -> None:
    answer = app_raising(RuntimeError("SELECT phone FROM users")).get("/")
    assert answer.status_code == 500
    assert UUID(answer.json()["incident"])
    assert "SELECT" not in answer.text


@pytest.fixture
def limited() -> TestClient:
    app = FastAPI()

    @app.post("/{path:path}")
    async def size(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(BodyLimit, limits={"/big": 1000})
    return TestClient(app)


@pytest.mark.parametrize(("path", "size", "status"), [("/big", 1000, 200), ("/big", 1001, 413)])
def test_bodies_are_bounded_declared_or_streamed(
    limited: TestClient, path: str, size: int, status: int
) -> None:
    assert limited.post(path, content=b"x" * size).status_code == status
    chunks = (b"x" * 100 for _ in range(0, size, 100))
    streamed = limited.post(path, content=chunks)
    assert streamed.status_code == (200 if size == 1000 else 413)


def test_a_nonsense_length_is_refused(limited: TestClient) -> None:
    answer = limited.post("/", content=b"x", headers={"Content-Length": "-5"})
    assert answer.status_code == 413


class Jwks:
    """A real issuer over HTTP whose key set can change or fail."""

    def __init__(self) -> None:
        self.document: Any = {"keys": []}
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = json.dumps(issuer.document).encode()
                self.send_response(200 if issuer.document is not None else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Jwks]:
    made = Jwks()
    yield made
    made.close()


def test_keys_are_fetched_when_met_and_kept_when_the_issuer_fails(
    issuer: Jwks, signer: Signer
) -> None:
    issuer.document = signer.jwks
    keys = KeySet(issuer.url, min_interval=0.0, max_age=0.0)
    token = signer.sign(uuid4(), {}, timedelta(minutes=1))
    read_token(token, keys)
    issuer.document = None
    read_token(token, keys)
    assert issuer.asked == 2


def test_forged_key_ids_do_not_flood_the_issuer(issuer: Jwks, signer: Signer) -> None:
    issuer.document = signer.jwks
    keys = KeySet(issuer.url)
    for n in range(20):
        with pytest.raises(Unauthenticated):
            keys.get(f"forged{n}")
    assert issuer.asked == 1


def test_without_any_key_tokens_cannot_be_checked() -> None:
    with pytest.raises(Unavailable):
        KeySet("http://127.0.0.1:9/jwks.json").get("any")


def test_a_token_carries_its_grants(signer: Signer) -> None:
    user = uuid4()
    token = signer.sign(user, {"0801": ["reports.manage"]}, timedelta(minutes=1))
    principal = read_token(token, FixedKeys(signer.jwks))
    assert principal.user_id == user
    assert principal.can("reports.manage", "0801")
    assert not principal.can("reports.manage", "0405")
    assert not principal.can("roles.grant", "0801")
    with pytest.raises(Forbidden):
        principal.require("reports.manage", "0405")


def test_everywhere_is_everywhere() -> None:
    assert Principal(uuid4(), {EVERYWHERE: frozenset({"p"})}).can("p", "0405")


def test_tokens_of_another_key_or_time_are_refused(signer: Signer, tmp_path: Path) -> None:
    keys = FixedKeys(signer.jwks)
    other = Tokens(Signer(make_key(tmp_path / "other.pem")))
    stolen = other.bearer()["Authorization"].removeprefix("Bearer ")
    for token in (
        stolen,
        signer.sign(uuid4(), {}, timedelta(seconds=-1)),
        "",
        "a.b.c",
        "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9.eyJzdWIiOiJ4In0.",
    ):
        with pytest.raises(Unauthenticated):
            read_token(token, keys)


def test_ids_are_version_7_and_in_order() -> None:
    made = [new_id() for _ in range(200)]
    assert {one.version for one in made} == {7}
    assert made == sorted(made)


def test_references_can_be_said_aloud() -> None:
    made = new_ref("S", 7)
    assert len(made) == 9
    assert set(made[2:]) <= set(REF_ALPHABET)
    assert not set("01OIULV") & set(REF_ALPHABET) - set("V")


@given(st.text(max_size=80))
def test_any_text_is_an_id_or_a_reference(text: str) -> None:
    found = id_or_ref(text)
    assert isinstance(found, UUID) or ("\x00" not in found and len(found) <= 80)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.uuids(),
)
def test_a_cursor_reads_back(at: Any, last: UUID) -> None:
    from urllib.parse import parse_qs, urlsplit

    request = Request(
        {"type": "http", "path": "/x", "query_string": b"a=1", "headers": [], "method": "GET"}
    )
    query = parse_qs(urlsplit(next_link(request, at, last)).query)
    assert query["a"] == ["1"]
    found = read_cursor(query["cursor"][0])
    assert found is not None
    assert found == (at, last)


@given(st.text(max_size=60))
def test_other_cursors_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_cursor(text)


@pytest.mark.parametrize(
    "text", ["\u202e\u200b", "a\nb", "a\x1b[31mb", "a\u2028b", "\u202ereversed", "…", "\ud800a"]
)
def test_a_line_is_visible_and_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"character|letter"):
        one_line(text)


@pytest.mark.parametrize("text", ["Dix lampadaires", "Ɖɔ̀ gbè ɖò tɔ̀n", "Ẹ̀kọ́", "ب\u200cب", "3"])
def test_lines_of_any_language_pass(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.parametrize(
    "words",
    [
        "\u200b",
        "\u200b\u200d\ufeff",
        "\u00a0\u2003",
        "\u2800\u2800",
        "\u3164",
        "\u202e\u2066",
        "\u0301",
    ],
)
def test_words_that_nobody_can_see_are_none(words: str) -> None:
    with pytest.raises(ValueError, match="nothing to read"):
        visible(words)


@pytest.mark.parametrize("words", ["Oui.", "👍", "?!", "e\u0301cole", "وافق", "a\u200b"])
def test_words_that_can_be_seen_are_kept_as_they_are(words: str) -> None:
    assert visible(words) == words


def test_words_may_be_left_out_but_not_be_invisible() -> None:
    class Reasoned(Body):
        reason: Words = ""

    assert (Reasoned().reason, Reasoned(reason="  ").reason) == ("", "")
    assert Reasoned(reason=" À tort. ").reason == "À tort."
    for unseen in ("\u200b", "\u2060\u200d", "\u3164"):
        with pytest.raises(ValidationError, match="nothing to read"):
            Reasoned(reason=unseen)
    with pytest.raises(ValidationError, match="NUL"):
        Reasoned(reason="a\x00b")
