"""The mairie's pages over the real reports and proposals services, and agents' browsers."""

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from gateway.app import make_app
from gateway.projections import CONSUMER
from gateway.settings import Settings
from services.common.auth import FixedKeys, Principal
from services.common.events import inbox, outbox
from services.common.media.settings import MediaSettings
from services.proposals.main import make_app as make_proposals
from services.proposals.settings import Settings as ProposalsSettings
from services.reports import service as reports_service
from services.reports.hotspots import service as hotspots_service
from services.reports.hotspots.memo import Memo
from services.reports.main import make_app as make_reports
from services.reports.schemas import NewReport, StatusUpdate
from services.reports.settings import Settings as ReportsSettings
from tests.apps import AGENT, Tokens
from tests.integration.gateway.conftest import serve
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

COTONOU, SAVE = "0801", "0405"
DESK = f"/mairie/{COTONOU}"
#: In the 12th arrondissement, well inside Cotonou.
HERE = (2.3903, 6.3601)


@dataclass
class Front:
    """The gateway with two services behind it; whose browser asks is told each time."""

    url: str
    gateway: FastAPI
    reports: FastAPI
    proposals: FastAPI
    tokens: Tokens
    open: ExitStack
    #: The URL of the database's owner, who may take away what is only ever added.
    owner: str = ""

    def visitor(self, grants: dict[str, Any] | None = None, user: UUID | None = None) -> Visitor:
        """Return a signed-in person's browser: a citizen's without ``grants``."""
        return self.open.enter_context(Visitor(self.url, self.tokens.bearer(grants, user)))

    def agent(self, *more: str, commune: str = COTONOU, user: UUID | None = None) -> Visitor:
        """Return the browser of an agent of a commune, with ``more`` permissions."""
        return self.visitor({commune: (*AGENT, *more)}, user)

    def report(
        self, category: str = "waste", *, at: datetime | None = None, **more: Any
    ) -> dict[str, Any]:
        """Pin a report at ``at``, in Cotonou unless told otherwise; return its id and ref."""
        place = {} if {"lon", "arrondissement"} & set(more) else {"lon": HERE[0], "lat": HERE[1]}
        words = {"category": category, "description": "Tas d'ordures au carrefour"}
        channel = more.pop("channel", "web")
        body = NewReport.model_validate(words | place | more)
        with sessionmaker(self.reports.state.engine).begin() as session:
            made = reports_service.create_report(
                session, body, reporter=uuid4(), at=at, channel=channel
            )
        return {"id": str(made.id), "ref": made.ref}

    def answer(self, ref: str, status: str, at: datetime | None = None, **more: Any) -> None:
        """Move a report as an agent of Cotonou."""
        agent = Principal(uuid4(), {COTONOU: frozenset(AGENT)})
        body = StatusUpdate.model_validate({"status": status, **more})
        with sessionmaker(self.reports.state.engine).begin() as session:
            reports_service.change_status(session, ref, body, agent, at=at)

    def gather(self, many: int, category: str = "drainage") -> list[dict[str, Any]]:
        """Pin reports within some 100 m of a point over the last days, the newest last."""
        dice = random.Random(5)  # noqa: S311 - to repeat, not to hide
        now = datetime.now(UTC)
        return [
            self.report(
                category,
                lon=HERE[0] + dice.uniform(-1, 1) / 1000,
                lat=HERE[1] + dice.uniform(-1, 1) / 1000,
                at=now - timedelta(days=3, minutes=many - n),
            )
            for n in range(many)
        ]

    def detect(self) -> None:
        """Find hotspots as housekeeping does, and let the next answer be a new one."""
        with sessionmaker(self.reports.state.engine).begin() as session:
            hotspots_service.detect(session, datetime.now(UTC))
        self.reports.state.hotspots = Memo()

    def campaign(self, phase: str, title: str = "Budget 2027", commune: str = COTONOU) -> str:
        """Announce a campaign and bring it to ``phase``; return its id."""
        headers = self.tokens.agent(commune)
        begins = datetime.now(UTC) + timedelta(days=1)
        body = {
            "commune": commune,
            "title": title,
            "budget": 40_000_000,
            "phases": [
                {
                    "phase": "ideas",
                    "opens_at": begins.isoformat(),
                    "closes_at": (begins + timedelta(days=30)).isoformat(),
                }
            ],
        }
        made = httpx.post(f"{self.url}/api/v1/campaigns", json=body, headers=headers).json()
        path = f"{self.url}/api/v1/campaigns/{made['id']}/phase"
        for step in ("ideas", "review"):
            if made["phase"] == phase:
                break
            change = {"phase": step, "reason": "Un essai"}
            made = httpx.post(path, json=change, headers=headers).json()
        assert made["phase"] == phase
        return str(made["id"])

    def tell(self) -> None:
        """Let the gateway's tables know what reports said so far."""
        with sessionmaker(self.reports.state.engine)() as session:
            told = outbox.read(session, "reports", after=0, upto=2**31, limit=10_000)
        with sessionmaker(self.gateway.state.engine).begin() as session:
            for one in told:
                if one.event.type in CONSUMER.handlers:
                    inbox.apply(session, CONSUMER, one.event)

    def rows(self, service: str, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Query as a service's role."""
        with getattr(self, service).state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def execute(self, service: str, sql: str, **values: Any) -> None:
        with getattr(self, service).state.engine.begin() as connection:
            connection.execute(text(sql), values)

    def clear(self) -> None:
        """Take all reports, rules, hotspots and campaigns away."""
        self.execute(
            "reports",
            "TRUNCATE reports, history, hotspots, report_proposals, agents, targets, "
            "routing_rules, api_clients, outbox, idempotency_keys CASCADE",
        )
        engine = create_engine(self.owner)
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("SET LOCAL search_path = proposals"))
            connection.execute(text("TRUNCATE campaigns, outbox, idempotency_keys CASCADE"))
        engine.dispose()
        self.execute("gateway", "TRUNCATE map_reports, report_cells")
        self.reports.state.hotspots = Memo()


