"""HTTP of photos and voice notes."""

from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.encoders import jsonable_encoder

from services.common import rates
from services.common.auth import MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.media import images, transfer
from services.common.media.errors import NotAPhoto, PhotoTooLarge
from services.common.media.forms import Size
from services.common.media.transfer import RAW, AskedDep, Raw, StorageDep
from services.common.problems import Conflict, TooMany, Unavailable, responses
from services.reports.media import domain, service
from services.reports.media.errors import NotAVoiceNote, UploadNotFound, VoiceTooLong
from services.reports.media.forms import FORMS
from services.reports.media.schemas import Uploaded, VoiceUploaded

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])

#: Bytes a body may have, by path; one more than a file may have is told what it may have.
BODY_LIMITS: Mapping[str, int] = {
    "/api/v1/uploads/voice": domain.VOICE_BYTES_LARGE + 1024,
    "/api/v1/uploads": images.PHOTO_BYTES + 1024,
}


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
    openapi_extra=RAW,
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
    openapi_extra=RAW,
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
        **transfer.answers(*(form.media_type for form in FORMS.values())),
        **responses(UploadNotFound, Unavailable),
    },
)
def show_upload(
    upload_id: UUID,
    session: SessionDep,
    storage: StorageDep,
    principal: MaybePrincipal,
    asked: AskedDep,
    size: Size = "full",
) -> Response:
    """A photo or voice note of a report; what is hidden is shown to the commune's agents only."""
    kind, public = service.find(session, upload_id, size, principal)
    return transfer.send(
        asked,
        lambda: service.read(storage, upload_id, kind, size),
        tag=f"{upload_id.hex}-{size}",
        media_type=FORMS[kind].media_type,
        public=public,
    )
