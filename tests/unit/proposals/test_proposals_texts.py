"""Which envelope is for a place, and how two texts differ: pure rules."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proposals import domain
from services.proposals.domain import Envelope, choose_envelope, word_diff

pytestmark = pytest.mark.unit

WHOLE = Envelope(UUID(int=1), 30, "commune")
NORTH = Envelope(UUID(int=2), 20, "arrondissement", arrondissement="0801-01")
WATER = Envelope(UUID(int=3), 10, "theme", theme="water")
ALL = (WHOLE, NORTH, WATER)


@pytest.mark.parametrize(
    ("arrondissement", "whole", "theme", "wanted", "found"),
    [
        ("0801-01", True, None, None, NORTH),
        ("0801-01", True, "water", None, NORTH),
        ("0801-01", True, "water", WATER, WATER),
        ("0801-01", True, "water", WHOLE, WHOLE),
        ("0801-01", False, "water", None, WATER),
        ("0801-01", False, None, None, WHOLE),
        ("0801-01", False, None, NORTH, "spans"),
        ("0801-02", True, None, NORTH, "none"),
        ("0801-02", True, "roads", WATER, "none"),
        (None, False, None, None, WHOLE),
    ],
)
def test_the_nearest_fitting_envelope_is_chosen(
    arrondissement: str | None,
    whole: bool,
    theme: str | None,
    wanted: Envelope | None,
    found: Envelope | str,
) -> None:
    asked = wanted.id if wanted else None
    assert choose_envelope(ALL, arrondissement, whole, theme, asked) == found


def test_equally_near_envelopes_are_for_the_author_to_choose() -> None:
    other = Envelope(UUID(int=4), 5, "commune")
    assert choose_envelope((WHOLE, other), "0801-01", True, None) == "several"
    assert choose_envelope((WHOLE, other), "0801-01", True, None, other.id) == other


@given(st.text("ab c\n", max_size=80), st.text("ab c\n", max_size=80))
def test_a_difference_gives_both_texts_back(before: str, after: str) -> None:
    segments = word_diff(before, after)
    assert "".join(text for sign, text in segments if sign != "+") == before
    assert "".join(text for sign, text in segments if sign != "-") == after


def test_texts_that_would_cost_seconds_stand_side_by_side() -> None:
    before, after = "a " * 799, "a b " * 399
    assert 799 * 399 > domain.MAX_DIFF
    assert word_diff(before, after) == [("-", before), ("+", after)]
