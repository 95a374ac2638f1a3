"""An agent runs campaigns by the desk's forms; what came of it is read from the API."""

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx2 as httpx

from gateway.web import TIMEZONE
from tests.integration.gateway.desk_front import COTONOU, DESK, HERE, Front, plain
from tests.integration.gateway.pages_world import Visitor

BUDGET = f"{DESK}/budget"
NEW = f"{BUDGET}/nouvelle"


class Form(HTMLParser):
    """The values of the form of a page that holds a button of these words, as they stand."""

    def __init__(self, page: str, button: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._inside: list[str] = []
        self._select: tuple[str, list[str]] | None = None
        self._area = ""
        forms = re.findall(r"<form.*?</form>", page, re.S)
        self.found = next(f for f in forms if "csrf_token" in f and button in f.replace("’", "'"))
        self.feed(re.sub(r"<template.*?</template>", "", self.found, flags=re.S))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "input" and name and given.get("type") != "file":
            ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if ticked:
                self.values.setdefault(name, []).append(value)
        elif tag == "select" and name:
            self._select = (name, [])
        elif tag == "option" and self._select:
            if "selected" in given or not self._select[1]:
                self._select[1][:] = [value]
        elif tag == "textarea" and name:
            self._area = name
            self.values[name] = [""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select:
            self.values[self._select[0]] = self._select[1]
            self._select = None
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area][0] += data


def send(
    who: Visitor, page: str | httpx.Response, button: str, files: Any = None, **fields: Any
) -> httpx.Response:
    """Send the form with this button; a field given as None is not ticked."""
    shown = who.get(page) if isinstance(page, str) else page
    values = Form(shown.text, button).values | fields
    values = {name: value for name, value in values.items() if value is not None}
    return who.post(str(shown.url), data=values, files=files)


def made(front: Front) -> dict[str, Any]:
    """Return the newest campaign as the API tells it."""
    found = httpx.get(f"{front.url}/api/v1/campaigns", params={"commune": COTONOU}).json()
    return one(front, found["items"][0]["id"])


def one(front: Front, campaign: str, tail: str = "") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{front.url}/api/v1/campaigns/{campaign}{tail}").json()
    return found


def create(front: Front, agent: Visitor, **fields: Any) -> dict[str, Any]:
    answer = send(agent, NEW, "Créer", budget="40 000 000", **fields)
    assert answer.status_code == 303, plain(answer)
    return made(front)


def open_phase(agent: Visitor, campaign: str, phase: str, reason: str = "Il est temps.") -> None:
    page = f"{BUDGET}/{campaign}/etape?phase={phase}"
    assert send(agent, page, "Oui, ouvrir", reason=reason).status_code == 303


def propose(front: Front, campaign: str, title: str, cost: int, **more: Any) -> str:
    body = {
        "campaign": campaign,
        "title": title,
        "description": "Utile.",
        "geometry": {"type": "Point", "coordinates": list(HERE)},
        "estimated_cost": cost,
        **more,
    }
    url = f"{front.url}/api/v1/proposals"
    answer = httpx.post(url, json=body, headers=front.tokens.bearer())
    assert answer.is_success, answer.text
    return str(answer.json()["ref"])


def shortlist(front: Front, ref: str, cost: int) -> None:
    url = f"{front.url}/api/v1/proposals/{ref}/review"
    body = {"outcome": "feasible", "reason": "Faisable.", "cost": cost}
    answer = httpx.post(url, json=body, headers=front.tokens.agent(COTONOU))
    assert answer.is_success, answer.text


def day(days: int) -> str:
    return (datetime.now(TIMEZONE).date() + timedelta(days=days)).isoformat()


def made_none(front: Front) -> bool:
    return not front.rows("proposals", "SELECT id FROM campaigns")
