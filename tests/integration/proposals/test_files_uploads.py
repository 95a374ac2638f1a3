"""Photos and documents over HTTP and real PostGIS: kept, bound, shown to whom they are for."""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.app import create_app
from services.common.auth import Principal
from services.common.media.images import PHOTO_BYTES
from services.common.media.storage import DiskStorage
from services.common.problems import DomainError, Unavailable
from services.proposals.access import MANAGE, REVIEW, SPEND, WORK
from services.proposals.files import domain, repository, service
from services.proposals.files.api import BODY_LIMITS, router
from services.proposals.files.domain import Subject
from services.proposals.settings import Settings
from tests.apps import Tokens, rows
from tests.documents import pdf
from tests.media import COTONOU, COTONOU_GPS, exif, photo
from tests.servers import Database

pytestmark = pytest.mark.integration

URL = "/api/v1/files"
DOCUMENTS = f"{URL}/documents"
PHONE = photo((640, 480), exif=exif(COTONOU_GPS, {0x9003: "2026:03:01 08:30:00"}, turned=6))
COTONOU_CODE, PARAKOU_CODE = "0801", "0405"
SUBJECTS: tuple[Subject, ...] = ("campaign", "proposal", "criterion", "journal", "entry")
#: Where documents belong too.
PAPERS: tuple[Subject, ...] = ("criterion", "entry")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def storage(media: Path) -> DiskStorage:
    return DiskStorage(media)


@pytest.fixture
def client(fresh_database: Database, tokens: Tokens, storage: DiskStorage) -> Iterator[TestClient]:
    settings = Settings(_env_file=None, database_url=fresh_database.url("proposals"))
    app = create_app(settings, [router], title="files", body_limits=BODY_LIMITS)
    app.state.storage = storage
    with tokens.trust(app) as made:
        yield made


@pytest.fixture
def sessions(fresh_database: Database) -> Iterator[sessionmaker[Session]]:
    impatient = {"options": "-c lock_timeout=5000"}  # who waits for himself fails
    engine = create_engine(fresh_database.url("proposals"), connect_args=impatient)
    yield sessionmaker(engine)
    engine.dispose()


class Person:
    """Somebody who sends, attaches and reads."""

    def __init__(self, client: TestClient, tokens: Tokens, *permissions: str) -> None:
        self.principal = Principal(uuid4())
        self.client = client
        grants = {COTONOU_CODE: permissions} if permissions else {}
        self.headers = tokens.bearer(grants, self.principal.user_id)

    def send(self, data: bytes, url: str = URL, **headers: str) -> dict[str, Any]:
        answer = self.client.post(url, content=data, headers={**self.headers, **headers})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def photo(self) -> UUID:
        return UUID(self.send(photo())["id"])

    def document(self, name: str = "devis.pdf") -> UUID:
        return UUID(self.send(pdf(), f"{DOCUMENTS}?name={name}")["id"])

    def sees(self, file: UUID) -> bool:
        answer = self.client.get(f"{URL}/{file}", headers=self.headers)
        assert answer.status_code in (200, 404)
        return answer.status_code == 200


@pytest.fixture
def person(client: TestClient, tokens: Tokens) -> Callable[..., Person]:
    return lambda *permissions: Person(client, tokens, *permissions)


class Things:
    """One of each thing that files belong to, written straight into the tables."""

    SQL: ClassVar = (
        "INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by) "
        "VALUES (:campaign, '0801', 'Budget', 1000, 'works', 1, :somebody)",
        "INSERT INTO proposals (id, ref, campaign_id, commune, title, description, reports, "
        "estimated_cost, geom, status, author_id, version, submitted_at, created_at) "
        "VALUES (:proposal, :ref, :campaign, '0801', 'Puits', 'Un puits', '{}', 500, "
        "ST_SetSRID(ST_MakePoint(2.44, 6.36), 4326), 'submitted', :somebody, 1, now(), now())",
        "INSERT INTO review_criteria (id, proposal_id, criterion, verdict, actor, at, version) "
        "VALUES (:criterion, :proposal, 'legal', 'met', :somebody, now(), 1)",
        "INSERT INTO works (id, ref, proposal_id, campaign_id, commune, status, voted_cost, "
        "version, created_at, updated_at) "
        "VALUES (:work, :ref, :proposal, :campaign, '0801', 'planned', 500, 1, now(), now())",
        "INSERT INTO journal (id, work_id, version, kind, at) "
        "VALUES (:journal, :work, 1, 'note', now())",
        "INSERT INTO ledger (id, work_id, number, kind, amount, dated, label, actor, at) "
        "VALUES (:entry, :work, 1, 'invoice', 100, '2026-03-01', 'Ciment', :somebody, now())",
    )

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions = sessions
        self.ids = {name: uuid4() for name in (*SUBJECTS, "work", "somebody")}
        self.do(*self.SQL)

    def __getitem__(self, kind: str) -> UUID:
        return self.ids[kind]

    def do(self, *statements: str, **values: Any) -> None:
        ref = f"P-{self.ids['proposal'].hex[:7]}"
        with self.sessions.begin() as session:
            for sql in statements:
                session.execute(text(sql), {**self.ids, "ref": ref, **values})

    def attach(
        self, by: Person, kind: Subject, files: Sequence[UUID], *rest: Any, replace: bool = False
    ) -> None:
        with self.sessions.begin() as session:
            service.attach(session, by.principal, kind, self[kind], files, *rest, replace=replace)

    def of(self, kind: Subject) -> list[dict[str, Any]]:
        with self.sessions() as session:
            return repository.of(session, kind, [self[kind]])[self[kind]]

    def names(self, kind: Subject) -> list[UUID]:
        return [file["id"] for file in self.of(kind)]


