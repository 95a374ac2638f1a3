"""Works over a real database: funded proposals, those who build and those who pay."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker

from services.accounts.tokens import Signer
from services.common.app import create_app
from services.common.auth import FixedKeys, Principal, read_token
from services.common.ids import new_id, new_ref
from services.proposals.models import Campaign, Proposal
from services.proposals.settings import Settings
from services.proposals.works import service
from services.proposals.works.api import router
from tests.servers import Database

COMMUNE = "0801"
BUILDER = {COMMUNE: ("works.manage",)}
TREASURER = {COMMUNE: ("works.spend",)}
MANAGER = {COMMUNE: ("campaigns.manage",)}
TABLES = ("works", "milestones", "journal", "ledger", "confirmations", "attachments", "outbox")

_CAMPAIGN = text("""
    INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by)
    VALUES (:id, :commune, 'Budget 2027', :budget, :phase, 1, gen_random_uuid())
""")
_ENVELOPE = text("""
    INSERT INTO envelopes (id, campaign_id, name, amount, kind, theme, position)
    VALUES (:id, :campaign, :name, :amount, :kind, :theme, :position)
""")
_PROPOSAL = text("""
    INSERT INTO proposals (id, ref, campaign_id, commune, title, description, estimated_cost, cost,
        number, envelope_id, geom, reports, status, author_id, endorsements, version, created_at,
        submitted_at, theme)
    SELECT :id, :ref, :campaign, :commune, :title, 'Pour le quartier.', :cost, :cost,
        1 + (SELECT count(*) FROM proposals o WHERE o.campaign_id = :campaign),
        :envelope, ST_PointOnSurface(c.geom), :reports, 'funded', gen_random_uuid(), 0, 3, now(),
        now(), :theme
    FROM reference.communes c WHERE c.code = :commune
