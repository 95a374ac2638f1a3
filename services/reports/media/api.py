"""HTTP of photos and voice notes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import StreamingResponse

from services.common import rates
from services.common.auth import MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.problems import Conflict, TooMany, Unavailable, responses
from services.reports.media import domain, images, service
from services.reports.media.errors import (
    NotAPhoto,
    NotAVoiceNote,
    PhotoTooLarge,
    UploadNotFound,
    VoiceTooLong,
)
from services.reports.media.schemas import Uploaded, VoiceUploaded
from services.reports.media.storage import Storage, Stored

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])

#: Bytes a body may have, by path; one more than a file may have is told what it may have.
BODY_LIMITS: Mapping[str, int] = {
    "/api/v1/uploads/voice": domain.VOICE_BYTES_LARGE + 1024,
    "/api/v1/uploads": domain.PHOTO_BYTES + 1024,
}
#: A day: how long a copy may outlive the hiding of what it shows.
_SHARED = "public, max-age=86400"
_OWN = "private, no-store"
_PIECE = 64 * 1024
_RAW: dict[str, Any] = {
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


Raw = Annotated[bytes, Depends(read_body)]
StorageDep = Annotated[Storage, Depends(storage_at)]


def limit_uploads(request: Request) -> None:
    """Bound what one address may try in an hour: counted apart, so that refusals count too."""
    secret = request.app.state.settings.secret.get_secret_value()
    with request.app.state.sessions.begin() as session:
        address = request.client.host if request.client else ""
        rates.hit(session, secret, "upload", address, domain.UPLOADS_PER_HOUR)


@router.post(
    "",
    status_code=201,
    response_model=Uploaded,
    response_model_exclude_none=True,
    responses=responses(NotAPhoto, PhotoTooLarge, Conflict, TooMany, Unavailable),
    openapi_extra=_RAW,
    dependencies=[Depends(limit_uploads)],
)
def upload_photo(session: SessionDep, storage: StorageDep, once: OnceDep, data: Raw) -> Response:
    """Store a photo (raw JPEG, PNG, WebP, HEIC or AVIF body), made anew without metadata.

    Where and when it was taken, if its EXIF says so, is answered and kept nowhere.
    """
    offered = {
        name: value for name, value in asdict(images.offered(data)).items() if value is not None
    }
    # No row may join a person and the report that this will belong to.
    return once.anonymous().run(
        lambda: {"id": service.keep_photo(session, storage, data)},
        status=201,
        private=jsonable_encoder(offered),
    )


@router.post(
    "/voice",
    status_code=201,
    response_model=VoiceUploaded,
    responses=responses(NotAVoiceNote, VoiceTooLong, Conflict, TooMany, Unavailable),
    openapi_extra=_RAW,
    dependencies=[Depends(limit_uploads)],
)
def upload_voice(session: SessionDep, storage: StorageDep, once: OnceDep, data: Raw) -> Response:
    """Store a voice note of a minute at most (raw WebM, Ogg, MP4 or WAV body), made anew as MP3."""

    def effect() -> VoiceUploaded:
        upload_id, seconds = service.keep_voice(session, storage, data)
        return VoiceUploaded(id=upload_id, seconds=seconds)

    return once.anonymous().run(effect, status=201)


@router.get(
    "/{upload_id}",
    response_class=Response,
    responses={
        200: {"content": {form.media_type: {} for form in domain.FORMS.values()}},
        206: {"description": "The part that was asked for."},
        304: {"description": "The same as before."},
        416: {"description": "There is no such part."},
        **responses(UploadNotFound, Unavailable),
    },
)
def show_upload(
    upload_id: UUID,
    session: SessionDep,
    storage: StorageDep,
    principal: MaybePrincipal,
    size: domain.Size = "full",
    part: Annotated[str | None, Header(alias="Range")] = None,
    seen: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """A photo or voice note of a report; what is hidden is shown to the commune's agents only."""
    kind, public = service.find(session, upload_id, size, principal)
    headers = {
        "Cache-Control": _SHARED if public else _OWN,
        "ETag": f'"{upload_id.hex}-{size}"',
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
    }
    if seen and headers["ETag"] in seen:
        return Response(status_code=304, headers=headers)
    stored = service.read(storage, upload_id, kind, size)
    first, last = read_range(part, stored.size)
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
        media_type=domain.FORMS[kind].media_type,
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
