"""Photos and recordings as phones and browsers make them, and as attackers would."""

import io
import struct
import wave
import zlib
from typing import Any

import av
import numpy as np
import pillow_heif
from av.audio.stream import AudioStream
from PIL import ExifTags, Image, ImageCms

RED = (200, 30, 30)
GPS, TAG = ExifTags.GPS, ExifTags.Base
#: The cathedral of Cotonou, by degrees, minutes and seconds.
COTONOU_GPS = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (6.0, 21.0, 19.8),
    GPS.GPSLongitudeRef: "E",
    GPS.GPSLongitude: (2.0, 26.0, 24.0),
}
COTONOU = (2.44, 6.3555)


def exif(
    gps: dict[int, Any] | None = None, taken: dict[int, Any] | None = None, turned: int = 1
) -> Image.Exif:
    """EXIF of a phone: who made it, how it was held, where and when."""
    made = Image.Exif()
    made[TAG.Orientation] = turned
    made[TAG.Make] = "SecretPhone"
    made.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    made.get_ifd(ExifTags.IFD.Exif).update(taken or {})
    return made


def save(image: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    """Encode an image; HEIC by another library than the one that reads it."""
    out = io.BytesIO()
    if kind == "HEIF":
        if "exif" in more:
            more["exif"] = more["exif"].tobytes()
        hurried = {"preset": "ultrafast"}
        pillow_heif.from_pillow(image).save(out, enc_params=hurried, **more)
    else:
        image.save(out, kind, **more)
    return out.getvalue()


def photo(size: tuple[int, int] = (40, 30), kind: str = "JPEG", **more: Any) -> bytes:
    """A red photo."""
    return save(Image.new("RGB", size, RED), kind, **more)


def corners(size: tuple[int, int] = (320, 200)) -> Image.Image:
    """An image of four colours, so that each way of turning it shows."""
    image = Image.new("RGB", size, "red")
    width, height = size[0] // 2, size[1] // 2
    image.paste("blue", (width, 0, size[0], height))
    image.paste("white", (0, height, width, size[1]))
    image.paste("black", (width, height, *size))
    return image


def swapped_profile() -> bytes:
    """An ICC profile whose red is green and whose green is red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")


def claims(data: bytes, width: int, height: int) -> bytes:
    """Let a JPEG, PNG or HEIC header claim another size."""
    if data.startswith(b"\x89PNG"):
        head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    if data.startswith(b"\xff\xd8"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def many_scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    data = photo((64, 64), progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * count + data[-2:]


def one_colour_a_scan(data: bytes) -> bytes:
    """Let a JPEG's first scan hold one component only, so that others must follow."""
    at = data.index(b"\xff\xda") + 4
    return data[:at] + b"\x01" + data[at + 1 :]


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """The marker segments of a JPEG up to its first scan: marker and body."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at + 1], data[at + 4 : at + 2 + size]))
        at += 2 + size
    return found


def tone(seconds: float, rate: int, channels: int = 1) -> Any:
    """A tone of 440 Hz, channels × samples."""
    wave_ = 0.4 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return np.tile(wave_.astype("float32"), (channels, 1))


def recording(
    kind: str,
    codec: str,
    seconds: float = 1.0,
    *,
    rate: int = 48_000,
    channels: int = 1,
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    video: bool = False,
) -> bytes:
    """A tone as FFmpeg writes it."""
    out = io.BytesIO()
    layout = "stereo" if channels == 2 else "mono"
    with av.open(out, "w", format=kind, options=container or {}) as file:
        file.metadata.update(metadata or {})
        if video:
            picture = file.add_stream("mpeg4" if kind == "mp4" else "libvpx", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        stream = file.add_stream(codec, rate=rate, layout=layout, options=options or {})
        assert isinstance(stream, AudioStream)
        stream.bit_rate = 24_000
        if video:
            for _ in range(3):
                file.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
            file.mux(picture.encode(None))
        sound = tone(seconds, rate, channels)
        for at in range(0, sound.shape[1], 960):
            part = np.ascontiguousarray(sound[:, at : at + 960])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.rate, frame.pts = rate, at
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def wav(seconds: float = 1.0, rate: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    """A tone as PCM of ``width`` bytes."""
    out = io.BytesIO()
    scaled = tone(seconds, rate, channels).T.astype("float64") * (2 ** (8 * width - 1) - 1)
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        whole = scaled.astype("<i4").reshape(-1)
        raw = whole.view("u1").reshape(-1, 4)[:, :width]
        file.writeframes((raw ^ 128 if width == 1 else raw).tobytes())
    return out.getvalue()


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}
#: What is recorded where, and how it is named here.
RECORDINGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "WebM of Chrome": ("webm", "libopus", {"container": {"live": "1"}}),
    "WebM": ("webm", "libopus", {"channels": 2}),
    "Ogg of Firefox": ("ogg", "libopus", {}),
    "MP4 of a phone": ("mp4", "aac", {"rate": 44_100}),
    "MP4 in stereo": ("mp4", "aac", {"channels": 2}),
    "MP4 of Safari, in fragments": ("mp4", "aac", {"container": FRAGMENTS}),
    "MP4 of Chrome": ("mp4", "libopus", {"container": FRAGMENTS}),
    "MP4, Opus in one piece": ("mp4", "libopus", {}),
}


def sent(name: str, seconds: float = 1.0, **more: Any) -> bytes:
    """Return one of :data:`RECORDINGS`, or ``WAV``."""
    if name == "WAV":
        return wav(seconds)
    kind, codec, usual = RECORDINGS[name]
    return recording(kind, codec, seconds, **{**usual, **more})


def heard(data: bytes) -> tuple[float, float, Any]:
    """Decode with another library: the length in seconds, the loudest frequency, the stream."""
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(stream)])
        rate = stream.rate
        loudest = np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound)
        about = {
            "format": file.format.name,
            "codec": stream.codec_context.name,
            "rate": rate,
            "channels": stream.channels,
            "metadata": {**file.metadata, **stream.metadata},
        }
    return len(sound) / rate, float(loudest), about
