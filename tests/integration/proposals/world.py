"""What the tests do to the service: announce, propose, review, and look at every table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from services.accounts.tokens import Signer

COTONOU = "0801"
AGENT = ("campaigns.manage", "proposals.review", "works.manage", "works.spend")
#: What a refused request or event may leave behind: that somebody tried.
COUNTERS = {"rate_counters", "dead_letters", "inbox"}


def make_signer(path: Path) -> Signer:
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Signer(path)


def plan(*phases: str, start: datetime | None = None) -> list[dict[str, str]]:
    """Phases of thirty days each, one after the other from tomorrow."""
    start = start or datetime.now(UTC) + timedelta(days=1)
    return [
        {
            "phase": phase,
            "opens_at": (start + timedelta(days=30 * i)).isoformat(),
            "closes_at": (start + timedelta(days=30 * (i + 1))).isoformat(),
        }
        for i, phase in enumerate(phases)
    ]


@dataclass
class World:
    client: TestClient
    engine: Engine
    signer: Signer

    @property
    def sessions(self) -> sessionmaker[Session]:
        return sessionmaker(self.engine)

    def token(
        self, grants: Mapping[str, Sequence[str]] | None = None, *, life: int = 15
    ) -> dict[str, str]:
        """Return the headers of a new person: a citizen, or with ``grants``."""
        signed = self.signer.sign(uuid4(), grants or {}, timedelta(minutes=life))
        return {"Authorization": f"Bearer {signed}"}

    def agent(self, commune: str = COTONOU) -> dict[str, str]:
        return self.token({commune: AGENT})

    def point(self, commune: str = COTONOU) -> list[float]:
        """Return a point well inside a commune."""
        row = self.rows(
            "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM (SELECT ST_PointOnSurface(geom) AS p "
            "FROM reference.communes WHERE code = :code) q",
            code=commune,
        )[0]
        return [row["lon"], row["lat"]]

    def campaign(self, phase: str = "ideas", **changes: Any) -> dict[str, Any]:
        """Announce a campaign of 10 million and take it to ``phase`` (before the vote)."""
        body = {
            "commune": COTONOU,
            "title": "Budget participatif",
            "budget": 10_000_000,
            "phases": plan("ideas", "review", "vote"),
            **changes,
        }
        agent = self.agent(body["commune"])
        made = self.client.post("/api/v1/campaigns", json=body, headers=agent)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        steps = ["preparation", "ideas", "review", "revision"]
        for step in steps[1 : steps.index(phase) + 1]:
            found = self.enter(found["id"], step, agent)
        return found

    def enter(self, campaign: str, phase: str, agent: Mapping[str, str]) -> dict[str, Any]:
        answer = self.client.post(
            f"/api/v1/campaigns/{campaign}/phase",
            json={"phase": phase, "reason": "Tout le monde a déposé."},
            headers=dict(agent),
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def draft(self, campaign: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        return {
            "campaign": campaign["id"],
            "title": "Six lampadaires au marché",
            "description": "La nuit on n'y voit rien.",
            "geometry": {"type": "Point", "coordinates": self.point(campaign["commune"])},
            "estimated_cost": 4_500_000,
            **changes,
        }

    def begin(
        self, campaign: Mapping[str, Any], headers: Mapping[str, str], **changes: Any
    ) -> dict[str, Any]:
        """Begin a draft with a title and a place, without a cost or a description."""
        body = self.draft(campaign, draft=True, **changes)
        for name in {"description", "estimated_cost"} - changes.keys():
            del body[name]
        answer = self.client.post("/api/v1/proposals", json=body, headers=dict(headers))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def propose(self, campaign: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        answer = self.client.post(
            "/api/v1/proposals", json=self.draft(campaign, **changes), headers=self.token()
        )
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def review(
        self, proposal: str, outcome: str = "feasible", cost: int = 4_800_000
    ) -> dict[str, Any]:
        answer = self.client.post(
            f"/api/v1/proposals/{proposal}/review",
            json={"outcome": outcome, "reason": "Chiffré par les services.", "cost": cost},
            headers=self.agent(),
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def events(self, *subjects: str | UUID) -> list[dict[str, Any]]:
        """Return the events about ``subjects`` in the order they were written."""
        return self.rows(
            "SELECT type, key, sequence, subject, traceparent, payload FROM outbox "
            "WHERE subject = ANY(:subjects) ORDER BY position",
            subjects=[str(one) for one in subjects],
        )

    def counts(self) -> dict[str, int]:
        tables = {
            row["t"]
            for row in self.rows(
                "SELECT relname AS t FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE relkind = 'r' AND nspname = current_schema()"
            )
        } - COUNTERS
        return {table: self.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables}

    @contextmanager
    def nothing_stored(self) -> Iterator[None]:
        """Check that no table has one row more or less afterwards, the outbox included."""
        before = self.counts()
        yield
        assert self.counts() == before
