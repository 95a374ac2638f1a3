"""Voice notes: decoded and encoded again, so that nothing but the sound survives.

All become MP3, which every browser plays: Safari plays Ogg only since 2025, old Androids no Opus in
MP4, and a WebM that was recorded live cannot be wound.
"""

import struct
import tempfile
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import lameenc  # type: ignore[import-not-found]
import numpy as np
import sphn  # type: ignore[import-untyped]

from services.reports.media import containers, domain
from services.reports.media.errors import NotAVoiceNote, VoiceTooLong

#: Voice notes decoded at once: some 30 MB each.
_DECODING = BoundedSemaphore(2)
_RATES = range(8_000, 96_001)


@dataclass(frozen=True, slots=True)
class Voice:
    """MP3 bytes and how long they play."""

    data: bytes
    seconds: float


def encode(data: bytes) -> Voice:
    """Return a recording as mono MP3 without metadata; what it is, its first bytes tell.

    :class:`NotAVoiceNote` or :class:`VoiceTooLong`; the length is counted before decoding.
    """
    wav = data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    large = wav or data[4:8] == b"ftyp"
    most = domain.VOICE_BYTES_LARGE if large else domain.VOICE_BYTES
    if len(data) > most:
        raise VoiceTooLong(f"A voice note may have {most // 1024 // 1024} MB at most.")
    try:
        with _DECODING:
            if wav and int.from_bytes(data[4:8], "little") + 8 > len(data):
                raise ValueError("cut short")
            sound, rate = _read(data) if wav else _decode(containers.read_track(data))
            return _mp3(sound, rate)
    except (ValueError, IndexError, KeyError, struct.error):
        raise NotAVoiceNote from None


def _decode(track: containers.Track) -> tuple[Any, int]:
    """Return PCM (channels × samples) and its rate; no more than a minute is ever decoded."""
    _refuse_longer(track.seconds)
    if track.codec == "aac":
        return _read(containers.adts(track))
    sound, rate = sphn.read_opus_bytes(containers.ogg(track))
    return sound[:, track.skip :], rate


def _read(data: bytes) -> tuple[Any, int]:
    """Decode WAV or AAC: the decoder wants a file of its own, which is gone when this returns."""
    with tempfile.NamedTemporaryFile(prefix="palabre-voice-") as file:
        file.write(data)
        file.flush()
        return sphn.read(file.name)  # type: ignore[no-any-return]


def _mp3(sound: Any, rate: int) -> Voice:
    if rate not in _RATES or sound.size == 0:
        raise ValueError("no sound that a microphone makes")
    seconds = sound.shape[1] / rate
    _refuse_longer(seconds)
    mono = np.nan_to_num(sound.mean(axis=0)).clip(-1, 1)
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(domain.VOICE_RATE)
    encoder.set_bit_rate(domain.VOICE_KBITS)
    encoder.set_quality(2)
    made = encoder.encode((mono * 32767).astype("<i2").tobytes()) + encoder.flush()
    return Voice(bytes(made), round(seconds, 1))


def _refuse_longer(seconds: float) -> None:
    if seconds > domain.VOICE_SECONDS + domain.VOICE_GRACE_SECONDS:
        raise VoiceTooLong(f"A voice note may last {domain.VOICE_SECONDS} seconds at most.")
