"""The packets of a recording, read out of what phones and browsers wrap them in.

Only what is needed is read: which packets belong to the first track of sound. All else (names,
places, pictures, other tracks) stays behind. ``ValueError``, ``IndexError`` or ``struct.error``
mean that the file is not what it says.

Sources: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), RFC 6716 (Opus), RFC 8794 and 9559 (WebM),
ISO/IEC 14496-12 (MP4), 14496-14 and 14496-3 (AAC).
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

#: More packets than a minute can hold (2.5 ms each) are not counted to their end.
MAX_PACKETS = 30_000

OPUS_RATE = 48_000
AAC_FRAME = 1024
_AAC_RATES = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
)  # fmt: skip
_AAC_LC = 2
#: Samples a frame by configuration: SILK three times, hybrid twice, CELT four times.
_OPUS_FRAMES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
#: What fits an Ogg page, beside the byte that ends it.
_PAGE_BYTES = 254 * 255


@dataclass(frozen=True, slots=True)
class Track:
    """A track's packets; ``rate`` in samples a second, ``skip`` in samples dropped at the start."""

    codec: Literal["opus", "aac"]
    packets: list[bytes]
    channels: int
    rate: int
    skip: int = 0

    @property
    def seconds(self) -> float:
        """Return how long the packets say they last; ``ValueError`` when one does not say."""
        if self.codec == "aac":
            return len(self.packets) * AAC_FRAME / self.rate
        return (sum(map(opus_samples, self.packets)) - self.skip) / self.rate


def read_track(data: bytes) -> Track:
    """Return the first track of sound, whatever the container."""
    for start, magic, reader in _READERS:
        if data.startswith(magic, start):
            track = reader(data)
            if not track.packets or not all(track.packets):
                raise ValueError("no sound")
            return track
    raise ValueError("no container known here")


def opus_samples(packet: bytes) -> int:
    """Return how many samples (at 48 kHz) an Opus packet lasts (RFC 6716, section 3.1)."""
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[packet[0] & 3]
    samples = _OPUS_FRAMES[packet[0] >> 3] * frames
    if not 0 < samples <= 5760 or len(packet) > _PAGE_BYTES:
        raise ValueError("an Opus packet lasts 120 ms at most")
    return samples


def _opus(head: bytes, packets: list[bytes]) -> Track:
    """Read an identification header: one stream of one or two channels (mapping family 0)."""
    magic, version, channels, skip, _, _, family = struct.unpack_from("<8sBBHIhB", head)
    if magic != b"OpusHead" or version > 15 or channels not in (1, 2) or family:
        raise ValueError("not an Opus header of one voice")
    return Track("opus", packets, channels, OPUS_RATE, skip)


