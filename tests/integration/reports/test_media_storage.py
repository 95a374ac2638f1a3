"""One contract for every storage: a folder, and a bucket of a real S3 server on this machine."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import boto3
import pytest
from moto.server import ThreadedMotoServer

from services.common.media.forms import photos
from services.common.media.settings import MediaSettings
from services.common.media.storage import DiskStorage, S3Storage, Storage, Stored, storage_of
from services.common.problems import Unavailable

pytestmark = pytest.mark.integration

PHOTO = photos("reports")
KEY = PHOTO.key(UUID(int=7), "full")


@pytest.fixture(scope="module")
def s3() -> Iterator[MediaSettings]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = MediaSettings(
        _env_file=None,
        storage="s3",
        s3_endpoint=f"http://{host}:{port}",
        s3_bucket="palabre-tests",
        s3_region="us-east-1",
        s3_access_key="anybody",
        s3_secret_key="anything",
    )
    boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    ).create_bucket(Bucket="palabre-tests")
    yield settings
    server.stop()


@pytest.fixture(scope="module", params=["disk", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    if request.param == "s3":
        return storage_of(request.getfixturevalue("s3"))
    return storage_of(MediaSettings(_env_file=None, dir=tmp_path_factory.mktemp("media")))


def read(stored: Stored | None) -> bytes:
    assert stored is not None
    found = b"".join(iter(lambda: stored.stream.read(1000), b""))
    stored.stream.close()
    assert len(found) == stored.size
    return found


def test_what_is_put_is_read_until_it_is_deleted(storage: Storage) -> None:
    data = bytes(range(256)) * 300
    assert storage.open(KEY) is None
    assert not storage.exists(KEY)
    storage.put(KEY, data, "image/jpeg")
    assert storage.exists(KEY)
    assert read(storage.open(KEY)) == data
    storage.delete(KEY)
    assert not storage.exists(KEY)
    assert storage.open(KEY) is None


def test_the_last_put_holds(storage: Storage) -> None:
    storage.put(KEY, b"one" * 100, "image/jpeg")
    storage.put(KEY, b"other", "image/jpeg")
    assert read(storage.open(KEY)) == b"other"
    storage.delete(KEY)


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.put(KEY, b"", "image/jpeg")
    assert read(storage.open(KEY)) == b""
    storage.delete(KEY)


def test_deleting_what_is_not_there_is_nothing(storage: Storage) -> None:
    storage.delete(KEY)
    storage.delete(KEY)


def test_files_do_not_meet(storage: Storage) -> None:
    keys = [PHOTO.key(UUID(int=n), size) for n in (1, 257, 2) for size in PHOTO.sizes]
    for key in keys:
        storage.put(key, key.encode(), "image/jpeg")
    assert [read(storage.open(key)).decode() for key in keys] == keys
    for key in keys:
        storage.delete(key)


def test_a_reader_keeps_what_it_began_to_read(storage: Storage) -> None:
    storage.put(KEY, b"old" * 50_000, "image/jpeg")
    stored = storage.open(KEY)
    storage.put(KEY, b"new", "image/jpeg")
    assert read(stored) == b"old" * 50_000
    storage.delete(KEY)


def test_many_at_once(storage: Storage) -> None:
    def use(n: int) -> bool:
        key = PHOTO.key(UUID(int=n), "full")
        storage.put(key, str(n).encode() * 1000, "audio/mpeg")
        whole = read(storage.open(key)) == str(n).encode() * 1000
        storage.delete(key)
        return whole and not storage.exists(key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(32)))


@pytest.mark.parametrize(
    "key",
    ["", "../a/b.jpg", "/etc/passwd", "reports/../../x.jpg", "reports/aa/..", "reports//b.jpg",
     "reports/a\0/b.jpg", "reports/aa/b.jpg\n", "reports\\aa\\b.jpg", "Reports/aa/b.jpg", "b.jpg"],
)  # fmt: skip
@pytest.mark.parametrize("act", ["open", "exists", "delete", "put"])
def test_keys_that_are_not_ours_are_an_error(storage: Storage, key: str, act: str) -> None:
    more = (b"data", "image/jpeg") if act == "put" else ()
    with pytest.raises(ValueError, match="not a key of ours"):
        getattr(storage, act)(key, *more)


def test_a_disk_holds_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DiskStorage(tmp_path)
    storage.put(KEY, b"old", "image/jpeg")

    def fail(_: Path, to: Path) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="power cut"):
        storage.put(KEY, b"half of the n", "image/jpeg")
    assert read(storage.open(KEY)) == b"old"


def test_objects_say_what_they_are(s3: MediaSettings) -> None:
    storage = S3Storage(s3)
    storage.put(KEY, b"data", "audio/mpeg")
    found = storage._client.get_object(Bucket=s3.s3_bucket, Key=KEY)
    assert found["ContentType"] == "audio/mpeg"
    found["Body"].close()
    storage.delete(KEY)


def acts() -> dict[str, Callable[[Storage], object]]:
    return {
        "open": lambda storage: storage.open(KEY),
        "exists": lambda storage: storage.exists(KEY),
        "delete": lambda storage: storage.delete(KEY),
        "put": lambda storage: storage.put(KEY, b"data", "image/jpeg"),
    }


@pytest.mark.parametrize("act", acts())
def test_a_store_that_is_away_or_refuses_is_unavailable(s3: MediaSettings, act: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for change in ({"s3_endpoint": url}, {"s3_bucket": "somebody-elses"}):
            storage = S3Storage(s3.model_copy(update=change))
            if act == "exists" and "s3_bucket" in change:
                continue  # a bucket that is not there holds no file: HEAD tells no more
            with pytest.raises(Unavailable):
                acts()[act](storage)


def test_settings_choose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PALABRE_MEDIA_DIR", str(tmp_path))
    assert MediaSettings(_env_file=None).dir == tmp_path
    assert isinstance(storage_of(MediaSettings(_env_file=None)), DiskStorage)
    monkeypatch.setenv("PALABRE_MEDIA_STORAGE", "s3")
    with pytest.raises(ValueError, match="PALABRE_MEDIA_S3_BUCKET"):
        MediaSettings(_env_file=None)
    monkeypatch.setenv("PALABRE_MEDIA_S3_BUCKET", "palabre")
    monkeypatch.setenv("PALABRE_MEDIA_S3_REGION", "eu-west-3")
    monkeypatch.setenv("PALABRE_MEDIA_S3_SECRET_KEY", "very-secret")
    with pytest.raises(ValueError, match="go together"):
        MediaSettings(_env_file=None)
    monkeypatch.setenv("PALABRE_MEDIA_S3_ACCESS_KEY", "somebody")
    settings = MediaSettings(_env_file=None)
    assert isinstance(storage_of(settings), S3Storage)
    assert "very-secret" not in repr(settings)
