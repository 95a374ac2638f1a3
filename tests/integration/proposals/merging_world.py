"""People who propose, endorse and merge, and what became of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from httpx2 import Response

from tests.integration.proposals.world import AGENT, COTONOU, World


@dataclass(frozen=True)
class Person:
    """Somebody signed in."""

    id: UUID
    headers: dict[str, str]


@dataclass(frozen=True)
class Made:
    """A proposal and who wrote it."""

    id: str
    ref: str
    author: Person


@dataclass
class Merging:
    """The service as seen by people who merge proposals."""

    world: World

    def person(self, *permissions: str, commune: str = COTONOU) -> Person:
        user = uuid4()
        grants = {commune: permissions} if permissions else {}
        token = self.world.signer.sign(user, grants, timedelta(minutes=15))
        return Person(user, {"Authorization": f"Bearer {token}"})

    def agent(self) -> Person:
        return self.person(*AGENT)

    def post(self, path: str, who: Person | None, **body: Any) -> Response:
        headers = who.headers if who else {}
        answer = self.world.client.post(f"/api/v1/{path}", json=body, headers=headers)
        return cast("Response", answer)

    def ok(self, path: str, who: Person, **body: Any) -> dict[str, Any]:
        answer = self.post(path, who, **body)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, who: Person | None = None) -> dict[str, Any]:
        answer = self.world.client.get(f"/api/v1/{path}", headers=who.headers if who else {})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def propose(self, campaign: dict[str, Any], who: Person | None = None, **changes: Any) -> Made:
        author = who or self.person()
        made = self.ok("proposals", author, **self.world.draft(campaign, **changes))
        return Made(made["id"], made["ref"], author)

    def endorse(self, made: Made, *people: Person) -> None:
        for one in people:
            answer = self.world.client.post(
                f"/api/v1/proposals/{made.id}/endorsements", headers=one.headers
            )
            assert answer.status_code == 200, answer.text

    def merge(self, target: Made, *sources: Made, who: Person | None = None) -> dict[str, Any]:
        """Propose a merge as the target's author and let every other author consent."""
        body = {"target": target.id, "sources": [one.ref for one in sources]}
        found = self.ok("merges", who or target.author, **body)
        for one in (target, *sources):
            if found["state"] == "open":
                found = self.ok(f"merges/{found['id']}/consent", one.author, agree=True)
        assert found["state"] == "done"
        return found

    def row(self, made: Made) -> dict[str, Any]:
        return self.world.rows("SELECT * FROM proposals WHERE id = :id", id=made.id)[0]

    def authors(self, made: Made) -> set[UUID]:
        rows = self.world.rows("SELECT user_id FROM authors WHERE proposal_id = :id", id=made.id)
        return {row["user_id"] for row in rows}

    def endorsers(self, made: Made) -> set[UUID]:
        """Return who endorses a proposal, and check that they are counted."""
        rows = self.world.rows(
            "SELECT user_id FROM endorsements WHERE proposal_id = :id", id=made.id
        )
        assert self.row(made)["endorsements"] == len(rows)
        return {row["user_id"] for row in rows}

    def told(self, made: Made) -> list[str]:
        """Return the kinds of a proposal's events, and check that none is missing."""
        said = self.world.events(made.id)
        assert [one["sequence"] for one in said] == list(range(1, len(said) + 1))
        assert self.row(made)["version"] == len(said)
        return [one["type"].removeprefix("bj.palabre.proposal.")[:-3] for one in said]

    @contextmanager
    def untouched(self, *proposals: Made) -> Iterator[None]:
        """Check that no table has a row more or less, and that these proposals are as before."""
        before = [self.row(one) for one in proposals]
        with self.world.nothing_stored():
            yield
        assert [self.row(one) for one in proposals] == before


def refused(answer: Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    found: dict[str, Any] = answer.json()
    return found


def pointers(answer: Response) -> Sequence[str]:
    return [one["pointer"] for one in answer.json()["errors"]]
