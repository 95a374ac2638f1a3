"""What photos may be refused for."""

from services.common.problems import TooLarge, UnsupportedType


class NotAPhoto(UnsupportedType):
    """The file is not a whole JPEG, PNG, WebP, HEIC or AVIF image."""

    code = "not_a_photo"


class PhotoTooLarge(TooLarge):
    """The photo has too many bytes or pixels."""

    code = "photo_too_large"
