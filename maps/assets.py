"""Where folium's scripts and styles come from: our own /static, and nowhere else.

Importing this module rewrites ``default_js`` and ``default_css`` of every folium class. A class
whose assets are not vendored keeps none and refuses to render: better no map than a page that
asks a stranger's server.
"""

from typing import Any, NoReturn

import folium
import folium.plugins
from folium.elements import JSCSSMixin

VENDOR = "/static/vendor"

# Class -> (scripts, stylesheets). A map needs only Leaflet: jQuery, Bootstrap and the marker
# fonts that folium would load are for parts that are not used here.
VENDORED: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {
    folium.Map: (("leaflet/leaflet.js",), ("leaflet/leaflet.css",)),
    folium.plugins.MarkerCluster: (
        ("markercluster/leaflet.markercluster.js",),
        ("markercluster/MarkerCluster.css",),
    ),
}


class AssetNotVendoredError(RuntimeError):
    """A folium class was used whose files are not among those this site serves."""


def subclasses(base: type) -> set[type]:
    """Return every class below `base`."""
    direct: set[type] = set(base.__subclasses__())
    return direct.union(*map(subclasses, direct))


def _refuse(self: Any, **_: Any) -> NoReturn:
    name = type(self).__name__
    raise AssetNotVendoredError(f"{name} needs files that are not vendored (maps/assets.py)")


def _links(paths: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(path, f"{VENDOR}/{path}") for path in paths]


def rewrite() -> None:
    """Apply `VENDORED` to every class that declares assets of its own."""
    for cls in subclasses(JSCSSMixin):
        if cls in VENDORED:
            scripts, stylesheets = VENDORED[cls]
            cls.default_js = _links(scripts)  # type: ignore[attr-defined]
            cls.default_css = _links(stylesheets)  # type: ignore[attr-defined]
        elif vars(cls).get("default_js") or vars(cls).get("default_css"):
            cls.default_js, cls.default_css = [], []  # type: ignore[attr-defined]
            cls.render = _refuse  # type: ignore[attr-defined]


rewrite()
