"""CSV and GeoJSON as they are sent: what a spreadsheet may hold, and batches as bytes."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo

#: By it a spreadsheet knows UTF-8.
BOM = "\ufeff"
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "geojson": "application/geo+json",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object, zone: tzinfo = UTC) -> object:
    """Return what a spreadsheet may hold: no text of a citizen is read as a formula (OWASP).

    Times are ISO 8601 to the second in ``zone``, UTC as ``Z``.
    """
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return value


def csv_chunks(
    names: Sequence[str], batches: Iterable[Iterable[Iterable[object]]], zone: tzinfo = UTC
) -> Iterator[bytes]:
    """Yield a CSV that Excel opens as it is: UTF-8 with BOM, semicolons, a line of ``names``."""
    yield (BOM + _csv([names])).encode()
    for rows in batches:
        yield _csv([cell(value, zone) for value in row] for row in rows).encode()


def _csv(rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    return out.getvalue()


def geojson_chunks(batches: Iterable[Iterable[str]]) -> Iterator[bytes]:
    """Yield one FeatureCollection (RFC 7946) of features that are text already."""
    yield b'{"type":"FeatureCollection","features":[\n'
    before = ""
    for features in batches:
        yield (before + ",\n".join(features)).encode()
        before = ",\n"
    yield b"\n]}\n"
