"""What maps are made of: layers built in SQL from the projections, and folium's scripts as files.

A layer is built once a version, kept compressed, and asked again with its ETag: an unchanged
layer costs one index look-up.
"""

import gzip
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import shapely
from fastapi import APIRouter, Request, Response
from markupsafe import Markup
from sqlalchemy import Engine, text

from gateway import i18n
from gateway.caching import not_modified
from gateway.places import Places, PlacesDep
from gateway.settings import Settings
from gateway.web import asset
from maps import (
    ArrondissementOutline,
    Basemap,
    CommuneOutline,
    DataLayer,
    MapParts,
    commune_parts,
    country_parts,
)
from services.common.problems import NotFound

router = APIRouter(tags=["layers"])

Layer = Literal["reports", "proposals", "funded"]
Show = Literal["all", "reports", "proposals", "funded", "none", "pin", "place"]

_FEATURES = """
SELECT coalesce((SELECT version FROM layer_versions WHERE commune = :commune AND layer = :layer), 0)
    AS version,
  json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(
    json_build_object('type', 'Feature', 'id', id,
      'geometry', CAST(ST_AsGeoJSON({geometry}, 6) AS json),
      'properties', json_build_object({properties}))
    ORDER BY id), '[]'))::text AS body
FROM {table} WHERE commune = :commune AND geom IS NOT NULL AND status = ANY(:statuses)
"""
_REPORTS = _FEATURES.format(
    table="map_reports",
    geometry="geom",
    properties="'id', id, 'ref', ref, 'kind', 'report', 'category', category, 'status', status, "
    "'created_at', received_at",
)
_PROPOSALS = _FEATURES.format(
    table="map_proposals",
    # One pin each, whatever was drawn.
    geometry="ST_PointOnSurface(geom)",
    properties="'id', id, 'ref', ref, 'kind', 'proposal', 'category', theme, 'status', status, "
    "'created_at', submitted_at, 'title', title, 'cost', cost, 'number', number",
)

#: layer → its statement and the statuses it shows: what was rejected is not on the map.
LAYERS: Mapping[str, tuple[str, list[str]]] = {
    "reports": (
        _REPORTS,
        ["received", "acknowledged", "in_progress", "resolved", "reopened"],
    ),
    "proposals": (_PROPOSALS, ["submitted", "shortlisted"]),
    "funded": (_PROPOSALS, ["funded"]),
}
_VERSION = text("SELECT version FROM layer_versions WHERE commune = :commune AND layer = :layer")

#: The words of the layer control.
LABELS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "reports": "Signalements",
        "proposals": "Propositions",
        "funded": "Projets financés",
    },
    "en": {"reports": "Reports", "proposals": "Proposals", "funded": "Funded projects"},
}
#: Which layers each kind of page shows.
SHOWN: Mapping[Show, tuple[Layer, ...]] = {
    "all": ("reports", "proposals", "funded"),
    "reports": ("reports",),
    "proposals": ("proposals", "funded"),
    "funded": ("funded",),
    "none": (),
    # Where one chooses a place, beside what is there already.
    "pin": ("reports",),
    "place": ("proposals", "funded"),
}
PICKERS = ("pin", "place")


class LayerCache:
    """The newest built version of each layer, compressed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._built: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def version(self, commune: str, layer: str) -> int:
        """Return a layer's version; 0 when nothing was ever on it."""
        with self._engine.connect() as connection:
            found = connection.scalar(_VERSION, {"commune": commune, "layer": layer})
        return found or 0

    def get(self, commune: str, layer: str, version: int) -> tuple[int, bytes]:
        """Return the layer's GeoJSON, gzipped, at ``version`` or a newer one."""
        key = (commune, layer)
        with self._locks[key]:  # one thread builds, the others wait for it
            built = self._built.get(key)
            if built is None or built[0] != version:
                built = self._built[key] = self._build(commune, layer)
            return built

    def _build(self, commune: str, layer: str) -> tuple[int, bytes]:
        statement, statuses = LAYERS[layer]
        values = {"commune": commune, "layer": layer, "statuses": statuses}
        with self._engine.connect() as connection:
            row = connection.execute(text(statement), values).one()
        return row.version, gzip.compress(row.body.encode(), 6, mtime=0)


