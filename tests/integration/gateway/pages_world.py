"""Pages over the real reports service, and people who send their forms without scripts."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx2 as httpx

from gateway.app import make_app
from gateway.session import ACCESS
from gateway.settings import Settings
from services.common.auth import FixedKeys
from services.common.media.settings import MediaSettings
from services.reports.main import make_app as make_reports
from services.reports.settings import Settings as ReportsSettings
from tests.apps import Tokens, serve
from tests.servers import Database

COMMUNE = "0801"
PLACE = (2.42, 6.37)


@contextmanager
def serve_pages(
    database: Database, settings: Settings, tokens: Tokens, media: Path
) -> Iterator[str]:
    """Serve the gateway with the reports service behind it; give its URL."""
    reports = make_reports(
        ReportsSettings(_env_file=None, database_url=database.url("reports"), secret="secret"),
        MediaSettings(_env_file=None, dir=media),
    )
    reports.state.keys = FixedKeys(tokens.signer.jwks)
    with serve(reports) as url:
        gateway = make_app(settings.model_copy(update={"reports_url": url}))
        gateway.state.keys = reports.state.keys
        with serve(gateway) as front:
            yield front


class Visitor(httpx.Client):
    """A browser without scripts: it sends the forms that a page holds, as they stand."""

    def __init__(self, front: str, bearer: Mapping[str, str] | None = None) -> None:
        super().__init__(base_url=front, headers={"Accept": "text/html"}, timeout=20)
        if bearer:
            self.cookies.set(ACCESS, bearer["Authorization"].split()[1])

    def fill(
        self, page: str | httpx.Response, action: str, files: Any = None, **fields: Any
    ) -> httpx.Response:
        """Send the first form of a page whose action ends so, with its hidden fields."""
        found = self.get(page) if isinstance(page, str) else page
        form = next(
            f
            for f in re.finditer(r'<form[^>]*?action="([^"]*)".*?</form>', found.text, re.S)
            if f[1].endswith(action)
        )
        sent: dict[str, Any] = {}
        for name, value in re.findall(r'type="hidden" [^>]*?name="(\w+)" value="([^"]*)"', form[0]):
            sent.setdefault(name, []).append(unescape(value))
        sent |= fields
        return self.post(form[1], data=sent, files=files)


def words(answer: httpx.Response) -> str:
    """Return what a page says, without its markup and its typography."""
    body = re.sub(r"<(script|head).*?</\1>", " ", answer.text, flags=re.S)
    said = unescape(re.sub(r"<[^>]+>", " ", body)).replace("’", "'")
    return " ".join(said.split())
