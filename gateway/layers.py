"""What maps are made of: layers built in SQL from the projections, and folium's scripts as files.

A layer is built once a version, kept compressed, and asked again with its ETag: an unchanged
layer costs one index look-up. One of more than :data:`INLINE` reports says where its vector tiles
are (:mod:`gateway.tiles`) instead of what is on it.
"""

import gzip
import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from uuid import UUID

import shapely
from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup
from sqlalchemy import Engine, text

from gateway import i18n, labels
from gateway.caching import not_modified
from gateway.places import Places, PlacesDep
from gateway.projections.handlers import LEVELS
from gateway.settings import Settings
from gateway.web import asset
from maps import (
    ArrondissementOutline,
    Basemap,
    CommuneOutline,
    DataLayer,
    Kind,
    MapParts,
    commune_parts,
    country_parts,
)
from services.common.problems import Invalid, NotFound, responses

router = APIRouter(tags=["layers"])

Layer = Literal["reports", "proposals", "shortlist", "works", "funded"]
MEDIA_TYPE = "application/geo+json"
Show = Literal[
    "all",
    "reports",
    "hotspots",
    "proposals",
    "shortlist",
    "works",
    "funded",
    "none",
    "pin",
    "place",
]

#: A commune with more reports on the map gets vector tiles instead of one document.
INLINE = 500

_COLLECTION = """
SELECT coalesce((SELECT version FROM layer_versions WHERE commune = :commune AND layer = :layer), 0)
    AS version, count(*) AS n,
  json_build_object('type', 'FeatureCollection', 'features',
    coalesce(json_agg(feature ORDER BY id), '[]'))::text AS body
FROM ({features}) AS found
"""
_FEATURE = """
SELECT id, json_build_object('type', 'Feature', 'id', id,
    'geometry', CAST(ST_AsGeoJSON({geometry}, 6) AS json),
    'properties', {properties}) AS feature
FROM {table} WHERE commune = :commune AND {shown} AND ref = coalesce(:ref, ref)
"""
_REPORTS = _FEATURE.format(
    table="map_reports",
    geometry="geom",
    properties="json_build_object('id', id, 'ref', ref, 'kind', 'report', 'category', category, "
    "'status', status, 'created_at', received_at)",
    shown="cell IS NOT NULL",
)
# One pin each, whatever was drawn; the drawing beside it where few are asked for. 0.00001° is 1 m.
_PIN = "ST_PointOnSurface(geom)"
_DRAWN = (
    "'shape', CASE WHEN ST_Dimension(geom) > 0 "
    "AND coalesce(CAST(:ref AS text), CAST(:campaign AS text)) IS NOT NULL "
    "THEN CAST(ST_AsGeoJSON(ST_SimplifyPreserveTopology(geom, 0.00001), 5) AS json) END"
)
_OF_CAMPAIGN = "geom IS NOT NULL AND campaign = coalesce(CAST(:campaign AS uuid), campaign)"


def _proposals(shown: str) -> str:
    return _FEATURE.format(
        table="map_proposals",
        geometry=_PIN,
        properties="json_strip_nulls(json_build_object('id', id, 'ref', ref, 'kind', 'proposal', "
        "'category', theme, 'status', status, 'created_at', submitted_at, 'title', title, "
        f"'cost', cost, 'number', number, 'comments', nullif(comments, 0), {_DRAWN}))",
        shown=f"{_OF_CAMPAIGN} AND visible AND {shown}",
    )


_WORKS = _FEATURE.format(
    table="map_works",
    geometry=_PIN,
    properties="json_strip_nulls(json_build_object('id', id, 'ref', ref, 'kind', 'work', "
    "'category', theme, 'status', status, 'created_at', opened_at, 'title', "
    "CASE WHEN EXISTS (SELECT FROM map_proposals p WHERE p.id = map_works.proposal "
    "AND NOT p.visible) THEN ref ELSE title END, "
    f"'cost', voted_cost, 'progress', progress, 'delayed', nullif(delayed, false), {_DRAWN}))",
    shown=_OF_CAMPAIGN,
)
_WON = _proposals(
    # Projects that won before there were works have none.
    "status = 'funded' AND NOT EXISTS (SELECT FROM map_works w WHERE w.proposal = map_proposals.id)"
)


def _collection(features: str) -> str:
    return _COLLECTION.format(features=features)


