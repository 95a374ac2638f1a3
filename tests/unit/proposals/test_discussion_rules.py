"""Threads, thresholds, what can be read, and the life of a decision."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proposals.discussion import domain
from services.proposals.discussion.domain import Line, LogAction
from services.proposals.domain import reached

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 22, tzinfo=UTC)
AGENT = uuid4()


def log(*actions: LogAction, actor: UUID = AGENT) -> list[Line]:
    return [
        Line(action, actor, "insult", f"note {i}", START + timedelta(minutes=i))
        for i, action in enumerate(actions)
    ]


def test_every_reason_has_its_words() -> None:
    assert set(domain.REASONS) == {
        "insult",
        "personal_data",
        "spam",
        "off_topic",
        "illegal",
        "other",
    }
    assert all(rule.fr and rule.en for rule in domain.REASONS.values())
    assert set(domain.URGENT) == {"insult", "personal_data", "illegal"}


def test_a_reply_to_the_deepest_level_stays_on_it() -> None:
    top, below, deepest = uuid4(), uuid4(), uuid4()
    assert domain.place_of_reply(top, None, 0) == (top, 1)
    assert domain.place_of_reply(below, top, 1) == (below, 2)
    assert domain.place_of_reply(deepest, below, 2) == (below, 2)
    with pytest.raises(ValueError, match="has a parent"):
        domain.place_of_reply(deepest, None, 2)


@pytest.mark.parametrize(
    ("needed", "endorsements", "before", "expected"),
    [
        (0, 5, None, False),
        (3, 2, None, False),
        (3, 3, None, True),
        (3, 7, None, True),
        (3, 3, START, False),
    ],
)
def test_a_threshold_is_reached_once(
    needed: int, endorsements: int, before: datetime | None, expected: bool
) -> None:
    assert reached(needed, endorsements, before) is expected


@given(st.integers(1, 20), st.lists(st.sampled_from([-1, 1]), max_size=200))
def test_whatever_people_do_a_threshold_is_reached_once_at_most(
    needed: int, steps: list[int]
) -> None:
    count, at, times, most = 0, None, 0, 0
    for step in steps:
        count = max(0, count + step)
        most = max(most, count)
        if reached(needed, count, at):
            at, times = START, times + 1
    assert times == (1 if most >= needed else 0)


def test_what_hides_is_the_last_hiding_that_nothing_took_back() -> None:
    assert domain.hiding([]) is None
    assert domain.hiding(log("keep")) is None
    assert domain.hiding(log("hide", "show")) is None
    assert domain.hiding(log("hide", "appeal", "reverse")) is None
    upheld = log("hide", "appeal", "uphold")
    assert domain.hiding(upheld) is upheld[0]
    again = log("hide", "appeal", "reverse", "hide")
    assert domain.hiding(again) is again[3]


@pytest.mark.parametrize(
    ("actions", "appealed", "waits"),
    [
        ([], False, False),
        (["hide"], False, False),
        (["hide", "appeal"], True, True),
        (["hide", "appeal", "uphold"], True, False),
        (["hide", "appeal", "reverse"], False, False),
        (["hide", "appeal", "show"], False, False),
        (["hide", "appeal", "uphold", "show", "hide"], False, False),
    ],
)
def test_each_hiding_can_be_appealed_against_once(
    actions: list[LogAction], appealed: bool, waits: bool
) -> None:
    lines = log(*actions)
    assert (domain.appealed(lines), domain.appeal_waits(lines)) == (appealed, waits)
