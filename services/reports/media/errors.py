"""What photos and voice notes may be refused for."""

from services.common.problems import NotFound, TooLarge, UnsupportedType


class NotAPhoto(UnsupportedType):
    """The file is not a whole JPEG, PNG, WebP, HEIC or AVIF image."""

    code = "not_a_photo"


class PhotoTooLarge(TooLarge):
    """The photo has too many bytes or pixels."""

    code = "photo_too_large"


class NotAVoiceNote(UnsupportedType):
    """The file is not a whole recording of Opus (WebM, Ogg), AAC (MP4) or WAV."""

    code = "not_a_voice_note"


class VoiceTooLong(TooLarge):
    """The voice note is too long or has too many bytes."""

    code = "voice_too_long"


class UploadNotFound(NotFound):
    """There is no such photo or voice note."""

    code = "upload_not_found"
