"""Photos: upright, small, bare, and refused before they cost anything."""

import io
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from services.common.media import images
from services.common.media.errors import NotAPhoto, PhotoTooLarge
from services.common.media.exif import Offered
from services.common.media.forms import Size
from services.common.problems import DomainError
from tests.media import (
    COTONOU,
    COTONOU_GPS,
    claims,
    corners,
    exif,
    many_scans,
    one_colour_a_scan,
    photo,
    save,
    segments,
    swapped_profile,
)

pytestmark = pytest.mark.unit

KINDS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF")


def shown(data: bytes, size: Size = "full") -> Image.Image:
    image = Image.open(io.BytesIO(images.encode(data)[size]))
    assert image.format == "JPEG"
    return image


def nearly(one: Image.Image, other: Image.Image) -> bool:
    """Tell whether no pixel differs by more than what lossy encoding does."""
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    # Encoders blur the borders of the four colours: look at the middles of the blocks only.
    return max(high for _, high in difference.reduce(20).getextrema()) < 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turned", range(1, 9))
def test_a_turned_photo_is_made_upright(kind: str, turned: int) -> None:
    data = save(corners(), kind, exif=exif(turned=turned))
    if kind == "HEIF":  # there the container turns, and all readers see it upright
        expected = corners() if turned == 1 else ImageOps.exif_transpose(tagged(turned))
    else:
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    found = shown(data)
    assert found.size == expected.size
    assert nearly(found, expected)


def tagged(turned: int) -> Image.Image:
    return Image.open(io.BytesIO(save(corners(), "PNG", exif=exif(turned=turned))))


@pytest.mark.parametrize("kind", KINDS)
def test_sizes(kind: str) -> None:
    made = images.encode(photo((2400, 1200), kind))
    assert {name: Image.open(io.BytesIO(data)).size for name, data in made.items()} == {
        "full": (1600, 800),
        "thumb": (320, 160),
    }
    assert shown(photo((50, 20), kind)).size == (50, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_pixels_is_kept(kind: str) -> None:
    secrets: dict[str, object] = {"exif": exif(COTONOU_GPS), "icc_profile": swapped_profile()}
    if kind != "HEIF":
        secrets["xmp"] = b"<x:xmpmeta>SecretPlace</x:xmpmeta>"
    if kind == "JPEG":
        secrets["comment"] = b"SecretComment"
    data = photo((400, 300), kind, **secrets)
    assert b"SecretPhone" in data or kind == "PNG"
    for made in images.encode(data).values():
        # JFIF, quantisation and Huffman tables, the frame: no EXIF, XMP, ICC, IPTC, comment.
        assert {marker for marker, _ in segments(made)} <= {0xE0, 0xDB, 0xC2, 0xC4}
        assert [body[:5] for marker, body in segments(made) if marker == 0xE0] == [b"JFIF\0"]
        assert b"Secret" not in made
        image = Image.open(io.BytesIO(made))
        assert not image.getexif()
        assert {"progressive", "jfif"} <= set(image.info) <= JFIF_ONLY


JFIF_ONLY = {
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression", "dpi",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_colours_are_brought_to_srgb(kind: str) -> None:
    red, green, _ = shown(photo(kind=kind, icc_profile=swapped_profile())).getpixel((9, 9))  # type: ignore[misc]
    assert red < 60
    assert green > 170


@pytest.mark.parametrize("profile", [b"no profile at all", b"\0" * 200, swapped_profile()[:300]])
def test_a_broken_profile_costs_nothing(profile: bytes) -> None:
    red, green, _ = shown(photo(icc_profile=profile)).getpixel((9, 9))  # type: ignore[misc]
    assert (red > 170, green < 60) == (True, True)


def test_a_profile_of_other_pixels_costs_nothing() -> None:
    assert shown(save(Image.new("L", (40, 30), 90), icc_profile=swapped_profile())).size == (40, 30)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "I;16"])
def test_every_mode_becomes_jpeg(mode: str) -> None:
    assert shown(save(Image.new(mode, (50, 20)), "PNG"), "thumb").mode in ("RGB", "L")


def test_what_is_transparent_is_white_and_hides_nothing() -> None:
    hidden = Image.new("RGBA", (60, 40), (*(200, 30, 30), 0))
    assert min(shown(save(hidden, "PNG")).getpixel((20, 20))) > 250  # type: ignore[type-var, arg-type]


def test_sixteen_bits_are_scaled() -> None:
    grey = Image.frombytes("I;16", (40, 30), (0x8000).to_bytes(2, "little") * 1200)
    assert 120 < shown(save(grey, "PNG")).convert("L").getpixel((9, 9)) < 136  # type: ignore[operator]


def test_a_print_s_colours_are_read() -> None:
    assert shown(save(Image.new("CMYK", (40, 30), (0, 200, 200, 30)))).mode == "RGB"


def test_a_photo_with_a_second_image_in_it() -> None:
    data = save(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (320, 200))])
    assert nearly(shown(data), corners())


