"""What voice notes may be refused for."""

from services.common.problems import NotFound, TooLarge, UnsupportedType


class NotAVoiceNote(UnsupportedType):
    """The file is not a whole recording of Opus (WebM, Ogg), AAC (MP4) or WAV."""

    code = "not_a_voice_note"


class VoiceTooLong(TooLarge):
    """The voice note is too long or has too many bytes."""

    code = "voice_too_long"


class UploadNotFound(NotFound):
    """There is no such photo or voice note."""

    code = "upload_not_found"
