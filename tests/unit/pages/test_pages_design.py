import re

import pytest

from gateway.web import STATIC

pytestmark = pytest.mark.unit

CSS = (STATIC / "css" / "palabre.css").read_text()
TOKENS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", CSS))

#: Text on its background, as the stylesheet pairs them (WCAG 2.2, 1.4.3: at least 4.5).
PAIRS = [
    *((text, ground) for text in ("ink", "muted", "green") for ground in ("paper", "surface")),
    *((f"{tone}-dark", f"{tone}-soft") for tone in ("green", "ochre", "clay", "sky")),
    ("green-dark", "surface"),
    ("clay", "paper"),
    ("clay", "surface"),
    ("surface", "green"),
    ("surface", "green-dark"),
    ("surface", "clay"),
]


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_readable(text, ground):
    assert contrast(TOKENS[text], TOKENS[ground]) >= 4.5


@pytest.mark.parametrize("edge", ["stone", "green", "sky"])
def test_edges_of_controls_are_visible(edge):
    assert contrast(TOKENS[edge], TOKENS["surface"]) >= 3


def test_the_stylesheet_stays_small_and_ours():
    assert len(CSS.encode()) <= 25 * 1024
    assert "@import" not in CSS
    assert "@font-face" not in CSS
    assert not re.search(r"url\([\"']?(?:https?:)?//", CSS)


def test_pictures_named_by_the_stylesheet_exist():
    for name in re.findall(r'url\("\.\./img/([\w.]+)"\)', CSS):
        assert (STATIC / "img" / name).is_file()


def test_the_script_stays_small():
    assert len((STATIC / "js" / "app.js").read_bytes()) <= 16 * 1024
