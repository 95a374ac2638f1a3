"""Photos: re-encoded on arrival so that nothing hidden survives, kept on disk."""

import io
import os
import warnings
from pathlib import Path
from threading import BoundedSemaphore
from uuid import UUID

from PIL import Image, ImageOps, UnidentifiedImageError

from services.reports.domain import PHOTO_BYTES, PHOTO_PIXELS, PHOTO_SIDE, THUMB_SIDE
from services.reports.errors import NotAPhoto, PhotoTooLarge

#: A JPEG is decoded at a fraction of its size; the others whole, and a few bytes can claim much.
MAX_PIXELS = {"JPEG": PHOTO_PIXELS, "PNG": PHOTO_PIXELS // 2, "WEBP": PHOTO_PIXELS // 2}
FORMATS = tuple(MAX_PIXELS)
#: Photos decoded at once, of the many that may arrive at once.
_DECODING = BoundedSemaphore(2)
_TOO_MANY_PIXELS = f"A photo may have {PHOTO_PIXELS // 10**6} megapixels at most."
SIDES = {"full": PHOTO_SIDE, "thumb": THUMB_SIDE}


def encode(data: bytes) -> dict[str, bytes]:
    """Return JPEG bytes by size name: upright, bounded in pixels, without any metadata.

    :class:`NotAPhoto` or :class:`PhotoTooLarge`; pixels are counted before any is decoded.
    """
    if len(data) > PHOTO_BYTES:
        raise PhotoTooLarge(f"A photo may have {PHOTO_BYTES // 1024 // 1024} MB at most.")
    try:
        with _DECODING:
            upright = _small(data)
    except Image.DecompressionBombError:
        raise PhotoTooLarge(_TOO_MANY_PIXELS) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise NotAPhoto from None
    found = {}
    for name, side in SIDES.items():
        copy = upright.copy()
        copy.thumbnail((side, side), Image.Resampling.LANCZOS)
        copy.info.clear()
        out = io.BytesIO()
        copy.save(out, "JPEG", quality=78, optimize=True, progressive=True)
        found[name] = out.getvalue()
    return found


def _small(data: bytes) -> Image.Image:
    """Decode once, shrink in place, and only then turn and convert what is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS[str(image.format)]:
            raise PhotoTooLarge(_TOO_MANY_PIXELS)
        image.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return ImageOps.exif_transpose(image).convert("RGB")


def path_of(root: Path, upload_id: UUID, size: str) -> Path:
    """Return where a photo lies: names come from us, never from a client."""
    return root / "reports" / upload_id.hex[-2:] / f"{upload_id.hex}-{size}.jpg"


def store(root: Path, upload_id: UUID, encoded: dict[str, bytes]) -> None:
    """Write all sizes durably; a crash leaves at worst a file no row names."""
    for size, data in encoded.items():
        path = path_of(root, upload_id, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with partial.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
