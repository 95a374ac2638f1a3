"""Where a project lies, as one small drawing: its arrondissement and its shape, without a script.

Classes are those of ``static/css/budget.css``. Sizes are CSS pixels.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import shapely
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from gateway.places import Places

WIDTH, TALLEST = 360, 300
#: Below this size a shape is also marked by a ring.
SMALL = 24
#: How much of the frame stays free around what it is about.
MARGIN = 0.08
#: Points closer than this to a line are left out, in pixels.
DETAIL = 0.6


def locator(
    places: Places, commune: str, arrondissement: str | None, geometry: Mapping[str, Any], said: str
) -> Markup:
    """Return the drawing of a GeoJSON ``geometry`` in its arrondissement; ``said`` is its text."""
    shape = shapely.geometry.shape(geometry)
    held = places.now()
    parts = {part.code: held.parts[part.code] for part in places.arrondissements(commune)}
    around = parts.get(arrondissement or "", held.shapes[commune])
    project, width, height = _projection(around.union(shape.envelope).bounds)
    outlines = {code: project(part) for code, part in parts.items()} or {
        commune: project(held.shapes[commune])
    }
    frame = shapely.box(0, 0, width, height)
    drawn = [
        _path(outline, "here" if code == arrondissement else "beside")
        for code, outline in outlines.items()
        if outline.intersects(frame)
    ]
    drawn.append(_marked(project(shape)))
    return Markup(
        '<svg class="locator" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(round(width), round(height), said, Markup("").join(drawn))


def _projection(bounds: tuple[float, float, float, float]) -> tuple[Any, float, float]:
    """Return what turns degrees into pixels, and the frame: the earth is flat at this size."""
    west, south, east, north = bounds
    narrowing = math.cos(math.radians((south + north) / 2))
    wide = max((east - west) * narrowing, 1e-4)
    high = max(north - south, 1e-4)
    free = 1 - 2 * MARGIN
    scale = min(WIDTH * free / wide, TALLEST * free / high)
    width, height = WIDTH, min(TALLEST, max(120.0, high * scale / free))
    left = (width - wide * scale) / 2
    top = (height - high * scale) / 2

    def project(shape: BaseGeometry) -> BaseGeometry:
        moved = shapely.transform(
            shape,
            lambda at: (at - [west, north]) * [narrowing * scale, -scale] + [left, top],
        )
        clipped = shapely.clip_by_rect(moved, -9, -9, width + 9, height + 9)
        return clipped.simplify(DETAIL)

    return project, width, height


def _marked(shape: BaseGeometry) -> Markup:
    """Return the project's own shape; a ring around what would be hard to see."""
    west, north, east, south = shape.bounds
    middle = shape.representative_point()
    drawn = Markup("")
    if max(east - west, south - north) < SMALL:
        drawn += Markup('<circle class="ring" cx="{}" cy="{}" r="15"/>').format(
            round(middle.x, 1), round(middle.y, 1)
        )
    if shape.geom_type == "Point":
        return drawn + Markup('<circle class="dot" cx="{}" cy="{}" r="7"/>').format(
            round(middle.x, 1), round(middle.y, 1)
        )
    return drawn + _path(shape, "area" if shape.area else "way")


def _path(shape: BaseGeometry, name: str) -> Markup:
    lines = " ".join(_line(ring) for ring in _rings(shape))
    return Markup('<path class="{}" d="{}"/>').format(name, lines)


def _rings(shape: BaseGeometry) -> Iterable[Any]:
    for part in getattr(shape, "geoms", [shape]):
        if part.geom_type == "Polygon":
            yield from (part.exterior, *part.interiors)
        elif part.geom_type in ("LineString", "LinearRing"):
            yield part


def _line(ring: Any) -> str:
    points = " ".join(f"{x:.1f} {y:.1f}" for x, y in ring.coords)
    return f"M{points}"
