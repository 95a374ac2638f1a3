"""The workflow table, the categories, what looks personal."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain import (
    AGENCIES,
    CATEGORIES,
    MAX_RADIUS_M,
    OPEN,
    STATUSES,
    SUMMARY_LENGTH,
    TRANSITIONS,
    allowed,
    personal,
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
    # A duplicate leaves by un-merging; what its author withdrew stays withdrawn.
    assert {status for status, row in TRANSITIONS.items() if not row} == {"duplicate", "withdrawn"}


def test_nobody_may_do_nothing() -> None:
    assert all(allowed(status, frozenset()) == [] for status in STATUSES)
    assert all(allowed(status, ALL) for status in OPEN)
    assert allowed("resolved", frozenset({"citizen"})) == ["confirmed", "reopened"]
    assert set(STATUSES) - OPEN == {
        "resolved", "confirmed", "rejected", "forwarded", "duplicate", "withdrawn"
    }  # fmt: skip


def test_categories_are_labelled_in_both_languages() -> None:
    assert all(c.fr and c.en and c.icon for c in CATEGORIES.values())
    assert len({c.fr for c in CATEGORIES.values()}) == len(CATEGORIES)


@given(st.text(max_size=600))
def test_a_summary_is_one_short_line(text: str) -> None:
    found = summary(text)
    assert "\n" not in found
    assert len(found) <= SUMMARY_LENGTH + 1


def test_every_category_has_an_agency_and_targets_in_order() -> None:
    for category in CATEGORIES.values():
        assert category.agency in AGENCIES
        assert 0 < category.answer_days <= category.repair_days
        assert 0 < category.radius_m <= MAX_RADIUS_M


@given(st.text())
def test_what_looks_personal_lies_in_the_text_and_does_not_overlap(text: str) -> None:
    found = personal(text)
    assert all(0 <= start < end <= len(text) for _, start, end in found)
    assert all(a[2] <= b[1] for a, b in pairwise(found))


def test_a_long_text_is_searched_quickly_enough_to_finish() -> None:
    assert personal("01 " * 1300 + "a." * 700 + "@")  # bounded quantifiers: no catastrophe
