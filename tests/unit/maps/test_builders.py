"""The maps that pages show: what they load, what they say, and how large they are."""

import gzip
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from maps import (
    ArrondissementOutline,
    Basemap,
    CommuneOutline,
    DataLayer,
    MapParts,
    commune_map,
    commune_parts,
    country_map,
    country_parts,
    render_parts,
)
from tests.unit.maps.outlines import LAYERS, real, square

pytestmark = pytest.mark.unit


def cotonou() -> MapParts:
    return commune_parts(*real("0801"), LAYERS, picker=True)


def country() -> MapParts:
    return country_parts([CommuneOutline(f"08{n:02}", square(2 + n / 10)) for n in range(8)])


@pytest.fixture(params=[cotonou, country])
def build(request: pytest.FixtureRequest) -> Callable[[], MapParts]:
    return request.param


def test_no_external_address(build: Callable[[], MapParts]) -> None:
    parts = build()
    for text in (parts.html, parts.script):
        assert not re.search(r"https?:|//[a-z]|url\(|@import|\bcdn", text)
    for path in (*parts.stylesheets, *parts.scripts):
        assert re.fullmatch(r"/static/[\w./-]+\.(css|js)", path)


def test_nothing_inline_for_the_policy_to_refuse(build: Callable[[], MapParts]) -> None:
    parts = build()
    assert re.fullmatch(r'<div class="map" id="map_\w+"></div>', parts.html)
    assert not re.search(r"\beval\b|\bFunction\(|innerHTML|\$\(|\$\.|document\.write", parts.script)


def test_only_leaflet_and_what_is_used_are_loaded(build: Callable[[], MapParts]) -> None:
    assert build().scripts[0] == "/static/vendor/leaflet/leaflet.js"
    assert country().scripts == ("/static/vendor/leaflet/leaflet.js", "/static/js/map.js")
    assert cotonou().scripts[1:] == (
        "/static/vendor/markercluster/leaflet.markercluster.js",
        "/static/js/map.js",
        "/static/js/map-picker.js",
    )


def test_the_same_data_give_the_same_bytes(build: Callable[[], MapParts]) -> None:
    assert build() == build()
    assert build().version == build().version
    assert len(build().version) == 64


def test_rendering_a_map_twice_gives_the_same() -> None:
    drawn = commune_map(*real("0801"), LAYERS)
    assert render_parts(drawn, "a") == render_parts(drawn, "a")
    assert render_parts(drawn, "a").version != render_parts(drawn, "b").version


def test_other_processes_give_the_same_bytes() -> None:
    code = (
        "from tests.unit.maps.test_builders import cotonou, country;"
        "print(cotonou().version, country().version)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": "."},
    ).stdout
    assert out.split() == [cotonou().version, country().version]


def test_the_script_is_small_whatever_the_layers_hold() -> None:
    assert len(gzip.compress(cotonou().script.encode())) < 2_500
    assert len(gzip.compress(commune_parts(*real("0101"), LAYERS).script.encode())) < 4_000


def test_each_layer_is_fetched_and_can_be_switched() -> None:
    script = cotonou().script
    for layer in LAYERS:
        assert f'"url": "{layer.url}"' in script.replace("\\u0026", "&")
    assert "Projets financ\\u00e9s" in script
    hidden = re.search(r'palabre\.layer\(\w+,\s*(\w+), \{"kind": "hotspots"', script)
    assert hidden
    assert f"{hidden[1]}.addTo" not in script


def test_a_basemap_is_drawn_only_when_it_is_set() -> None:
    assert "tileLayer" not in cotonou().script
    commune, parts = real("0801")
    tiles = Basemap("/fond/{z}/{x}/{y}.png", "© OpenStreetMap")
    assert (
        'L.tileLayer(\n"/fond/{z}/{x}/{y}.png"'
        in commune_parts(commune, parts, basemap=tiles).script
    )


EVIL = [
    "${alert(1)}",
    "`",
    "'",
    '"',
    "</script><script>alert(1)</script>",
    "<b>",
    "a\\",
    "\n",
    "{{7*7}}",
    "x';alert(1)//",
    "javascript:alert(1)",
    "\u2028",
]


@pytest.mark.parametrize("text", EVIL)
def test_no_text_can_break_out(text: str) -> None:
    for refused in (
        lambda: CommuneOutline(text, square()),
        lambda: CommuneOutline("0801" + text, square()),
        lambda: ArrondissementOutline("0801-01" + text, square()),
        lambda: DataLayer("reports", "/x" + text, "Signalements"),
        lambda: DataLayer("reports", text, "Signalements"),
        lambda: DataLayer("reports", "/x", text),
        lambda: DataLayer("reports" + text, "/x", "Signalements"),  # type: ignore[arg-type]
        lambda: Basemap("https://tiles.example/{z}/{x}/{y}.png" + text),
        lambda: Basemap("/{z}/{x}/{y}", text),
        lambda: CommuneOutline("0801", {"type": text, "coordinates": []}),
        lambda: render_parts(country_map([CommuneOutline("0801", square())]), "a" + text),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 (each value has its own message)
            refused()


def test_what_rides_along_in_a_geometry_stays_out() -> None:
    shape = square() | {"properties": {"name": "${alert(1)}"}, "bbox": ["</script>"]}
    script = commune_parts(CommuneOutline("0801", shape)).script
    assert "alert" not in script
    assert "</script>" not in script


@pytest.mark.parametrize(
    "url",
    [
        "https://tiles.example/{z}/{x}/{y}.png",
        "http://127.0.0.1:8080/{z}/{x}/{y}.png",
        "https://{s}.tiles.example/{z}/{x}/{y}{r}.png?key=a-b_c",
        "/tuiles/{z}/{x}/{y}.png",
    ],
)
def test_a_tile_address_of_ours_or_of_the_web_is_taken(url: str) -> None:
    assert Basemap(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://tiles.example/{z}/{x}/{y}.png",
        "//tiles.example/{z}/{x}/{y}.png",
        "/tuiles.png",
        "data:image/png,{z}{x}{y}",
        "https://user@tiles.example/{z}/{x}/{y}.png",
        "{z}/{x}/{y}",
    ],
)
def test_other_tile_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="tile address"):
        Basemap(url)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [2.4, 6.3]},
        {"type": "Polygon", "coordinates": []},
        {},
        square(lon=500),
        square(lon=float("nan")),
    ],
)
def test_an_outline_is_an_area_in_degrees(geometry: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        CommuneOutline("0801", geometry)


def test_a_map_is_of_one_commune_and_has_a_layer_once() -> None:
    commune = CommuneOutline("0801", square())
    with pytest.raises(ValueError, match="not of commune"):
        commune_map(commune, [ArrondissementOutline("0405-01", square())])
    with pytest.raises(ValueError, match="twice"):
        commune_map(commune, [], [LAYERS[0], LAYERS[0]])
    with pytest.raises(ValueError, match="twice"):
        country_map([commune, commune])
    with pytest.raises(ValueError, match="missing"):
        country_map([])
