"""Who may do what to a proposal, and the rows that an act needs, locked in one order.

What depends on a campaign's phase holds its row shared, then the proposal's alone; what changes
the phase holds the campaign's alone: nothing slips in after the freeze.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.problems import Forbidden
from services.proposals import domain, repository
from services.proposals.domain import Action
from services.proposals.errors import ProposalNotFound, WrongPhase
from services.proposals.models import Campaign, Proposal

MANAGE = "campaigns.manage"
REVIEW = "proposals.review"
WORK = "works.manage"
SPEND = "works.spend"


def is_agent(person: Principal | None, commune: str) -> bool:
    """Tell whether ``person`` runs the campaigns or reviews the proposals of ``commune``."""
    return person is not None and any(person.can(one, commune) for one in (MANAGE, REVIEW))


def communes_of(person: Principal) -> list[str]:
    """Return the scopes in which ``person`` is an agent: communes, perhaps ``*``."""
    return [scope for scope in person.grants if is_agent(person, scope)]


def is_author(session: Session, proposal_id: UUID, person: Principal | None) -> bool:
    """Tell whether ``person`` is one of a proposal's authors."""
    return person is not None and repository.is_author(session, proposal_id, person.user_id)


def speaks_for(session: Session, proposal: Proposal, person: Principal | None) -> bool:
    """Tell whether ``person`` may write a proposal: its authors; agents what they entered.

    A draft is the commune's agents' too; what came on paper or out of an assembly is theirs alone
    who run the campaigns.
    """
    if proposal.origin != "web":
        return person is not None and person.can(MANAGE, proposal.commune)
    if is_author(session, proposal.id, person):
        return True
    return proposal.status == "draft" and is_agent(person, proposal.commune)


def require_speaker(session: Session, proposal: Proposal, person: Principal) -> None:
    """Raise :class:`Forbidden` unless :func:`speaks_for`."""
    if not speaks_for(session, proposal, person):
        raise Forbidden("Only its authors may do this to a proposal.")


def may_read(session: Session, proposal: Proposal, reader: Principal | None) -> bool:
    """Tell whether ``reader`` may know of it: a draft and what is hidden are not everybody's."""
    if proposal.status != "draft" and proposal.hidden_at is None:
        return True
    return is_agent(reader, proposal.commune) or is_author(session, proposal.id, reader)


def find(session: Session, key: UUID | str, reader: Principal | None) -> Proposal:
    """Return a proposal by id or ref, unlocked, or :class:`ProposalNotFound` for this reader."""
    found = repository.find_proposal(session, key)
    if found is None or not may_read(session, found, reader):
        raise ProposalNotFound
    return found


def lock(
    session: Session, key: UUID | str, person: Principal | None, action: Action | None = None
) -> tuple[Campaign, Proposal]:
    """Return a proposal's campaign, locked shared, and the proposal, locked alone, as they are now.

    :class:`ProposalNotFound` for what ``person`` may not know of; :class:`WrongPhase` where the
    campaign's phase is not open to ``action``.
    """
    found = find(session, key, person)
    campaign = repository.lock_campaign(session, found.campaign_id, shared=True)
    assert campaign is not None  # noqa: S101 - a foreign key says so
    if action is not None:
        require_open(campaign, action)
    proposal = repository.lock_proposal(session, found.id)
    if not may_read(session, proposal, person):
        raise ProposalNotFound
    return campaign, proposal


def require_open(campaign: Campaign, action: Action) -> None:
    """Raise :class:`WrongPhase` unless the campaign's phase is open to ``action``."""
    if action not in domain.RULES[campaign.phase].open_to:
        raise WrongPhase(
            f"The campaign's phase {campaign.phase} is not open to this.", phase=campaign.phase
        )
