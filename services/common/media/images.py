"""Photos: made anew from their pixels on arrival, so that nothing hidden survives."""

import io
import warnings
from collections.abc import Mapping
from threading import BoundedSemaphore

import pi_heif  # type: ignore[import-untyped]
from PIL import Image, ImageCms, UnidentifiedImageError

from services.common.media import exif
from services.common.media.errors import NotAPhoto, PhotoTooLarge
from services.common.media.exif import Offered
from services.common.media.forms import Size

# Only the picture itself: what else a HEIC holds is never decoded.
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

# What is odd about strangers' photos is no news, and must not fill a log.
warnings.filterwarnings("ignore", module=r"PIL\.")

PHOTO_BYTES = 10 * 1024 * 1024
#: A JPEG is decoded at a fraction of its size; the others whole, and a few bytes can claim much.
PHOTO_PIXELS = 50_000_000
PHOTO_PIXELS_WHOLE = PHOTO_PIXELS // 2
#: A progressive JPEG has some ten scans; each costs a pass over all its pixels.
PHOTO_SCANS = 100
#: The longer side of each size kept, in pixels.
SIDES: Mapping[Size, int] = {"full": 1600, "thumb": 320}

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF")
#: Photos decoded at once, of the many that may arrive at once: at most some 250 MB each.
_DECODING = BoundedSemaphore(2)
_TOO_MANY_PIXELS = "A photo may have {} megapixels at most."
_PROFILE_BYTES = 2 * 1024 * 1024


def encode(data: bytes) -> dict[Size, bytes]:
    """Return JPEG bytes by size: upright, sRGB, bounded in pixels, without any metadata.

    :class:`NotAPhoto` or :class:`PhotoTooLarge`; pixels are counted before any is decoded.
    """
    if len(data) > PHOTO_BYTES:
        most = PHOTO_BYTES // 1024 // 1024
        raise PhotoTooLarge(f"A photo may have {most} MB at most.")
    try:
        with _DECODING:
            upright = _upright(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoTooLarge(_TOO_MANY_PIXELS.format(PHOTO_PIXELS // 10**6)) from None
    except (UnidentifiedImageError, *exif.BROKEN):
        raise NotAPhoto from None
    return {size: _jpeg(upright, side) for size, side in SIDES.items()}


def offered(data: bytes) -> Offered:
    """Return what a photo's metadata say of place and time; empty for what is no photo."""
    try:
        return exif.offered(_open(data))
    except (Image.DecompressionBombError, *exif.BROKEN):
        return Offered()


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _upright(data: bytes) -> Image.Image:
    """Decode once, shrink in place, and only then convert and turn what is left."""
    image = _open(data)
    most = _most_pixels(image, data)
    if image.width * image.height > most:
        raise PhotoTooLarge(_TOO_MANY_PIXELS.format(most // 10**6))
    side = SIDES["full"]
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    turn = exif.turn(image)
    plain = _srgb(image)
    return plain if turn is None else plain.transpose(turn)


def _most_pixels(image: Image.Image, data: bytes) -> int:
    """Return how many pixels may be decoded: fewer where all must be in memory at once.

    A JPEG in one scan is shrunk while it is read. In several (progressive or not) its coefficients
    fill six bytes a pixel, and each scan goes over all of them.
    """
    if image.format not in ("JPEG", "MPO"):
        return PHOTO_PIXELS_WHOLE
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if data.count(b"\xff\xda", at) > PHOTO_SCANS:
        raise PhotoTooLarge("A photo may not have so many scans.")
    in_one = "progressive" not in image.info and data[at + 4] == len(image.getbands())
    return PHOTO_PIXELS if in_one else PHOTO_PIXELS_WHOLE


def _srgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB; what is transparent becomes white."""
    profile = image.info.get("icc_profile", b"")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(layers, mask=layers)
    elif image.mode.startswith("I"):  # 16 bits, which Pillow would clip rather than scale
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if 0 < len(profile) <= _PROFILE_BYTES:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            to = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, source, to, outputMode="RGB") or image
        except (ImageCms.PyCMSError, *exif.BROKEN):
            pass  # a profile for other pixels than these, or none at all
    return image.convert("RGB")


def _jpeg(image: Image.Image, side: int) -> bytes:
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    copy.info.clear()
    out = io.BytesIO()
    copy.save(out, "JPEG", quality=78, optimize=True, progressive=True)
    return out.getvalue()
