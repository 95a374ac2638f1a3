"""What events say of campaigns, their proposals, and the works that came of them."""

from typing import Any

from sqlalchemy.orm import Session

from gateway.projections import readers
from gateway.projections.rows import as_json, bump, write
from services.common.events.envelope import Event, Reader

#: Where a proposal may be drawn: events come in any order, so each may concern all of them.
PROPOSAL_LAYERS = ("proposals", "shortlist", "funded", "works")


def _campaign(session: Session, event: Event, data: readers.OfCampaign, **said: Any) -> None:
    key = {"id": data.id, "commune": data.commune}
    write(session, "campaigns", event, key=key, **said)


def campaign_published(session: Session, event: Event, data: Reader) -> None:
    """List a campaign."""
    assert isinstance(data, readers.Campaign)  # noqa: S101
    _campaign(
        session,
        event,
        data,
        title=data.title,
        budget=data.budget,
        phase=data.phase,
        phases=as_json(data.phases),
        envelopes=as_json(data.envelopes),
        published_at=event.time,
    )


def campaign_changed(session: Session, event: Event, data: Reader) -> None:
    """Give a campaign its new title and money."""
    assert isinstance(data, readers.CampaignChange)  # noqa: S101
    told = {"budget": data.budget, "envelopes": as_json(data.envelopes)}
    _campaign(session, event, data, title=data.title, **told)


def campaign_phase_changed(session: Session, event: Event, data: Reader) -> None:
    """Move a campaign on."""
    assert isinstance(data, readers.CampaignPhase)  # noqa: S101
    _campaign(session, event, data, phase=data.phase)


def campaign_calendar_changed(session: Session, event: Event, data: Reader) -> None:
    """Keep the new dates of a campaign."""
    assert isinstance(data, readers.CampaignCalendar)  # noqa: S101
    _campaign(session, event, data, phases=as_json(data.phases))


def ballot_frozen(session: Session, event: Event, data: Reader) -> None:
    """Keep the envelopes of a ballot, and give its proposals their numbers."""
    assert isinstance(data, readers.Ballot)  # noqa: S101
    campaign = {"id": data.campaign, "commune": data.commune}
    # Ballots of before there were envelopes in them say nothing of envelopes.
    told = {"budget": data.budget, "envelopes": as_json(data.envelopes)} if data.envelopes else {}
    write(session, "campaigns", event, key=campaign, title=data.title, **told)
    for project in data.projects:
        key = {"id": project.id, "ref": project.ref, "campaign": data.campaign}
        write(
            session,
            "map_proposals",
            event,
            key=key | {"commune": data.commune},
            number=project.number,
        )
    bump(session, data.commune, *PROPOSAL_LAYERS)


def _proposal(session: Session, event: Event, data: readers.OfProposal, **said: Any) -> None:
    key = data.model_dump(include={"id", "ref", "campaign", "commune"})
    write(session, "map_proposals", event, key=key, **said)
    bump(session, data.commune, *PROPOSAL_LAYERS)


def _content(data: readers.ProposalContent) -> dict[str, Any]:
    told = data.model_dump(include={"title", "theme", "arrondissement", "envelope", "status"})
    return told | {"geom": as_json(data.geometry)}


def proposal_submitted(session: Session, event: Event, data: Reader) -> None:
    """Put a proposal on the map."""
    assert isinstance(data, readers.Proposal)  # noqa: S101
    told = {"cost": data.estimated_cost, "submitted_at": data.submitted_at}
    _proposal(session, event, data, **_content(data), **told)


def proposal_revised(session: Session, event: Event, data: Reader) -> None:
    """Show a proposal as it reads now, where it lies now."""
    assert isinstance(data, readers.ProposalRevision)  # noqa: S101
    cost = data.estimated_cost if data.cost is None else data.cost
    _proposal(session, event, data, **_content(data), cost=cost)


def proposal_reviewed(session: Session, event: Event, data: Reader) -> None:
    """Show the mairie's answer and cost."""
    assert isinstance(data, readers.Review)  # noqa: S101
    _proposal(session, event, data, cost=data.cost, status=data.status)


def proposal_funded(session: Session, event: Event, data: Reader) -> None:
    """Show that a proposal won."""
    assert isinstance(data, readers.Outcome)  # noqa: S101
    _proposal(session, event, data, cost=data.cost, status="funded")


def proposal_not_funded(session: Session, event: Event, data: Reader) -> None:
    """Show that a proposal did not win."""
    assert isinstance(data, readers.Outcome)  # noqa: S101
    _proposal(session, event, data, cost=data.cost, status="not_funded")


def proposal_moved(session: Session, event: Event, data: Reader) -> None:
    """Take a merged or withdrawn proposal off the map, put one that was parted back on it."""
    assert isinstance(data, readers.ProposalStatus)  # noqa: S101
    _proposal(session, event, data, status=data.status)


def proposal_visibility_changed(session: Session, event: Event, data: Reader) -> None:
    """Hide a proposal from everybody, or show it again."""
    assert isinstance(data, readers.ProposalVisibility)  # noqa: S101
    _proposal(session, event, data, visible=data.visible)


def proposal_discussed(session: Session, event: Event, data: Reader) -> None:
    """Count what people wrote about a proposal."""
    assert isinstance(data, readers.Discussion)  # noqa: S101
    _proposal(session, event, data, comments=data.comments)


def _work(session: Session, event: Event, data: readers.OfWork, **said: Any) -> None:
    names = {"id", "ref", "proposal", "proposal_ref", "campaign", "commune"}
    write(session, "map_works", event, key=data.model_dump(include=names), **said)
    bump(session, data.commune, "works")


def work_opened(session: Session, event: Event, data: Reader) -> None:
    """Put a work on the map."""
    assert isinstance(data, readers.Work)  # noqa: S101
    facts = data.model_dump(include={"envelope", "title", "theme", "voted_cost", "opened_at"})
    _work(
        session,
        event,
        data,
        **facts,
        geom=as_json(data.geometry),
        status=data.status,
        progress=0,
        ends_on=None,
        delayed=False,
    )


def work_changed(session: Session, event: Event, data: Reader) -> None:
    """Show how far a work is."""
    assert isinstance(data, readers.WorkState)  # noqa: S101
    told = data.model_dump(include={"status", "progress", "ends_on", "delayed"})
    _work(session, event, data, **told)


def work_spent(session: Session, event: Event, data: Reader) -> None:
    """Keep the sums of a work's ledger."""
    assert isinstance(data, readers.WorkMoney)  # noqa: S101
    told = data.model_dump(include={"committed", "invoiced", "paid"})
    _work(session, event, data, **told)


def work_completed(session: Session, event: Event, data: Reader) -> None:
    """Keep when a work was finished; its state comes with ``work.changed``."""
    assert isinstance(data, readers.WorkEnd)  # noqa: S101
    _work(session, event, data, completed_at=data.completed_at)


def work_checked(session: Session, event: Event, data: Reader) -> None:
    """Count who confirms a finished work, and who does not."""
    assert isinstance(data, readers.WorkCheck)  # noqa: S101
    _work(session, event, data, confirmed=data.confirmed, disputed=data.disputed)
