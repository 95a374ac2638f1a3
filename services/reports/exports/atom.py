"""Atom 1.0 (RFC 4287) with GeoRSS-Simple points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from services.reports.domain import summary
from services.reports.exports.domain import xml_text

ATOM = "http://www.w3.org/2005/Atom"
GEORSS = "http://www.georss.org/georss"
MEDIA_TYPE = "application/atom+xml"
#: The names of this site's things (RFC 4151): they stay when its address changes.
TAG = "tag:palabre.bj,2026:"
#: A feed without entries changed last when feeds were first made.
EPOCH = datetime(2026, 11, 22, tzinfo=UTC)

ET.register_namespace("", ATOM)
ET.register_namespace("georss", GEORSS)


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed is about: its ``name`` after :data:`TAG`, and the addresses that belong to it."""

    name: str
    title: str
    itself: str
    page: str


def updated(entries: Sequence[Any]) -> datetime:
    """Return when the latest change of these rows was."""
    return max((row.updated_at for row in entries), default=EPOCH)


def document(feed: Feed, entries: Sequence[Any]) -> bytes:
    """Return the feed of rows of public reports."""
    root = ET.Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": "fr"})
    _add(root, "id", f"{TAG}{feed.name}")
    _add(root, "title", feed.title)
    _add(root, "updated", _time(updated(entries)))
    _add(root, "link", rel="self", type=MEDIA_TYPE, href=feed.itself)
    _add(root, "link", rel="alternate", type="text/html", href=feed.page)
    _add(_add(root, "author"), "name", "Palabre")
    for row in entries:
        _entry(root, row)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _entry(root: ET.Element, row: Any) -> None:
    entry = _add(root, "entry")
    _add(entry, "id", f"urn:uuid:{row.id}")
    where = row.arrondissement_name or row.commune_name or row.commune
    _add(entry, "title", f"{row.category_name or row.category} · {where} · {row.ref}")
    _add(entry, "updated", _time(row.updated_at))
    _add(entry, "published", _time(row.created_at))
    _add(entry, "link", rel="alternate", type="text/html", href=row.url)
    _add(entry, "category", term=row.category, label=row.category_name or row.category)
    _add(entry, "category", scheme=f"{TAG}statut", term=row.status)
    _add(entry, "summary", summary(xml_text(row.description)), type="text")
    if row.lon is not None:
        ET.SubElement(entry, f"{{{GEORSS}}}point").text = f"{row.lat:.6f} {row.lon:.6f}"


def _add(parent: ET.Element, name: str, content: str = "", **attributes: str) -> ET.Element:
    clean: Mapping[str, str] = {key: xml_text(value) for key, value in attributes.items()}
    element = ET.SubElement(parent, f"{{{ATOM}}}{name}", dict(clean))
    if content:
        element.text = xml_text(content)
    return element


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