def test_a_photo_of_forty_eight_megapixels_in_one_scan_is_taken() -> None:
    # Few bytes, as a photo of the night: what counts is that all the pixels are there.
    assert shown(photo((8000, 6000))).size == (1600, 1200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a photo",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        b"<!doctype html><script>alert(1)</script>" + photo(),
        photo(kind="GIF"),
        photo(kind="TIFF"),
        photo(kind="BMP"),
        b"%PDF-1.7\n" + photo(),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        *(save(Image.effect_noise((300, 200), 60).convert("RGB"), kind)[:-900] for kind in KINDS),
        *(photo(kind=kind)[:40] for kind in KINDS),
    ],
)
def test_what_is_no_whole_photo_is_refused(data: bytes) -> None:
    with pytest.raises(NotAPhoto):
        images.encode(data)
    assert images.offered(data) == Offered()


def test_what_follows_a_photo_is_left_behind() -> None:
    polyglot = photo() + b"<script>alert(1)</script><?php system('id'); ?>PK\x03\x04"
    for made in images.encode(polyglot).values():
        assert b"script" not in made
        assert b"php" not in made


@pytest.mark.parametrize(
    "data",
    [
        claims(photo(), 50_000, 50_000),
        claims(photo(progressive=True), 6_000, 5_000),
        one_colour_a_scan(claims(photo(), 6_000, 5_000)),
        claims(photo(kind="PNG"), 50_000, 50_000),
        claims(photo(kind="PNG"), 5_001, 5_000),
        claims(photo((64, 64), "HEIF"), 50_000, 50_000),
        claims(photo((64, 64), "HEIF"), 6_000, 5_000),
        photo((6000, 5000), "WEBP"),
        many_scans(150),
        b"\xff\xd8" + bytes(images.PHOTO_BYTES),
    ],
    ids=[
        "JPEG 50,000", "progressive 30 Mpx", "one colour a scan", "PNG 50,000",
        "PNG one row over", "HEIC 50,000", "HEIC 30 Mpx", "WebP 30 Mpx", "scans", "bytes",
    ],
)  # fmt: skip
def test_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(PhotoTooLarge):
        images.encode(data)


def test_a_heic_whose_picture_is_larger_than_it_says_is_refused() -> None:
    with pytest.raises(NotAPhoto):
        images.encode(claims(photo((4000, 3000), "HEIF"), 64, 64))


MEASURE = """
import re, sys
from pathlib import Path
from services.common.media import images
from services.common.problems import DomainError
from tests.media import photo
images.encode(photo()), images.encode(photo((64, 64), "HEIF"))
data = open(sys.argv[1], "rb").read()
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = peak()
try:
    images.encode(data)
except DomainError:
    pass
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("kind", "size", "megabytes"),
    [
        ("PNG", (5000, 5000), 280),
        ("JPEG", (5000, 5000), 220),
        ("HEIF", (5000, 5000), 220),
        ("PNG bomb", (50_000, 50_000), 16),
        ("JPEG bomb", (50_000, 50_000), 16),
        ("HEIF bomb", (50_000, 50_000), 16),
    ],
)
def test_memory_is_bounded(
    tmp_path_factory: pytest.TempPathFactory, kind: str, size: tuple[int, int], megabytes: int
) -> None:
    if kind.endswith("bomb"):
        data = claims(photo((64, 64), kind.split()[0]), *size)
    elif kind == "PNG":
        data = save(Image.new("RGBA", size, (1, 2, 3, 128)), "PNG")
    else:  # a progressive JPEG holds more than its pixels
        data = photo(size, kind, **({"progressive": True} if kind == "JPEG" else {}))
    path = tmp_path_factory.mktemp("photo") / "photo"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < megabytes


@pytest.mark.parametrize("kind", KINDS)
def test_place_and_time_are_offered_by_every_format_of_phones(kind: str) -> None:
    taken = {0x9003: "2026:03:01 08:30:00", 0x9011: "+01:00"}
    found = images.offered(photo(kind=kind, exif=exif(COTONOU_GPS, taken)))
    assert (found.lon, found.lat) == COTONOU
    assert found.taken_at is not None
    assert found.taken_at.isoformat() == "2026-03-01T07:30:00+00:00"


SAMPLES = {kind: save(corners((64, 48)), kind, exif=exif(COTONOU_GPS, turned=6)) for kind in KINDS}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as when served
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.data())
def test_broken_photos_are_refused_or_shown_and_nothing_else(
    kind: str, draw: st.DataObject
) -> None:
    data = bytearray(SAMPLES[kind])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    broken = bytes(data[: draw.draw(st.integers(0, len(data)))])
    images.offered(broken)
    with suppress(NotAPhoto, PhotoTooLarge):
        assert set(images.encode(broken)) == {"full", "thumb"}


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_photo_reader(data: bytes) -> None:
    heads = (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"\0\0\0\x1cftypheic",
    )
    for head in heads:
        with pytest.raises(DomainError):
            images.encode(head + data)
        assert images.offered(head + data) == Offered()
