"""What may be sent and named, and where it may belong."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Literal

Kind = Literal["photo", "document"]
Subject = Literal["campaign", "proposal", "criterion", "journal", "entry"]

DOCUMENT_BYTES = 5 * 1024 * 1024
DOCUMENT_PAGES = 200
#: A page has some ten objects, in a form some fifty; more than this is nothing to read.
DOCUMENT_OBJECTS = 20_000
NAME_LENGTH = 120

#: Files that one subject may have.
MOST = 10
#: How long a file waits for what it belongs to.
UNATTACHED_KEPT = timedelta(days=2)
#: What one person may try to send in an hour.
FILES_PER_HOUR = 100

#: The field of a body that names a subject's files: where a refusal points.
FIELDS: Mapping[Subject, str] = {
    "campaign": "pictures",
    "proposal": "photos",
    "criterion": "files",
    "journal": "photos",
    "entry": "files",
}
#: What shows photos and has no place for a document.
PHOTOS_ONLY: Collection[Subject] = frozenset({"campaign", "proposal", "journal"})


class Judgement(IntEnum):
    """What a document is; as an exit status, apart from those that a fault of ours has."""

    SAFE = 0
    BROKEN = 10
    UNSAFE = 11
    LARGE = 12


_SUFFIX = ".pdf"
_UNNAMED = "document"
_EDGES = " .-_'"
_KEPT = _EDGES + "()"


def safe_name(given: str) -> str:
    """Return a file name that every system keeps as it is: one line, no path, ending in .pdf."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    bare = re.sub(r"\.pdf\s*$", "", last, flags=re.IGNORECASE)
    plain = "".join(one if _is_plain(one) else " " for one in bare)
    name = " ".join(plain.split()).strip(_EDGES)[: NAME_LENGTH - len(_SUFFIX)].rstrip(_EDGES)
    return (name or _UNNAMED) + _SUFFIX


def _is_plain(one: str) -> bool:
    return one in _KEPT or unicodedata.category(one)[0] in "LMN"
