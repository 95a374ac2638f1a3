"""What EXIF offers, and all that it may say wrongly."""

import io
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from services.common.media import exif as reader
from services.common.media import images
from services.common.media.exif import Offered
from tests.media import COTONOU, COTONOU_GPS, TAG, exif, photo

pytestmark = pytest.mark.unit

GPS = ExifTags.GPS
TAKEN, ZONE = TAG.DateTimeOriginal, TAG.OffsetTimeOriginal


def offered(gps: dict[int, Any] | None = None, taken: dict[int, Any] | None = None) -> Offered:
    return images.offered(photo(exif=exif(gps, taken)))


def test_a_place_is_read_to_ten_centimetres() -> None:
    found = offered(COTONOU_GPS)
    assert (found.lon, found.lat) == COTONOU
    assert found.taken_at is None


def test_west_and_south_are_negative() -> None:
    found = offered({**COTONOU_GPS, GPS.GPSLongitudeRef: "W", GPS.GPSLatitudeRef: "S"})
    assert (found.lon, found.lat) == (-COTONOU[0], -COTONOU[1])


def test_decimal_minutes() -> None:
    minutes = {
        GPS.GPSLatitude: (IFDRational(6), IFDRational(21_330_000, 1_000_000), IFDRational(0))
    }
    assert offered({**COTONOU_GPS, **minutes}).lat == COTONOU[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0)},
        {GPS.GPSStatus: "V"},
        {GPS.GPSLatitude: (90.0, 0.0, 1.0)},
        {GPS.GPSLongitude: (180.0, 1.0, 0.0)},
        {GPS.GPSLatitude: (IFDRational(0, 0), 21.0, 0.0)},
        {GPS.GPSLatitude: (6.0, 21.0)},
        {GPS.GPSLatitude: (6.0,)},
        {GPS.GPSLatitudeRef: "X"},
        {GPS.GPSLongitudeRef: "N"},
    ],
    ids=str,
)
def test_no_place_is_better_than_a_wrong_one(wrong: dict[int, Any]) -> None:
    found = offered({**COTONOU_GPS, **wrong})
    assert (found.lon, found.lat) == (None, None)


@pytest.mark.parametrize("missing", COTONOU_GPS)
def test_half_a_place_is_none(missing: int) -> None:
    found = offered({tag: value for tag, value in COTONOU_GPS.items() if tag != missing})
    assert (found.lon, found.lat) == (None, None)


@pytest.mark.parametrize(
    "angle", [(float("nan"), 0, 0), (float("inf"), 0, 0), (-6, 0, 0), "6°21", 6.3555, None, b"6"]
)
def test_what_is_no_angle(angle: object) -> None:
    gps = {**COTONOU_GPS, GPS.GPSLatitude: angle}
    assert reader._place(gps) == (None, None)  # TIFF cannot hold these: straight to the reader


@pytest.mark.parametrize(
    ("taken", "utc"),
    [
        ({TAKEN: "2026:03:01 08:30:00"}, "2026-03-01T07:30:00+00:00"),  # Bénin's clock
        ({TAKEN: "2026:03:01 08:30:00", ZONE: "+00:00"}, "2026-03-01T08:30:00+00:00"),
        ({TAKEN: "2026:03:01 00:30:00", ZONE: "+02:00"}, "2026-02-28T22:30:00+00:00"),
        ({TAKEN: "2026:03:01 08:30:00", ZONE: "   :  "}, None),
        ({TAKEN: "2026:02:30 08:30:00"}, None),
        ({TAKEN: "    :  :     :  :  "}, None),
        ({TAKEN: "1999:12:31 08:30:00"}, None),
        ({TAKEN: "0001:01:01 00:00:00", ZONE: "+14:00"}, None),
        ({TAKEN: "9999:12:31 23:59:59", ZONE: "-12:00"}, None),
        ({TAKEN: "2026-03-01T08:30:00"}, None),
        ({ZONE: "+01:00"}, None),
    ],
)
def test_the_time_of_the_photo(taken: dict[int, str], utc: str | None) -> None:
    found = offered(taken=taken).taken_at
    assert (found.isoformat() if found else None) == utc


def test_a_place_without_a_time_and_a_time_without_a_place() -> None:
    assert offered(COTONOU_GPS, {TAKEN: "nonsense"}).lon == COTONOU[0]
    assert offered({GPS.GPSStatus: "V"}, {TAKEN: "2026:03:01 08:30:00"}).taken_at is not None


@given(st.tuples(*3 * [st.fractions(0, 90, max_denominator=10**6)]))
def test_angles_agree_with_exact_arithmetic(parts: tuple[Fraction, Fraction, Fraction]) -> None:
    exact = parts[0] + parts[1] / 60 + parts[2] / 3600
    lon, lat = reader._place({**COTONOU_GPS, GPS.GPSLatitude: parts})
    if exact > 90:
        assert (lon, lat) == (None, None)
    else:
        assert lat == pytest.approx(float(exact), abs=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as when served
@given(st.binary(max_size=400))
def test_no_bytes_crash_the_exif_reader(data: bytes) -> None:
    for head in (b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"):
        body = head + data
        segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body
        sent = photo()[:2] + segment + photo()[2:]
        found = images.offered(sent)
        assert found.lon is None or -180 <= found.lon <= 180
        assert Image.open(io.BytesIO(images.encode(sent)["thumb"])).size == (40, 30)