def _aac(config: bytes, packets: list[bytes]) -> Track:
    """Read an AudioSpecificConfig: AAC-LC, which is what phones record."""
    bits = int.from_bytes(config[:2])
    kind, rate, channels = bits >> 11, bits >> 7 & 15, bits >> 3 & 15
    if len(config) < 2 or kind != _AAC_LC or rate >= len(_AAC_RATES) or channels not in (1, 2):
        raise ValueError("not AAC-LC of one voice")
    if any(len(packet) > 6144 * channels // 8 for packet in packets):
        raise ValueError("an AAC frame has 6144 bits a channel at most")
    return Track("aac", packets, channels, _AAC_RATES[rate])


def adts(track: Track) -> bytes:
    """Return an AAC track as a stream that decoders take without a container."""
    rate = _AAC_RATES.index(track.rate)
    out = bytearray()
    for packet in track.packets:
        size = len(packet) + 7
        head = 0xFFF1 << 40 | (_AAC_LC - 1) << 38 | rate << 34 | track.channels << 30
        out += (head | size << 13 | 0x7FF << 2).to_bytes(7)
        out += packet
    return bytes(out)


# Ogg ----------------------------------------------------------------------------------------------


def read_ogg(data: bytes) -> Track:
    """Read the first Opus stream of an Ogg file."""
    packets: list[bytes] = []
    serial: bytes | None = None
    at, part = 0, bytearray()
    while at < len(data):
        if data[at : at + 5] != b"OggS\0":
            raise ValueError("no Ogg page")
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        body, at = at + 27 + len(lacing), at + 27 + len(lacing) + sum(lacing)
        if at > len(data) or len(packets) > MAX_PACKETS:
            raise ValueError("cut short, or endless")
        page_serial = data[body - len(lacing) - 13 : body - len(lacing) - 9]
        if serial is None and data.startswith(b"OpusHead", body):
            serial = page_serial
        if page_serial != serial:
            continue
        for size in lacing:
            part += data[body : body + size]
            body += size
            if size < 255:
                packets.append(bytes(part))
                part.clear()
    head, _tags, *sound = packets
    return _opus(head, [packet for packet in sound if packet])


def ogg(track: Track) -> bytes:
    """Return an Opus track as an Ogg file with nothing else in it, one packet a page."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, track.channels, track.skip, OPUS_RATE, 0, 0)
    tags = b"OpusTags" + bytes(8)
    out, granule = bytearray(_page(0, 2, 0, head) + _page(1, 0, 0, tags)), 0
    for number, packet in enumerate(track.packets, start=2):
        granule += opus_samples(packet)
        last = number == len(track.packets) + 1
        out += _page(number, 4 if last else 0, granule, packet)
    return bytes(out)


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _page(number: int, flags: int, granule: int, packet: bytes) -> bytes:
    lacing = b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0)
    page = bytearray(head + bytes((len(lacing),)) + lacing + packet)
    # Ogg's CRC is zlib's with every bit the other way round, from zero and left as it is.
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    page[22:26] = int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little")
    return bytes(page)


# WebM ---------------------------------------------------------------------------------------------

_SEGMENT, _CLUSTER, _GROUP, _TRACKS, _ENTRY = 0x18538067, 0x1F43B675, 0xA0, 0x1654AE6B, 0xAE
_NUMBER, _TYPE, _CODEC, _PRIVATE = 0xD7, 0x83, 0x86, 0x63A2
_BLOCKS = (0xA3, 0xA1)
_INSIDE = (_SEGMENT, _CLUSTER, _GROUP, _TRACKS, _ENTRY)


def _number(data: bytes, at: int, longest: int) -> tuple[int, int, bool]:
    """Return a variable-length number with its marker, where it ends, and if all its bits are 1."""
    size = 9 - data[at].bit_length()
    if size > longest or at + size > len(data):
        raise ValueError("no EBML number")
    value = int.from_bytes(data[at : at + size])
    return value, at + size, value == (1 << 7 * size + 1) - 1


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk an EBML file, into the elements that lead to blocks and past all others."""
    at = 0
    while at < len(data):
        name, at, _ = _number(data, at, 4)
        start = at
        size, at, unknown = _number(data, at, 8)
        size -= 1 << 7 * (at - start)
        if at + size > len(data) and not (unknown and name in _INSIDE):
            raise ValueError("cut short")
        if name in _INSIDE:
            yield name, b""
        else:
            yield name, data[at : at + size]
            at += size


def read_webm(data: bytes) -> Track:
    """Read the first Opus track of a WebM (or Matroska) file."""
    entries: list[dict[int, bytes]] = []
    blocks: list[bytes] = []
    for name, body in _elements(data):
        if name == _ENTRY:
            entries.append({})
        elif name in (_NUMBER, _TYPE, _CODEC, _PRIVATE):
            entries[-1].setdefault(name, body)
        elif name in _BLOCKS:
            blocks.append(body)
    track = next(e for e in [*entries, {}] if not e or e.get(_CODEC) == b"A_OPUS")
    packets = []
    for block in blocks:
        number, at, _ = _number(block, 0, 8)
        if number - (1 << 7 * at) != int.from_bytes(track[_NUMBER]):
            continue
        if block[at + 2] & 0b110:
            raise ValueError("packets laced together are not for voices")
        packets.append(block[at + 3 :])
    return _opus(track[_PRIVATE], packets)


# MP4 ----------------------------------------------------------------------------------------------

_Span = tuple[int, int]


def _boxes(data: bytes, span: _Span) -> Iterator[tuple[bytes, _Span]]:
    at, end = span
    while at < end:
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        at = at + size if size else end
        if not start <= at <= end:
            raise ValueError("a box is cut short")
        yield name, (start, at)


def _inside(data: bytes, span: _Span, *path: bytes) -> Iterator[_Span]:
    """Walk the boxes of a path, e.g. ``mdia``, ``minf``."""
    for name, found in _boxes(data, span):
        if name == path[0]:
            yield from _inside(data, found, *path[1:]) if len(path) > 1 else (found,)


def _one(data: bytes, span: _Span, *path: bytes) -> _Span:
    found = next(_inside(data, span, *path), None)
    if found is None:
        raise ValueError("a box is missing")
    return found


def _table(data: bytes, span: _Span, row: str, skip: int = 4) -> list[tuple[int, ...]]:
    """Read a count and as many rows after ``skip`` bytes."""
    (count,) = struct.unpack_from(">I", data, span[0] + skip)
    start, size = span[0] + skip + 4, struct.calcsize(row)
    if start + count * size > span[1]:
        raise ValueError("a table is cut short")
    return list(struct.iter_unpack(row, data[start : start + count * size]))


def read_mp4(data: bytes) -> Track:
    """Read the first track of sound of an MP4 file, in one piece or in fragments."""
    whole = (0, len(data))
    moov = _one(data, whole, b"moov")
    for trak in _inside(data, moov, b"trak"):
        handler, _ = _one(data, trak, b"mdia", b"hdlr")
        if data[handler + 8 : handler + 12] == b"soun":
            break
    else:
        raise ValueError("no sound")
    stbl = _one(data, trak, b"mdia", b"minf", b"stbl")
    spans = [*_samples(data, stbl), *_fragments(data, whole, moov, trak)]
    if any(not 0 <= at < end <= len(data) for at, end in spans):
        raise ValueError("a packet is not there")
    if sum(end - at for at, end in spans) > len(data):
        raise ValueError("packets lie over one another")
    packets = [data[at:end] for at, end in spans]
    name, entry = next(_boxes(data, _past(_one(data, stbl, b"stsd"), 8)), (b"", whole))
    if name == b"Opus":
        start, _ = _one(data, _past(entry, 28), b"dOps")
        _, channels, skip, _, _, family = struct.unpack_from(">BBHIhB", data, start)
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, skip, OPUS_RATE, 0, family)
        return _opus(head, packets)
    if name == b"mp4a":
        return _aac(_config(data, _one(data, _past(entry, 28), b"esds")), packets)
    raise ValueError("a codec unknown here")


