"""What voting may refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class ElectionNotFound(NotFound):
    """There is no such election."""

    code = "election_not_found"


class NotYetOpen(Conflict):
    """The vote has not begun."""

    code = "vote_not_open"


class VoteOver(Conflict):
    """The vote is over."""

    code = "vote_over"


class ElectionClosed(Conflict):
    """The election is closed."""

    code = "election_closed"


class AlreadyVoted(Conflict):
    """You have voted; to change your ballot, send the replace_token that you were given."""

    code = "already_voted"


class BadReplaceToken(Conflict):
    """This replace_token is not that of your ballot in this election."""

    code = "bad_replace_token"


class KeyReused(Conflict):
    """This Idempotency-Key was used with other choices."""

    code = "key_reused"


class ResultsNotPublished(Conflict):
    """The results are published when the election is closed."""

    code = "results_not_published"


class ReasonNeeded(Invalid):
    """A vote that closes before its announced end needs a reason, which is published."""

    code = "reason_needed"


class EmptyBallot(Invalid):
    """Choose at least one project."""

    code = "empty_ballot"


class UnknownProject(Invalid):
    """A project is not on this ballot."""

    code = "unknown_project"


class RepeatedProject(Invalid):
    """A project is chosen twice."""

    code = "repeated_project"


class OverBudget(Invalid):
    """The chosen projects cost more than the budget."""

    code = "over_budget"
