"""A commune's whole budget exercise over HTTP: what citizens, agents and treasurers send."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
from sqlalchemy import create_engine, text

from tests.e2e.running import Palabre

Json = dict[str, Any]
AGENT = (
    "campaigns.manage",
    "elections.manage",
    "proposals.review",
    "reports.manage",
    "works.manage",
    "works.spend",
)
NEEDS = ("Éclairage du marché", "Forage de l'école", "Piste vers le centre de santé", "Caniveau")
THEMES = ("lighting", "water", "roads", "drainage")
BUDGET = 60_000_000


def today() -> date:
    """Return the day in UTC, which in Bénin is the same or the one before."""
    return datetime.now(UTC).date()


@dataclass
class Person:
    """Somebody with a token of their own."""

    palabre: Palabre
    grants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    user: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        headers = self.palabre.bearer(self.grants, self.user)
        self.client = httpx.Client(
            base_url=f"{self.palabre.url}/api/v1/", headers=headers, timeout=30, trust_env=False
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query or None)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def send(self, path: str, body: Json | None = None, method: str = "POST") -> Json:
        answer = self.client.request(
            method, path, json=body or {}, headers={"Idempotency-Key": str(uuid4())}
        )
        assert answer.is_success, (path, body, answer.text)
        found: Json = answer.json()
        return found

    def refused(self, path: str, body: Json, status: int, code: str, method: str = "POST") -> Json:
        """Send what must be refused with this status and code; return the problem."""
        answer = self.client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        found: Json = answer.json()
        return found


@dataclass
class Exercise:
    """One campaign of one commune, and everybody in it."""

    palabre: Palabre
    commune: str

    def __post_init__(self) -> None:
        self.dice = random.Random(2027)  # noqa: S311 - to repeat, not to hide
        grants = {self.commune: AGENT}
        self.agent = Person(self.palabre, grants)
        self.second = Person(self.palabre, grants)
        self.technician = Person(self.palabre, {self.commune: ("proposals.review",)})
        self.treasurer = Person(self.palabre, {self.commune: ("works.spend",)})
        self.nobody = Person(self.palabre)
        del self.nobody.client.headers["Authorization"]
        self.citizens = [Person(self.palabre) for _ in range(24)]
        self.campaign = ""
        self.envelopes: dict[str, str] = {}
        self.proposals: list[Json] = []
        self.authors: dict[str, Person] = {}
        self.areas = self._areas()

    def __enter__(self) -> "Exercise":
        return self

    def __exit__(self, *_: object) -> None:
        official = (self.agent, self.second, self.technician, self.treasurer, self.nobody)
        for person in (*official, *self.citizens):
            person.client.close()

    def _areas(self) -> list[tuple[str, float, float]]:
        """Return the commune's arrondissements, each with a place well inside it."""
        query = (
            "SELECT code, ST_X(c), ST_Y(c) FROM (SELECT code, ST_PointOnSurface(geom) AS c "
            "FROM reference.arrondissements WHERE commune_code = :code ORDER BY code) q"
        )
        return [tuple(row) for row in self.rows(query, code=self.commune)]

    def rows(self, query: str, service: str = "proposals", **values: Any) -> list[Any]:
        """Ask a service's database, as its own role."""
        name = f"PALABRE_{service.upper()}_DATABASE_URL"
        engine = create_engine(self.palabre.settings[name])
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(query), values))
        finally:
            engine.dispose()

    def announce(self) -> None:
        """Announce a campaign with an envelope of each kind, and open the ideas."""
        now = datetime.now(UTC)
        phases = ("ideas", "review", "revision", "vote", "results", "works")
        made = self.agent.send(
            "campaigns",
            {
                "commune": self.commune,
                "title": "Budget participatif de l'exercice",
                "description": "Tout un exercice, de l'idée au dernier franc.",
                "budget": BUDGET,
                "endorsements_needed": 2,
                "envelopes": [
                    {"name": "Premier", "amount": 14_000_000, "arrondissement": self.areas[0][0]},
                    {"name": "Deuxième", "amount": 12_000_000, "arrondissement": self.areas[1][0]},
                    {"name": "Eau", "amount": 9_000_000, "theme": "water"},
                ],
                "phases": [
                    {
                        "phase": phase,
                        "opens_at": (now + timedelta(days=30 * n)).isoformat(),
                        "closes_at": (now + timedelta(days=30 * (n + 1))).isoformat(),
                    }
                    for n, phase in enumerate(phases)
                ],
            },
        )
        self.campaign = made["id"]
        self.envelopes = {e["name"]: e["id"] for e in made["envelopes"]}
        assert sum(e["amount"] for e in made["envelopes"]) == BUDGET
        self.enter("ideas")

    def enter(self, phase: str) -> Json:
        """Open a phase, said why if that is early."""
        body = {"phase": phase, "reason": "Chacun a eu le temps qu'il lui fallait."}
        return self.agent.send(f"campaigns/{self.campaign}/phase", body)

    def place(self, area: int) -> Json:
        """Return a point, sometimes a short line, near the middle of an arrondissement."""
        _, lon, lat = self.areas[area % len(self.areas)]
        if self.dice.random() < 0.2:
            return {"type": "LineString", "coordinates": [[lon, lat], [lon + 2e-4, lat + 1e-4]]}
        return {"type": "Point", "coordinates": [lon, lat]}

    def propose(self, author: Person, title: str, area: int, **more: Any) -> Json:
        """Propose something and keep it."""
        body = {
            "campaign": self.campaign,
            "title": title,
            "need": "Le soir on ne voit rien et la pluie coupe la route.",
            "description": f"{title} : demandé par les habitants.",
            "beneficiaries": "Les vendeuses et les élèves",
            "geometry": self.place(area),
            "estimated_cost": self.dice.randrange(800_000, 5_000_000, 50_000),
            **more,
        }
        made = author.send("proposals", body)
        self.proposals.append(made)
        self.authors[made["id"]] = author
        return made

    def collect(self, count: int) -> None:
        """Have citizens, an assembly and people with paper forms propose, up to ``count``."""
        forum = self.agent.send(
            f"campaigns/{self.campaign}/forums",
            {
                "name": "Forum du premier arrondissement",
                "held_on": today().isoformat(),
                "arrondissement": self.areas[0][0],
                "women": 57,
                "men": 49,
                "youth": 38,
            },
        )
        for n in range(4):
            self.propose(
                self.agent, f"Vœu {n + 1} du forum", n % 2, origin="assembly", forum=forum["id"]
            )
        for n in range(2):
            self.propose(
                self.agent, f"Formulaire papier {n + 1}", 1, origin="paper", author_name="Sossa"
            )
        while len(self.proposals) < count:
            n = len(self.proposals)
            self.propose(
                self.citizens[n % 12],
                f"{NEEDS[n % 4]} n° {n}",
                self.dice.randrange(4),
                theme=THEMES[n % 4],
            )

    def endorse(self) -> None:
        """Give every proposal its threshold of endorsements, the first ones more."""
        for n, proposal in enumerate(self.proposals):
            for person in self.citizens[12 : 14 + n % 7]:
                person.send(f"proposals/{proposal['id']}/endorsements")

    def shortlisted(self) -> list[Json]:
        """Return the envelopes with what is on their shortlists."""
        found: list[Json] = self.nobody.get(f"campaigns/{self.campaign}/shortlist")["envelopes"]
        return found

    def election(self) -> Json:
        """Return the campaign's election, None while there is none."""
        found = self.nobody.get("elections", campaign=self.campaign)["items"]
        return self.nobody.get(f"elections/{found[0]['id']}") if found else {}

    def ballots(self, election: Json) -> int:
        """Have every citizen vote for a few projects that fit; return how many did."""
        for person in self.citizens:
            left = {e["id"]: e["amount"] for e in election["envelopes"]}
            chosen = []
            projects = self.dice.sample(election["projects"], len(election["projects"]))
            for project in projects[:9]:
                if project["cost"] <= left[project["envelope"]]:
                    left[project["envelope"]] -= project["cost"]
                    chosen.append(project["id"])
            person.send(f"elections/{election['id']}/ballots", {"choices": chosen})
        return len(self.citizens)

    def works(self) -> list[Json]:
        """Return the campaign's works, the dearest first."""
        found = self.nobody.get("works", campaign=self.campaign)["features"]
        return sorted((f["properties"] for f in found), key=lambda w: -w["voted_cost"])

    def entry(self, ref: str, kind: str, amount: int, **more: Any) -> Json:
        """Write a line of a ledger."""
        body = {
            "kind": kind,
            "amount": amount,
            "dated": today().isoformat(),
            "label": f"{kind} {amount}",
            "payee": "Entreprise Agbo",
            "document": f"N-{amount}",
            **more,
        }
        return self.treasurer.send(f"works/{ref}/entries", body)

    def everything(self, path: str, **query: Any) -> Iterator[Json]:
        """Go through all pages of a list of proposals."""
        url: str | None = path
        while url:
            page = self.nobody.get(url, **query)
            yield from page["features"]
            url, query = (page["next"] or "").removeprefix("/api/v1/") or None, {}
