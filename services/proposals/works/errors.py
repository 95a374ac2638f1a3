"""What works and their ledgers may refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class WorkNotFound(NotFound):
    """There is no such work."""

    code = "work_not_found"


class MilestoneNotFound(NotFound):
    """The work has no such milestone."""

    code = "milestone_not_found"


class EntryNotFound(NotFound):
    """The work's ledger has no such entry."""

    code = "entry_not_found"


class NoteNotFound(NotFound):
    """Nobody wrote this note about the work."""

    code = "note_not_found"


class WrongState(Conflict):
    """The work's present state does not allow this."""

    code = "wrong_state"


class NotCompleted(Conflict):
    """Only a work that the mairie calls finished is confirmed or disputed."""

    code = "not_completed"


class MilestoneReached(Conflict):
    """This milestone was reached before."""

    code = "milestone_reached"


class AlreadyCountered(Conflict):
    """A counter-entry takes this entry back already, or it is one itself."""

    code = "already_countered"


class NoteNeeded(Invalid):
    """This is published with a note."""

    code = "note_needed"


class EndIsSet(Invalid):
    """The planned end was told: another one is a delay, with its reason."""

    code = "end_is_set"


class EndNotSet(Conflict):
    """No planned end was told yet: nothing can be late."""

    code = "end_not_set"


class NotLater(Invalid):
    """A delay ends later than planned now."""

    code = "not_later"


class NotADay(Invalid):
    """The day is still to come."""

    code = "not_a_day"


class OverVotedCost(Invalid):
    """More is committed than was voted: this is published with a reason."""

    code = "over_voted_cost"


class InvoicedOverCommitted(Invalid):
    """More is invoiced than was committed: this is published with a reason."""

    code = "invoiced_over_committed"


class PaidOverCommitted(Invalid):
    """More is paid than was committed: this is published with a reason."""

    code = "paid_over_committed"
