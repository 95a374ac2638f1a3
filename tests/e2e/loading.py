"""A bounded load of writes that never gives up: each has its key and is sent until answered."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2 as httpx

from tests.e2e.running import AGENT, Palabre

T = TypeVar("T")
#: How long one write may take while what it needs is killed and comes back, in seconds.
PATIENCE = 90.0
#: Answers after which the same request is right: nothing was done, or nobody knows.
AGAIN = (429, 500, 502, 503, 504)


@dataclass
class Api:
    """The gateway's API as a client uses it that does not lose what people wrote."""

    palabre: Palabre
    tries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.client = httpx.Client(
            base_url=f"{self.palabre.url}/api/v1", timeout=10, trust_env=False
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return an answer's JSON; ask again while the service is away."""
        return self._sent("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, who: dict[str, str]) -> Any:
        """Write once, however often it must be sent; return the answer's JSON."""
        headers = who | {"Idempotency-Key": str(uuid.uuid4())}
        return self._sent("POST", path, json=body if body is not None else {}, headers=headers)

    def _sent(self, method: str, path: str, **request: Any) -> Any:
        end = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                self.tries += 1
            try:
                answer = self.client.request(method, path, **request)
            except httpx.TransportError as error:
                said = repr(error)
            else:
                if answer.is_success:
                    return answer.json()
                said = f"{answer.status_code} {answer.text}"
                assert answer.status_code in AGAIN, f"{method} {path}: {said}"
            assert time.monotonic() < end, f"{method} {path}: {said}"
            time.sleep(0.2)

    def pages(self, path: str, **query: Any) -> list[Any]:
        """Return the features of all pages of a list."""
        found: list[Any] = []
        query |= {"limit": 200}
        while True:
            answer = self.get(path, **query)
            found += answer["features"]
            if not answer["next"]:
                return found
            query["cursor"] = httpx.URL(answer["next"]).params["cursor"]


@dataclass
class Books:
    """What was acknowledged, and nothing else."""

    status: dict[str, str] = field(default_factory=dict)  # report → its last status
    supports: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    ballots: list[Sequence[str]] = field(default_factory=list)  # choices, one entry a voter


class Load:
    """Writes of many people at once, in one commune."""

    def __init__(self, palabre: Palabre, commune: str, at: tuple[float, float]) -> None:
        self.api = Api(palabre)
        self.books = Books()
        self.commune = commune
        self.palabre = palabre
        self.agent = palabre.bearer({commune: AGENT})
        self._at = at
        self._dice = random.Random(7)  # noqa: S311 - to repeat, not to hide
        self._pool = ThreadPoolExecutor(6)
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the threads and the connections."""
        self._pool.shutdown(cancel_futures=True)
        self.api.client.close()

    def send(self, write: Callable[[], T], times: int) -> list[Future[T]]:
        """Start writes; their results raise what went wrong."""
        return [self._pool.submit(write) for _ in range(times)]

    def report(self) -> None:
        """Pin a problem, have somebody support it, and the mairie acknowledge it: three writes."""
        with self._lock:
            lon, lat = (x + self._dice.uniform(-0.01, 0.01) for x in self._at)
        body = {"lon": lon, "lat": lat, "category": "roads", "description": "Nid de poule ${x}"}
        made = self.api.post("/reports", body, who=self.palabre.bearer())
        report = made["id"]
        with self._lock:
            self.books.status[report], self.books.steps[report] = "received", 1
            self.books.supports[report] = 0
        self.api.post(f"/reports/{report}/support", who=self.palabre.bearer())
        with self._lock:
            self.books.supports[report] += 1
        change = {"status": "acknowledged", "public_note": "Vu."}
        self.api.post(f"/reports/{report}/status", change, who=self.agent)
        with self._lock:
            self.books.status[report], self.books.steps[report] = "acknowledged", 2

    def campaign(self, costs: Sequence[int], budget: int) -> str:
        """Open a campaign, propose and shortlist projects of these costs."""
        body = {
            "commune": self.commune,
            "title": "Budget éprouvé",
            "budget": budget,
            "phases": [
                {
                    "phase": "ideas",
                    "opens_at": "2026-11-01T00:00:00Z",
                    "closes_at": "2026-12-01T00:00:00Z",
                }
            ],
        }
        campaign = str(self.api.post("/campaigns", body, who=self.agent)["id"])
        self.enter(campaign, "ideas")
        for number, cost in enumerate(costs):
            project = {
                "campaign": campaign,
                "title": f"Projet {number}",
                "description": "Pour essayer.",
                "theme": "water",
                "geometry": {"type": "Point", "coordinates": list(self._at)},
                "estimated_cost": cost,
            }
            made = self.api.post("/proposals", project, who=self.palabre.bearer())
            review = {"outcome": "feasible", "reason": "Faisable.", "cost": cost}
            self.api.post(f"/proposals/{made['id']}/review", review, who=self.agent)
        return campaign

    def enter(self, campaign: str, phase: str) -> None:
        """Take the campaign to a phase."""
        body = {"phase": phase, "reason": "Tout le monde a pu répondre."}
        self.api.post(f"/campaigns/{campaign}/phase", body, who=self.agent)

    def ballot(self, election: str, projects: Sequence[str]) -> None:
        """One more person votes for one or two of the projects."""
        with self._lock:
            choices = self._dice.sample(projects, self._dice.randint(1, 2))
        body = {"choices": choices}
        self.api.post(f"/elections/{election}/ballots", body, who=self.palabre.bearer())
        with self._lock:
            self.books.ballots.append(choices)
