"""Voice notes: what is recorded where becomes one bare MP3; all else is refused."""

import re
import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.common.problems import DomainError
from services.reports.media import containers, domain, voice
from services.reports.media.errors import NotAVoiceNote, VoiceTooLong
from tests.media import RECORDINGS, heard, photo, recording, sent, wav

pytestmark = pytest.mark.unit

NAMES = (*RECORDINGS, "WAV")
SILENCE = b"\xfb\x06"  # an Opus packet of 120 ms


@pytest.mark.parametrize("name", NAMES)
def test_what_is_recorded_where_becomes_small_mono_mp3(name: str) -> None:
    made = voice.encode(sent(name, 2.0))
    seconds, loudest, about = heard(made.data)
    assert about == {
        "format": "mp3",
        "codec": "mp3float",
        "rate": domain.VOICE_RATE,
        "channels": 1,
        "metadata": {},
    }
    assert made.seconds == pytest.approx(2.0, abs=0.1)
    assert seconds == pytest.approx(2.0, abs=0.2)
    assert loudest == pytest.approx(440, abs=2)
    assert len(made.data) < 2.2 * domain.VOICE_KBITS * 125


@pytest.mark.parametrize("name", [name for name in RECORDINGS if "fragments" not in name])
def test_nothing_but_the_sound_is_kept(name: str) -> None:
    secret = {"title": "SecretTitle", "comment": "SecretComment", "location": "+06.3555+002.4400/"}
    data = sent(name, metadata=secret)
    assert b"SecretTitle" in data
    made = voice.encode(data).data
    assert b"Secret" not in made
    assert b"06.3555" not in made
    assert made[:2] == b"\xff\xf3"  # a frame of sound at once: no ID3, no Xing header


def test_what_hides_in_a_wav_is_left_behind() -> None:
    data = wav()
    note = b"LIST" + struct.pack("<I", 30) + b"INFOICMT" + struct.pack("<I", 18)
    note += b"<script>Secret</sc"
    hidden = data[:12] + note + data[12:] + b"<script>alert(1)</script>"
    hidden = hidden[:4] + struct.pack("<I", len(data) + len(note) - 8) + hidden[8:]
    assert b"cript" not in voice.encode(hidden).data


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 1)])
def test_wav_of_any_recorder(width: int, rate: int, channels: int) -> None:
    _, loudest, about = heard(voice.encode(wav(1.0, rate, channels, width)).data)
    assert (about["rate"], about["channels"]) == (domain.VOICE_RATE, 1)
    assert loudest == pytest.approx(440, abs=2)


@pytest.mark.parametrize("frame", ["2.5", "5", "10", "20", "40", "60", "120"])
@pytest.mark.parametrize("application", ["voip", "audio"])
def test_the_length_of_opus_is_read_in_its_packets(frame: str, application: str) -> None:
    options = {"frame_duration": frame, "application": application}
    for rate in (8_000, 16_000, 48_000):
        track = containers.read_track(recording("ogg", "libopus", rate=rate, options=options))
        assert track.seconds == pytest.approx(1.0, abs=0.13)


@pytest.mark.parametrize("name", NAMES)
def test_a_minute_is_taken_and_a_second_more_is_not(name: str) -> None:
    assert voice.encode(sent(name, 60.0)).seconds == pytest.approx(60.0, abs=0.2)
    with pytest.raises(VoiceTooLong):
        voice.encode(sent(name, 61.0))


