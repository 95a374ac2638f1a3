"""In which files a kind of upload is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.common.media.storage import Storage

Size = Literal["full", "thumb"]


@dataclass(frozen=True, slots=True)
class Form:
    """The files of one kind of upload, in a folder of the storage that is its service's own."""

    folder: str
    media_type: str
    suffix: str
    sizes: tuple[Size, ...] = ("full",)

    def key(self, file_id: UUID, size: Size) -> str:
        """Return where a file lies in the storage: names come from us, never from a client."""
        name = file_id.hex
        return f"{self.folder}/{name[-2:]}/{name}-{size}.{self.suffix}"

    def put(self, storage: Storage, file_id: UUID, files: Mapping[Size, bytes]) -> None:
        """Keep an upload's files; do so before its row, which then always finds them."""
        for size, data in files.items():
            storage.put(self.key(file_id, size), data, self.media_type)

    def delete(self, storage: Storage, file_id: UUID) -> None:
        """Delete an upload's files; do so before its row."""
        for size in self.sizes:
            storage.delete(self.key(file_id, size))


def photos(folder: str) -> Form:
    """Return the form of photos: what :func:`images.encode` makes of them."""
    return Form(folder, "image/jpeg", "jpg", ("full", "thumb"))
