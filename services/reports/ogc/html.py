"""The same answers for a person with a browser, made from the same documents."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from services.reports.exports.domain import LOCAL, Column, Kind
from services.reports.ogc.domain import GEOJSON, HTML, JSON, Collection
from services.reports.ogc.service import ROOT, TITLE, Features, Link

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)

#: What of a feature a list shows; the rest is on its own page.
_LISTED = (
    "ref", "code", "name", "category_name", "department", "commune_name", "status_name",
    "created_at", "population_2013",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows; ``crumbs`` are (address, name), a row's first cell its address."""

    title: str
    links: Sequence[Link]
    about: str = ""
    crumbs: Sequence[tuple[str, str]] = ()
    headings: Sequence[str] = ()
    rows: Sequence[tuple[str, Sequence[str]]] = ()
    facts: Sequence[tuple[str, str, Kind]] = ()


def render(page: Page) -> str:
    """Return the HTML of a page; every text is escaped."""
    links = [shown for link in page.links if (shown := _for_person(link))]
    return _templates.get_template("page.html").render(page=page, links=links, site=TITLE)


def _for_person(link: Link) -> Link | None:
    """Lead to pages rather than to documents, save for this page's own; nothing twice."""
    if link["type"] not in (JSON, GEOJSON):
        return None if link["rel"] == "alternate" else link
    if link["rel"] == "self":
        return {**link, "href": _with(link["href"], "json"), "title": f"{link['title']} en JSON"}
    if link["rel"] in ("next", "items"):
        return None
    return {**link, "href": _with(link["href"], "html"), "type": HTML}


def _with(href: str, form: str) -> str:
    """Ask for a form by name: a browser's own Accept prefers HTML."""
    return f"{href}{'&' if '?' in href else '?'}f={form}"


def _said(column: Column, value: Any) -> str:
    """Return a value as a page says it: an hour is Bénin's."""
    if value is None:
        return ""
    if column.kind == "time":
        return datetime.fromisoformat(value).astimezone(LOCAL).strftime("%d/%m/%Y à %H:%M")
    return str(value)


_HOME = (ROOT, "Données ouvertes")
_COLLECTIONS = (f"{ROOT}/collections?f=html", "Collections")


def landing(document: Mapping[str, Any]) -> Page:
    """Return the landing page."""
    return Page(document["title"], document["links"], document["description"])


def conformance(document: Mapping[str, Any]) -> Page:
    """Return the page of the conformance classes."""
    rows = [(uri, [uri]) for uri in document["conformsTo"]]
    return Page("Conformité", document["links"], crumbs=[_HOME], headings=["Classe"], rows=rows)


def collections(document: Mapping[str, Any]) -> Page:
    """Return the page of the collections."""
    rows = [
        (f"{ROOT}/collections/{found['id']}?f=html", [found["title"], found["description"]])
        for found in document["collections"]
    ]
    headings = ["Collection", "Ce qu'elle contient"]
    return Page("Collections", document["links"], crumbs=[_HOME], headings=headings, rows=rows)


def collection(document: Mapping[str, Any]) -> Page:
    """Return the page of a collection."""
    extent = document["extent"]
    box = ", ".join(map(str, extent["spatial"]["bbox"][0]))
    facts: list[tuple[str, str, Kind]] = [("Étendue (ouest, sud, est, nord)", box, "text")]
    return Page(
        document["title"],
        document["links"],
        document["description"],
        [_HOME, _COLLECTIONS],
        facts=facts,
    )


def items(collection: Collection, found: Features) -> Page:
    """Return a page of features, a row each."""
    columns = [c for name in _LISTED for c in collection.columns if c.name == name]
    rows = []
    for feature in map(json.loads, found.features):
        at = f"{ROOT}/collections/{collection.id}/items/{feature['id']}?f=html"
        rows.append((at, [_said(c, feature["properties"].get(c.name)) for c in columns]))
    return Page(
        collection.title,
        found.head["links"],
        crumbs=[_HOME, _COLLECTIONS, _crumb(collection)],
        headings=[column.label for column in columns],
        rows=rows,
    )


def item(collection: Collection, document: Mapping[str, Any]) -> Page:
    """Return the page of one feature."""
    properties = document["properties"]
    facts = [(c.label, _said(c, properties.get(c.name)), c.kind) for c in collection.columns]
    geometry = document["geometry"]
    if geometry and geometry["type"] == "Point":
        facts.append(("Longitude, latitude", ", ".join(map(str, geometry["coordinates"])), "text"))
    return Page(
        f"{collection.title} : {properties.get('ref') or properties['name']}",
        document["links"],
        crumbs=[_HOME, _COLLECTIONS, _crumb(collection)],
        facts=facts,
    )


def _crumb(collection: Collection) -> tuple[str, str]:
    return f"{ROOT}/collections/{collection.id}?f=html", collection.title
