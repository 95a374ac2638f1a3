"""What reports may refuse."""

from services.common.problems import (
    Conflict,
    Invalid,
    NotFound,
    Unauthenticated,
)


class OutsideCountry(Invalid):
    """The point is not in Bénin."""

    code = "outside_country"


class CommuneTooFar(Invalid):
    """The point is too far from the commune that was chosen."""

    code = "commune_too_far"


class UnknownCommune(Invalid):
    """No commune has this code."""

    code = "unknown_commune"


class UnknownArrondissement(Invalid):
    """No arrondissement has this code."""

    code = "unknown_arrondissement"


class UnknownPhoto(Invalid):
    """No uploaded photo has this id."""

    code = "unknown_photo"


class ReportNotFound(NotFound):
    """There is no such report."""

    code = "report_not_found"


class TransitionNotAllowed(Conflict):
    """The report's present status does not allow this change."""

    code = "transition_not_allowed"


class SignInOrAnonymous(Unauthenticated):
    """Sign in, or send the report as anonymous."""

    code = "sign_in_or_anonymous"


class ChangedMeanwhile(Conflict):
    """Somebody changed this report after you opened it: look again, then decide."""

    code = "changed_meanwhile"


class MergeRefused(Conflict):
    """These two reports cannot be merged."""

    code = "merge_refused"


class NotMerged(Conflict):
    """This report is not merged into another."""

    code = "not_merged"