def test_a_long_recording_in_few_bytes_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 20,000 packets of 120 ms of silence: forty minutes, 460 MB of samples.
    silence = containers.Track("opus", [SILENCE] * 20_000, 1, 48_000)
    assert silence.seconds == 2400
    monkeypatch.setattr(voice.sphn, "read_opus_bytes", None)
    with pytest.raises(VoiceTooLong):
        voice.encode(containers.ogg(silence))


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (sent("WebM of Chrome") + bytes(domain.VOICE_BYTES), "1 MB"),
        (sent("Ogg of Firefox") + bytes(domain.VOICE_BYTES), "1 MB"),
        (sent("MP4 of a phone") + bytes(domain.VOICE_BYTES_LARGE), "2 MB"),
        (wav(130.0), "2 MB"),
        (bytes(domain.VOICE_BYTES + 1), "1 MB"),
    ],
    ids=["WebM", "Ogg", "MP4", "WAV", "zeros"],
)
def test_too_many_bytes_are_refused(data: bytes, limit: str) -> None:
    with pytest.raises(VoiceTooLong, match=limit):
        voice.encode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a voice",
        b"<!doctype html><script>alert(1)</script>" + sent("WebM of Chrome"),
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        photo(),
        photo(kind="WEBP"),
        photo(kind="HEIF"),
        recording("mp3", "libmp3lame"),
        recording("flac", "flac"),
        recording("adts", "aac"),
        recording("matroska", "libmp3lame"),
        recording("ogg", "flac"),
        recording("mp4", "libmp3lame"),
        recording("mp4", "alac"),
        recording("webm", "libopus", seconds=0),
        b"RIFF\0\0\0\0WAVE" + sent("Ogg of Firefox"),
        wav(0),
        *(sent(name)[:-700] for name in RECORDINGS if name != "WebM of Chrome"),
        *(sent(name)[:60] for name in NAMES),
    ],
    ids=lambda data: "some bytes",  # recordings are made anew each time, and differ
)
def test_what_is_no_recording_of_a_voice_is_refused(data: bytes) -> None:
    with pytest.raises(NotAVoiceNote):
        voice.encode(data)


@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_of_a_film_the_sound_is_kept(kind: str) -> None:
    codec = "libopus" if kind == "webm" else "aac"
    _, loudest, _ = heard(voice.encode(recording(kind, codec, video=True)).data)
    assert loudest == pytest.approx(440, abs=2)


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, name) + body


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def mp4(stbl: bytes, *more: bytes, usual: int = 1_000_000) -> bytes:
    """An MP4 of Opus around a table of samples of our making."""
    head = struct.pack(">BBHIhB", 0, 1, 312, 48_000, 0, 0)
    entry = box(b"stsd", numbers(0, 1), box(b"Opus", bytes(28), box(b"dOps", head)))
    mdia = box(b"mdia", box(b"hdlr", bytes(8), b"soun"), box(b"minf", box(b"stbl", entry, stbl)))
    trex = (box(b"trex", numbers(0, track, 1, 0, usual * track, 0)) for track in (1, 2))
    trak = box(b"trak", box(b"tkhd", numbers(0, 0, 0, 1)), mdia)
    moov = box(b"moov", trak, box(b"mvex", *trex))
    return b"".join((box(b"ftyp", b"isom"), moov, *more))


EMPTY = box(b"stsz", numbers(0, 0, 0)) + box(b"stsc", numbers(0, 0)) + box(b"stco", numbers(0, 0))
RUN, ENDLESS = (box(b"trun", numbers(0, count)) for count in (30_000, 2**32 - 1))


@pytest.mark.parametrize(
    "data",
    [
        mp4(
            box(b"stsz", numbers(0, 1, 2**32 - 1))
            + box(b"stsc", numbers(0, 1, 1, 2**32 - 1, 1))
            + box(b"stco", numbers(0, 1, 0))
        ),
        mp4(
            box(b"stsz", numbers(0, 20_000, 20_000))
            + box(b"stsc", numbers(0, 1, 1, 1, 1))
            + box(b"stco", numbers(0, 20_000, *([0] * 20_000)))
        ),
        mp4(
            box(b"stsz", numbers(0, 9, 10))
            + box(b"stsc", numbers(0, 100_000, *range(300_000)))
            + box(b"stco", numbers(0, 100_000, *([0] * 100_000)))
        ),
        mp4(EMPTY, box(b"moof", box(b"traf", box(b"tfhd", numbers(0, 1)), RUN * 50_000))),
        mp4(EMPTY, box(b"moof", box(b"traf", box(b"tfhd", numbers(0, 1)), RUN)), bytes(1_000_000)),
        mp4(EMPTY, box(b"moof", box(b"traf", box(b"tfhd", numbers(0, 1)), ENDLESS))),
        mp4(EMPTY, *[box(b"moof", box(b"traf", box(b"tfhd", numbers(0, 2)), RUN))] * 20_000),
        mp4(box(b"stsz", numbers(0, 0, 2**32 - 1))),
    ],
    ids=["samples", "one over another", "chunks", "runs", "run", "endless", "fragments", "table"],
)
def test_tables_that_claim_much_cost_little(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NotAVoiceNote):
            voice.encode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * 2**20


