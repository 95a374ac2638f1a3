"""What events tell, in order: a report, a campaign, a proposal, a work, and a story of them all."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.common.events.envelope import Event, EventData, new_event
from services.proposals import events as proposals
from services.reports import events as reports
from services.voting import events as voting

COMMUNE = "0801"
SOURCES = {"reports": reports, "proposals": proposals, "voting": voting}
ELSEWHERE = "0301"


def said(source: str, subject: UUID, sequence: int, data: EventData) -> Event:
    return new_event(source, subject, COMMUNE, sequence, data)


def example(source: str, kind: type[EventData]) -> Any:
    return next(e for e in SOURCES[source].EXAMPLES if type(e) is kind)


def life(commune: str = COMMUNE) -> list[Event]:
    """A report that is hidden, corrected into another commune, merged, parted and shown again."""
    received = example("reports", reports.ReportReceived)
    corrected = example("reports", reports.ReportCorrected)
    moved = example("reports", reports.ReportStatusChanged)
    seen = example("reports", reports.ReportVisibilityChanged)
    there = {"commune": ELSEWHERE}
    said = [
        received.model_copy(update={"commune": commune}),
        seen.model_copy(update={"commune": commune}),
        corrected.model_copy(update={**there, "status": "received"}),
        moved.model_copy(update={**there, "status": "duplicate"}),
        seen.model_copy(update={**there, "visible": True}),
        moved.model_copy(update={**there, "previous": "duplicate", "status": "waiting"}),
    ]
    return [
        new_event("reports", received.id, data.commune, at + 1, data)
        for at, data in enumerate(said)
    ]


def campaign_life() -> list[Event]:
    """A campaign that gets another title, dates and envelopes on its way to its vote."""
    published = example("proposals", proposals.CampaignPublished)
    changed = example("proposals", proposals.CampaignChanged)
    calendar = example("proposals", proposals.CampaignCalendarChanged)
    phase = example("proposals", proposals.CampaignPhaseChanged)
    frozen = example("proposals", proposals.CampaignBallotFrozen)
    [dates] = calendar.phases
    [envelope] = published.envelopes
    later = dates.model_copy(update={"closes_at": dates.closes_at + timedelta(days=9)})
    told = [
        published,
        changed.model_copy(update={"title": "Budget 2027, deuxième titre"}),
        phase,
        calendar.model_copy(update={"phases": [dates, later]}),
        frozen.model_copy(
            update={
                "title": "Budget 2027, deuxième titre",
                "budget": 40_000_000,
                "envelopes": [envelope.model_copy(update={"amount": 12_000_000})],
            }
        ),
        phase.model_copy(update={"phase": "vote"}),
        changed.model_copy(
            update={
                "title": "Budget 2027, dernier titre",
                "budget": 41_000_000,
                "envelopes": [envelope.model_copy(update={"amount": 13_000_000})],
            }
        ),
    ]
    return in_order(published.id, told)


def proposal_life() -> list[Event]:
    """A proposal that is talked of, merged, parted, hidden, shown, reviewed and revised."""
    submitted = example("proposals", proposals.ProposalSubmitted)
    revised = example("proposals", proposals.ProposalRevised)
    discussed = example("proposals", proposals.ProposalDiscussed)
    seen = example("proposals", proposals.ProposalVisibilityChanged)
    reviewed = example("proposals", proposals.ProposalReviewed)
    area = [[[2.43, 6.36], [2.44, 6.36], [2.44, 6.37], [2.43, 6.36]]]
    final = {
        "title": "Dix lampadaires",
        "theme": None,
        "arrondissement": None,
        "envelope": None,
        "cost": 5_200_000,
        "status": "shortlisted",
        "geometry": proposals.Geometry(type="Polygon", coordinates=area),
    }
    told = [
        submitted,
        discussed.model_copy(update={"comments": 3}),
        revised,
        example("proposals", proposals.ProposalMerged),
        example("proposals", proposals.ProposalUnmerged),
        seen,
        discussed,
        seen.model_copy(update={"visible": True}),
        reviewed,
        revised.model_copy(update=final),
        example("proposals", proposals.ProposalWithdrawn),
        example("proposals", proposals.ProposalNotFunded),
        example("proposals", proposals.ProposalFunded).model_copy(update={"cost": 5_200_000}),
    ]
    return in_order(submitted.id, told)


def work_life() -> list[Event]:
    """A work that is built, paid, finished, checked, taken up again and finished again."""
    opened = example("proposals", proposals.WorkOpened)
    changed = example("proposals", proposals.WorkChanged)
    spent = example("proposals", proposals.WorkSpent)
    completed = example("proposals", proposals.WorkCompleted)
    checked = example("proposals", proposals.WorkChecked)
    done = changed.model_copy(update={"status": "completed", "progress": 100, "delayed": True})
    again = completed.completed_at + timedelta(days=40)
    told = [
        opened,
        changed,
        spent.model_copy(update={"committed": 4_700_000, "invoiced": 0, "paid": 0}),
        spent,
        done,
        completed,
        checked,
        changed.model_copy(update={"progress": 90}),
        checked.model_copy(update={"confirmed": 2, "disputed": 3}),
        done,
        completed.model_copy(update={"completed_at": again}),
    ]
    return in_order(opened.id, told)


def in_order(subject: UUID, told: Sequence[EventData]) -> list[Event]:
    return [said("proposals", subject, at, data) for at, data in enumerate(told, 1)]


def story() -> list[Event]:
    """A report answered twice, and a campaign from its start to its works."""
    report = example("reports", reports.ReportReceived)
    moved = example("reports", reports.ReportStatusChanged)
    campaign = example("proposals", proposals.CampaignPublished)
    proposal = example("proposals", proposals.ProposalSubmitted)
    phase = example("proposals", proposals.CampaignPhaseChanged)
    election = example("voting", voting.ElectionOpened)
    closed = example("voting", voting.ElectionClosed)
    results = example("voting", voting.ResultsPublished)
    work = example("proposals", proposals.WorkOpened)
    return [
        said("reports", report.id, 1, report),
        said("reports", report.id, 2, moved),
        said("reports", report.id, 3, moved.model_copy(update={"status": "resolved"})),
        said("proposals", campaign.id, 1, campaign),
        said("proposals", campaign.id, 2, phase),
        said("proposals", proposal.id, 1, proposal),
        said("proposals", proposal.id, 2, example("proposals", proposals.ProposalReviewed)),
        said("proposals", campaign.id, 3, example("proposals", proposals.CampaignBallotFrozen)),
        said("proposals", campaign.id, 4, phase.model_copy(update={"phase": "vote"})),
        said("voting", election.id, 1, election),
        said("voting", election.id, 2, closed),
        said("voting", election.id, 3, results),
        said("proposals", proposal.id, 3, example("proposals", proposals.ProposalFunded)),
        said("proposals", work.id, 1, work),
        said("proposals", work.id, 2, example("proposals", proposals.WorkChanged)),
    ]
