"""A campaign's talk: proposals laid down at once, and what people and agents do about them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
from sqlalchemy import text

from services.common.ids import new_id, new_ref
from tests.integration.proposals.world import AGENT, COTONOU, World

TABLES = (
    "comments",
    "comment_marks",
    "abuse_reports",
    "moderation_log",
    "follows",
    "endorsements",
    "outbox",
    "idempotency_keys",
    "rate_counters",
)
Headers = dict[str, str]


@dataclass
class Person:
    """Somebody who is signed in."""

    id: UUID
    headers: Headers


@dataclass
class Proposed:
    """A proposal and who wrote it."""

    id: UUID
    ref: str
    campaign: UUID
    author: Person


@dataclass
class Talk:
    world: World
    people: list[Person] = field(default_factory=list)

    def person(self, grants: Mapping[str, Any] | None = None) -> Person:
        who = uuid4()
        signed = self.world.signer.sign(who, grants or {}, timedelta(minutes=15))
        self.people.append(Person(who, {"Authorization": f"Bearer {signed}"}))
        return self.people[-1]

    def agent(self, commune: str = COTONOU) -> Person:
        return self.person({commune: AGENT})

    def run(self, sql: str, **values: Any) -> None:
        with self.world.engine.begin() as connection:
            connection.execute(text(sql), values)

    def campaign(self, phase: str = "ideas", needed: int = 0, commune: str = COTONOU) -> UUID:
        made = new_id()
        self.run(
            "INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by, "
            "endorsements_needed) "
            "VALUES (:id, :commune, 'Budget', 10000000, :phase, 1, :by, :needed)",
            id=made,
            commune=commune,
            phase=phase,
            by=uuid4(),
            needed=needed,
        )
        return made

    def enter(self, campaign: UUID, phase: str) -> None:
        self.run("UPDATE campaigns SET phase = :phase WHERE id = :id", id=campaign, phase=phase)

    def proposal(
        self,
        phase: str = "ideas",
        needed: int = 0,
        status: str = "submitted",
        commune: str = COTONOU,
        campaign: UUID | None = None,
    ) -> Proposed:
        author = self.person()
        campaign = campaign or self.campaign(phase, needed, commune)
        made = Proposed(new_id(), new_ref("P"), campaign, author)
        self.run(
            "INSERT INTO proposals (id, ref, campaign_id, commune, title, description, "
            "estimated_cost, geom, reports, status, author_id, version, created_at, submitted_at) "
            "VALUES (:id, :ref, :campaign, :commune, 'Six lampadaires', 'On ne voit rien.', "
            "4500000, ST_SetSRID(ST_MakePoint(2.43, 6.37), 4326), '{}', :status, :author, 1, "
            "now() - interval '1 day', "
            "CASE WHEN :status <> 'draft' THEN now() - interval '1 day' END)",
            id=made.id,
            ref=made.ref,
            campaign=campaign,
            commune=commune,
            status=status,
            author=author.id,
        )
        self.run(
            "INSERT INTO authors (proposal_id, user_id, role) VALUES (:id, :author, 'author')",
            id=made.id,
            author=author.id,
        )
        return made

    def get(self, path: str, who: Person | None = None) -> httpx.Response:
        return self.world.client.get(f"/api/v1/{path}", headers=who.headers if who else {})

    def post(
        self, path: str, who: Person | None, body: Any = None, key: UUID | None = None
    ) -> httpx.Response:
        headers = dict(who.headers) if who else {}
        if key:
            headers["Idempotency-Key"] = str(key)
        return self.world.client.post(f"/api/v1/{path}", json=body, headers=headers)

    def delete(self, path: str, who: Person | None) -> httpx.Response:
        return self.world.client.delete(f"/api/v1/{path}", headers=who.headers if who else {})

    def comment(
        self, proposal: Proposed, who: Person | None = None, body: str = "Bonne idée.", **more: Any
    ) -> str:
        answer = self.post(
            f"proposals/{proposal.id}/comments", who or self.person(), {"body": body, **more}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def comments(
        self, proposal: Proposed, who: Person | None = None, query: str = ""
    ) -> dict[str, Any]:
        answer = self.get(f"proposals/{proposal.id}/comments?{query}", who)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def report(self, subject: str, one: Any, reason: str = "insult", note: str = "") -> None:
        body = {"subject": subject, "id": str(one), "reason": reason, "note": note}
        answer = self.post("abuse-reports", self.person(), body)
        assert answer.status_code == 201, answer.text

    def decide(
        self, agent: Person, action: str, subject: str, one: Any, **more: Any
    ) -> httpx.Response:
        body = {
            "subject": subject,
            "id": str(one),
            "action": action,
            "reason": "insult",
            "note": "Contraire à la charte.",
            **more,
        }
        return self.post("moderation", agent, body)

    def hide(self, agent: Person, subject: str, one: Any) -> None:
        answer = self.decide(agent, "hide", subject, one)
        assert answer.status_code == 200, answer.text

    def appeal(self, who: Person, subject: str, one: Any) -> httpx.Response:
        body = {"subject": subject, "id": str(one), "note": "Ce n'est pas une insulte."}
        return self.post("moderation/appeals", who, body)

    def answer(
        self, agent: Person, action: str, subject: str, one: Any, **more: Any
    ) -> httpx.Response:
        body = {"subject": subject, "id": str(one), "action": action, "note": "Revu.", **more}
        return self.post("moderation/appeals/decision", agent, body)

    def queue(self, agent: Person, commune: str = COTONOU, query: str = "") -> dict[str, Any]:
        answer = self.get(f"moderation?commune={commune}&{query}", agent)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def log(self, proposal: Proposed) -> list[dict[str, Any]]:
        answer = self.get(f"proposals/{proposal.id}/moderation")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def row(self, proposal: Proposed) -> dict[str, Any]:
        found: dict[str, Any] = self.world.rows(
            "SELECT * FROM proposals WHERE id = :id", id=proposal.id
        )[0]
        return found

    def said(self, proposal: Proposed) -> list[tuple[str, dict[str, Any]]]:
        """Return the kinds and data of a proposal's events; the sequence must be its version."""
        found = self.world.events(proposal.id)
        if found:
            assert [e["sequence"] for e in found] == list(range(2, len(found) + 2))
            assert found[-1]["sequence"] == self.row(proposal)["version"]
        return [(e["type"].split(".")[-2], e["payload"]) for e in found]

    @contextmanager
    def nothing_stored(self) -> Iterator[None]:
        """Check that no table has one row more or less afterwards, the outbox included."""

        def counts() -> dict[str, int]:
            return {t: self.world.rows(f"SELECT count(*) AS n FROM {t}")[0]["n"] for t in TABLES}

        before = counts()
        yield
        assert counts() == before


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check a problem document; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    return found
