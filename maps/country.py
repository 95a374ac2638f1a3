"""The map of the country: its communes, each a way into its own page."""

from collections.abc import Sequence

import folium
import shapely

from maps.elements import Areas, StaticMap
from maps.render import MapParts, render_parts
from maps.values import CommuneOutline, area, feature

MARGIN = 1.0
ZOOMS = (5, 12)


def country_map(communes: Sequence[CommuneOutline]) -> folium.Map:
    """Draw all communes; a click on one leads to ``/communes/CODE``.

    Pass simplified outlines (``reference.communes.outline``): the whole set is sent at once.
    Raises ValueError when there is none, or a code comes twice.
    """
    if not communes or len({commune.code for commune in communes}) != len(communes):
        raise ValueError("communes are missing, or one comes twice")
    whole = shapely.box(*shapely.total_bounds([area(c.geometry) for c in communes]))
    drawn = StaticMap(
        told={"kind": "country"},
        bounds=whole.bounds,
        margin=MARGIN,
        zooms=ZOOMS,
        zoom_snap=0.25,
    )
    features = [feature(commune.code, commune.geometry) for commune in communes]
    layer = folium.GeoJson(
        {"type": "FeatureCollection", "features": features},
        control=False,
        style_function=lambda _: {"className": "map-country"},
    )
    layer.add_child(Areas(kind="country")).add_to(drawn)
    drawn.fit(8)
    return drawn


def country_parts(communes: Sequence[CommuneOutline]) -> MapParts:
    """Draw and render the country; its container is ``map_country``."""
    return render_parts(country_map(communes), "country")
