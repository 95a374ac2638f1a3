"""Where files lie: one interface, a folder or a bucket behind it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.common.media.settings import MediaSettings
from services.common.problems import Unavailable

_KEY = re.compile(r"[a-z0-9]+(/[a-z0-9]+)*/[a-z0-9-]+\.[a-z0-9]+")


class Stream(Protocol):
    """What is read piece by piece, then closed."""

    def read(self, amount: int, /) -> bytes:
        """Return the next ``amount`` bytes at most; none at the end."""

    def close(self) -> object:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is being read, and its length in bytes."""

    size: int
    stream: Stream


class Storage(Protocol):
    """Keeps files by key. Keys are ours (``Form.key``): any other is a ``ValueError``."""

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Keep ``data``, whole and for good when this returns; what had the key is replaced."""

    def open(self, key: str) -> Stored | None:
        """Begin to read a file; None when there is none."""

    def exists(self, key: str) -> bool:
        """Tell whether there is such a file."""

    def delete(self, key: str) -> None:
        """Delete a file; nothing happens when there is none."""


def storage_of(settings: MediaSettings) -> Storage:
    """Return the storage that the settings choose."""
    return S3Storage(settings) if settings.storage == "s3" else DiskStorage(settings.dir)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("not a key of ours")
    return key


class DiskStorage:
    """Files in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Write aside, then rename; a crash leaves at worst a file that no row names."""
        del media_type  # the row tells it
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with partial.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def open(self, key: str) -> Stored | None:
        """Begin to read a file; None when there is none."""
        try:
            stream = self._path(key).open("rb")
        except FileNotFoundError:
            return None
        return Stored(os.fstat(stream.fileno()).st_size, stream)

    def exists(self, key: str) -> bool:
        """Tell whether there is such a file."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Delete a file; nothing happens when there is none."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / _checked(key)


class S3Storage:
    """Objects in a bucket of an S3-compatible store (AWS, MinIO, Garage, Ceph …)."""

    def __init__(self, settings: MediaSettings) -> None:
        import boto3  # takes a third of a second, which a disk need not pay
        from botocore.config import Config

        access, secret = settings.s3_access_key, settings.s3_secret_key
        self._bucket = settings.s3_bucket
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=access.get_secret_value() if access else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                connect_timeout=3,
                read_timeout=10,
                retries={"mode": "standard", "total_max_attempts": 3},
                # Buckets as subdomains, and checksums in trailers, are AWS's own.
                s3={"addressing_style": "path"} if settings.s3_endpoint else {},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Keep an object; the store answers when it is safe."""
        with _asking():
            self._client.put_object(
                Bucket=self._bucket, Key=_checked(key), Body=data, ContentType=media_type
            )

    def open(self, key: str) -> Stored | None:
        """Begin to read an object; None when there is none."""
        with _asking(missing=True):
            found = self._client.get_object(Bucket=self._bucket, Key=_checked(key))
            return Stored(found["ContentLength"], found["Body"])
        return None

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        with _asking(missing=True):
            self._client.head_object(Bucket=self._bucket, Key=_checked(key))
            return True
        return False

    def delete(self, key: str) -> None:
        """Delete an object; nothing happens when there is none."""
        with _asking():
            self._client.delete_object(Bucket=self._bucket, Key=_checked(key))


@contextmanager
def _asking(*, missing: bool = False) -> Iterator[None]:
    """Turn what the store refuses into :class:`Unavailable`; pass over an object not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if not (missing and error.response["Error"]["Code"] in ("404", "NoSuchKey")):
            raise Unavailable("Files cannot be kept or shown now.") from error
    except BotoCoreError as error:
        raise Unavailable("Files cannot be kept or shown now.") from error
