"""The reports service with Open311, keys to send with, and XML read back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from fastapi import FastAPI

from services.common.media.settings import MediaSettings
from services.reports.main import make_app
from services.reports.settings import Settings
from tests.apps import Tokens, rows
from tests.servers import Database

PRODUCTION, TEST = "/open311/v2", "/open311/test/v2"
COTONOU = {"lat": "6.37", "long": "2.42"}
FORM = "application/x-www-form-urlencoded"


@contextmanager
def open_world(database: Database, tokens: Tokens, folder: Path) -> Iterator["World"]:
    world = World(database, tokens, folder)
    with world.client:
        yield world


class World:
    """Somebody else's software before the service, and the mairie behind it."""

    def __init__(self, database: Database, tokens: Tokens, folder: Path) -> None:
        self.database = database
        self.tokens = tokens
        self.folder = folder
        self.settings = Settings(
            _env_file=None, database_url=database.url("reports"), secret="secret"
        )
        self.client = tokens.trust(self.make_app())

    def make_app(self, **other: Any) -> FastAPI:
        """Return the whole service, with `other` settings where they are given."""
        kept = MediaSettings(_env_file=None, dir=self.folder)
        return make_app(self.settings.model_copy(update=other), kept)

    def key(self, commune: str = "0801", **more: Any) -> str:
        """Have a key issued."""
        admin = self.tokens.bearer({commune: ["clients.manage"]})
        answer = self.client.post(
            f"/api/v1/desk/{commune}/clients", json={"name": "Essai", **more}, headers=admin
        )
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key

    def post(self, key: str, form: str = "json", *, at: str = PRODUCTION, **fields: Any) -> Any:
        """Send a request, a pothole in Cotonou unless told otherwise; return the raw answer."""
        headers = fields.pop("headers", {})
        files = fields.pop("files", None)
        sent = {
            "api_key": key,
            "service_code": "roads",
            "description": "Un trou dans la chaussée",
            **COTONOU,
            **fields,
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        url = f"{at}/requests.{form}"
        if files is not None:
            return self.client.post(url, data=sent, files=files, headers=headers)
        body = urlencode(sent, doseq=True)
        return self.client.post(url, content=body, headers={"Content-Type": FORM, **headers})

    def sent(self, key: str, **fields: Any) -> str:
        """Send a request that is accepted, and return its id."""
        answer = self.post(key, **fields)
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()
        ref: str = found["service_request_id"]
        return ref

    def get(self, path: str, code: int = 200, **query: Any) -> Any:
        """Read JSON."""
        answer = self.client.get(f"{PRODUCTION}/{path}", params=query)
        assert answer.status_code == code, answer.text
        return answer.json()

    def refused(self, answer: Any, code: int) -> str:
        """Check a refusal in either format, and return its words."""
        assert answer.status_code == code, answer.text
        kind, errors = answer.headers["content-type"], []
        if kind == "application/json; charset=utf-8":
            errors = answer.json()
        else:
            assert kind == "text/xml; charset=utf-8"
            root = xml(answer)
            assert root.tag == "errors"
            assert {child.tag for child in root} == {"error"}
            errors = [{part.tag: part.text for part in error} for error in root]
        assert errors
        assert all(set(error) == {"code", "description"} for error in errors)
        assert {str(error["code"]) for error in errors} == {str(code)}
        return "\n".join(error["description"] for error in errors)

    def sql(self, query: str) -> list[dict[str, Any]]:
        return rows(self.database, "reports", query)


def xml(answer: Any) -> ElementTree.Element:
    """Parse an XML answer strictly, as bytes."""
    assert answer.content.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
    return ElementTree.fromstring(answer.content)  # noqa: S314 - our own answer


def plain(element: ElementTree.Element) -> Any:
    """Return an element by the Spark convention: one kind of child makes a list."""
    if not len(element):
        return element.text
    lists = {"service": "services", "attribute": "attributes", "value": "values",
             "request": "service_requests", "endpoint": "endpoints", "format": "formats",
             "error": "errors"}  # fmt: skip
    if lists.get(element[0].tag) == element.tag:
        assert {child.tag for child in element} == {element[0].tag}
        return [plain(child) for child in element]
    assert len({child.tag for child in element}) == len(element)
    return {child.tag: plain(child) for child in element}
