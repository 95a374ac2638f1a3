"""From a folium map to the parts of a page: markup, script file, and links."""

import hashlib
import re
from dataclasses import dataclass

import folium
from branca.element import CssLink, Element, Figure, JavascriptLink

from maps.assets import AssetNotVendoredError

STATIC_SCRIPT = "/static/js/map.js"
PICKER_SCRIPT = "/static/js/map-picker.js"
STATIC_STYLESHEET = "/static/css/map.css"
KEY = re.compile(r"[a-z0-9_]+")
# What a strict Content-Security-Policy would refuse in the markup.
INLINE = re.compile(r"<script|<style|\sstyle\s*=|\son\w+\s*=|javascript:", re.IGNORECASE)


@dataclass(frozen=True)
class MapParts:
    """A map taken apart for a page under ``default-src 'self'``.

    html: the container. script: the text of a script file, to be served under an address that
    holds `version` and loaded after `scripts`. stylesheets, scripts: paths to link, in order.
    """

    html: str
    script: str
    stylesheets: tuple[str, ...]
    scripts: tuple[str, ...]

    @property
    def version(self) -> str:
        """SHA-256 of the script: the same data give the same address."""
        return hashlib.sha256(self.script.encode()).hexdigest()


def render_parts(drawn: folium.Map, key: str, *, picker: bool = False) -> MapParts:
    """Render a map made by this package.

    `key` (lower case, digits, ``_``) names its variables and its container, ``map_KEY``; the
    output is the same, byte for byte, whenever the data are. `picker` adds the script with which a
    place is chosen. Raises AssetNotVendoredError for
    an address that is not under /static, ValueError for inline script or style.
    """
    if not KEY.fullmatch(key):
        raise ValueError(f"not a key for a map: {key!r}")
    figure = drawn.get_root()
    if not isinstance(figure, Figure):
        raise TypeError("a map is rendered in its figure")
    _name(drawn, key)
    for part in (figure.header, figure.html, figure.script):
        part._children.clear()
    for child in list(figure._children.values()):
        child.render()
    scripts, stylesheets = _links(figure)
    html = "".join(child.render() for child in figure.html._children.values()).strip()
    if INLINE.search(html):
        raise ValueError("the markup holds inline script or style")
    lines = "\n".join(child.render() for child in figure.script._children.values()).splitlines()
    body = "\n".join(stripped for line in lines if (stripped := line.strip()))
    return MapParts(
        html,
        f'"use strict";\n{body}\n',
        (*stylesheets, STATIC_STYLESHEET),
        (*scripts, STATIC_SCRIPT, *([PICKER_SCRIPT] if picker else [])),
    )


def _name(element: Element, key: str) -> None:
    """Replace the random ids of an element and of all below it."""
    element._id = key
    for number, child in enumerate(element._children.values()):
        _name(child, f"{key}_{number}")


def _links(figure: Figure) -> tuple[list[str], list[str]]:
    found: dict[type, list[str]] = {JavascriptLink: [], CssLink: []}
    for child in figure.header._children.values():
        if not isinstance(child, JavascriptLink | CssLink):
            raise ValueError("the header holds inline script or style")
        url = str(child.url)
        if not url.startswith("/static/"):
            raise AssetNotVendoredError(f"not one of ours: {url}")
        found[type(child)].append(url)
    return found[JavascriptLink], found[CssLink]