def test_fragments_may_leave_the_size_of_packets_to_the_file() -> None:
    def fragmented(offset: int) -> bytes:
        run = box(b"trun", numbers(1, 25, offset))
        moof = box(b"moof", box(b"traf", box(b"tfhd", numbers(0x20000, 1)), run))
        return mp4(EMPTY, moof, box(b"mdat", SILENCE * 25), usual=len(SILENCE))

    offset = fragmented(0).index(b"mdat") + 4 - fragmented(0).index(b"moof") + 4
    assert containers.read_track(fragmented(offset)).packets == [SILENCE] * 25


def test_of_two_streams_in_an_ogg_the_first_is_read() -> None:
    one, other = sent("Ogg of Firefox"), sent("Ogg of Firefox", 2.0)
    page = one.index(b"OggS", 4)
    assert containers.read_track(one[:page] + other + one[page:]) == containers.read_track(one)


def test_laced_packets_are_refused() -> None:
    data = sent("WebM of Chrome")
    blocks = rb"(\xa3..?\x81..)\x80"
    laced = re.sub(blocks, lambda found: found[1] + b"\x82", data, flags=re.DOTALL)
    assert laced != data
    with pytest.raises(NotAVoiceNote):
        voice.encode(laced)


def test_a_webm_that_is_all_elements_costs_little() -> None:
    for filler in (b"\xec\x80", b"\xa0\xff", b"\x1f\x43\xb6\x75\xff"):
        with pytest.raises(NotAVoiceNote):
            voice.encode(b"\x1a\x45\xdf\xa3\x80" + filler * 100_000)


def test_sound_out_of_bounds_is_clipped() -> None:
    made = voice._mp3(np.array([[np.nan, np.inf, -np.inf, 9.0] * 4000], "float32"), 16_000)
    assert heard(made.data)[0] == pytest.approx(1.0, abs=0.2)


def test_opus_is_wrapped_as_another_reader_expects() -> None:
    for name in ("WebM", "Ogg of Firefox", "MP4 of Chrome"):
        track = containers.read_track(sent(name))
        assert containers.read_track(containers.ogg(track)) == track
        seconds, loudest, about = heard(containers.ogg(track))
        assert (about["format"], loudest) == ("ogg", pytest.approx(440, abs=2))
        assert seconds == pytest.approx(track.seconds, abs=0.05)


SAMPLES = {name: sent(name, 0.3) for name in NAMES}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES), st.data())
def test_broken_recordings_are_refused_or_heard(name: str, draw: Any) -> None:
    data = bytearray(SAMPLES[name])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(NotAVoiceNote, VoiceTooLong):
        made = voice.encode(bytes(data[: draw.draw(st.integers(0, len(data)))]))
        assert made.seconds <= domain.VOICE_SECONDS + domain.VOICE_GRACE_SECONDS


@given(st.binary(max_size=300))
@example(b"\x1c\xcc" * 99)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    heads = (b"", b"\x1aE\xdf\xa3\x80", b"OggS\0", b"\0\0\0\x08ftyp", b"RIFF\0\0\0\0WAVEfmt ")
    for head in heads:
        with pytest.raises(DomainError):
            voice.encode(head + data)