@pytest.fixture
def things(sessions: sessionmaker[Session]) -> Things:
    return Things(sessions)


def refusal(act: Callable[..., Any], *args: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(DomainError) as caught:
        act(*args, **more)
    return caught.value.code, caught.value.extra["errors"][0]["pointer"]


# Sending ------------------------------------------------------------------------------------------


def test_a_photo_is_made_anew_and_tells_nothing_unless_asked(
    person: Callable[..., Person], fresh_database: Database, media: Path
) -> None:
    made = person().send(PHONE)
    assert (made["kind"], made["media_type"], made["name"]) == ("photo", "image/jpeg", "")
    assert made.keys() == {"id", "kind", "media_type", "name", "bytes"}
    name = UUID(made["id"]).hex
    assert {path.name for path in media.rglob(f"{name}*")} == {
        f"{name}-full.jpg",
        f"{name}-thumb.jpg",
    }
    path = media / "proposals" / name[-2:] / f"{name}-full.jpg"
    assert path.stat().st_size == made["bytes"]
    assert b"SecretPhone" not in path.read_bytes()
    assert Image.open(io.BytesIO(path.read_bytes())).size == (480, 640)
    kept = rows(fresh_database, "proposals", f"SELECT * FROM files WHERE id = '{made['id']}'")[0]
    assert (kept["lon"], kept["lat"], kept["taken_at"]) == (None, None, None)


def test_a_photo_keeps_its_place_and_time_when_asked(
    person: Callable[..., Person], things: Things
) -> None:
    sender = person()
    made = sender.send(PHONE, f"{URL}?geotag=1")
    assert (made["lon"], made["lat"]) == COTONOU
    assert made["taken_at"].startswith("2026-03-01T07:30:00")
    things.attach(sender, "journal", [UUID(made["id"])])
    shown = things.of("journal")[0]
    assert (shown["lon"], shown["lat"], shown["taken_at"].isoformat()) == (
        *COTONOU,
        "2026-03-01T07:30:00+00:00",
    )


def test_a_photo_without_a_place_is_kept_without_one(person: Callable[..., Person]) -> None:
    made = person().send(photo(), f"{URL}?geotag=1")
    assert not {"lon", "lat", "taken_at"} & made.keys()


def test_a_document_is_kept_as_it_is_and_saved_by_its_name(
    client: TestClient, person: Callable[..., Person]
) -> None:
    sender, data = person(), pdf()
    made = sender.send(data, f"{DOCUMENTS}?name=../Procès-verbal%20n°3.PDF")
    assert made.keys() == {"id", "kind", "media_type", "name", "bytes"}
    assert (made["name"], made["bytes"]) == ("Procès-verbal n 3.pdf", len(data))
    shown = client.get(f"{URL}/{made['id']}", headers=sender.headers)
    assert shown.content == data
    assert shown.headers["content-type"] == "application/pdf"
    assert shown.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''Proc%C3%A8s-verbal%20n%203.pdf"
    )
    assert shown.headers["content-security-policy"] == "sandbox"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "private, no-store"
    small = client.get(f"{URL}/{made['id']}?size=thumb", headers=sender.headers)
    assert (small.status_code, small.json()["code"]) == (404, "file_not_found")


def test_a_file_is_told_where_it_is_and_stored_once(
    client: TestClient, person: Callable[..., Person], fresh_database: Database
) -> None:
    sender, key = person(), str(uuid4())
    headers = {**sender.headers, "Idempotency-Key": key}
    first, again = (client.post(URL, content=PHONE, headers=headers) for _ in range(2))
    assert first.headers["location"] == f"{URL}/{first.json()['id']}"
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    mine = f"SELECT 1 FROM files WHERE uploaded_by = '{sender.principal.user_id}'"
    assert len(rows(fresh_database, "proposals", mine)) == 1


