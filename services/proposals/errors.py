"""What proposals may refuse."""

from collections.abc import Iterable

from services.common.problems import Conflict, DomainError, Invalid, NotFound


class UnknownCommune(Invalid):
    """No commune has this code."""

    code = "unknown_commune"


class UnknownArrondissement(Invalid):
    """The commune has no arrondissement of this code."""

    code = "unknown_arrondissement"


class UnknownCampaign(Invalid):
    """No campaign has this id."""

    code = "unknown_campaign"


class CampaignNotFound(NotFound):
    """There is no such campaign."""

    code = "campaign_not_found"


class ProposalNotFound(NotFound):
    """There is no such proposal."""

    code = "proposal_not_found"


class OutsideCountry(Invalid):
    """The place is not in Bénin."""

    code = "outside_country"


class OutsideCommune(Invalid):
    """The place is not inside the campaign's commune."""

    code = "outside_commune"


class OverBudget(Invalid):
    """This is more than the campaign's budget."""

    code = "over_budget"


class Incomplete(Invalid):
    """A proposal is submitted with a description and a cost; ``missing`` are the fields' names."""

    def __init__(self, missing: Iterable[str]) -> None:
        errors = [
            {"pointer": f"/{name}", "detail": "This is needed to submit."} for name in missing
        ]
        DomainError.__init__(self, "Some parts of the proposal are missing.", errors=errors)


class WrongPhase(Conflict):
    """The campaign's phase does not allow this."""

    code = "wrong_phase"


class NothingToVote(Conflict):
    """No proposal is shortlisted: there is nothing to vote on."""

    code = "nothing_to_vote"


class StillDraft(Conflict):
    """This proposal has not been submitted yet."""

    code = "still_draft"


class AlreadySubmitted(Conflict):
    """This proposal has been submitted: it is no draft any more."""

    code = "already_submitted"


class AlreadyReviewed(Conflict):
    """This proposal has been reviewed."""

    code = "already_reviewed"


class ChangedMeanwhile(Conflict):
    """Somebody changed this after you opened it: look again, then decide."""

    code = "changed_meanwhile"


class SpansArrondissements(Invalid):
    """The place does not lie whole in the arrondissement of its envelope."""

    code = "spans_arrondissements"


class NoEnvelope(Invalid):
    """No envelope of the campaign is for this place and theme."""

    code = "no_envelope"


class EnvelopeNeeded(Invalid):
    """Several envelopes are for this: choose one."""

    code = "envelope_needed"


class NotWelcome(Conflict):
    """The campaign's rules do not let this author propose."""

    code = "not_welcome"


class BadInvitation(Invalid):
    """This invitation is not known, or was used."""

    code = "bad_invitation"


class RevisionNotFound(NotFound):
    """The proposal has no such revision."""

    code = "revision_not_found"
