"""What a review may refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class NotReviewable(Conflict):
    """This proposal goes on in another, was taken back, or is hidden."""

    code = "not_reviewable"


class NotEnoughEndorsements(Conflict):
    """Not as many people stand behind this proposal as its campaign asks for."""

    code = "not_enough_endorsements"


class ContradictsCriteria(Invalid):
    """A criterion that is not met forbids this outcome."""

    code = "contradicts_criteria"


class NothingToAnswer(Conflict):
    """There is no first review of this proposal to answer."""

    code = "nothing_to_answer"


class AlreadyAnswered(Conflict):
    """The review was answered: that is done once."""

    code = "already_answered"


class AssignmentNotFound(NotFound):
    """This service was not given the proposal."""

    code = "assignment_not_found"
