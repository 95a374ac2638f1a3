import re

import pytest

from gateway import i18n
from gateway.catalogues import extract, read

pytestmark = pytest.mark.unit

#: ``%%`` is a percent sign.
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


def forms(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.fixture(scope="module")
def used():
    return {message.id for message in extract() if message.id}


@pytest.mark.parametrize("locale", i18n.LANGUAGES)
def test_every_message_is_translated_and_none_is_left_over(locale, used):
    known = {message.id: message for message in read(locale) if message.id}
    assert set(known) == used
    for message in known.values():
        assert not message.fuzzy, message.id
        assert all(forms(message.string)), message.id


@pytest.mark.parametrize("locale", i18n.LANGUAGES)
def test_translations_keep_the_placeholders(locale):
    for message in read(locale):
        if message.id:
            wanted = set(PLACEHOLDER.findall(" ".join(forms(message.id))))
            for text in forms(message.string):
                assert set(PLACEHOLDER.findall(text)) == wanted, message.id
                assert "%" not in PLACEHOLDER.sub("", text), message.id


def test_french_is_typeset():
    say = i18n.translations("fr").gettext
    assert say("Où ?") == "Où\u202f?"
    assert say("L'idée") == "L’idée"


class Asked:
    def __init__(self, accepted="", cookies=None):
        self.headers = {"accept-language": accepted} if accepted else {}
        self.cookies = cookies or {}


@pytest.mark.parametrize(
    ("accepted", "cookies", "expected"),
    [
        ("", {}, "fr"),
        ("en-GB,en;q=0.9", {}, "en"),
        ("yo,fr;q=0.5,en;q=0.8", {}, "en"),
        ("en;q=0,fr", {}, "fr"),
        ("en;q=x;;,,", {}, "fr"),
        ("de", {}, "fr"),
        ("en", {"langue": "fr"}, "fr"),
        ("fr", {"langue": "../../etc"}, "fr"),
    ],
)
def test_the_language_is_the_one_picked_then_the_browsers(accepted, cookies, expected):
    assert i18n.choose(Asked(accepted, cookies)) == expected
