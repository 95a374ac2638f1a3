"""What accounts may refuse."""

from services.common.problems import Invalid, NotFound, TooMany, Unauthenticated


class BadPhone(Invalid):
    """The phone number is not a valid number of Bénin."""

    code = "bad_phone"


class BadCode(Unauthenticated):
    """The code is wrong, used or expired: ask for a new one."""

    code = "bad_code"


class TooManyCodes(TooMany):
    """Too many codes were asked for."""

    code = "too_many_codes"


class SessionEnded(Unauthenticated):
    """The session has ended: sign in again."""

    code = "session_ended"


class UnknownCommune(NotFound):
    """No commune has this code."""

    code = "unknown_commune"