@contextmanager
def desk_front(
    database: Database, settings: Settings, tokens: Tokens, media: Path
) -> Iterator[Front]:
    """Serve the gateway, reports and proposals over ``database``."""
    reports = make_reports(
        ReportsSettings(_env_file=None, database_url=database.url("reports"), secret="secret"),
        MediaSettings(_env_file=None, dir=media),
    )
    proposals = make_proposals(
        ProposalsSettings(_env_file=None, database_url=database.url("proposals")),
        MediaSettings(_env_file=None, dir=media),
    )
    for app in (reports, proposals):
        app.state.keys = FixedKeys(tokens.signer.jwks)
    with serve(reports) as reports_url, serve(proposals) as proposals_url:
        urls = {"reports_url": reports_url, "proposals_url": proposals_url}
        gateway = make_app(settings.model_copy(update=urls))
        gateway.state.keys = reports.state.keys
        with serve(gateway) as url, ExitStack() as browsers:
            owner = database.admin_url
            yield Front(url, gateway, reports, proposals, tokens, browsers, owner)


def plain(answer: httpx.Response) -> str:
    """Return what a page says without markup, its typography made plain."""
    words = re.sub(r"<(script|head|svg).*?</\1>", " ", answer.text, flags=re.S)
    words = unescape(re.sub(r"<[^>]+>", " ", words)).replace("’", "'")
    return re.sub(r"[\s\u00a0\u202f]+", " ", words)


def table(answer: httpx.Response, section: str) -> dict[str, list[str]]:
    """Return a section's table: the first cell of each row to the others, as they are read."""
    part = answer.text.split(f'id="{section}"', 1)[1].split("</section>", 1)[0]
    body = part.split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    found = {}
    for row in re.findall(r"<tr.*?</tr>", body, re.S):
        cells = [
            re.sub(r"[\s\u00a0\u202f]+", " ", unescape(re.sub(r"<[^>]+>", " ", cell))).strip()
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)
        ]
        found[cells[0]] = cells[1:]
    return found
