"""No class of folium is left with an address outside this site."""

import json
import re
from pathlib import Path

import folium
import folium.plugins
import pytest
from folium.elements import JSCSSMixin

from gateway import labels
from gateway.layers import drawing_words, words
from maps import CommuneOutline, assets, country_map, render_parts
from maps.assets import AssetNotVendoredError, subclasses
from tests.unit.maps.outlines import square

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]
CLASSES = sorted(subclasses(JSCSSMixin), key=lambda cls: f"{cls.__module__}.{cls.__name__}")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_asset_of_every_class_is_ours(cls: type[JSCSSMixin]) -> None:
    for _, url in [*cls.default_js, *cls.default_css]:
        assert url.startswith("/static/vendor/")


def test_the_classes_are_many() -> None:
    assert len(CLASSES) > 40


def test_a_class_without_vendored_assets_refuses_to_render() -> None:
    drawn = folium.Map(tiles=None)
    folium.plugins.HeatMap([[6.37, 2.42]]).add_to(drawn)
    with pytest.raises(AssetNotVendoredError, match="HeatMap"):
        drawn.get_root().render()


def test_an_asset_added_by_hand_is_refused() -> None:
    class Late(folium.plugins.MarkerCluster):
        default_js = [("late", "https://cdn.example/x.js")]  # noqa: RUF012

    drawn = country_map([CommuneOutline("0801", square())])
    Late().add_to(drawn)
    with pytest.raises(AssetNotVendoredError, match="not one of ours"):
        render_parts(drawn, "late")


def test_a_plain_folium_map_with_its_inline_styles_is_refused() -> None:
    with pytest.raises(ValueError, match="inline"):
        render_parts(folium.Map(tiles=None), "plain")


def test_the_vendor_script_copies_every_asset() -> None:
    script = (ROOT / "gateway/static/vendor.mjs").read_text()
    for scripts, stylesheets in assets.VENDORED.values():
        for path in (*scripts, *stylesheets):
            assert f'"{path}"' in script


def test_packages_are_pinned_and_name_no_registry() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    lock = (ROOT / "package-lock.json").read_text()
    assert "http" not in lock
    assert '"resolved"' not in lock


def test_the_map_script_uses_icons_that_exist() -> None:
    icons = json.loads((ROOT / "gateway/static/icons.json").read_text())
    script = "".join(path.read_text() for path in (ROOT / "gateway/static/js").glob("map*.js"))
    told = json.loads(words("fr"))
    used = {
        *re.findall(r'icon\("([\w-]+)"\)', script),
        *(icon for kind in ("category", "work") for _, icon, _ in told[kind].values()),
        *("other", "trophy", "lightbulb"),
    }
    assert used <= icons.keys()


def test_every_tone_that_a_page_tells_has_its_colour_on_the_map() -> None:
    css = (ROOT / "gateway/static/css/map.css").read_text()
    for kind in ("report", "proposal", "work"):
        for _, _, tone in json.loads(words("fr"))[kind].values():
            assert f".tone-{tone} {{" in css


@pytest.mark.parametrize("locale", ["fr", "en"])
def test_the_map_has_no_words_of_its_own_for_codes(locale: str) -> None:
    script = (ROOT / "gateway/static/js/map.js").read_text()
    told = json.loads(words(locale))
    assert told["report"].keys() == labels.STATUSES.keys()
    assert told["work"].keys() == labels.WORKS.keys()
    for table in told.values():
        for code, (said, _, _) in table.items():
            assert said
            assert f"{code}:" not in script


def test_states_of_a_work_differ_by_more_than_a_word() -> None:
    told = json.loads(words("fr"))["work"]
    assert len({(icon, tone) for _, icon, tone in told.values()}) == len(told)
    assert len({icon for _, icon, _ in told.values()}) == len(told)


def test_the_drawing_script_is_told_every_word_it_says() -> None:
    script = (ROOT / "gateway/static/js/map-draw.js").read_text()
    told = json.loads(drawing_words("fr"))
    kinds = {"point", "line", "area"}
    said = {*re.findall(r"words\.(\w+)", script), *re.findall(r'button\("(\w+)"', script)}
    assert said | kinds | {f"of_{kind}" for kind in kinds} == told.keys()
    for name in ("count", "more"):
        assert told[name].count("{0}") == 1


def test_the_map_script_writes_text_and_never_markup() -> None:
    for path in (ROOT / "gateway/static/js").glob("map*.js"):
        source = path.read_text()
        assert not re.search(r"(inner|outer)HTML|insertAdjacentHTML|document\.write|eval\(", source)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
