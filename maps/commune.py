"""The map of one commune: its outline, its arrondissements, and layers fetched by the browser."""

from collections.abc import Iterable, Sequence

import folium
from folium.plugins import MarkerCluster

from maps.elements import Areas, Months, Source, StaticMap
from maps.render import MapParts, render_parts
from maps.values import (
    KINDS,
    ArrondissementOutline,
    Basemap,
    CommuneOutline,
    DataLayer,
    Kind,
    area,
    feature,
)

# Degrees around the commune that one may still pan to.
MARGIN = 0.15
ZOOMS = (8, 19)
CLUSTERED: tuple[Kind, ...] = ("reports", "proposals", "shortlist", "works", "funded")
# How far back the slider of the hotspots goes, this month included.
MONTHS = 12
CLUSTERS = {
    "max_cluster_radius": 46,
    "show_coverage_on_hover": False,
    "spiderfy_distance_multiplier": 1.6,
    "disable_clustering_at_zoom": 18,
    "chunked_loading": True,
}


def commune_map(
    commune: CommuneOutline,
    arrondissements: Sequence[ArrondissementOutline] = (),
    layers: Iterable[DataLayer] = (),
    basemap: Basemap | None = None,
) -> folium.Map:
    """Draw a commune. The size of the result does not depend on how much the layers hold.

    Raises ValueError when an arrondissement is another commune's, or a kind of layer comes twice.
    """
    given = list(layers)
    chosen = {layer.kind: layer for layer in given}
    if len(chosen) != len(given):
        raise ValueError("a kind of layer comes twice")
    if any(not part.code.startswith(f"{commune.code}-") for part in arrondissements):
        raise ValueError(f"an arrondissement is not of commune {commune.code}")
    drawn = StaticMap(
        told={"kind": "commune", "code": commune.code},
        bounds=area(commune.geometry).bounds,
        margin=MARGIN,
        zooms=ZOOMS,
        zoom_snap=1 if basemap else 0.25,
    )
    if basemap:
        folium.TileLayer(
            basemap.url, attr=basemap.attribution or " ", control=False, max_zoom=ZOOMS[1]
        ).add_to(drawn)
    if arrondissements:
        _areas("arrondissement", arrondissements).add_to(drawn)
    _areas("commune", [commune]).add_to(drawn)
    for kind in KINDS:
        if kind in chosen:
            _layer(chosen[kind]).add_to(drawn)
    if len(chosen) > 1:
        folium.LayerControl(position="topright", collapsed=True, autoZIndex=False).add_to(drawn)
    drawn.fit(12)
    return drawn


def commune_parts(
    commune: CommuneOutline,
    arrondissements: Sequence[ArrondissementOutline] = (),
    layers: Iterable[DataLayer] = (),
    basemap: Basemap | None = None,
    *,
    picker: bool = False,
) -> MapParts:
    """Draw and render a commune; its container is ``map_commune_CODE``.

    `picker` is for a page on which a place is chosen.
    """
    drawn = commune_map(commune, arrondissements, layers, basemap)
    return render_parts(drawn, f"commune_{commune.code}", picker=picker)


def _areas(
    kind: str, outlines: Sequence[CommuneOutline] | Sequence[ArrondissementOutline]
) -> folium.GeoJson:
    features = [feature(outline.code, outline.geometry) for outline in outlines]
    layer = folium.GeoJson(
        {"type": "FeatureCollection", "features": features},
        control=False,
        style_function=lambda _: {"className": f"map-{kind}"},
        interactive=False,
    )
    layer.add_child(Areas(kind=kind))
    return layer


def _layer(spec: DataLayer) -> folium.map.Layer:
    if spec.kind in CLUSTERED:
        group: folium.map.Layer = MarkerCluster(  # type: ignore[no-untyped-call]
            name=spec.label,
            show=spec.show,
            options=CLUSTERS,
            icon_create_function="palabre.clusterIcon",
        )
    else:
        group = folium.FeatureGroup(name=spec.label, show=spec.show)
    group.add_child(Source(url=spec.url, kind=spec.kind))
    if spec.kind == "hotspots":
        group.add_child(Months(count=MONTHS))
    return group
