"""What a photo's EXIF tells: how to turn it, and where and when it was taken.

All of it is a stranger's claim, and much of it is broken: what cannot be read was not said.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PIL import ExifTags, Image

#: What Pillow and its decoders raise for a file that is not what it says.
BROKEN = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError,
    RuntimeError, SyntaxError, Warning, struct.error,
)  # fmt: skip

_GPS, _EXIF = ExifTags.GPS, ExifTags.Base
_BENIN = "+0100"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Offered:
    """Where (degrees, WGS 84) and when a photo was taken, as far as its EXIF says."""

    lon: float | None = None
    lat: float | None = None
    taken_at: datetime | None = None


def turn(image: Image.Image) -> Image.Transpose | None:
    """Return what makes a decoded image upright, None when it is."""
    try:
        return _TURNS.get(image.getexif().get(_EXIF.Orientation, 1))
    except BROKEN:
        return None


def offered(image: Image.Image) -> Offered:
    """Read place and time of an opened image; nothing is decoded."""
    if "exif" not in image.info:
        return Offered()
    try:
        exif = image.getexif()
        gps, more = exif.get_ifd(ExifTags.IFD.GPSInfo), exif.get_ifd(ExifTags.IFD.Exif)
    except BROKEN:
        return Offered()
    lon, lat = _place(gps)
    return Offered(lon, lat, _moment(more))


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | tuple[None, None]:
    """Return longitude and latitude in degrees; phones without a fix write zeros, or "void"."""
    try:
        lon = _degrees(gps[_GPS.GPSLongitude], gps[_GPS.GPSLongitudeRef], "EW", 180)
        lat = _degrees(gps[_GPS.GPSLatitude], gps[_GPS.GPSLatitudeRef], "NS", 90)
    except BROKEN:
        return None, None
    if gps.get(_GPS.GPSStatus) == "V" or (lon, lat) == (0, 0):
        return None, None
    return lon, lat


def _degrees(parts: Any, side: str, sides: str, most: int) -> float:
    degrees, minutes, seconds = map(float, parts)
    value = degrees + minutes / 60 + seconds / 3600
    if not (math.isfinite(value) and min(degrees, minutes, seconds) >= 0 and value <= most):
        raise ValueError("not an angle")
    return round(value if sides.index(side.strip("\0 ")) == 0 else -value, 6)


def _moment(exif: Mapping[int, Any]) -> datetime | None:
    """Return when the photo was taken: by its clock and zone, Bénin's unless it says another."""
    try:
        zone = str(exif.get(_EXIF.OffsetTimeOriginal, "")).strip("\0 ") or _BENIN
        clock = str(exif[_EXIF.DateTimeOriginal]).strip("\0 ")
        moment = datetime.strptime(f"{clock} {zone}", "%Y:%m:%d %H:%M:%S %z").astimezone(UTC)
    except BROKEN:
        return None
    return moment if 2000 <= moment.year <= 2100 else None
