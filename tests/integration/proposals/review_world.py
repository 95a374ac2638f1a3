"""Proposals laid before a mairie's reviewers: who judges, decides, answers and waits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
from sqlalchemy import text

from services.common.ids import new_id
from tests.integration.proposals.world import COTONOU, World

Headers = dict[str, str]
BUDGET = 10_000_000
TABLES = (
    "proposals",
    "reviews",
    "review_answers",
    "review_assignments",
    "review_criteria",
    "attachments",
    "outbox",
    "idempotency_keys",
)


@dataclass
class Laid:
    """A proposal, its author, and the envelope that pays for it."""

    id: str
    ref: str
    campaign: UUID
    envelope: UUID
    author: Headers


@dataclass
class Desk:
    """The reviewers' part of the API."""

    world: World
    people: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agent = self.person({COTONOU: ("proposals.review",)})

    def person(self, grants: Mapping[str, Any] | None = None) -> Headers:
        self.people.append(uuid4())
        signed = self.world.signer.sign(self.people[-1], grants or {}, timedelta(minutes=15))
        return {"Authorization": f"Bearer {signed}"}

    def run(self, sql: str, **values: Any) -> None:
        with self.world.engine.begin() as connection:
            connection.execute(text(sql), values)

    def campaign(self, commune: str = COTONOU, needed: int = 0) -> tuple[UUID, UUID]:
        """Make a campaign that collects ideas for one envelope of 6 of its 10 million."""
        made, envelope = new_id(), new_id()
        self.run(
            "INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by, "
            "endorsements_needed) "
            "VALUES (:id, :commune, 'Budget', :budget, 'ideas', 1, :by, :needed)",
            id=made, commune=commune, budget=BUDGET, by=uuid4(), needed=needed,
        )  # fmt: skip
        self.run(
            "INSERT INTO envelopes (id, campaign_id, name, amount) "
            "VALUES (:id, :of, 'Tous', 6000000)",
            id=envelope, of=made,
        )  # fmt: skip
        return made, envelope

    def lay(
        self, campaign: tuple[UUID, UUID] | None = None, phase: str = "review", **changes: Any
    ) -> Laid:
        """Propose something, in a campaign of its own unless given, and take that to ``phase``."""
        made, envelope = campaign or self.campaign()
        author = changes.pop("author", None) or self.person()
        self.enter(made, "ideas")
        commune = self.world.rows("SELECT commune FROM campaigns WHERE id = :id", id=made)[0]
        body = self.world.draft({"id": str(made), **commune}, **changes)
        answer = self.world.client.post("/api/v1/proposals", json=body, headers=author)
        assert answer.status_code == 201, answer.text
        self.enter(made, phase)
        return Laid(answer.json()["id"], answer.json()["ref"], made, envelope, author)

    def enter(self, campaign: UUID, phase: str) -> None:
        self.run("UPDATE campaigns SET phase = :phase WHERE id = :id", phase=phase, id=campaign)

    def call(
        self, method: str, path: str, who: Headers | None = None, body: Any = None, **headers: str
    ) -> httpx.Response:
        return self.world.client.request(
            method, f"/api/v1/{path}", json=body, headers={**(who or {}), **headers}
        )

    def decide(
        self, laid: Laid, outcome: str = "feasible", who: Headers | None = None, **more: Any
    ) -> httpx.Response:
        body = {"outcome": outcome, "reason": "Chiffré.", "cost": 4_800_000, **more}
        return self.call("POST", f"proposals/{laid.ref}/review", who or self.agent, body)

    def decided(self, laid: Laid, outcome: str = "feasible", **more: Any) -> dict[str, Any]:
        answer = self.decide(laid, outcome, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def judge(
        self,
        laid: Laid,
        criterion: str = "legal",
        verdict: str = "met",
        who: Headers | None = None,
        **more: Any,
    ) -> httpx.Response:
        body = {"verdict": verdict, "note": "Vu.", **more}
        path = f"proposals/{laid.ref}/review/criteria/{criterion}"
        return self.call("PUT", path, who or self.agent, body)

    def judged(
        self, laid: Laid, criterion: str = "legal", verdict: str = "met", **more: Any
    ) -> int:
        """Judge a criterion; return its version."""
        answer = self.judge(laid, criterion, verdict, **more)
        assert answer.status_code == 200, answer.text
        (found,) = (one for one in answer.json()["criteria"] if one["criterion"] == criterion)
        return int(found["version"])

    def assign(self, laid: Laid, service: str = "technical", **more: Any) -> httpx.Response:
        path = f"proposals/{laid.ref}/review/assignments"
        return self.call("POST", path, self.agent, {"service": service, **more})

    def answer(
        self, laid: Laid, who: Headers | None = None, words: str = "Le terrain est communal."
    ) -> httpx.Response:
        path = f"proposals/{laid.ref}/review/answer"
        return self.call("POST", path, who or laid.author, {"answer": words})

    def sheet(self, laid: Laid, who: Headers | None = None) -> dict[str, Any]:
        answer = self.call("GET", f"proposals/{laid.ref}/review", who)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def queue(self, who: Headers | None = None, **query: Any) -> dict[str, Any]:
        answer = self.world.client.get(
            "/api/v1/reviews/queue", params=query, headers=who or self.agent
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def row(self, laid: Laid) -> dict[str, Any]:
        return self.world.rows("SELECT * FROM proposals WHERE ref = :ref", ref=laid.ref)[0]

    def said(self, laid: Laid) -> list[tuple[str, dict[str, Any]]]:
        """Return the kinds and data of a proposal's events; sequences run without a gap."""
        found = self.world.events(laid.id)
        assert [one["sequence"] for one in found] == list(range(1, len(found) + 1))
        assert self.row(laid)["version"] == len(found)
        return [(one["type"].split(".")[-2], one["payload"]) for one in found]

    def file(self, by: UUID | None = None) -> str:
        """Record an uploaded document of a person, the agent unless given."""
        person = by or self.people[0]
        made = str(new_id())
        self.run(
            "INSERT INTO files (id, kind, media_type, name, bytes, uploaded_by) "
            "VALUES (:id, 'document', 'application/pdf', 'avis.pdf', 1000, :by)",
            id=made, by=person,
        )  # fmt: skip
        return made

    @contextmanager
    def nothing_stored(self) -> Iterator[None]:
        """Check that every row of every table is as it was."""

        def rows() -> dict[str, Any]:
            return {t: self.world.rows(f"SELECT t::text FROM {t} t ORDER BY 1") for t in TABLES}

        before = rows()
        yield
        assert rows() == before


def refused(answer: httpx.Response, status: int, code: str, pointer: str = "") -> dict[str, Any]:
    """Check a problem document; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    if pointer:
        assert [one["pointer"] for one in found["errors"]] == [pointer]
    return found
