"""HTTP of photos and documents."""

from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.common import rates
from services.common.auth import CurrentPrincipal, MaybePrincipal
from services.common.db import SessionDep
from services.common.idempotency import Once, OnceDep
from services.common.media import images, transfer
from services.common.media.errors import NotAPhoto, PhotoTooLarge
from services.common.media.forms import Size
from services.common.media.transfer import RAW, AskedDep, Raw, StorageDep
from services.common.problems import Conflict, TooMany, Unauthenticated, Unavailable, responses
from services.proposals.files import domain, service
from services.proposals.files.errors import (
    DocumentTooLarge,
    FileNotFound,
    NotADocument,
)
from services.proposals.files.forms import FORMS
from services.proposals.files.schemas import Uploaded

PATH = "/api/v1/files"
router = APIRouter(prefix=PATH, tags=["files"])

#: Bytes a body may have, by path; one more than a file may have is told what it may have.
BODY_LIMITS: Mapping[str, int] = {
    f"{PATH}/documents": domain.DOCUMENT_BYTES + 1024,
    PATH: images.PHOTO_BYTES + 1024,
}


def limit_files(request: Request, person: CurrentPrincipal) -> None:
    """Bound what one person may try in an hour: counted apart, so that refusals count too."""
    with request.app.state.sessions.begin() as session:
        # An id is random: nothing but the file's own row tells whose this counter is.
        rates.hit(session, PATH, "file", str(person.user_id), domain.FILES_PER_HOUR)


def _keep(once: Once, effect: Callable[[], Uploaded]) -> Response:
    """Run one upload, and say nothing of a place or time that there is none of."""
    return once.run(
        lambda: effect().model_dump(mode="json", exclude_none=True),
        status=201,
        location=lambda made: f"{PATH}/{made['id']}",
    )


@router.post(
    "",
    status_code=201,
    response_model=Uploaded,
    response_model_exclude_none=True,
    responses=responses(Unauthenticated, NotAPhoto, PhotoTooLarge, Conflict, TooMany, Unavailable),
    openapi_extra=RAW,
    dependencies=[Depends(limit_files)],
)
def upload_photo(
    session: SessionDep,
    storage: StorageDep,
    once: OnceDep,
    person: CurrentPrincipal,
    data: Raw,
    geotag: Annotated[bool, Query(description="keep where and when it was taken")] = False,
) -> Response:
    """Store a photo (raw JPEG, PNG, WebP, HEIC or AVIF body), made anew without metadata."""
    return _keep(once, lambda: service.keep_photo(session, storage, person, data, geotag=geotag))


@router.post(
    "/documents",
    status_code=201,
    response_model=Uploaded,
    response_model_exclude_none=True,
    responses=responses(
        Unauthenticated, NotADocument, DocumentTooLarge, Conflict, TooMany, Unavailable
    ),
    openapi_extra=RAW,
    dependencies=[Depends(limit_files)],
)
def upload_document(
    session: SessionDep,
    storage: StorageDep,
    once: OnceDep,
    person: CurrentPrincipal,
    data: Raw,
    name: Annotated[str, Query(max_length=500)],
) -> Response:
    """Store a PDF (raw body) that runs nothing and holds nothing but its pages, as it is."""
    return _keep(once, lambda: service.keep_document(session, storage, person, data, name))


@router.get(
    "/{file_id}",
    response_class=Response,
    responses={
        **transfer.answers(*(form.media_type for form in FORMS.values())),
        **responses(FileNotFound, Unavailable),
    },
)
def show_file(
    file_id: UUID,
    session: SessionDep,
    storage: StorageDep,
    reader: MaybePrincipal,
    asked: AskedDep,
    size: Size = "full",
) -> Response:
    """A photo, or a document to save; what is not public is its sender's and the agents'."""
    kind, name, public = service.find(session, file_id, size, reader)
    saved = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox",
    }
    return transfer.send(
        asked,
        lambda: service.read(storage, file_id, kind, size),
        tag=f"{file_id.hex}-{size}",
        media_type=FORMS[kind].media_type,
        public=public,
        more=saved if kind == "document" else None,
    )
