"""The voting service over a real database, and elections opened by events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from services.common.events import inbox
from services.common.events.envelope import Event, new_traceparent
from services.common.ids import new_id
from services.voting import service
from services.voting.consumers import CONSUMER
from services.voting.main import make_app
from services.voting.settings import Settings
from tests.apps import Tokens
from tests.servers import Database

SECRET = "5" * 64
HOUR = timedelta(hours=1)
#: What closes a vote before its announced end.
EARLY = {"reason": "Tout le monde a voté."}


@dataclass(frozen=True)
class Poll:
    """An election and its projects' ids in order of number."""

    id: UUID
    campaign: UUID
    projects: list[str]
    commune: str
    path: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", f"/api/v1/elections/{self.id}")


@pytest.fixture
def settings(fresh_database: Database) -> Settings:
    return Settings(_env_file=None, database_url=fresh_database.url("voting"), secret=SECRET)


@pytest.fixture
def client(settings: Settings, tokens: Tokens) -> Iterator[TestClient]:
    with tokens.trust(make_app(settings)) as made:
        yield made


@pytest.fixture
def sessions(client: TestClient) -> sessionmaker[Session]:
    return client.app.state.sessions  # type: ignore[attr-defined,no-any-return]


def frozen(costs: list[int], budget: int, **changes: Any) -> Event:
    """Return the event that proposals publishes when a ballot is frozen."""
    campaign, now = uuid4(), datetime.now(UTC)
    data = {
        "campaign": str(campaign),
        "commune": "0801",
        "title": "Budget participatif",
        "budget": budget,
        "ballot_type": "approval",
        "rule": "greedy",
        "opens_at": (now - HOUR).isoformat(),
        "closes_at": (now + HOUR).isoformat(),
        "projects": [
            {
                "id": str(new_id()), "ref": f"P-{number}", "number": number, "cost": cost,
                "title": f"Projet {number}", "theme": None, "arrondissement": "0801-01",
                "lon": 2.4, "lat": 6.4, "later": "more fields are welcome",
            }
            for number, cost in enumerate(costs, 1)
        ],
        **changes,
    }  # fmt: skip
    kind = "bj.palabre.campaign.ballot_frozen.v1"
    return Event(
        new_id(), "proposals", kind, now, data["campaign"], data["commune"], 1, new_traceparent(),
        data,
    )  # fmt: skip


def deliver(sessions: sessionmaker[Session], event: Event) -> None:
    with sessions.begin() as session:
        inbox.handle(session, CONSUMER, 1, [inbox.delivery_of(event, 1)])


OpenPoll = Callable[..., Poll]


@pytest.fixture
def open_poll(sessions: sessionmaker[Session]) -> OpenPoll:
    """Return a function that opens an election: project costs, budget, then changed fields."""

    def make(costs: list[int] | None = None, budget: int = 10, **changes: Any) -> Poll:
        event = frozen(costs or [6, 5, 4], budget, **changes)
        deliver(sessions, event)
        campaign = UUID(str(event.data["campaign"]))
        ids = [p["id"] for p in event.data["projects"]]
        return Poll(service.election_id(campaign), campaign, ids, event.data["commune"])

    return make


@pytest.fixture
def send(client: TestClient, tokens: Tokens) -> Callable[..., Any]:
    """Return a function that votes for project numbers as a person (a new one by default)."""

    def vote(
        poll: Poll, numbers: list[int], *, user: UUID | None = None, key: UUID | None = None,
        **body: Any,
    ) -> Any:  # fmt: skip
        headers = tokens.bearer(user=user)
        if key:
            headers["Idempotency-Key"] = str(key)
        choices = [poll.projects[n - 1] for n in numbers]
        return client.post(
            f"{poll.path}/ballots", json={"choices": choices, **body}, headers=headers
        )

    return vote
