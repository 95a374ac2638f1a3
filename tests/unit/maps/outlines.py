"""Areas to draw: squares, and the real Cotonou."""

import json
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import mapping, shape

from maps import ArrondissementOutline, CommuneOutline, DataLayer

ARRONDISSEMENTS = Path(__file__).parents[3] / "infra" / "reference" / "arrondissements.geojson"


def square(lon: float = 2.3, lat: float = 6.3, side: float = 0.2) -> dict[str, Any]:
    east, north = lon + side, lat + side
    ring = [[lon, lat], [east, lat], [east, north], [lon, north], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def real(code: str) -> tuple[CommuneOutline, list[ArrondissementOutline]]:
    """Return a commune and its arrondissements from the shipped file."""
    parts = [
        ArrondissementOutline(f["properties"]["code"], f["geometry"])
        for f in json.loads(ARRONDISSEMENTS.read_text())["features"]
        if f["properties"]["code"].startswith(code)
    ]
    whole = shapely.union_all([shape(part.geometry) for part in parts])
    return CommuneOutline(code, mapping(whole)), parts


LAYERS = (
    DataLayer("reports", "/communes/0801/carte/signalements.geojson", "Signalements"),
    DataLayer("proposals", "/communes/0801/carte/propositions.geojson", "Propositions"),
    DataLayer("shortlist", "/communes/0801/carte/vote.geojson", "Projets soumis au vote"),
    DataLayer("works", "/communes/0801/carte/travaux.geojson", "Travaux"),
    DataLayer("funded", "/communes/0801/carte/projets.geojson", "Projets financés"),
    DataLayer("hotspots", "/api/v1/hotspots?commune=0801", "Points chauds", show=False),
)
