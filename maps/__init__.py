"""Folium builders: data in, figure out. Imports nothing of ours; knows no database and no page."""

from maps.commune import commune_map, commune_parts
from maps.country import country_map, country_parts
from maps.render import MapParts, render_parts
from maps.values import ArrondissementOutline, Basemap, CommuneOutline, DataLayer, Kind

__all__ = [
    "ArrondissementOutline",
    "Basemap",
    "CommuneOutline",
    "DataLayer",
    "Kind",
    "MapParts",
    "commune_map",
    "commune_parts",
    "country_map",
    "country_parts",
    "render_parts",
]
