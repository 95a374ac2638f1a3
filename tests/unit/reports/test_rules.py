"""The workflow table, the categories and what photos become."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.common.problems import DomainError
from services.reports import photos
from services.reports.domain import (
    CATEGORIES,
    OPEN,
    STATUSES,
    SUMMARY_LENGTH,
    TRANSITIONS,
    allowed,
    summary,
)

pytestmark = pytest.mark.unit
ALL = frozenset({"mairie", "citizen"})


def test_the_table_knows_every_status_and_no_other() -> None:
    assert set(TRANSITIONS) == set(STATUSES)
    assert {to for row in TRANSITIONS.values() for to in row} <= set(STATUSES)
    assert all(status not in row for status, row in TRANSITIONS.items())


def test_every_status_can_be_reached_and_none_is_a_trap() -> None:
    met, front = set(), {"received"}
    while front:
        met |= front
        front = {to for status in front for to in TRANSITIONS[status]} - met  # type: ignore[index]
    assert met == set(STATUSES)
    assert all(TRANSITIONS.values())


def test_nobody_may_do_nothing() -> None:
    assert all(allowed(status, frozenset()) == [] for status in STATUSES)
    assert all(allowed(status, ALL) for status in STATUSES)
    assert allowed("resolved", frozenset({"citizen"})) == ["reopened"]  # type: ignore[arg-type]
    assert {"resolved", "rejected"} == set(STATUSES) - OPEN


def test_categories_are_labelled_in_both_languages() -> None:
    assert all(c.fr and c.en and c.icon for c in CATEGORIES.values())
    assert len({c.fr for c in CATEGORIES.values()}) == len(CATEGORIES)


@given(st.text(max_size=600))
def test_a_summary_is_one_short_line(text: str) -> None:
    found = summary(text)
    assert "\n" not in found
    assert len(found) <= SUMMARY_LENGTH + 1


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_photo_reader(data: bytes) -> None:
    for prefix in (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP"):
        with pytest.raises(DomainError):
            photos.encode(prefix + data)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_every_mode_becomes_jpeg(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (50, 20)).save(out, "PNG")
    found = photos.encode(out.getvalue())
    assert {Image.open(io.BytesIO(data)).format for data in found.values()} == {"JPEG"}