""")


@dataclass
class Works:
    """The works' part of the API, and the acts of its readers and writers."""

    client: TestClient
    engine: Engine
    signer: Signer

    def __post_init__(self) -> None:
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)
        self.builder = self.token(BUILDER)
        self.treasurer = self.token(TREASURER)
        self.manager = self.token(MANAGER)

    def token(
        self, grants: Mapping[str, Sequence[str]] | None = None, user: UUID | None = None
    ) -> dict[str, str]:
        signed = self.signer.sign(user or uuid4(), grants or {}, timedelta(minutes=15))
        return {"Authorization": f"Bearer {signed}"}

    def campaign(self, phase: str = "results", budget: int = 30_000_000) -> dict[str, Any]:
        """Make a campaign of two envelopes: for roads, and the rest for everything."""
        found = {"id": new_id(), "budget": budget, "roads": new_id(), "all": new_id()}
        roads = {"name": "Voirie", "amount": budget // 3, "kind": "theme", "theme": "roads"}
        rest = {"name": "Toute la commune", "amount": budget - budget // 3, "kind": "commune"}
        with self.engine.begin() as connection:
            values = {"id": found["id"], "commune": COMMUNE, "budget": budget, "phase": phase}
            connection.execute(_CAMPAIGN, values)
            for position, (key, one) in enumerate((("roads", roads), ("all", rest))):
                line = {"theme": None, **one, "id": found[key], "campaign": found["id"]}
                connection.execute(_ENVELOPE, {**line, "position": position})
        return found

    def enter(self, campaign: Mapping[str, Any], phase: str) -> None:
        self.execute("UPDATE campaigns SET phase = :p WHERE id = :id", p=phase, id=campaign["id"])

    def fund(
        self,
        campaign: Mapping[str, Any],
        cost: int = 4_800_000,
        title: str = "Six lampadaires au marché",
        envelope: str = "all",
        reports: Sequence[UUID] = (),
    ) -> UUID:
        """Store a proposal that the vote funded; return its id."""
        made = new_id()
        values = {
            "id": made,
            "ref": new_ref("P"),
            "campaign": campaign["id"],
            "commune": COMMUNE,
            "title": title,
            "cost": cost,
            "envelope": campaign[envelope],
            "theme": "roads" if envelope == "roads" else "lighting",
            "reports": list(reports),
        }
        self.execute(_PROPOSAL.text, **values)
        return made

    def open(self, campaign: Mapping[str, Any], *proposals: UUID) -> list[str]:
        """Open works as the consumer of results does; return their refs."""
        with self.sessions.begin() as session:
            funded = [session.get_one(Proposal, one) for one in proposals]
            of = session.get_one(Campaign, campaign["id"])
            service.open_works(session, of, funded, at=datetime.now(UTC))
        return [
            self.rows("SELECT ref FROM works WHERE proposal_id = :p", p=one)[0]["ref"]
            for one in proposals
        ]

    def work(self, cost: int = 4_800_000, status: str = "planned", **more: Any) -> str:
        """Return the ref of a new work in a campaign of its own, taken to ``status``."""
        campaign = self.campaign()
        (ref,) = self.open(campaign, self.fund(campaign, cost, **more))
        steps = ("tendering", "under_way", "suspended")
        if status == "completed":
            self.take(ref, "tendering", "under_way")
            self.post(ref, "completion", note="Tout est posé.")
        elif status == "abandoned":
            self.post(ref, "status", status="abandoned", note="Le terrain est en litige.")
        elif status != "planned":
            self.take(ref, *steps[: steps.index(status) + 1])
        return ref

    def take(self, ref: str, *statuses: str) -> None:
        for status in statuses:
            self.post(ref, "status", status=status)

    def get(self, ref: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/works/{ref}", headers=dict(headers or {}))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return self.client.request(
            method,
            f"/api/v1/works/{path}",
            json=body,
            headers=dict(self.builder if headers is None else headers),
        )

    def post(self, ref: str, act: str, **body: Any) -> dict[str, Any]:
        """Act as the builder."""
        answer = self.call("POST", f"{ref}/{act}", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def spend(self, ref: str, kind: str, amount: Any, **more: Any) -> Response:
        """Enter a line of the ledger as the treasurer."""
        body = {
            "kind": kind,
            "amount": amount,
            "dated": "2026-01-02",
            "label": "Lampadaires solaires",
            **more,
        }
        return self.call("POST", f"{ref}/entries", body, self.treasurer)

    def spent(self, ref: str, kind: str, amount: int, **more: Any) -> dict[str, Any]:
        answer = self.spend(ref, kind, amount, **more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def counter(self, ref: str, entry: str, reason: str = "Saisie deux fois.") -> Response:
        path = f"{ref}/entries/{entry}/counter"
        return self.call("POST", path, {"reason": reason}, self.treasurer)

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return whose token this is."""
        keys = self.client.app.state.keys  # type: ignore[attr-defined]
        return read_token(headers["Authorization"].removeprefix("Bearer "), keys)

    def photo(self, headers: Mapping[str, str], kind: str = "photo") -> str:
        """Record an uploaded file of this person, taken somewhere."""
        made = new_id()
        values = {"id": made, "kind": kind, "by": self.principal(headers).user_id}
        self.execute(
            "INSERT INTO files (id, kind, media_type, bytes, uploaded_by, lon, lat) "
            "VALUES (:id, :kind, 'image/webp', 1000, :by, 2.42, 6.37)",
            **values,
        )
        return str(made)

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def execute(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    def events(self, ref: str) -> list[dict[str, Any]]:
        """Return ``type``, ``sequence`` and ``payload`` of a work's events, in order."""
        return self.rows(
            "SELECT replace(replace(o.type, 'bj.palabre.work.', ''), '.v1', '') AS type, "
            "o.sequence, o.payload, o.traceparent FROM outbox o JOIN works w "
            "ON w.id::text = o.subject WHERE w.ref = :ref ORDER BY o.position",
            ref=ref,
        )

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return all that a refused call must leave alone."""
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}

    @contextmanager
    def nothing_stored(self) -> Iterator[None]:
        before = self.snapshot()
        yield
        assert self.snapshot() == before


@contextmanager
def works_world(database: Database, signer: Signer) -> Iterator[Works]:
    """Run the works' API over ``database``."""
    settings = Settings(
        _env_file=None, database_url=SecretStr(database.url("proposals")), env="demo"
    )
    app = create_app(settings, [router], title="works")
    app.state.keys = FixedKeys(signer.jwks)
    with TestClient(app) as client:
        yield Works(client, app.state.engine, signer)


def sums_of(work: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return committed, invoiced, paid and the balance of a work, or of an entry's answer."""
    names = ("committed", "invoiced", "paid", "balance")
    one, two, three, four = (work[name] for name in names)
    return one, two, three, four


def tomorrow(days: int = 1) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days + 1)).isoformat()


def code_of(answer: Response) -> tuple[int, str]:
    """Return the status and the code of a refusal, as problem details."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]
