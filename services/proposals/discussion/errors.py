"""What a discussion may refuse besides what proposals refuse."""

from services.common.problems import Conflict, NotFound


class NotOpen(Conflict):
    """Nobody can endorse or discuss this proposal now."""

    code = "not_open"


class CommentNotFound(NotFound):
    """There is no such comment."""

    code = "comment_not_found"


class CommentClosed(Conflict):
    """This comment was hidden or withdrawn."""

    code = "comment_closed"


class OwnWords(Conflict):
    """This is for others to say, not for who wrote it."""

    code = "own_words"


class AlreadyReported(Conflict):
    """You reported this already."""

    code = "already_reported"


class NothingToDecide(Conflict):
    """Nothing waits for this decision."""

    code = "nothing_to_decide"


class NotHidden(Conflict):
    """Only what is hidden can be appealed for."""

    code = "not_hidden"


class AlreadyAppealed(Conflict):
    """An appeal against this decision was made already."""

    code = "already_appealed"


class SameAgent(Conflict):
    """Somebody else decides this: not who hid it, and not who wrote it."""

    code = "same_agent"
