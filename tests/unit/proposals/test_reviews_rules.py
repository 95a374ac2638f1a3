"""Which round is open, what a grid forbids, what a reviewer must be told."""

from datetime import UTC, date, datetime
from typing import get_args

import pytest

from services.proposals import events
from services.proposals.domain import Outcome
from services.proposals.reviews.domain import (
    BLOCKING,
    CRITERIA,
    SERVICES,
    Service,
    changes,
    contradictions,
    local_day,
    next_round,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("last", "answered", "number"),
    [(None, False, 1), (1, False, None), (1, True, 2), (2, True, None), (2, False, None)],
)
def test_the_second_round_is_open_to_an_answered_first_only(
    last: int | None, answered: bool, number: int | None
) -> None:
    assert next_round(last, answered=answered) == number


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_only_law_and_land_forbid_and_only_plain_feasibility(
    outcome: Outcome, criterion: str
) -> None:
    expected = (criterion,) if outcome == "feasible" and criterion in BLOCKING else ()
    assert contradictions(outcome, {criterion: "not_met"}) == expected  # type: ignore[dict-item]
    assert contradictions(outcome, {criterion: "conditional"}) == ()  # type: ignore[dict-item]
    assert contradictions(outcome, {}) == ()


def test_every_service_has_a_name_in_both_languages() -> None:
    assert set(SERVICES) == set(get_args(Service))
    assert all(name.fr and name.en for name in SERVICES.values())
    assert {
        "technical",
        "planning",
        "finance",
        "land",
        "water",
        "health",
        "education",
        "legal",
    } <= (set(SERVICES))


def test_talk_and_supporters_are_no_change_and_each_change_is_named_once() -> None:
    types = [one.event_type for one in (
        events.ProposalDiscussed, events.ProposalRevised, events.ProposalThresholdReached,
        events.ProposalRevised, events.ProposalReviewed, events.ProposalVisibilityChanged,
    )]  # fmt: skip
    assert changes(types) == ["revised", "reviewed", "visibility_changed"]
    assert changes([]) == []


def test_a_day_ends_as_it_does_in_benin() -> None:
    assert local_day(datetime(2027, 1, 31, 23, 30, tzinfo=UTC)) == date(2027, 2, 1)
    assert local_day(datetime(2027, 1, 31, 22, 59, tzinfo=UTC)) == date(2027, 1, 31)
