"""Use cases of photos and documents. Nothing here commits: the request's session does."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.media import images, orphans
from services.common.media.exif import Offered
from services.common.media.forms import Size
from services.common.media.storage import Storage, Stored
from services.proposals import access
from services.proposals.files import documents, domain, repository
from services.proposals.files.domain import Kind, Subject
from services.proposals.files.errors import FileNotFound, PhotosOnly, TooManyFiles, UnknownFile
from services.proposals.files.forms import FORMS
from services.proposals.files.schemas import Uploaded

#: Whose a commune's files are while not everybody's, for all that a proposal does not keep back.
_OF_AGENTS = (access.MANAGE, access.REVIEW, access.WORK, access.SPEND)


def keep_photo(
    session: Session, storage: Storage, person: Principal, data: bytes, *, geotag: bool
) -> Uploaded:
    """Keep a photo in all sizes; with ``geotag`` also where and when it was taken.

    :class:`NotAPhoto` or :class:`PhotoTooLarge`.
    """
    files = images.encode(data)
    offered = images.offered(data) if geotag else Offered()
    return _keep(session, storage, person, "photo", files, offered=offered)


def keep_document(
    session: Session, storage: Storage, person: Principal, data: bytes, name: str
) -> Uploaded:
    """Keep a PDF as it is; :class:`NotADocument`, :class:`UnsafeDocument`, too large."""
    documents.check(data)
    return _keep(session, storage, person, "document", {"full": data}, domain.safe_name(name))


def _keep(
    session: Session,
    storage: Storage,
    person: Principal,
    kind: Kind,
    files: Mapping[Size, bytes],
    name: str = "",
    offered: Offered = Offered(),
) -> Uploaded:
    form = FORMS[kind]
    made = Uploaded(
        id=uuid4(),  # not ordered by time: nobody can guess a neighbour's
        kind=kind,
        media_type=form.media_type,
        name=name,
        bytes=len(files["full"]),
        lon=offered.lon,
        lat=offered.lat,
        taken_at=offered.taken_at,
    )
    form.put(storage, made.id, files)
    repository.add(session, made, person.user_id)
    return made


def find(
    session: Session, file_id: UUID, size: Size, reader: Principal | None
) -> tuple[Kind, str, bool]:
    """Return a file's kind, its name, and whether all may see it; :class:`FileNotFound`.

    What is not everybody's is there for who sent it, a proposal's authors and the commune's agents;
    of a draft or a hidden proposal, only for those agents who may read it.
    """
    row = repository.shown(session, file_id)
    if row is None or size not in FORMS[row.kind].sizes:
        raise FileNotFound
    if not (row.public or (reader and _may_see(session, row, reader))):
        raise FileNotFound
    return row.kind, row.name, row.public


def _may_see(session: Session, row: repository.Shown, reader: Principal) -> bool:
    if reader.user_id == row.uploaded_by:
        return True
    if row.proposal_id is not None and access.is_author(session, row.proposal_id, reader):
        return True
    if row.commune is None:
        return False
    if row.subject_kind == "proposal":
        return access.is_agent(reader, row.commune)
    return any(reader.can(one, row.commune) for one in _OF_AGENTS)


def read(storage: Storage, file_id: UUID, kind: Kind, size: Size) -> Stored:
    """Begin to read a file; :class:`FileNotFound` when it is not there."""
    stored = storage.open(FORMS[kind].key(file_id, size))
    if stored is None:
        raise FileNotFound
    return stored


def attach(
    session: Session,
    person: Principal,
    kind: Subject,
    subject_id: UUID,
    file_ids: Sequence[UUID],
    alts: Sequence[str] | None = None,
    *,
    replace: bool = False,
) -> None:
    """Bind files to a subject in this order; with ``replace`` it then has no others.

    What is not ``person``'s own upload, or belongs to something else, is an :class:`UnknownFile`;
    what the subject has already may stay, whoever sent it. A document where only photos belong is
    refused with :class:`PhotosOnly`. Lock the subject first.
    """
    field = domain.FIELDS[kind]
    files = repository.hold(session, file_ids)
    has = repository.positions(session, kind, subject_id)
    for number, file_id in enumerate(file_ids):
        file = files.get(file_id)
        free = file and file.subject_id is None and file.uploaded_by == person.user_id
        if file_ids.index(file_id) < number or not (free or file_id in has):
            raise UnknownFile(UnknownFile.__doc__ or "", f"/{field}/{number}")
        if kind in domain.PHOTOS_ONLY and files[file_id].kind != "photo":
            raise PhotosOnly(PhotosOnly.__doc__ or "", f"/{field}/{number}")
    others = [file_id for file_id in has if file_id not in file_ids]
    if replace:
        repository.detach(session, others)
        others = []
    if len(others) + len(file_ids) > domain.MOST:
        raise TooManyFiles(f"There may be {domain.MOST} files at most.", f"/{field}")
    first = max((has[file_id] for file_id in others), default=-1) + 1
    said = [*(alts or ()), *[None] * len(file_ids)]
    places = [
        (file_id, number, alt)
        for number, (file_id, alt) in enumerate(zip(file_ids, said, strict=False), start=first)
    ]
    repository.attach(session, kind, subject_id, places)


def purge_orphans(session: Session, storage: Storage) -> int:
    """Delete files of two days and more that belong to nothing; return how many."""
    found = repository.claim_orphans(session, domain.UNATTACHED_KEPT, orphans.BATCH)
    gone = orphans.delete_files(storage, ((row.id, FORMS[row.kind]) for row in found))
    repository.delete(session, gone)
    return len(gone)
