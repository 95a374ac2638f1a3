"""Shapes made from shapes: what is simplified, joined or widened. Pure, in degrees WGS 84."""

from collections.abc import Mapping

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

# Degrees. 0.005 keeps the shape of Porto-Novo, the smallest commune, within 1.5 % of its area.
OUTLINE_TOLERANCE = 0.005
# About 2.2 km: a phone's position on the border, or in a boat, is still in the country.
COUNTRY_MARGIN = 0.02
COUNTRY_TOLERANCE = 0.004


def multipolygon(geometry: BaseGeometry) -> MultiPolygon:
    """Return a polygon or multipolygon as a multipolygon without Z.

    Raises ValueError for any other type.
    """
    flat = shapely.force_2d(geometry)
    if isinstance(flat, Polygon):
        return MultiPolygon([flat])
    if isinstance(flat, MultiPolygon):
        return flat
    raise ValueError(f"{geometry.geom_type} is not an area")


def dissolve(parts: Mapping[str, BaseGeometry]) -> dict[str, MultiPolygon]:
    """Join arrondissements (``0801-01`` …) into their communes (``0801`` …)."""
    grouped: dict[str, list[BaseGeometry]] = {}
    for code, part in parts.items():
        grouped.setdefault(code[:4], []).append(part)
    return {code: multipolygon(shapely.union_all(found)) for code, found in grouped.items()}


def outlines(communes: Mapping[str, BaseGeometry]) -> dict[str, MultiPolygon]:
    """Simplify all communes together, so that neighbours still share their border."""
    light = shapely.coverage_simplify(list(communes.values()), OUTLINE_TOLERANCE)
    result = {}
    for (code, exact), simple in zip(communes.items(), light, strict=True):
        if simple.is_empty or not simple.is_valid:  # a set with overlaps may collapse somewhere
            simple = exact.simplify(OUTLINE_TOLERANCE, preserve_topology=True)
        result[code] = multipolygon(simple)
    return result


def country(communes: Mapping[str, BaseGeometry]) -> MultiPolygon:
    """Join the communes, without holes, widened by at least `COUNTRY_MARGIN`."""
    whole = shapely.union_all(list(communes.values()))
    wide = whole.buffer(COUNTRY_MARGIN + COUNTRY_TOLERANCE, quad_segs=4)
    simple = multipolygon(wide.simplify(COUNTRY_TOLERANCE))
    return multipolygon(shapely.union_all([Polygon(part.exterior) for part in simple.geoms]))
