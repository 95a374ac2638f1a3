"""The demonstration's budget exercises: each brought to its phase step by step, as people would."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Literal, Protocol
from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from infra.demo import places, texts
from services.common.auth import Principal
from services.proposals import reading
from services.proposals import service as proposals
from services.proposals.campaigns import local
from services.proposals.campaigns import service as campaigns
from services.proposals.campaigns.schemas import NewCampaign, NewForum
from services.proposals.discussion import service as discussion
from services.proposals.discussion.schemas import NewComment
from services.proposals.domain import PHASES, Phase
from services.proposals.merging import service as merging
from services.proposals.merging.schemas import NewMerge
from services.proposals.reviews import service as reviews
from services.proposals.reviews.schemas import NewReview
from services.proposals.schemas import NewProposal
from services.proposals.works import reading as works_reading
from services.proposals.works import schemas as works_schemas
from services.proposals.works import service as works
from services.voting import repository as voting_repository
from services.voting import service as voting
from services.voting.settings import Settings as VotingSettings

Division = Literal["whole", "arrondissement", "theme"]
#: How long a phase lasts.
PHASE = timedelta(days=21)


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """One campaign, how far it has come, and how its budget is divided."""

    title: str
    budget: int
    phase: Phase
    proposals: int = 0
    ballots: int = 0
    division: Division = "whole"


class Loading(Protocol):
    """What an exercise needs of the loading it is part of."""

    dice: Random
    now: datetime
    proposals: sessionmaker[Session]
    voting: sessionmaker[Session]
    voting_settings: VotingSettings

    def wait_for(
        self, holds: Callable[[Session], bool], sessions: sessionmaker[Session], what: str
    ) -> None:
        """Wait for another service to have handled an event."""


class Exercise:
    """One campaign of one commune."""

    def __init__(
        self, loading: Loading, plan: CampaignPlan, town: places.Town, agent: Principal
    ) -> None:
        self.loading = loading
        self.dice = loading.dice
        self.plan = plan
        self.town = town
        self.agent = agent
        self.campaign = UUID(int=0)
        self.envelopes: dict[str, tuple[UUID, int]] = {}
        self.submitted: list[UUID] = []
        self.authors: dict[UUID, Principal] = {}

    @property
    def session(self) -> AbstractContextManager[Session]:
        """A transaction of the proposals service."""
        return self.loading.proposals.begin()

    def load(self) -> None:
        """Bring the campaign to its phase."""
        steps = PHASES[: PHASES.index(self.plan.phase) + 1]
        begun = self.loading.now - PHASE * (len(steps) - 1) - timedelta(days=2)
        self.announce(begun)
        for number, phase in enumerate(steps[1:], 1):
            at = begun + PHASE * number
            if phase == "closed":
                self.finish()
            if phase != "results":  # the published count leads there
                with self.session as session:
                    moment = None if phase in ("vote", "works", "closed") else at
                    campaigns.change_phase(
                        session, self.agent, self.campaign, phase, texts.EARLY, at=moment
                    )
            if phase == "ideas":
                self.collect(at)
            elif phase == "review":
                self.review(at, share=0.6 if self.plan.phase == "review" else 1.0)
            elif phase == "vote":
                self.vote()
            elif phase == "works":
                self.build()

    def announce(self, begun: datetime) -> None:
        """Publish the campaign with its envelopes and its calendar."""
        body = {
            "commune": self.town.code,
            "title": self.plan.title,
            "description": texts.CAMPAIGN,
            "budget": self.plan.budget,
            "endorsements_needed": 1,
            "envelopes": list(self.divided()),
            "phases": planned(begun),
        }
        with self.session as session:
            new = NewCampaign.model_validate(body)
            made = campaigns.create_campaign(session, self.agent, new, at=begun)
        self.campaign = made.id
        for one in made.envelopes:
            whom = one.arrondissement or one.theme or ""
            self.envelopes[whom] = (one.id, one.amount)

    def divided(self) -> Iterator[dict[str, Any]]:
        """Give parts of the budget to arrondissements or to a theme; the rest is everybody's."""
        if self.plan.division == "theme":
            part = self.plan.budget // 4
            yield {"name": "Eau et puits", "amount": part, "theme": "water"}
            yield {"name": "Écoles", "amount": part, "theme": "school"}
        if self.plan.division == "arrondissement":
            populous = sorted(self.town.areas, key=lambda area: -area.people)[:3]
            for area in populous:
                amount = self.plan.budget // 5
                yield {"name": area.name, "amount": amount, "arrondissement": area.code}

    def after(self, at: datetime, hours: float) -> datetime:
        """Return a moment so many hours later, or now where that is still to come."""
        return min(at + timedelta(hours=hours), self.loading.now)

    def collect(self, at: datetime) -> None:
        """Have people and an assembly propose; others endorse, comment, and ask to merge two."""
        most = max(amount for _, amount in self.envelopes.values())
        fitting = [p for p in texts.PROJECTS if p[4] <= most * 0.6]
        chosen = self.dice.sample(fitting, min(self.plan.proposals, len(fitting)))
        with self.session as session:
            forum = local.add_forum(
                session,
                self.agent,
                self.campaign,
                NewForum(
                    name=f"Forum de {self.town.name}",
                    held_on=self.after(at, 24).date(),
                    place=texts.FORUM_PLACE,
                    women=self.dice.randint(30, 90),
                    men=self.dice.randint(30, 90),
                    youth=self.dice.randint(10, 50),
                ),
            ).id
            for place, project in enumerate(chosen):
                moment = self.after(at, self.dice.uniform(4, 40))
                heard = {"origin": "assembly", "forum": str(forum)} if place % 5 == 4 else {}
                self.propose(session, project, moment, heard)
            self.talk(session, self.after(at, 40))
        if len(self.submitted) > 5:
            self.merge(self.after(at, 110))

    def propose(
        self,
        session: Session,
        project: tuple[str, str, str, str, int],
        moment: datetime,
        heard: dict[str, str],
    ) -> None:
        """Propose a project where it fits, and have people stand behind it."""
        title, need, theme, shape, cost = project
        spot = places.anywhere(self.town, self.dice)
        body: dict[str, Any] = {
            "campaign": str(self.campaign),
            "title": title,
            "need": need,
            "description": texts.described(title, self.dice),
            "beneficiaries": self.dice.choice(texts.BENEFICIARIES),
            "theme": theme,
            "geometry": places.geometry(spot, shape, self.dice),
            "estimated_cost": cost,
            "author_name": "" if heard else self.dice.choice(texts.AUTHORS),
            **heard,
        }
        area = next((a.code for a in self.town.areas if a.shape.covers(spot)), "")
        near = self.envelopes.get(area) or self.envelopes.get(theme)
        if near is None or cost > near[1] * 0.8 or shape != "point":
            body["envelope"] = str(self.envelopes[""][0])
        author = self.agent if heard else Principal(uuid.uuid4())
        made = proposals.submit(session, author, NewProposal.model_validate(body), at=moment)
        self.submitted.append(made.id)
        self.authors[made.id] = author
        for _ in range(2 + int(self.dice.expovariate(1 / 7))):
            discussion.endorse(session, made.id, uuid.uuid4(), at=self.after(moment, 9))

    def talk(self, session: Session, at: datetime) -> None:
        """Comment on some proposals, for and against."""
        for proposal in self.submitted:
            for stance, words in self.dice.sample(texts.COMMENTS, self.dice.randint(0, 3)):
                body = NewComment(body=words, stance=stance, name=self.dice.choice(texts.AUTHORS))
                moment = self.after(at, self.dice.uniform(1, 60))
                discussion.comment(session, proposal, Principal(uuid.uuid4()), body, at=moment)

    def merge(self, at: datetime) -> None:
        """Merge the last two proposals of citizens with consent; while ideas come, only ask."""
        own = [p for p in self.submitted if self.authors[p] is not self.agent]
        target, source = own[0], own[-1]
        with self.session as session:
            body = NewMerge(target=str(target), sources=[str(source)], note=texts.MERGE)
            merge = merging.propose(session, self.agent, body, at=at)
            if self.plan.phase == "ideas":
                return
            for proposal in (target, source):
                merging.answer(session, self.authors[proposal], merge, True, at=at)
        self.submitted.remove(source)

    def review(self, at: datetime, *, share: float) -> None:
        """Review a share of the proposals; one in eight or so cannot be done."""
        with self.session as session:
            for proposal in self.submitted[: round(len(self.submitted) * share)]:
                outcome, reason = self.dice.choices(texts.REVIEWS, (5, 4, 2, 1.5))[0]
                found = reading.detail(session, proposal)
                assert found.envelope is not None  # noqa: S101 - it is submitted
                asked = found.estimated_cost or 0
                cost = round(asked * self.dice.uniform(0.92, 1.12), -5)
                body = NewReview.model_validate(
                    {
                        "outcome": outcome,
                        "reason": reason,
                        "cost": min(int(cost), found.envelope.amount),
                        "criteria": texts.criteria(outcome),
                    }
                )
                moment = self.after(at, self.dice.uniform(5, 60))
                reviews.review(session, self.agent, proposal, body, at=moment)

    def vote(self) -> None:
        """Cast ballots in the election that the freeze opened; close it unless it goes on."""
        election = voting.election_id(self.campaign)
        self.loading.wait_for(
            lambda session: voting_repository.get(session, election) is not None,
            self.loading.voting,
            f"the election of {self.plan.title}",
        )
        with self.loading.voting.begin() as session:
            found = voting.get_election(session, election)
            projects = {p.id: (p.cost, p.envelope) for p in found.projects}
        favour = {project: self.dice.paretovariate(1.2) for project in projects}
        secret = self.loading.voting_settings.secret.get_secret_value()
        for batch in batches(range(self.plan.ballots), 40):
            with self.loading.voting.begin() as session:
                for _ in batch:
                    choices = self.choices(projects, favour)
                    voting.vote(session, secret, uuid.uuid4(), election, choices)
        if self.plan.phase == "vote":
            return
        with self.loading.voting.begin() as session:
            voting.close(session, election, self.agent, texts.EARLY)
        self.loading.wait_for(
            lambda session: campaigns.get_campaign(session, self.campaign, None).phase == "results",
            self.loading.proposals,
            f"the results of {self.plan.title}",
        )

    def choices(
        self, projects: dict[UUID, tuple[int, UUID | None]], favour: dict[UUID, float]
    ) -> list[UUID]:
        """Draw one person's ballot: a few favourites that fit their envelopes together."""
        left: dict[UUID | None, int] = dict(self.envelopes.values())
        chosen: list[UUID] = []
        order = sorted(projects, key=lambda p: self.dice.random() ** (1 / favour[p]), reverse=True)
        for project in order[: self.dice.randint(1, 5)]:
            cost, envelope = projects[project]
            if cost <= left.get(envelope, self.plan.budget):
                left[envelope] = left.get(envelope, self.plan.budget) - cost
                chosen.append(project)
        return chosen or [min(projects, key=lambda p: projects[p][0])]

    def build(self) -> None:
        """Begin the works: one ready for its tender, the others in different states."""
        with self.session as session:
            found = works_reading.money(session, self.campaign)
            for place, work in enumerate(w for e in found.envelopes for w in e.works):
                self.start(session, work.ref, work.voted_cost, place)

    def start(self, session: Session, ref: str, cost: int, place: int) -> None:
        """Give a work its contractor, its steps and its first money; the third one waits."""
        today = self.loading.now.date()
        ends = today + timedelta(days=60 + 15 * place)
        change = works_schemas.WorkChanges.model_validate(
            {
                "contractor": self.dice.choice(texts.CONTRACTORS),
                "starts_on": today.isoformat(),
                "ends_on": ends.isoformat(),
            }
        )
        works.change(session, self.agent, ref, change)
        steps = [works_schemas.MilestoneIn(title=one) for one in texts.MILESTONES]
        works.set_milestones(session, self.agent, ref, works_schemas.Milestones(milestones=steps))
        self.move(session, ref, "tendering")
        if place == 2:
            return
        price = round(cost * self.dice.uniform(0.9, 0.99), -4)
        self.spend(session, ref, "commitment", int(price), today - timedelta(days=12))
        self.move(session, ref, "under_way")
        done = self.dice.choice((25, 40, 70))
        progress = works_schemas.Progress(progress=done, note=self.dice.choice(texts.PROGRESS))
        works.set_progress(session, self.agent, ref, progress)
        part = int(round(price * done / 100, -4))
        self.spend(session, ref, "invoice", part, today - timedelta(days=5))
        self.spend(session, ref, "payment", part, today - timedelta(days=1))
        if place == 1:
            later = (ends + timedelta(days=30)).isoformat()
            late = works_schemas.Delay.model_validate({"ends_on": later, "reason": texts.DELAY})
            works.delay(session, self.agent, ref, late)

    def finish(self) -> None:
        """Complete and pay the works; people say whether they are."""
        today = self.loading.now.date()
        with self.session as session:
            found = works_reading.money(session, self.campaign)
            for work in (w for e in found.envelopes for w in e.works):
                detail = works_reading.work(session, work.ref, None)
                if detail.status == "tendering":
                    self.spend(session, work.ref, "commitment", work.voted_cost, today)
                    self.move(session, work.ref, "under_way")
                    detail = works_reading.work(session, work.ref, None)
                if open_invoice := detail.committed - detail.invoiced:
                    self.spend(session, work.ref, "invoice", open_invoice, today)
                if open_payment := detail.committed - detail.paid:
                    self.spend(session, work.ref, "payment", open_payment, today)
                done = works_schemas.Completion(note=texts.DONE)
                works.complete(session, self.agent, work.ref, done)
                for _ in range(self.dice.randint(2, 9)):
                    said = works_schemas.NewConfirmation(verdict="confirmed")
                    works.confirm(session, Principal(uuid.uuid4()), work.ref, said)

    def move(self, session: Session, ref: str, status: Literal["tendering", "under_way"]) -> None:
        """Take a work to its next state."""
        body = works_schemas.StatusChange(status=status)
        works.change_status(session, self.agent, ref, body)

    def spend(
        self,
        session: Session,
        ref: str,
        kind: Literal["commitment", "invoice", "payment"],
        amount: int,
        dated: date,
    ) -> None:
        """Write a line of a ledger."""
        label, prefix = texts.LEDGER[kind]
        body = works_schemas.NewEntry.model_validate(
            {
                "kind": kind,
                "amount": amount,
                "dated": dated.isoformat(),
                "label": label,
                "payee": texts.CONTRACTORS[0],
                "document": f"{prefix}-{self.dice.randint(100, 999)}/{dated.year}",
            }
        )
        works.spend(session, self.agent, ref, body)


def planned(begun: datetime) -> list[dict[str, str]]:
    """Return a calendar of three weeks a phase."""
    return [
        {
            "phase": phase,
            "opens_at": (begun + PHASE * n).isoformat(),
            "closes_at": (begun + PHASE * (n + 1)).isoformat(),
        }
        for n, phase in enumerate(PHASES)
    ]


def batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut a sequence into pieces of ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
