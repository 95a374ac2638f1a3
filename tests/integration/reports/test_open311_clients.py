"""Keys of other people's software: issued once, hashed, revoked, at the desk and on the machine."""

import hashlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.reports.open311.cli import app as cli
from tests.apps import Tokens
from tests.integration.reports.open311_world import World, open_world
from tests.servers import Database

pytestmark = pytest.mark.integration

KEY = re.compile(r"palabre_[A-Za-z0-9_-]{43}")
DESK = "/api/v1/desk/0801/clients"


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens, media: Path) -> Iterator[World]:
    with open_world(fresh_database, tokens, media) as made:
        yield made


@pytest.fixture
def admin(tokens: Tokens) -> dict[str, str]:
    return tokens.bearer({"0801": ["clients.manage"]})


def test_a_key_is_shown_once_and_stored_hashed(world: World, admin: dict[str, str]) -> None:
    answer = world.client.post(DESK, json={"name": " 229 Cadre de Vie "}, headers=admin)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "commune", "name", "test", "created_at", "revoked_at", "key"}
    assert (made["name"], made["commune"], made["test"]) == ("229 Cadre de Vie", "0801", False)
    assert KEY.fullmatch(made["key"])
    (row,) = world.sql(f"SELECT * FROM api_clients WHERE id = '{made['id']}'")
    assert bytes(row["key_hash"]) == hashlib.sha256(made["key"].encode()).digest()
    assert row["created_by"] is not None
    assert made["key"] not in str(row)
    (listed,) = [one for one in world.client.get(DESK, headers=admin).json()
                 if one["id"] == made["id"]]  # fmt: skip
    assert listed == {name: value for name, value in made.items() if name != "key"}


def test_a_retry_gets_the_same_key_and_the_database_never_holds_it(
    world: World, admin: dict[str, str]
) -> None:
    once = {**admin, "Idempotency-Key": str(uuid.uuid4())}
    first = world.client.post(DESK, json={"name": "A"}, headers=once)
    again = world.client.post(DESK, json={"name": "A"}, headers=once)
    assert first.json() == again.json()
    assert world.client.post(DESK, json={"name": "B"}, headers=once).status_code == 409
    assert first.json()["key"] not in str(world.sql("SELECT * FROM idempotency_keys"))
    # Another person's same Idempotency-Key gives another key.
    other = world.tokens.bearer({"0801": ["clients.manage"]})
    theirs = world.client.post(
        DESK, json={"name": "A"}, headers={**other, "Idempotency-Key": once["Idempotency-Key"]}
    )
    assert theirs.json()["key"] != first.json()["key"]
    plain = {world.client.post(DESK, json={"name": "A"}, headers=admin).json()["key"]
             for _ in range(3)}  # fmt: skip
    assert len(plain) == 3


def test_a_forgotten_idempotency_key_is_a_conflict_and_not_a_second_client(
    world: World, admin: dict[str, str]
) -> None:
    once = {**admin, "Idempotency-Key": str(uuid.uuid4())}
    assert world.client.post(DESK, json={"name": "A"}, headers=once).status_code == 201
    with world.client.app.state.sessions.begin() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql("DELETE FROM idempotency_keys")
    assert world.client.post(DESK, json={"name": "A"}, headers=once).status_code == 409


def test_a_revoked_key_opens_nothing_ever_again(world: World, admin: dict[str, str]) -> None:
    made = world.client.post(DESK, json={"name": "A"}, headers=admin).json()
    assert world.post(made["key"]).status_code == 200
    first = world.client.delete(f"{DESK}/{made['id']}", headers=admin)
    assert first.status_code == 200
    assert first.json()["revoked_at"]
    assert world.client.delete(f"{DESK}/{made['id']}", headers=admin).json() == first.json()
    world.refused(world.post(made["key"]), 403)
    assert world.client.delete(f"{DESK}/{uuid.uuid4()}", headers=admin).status_code == 404


def test_only_who_may_manage_clients_there_does(world: World, admin: dict[str, str]) -> None:
    made = world.client.post(DESK, json={"name": "A"}, headers=admin).json()
    elsewhere = world.tokens.bearer({"0405": ["clients.manage"]})
    for who, code in (
        ({}, 401),
        (world.tokens.bearer(), 403),
        (world.tokens.agent("0801"), 403),
        (elsewhere, 403),
    ):
        assert world.client.post(DESK, json={"name": "A"}, headers=who).status_code == code
        assert world.client.get(DESK, headers=who).status_code == code
        answer = world.client.delete(f"{DESK}/{made['id']}", headers=who)
        assert answer.status_code == code
        assert answer.headers["content-type"] == "application/problem+json"
    # The client of another commune is not there, whoever asks.
    there = f"/api/v1/desk/0405/clients/{made['id']}"
    assert world.client.delete(there, headers=elsewhere).status_code == 404
    assert world.post(made["key"]).status_code == 200


def test_a_national_key_needs_a_national_right(world: World, admin: dict[str, str]) -> None:
    desk = "/api/v1/desk/*/clients"
    assert world.client.post(desk, json={"name": "A"}, headers=admin).status_code == 403
    national = world.tokens.bearer({"*": ["clients.manage"]})
    answer = world.client.post(desk, json={"name": "A"}, headers=national)
    assert answer.status_code == 201
    assert answer.json()["commune"] == "*"
    assert [one["commune"] for one in world.client.get(desk, headers=national).json()] == ["*"]
    nowhere = world.client.post("/api/v1/desk/9999/clients", json={"name": "A"}, headers=national)
    assert nowhere.status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "a\nb"}, {"name": "x" * 121}, {"name": "A", "key": "mine"}]
)
def test_a_client_has_a_plain_name(
    world: World, admin: dict[str, str], body: dict[str, str]
) -> None:
    assert world.client.post(DESK, json=body, headers=admin).status_code == 422


def test_the_commands_issue_list_and_revoke(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALABRE_REPORTS_DATABASE_URL", world.database.url("reports"))
    monkeypatch.setenv("PALABRE_REPORTS_SECRET", "secret")
    run = CliRunner().invoke
    made = run(cli, ["issue", "--commune", "0405", "--name", "Mairie de Parakou", "--test"])
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert KEY.fullmatch(key)
    client_id = made.stderr.split()[0]
    listed = run(cli, ["list", "--commune", "0405"]).stdout.splitlines()
    assert listed == [listed[0]]
    assert listed[0].startswith(f"{client_id}  0405  test  ")
    assert listed[0].endswith("  -  Mairie de Parakou")
    assert key not in run(cli, ["list"]).output
    assert world.post(key, at="/open311/test/v2", lat="9.337", long="2.628").status_code == 200
    assert run(cli, ["revoke", client_id]).exit_code == 0
    world.refused(world.post(key, at="/open311/test/v2"), 403)
    assert "  -  " not in run(cli, ["list", "--commune", "0405"]).stdout
    for arguments, words in (
        (["revoke", str(uuid.uuid4())], "no such client"),
        (["issue", "--commune", "9999", "--name", "X"], "No commune"),
        (["issue", "--commune", "0405", "--name", ""], "at least 1"),
    ):
        failed = run(cli, arguments)
        assert failed.exit_code == 2
        assert words in failed.stderr