def _past(span: _Span, size: int) -> _Span:
    return span[0] + size, span[1]


def _config(data: bytes, esds: _Span) -> bytes:
    """Return the AudioSpecificConfig in the descriptors of an ``esds`` box."""
    at, body = esds[0] + 4, b""
    for tag, skip in ((3, 3), (4, 13), (5, 0)):
        if data[at] != tag:
            raise ValueError("no such descriptor")
        size = 0
        for at in range(at + 1, at + 5):  # noqa: B020 - goes on where it stops
            size = size << 7 | data[at] & 127
            if data[at] < 128:
                break
        at += 1
        body = data[at : at + size]
        at += skip
    return body


def _samples(data: bytes, stbl: _Span) -> list[_Span]:
    """Find the packets of a file in one piece, by its tables of sizes and chunks."""
    table = _one(data, stbl, b"stsz")
    same, count = struct.unpack_from(">II", data, table[0] + 4)
    if count > MAX_PACKETS:
        raise ValueError("endless")
    sizes = [same] * count if same else [size for (size,) in _table(data, table, ">I", 8)]
    short = next(_inside(data, stbl, b"stco"), None)
    chunks = _table(data, short or _one(data, stbl, b"co64"), ">I" if short else ">Q")
    spread = _table(data, _one(data, stbl, b"stsc"), ">III")[::-1]
    spans: list[_Span] = []
    for number, (at,) in enumerate(chunks, start=1):
        while len(spread) > 1 and spread[-2][0] <= number:
            spread.pop()
        for size in sizes[len(spans) : len(spans) + spread[-1][1]]:
            spans.append((at, at + size))
            at += size
    return spans


def _fragments(data: bytes, whole: _Span, moov: _Span, trak: _Span) -> list[_Span]:
    """Find the packets of all fragments (``moof``) that belong to the track."""
    header, _ = _one(data, trak, b"tkhd")
    (track,) = struct.unpack_from(">I", data, header + (20 if data[header] else 12))
    usual = 0
    for start, _ in _inside(data, moov, b"mvex", b"trex"):
        owner, _, _, size = struct.unpack_from(">IIII", data, start + 4)
        usual = size if owner == track else usual
    spans: list[_Span] = []
    for moof in _inside(data, whole, b"moof"):
        for traf in _inside(data, moof, b"traf"):
            at, _ = _one(data, traf, b"tfhd")
            flags, owner = struct.unpack_from(">II", data, at)
            given = {1: moof[0] - 8, 16: usual}
            at += 8
            for flag, form in ((1, ">Q"), (2, ">I"), (8, ">I"), (16, ">I")):
                if flags & flag:
                    (given[flag],) = struct.unpack_from(form, data, at)
                    at += struct.calcsize(form)
            for run in _inside(data, traf, b"trun"):
                if owner == track:
                    spans += _run(data, run, base=given[1], size=given[16])
                if len(spans) > MAX_PACKETS:
                    raise ValueError("endless")
    return spans


def _run(data: bytes, run: _Span, *, base: int, size: int) -> Iterator[_Span]:
    """Find the packets of one ``trun`` box; ``size`` is theirs unless it tells them apart."""
    flags, count = struct.unpack_from(">II", data, run[0])
    at = run[0] + 8
    if flags & 1:
        base += struct.unpack_from(">i", data, at)[0]
        at += 4
    at += 4 if flags & 4 else 0
    columns = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    for _ in range(min(count, MAX_PACKETS + 1)):
        if 0x200 in columns:
            (size,) = struct.unpack_from(">I", data, at + 4 * columns.index(0x200))
        at += 4 * len(columns)
        yield base, base + size
        base += size


_READERS: tuple[tuple[int, bytes, Callable[[bytes], Track]], ...] = (
    (0, b"\x1aE\xdf\xa3", read_webm),
    (0, b"OggS", read_ogg),
    (4, b"ftyp", read_mp4),
)
