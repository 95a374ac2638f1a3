"""One answer, two formats: XML as GeoReport v2 shapes it, and JSON by its "Spark" convention."""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from fastapi import Response

#: Media types as discovery tells them, the first one being required.
FORMATS: Mapping[str, str] = {"xml": "text/xml", "json": "application/json"}

#: What each member of a list is called in XML; in JSON a list is a bare array.
MEMBERS: Mapping[str, str] = {
    "services": "service",
    "attributes": "attribute",
    "values": "value",
    "service_requests": "request",
    "endpoints": "endpoint",
    "formats": "format",
    "errors": "error",
}

#: Everything but the characters of XML 1.0, section 2.2.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def format_of(path: str) -> str:
    """Return the format that a path asks for, XML when it asks for none we know."""
    extension = path.rpartition(".")[2]
    return extension if extension in FORMATS else "xml"


def render(extension: str, root: str, content: Any, status: int = 200) -> Response:
    """Answer with ``content``: plain dicts, lists, texts, numbers, booleans and None."""
    body = to_xml(root, content) if extension == "xml" else to_json(content)
    return Response(body, status, media_type=f"{FORMATS[extension]}; charset=utf-8")


def to_json(content: Any) -> bytes:
    """Return UTF-8 JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def to_xml(root: str, content: Any) -> bytes:
    """Return a UTF-8 document; characters that XML cannot hold are left out."""
    text = ElementTree.tostring(_element(root, content), encoding="unicode")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + text.encode()


def _element(name: str, content: Any) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(content, Mapping):
        element.extend(_element(key, value) for key, value in content.items())
    elif isinstance(content, list):
        element.extend(_element(MEMBERS[name], member) for member in content)
    elif isinstance(content, bool):
        element.text = str(content).lower()
    elif content is not None:
        element.text = _NOT_XML.sub("", str(content))
    return element