#: layer → its statement: what was rejected, merged, withdrawn or hidden is not on the map.
LAYERS: Mapping[Layer, str] = {
    "reports": _collection(_REPORTS),
    "proposals": _collection(_proposals("status IN ('submitted', 'shortlisted')")),
    "shortlist": _collection(_proposals("status = 'shortlisted'")),
    "works": _collection(f"{_WORKS} UNION ALL {_WON}"),
    "funded": _collection(_proposals("status = 'funded'")),
}
_COUNT = text(
    "SELECT coalesce((SELECT version FROM layer_versions "
    "WHERE commune = :commune AND layer = 'reports'), 0) AS version, "
    "coalesce(sum(reports), 0) AS n FROM report_cells "
    "WHERE level = :level AND commune = :commune"
)
_VERSION = text("SELECT version FROM layer_versions WHERE commune = :commune AND layer = :layer")

#: The words of the layer control.
LABELS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "reports": "Signalements",
        "proposals": "Propositions",
        "shortlist": "Projets soumis au vote",
        "works": "Travaux",
        "funded": "Projets financés",
        "hotspots": "Points chauds",
    },
    "en": {
        "reports": "Reports",
        "proposals": "Proposals",
        "shortlist": "Projects to vote on",
        "works": "Works",
        "funded": "Funded projects",
        "hotspots": "Hotspots",
    },
}
#: Which layers each kind of page shows.
SHOWN: Mapping[Show, tuple[Kind, ...]] = {
    "all": ("reports", "proposals", "works", "hotspots"),
    "reports": ("reports",),
    "hotspots": ("reports", "hotspots"),
    "proposals": ("proposals", "works"),
    "shortlist": ("shortlist",),
    "works": ("works",),
    "funded": ("funded",),
    "none": (),
    # Where one chooses a place, beside what is there already.
    "pin": ("reports",),
    "place": ("proposals", "works"),
}
PICKERS = ("pin", "place")
#: The days that a hotspot is found in.
HOTSPOT_DAYS = 90


class LayerCache:
    """The newest built version of each layer, and of each campaign's part of it, compressed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._built: dict[tuple[str, str, UUID | None], tuple[int, bytes]] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def version(self, commune: str, layer: str) -> int:
        """Return a layer's version; 0 when nothing was ever on it."""
        with self._engine.connect() as connection:
            found = connection.scalar(_VERSION, {"commune": commune, "layer": layer})
        return found or 0

    def get(
        self, commune: str, layer: Layer, version: int, campaign: UUID | None = None
    ) -> tuple[int, bytes]:
        """Return the layer's GeoJSON, gzipped, at ``version`` or a newer one."""
        key = (commune, layer, campaign)
        with self._locks[commune, layer]:  # one thread builds, the others wait for it
            built = self._built.get(key)
            if built is None or built[0] != version:
                version, body, kept = self._build(commune, layer, campaign)
                built = version, gzip.compress(body.encode(), 6, mtime=0)
                if kept:
                    self._built[key] = built
            return built

    def one(self, commune: str, layer: Layer, ref: str) -> str:
        """Return the GeoJSON of one feature of a layer, if it is on it."""
        values = {"commune": commune, "layer": layer, "ref": ref, "campaign": None}
        with self._engine.connect() as connection:
            body: str = connection.execute(text(LAYERS[layer]), values).one().body
        return body

    def _build(self, commune: str, layer: Layer, campaign: UUID | None) -> tuple[int, str, bool]:
        """Return the version, the GeoJSON, and whether it is worth keeping."""
        values = {"commune": commune, "layer": layer, "ref": None, "campaign": campaign}
        with self._engine.connect() as connection:
            if layer == "reports":
                counted = connection.execute(_COUNT, values | {"level": LEVELS[0]}).one()
                if counted.n > INLINE:
                    return counted.version, _pointer(commune, counted.n), True
            found = connection.execute(text(LAYERS[layer]), values).one()
        # Whoever makes campaigns up fills no memory.
        return found.version, found.body, campaign is None or found.n > 0


def _pointer(commune: str, count: int) -> str:
    """Return GeoJSON that has no feature, and says where the tiles of them are."""
    tiles = f"/tiles/reports/{{z}}/{{x}}/{{y}}.mvt?commune={commune}"
    found = {"type": "FeatureCollection", "features": [], "tiles": tiles, "count": count}
    return json.dumps(found)


