"""``python -m services.proposals.files.pdf``: judge the PDF on the standard input.

A process of its own, whose time and memory end before the service's do: a few bytes of a hostile
file can ask for much of either. Its exit status is the judgement; any other means a broken file.
"""

import io
import logging
import re
import resource
import struct
import sys
from typing import Any

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

from services.proposals.files.domain import DOCUMENT_OBJECTS, DOCUMENT_PAGES, Judgement

_CPU_SECONDS = 10
_MEMORY_BYTES = 1024**3
#: An object stream of a writer that means well has some hundred objects.
_STREAM_BYTES = 4 * 1024 * 1024

#: What runs by itself or at a click, and what holds other files (ISO 32000-2, 7.11, 12.6, 13).
_KEYS = frozenset(
    {"/JS", "/JavaScript", "/AA", "/XFA", "/EmbeddedFiles", "/EF", "/RichMediaContent"}
)
_KINDS = frozenset(
    {
        "/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/Movie", "/Sound",
        "/GoToE", "/RichMediaExecute", "/EmbeddedFile", "/FileAttachment", "/RichMedia", "/Screen",
        "/3D",
    }
)  # fmt: skip
_SAID_BY = ("/S", "/Type", "/Subtype")
#: What the reader raises for a file that is not what it says.
_FAULTS = (
    PyPdfError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError,
    AssertionError, RuntimeError, EOFError, OSError, struct.error,
)  # fmt: skip


def judge(data: bytes) -> Judgement:
    """Return what a document is."""
    try:
        return _judge(data)
    except (FileNotDecryptedError, DependencyError):
        return Judgement.UNSAFE
    except LimitReachedError:
        return Judgement.LARGE
    except _FAULTS:
        return Judgement.BROKEN


def _judge(data: bytes) -> Judgement:
    reader = pypdf.PdfReader(io.BytesIO(data), strict=True)
    if reader.is_encrypted:
        return Judgement.UNSAFE
    places = {
        (number, generation): start
        for generation, entries in reader.xref.items()
        for number, start in entries.items()
        if not reader.xref_free_entry.get(generation, {}).get(number)
    }
    known = places.keys() | {(number, 0) for number in reader.xref_objStm}
    if len(known) > DOCUMENT_OBJECTS:
        return Judgement.LARGE
    if not all(map(_is_there, [data] * len(places), places, places.values())):
        return Judgement.BROKEN
    # What no page leads to is looked at too: another reader may find its own way to it.
    parts = [
        reader.get_object(IndirectObject(number, generation, reader))
        for number, generation in known
    ]
    if any(map(_is_active, (reader.trailer, *parts))):
        return Judgement.UNSAFE
    pages = len(reader.pages)
    if pages > DOCUMENT_PAGES:
        return Judgement.LARGE
    return Judgement.SAFE if pages else Judgement.BROKEN


def _is_there(data: bytes, one: tuple[int, int], start: int) -> bool:
    """Tell whether an object lies where the table says: else each reader finds its own."""
    return re.compile(rb"\s*%d\s+%d\s+obj\b" % one).match(data, start) is not None


def _is_active(part: Any) -> bool:
    """Tell whether an object, or one written inside it, runs something or holds a file."""
    inside = [part]
    while inside:
        one = inside.pop()
        if isinstance(one, DictionaryObject):
            said = {name: one.raw_get(name) for name in one}
            if not _KEYS.isdisjoint(said) or any(said.get(by) in _KINDS for by in _SAID_BY):
                return True
            inside += said.values()
        elif isinstance(one, ArrayObject):
            inside += list.__iter__(one)
    return False


class Doubts(logging.Handler):
    """Hears what the reader made good by guessing: another reader may guess otherwise."""

    heard = False

    def emit(self, _: logging.LogRecord) -> None:
        """Take note."""
        self.heard = True


def main() -> int:
    """Judge what comes in, within bounds."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    doubts = Doubts()
    logging.basicConfig(handlers=[doubts])
    pypdf.overwrite_configuration(
        zlib_maximum_output_length=_STREAM_BYTES, disable_legacy_handling=True
    )
    found = judge(sys.stdin.buffer.read())
    return Judgement.BROKEN if found is Judgement.SAFE and doubts.heard else found


if __name__ == "__main__":
    sys.exit(main())