@router.get("/communes/{code}/layers/{layer}.geojson", response_class=Response)
def layer(code: str, layer: Layer, request: Request, places: PlacesDep) -> Response:
    """One layer of a commune as GeoJSON; ask again with its ETag."""
    commune = places.commune(code).code
    cache: LayerCache = request.app.state.layers
    version = cache.version(commune, layer)
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    unchanged = not_modified(request, headers | {"ETag": _etag(layer, version)})
    if unchanged:
        return unchanged
    version, packed = cache.get(commune, layer, version)
    headers["ETag"] = _etag(layer, version)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(packed, headers=headers, media_type="application/geo+json")
    return Response(gzip.decompress(packed), headers=headers, media_type="application/geo+json")


def _etag(layer: str, version: int) -> str:
    return f'W/"{layer}-{version}"'


@dataclass(frozen=True, slots=True)
class MapView:
    """A map for a page: its container, and what to link, in order; the last script is its own."""

    html: Markup
    stylesheets: tuple[str, ...]
    scripts: tuple[str, ...]


class MapCache:
    """Folium's output, rendered once for each boundaries, place, language and choice of layers."""

    def __init__(self, places: Places, settings: Settings) -> None:
        self._places = places
        self._basemap = (
            Basemap(settings.basemap_url, settings.basemap_attribution)
            if settings.basemap_url
            else None
        )
        self._etag = ""
        self._parts: dict[tuple[str, str, Show], MapParts] = {}
        self._lock = threading.Lock()

    def commune(self, code: str, locale: str, show: Show) -> MapParts:
        """Return the map of a commune."""
        return self._get((code, locale, show))

    def country(self) -> MapParts:
        """Return the map of the country, the same in each language."""
        return self._get(("", "", "none"))

    def script(self, code: str, version: str) -> str | None:
        """Return the script of ``version`` of a commune's map (of the country's for ``""``)."""
        keys = (
            [("", "", "none")] if not code else [(code, lang, s) for lang in LABELS for s in SHOWN]
        )
        parts = (self._get(key) for key in keys)  # type: ignore[arg-type]
        return next((p.script for p in parts if p.version.startswith(version)), None)

    def _get(self, key: tuple[str, str, Show]) -> MapParts:
        geography = self._places.now()
        with self._lock:
            if geography.etag != self._etag:
                self._parts.clear()
                self._etag = geography.etag
            if key not in self._parts:
                self._parts[key] = self._build(*key)
            return self._parts[key]

    def _build(self, code: str, locale: str, show: Show) -> MapParts:
        geography = self._places.now()
        if not code:
            return country_parts(
                [CommuneOutline(c, _geojson(shape)) for c, shape in geography.outlines.items()]
            )
        return commune_parts(
            CommuneOutline(code, _geojson(geography.shapes[code])),
            [
                ArrondissementOutline(part.code, _geojson(geography.parts[part.code]))
                for part in self._places.arrondissements(code)
            ],
            [
                DataLayer(kind, f"/communes/{code}/layers/{kind}.geojson", LABELS[locale][kind])
                for kind in SHOWN[show]
            ],
            self._basemap,
            picker=show in PICKERS,
        )


def _geojson(shape: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = shapely.geometry.mapping(shape)
    return found


def commune_map_parts(request: Request, code: str, show: Show = "all") -> MapView:
    """Return a commune's map for a page in the request's language."""
    cache: MapCache = request.app.state.maps
    return _view(cache.commune(code, i18n.choose(request), show), f"/communes/{code}")


def country_map_parts(request: Request) -> MapView:
    """Return the country's map for a page."""
    cache: MapCache = request.app.state.maps
    return _view(cache.country(), "")


VERSION_LENGTH = 16


def _view(parts: MapParts, folder: str) -> MapView:
    def linked(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(asset(path.removeprefix("/static/")) for path in paths)

    own = f"{folder}/map-{parts.version[:VERSION_LENGTH]}.js"
    # Markup of our own builder, checked there to hold no inline script.
    html = Markup(parts.html)  # noqa: S704
    return MapView(html, linked(parts.stylesheets), (*linked(parts.scripts), own))


@router.get("/communes/{code}/map-{version}.js", include_in_schema=False)
def commune_script(code: str, version: str, request: Request, places: PlacesDep) -> Response:
    """The script that folium wrote for a commune."""
    return _script(request, places.commune(code).code, version)


@router.get("/map-{version}.js", include_in_schema=False)
def country_script(version: str, request: Request) -> Response:
    """The script that folium wrote for the country."""
    return _script(request, "", version)


def _script(request: Request, code: str, version: str) -> Response:
    cache: MapCache = request.app.state.maps
    found = cache.script(code, version) if len(version) == VERSION_LENGTH else None
    if found is None:
        raise NotFound("The map has changed: reload the page.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found, headers=headers, media_type="text/javascript; charset=utf-8")