def test_a_key_goes_with_all_that_was_asked(
    client: TestClient, person: Callable[..., Person]
) -> None:
    """A photo sent without its place is not the answer to the same one sent with it."""
    headers = {**person().headers, "Idempotency-Key": str(uuid4())}
    assert client.post(URL, content=PHONE, headers=headers).status_code == 201
    other = client.post(f"{URL}?geotag=1", content=PHONE, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


BAD: dict[str, tuple[str, bytes, int, str]] = {
    "no photo": (URL, b"%PDF-1.7", 415, "not_a_photo"),
    "empty": (URL, b"", 415, "not_a_photo"),
    "11 MB photo": (URL, photo() + bytes(PHOTO_BYTES), 413, "photo_too_large"),
    "photo as document": (f"{DOCUMENTS}?name=a", photo(), 415, "not_a_document"),
    "page as document": (f"{DOCUMENTS}?name=a", b"<html>", 415, "not_a_document"),
    "script": (
        f"{DOCUMENTS}?name=a",
        pdf(root="/OpenAction << /S /JavaScript /JS (a) >>"),
        415,
        "unsafe_document",
    ),
    "too many pages": (f"{DOCUMENTS}?name=a", pdf(pages=201), 413, "document_too_large"),
    "a byte too many": (
        f"{DOCUMENTS}?name=a",
        bytes(domain.DOCUMENT_BYTES + 1),
        413,
        "document_too_large",
    ),
    "no name": (DOCUMENTS, pdf(), 422, "invalid"),
    "endless name": (f"{DOCUMENTS}?name={'a' * 501}", pdf(), 422, "invalid"),
}


@pytest.mark.parametrize(("url", "data", "status", "code"), BAD.values(), ids=list(BAD))
def test_what_is_refused_leaves_nothing(
    client: TestClient, person: Callable[..., Person], media: Path,
    url: str, data: bytes, status: int, code: str,
) -> None:  # fmt: skip
    before = sorted(media.rglob("*.*"))
    answer = client.post(url, content=data, headers=person().headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sorted(media.rglob("*.*")) == before


@pytest.mark.parametrize("url", [URL, f"{DOCUMENTS}?name=a"])
def test_nobody_sends_without_signing_in(client: TestClient, url: str) -> None:
    answer = client.post(url, content=photo())
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_person_sends_so_many_in_an_hour_refused_ones_too(
    client: TestClient, person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "FILES_PER_HOUR", 2)
    hurried, other = person(), person()
    sent = [client.post(URL, content=b"no", headers=hurried.headers) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [415, 415, 429]
    assert sent[2].headers["retry-after"] == "3600"
    assert client.post(DOCUMENTS, headers=hurried.headers).status_code == 429
    assert other.photo()


def test_a_storage_that_is_away_stores_no_row(
    client: TestClient, person: Callable[..., Person], fresh_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sender = person()

    def away(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(DiskStorage, "put", away)
    assert client.post(URL, content=photo(), headers=sender.headers).status_code == 503
    mine = f"SELECT 1 FROM files WHERE uploaded_by = '{sender.principal.user_id}'"
    assert rows(fresh_database, "proposals", mine) == []


# Belonging ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAPERS)
def test_files_belong_in_the_order_given(
    person: Callable[..., Person], things: Things, kind: Subject
) -> None:
    sender = person()
    first, second, third = sender.photo(), sender.document("facture.pdf"), sender.photo()
    things.attach(sender, kind, [second, first], ["La facture", "Le puits"])
    things.attach(sender, kind, [third])
    shown = things.of(kind)
    assert [file["id"] for file in shown] == [second, first, third]
    assert shown[0] == {
        "id": second,
        "kind": "document",
        "media_type": "application/pdf",
        "name": "facture.pdf",
        "bytes": len(pdf()),
        "alt": "La facture",
    }
    assert [file["alt"] for file in shown] == ["La facture", "Le puits", ""]


@pytest.mark.parametrize("kind", [kind for kind in SUBJECTS if kind not in PAPERS])
def test_what_shows_photos_takes_no_document(
    person: Callable[..., Person], things: Things, kind: Subject
) -> None:
    sender = person()
    picture, paper = sender.photo(), sender.document()
    got = refusal(things.attach, sender, kind, [picture, paper])
    assert got == ("photos_only", f"/{domain.FIELDS[kind]}/1")
    assert things.names(kind) == []
    things.attach(sender, kind, [picture])
    things.attach(sender, "entry", [paper])  # it is free still


def test_replacing_lets_go_reorders_and_keeps_words(
    person: Callable[..., Person], things: Things
) -> None:
    sender = person()
    first, second, third = (sender.photo() for _ in range(3))
    things.attach(sender, "proposal", [first, second], ["Un", "Deux"])
    things.attach(sender, "proposal", [third, second], replace=True)
    assert [(file["id"], file["alt"]) for file in things.of("proposal")] == [
        (third, ""),
        (second, "Deux"),
    ]
    things.attach(sender, "campaign", [first])  # free again
    things.attach(sender, "proposal", [], replace=True)
    assert things.names("proposal") == []
    assert things.names("campaign") == [first]


def test_an_author_keeps_what_another_attached(
    person: Callable[..., Person], things: Things
) -> None:
    ama, kofi = person(), person()
    hers, his = ama.photo(), kofi.photo()
    things.attach(ama, "proposal", [hers])
    things.attach(kofi, "proposal", [his, hers], replace=True)
    assert things.names("proposal") == [his, hers]


def test_what_cannot_be_attached_is_pointed_at(
    person: Callable[..., Person], things: Things, sessions: sessionmaker[Session]
) -> None:
    sender, other = person(), person()
    mine, taken, foreign = sender.photo(), sender.photo(), other.photo()
    things.attach(sender, "journal", [taken])
    elsewhere = Things(sessions)
    for kind, field in domain.FIELDS.items():
        for wrong in (uuid4(), foreign):
            got = refusal(elsewhere.attach, sender, kind, [mine, wrong])
            assert got == ("unknown_file", f"/{field}/1")
        got = refusal(elsewhere.attach, sender, kind, [taken])
        assert got == ("unknown_file", f"/{field}/0")
        got = refusal(elsewhere.attach, sender, kind, [mine, mine])
        assert got == ("unknown_file", f"/{field}/1")
        assert elsewhere.names(kind) == []
    assert things.names("journal") == [taken]


def test_a_subject_has_ten_files_at_most(person: Callable[..., Person], things: Things) -> None:
    sender = person()
    files = [sender.photo() for _ in range(domain.MOST + 1)]
    assert refusal(things.attach, sender, "entry", files) == ("too_many_files", "/files")
    things.attach(sender, "entry", files[:-1])
    assert refusal(things.attach, sender, "entry", files[-1:]) == ("too_many_files", "/files")
    things.attach(sender, "entry", files[1:], replace=True)
    assert things.names("entry") == files[1:]


def test_of_two_who_attach_one_file_one_wins(
    person: Callable[..., Person], sessions: sessionmaker[Session]
) -> None:
    sender = person()
    file, homes = sender.photo(), [Things(sessions) for _ in range(4)]

    def attach(home: Things) -> str:
        try:
            home.attach(sender, "journal", [file])
        except DomainError as error:
            return error.code
        return "attached"

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(attach, homes))
    assert results == ["attached", *["unknown_file"] * 3]


def test_files_of_many_are_asked_for_at_once(
    person: Callable[..., Person], sessions: sessionmaker[Session]
) -> None:
    sender, one, other, bare = person(), Things(sessions), Things(sessions), Things(sessions)
    files = [sender.photo() for _ in range(2)]
    one.attach(sender, "proposal", files[:1])
    other.attach(sender, "proposal", files[1:])
    ids = [one["proposal"], other["proposal"], bare["proposal"]]
    with sessions() as session:
        found = repository.of(session, "proposal", ids)
        assert repository.of(session, "campaign", ids) == {each: [] for each in ids}
        assert repository.of(session, "proposal", []) == {}
    assert {key: [file["id"] for file in value] for key, value in found.items()} == {
        ids[0]: files[:1],
        ids[1]: files[1:],
        ids[2]: [],
    }


# Showing ------------------------------------------------------------------------------------------


def test_a_file_that_belongs_to_nothing_is_its_senders(
    client: TestClient, person: Callable[..., Person]
) -> None:
    sender = person()
    file = sender.photo()
    assert sender.sees(file)
    assert not person().sees(file)
    assert not person(MANAGE).sees(file)
    assert client.get(f"{URL}/{file}").status_code == 404
    assert client.get(f"{URL}/{uuid4()}").status_code == 404


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_is_public_everybody_sees(
    client: TestClient, person: Callable[..., Person], things: Things, kind: Subject
) -> None:
    sender = person()
    file, paper = sender.photo(), sender.document()
    things.attach(sender, kind, [file])
    things.attach(sender, "entry", [paper])
    if kind == "criterion":
        things.do(
            "INSERT INTO reviews (proposal_id, outcome, reason, cost, reviewer_id, reviewed_at) "
            "VALUES (:proposal, 'feasible', 'Bien', 500, :somebody, now())"
        )
    for size, side in (("full", 40), ("thumb", 40)):
        shown = client.get(f"{URL}/{file}?size={size}")
        assert shown.headers["content-type"] == "image/jpeg"
        assert shown.headers["cache-control"] == "public, max-age=86400"
        assert "content-disposition" not in shown.headers
        assert Image.open(io.BytesIO(shown.content)).width == side
        seen = {"If-None-Match": shown.headers["etag"]}
        assert client.get(f"{URL}/{file}?size={size}", headers=seen).status_code == 304
    part = client.get(f"{URL}/{paper}", headers={"Range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"%PDF-")


HIDING: dict[str, tuple[Subject, str]] = {
    "a draft": (
        "proposal",
        "UPDATE proposals SET status = 'draft', submitted_at = NULL WHERE id = :proposal",
    ),
    "a hidden proposal": (
        "proposal",
        "UPDATE proposals SET hidden_at = now() WHERE id = :proposal",
    ),
    "a review at work": ("criterion", "DELETE FROM reviews WHERE proposal_id = :proposal"),
    "a hidden photo": (
        "journal",
        "UPDATE attachments SET hidden = true WHERE subject_id = :journal",
    ),
}


@pytest.mark.parametrize(("kind", "hide"), HIDING.values(), ids=list(HIDING))
def test_what_is_not_public_is_its_senders_and_the_agents(
    client: TestClient, person: Callable[..., Person], tokens: Tokens, things: Things,
    kind: Subject, hide: str,
) -> None:  # fmt: skip
    sender = person()
    file = sender.photo()
    things.attach(sender, kind, [file])
    things.do(hide)
    assert sender.sees(file)
    assert all(person(one).sees(file) for one in (MANAGE, REVIEW))
    # Who builds and who pays may not read such a proposal: nor do they see its photos.
    assert all(person(one).sees(file) == (kind != "proposal") for one in (WORK, SPEND))
    assert not person().sees(file)
    assert not person("reports.manage").sees(file)
    assert client.get(f"{URL}/{file}").status_code == 404
    abroad = tokens.bearer({PARAKOU_CODE: [MANAGE]})
    assert client.get(f"{URL}/{file}", headers=abroad).status_code == 404
    shown = client.get(f"{URL}/{file}", headers=person(MANAGE).headers)
    assert shown.headers["cache-control"] == "private, no-store"


def test_authors_see_the_photos_of_their_draft(
    person: Callable[..., Person], things: Things
) -> None:
    ama, kofi = person(), person()
    file = ama.photo()
    things.attach(ama, "proposal", [file])
    things.do(HIDING["a draft"][1])
    assert not kofi.sees(file)
    things.do(
        "INSERT INTO authors (proposal_id, user_id, role) VALUES (:proposal, :kofi, 'coauthor')",
        kofi=kofi.principal.user_id,
    )
    assert kofi.sees(file)


def test_what_is_hidden_is_in_no_list(person: Callable[..., Person], things: Things) -> None:
    sender = person()
    files = [sender.photo() for _ in range(2)]
    things.attach(sender, "journal", files)
    things.do("UPDATE attachments SET hidden = true WHERE file_id = :file", file=files[0])
    assert things.names("journal") == files[1:]


# Forgetting ---------------------------------------------------------------------------------------


def test_files_of_nothing_are_forgotten_after_two_days(
    person: Callable[..., Person], things: Things, media: Path, storage: DiskStorage
) -> None:
    def purge() -> int:
        with things.sessions.begin() as session:
            return service.purge_orphans(session, storage)

    def left(file: UUID) -> int:
        return len(list(media.rglob(f"*{file.hex}*")))

    sender = person()
    bound, orphan, paper, young = sender.photo(), sender.photo(), sender.document(), sender.photo()
    things.attach(sender, "campaign", [bound])
    things.do(
        "UPDATE files SET created_at = now() - interval '2 days 1 minute' WHERE id = ANY(:old)",
        old=[bound, orphan, paper],
    )
    assert purge() == 2
    assert [left(file) for file in (bound, orphan, paper, young)] == [2, 0, 0, 2]
    assert not sender.sees(orphan)
    assert purge() == 0
    things.attach(sender, "campaign", [], replace=True)
    assert purge() == 1
    assert left(bound) == 0
    assert refusal(things.attach, sender, "campaign", [bound])[0] == "unknown_file"
