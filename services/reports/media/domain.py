"""What may be sent, and as what voice notes are kept."""

from datetime import timedelta
from typing import Literal

Kind = Literal["photo", "voice"]

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
