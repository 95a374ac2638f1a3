"""What may be sent, and as what it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Kind = Literal["photo", "voice"]
Size = Literal["full", "thumb"]

PHOTO_BYTES = 10 * 1024 * 1024
#: A JPEG is decoded at a fraction of its size; the others whole, and a few bytes can claim much.
PHOTO_PIXELS = 50_000_000
PHOTO_PIXELS_WHOLE = PHOTO_PIXELS // 2
#: A progressive JPEG has some ten scans; each costs a pass over all its pixels.
PHOTO_SCANS = 100
#: The longer side of each size kept, in pixels.
SIDES: Mapping[Size, int] = {"full": 1600, "thumb": 320}

VOICE_SECONDS = 60
#: A recorder that a timer stops at a minute has recorded a little more.
VOICE_GRACE_SECONDS = 0.5
#: By how a file begins: phones record AAC (in MP4) at 128–192 kbit/s whatever a page asks for.
VOICE_BYTES = 1024 * 1024
VOICE_BYTES_LARGE = 2 * VOICE_BYTES
#: MP3 of 24 kbit/s: a minute is 180 KB.
VOICE_RATE = 16_000
VOICE_KBITS = 24

#: What one address may send in an hour.
UPLOADS_PER_HOUR = 200
#: How long an upload waits for its report.
UNATTACHED_KEPT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Form:
    """In which files a kind of upload is kept."""

    media_type: str
    suffix: str
    sizes: tuple[Size, ...]


FORMS: Mapping[Kind, Form] = {
    "photo": Form("image/jpeg", "jpg", ("full", "thumb")),
    "voice": Form("audio/mpeg", "mp3", ("full",)),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """What a photo's EXIF says of where (degrees, WGS 84) and when it was taken: never stored."""

    lon: float | None = None
    lat: float | None = None
    taken_at: datetime | None = None


def key_of(upload_id: UUID, kind: Kind, size: Size) -> str:
    """Return where a file lies in the storage: names come from us, never from a client."""
    name = upload_id.hex
    return f"reports/{name[-2:]}/{name}-{size}.{FORMS[kind].suffix}"
