"""What accounts may refuse."""

from services.common.problems import NotFound, Unauthenticated


class BadCode(Unauthenticated):
    """The code is wrong, used or expired: ask for a new one."""

    code = "bad_code"


class SessionEnded(Unauthenticated):
    """The session has ended: sign in again."""

    code = "session_ended"


class UnknownCommune(NotFound):
    """No commune has this code."""

    code = "unknown_commune"
