"""Writing GeoPackage from batches of rows."""

import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pyogrio import raw
from sqlalchemy import Row

from services.reports.exports.domain import (
    GEOPACKAGES_AT_ONCE,
    MAX_GEOPACKAGE,
    Column,
    Kind,
)
from services.reports.exports.errors import Busy, TooManyForOneFile

Batches = Generator[Sequence[Row[Any]]]
#: The first two of a row are the key it was paged by.
KEY = 2
LAYER = "signalements"
CHUNK = 64 * 1024


def _words(values: list[Any]) -> NDArray[Any]:
    return np.array(values, dtype=object)


_TYPES: dict[Kind, Callable[[list[Any]], NDArray[Any]]] = {
    "text": _words,
    "link": _words,
    "time": lambda values: np.array(
        [value and value.replace(tzinfo=None) for value in values], dtype="datetime64[ms]"
    ),
    "integer": lambda values: np.array(values, dtype=np.int32),
    "boolean": lambda values: np.array(values, dtype=np.bool_),
}
#: GDAL's mark for a time zone that is UTC.
_UTC = 100
_making = threading.BoundedSemaphore(GEOPACKAGES_AT_ONCE)


def geopackage(batches: Batches, columns: Sequence[Column]) -> IO[bytes]:
    """Return an open GeoPackage of rows that end in their WKB; closing it is its end.

    The file has no name any more when this returns: whoever leaves, it goes with its handle.
    :class:`TooManyForOneFile` past :data:`MAX_GEOPACKAGE` rows, :class:`Busy` when others are made.
    """
    if not _making.acquire(blocking=False):
        raise Busy
    try:
        with closing(batches), tempfile.TemporaryDirectory(prefix="palabre-export-") as folder:
            path = Path(folder) / "reports.gpkg"
            written = 0
            _append(path, [], columns, new=True)
            for rows in batches:
                written += len(rows)
                if written > MAX_GEOPACKAGE:
                    raise TooManyForOneFile
                _append(path, rows, columns, new=False)
            return path.open("rb")
    finally:
        _making.release()


def _append(path: Path, rows: Sequence[Row[Any]], columns: Sequence[Column], *, new: bool) -> None:
    across = list(zip(*rows, strict=True)) or [() for _ in range(KEY + len(columns) + 1)]
    fields = across[KEY:-1]
    raw.write(
        path,
        np.array([shape and bytes(shape) for shape in across[-1]], dtype=object),
        [_TYPES[c.kind](list(values)) for c, values in zip(columns, fields, strict=True)],
        [column.name for column in columns],
        layer=LAYER,
        driver="GPKG",
        geometry_type="Point",
        crs="EPSG:4326",
        append=not new,
        gdal_tz_offsets={
            column.name: np.full(len(rows), _UTC, dtype=np.int32)
            for column in columns
            if column.kind == "time"
        },
        # What the QGIS and GDAL of the last ten years read without a warning.
        dataset_options={"VERSION": "1.2"} if new else None,
        layer_options={"GEOMETRY_NAME": "geom"} if new else None,
    )


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of a file."""
    while part := file.read(CHUNK):
        yield part
