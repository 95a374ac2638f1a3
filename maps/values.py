"""What a map is made of: plain frozen values, checked when they are made.

No text that a person typed has a place here. Codes are digits, addresses are ours, labels are
the page's own words; each check below refuses what could end a string or start a template in
the script that folium writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

Kind = Literal["reports", "proposals", "shortlist", "works", "funded", "hotspots"]
KINDS: tuple[Kind, ...] = get_args(Kind)

COMMUNE_CODE = re.compile(r"[0-9]{4}")
ARRONDISSEMENT_CODE = re.compile(r"[0-9]{4}-[0-9]{2}")
# Words, spaces and quiet punctuation: a label ends up as HTML in Leaflet's layer control.
LABEL = re.compile(r"(?:© )?[^\W_](?:[\w ,.()’\-–©]|(?<=\w)'(?=\w))*")
PATH = re.compile(r"/(?!/)[\w\-./?=&%,:~]*")
BASEMAP = re.compile(r"(?:https?://[\w\-.{}]+(?::[0-9]+)?)?/(?!/)(?:[\w\-./?=&%,:~@]|\{[a-z]\})*")
# Decimals of a degree kept in scripts: 1 m.
PRECISION = 5


def _match(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"not {what}: {value!r}")


def area(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Return a GeoJSON Polygon or MultiPolygon as a geometry; raises ValueError for another."""
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"not an area: {geometry.get('type')!r}")
    try:
        found = shape(geometry)
    except (ShapelyError, TypeError, IndexError, KeyError) as error:
        raise ValueError(f"not an area: {error}") from error
    west, south, east, north = found.bounds if not found.is_empty else (float("nan"),) * 4
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError("an area needs finite degrees")
    return found


@dataclass(frozen=True)
class CommuneOutline:
    """A commune to draw: its four-digit code and its area as GeoJSON geometry, WGS 84."""

    code: str
    geometry: Mapping[str, Any]

    def __post_init__(self) -> None:
        _match(COMMUNE_CODE, self.code, "a commune's code")
        area(self.geometry)


@dataclass(frozen=True)
class ArrondissementOutline:
    """An arrondissement to draw: its code (``0801-05``) and its area as GeoJSON geometry."""

    code: str
    geometry: Mapping[str, Any]

    def __post_init__(self) -> None:
        _match(ARRONDISSEMENT_CODE, self.code, "an arrondissement's code")
        area(self.geometry)


@dataclass(frozen=True)
class DataLayer:
    """A layer whose features the browser fetches: what it shows, from which of our paths.

    `label` is the word for it in the layer control, in the page's language.
    """

    kind: Kind
    url: str
    label: str
    show: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"not a kind of layer: {self.kind!r}")
        _match(PATH, self.url, "a path of this site")
        _match(LABEL, self.label, "a plain label")


@dataclass(frozen=True)
class Basemap:
    """Tiles under the map: an XYZ address (http, https or a path of ours) and whose they are."""

    url: str
    attribution: str = ""

    def __post_init__(self) -> None:
        _match(BASEMAP, self.url, "an XYZ tile address")
        if not {"{z}", "{x}", "{y}"} <= set(re.findall(r"\{[a-z]\}", self.url)):
            raise ValueError(f"an XYZ tile address holds {{z}}, {{x}} and {{y}}: {self.url!r}")
        if self.attribution:
            _match(LABEL, self.attribution, "a plain attribution")


def feature(code: str, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a GeoJSON feature that carries nothing but its code and rounded coordinates."""
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": _rounded(mapping(area(geometry))),
    }


def _rounded(geometry: Mapping[str, Any]) -> dict[str, Any]:
    def walk(value: Any) -> Any:
        return round(value, PRECISION) if isinstance(value, float) else [walk(v) for v in value]

    return {"type": geometry["type"], "coordinates": walk(geometry["coordinates"])}
