"""Atom feeds: what RFC 4287 and GeoRSS-Simple ask, and what a reader that comes again gets."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.apps import Tokens
from tests.integration.reports.open_data_world import (
    AT,
    BASE,
    COTONOU,
    PARAKOU,
    World,
    open_world,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

FEED = "/api/v1/feeds/reports.atom"
NS = {"a": "http://www.w3.org/2005/Atom", "g": "http://www.georss.org/georss"}
URI = re.compile(r"(tag:palabre\.bj,2026:[a-z0-9/-]+|urn:uuid:[0-9a-f-]{36}|https://\S+)")


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    with open_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(world: World) -> None:
    world.clear()


def one(parent: ET.Element, name: str) -> ET.Element:
    """Return the element that RFC 4287 wants once."""
    (found,) = parent.findall(f"a:{name}", NS)
    return found


def text(parent: ET.Element, name: str) -> str:
    found = one(parent, name).text
    assert found
    return found


def check(content: bytes) -> ET.Element:
    """Hold a feed against the required elements of RFC 4287, 4.1.1 and 4.1.2."""
    feed = ET.fromstring(content)  # noqa: S314 - our own
    assert feed.tag == f"{{{NS['a']}}}feed"
    entries = feed.findall("a:entry", NS)
    for element in (feed, *entries):
        assert URI.fullmatch(text(element, "id"))
        assert text(element, "title").strip()
        moment = datetime.fromisoformat(text(element, "updated"))
        assert moment.tzinfo is not None
        relations = [link.get("rel") for link in element.findall("a:link", NS)]
        assert relations.count("alternate") == 1
        assert all(URI.fullmatch(link.get("href", "")) for link in element.findall("a:link", NS))
        assert all(found.get("term") for found in element.findall("a:category", NS))
    assert text(one(feed, "author"), "name")  # for all entries: they have none
    assert [link.get("rel") for link in feed.findall("a:link", NS)].count("self") == 1
    named = [text(entry, "id") for entry in entries]
    assert len(set(named)) == len(named)
    for entry in entries:
        assert entry.findall("a:author", NS) == []
        assert len(entry.findall("a:summary", NS)) == 1
        assert one(entry, "summary").get("type") == "text"
    return feed


def entries(feed: ET.Element) -> list[ET.Element]:
    return feed.findall("a:entry", NS)


def fetch(world: World, status: int = 200, **query: Any) -> ET.Element:
    answer = world.client.get(FEED, params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/atom+xml"
    return check(answer.content)


def test_an_entry_tells_of_a_report(world: World) -> None:
    report = world.report(
        ref="S-ONE", category="lighting", status="in_progress", updated_at=AT + timedelta(hours=2),
        description="Lampadaire cassé,\nrue sombre", lon=2.4201234, lat=6.37,
    )  # fmt: skip
    feed = fetch(world)
    (entry,) = entries(feed)
    assert text(entry, "id") == f"urn:uuid:{report}"
    assert text(entry, "title") == "Éclairage public · 1er arrondissement · S-ONE"
    assert text(entry, "updated") == "2026-11-22T12:00:00Z"
    assert text(entry, "published") == "2026-11-22T10:00:00Z"
    assert text(entry, "summary") == "Lampadaire cassé, rue sombre"
    assert one(entry, "link").get("href") == f"{BASE}/signalements/S-ONE"
    assert [c.get("term") for c in entry.findall("a:category", NS)] == ["lighting", "in_progress"]
    assert entry.findtext("g:point", namespaces=NS) == "6.370000 2.420123"
    assert text(feed, "updated") == "2026-11-22T12:00:00Z"


def test_a_report_without_a_point_has_none_in_the_feed(world: World) -> None:
    world.report(lon=None, lat=None)
    (entry,) = entries(fetch(world))
    assert entry.find("g:point", NS) is None


def test_the_newest_fifty_of_a_commune_and_a_category(world: World) -> None:
    world.many(60)
    world.many(3, PARAKOU)
    feed = fetch(world, commune=COTONOU)
    titles = [text(entry, "title") for entry in entries(feed)]
    assert len(titles) == 50
    assert titles[0].endswith("M-0801-60")
    assert text(feed, "id") == "tag:palabre.bj,2026:signalements/0801"
    assert text(feed, "title") == "Signalements · Cotonou"
    assert one(feed, "author") is not None
    water = world.report(category="water")
    both = fetch(world, commune=COTONOU, category="water")
    assert [text(entry, "id") for entry in entries(both)] == [f"urn:uuid:{water}"]
    assert text(both, "title") == "Signalements · Eau potable · Cotonou"
    itself = next(link for link in both.findall("a:link", NS) if link.get("rel") == "self")
    assert itself.get("href") == f"{BASE}{FEED}?commune=0801&category=water"


def test_a_feed_of_nothing_is_a_feed(world: World) -> None:
    assert entries(fetch(world, commune=PARAKOU)) == []


def test_any_words_make_a_feed_that_can_be_read(world: World) -> None:
    world.report(description="</summary><script>alert(1)</script> & \x0b\x1b]]> \ufffe é 😀")
    (entry,) = entries(fetch(world))
    assert text(entry, "summary") == "</summary><script>alert(1)</script> & ]]> é 😀"


def test_only_public_reports_are_told(world: World) -> None:
    world.report(hidden_at=AT)
    world.report(status="withdrawn")
    shown = world.report(description="Kofi fait du bruit", public_description="Du bruit")
    (entry,) = entries(fetch(world))
    assert text(entry, "id") == f"urn:uuid:{shown}"
    assert text(entry, "summary") == "Du bruit"


def test_who_comes_again_gets_nothing_new(world: World) -> None:
    report = world.report()
    first = world.client.get(FEED)
    etag = first.headers["etag"]
    assert parsedate_to_datetime(first.headers["last-modified"]) == AT.replace(microsecond=0)
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = world.client.get(FEED, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    world.execute("UPDATE reports SET status = 'resolved' WHERE id = :id", id=report)
    assert world.client.get(FEED, headers={"If-None-Match": etag}).status_code == 200


def test_what_is_hidden_leaves_readers_that_know_only_a_date(world: World) -> None:
    """Hiding makes a feed no newer: a 304 by date would leave the report where it was read."""
    world.report(updated_at=AT + timedelta(hours=1))
    hidden = world.report()
    known = world.client.get(FEED).headers["last-modified"]
    world.execute("UPDATE reports SET hidden_at = now() WHERE id = :id", id=hidden)
    answer = world.client.get(FEED, headers={"If-Modified-Since": known})
    assert answer.status_code == 200
    assert str(hidden) not in answer.text


@pytest.mark.parametrize("query", [{"commune": "9999"}, {"commune": "x"}, {"category": "dragons"}])
def test_a_feed_of_what_is_not_there_is_refused(world: World, query: dict[str, str]) -> None:
    assert world.client.get(FEED, params=query).status_code == 422
