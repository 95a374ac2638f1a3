"""Uploads that nothing names any more: their files first, then their rows."""

import logging
from collections.abc import Iterable
from uuid import UUID

from services.common.media.forms import Form
from services.common.media.storage import Storage
from services.common.problems import Unavailable

log = logging.getLogger(__name__)

#: Uploads deleted in one transaction.
BATCH = 1000


def delete_files(storage: Storage, uploads: Iterable[tuple[UUID, Form]]) -> list[UUID]:
    """Delete the files of uploads; return those whose rows may now go.

    What a storage cannot delete now stays whole for the next time.
    """
    gone: list[UUID] = []
    for upload_id, form in uploads:
        try:
            form.delete(storage, upload_id)
        except (Unavailable, OSError) as error:
            log.warning("an upload could not be deleted: %s", type(error).__name__)
            break
        gone.append(upload_id)
    return gone
