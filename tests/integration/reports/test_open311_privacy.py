"""What only staff may see leaves by no Open311 address, in no format."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from tests.apps import Tokens
from tests.integration.reports.open311_world import PRODUCTION, TEST, World, open_world
from tests.servers import Database

pytestmark = pytest.mark.integration

SECRETS = {
    "first_name": "Sentinelle-Prenom",
    "last_name": "Sentinelle-Nom",
    "phone": "+229 01 55 55 55 55",
    "email": "sentinelle@example.bj",
    "device_id": "sentinelle-appareil",
    "account_id": "sentinelle-compte",
    "media_url": "https://example.bj/sentinelle.jpg",
    "attribute[pole]": "sentinelle-poteau",
}


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens, media: Path) -> Iterator[World]:
    with open_world(fresh_database, tokens, media) as made:
        yield made


def change(world: World, sql: str, **values: str) -> None:
    with create_engine(world.database.url("reports")).begin() as connection:
        assert connection.execute(text(sql), values).rowcount == 1  # type: ignore[attr-defined]


def read_all(world: World, *refs: str) -> str:
    """Return everything that anybody can read here, in both formats and at both endpoints."""
    found = []
    for prefix in (PRODUCTION, TEST):
        for form in ("json", "xml"):
            paths = [f"requests.{form}", f"requests.{form}?service_request_id={','.join(refs)}"]
            paths += [
                f"requests.{form}?jurisdiction_id=0801&status={s}" for s in ("open", "closed")
            ]
            paths += [f"{what}/{ref}.{form}" for ref in refs for what in ("requests", "tokens")]
            paths += [f"services.{form}", f"services/lighting.{form}", f"discovery.{form}"]
            found += [world.client.get(f"{prefix}/{path}").text for path in paths]
    return "\n".join(found)


def jpeg(colour: tuple[int, int, int]) -> tuple[str, bytes, str]:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "JPEG")
    return "a.jpg", out.getvalue(), "image/jpeg"


def test_contacts_notes_and_answers_are_nowhere(world: World) -> None:
    key = world.key()
    ref = world.sent(key, service_code="lighting", **SECRETS)
    agent = world.tokens.agent("0801")
    for status, note in (("acknowledged", "Une équipe passe jeudi"), ("in_progress", "")):
        answer = world.client.post(
            f"/api/v1/reports/{ref}/status",
            json={"status": status, "public_note": note, "internal_note": "sentinelle-interne"},
            headers=agent,
        )
        assert answer.status_code == 200, answer.text
    staff = world.client.get(f"/api/v1/reports/{ref}", headers=agent).text
    assert "sentinelle-interne" in staff  # it is there to be leaked
    said = read_all(world, ref)
    assert "Une équipe passe jeudi" in said
    for secret in (*SECRETS.values(), "sentinelle", "Sentinelle", key):
        assert secret not in said


def test_what_the_mairie_hid_or_its_author_withdrew_is_not_there(world: World) -> None:
    key = world.key()
    hidden = world.sent(key, description="Sentinelle cachée")
    change(world, "UPDATE reports SET hidden_at = now() WHERE ref = :ref", ref=hidden)
    made = world.client.post(
        "/api/v1/reports",
        json={"lon": 2.42, "lat": 6.37, "category": "roads", "anonymous": True,
              "description": "Sentinelle retirée"},
    ).json()  # fmt: skip
    withdrawn = made["ref"]
    assert "Sentinelle retirée" in read_all(world, withdrawn)
    answer = world.client.post(
        f"/api/v1/reports/{withdrawn}/status",
        json={"status": "withdrawn", "public_note": "Sentinelle regrets"},
        headers={"X-Follow-Up-Token": made["follow_up_token"]},
    )
    assert answer.status_code == 200, answer.text
    said = read_all(world, hidden, withdrawn)
    assert "Sentinelle" not in said
    for ref in (hidden, withdrawn):
        for what in ("requests", "tokens"):
            answer = world.client.get(f"{PRODUCTION}/{what}/{ref}.json")
            never = world.client.get(f"{PRODUCTION}/{what}/S-2222222.json")
            assert (answer.status_code, answer.text) == (never.status_code, never.text)


def test_the_moderated_words_and_photos_take_the_place_of_the_others(world: World) -> None:
    key = world.key()
    files = [("media", jpeg((200, 0, 0))), ("media", jpeg((0, 200, 0)))]
    ref = world.sent(key, description="Sentinelle : appelez le 01 97 00 00 42", files=files)
    (found,) = world.get(f"requests/{ref}.json")
    first = found["media_url"]
    assert first
    change(world, "UPDATE reports SET public_description = 'Un trou' WHERE ref = :ref", ref=ref)
    change(
        world,
        "UPDATE attachments SET hidden = true WHERE upload_id = :upload",
        upload=first.rpartition("/")[2],
    )
    (found,) = world.get(f"requests/{ref}.json")
    assert found["description"] == "Un trou"
    assert found["media_url"]
    assert found["media_url"] != first
    said = read_all(world, ref)
    assert "Sentinelle" not in said
    assert first not in said


def test_a_sensitive_category_is_shown_on_its_grid(world: World) -> None:
    ref = world.sent(world.key(), service_code="noise", lat="6.370531", long="2.421731")
    said = read_all(world, ref)
    assert "6.370531" not in said
    assert "2.421731" not in said
    (found,) = world.get(f"requests/{ref}.json")
    assert (found["lat"], found["long"]) == (6.37, 2.422)
    assert ref in [
        one["service_request_id"]
        for one in world.get("requests.json", lat="6.37", long="2.422", radius="1")
    ]


def test_nothing_personal_is_kept_for_retries_or_published(world: World) -> None:
    once = {"Idempotency-Key": "7c1f6a52-3a52-4bd8-8a0e-5b7f6d4b2c11"}
    key = world.key()
    assert world.post(key, service_code="lighting", headers=once, **SECRETS).status_code == 200
    kept = str(world.sql("SELECT key, scope, headers, body FROM idempotency_keys"))
    events = str(world.sql("SELECT * FROM outbox"))
    for secret in (*SECRETS.values(), "Sentinelle", key):
        assert secret not in kept
        assert secret not in events
