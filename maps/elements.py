"""The folium elements of this site: each writes one call to ``/static/js/map.js``."""

from typing import Any

import folium
from branca.element import MacroElement
from folium.template import Template

import maps.assets  # noqa: F401  (before any map is made)

Bounds = tuple[float, float, float, float]  # west, south, east, north


class StaticMap(folium.Map):
    """A map whose page parts hold no inline style and no inline script."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}
            <div class="map" id="{{ this.get_name() }}"></div>
        {% endmacro %}
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.map({{ this.get_name()|tojson }}, {
                center: {{ this.location|tojson }}, ...{{ this.options|tojavascript }}
            });
            palabre.map({{ this.get_name() }}, {{ this.told|tojson }});
        {% endmacro %}
        """
    )

    def __init__(
        self,
        *,
        told: dict[str, Any],
        bounds: Bounds,
        margin: float,
        zooms: tuple[int, int],
        **options: Any,
    ) -> None:
        """Make a map without tiles that one can pan `margin` degrees beyond `bounds`.

        told: what the script is told about the map. options: Leaflet's, in snake case.
        """
        west, south, east, north = (round(v, 4) for v in bounds)
        super().__init__(
            location=[round((south + north) / 2, 4), round((west + east) / 2, 4)],
            tiles=None,
            zoom_start=zooms[0],
            attribution_control=False,
            **options,
        )
        self.told = told
        # folium keeps zoom limits for its tiles, and there may be none.
        self.options |= {
            "min_zoom": zooms[0],
            "max_zoom": zooms[1],
            "max_bounds": [
                [round(south - margin, 4), round(west - margin, 4)],
                [round(north + margin, 4), round(east + margin, 4)],
            ],
        }
        self.fitted = [[south, west], [north, east]]

    def fit(self, padding: int) -> None:
        """Show the bounds whole, with `padding` pixels around."""
        self.fit_bounds(self.fitted, padding=(padding, padding))


class _Call(MacroElement):
    """A call ``palabre.method(map, layer, options)`` about the layer it is added to."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            palabre.{{ this.method }}({{ this._parent._parent.get_name() }},
                {{ this._parent.get_name() }}, {{ this.options|tojson }});
        {% endmacro %}
        """
    )
    method: str

    def __init__(self, **options: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = type(self).__name__
        self.options = options


class Areas(_Call):
    """Tells the script what the areas of a GeoJson layer are: labels, links."""

    method = "areas"


class Source(_Call):
    """Tells the script where the features of a layer come from."""

    method = "layer"


class Months(_Call):
    """Gives a layer a slider over the last months, shown while the layer is."""

    method = "months"
