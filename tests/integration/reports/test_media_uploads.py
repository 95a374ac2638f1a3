"""Uploads over HTTP and real PostGIS: kept bare, shown with their report, forgotten without."""

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.app import create_app
from services.common.media.images import PHOTO_BYTES
from services.common.media.storage import DiskStorage
from services.common.media.transfer import read_range
from services.common.problems import Unavailable
from services.reports.media import domain, service
from services.reports.media.api import BODY_LIMITS, router
from services.reports.media.forms import FORMS
from services.reports.settings import Settings
from tests.apps import Tokens, count, rows
from tests.media import COTONOU, COTONOU_GPS, claims, exif, heard, photo, sent
from tests.servers import Database

pytestmark = pytest.mark.integration

URL = "/api/v1/uploads"
VOICE = f"{URL}/voice"
PHONE = photo((640, 480), exif=exif(COTONOU_GPS, {0x9003: "2026:03:01 08:30:00"}, turned=6))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def storage(media: Path) -> DiskStorage:
    return DiskStorage(media)


@pytest.fixture
def client(fresh_database: Database, tokens: Tokens, storage: DiskStorage) -> Iterator[TestClient]:
    settings = Settings(_env_file=None, database_url=fresh_database.url("reports"), secret="secret")
    app = create_app(settings, [router], title="uploads", body_limits=BODY_LIMITS)
    app.state.storage = storage
    with tokens.trust(app) as made:
        yield made


@pytest.fixture
def kept(fresh_database: Database, media: Path) -> Callable[[], tuple[int, list[Path]]]:
    """Return a function that counts rows and files."""

    def all_of_it() -> tuple[int, list[Path]]:
        files = sorted(path for path in media.rglob("*") if path.is_file())
        return count(fresh_database, "reports", "uploads"), files

    return all_of_it


@pytest.fixture
def sessions(fresh_database: Database) -> Iterator[sessionmaker[Session]]:
    impatient = {"options": "-c lock_timeout=5000"}  # who waits for himself fails
    engine = create_engine(fresh_database.url("reports"), connect_args=impatient)
    yield sessionmaker(engine)
    engine.dispose()


def execute(sessions: sessionmaker[Session], sql: str, **values: Any) -> None:
    with sessions.begin() as session:
        session.execute(text(sql), values)


@pytest.fixture
def report(sessions: sessionmaker[Session]) -> Callable[..., uuid.UUID]:
    """Return a function that stores a report of Cotonou with these uploads."""

    def make(*uploads: str, hidden: bool = False) -> uuid.UUID:
        made = uuid.uuid4()
        execute(
            sessions,
            "INSERT INTO reports (id, ref, commune, arrondissement, category, status, "
            "description, created_at, updated_at) VALUES (:id, :ref, '0801', '0801-01', 'waste', "
            "'received', 'Ordures', now(), now())",
            id=made,
            ref=f"S-{made.hex[:7]}",
        )
        for position, upload in enumerate(uploads):
            execute(
                sessions,
                "INSERT INTO attachments VALUES (:report, :position, :upload, :hidden)",
                report=made,
                position=position,
                upload=upload,
                hidden=hidden,
            )
        return made

    return make


def send(client: TestClient, data: bytes, url: str = URL, **headers: str) -> dict[str, Any]:
    answer = client.post(url, content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_photo_offers_its_place_and_time_which_are_kept_nowhere(
    client: TestClient, fresh_database: Database, media: Path
) -> None:
    made = send(client, PHONE)
    assert (made.pop("lon"), made.pop("lat")) == COTONOU
    assert made.pop("taken_at").startswith("2026-03-01T07:30:00")
    assert list(made) == ["id"]
    tables = ("uploads", "idempotency_keys", "rate_counters", "outbox")
    dump = str([rows(fresh_database, "reports", f"SELECT * FROM {table}") for table in tables])
    files = b"".join(path.read_bytes() for path in media.rglob("*.jpg"))
    assert "2.44" not in dump
    assert "6.3555" not in dump
    assert b"SecretPhone" not in files
    assert b"Exif" not in files


def test_a_photo_without_a_place_offers_none(client: TestClient) -> None:
    assert list(send(client, photo())) == ["id"]


def test_on_the_greenwich_meridian(client: TestClient) -> None:
    accra = {**COTONOU_GPS, 4: (0.0, 0.0, 0.0)}
    assert send(client, photo(exif=exif(accra)))["lon"] == 0


def test_a_retry_is_told_the_same_and_stores_nothing(
    client: TestClient, fresh_database: Database, kept: Callable[[], Any]
) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = client.post(URL, content=PHONE, headers=key)
    before = kept()
    again = client.post(URL, content=PHONE, headers=key)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["lon"] == COTONOU[0]
    (answer,) = rows(
        fresh_database,
        "reports",
        f"SELECT body FROM idempotency_keys WHERE key = '{key['Idempotency-Key']}'",
    )
    assert list(answer["body"]) == ["id"]
    other = client.post(URL, content=photo(), headers=key)
    assert other.status_code == 409
    assert kept() == before


def test_twins_at_once_store_one_upload(client: TestClient, kept: Callable[[], Any]) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    before, files = kept()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: send(client, PHONE, **headers), range(6)))
    assert len({answer["id"] for answer in answers}) == 1
    after, more = kept()
    assert (after, len(more)) == (before + 1, len(files) + 2)


