"""What merging may refuse besides what proposals refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class MergeNotFound(NotFound):
    """There is no such merge."""

    code = "merge_not_found"


class OfferNotFound(NotFound):
    """Nobody asks you to carry an endorsement over."""

    code = "offer_not_found"


class AmendmentNotFound(NotFound):
    """There is no such amendment."""

    code = "amendment_not_found"


class UnknownProposal(Invalid):
    """No proposal has this id or reference."""

    code = "unknown_proposal"


class OtherCampaign(Invalid):
    """Only proposals of one campaign can be merged."""

    code = "other_campaign"


class NothingChanges(Invalid):
    """The proposal already says so."""

    code = "nothing_changes"


class NotMergeable(Conflict):
    """Only proposals that wait for their review can be merged or parted."""

    code = "not_mergeable"


class AlreadyMerging(Conflict):
    """One of the proposals is in another merge that waits for consents."""

    code = "already_merging"


class MergeClosed(Conflict):
    """This merge does not wait for that any more."""

    code = "merge_closed"


class AlreadyAnswered(Conflict):
    """You answered this offer otherwise."""

    code = "already_answered"


class NotOpen(Conflict):
    """Nobody can endorse this proposal now."""

    code = "not_open"


class AmendmentClosed(Conflict):
    """This amendment was decided or withdrawn."""

    code = "amendment_closed"
