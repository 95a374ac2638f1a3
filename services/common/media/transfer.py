"""Raw bodies in; files out whole, in part, or not again (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from services.common.media.storage import Storage, Stored

#: A day: how long a copy may outlive the hiding of what it shows.
_SHARED = "public, max-age=86400"
_OWN = "private, no-store"
_PIECE = 64 * 1024

#: The OpenAPI of an endpoint that takes :data:`Raw`.
RAW: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def read_body(request: Request) -> bytes:
    """Return the raw body (bounded by the application's body limit)."""
    return await request.body()


def storage_at(request: Request) -> Storage:
    """Return the application's storage."""
    found: Storage = request.app.state.storage
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants of a file: a part of it, or to hear that it has not changed."""

    part: str | None = None
    seen: str | None = None


def read_asked(
    part: Annotated[str | None, Header(alias="Range")] = None,
    seen: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Asked:
    """Read the headers of a request for a file."""
    return Asked(part, seen)


Raw = Annotated[bytes, Depends(read_body)]
StorageDep = Annotated[Storage, Depends(storage_at)]
AskedDep = Annotated[Asked, Depends(read_asked)]


def answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI ``responses`` of an endpoint that answers with :func:`send`."""
    return {
        200: {"content": {media_type: {} for media_type in media_types}},
        206: {"description": "The part that was asked for."},
        304: {"description": "The same as before."},
        416: {"description": "There is no such part."},
    }


def send(
    asked: Asked,
    begin: Callable[[], Stored],
    *,
    tag: str,
    media_type: str,
    public: bool,
    more: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a file that never changes; ``begin`` opens it when it is needed.

    ``tag`` names it; what is not ``public`` is kept by nobody; ``more`` are headers.
    """
    headers = {
        "Cache-Control": _SHARED if public else _OWN,
        "ETag": f'"{tag}"',
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        **(more or {}),
    }
    if asked.seen and headers["ETag"] in asked.seen:
        return Response(status_code=304, headers=headers)
    stored = begin()
    first, last = read_range(asked.part, stored.size)
    if first >= stored.size:
        stored.stream.close()
        nothing = {"Content-Range": f"bytes */{stored.size}"}
        return Response(status_code=416, headers={**headers, **nothing})
    whole = (first, last) == (0, stored.size - 1)
    if not whole:
        headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
    return StreamingResponse(
        pieces(stored, first, last),
        status_code=200 if whole else 206,
        media_type=media_type,
        headers={**headers, "Content-Length": str(last - first + 1)},
    )


def read_range(header: str | None, size: int) -> tuple[int, int]:
    """Return the first and last byte asked for (RFC 9110, section 14.1.2), one range at most.

    All of them for a header that is absent or means nothing here; ``size`` as the first when none
    of them is there.
    """
    asked = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header or "")
    if asked is None or not any(asked.groups()):
        return 0, size - 1
    first, last = asked.groups()
    if not first:
        return (max(size - int(last), 0) if int(last) else size), size - 1
    if last and int(last) < int(first):
        return 0, size - 1
    return min(int(first), size), min(int(last or size), size - 1)


def pieces(stored: Stored, first: int, last: int) -> Iterator[bytes]:
    """Read a file from its start, give the bytes from ``first`` to ``last``, and close it."""
    try:
        at = 0
        while at <= last and (piece := stored.stream.read(min(_PIECE, last + 1 - at))):
            if at + len(piece) > first:
                yield piece[max(first - at, 0) :]
            at += len(piece)
    finally:
        stored.stream.close()