@router.get(
    "/communes/{code}/layers/{layer}.geojson",
    response_class=Response,
    responses=responses(NotFound, Invalid),
)
def layer(
    code: str,
    layer: Layer,
    request: Request,
    places: PlacesDep,
    ref: str | None = Query(None, max_length=20),
    campaign: UUID | None = None,
) -> Response:
    """One layer of a commune as GeoJSON, or one feature of it; ask again with its ETag.

    Beyond 500 reports ``features`` is empty and ``tiles`` is the address of the vector tiles.
    With ``campaign``, only what belongs to that campaign; then, and with ``ref``, what was drawn
    as a line or an area has it in ``shape`` beside its point.
    """
    if campaign and layer == "reports":
        raise Invalid("A report belongs to no campaign.", "?campaign")
    commune = places.commune(code).code
    cache: LayerCache = request.app.state.layers
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if ref is not None:
        return Response(cache.one(commune, layer, ref), 200, headers, MEDIA_TYPE)
    version = cache.version(commune, layer)
    unchanged = not_modified(request, headers | {"ETag": _etag(layer, version)})
    if unchanged:
        return unchanged
    version, packed = cache.get(commune, layer, version, campaign)
    headers["ETag"] = _etag(layer, version)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(packed, headers=headers, media_type=MEDIA_TYPE)
    return Response(gzip.decompress(packed), headers=headers, media_type=MEDIA_TYPE)


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
            [_data_layer(kind, code, LABELS[locale][kind], show) for kind in SHOWN[show]],
            self._basemap,
            picker=show in PICKERS,
        )


def _data_layer(kind: Kind, code: str, label: str, show: Show) -> DataLayer:
    """Return a layer; where there are hotspots, either they or the pins are drawn at first."""
    if kind == "hotspots":
        url = f"/api/v1/hotspots?commune={code}&days={HOTSPOT_DAYS}"
        return DataLayer(kind, url, label, show=show == "hotspots")
    return DataLayer(kind, f"/communes/{code}/layers/{kind}.geojson", label, show != "hotspots")


def _geojson(shape: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = shapely.geometry.mapping(shape)
    return found


def commune_map_parts(
    request: Request, code: str, show: Show = "all", campaign: UUID | str | None = None
) -> MapView:
    """Return a commune's map for a page in the request's language.

    With ``campaign``, proposals and works of that campaign only, drawn as they were.
    """
    cache: MapCache = request.app.state.maps
    locale = i18n.choose(request)
    told = _told(locale)
    if campaign:
        told["data-campaign"] = str(campaign)
    if show in PICKERS:
        told["data-draw-words"] = drawing_words(locale)
    return _view(cache.commune(code, locale, show), f"/communes/{code}", told)


def country_map_parts(request: Request) -> MapView:
    """Return the country's map for a page."""
    cache: MapCache = request.app.state.maps
    return _view(cache.country(), "")


VERSION_LENGTH = 16
#: What map.js fetches only when it is needed.
MODULES = ("tiles", "months", "draw")


@cache
def words(locale: str) -> str:
    """Return what codes are called on the map, with icon and tone, as JSON (a table a kind)."""
    _ = i18n.translations(locale).gettext
    tables: dict[str, Mapping[str, labels.Label]] = {
        "category": labels.CATEGORIES,
        "report": labels.STATUSES,
        "proposal": labels.PROPOSALS,
        "work": labels.WORKS,
    }
    said = {
        kind: {code: [_(label.text), label.icon, label.tone] for code, label in table.items()}
        for kind, table in tables.items()
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


@cache
def drawing_words(locale: str) -> str:
    """Return what is said where a place is drawn, as JSON."""
    _ = i18n.translations(locale).gettext
    said = {name: _(text) for name, text in labels.DRAWING.items()}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _told(locale: str) -> dict[str, str]:
    """Return the attributes of a map's container that its script reads."""
    modules = {name: asset(f"js/map-{name}.js") for name in MODULES}
    return {"data-words": words(locale), "data-modules": json.dumps(modules)}


def _view(parts: MapParts, folder: str, told: Mapping[str, str] | None = None) -> MapView:
    def linked(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(asset(path.removeprefix("/static/")) for path in paths)

    own = f"{folder}/map-{parts.version[:VERSION_LENGTH]}.js"
    attributes = Markup("").join(
        Markup(' {}="{}"').format(Markup(name), value)  # noqa: S704 - names from this module
        for name, value in (told or {}).items()
    )
    # Markup of our own builder, checked there to hold no inline script.
    html = Markup(parts.html.replace("<div", f"<div{attributes}", 1))  # noqa: S704
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
