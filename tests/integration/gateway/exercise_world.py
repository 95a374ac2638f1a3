"""A commune's whole exercise behind the gateway: campaign, proposals, vote, works, ledgers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
from sqlalchemy.orm import sessionmaker

from gateway.app import make_app
from gateway.projections import CONSUMER
from gateway.settings import Settings
from services.common.auth import FixedKeys
from services.common.events import inbox, outbox
from services.common.media.settings import MediaSettings
from services.proposals.campaigns import service as campaigns
from services.proposals.main import make_app as make_proposals
from services.proposals.models import Campaign
from services.proposals.settings import Settings as ProposalsSettings
from services.proposals.works import service as works
from tests.apps import Tokens, serve
from tests.integration.gateway.desk_front import COTONOU, HERE, Front
from tests.integration.gateway.pages_world import Visitor

MAIRIE = ("campaigns.manage", "proposals.review", "works.manage", "works.spend")


@dataclass
class Exercise(Front):
    """The gateway with proposals behind it, and the acts of its people over the API."""

    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = self.tokens.bearer({COTONOU: MAIRIE})

    def stranger(self) -> Visitor:
        """Return the browser of somebody who is not signed in."""
        return self.open.enter_context(Visitor(self.url))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Any:
        """Ask the API as the mairie, or with other ``headers``."""
        answer = httpx.request(
            method,
            f"{self.url}/api/v1/{path}",
            **({"json": body} if content is None else {"content": content}),
            headers=dict(headers or self.headers),
            timeout=20,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def announce(self, **more: Any) -> dict[str, Any]:
        """Announce a campaign of 30 million: 10 for roads, the rest for the commune."""
        start = datetime.now(UTC) + timedelta(days=1)
        phases = [
            {
                "phase": phase,
                "opens_at": (start + timedelta(days=30 * n)).isoformat(),
                "closes_at": (start + timedelta(days=30 * (n + 1))).isoformat(),
            }
            for n, phase in enumerate(("ideas", "review", "revision", "vote", "results", "works"))
        ]
        body = {
            "commune": COTONOU,
            "title": "Budget participatif 2027",
            "budget": 30_000_000,
            "envelopes": [{"name": "Voirie", "amount": 10_000_000, "theme": "roads"}],
            "phases": phases,
            **more,
        }
        made: dict[str, Any] = self.call("POST", "campaigns", body)
        return made

    def enter(self, campaign: str, *phases: str, reason: str = "Tout le monde a déposé.") -> None:
        for phase in phases:
            self.call("POST", f"campaigns/{campaign}/phase", {"phase": phase, "reason": reason})

    def propose(
        self, campaign: str, title: str = "Six lampadaires au marché", **more: Any
    ) -> dict[str, Any]:
        """Propose a project as some citizen; ``place`` moves it a little."""
        place = more.pop("place", 0)
        body = {
            "campaign": campaign,
            "title": title,
            "need": "La nuit on n'y voit rien.",
            "description": "Des lampadaires solaires.",
            "geometry": {"type": "Point", "coordinates": [HERE[0] + place * 1e-4, HERE[1]]},
            "estimated_cost": 4_000_000,
            "theme": "lighting",
            **more,
        }
        headers = body.pop("headers", None) or self.tokens.bearer()
        made: dict[str, Any] = self.call("POST", "proposals", body, headers)
        return made

    def review(self, ref: str, cost: int, outcome: str = "feasible") -> None:
        body = {"outcome": outcome, "reason": "Chiffré par les services.", "cost": cost}
        self.call("POST", f"proposals/{ref}/review", body)

    def photo(self, data: bytes, headers: Mapping[str, str] | None = None) -> str:
        """Upload a photo with its place."""
        sent = {**(headers or self.headers), "Content-Type": "application/octet-stream"}
        made = self.call("POST", "files?geotag=1", headers=sent, content=data)
        return str(made["id"])

    def count(self, campaign: str, winners: Sequence[str]) -> list[str]:
        """Do what the published count does; return the refs of the works that it opens."""
        now = datetime.now(UTC)
        with sessionmaker(self.proposals.state.engine).begin() as session:
            won = [UUID(one) for one in winners]
            funded = campaigns.record_results(session, UUID(campaign), won, at=now)
            works.open_works(session, session.get_one(Campaign, UUID(campaign)), funded, at=now)
        found = self.call("GET", f"works?campaign={campaign}&limit=200")["features"]
        return [
            next(
                f["properties"]["ref"]
                for f in found
                if self.call("GET", f"works/{f['properties']['ref']}")["proposal"]["id"] == one
            )
            for one in winners
        ]

    def build(self, ref: str, act: str, **body: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.call("POST", f"works/{ref}/{act}", body)
        return done

    def spend(self, ref: str, kind: str, amount: int, **more: Any) -> dict[str, Any]:
        body = {"kind": kind, "amount": amount, "dated": "2026-01-02", "label": "Lampadaires"}
        return self.build(ref, "entries", **{**body, **more})

    def tell(self) -> None:
        """Let the gateway's tables know what proposals said so far."""
        with sessionmaker(self.proposals.state.engine)() as session:
            told = outbox.read(session, "proposals", after=0, upto=2**31, limit=10_000)
        with sessionmaker(self.gateway.state.engine).begin() as session:
            for one in told:
                if one.event.type in CONSUMER.handlers:
                    inbox.apply(session, CONSUMER, one.event)


@contextmanager
def exercise_world(
    database: Any, settings: Settings, tokens: Tokens, media: Path
) -> Iterator[Exercise]:
    """Serve the gateway with the proposals service behind it."""
    proposals = make_proposals(
        ProposalsSettings(_env_file=None, database_url=database.url("proposals"), env="demo"),
        MediaSettings(_env_file=None, dir=media),
    )
    proposals.state.keys = FixedKeys(tokens.signer.jwks)
    with serve(proposals) as url:
        gateway = make_app(settings.model_copy(update={"proposals_url": url}))
        gateway.state.keys = proposals.state.keys
        with serve(gateway) as front, ExitStack() as browsers:
            yield Exercise(front, gateway, proposals, proposals, tokens, browsers)