def test_a_voice_note_is_kept_as_mp3(
    client: TestClient, report: Callable[..., Any], fresh_database: Database
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "video/mp4"}
    note = sent("WebM of Chrome", 2.0)
    made = send(client, note, VOICE, **headers)
    assert made == send(client, note, VOICE, **headers)
    assert made["seconds"] == pytest.approx(2, abs=0.1)
    (row,) = rows(fresh_database, "reports", f"SELECT * FROM uploads WHERE id = '{made['id']}'")
    assert (row["kind"], row["media_type"]) == ("voice", "audio/mpeg")
    assert row["seconds"] == pytest.approx(made["seconds"])
    report(made["id"])
    shown = client.get(f"{URL}/{made['id']}")
    assert shown.headers["content-type"] == "audio/mpeg"
    assert heard(shown.content)[1] == pytest.approx(440, abs=2)
    assert client.get(f"{URL}/{made['id']}?size=thumb").status_code == 404


def test_shown_with_its_report(client: TestClient, report: Callable[..., Any]) -> None:
    made = send(client, PHONE)
    url = f"{URL}/{made['id']}"
    assert client.get(url).status_code == 404  # nobody sees it before its report
    report(made["id"])
    full, thumb = client.get(url), client.get(f"{url}?size=thumb")
    assert Image.open(io.BytesIO(full.content)).size == (480, 640)
    assert Image.open(io.BytesIO(thumb.content)).size == (240, 320)
    for answer in (full, thumb):
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, max-age=86400"
        assert int(answer.headers["content-length"]) == len(answer.content)
    assert full.headers["etag"] != thumb.headers["etag"]
    same = client.get(url, headers={"If-None-Match": full.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


HIDING = {
    "report hidden": "UPDATE reports SET hidden_at = now() WHERE id = :id",
    "report withdrawn": "UPDATE reports SET status = 'withdrawn' WHERE id = :id",
    "attachment hidden": "UPDATE attachments SET hidden = true WHERE report_id = :id",
}


@pytest.mark.parametrize("hiding", HIDING)
def test_what_is_hidden_is_shown_to_the_commune_s_agents_only(
    client: TestClient,
    tokens: Tokens,
    report: Callable[..., Any],
    sessions: sessionmaker[Session],
    hiding: str,
) -> None:
    uploads = [send(client, PHONE)["id"], send(client, sent("WAV"), VOICE)["id"]]
    execute(sessions, HIDING[hiding], id=report(*uploads))
    for upload in uploads:
        url = f"{URL}/{upload}"
        for headers in ({}, tokens.bearer(), tokens.agent("0405")):
            for more in ({}, {"If-None-Match": f'"{uuid.UUID(upload).hex}-full"'}):
                answer = client.get(url, headers={**headers, **more})
                assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
        seen = client.get(url, headers=tokens.agent("0801"))
        assert seen.status_code == 200
        assert seen.headers["cache-control"] == "private, no-store"
        assert client.get(url, headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_file_that_is_lost_is_not_found(
    client: TestClient, report: Callable[..., Any], storage: DiskStorage
) -> None:
    made = send(client, photo())["id"]
    report(made)
    storage.delete(FORMS["photo"].key(uuid.UUID(made), "full"))
    assert client.get(f"{URL}/{made}").status_code == 404
    assert client.get(f"{URL}/{made}?size=thumb").status_code == 200


def test_sound_can_be_wound(client: TestClient, report: Callable[..., Any]) -> None:
    made = send(client, sent("MP4 of a phone", 30.0), VOICE)["id"]
    report(made)
    url = f"{URL}/{made}"
    whole = client.get(url)
    size = len(whole.content)
    assert size > 70_000
    assert whole.headers["accept-ranges"] == "bytes"
    for header, first, last in (
        ("bytes=0-1", 0, 1),
        ("bytes=0-", 0, size - 1),
        ("bytes=66000-67000", 66_000, 67_000),
        ("bytes=-500", size - 500, size - 1),
        (f"bytes=100-{size * 9}", 100, size - 1),
    ):
        part = client.get(url, headers={"Range": header})
        assert part.content == whole.content[first : last + 1]
        assert int(part.headers["content-length"]) == last - first + 1
        if (first, last) != (0, size - 1):
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    none = client.get(url, headers={"Range": f"bytes={size}-"})
    assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (0, 9)),
        ("bytes=2-4", (2, 4)),
        ("bytes=2-", (2, 9)),
        ("bytes=2-99", (2, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-99", (0, 9)),
        ("bytes=9-9", (9, 9)),
        ("bytes=-0", (10, 9)),
        ("bytes=10-", (10, 9)),
        ("bytes=99999999999999-", (10, 9)),
        # Not understood, so not there (RFC 9110, section 14.2).
        ("bytes=4-2", (0, 9)),
        ("bytes=-", (0, 9)),
        ("bytes=0-1,4-5", (0, 9)),
        ("lines=0-1", (0, 9)),
        ("bytes=" + "9" * 30 + "-", (0, 9)),
        ("bytes=²-", (0, 9)),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int]) -> None:
    assert read_range(header, 10) == expected


REFUSED: dict[str, tuple[str, bytes, int, str]] = {
    "nothing": (URL, b"", 415, "not_a_photo"),
    "text": (URL, b"not a photo", 415, "not_a_photo"),
    "SVG": (URL, b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 415, "not_a_photo"),
    "HTML before": (URL, b"<html><script></script>" + photo(), 415, "not_a_photo"),
    "GIF": (URL, photo(kind="GIF"), 415, "not_a_photo"),
    "cut JPEG": (URL, photo((800, 600))[:900], 415, "not_a_photo"),
    "voice as photo": (URL, sent("WAV"), 415, "not_a_photo"),
    "PNG bomb": (URL, claims(photo(kind="PNG"), 50_000, 50_000), 413, "photo_too_large"),
    "JPEG bomb": (URL, claims(photo(), 50_000, 50_000), 413, "photo_too_large"),
    "HEIC bomb": (URL, claims(photo((64, 64), "HEIF"), 50_000, 50_000), 413, "photo_too_large"),
    "11 MB photo": (URL, photo() + bytes(PHOTO_BYTES), 413, "photo_too_large"),
    "20 MB photo": (URL, b"\xff\xd8" + bytes(20 * 2**20), 413, "too_large"),
    "photo as voice": (VOICE, photo(), 415, "not_a_voice_note"),
    "HTML as voice": (VOICE, b"<html>" + sent("WebM of Chrome"), 415, "not_a_voice_note"),
    "cut voice": (VOICE, sent("MP4 of a phone")[:-900], 415, "not_a_voice_note"),
    "61 seconds": (VOICE, sent("Ogg of Firefox", 61.0), 413, "voice_too_long"),
    "2 MB of Ogg": (VOICE, sent("Ogg of Firefox") + bytes(2**20), 413, "voice_too_long"),
    "3 MB voice": (VOICE, sent("WAV") + bytes(3 * 2**20), 413, "too_large"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_nothing(
    client: TestClient, fresh_database: Database, kept: Callable[[], Any], what: str
) -> None:
    url, data, status, code = REFUSED[what]
    before = kept(), count(fresh_database, "reports", "idempotency_keys")
    answer = client.post(url, content=data, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (kept(), count(fresh_database, "reports", "idempotency_keys")) == before


def test_a_path_in_a_name_does_nothing(
    client: TestClient, media: Path, report: Callable[..., Any]
) -> None:
    names = "../../../../tmp/evil.jpg"
    made = send(
        client,
        PHONE,
        **{
            "Content-Disposition": f'attachment; filename="{names}"',
            "X-File-Name": names,
            "Content-Type": f"image/jpeg; name={names}",
            "Slug": names,
        },
    )["id"]
    report(made)
    name = uuid.UUID(made).hex
    assert {path.relative_to(media).as_posix() for path in media.rglob(f"*{name}*")} == {
        f"reports/{name[-2:]}/{name}-full.jpg",
        f"reports/{name[-2:]}/{name}-thumb.jpg",
    }
    assert {path.suffix for path in media.rglob("*") if path.is_file()} <= {".jpg", ".mp3"}
    for path in (
        f"{URL}/..%2f..%2f..%2fetc%2fpasswd",
        f"{URL}/%2e%2e/reports",
        f"{URL}/{made}?size=../../../etc/passwd",
        f"{URL}/{made}%00.jpg",
        f"{URL}/{made}/../{made}-full.jpg",
    ):
        assert client.get(path).status_code in (404, 422)


def test_refusals_count_towards_the_limit(
    client: TestClient, fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> int:
        found = rows(fresh_database, "reports", "SELECT sum(count) AS n FROM rate_counters")
        return int(found[0]["n"])

    client.post(URL, content=b"no photo")
    before = counted()
    client.post(URL, content=b"no photo")
    client.post(VOICE, content=b"no voice")
    assert counted() == before + 2
    monkeypatch.setattr(domain, "UPLOADS_PER_HOUR", before + 2)
    for url in (URL, VOICE):
        answer = client.post(url, content=photo())
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")


def test_a_storage_that_is_away_stores_no_row(
    client: TestClient, kept: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("Files cannot be kept or shown now.")

    before = kept()
    monkeypatch.setattr(DiskStorage, "put", away)
    answer = client.post(URL, content=photo())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert kept() == before


def grow_old(sessions: sessionmaker[Session], *uploads: str) -> None:
    execute(
        sessions,
        "UPDATE uploads SET created_at = now() - interval '2 days 1 minute' "
        "WHERE id = ANY(CAST(:ids AS uuid[]))",
        ids=list(uploads),
    )


def purge(sessions: sessionmaker[Session], storage: DiskStorage) -> int:
    with sessions.begin() as session:
        return service.purge_orphans(session, storage)


def files_of(media: Path, upload: str) -> int:
    return len(list(media.rglob(f"*{uuid.UUID(upload).hex}*")))


def test_uploads_without_a_report_are_forgotten_after_two_days(
    client: TestClient,
    media: Path,
    storage: DiskStorage,
    sessions: sessionmaker[Session],
    report: Callable[..., Any],
) -> None:
    purge(sessions, storage)
    attached, orphan, young = (send(client, photo())["id"] for _ in range(3))
    voice = send(client, sent("WAV"), VOICE)["id"]
    report(attached)
    grow_old(sessions, attached, orphan, voice)
    assert purge(sessions, storage) == 2
    assert [files_of(media, u) for u in (attached, orphan, voice, young)] == [2, 0, 0, 2]
    with sessions() as session:
        left = set(session.scalars(text("SELECT id::text FROM uploads")))
    assert {attached, young} <= left
    assert not {orphan, voice} & left
    assert purge(sessions, storage) == 0


def test_an_upload_that_is_being_attached_stays(
    client: TestClient, media: Path, storage: DiskStorage, sessions: sessionmaker[Session],
    report: Callable[..., Any],
) -> None:  # fmt: skip
    upload, home = send(client, photo())["id"], report()
    grow_old(sessions, upload)
    with sessions.begin() as attaching:
        attaching.execute(
            text("INSERT INTO attachments VALUES (:report, 1, :upload)"),
            {"report": home, "upload": upload},
        )
        assert purge(sessions, storage) == 0
    assert purge(sessions, storage) == 0
    assert files_of(media, upload) == 2


def test_what_is_being_purged_cannot_be_attached(
    client: TestClient,
    media: Path,
    storage: DiskStorage,
    sessions: sessionmaker[Session],
    report: Callable[..., Any],
) -> None:
    upload, home = send(client, photo())["id"], report()
    grow_old(sessions, upload)
    began, failed = threading.Event(), []

    def attach() -> None:
        began.set()
        try:
            execute(
                sessions,
                "INSERT INTO attachments VALUES (:report, 1, :upload)",
                report=home,
                upload=upload,
            )
        except Exception as error:
            failed.append(type(error).__name__)

    with sessions.begin() as session:
        assert service.purge_orphans(session, storage) == 1
        other = threading.Thread(target=attach)
        other.start()
        began.wait(5)
    other.join(10)
    assert failed == ["IntegrityError"]
    assert files_of(media, upload) == 0


def test_several_processes_purge_at_once(
    client: TestClient, storage: DiskStorage, sessions: sessionmaker[Session]
) -> None:
    uploads = [send(client, photo())["id"] for _ in range(12)]
    grow_old(sessions, *uploads)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: purge(sessions, storage), range(4))) == 12


def test_what_a_storage_cannot_delete_stays_whole(
    client: TestClient,
    media: Path,
    storage: DiskStorage,
    sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = send(client, photo())["id"]
    grow_old(sessions, upload)
    with monkeypatch.context() as patched:
        patched.setattr(DiskStorage, "delete", lambda *_: (_ for _ in ()).throw(OSError("away")))
        assert purge(sessions, storage) == 0
    assert files_of(media, upload) == 2
    assert purge(sessions, storage) == 1


def test_the_contract_tells_of_raw_bodies(client: TestClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for url in (URL, VOICE):
        assert list(paths[url]["post"]["requestBody"]["content"]) == ["application/octet-stream"]
