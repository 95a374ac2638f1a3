import json
import re
from pathlib import Path

import pytest

from gateway import i18n, labels
from gateway.web import STATIC, templates

pytestmark = pytest.mark.unit

FOLDER = Path(STATIC).parent / "templates"
NAMES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))
ICONS = set(json.loads((STATIC / "icons.json").read_text()))
INLINE = {
    "style attribute": re.compile(r"\sstyle\s*=", re.I),
    "style element": re.compile(r"<style", re.I),
    "script without src": re.compile(r"<script(?![^>]*\ssrc=)", re.I),
    "handler": re.compile(r"\son[a-z]+\s*=", re.I),
    "javascript: address": re.compile(r"javascript:", re.I),
    "other site": re.compile(r"(?:src|action)\s*=\s*[\"'](?:https?:)?//", re.I),
}
#: Only what our own builders make may go unescaped.
SAFE = {("ui.html", "map.html|safe")}


def source(name):
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("locale", i18n.LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_compiles(name, locale):
    templates(locale).get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_inline_that_the_policy_refuses(name):
    found = [what for what, pattern in INLINE.items() if pattern.search(source(name))]
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_text_is_escaped(name):
    for piece in re.findall(r"[\w.]+\|safe", source(name)):
        assert (name, piece) in SAFE
    assert "autoescape false" not in source(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_form_that_writes_carries_its_secrets(name):
    for form in re.findall(r'<form[^>]*method="post".*?</form>', source(name), re.S):
        assert "ui.secrets()" in form


@pytest.mark.parametrize("name", NAMES)
def test_icons_exist(name):
    used = re.findall(r'(?:icon|empty)\("([\w-]+)"|note\("\w+", "([\w-]+)"', source(name))
    assert {a or b for a, b in used} <= ICONS


TABLES = (labels.CATEGORIES, labels.STATUSES, labels.PHASES, labels.PROPOSALS, labels.THEMES)


@pytest.mark.parametrize("table", TABLES)
def test_every_label_has_its_icon_and_a_tone_of_the_stylesheet(table):
    css = (STATIC / "css" / "palabre.css").read_text()
    for label in table.values():
        assert label.icon in ICONS
        assert f".{label.tone} {{" in css
