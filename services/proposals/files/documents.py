"""Documents: a PDF that opens without a fault, runs nothing and holds nothing but its pages."""

import re
import subprocess
import sys
from collections.abc import Mapping
from threading import BoundedSemaphore

from services.common.problems import DomainError
from services.proposals.files import domain
from services.proposals.files.domain import Judgement
from services.proposals.files.errors import DocumentTooLarge, NotADocument, UnsafeDocument

#: Documents read at once.
_READING = BoundedSemaphore(2)

_HEAD = re.compile(rb"%PDF-(1\.[0-7]|2\.0)\s")
_TAIL = re.compile(rb"startxref\s+[0-9]+\s+%%EOF\s*\Z")
_READER = "services.proposals.files.pdf"
_REFUSALS: Mapping[int, type[DomainError]] = {
    Judgement.UNSAFE: UnsafeDocument,
    Judgement.LARGE: DocumentTooLarge,
}


def check(data: bytes) -> None:
    """Raise :class:`NotADocument`, :class:`UnsafeDocument` or :class:`DocumentTooLarge`."""
    if len(data) > domain.DOCUMENT_BYTES:
        most = domain.DOCUMENT_BYTES // 1024 // 1024
        raise DocumentTooLarge(f"A document may have {most} MB at most.")
    if not _HEAD.match(data) or not _TAIL.search(data, max(len(data) - 1024, 0)):
        raise NotADocument
    with _READING:
        read = subprocess.run(  # noqa: S603 - our own module, the file on its input
            [sys.executable, "-m", _READER], input=data, capture_output=True, check=False
        )
    if read.returncode != Judgement.SAFE:
        raise _REFUSALS.get(read.returncode, NotADocument)
