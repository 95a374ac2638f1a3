"""PDF documents as offices make them, and as attackers would."""

import zlib
from collections.abc import Sequence


def pdf(
    *extra: str | bytes,
    root: str = "",
    page: str = "",
    trailer: str = "",
    pages: int = 1,
    version: str = "1.7",
) -> bytes:
    """A document of empty pages; ``root``, ``page`` and ``trailer`` are added to their parts.

    ``extra`` objects follow, numbered from :func:`first_extra` on.
    """
    kids = " ".join(f"{number} 0 R" for number in range(3, 3 + pages))
    parts: list[str | bytes] = [
        f"<< /Type /Catalog /Pages 2 0 R {root} >>",
        f"<< /Type /Pages /Count {pages} /Kids [ {kids} ] >>",
        *[f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {page} >>"] * pages,
        *extra,
    ]
    return assemble(parts, trailer, version)


def first_extra(pages: int = 1) -> int:
    """The number of the first of the extra objects of :func:`pdf`."""
    return 3 + pages


def assemble(parts: Sequence[str | bytes], trailer: str = "", version: str = "1.7") -> bytes:
    """Number objects from 1 on and write the table of where they are."""
    out = bytearray(f"%PDF-{version}\n".encode())
    places = []
    for number, part in enumerate(parts, start=1):
        places.append(len(out))
        body = part.encode() if isinstance(part, str) else part
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, count = len(out), len(parts) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % count
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    more = trailer.encode()
    out += b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (
        count,
        more,
        start,
    )
    return bytes(out)


def stream(data: bytes, more: str = "") -> bytes:
    """A compressed stream."""
    packed = zlib.compress(data)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode {more} >>".encode()
    return head + b"\nstream\n" + packed + b"\nendstream"
