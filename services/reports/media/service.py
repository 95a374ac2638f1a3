"""Use cases of photos and voice notes. Nothing here commits: the request's session does."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.media import images, orphans
from services.common.media.forms import Size
from services.common.media.storage import Storage, Stored
from services.reports.access import MANAGE
from services.reports.media import domain, repository, voice
from services.reports.media.domain import Kind
from services.reports.media.errors import UploadNotFound
from services.reports.media.forms import FORMS


def keep_photo(session: Session, storage: Storage, data: bytes) -> UUID:
    """Keep a photo in all sizes; :class:`NotAPhoto` or :class:`PhotoTooLarge`."""
    return _keep(session, storage, "photo", images.encode(data))


def keep_voice(session: Session, storage: Storage, data: bytes) -> tuple[UUID, float]:
    """Keep a voice note, and tell its length; :class:`NotAVoiceNote`, :class:`VoiceTooLong`."""
    made = voice.encode(data)
    return _keep(session, storage, "voice", {"full": made.data}, made.seconds), made.seconds


def _keep(
    session: Session,
    storage: Storage,
    kind: Kind,
    files: Mapping[Size, bytes],
    seconds: float | None = None,
) -> UUID:
    upload_id = uuid4()  # not ordered by time: nobody can guess a neighbour's
    FORMS[kind].put(storage, upload_id, files)
    repository.add(session, upload_id, kind, FORMS[kind].media_type, seconds)
    return upload_id


def find(
    session: Session, upload_id: UUID, size: Size, reader: Principal | None
) -> tuple[Kind, bool]:
    """Return an upload's kind, and whether all may see it; :class:`UploadNotFound`.

    What is hidden, or belongs to a report that is, is there for agents of its commune only.
    """
    row = repository.shown(session, upload_id)
    if row is None or size not in FORMS[row.kind].sizes:
        raise UploadNotFound
    if not row.public and not (reader and reader.can(MANAGE, row.commune)):
        raise UploadNotFound
    return row.kind, row.public


def read(storage: Storage, upload_id: UUID, kind: Kind, size: Size) -> Stored:
    """Begin to read a file; :class:`UploadNotFound` when it is not there."""
    stored = storage.open(FORMS[kind].key(upload_id, size))
    if stored is None:
        raise UploadNotFound
    return stored


def purge_orphans(session: Session, storage: Storage) -> int:
    """Delete uploads that no report has named in two days; return how many."""
    found = repository.claim_orphans(session, domain.UNATTACHED_KEPT, orphans.BATCH)
    gone = orphans.delete_files(storage, ((row.id, FORMS[row.kind]) for row in found))
    repository.delete(session, gone)
    return len(gone)
