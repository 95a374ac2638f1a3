"""The demonstration: three communes, their problems, a campaign in each phase, real ballots.

Everything goes through the services' own use cases, so events, histories and counts are what the
application itself makes. The same seed gives the same places, words, costs and votes.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from infra.demo import campaigns, places, texts
from infra.demo.campaigns import CampaignPlan, batches
from services.accounts import repository as accounts_repository
from services.accounts import service as accounts
from services.accounts.domain import PERMISSIONS
from services.accounts.settings import Settings as AccountsSettings
from services.common.auth import Principal
from services.common.db import make_engine, make_sessions
from services.common.settings import ServiceSettings
from services.proposals.settings import Settings as ProposalsSettings
from services.reports import service as reports
from services.reports.hotspots import service as hotspots
from services.reports.schemas import NewReport, StatusUpdate
from services.reports.settings import Settings as ReportsSettings
from services.voting.settings import Settings as VotingSettings

SEED = 2027
AGENT = PERMISSIONS["agent"]
#: How long to wait for what other services do with an event, in seconds.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class CommunePlan:
    """What a commune shows."""

    code: str
    agent_phone: str
    reports: int
    spots: int
    mix: dict[str, int]
    campaigns: tuple[CampaignPlan, ...]


PLAN: tuple[CommunePlan, ...] = (
    CommunePlan(
        "0801", "+2290197000801", 180, 7, dict(texts.URBAN),
        (
            CampaignPlan("Budget participatif 2025", 45_000_000, "closed", 10, 110),
            CampaignPlan("Budget participatif 2026", 55_000_000, "works", 12, 140),
            CampaignPlan("Budget participatif 2027", 65_000_000, "vote", 16, 160, "arrondissement"),
        ),
    ),
    CommunePlan(
        "0405", "+2290197000405", 120, 6, dict(texts.URBAN),
        (
            CampaignPlan("Budget participatif 2026", 40_000_000, "results", 11, 120),
            CampaignPlan("Budget des jeunes 2027", 12_000_000, "revision", 7),
            CampaignPlan("Budget participatif 2027", 42_000_000, "ideas", 11, 0, "theme"),
        ),
    ),
    CommunePlan(
        "0603", "+2290197000603", 60, 4, dict(texts.RURAL),
        (
            CampaignPlan("Budget participatif 2027", 18_000_000, "review", 8),
            CampaignPlan("Budget des écoles 2028", 10_000_000, "preparation"),
        ),
    ),
)  # fmt: skip


class Demo:
    """One loading: the services' sessions, the dice, and the present moment."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.dice = random.Random(SEED)  # noqa: S311 - to repeat, not to hide
        self.now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.voting_settings = VotingSettings()
        self.accounts = _sessions(AccountsSettings())
        self.reports = _sessions(ReportsSettings())
        self.proposals = _sessions(ProposalsSettings())
        self.voting = _sessions(self.voting_settings)

    def is_loaded(self) -> bool:
        """Tell whether anything was reported or given to anyone: then nothing is touched."""
        with self.reports.begin() as session:
            if not reports.is_empty(session):
                return True
        with self.accounts.begin() as session:
            return any(accounts_repository.find_user(session, plan.agent_phone) for plan in PLAN)

    def load(self) -> None:
        """Load every commune of :data:`PLAN`."""
        for plan in PLAN:
            with self.proposals.begin() as session:
                town = places.town(session.connection(), plan.code, self.dice, plan.spots)
            agent = Principal(uuid.uuid4(), {plan.code: AGENT})
            self.load_reports(plan, town, agent)
            for campaign in plan.campaigns:
                campaigns.Exercise(self, campaign, town, agent).load()
            self.say(f"{town.name}: {plan.reports} reports, {len(plan.campaigns)} campaigns")
        with self.reports.begin() as session:
            hotspots.detect(session, datetime.now(UTC))
        # Last, so that a loading cut short is not taken for a whole one's agents.
        with self.accounts.begin() as session:
            for plan in PLAN:
                accounts.grant(session, plan.agent_phone, "agent", plan.code)

    def load_reports(self, plan: CommunePlan, town: places.Town, agent: Principal) -> None:
        """Pin the commune's problems over the last months, and answer the older ones."""
        kinds = list(plan.mix)
        for batch in batches(range(plan.reports), 30):
            with self.reports.begin() as session:
                for _ in batch:
                    (kind,) = self.dice.choices(kinds, list(plan.mix.values()))
                    age = timedelta(hours=self.dice.expovariate(1 / (24 * 35)))
                    self.load_report(session, kind, town, agent, self.now - age)

    def load_report(
        self, session: Session, kind: str, town: places.Town, agent: Principal, at: datetime
    ) -> None:
        """Pin one problem; one in fourteen comes without GPS."""
        body: dict[str, Any] = {"category": kind}
        body["description"] = self.dice.choice(texts.PROBLEMS[kind])
        body["landmark"] = self.dice.choice(texts.LANDMARKS)
        body["gender"] = self.dice.choice(("f", "f", "m", "m", "m", None, None, None))
        if self.dice.random() < 1 / 14:
            where = {"arrondissement": places.area_of(town, self.dice).code}
            new = NewReport(**body, **where)
        else:
            point = places.anywhere(town, self.dice)
            new = NewReport(**body, lon=point.x, lat=point.y, commune=town.code)
        reporter = Principal(uuid.uuid4())
        made = reports.create_report(session, new, reporter=reporter.user_id, at=at)
        for _ in range(int(self.dice.expovariate(0.7))):
            reports.support(session, made.id, Principal(uuid.uuid4()))
        for status, after in self.answers(self.now - at):
            actor = reporter if status in ("confirmed", "reopened") else agent
            reports.change_status(session, made.id, self.answer(status), actor, at=at + after)

    def answers(self, age: timedelta) -> Iterator[tuple[str, timedelta]]:
        """Draw what the mairie did with a report of this age, and when."""
        after = timedelta(hours=self.dice.uniform(3, 70))
        if age < after or self.dice.random() < 0.2:
            return
        yield "acknowledged", after
        after += timedelta(days=self.dice.uniform(1, 9))
        if age < after or self.dice.random() < 0.25:
            return
        ended = self.dice.choices(("", "rejected", "forwarded", "waiting"), (84, 6, 4, 6))[0]
        if ended:
            yield ended, after
            return
        yield "in_progress", after
        after += timedelta(days=self.dice.uniform(1, 14))
        if age < after or self.dice.random() < 0.2:
            return
        yield "resolved", after
        after += timedelta(days=self.dice.uniform(1, 5))
        if age > after and self.dice.random() < 0.4:
            yield ("confirmed" if self.dice.random() < 0.75 else "reopened"), after

    def answer(self, status: str) -> StatusUpdate:
        """Return the words of a step, the mairie's or the citizen's."""
        said: dict[str, str] = {
            "status": status,
            "public_note": self.dice.choice(texts.ANSWERS[status]),
        }
        if status == "rejected":
            said["reason"] = "not_found"
        if status == "forwarded":
            said["forwarded_to"] = "SBEE"
        return StatusUpdate.model_validate(said)

    def wait_for(
        self, holds: Callable[[Session], bool], sessions: sessionmaker[Session], what: str
    ) -> None:
        """Wait for another service to have handled an event."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with sessions.begin() as session:
                if holds(session):
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{what} did not come: do the services consume events?")


def _sessions(settings: ServiceSettings) -> sessionmaker[Session]:
    return make_sessions(make_engine(settings.database_url.get_secret_value(), threads=1))


@contextmanager
def _timed(say: Callable[[str], None]) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"demonstration loaded in {time.monotonic() - started:.1f} s")


def load(say: Callable[[str], None]) -> None:
    """Load the demonstration into an empty database; leave any other as it is."""
    demo = Demo(say)
    if demo.is_loaded():
        say("the database is not empty: no demonstration is loaded")
        return
    with _timed(say):
        demo.load()
    for plan in PLAN:
        say(f"agent of {plan.code}: sign in with {plan.agent_phone}")
