"""A campaign's calendar, envelopes and rules, without storage."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proposals.campaigns import domain
from services.proposals.campaigns.domain import REST, Part
from services.proposals.domain import PHASES, RULES, Phase, PhaseDates

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)
START = datetime(2026, 12, 1, tzinfo=UTC)


def on(phase: Phase, first: int, last: int) -> PhaseDates:
    return PhaseDates(phase, START + first * DAY, START + last * DAY)


PLAN = [on("ideas", 0, 30), on("review", 30, 50), on("vote", 60, 70), on("results", 70, 80)]


@given(st.lists(st.integers(1, 10**9), max_size=6), st.integers(0, 10**9))
def test_envelopes_and_the_rest_are_the_budget_to_the_franc(amounts: list[int], left: int) -> None:
    parts = [Part(f"E{n}", amount, theme="eau") for n, amount in enumerate(amounts)]
    budget = max(sum(amounts) + left, 1)
    found = domain.divide(budget, parts)
    assert sum(one.amount for one in found) == budget
    assert found[: len(parts)] == parts
    assert all(one.is_rest and one.amount > 0 for one in found[len(parts) :])
    with pytest.raises(ValueError, match="more than the budget"):
        domain.divide(budget, [*found, Part("un franc de trop", 1)])


def test_the_rest_comes_to_the_envelope_of_its_name() -> None:
    parts = [Part(REST, 3), Part("Est", 4, arrondissement="0801-01")]
    found = domain.divide(10, parts)
    assert [(one.name, one.amount, one.kind) for one in found] == [
        (REST, 6, "commune"),
        ("Est", 4, "arrondissement"),
    ]


def test_what_overlaps_moves_on_and_keeps_its_length() -> None:
    changed = domain.prolonged(PLAN, "review", START + 65 * DAY)
    assert changed == [on("review", 30, 65), on("vote", 65, 75), on("results", 75, 85)]
    # There are ten days between review and vote: nothing else moves.
    assert domain.prolonged(PLAN, "review", START + 60 * DAY) == [on("review", 30, 60)]
    assert domain.prolonged(PLAN, "results", START + 99 * DAY) == [on("results", 70, 99)]


@st.composite
def plans(draw: st.DrawFn) -> list[PhaseDates]:
    phases = sorted(draw(st.sets(st.sampled_from(PHASES), min_size=1)), key=PHASES.index)
    days = sorted(draw(st.sets(st.integers(0, 200), min_size=16, max_size=16)))
    return [on(one, days[2 * i], days[2 * i + 1]) for i, one in enumerate(phases)]


@given(plans(), st.data(), st.integers(1, 300))
def test_a_prolonged_calendar_never_overlaps_nor_shortens(
    plan: list[PhaseDates], data: st.DataObject, more: int
) -> None:
    chosen = data.draw(st.sampled_from(plan))
    changed = domain.prolonged(plan, chosen.phase, chosen.closes_at + more * DAY)
    after = {one.phase: one for one in plan} | {one.phase: one for one in changed}
    for one, following in pairwise(domain.in_order(list(after.values()))):
        assert one.closes_at <= following.opens_at
    for one in plan:
        new = after[one.phase]
        assert new.closes_at >= one.closes_at
        assert new.opens_at >= one.opens_at
        length = one.closes_at - one.opens_at
        assert new.closes_at - new.opens_at == length + (more * DAY if one == chosen else 0 * DAY)


def test_another_year_has_no_overlap_where_the_vote_opened_early() -> None:
    early = [on("review", 30, 50), on("vote", 10, 20)]
    assert domain.shifted(early, 365 * DAY) == [on("review", 395, 415), on("vote", 415, 425)]


@pytest.mark.parametrize(
    ("phase", "day", "leads_to"),
    [
        ("preparation", -1, None),
        ("preparation", 0, "ideas"),
        ("ideas", 29, None),
        ("ideas", 30, "review"),
        ("review", 50, None),  # its end has come, but the vote opens on day 60
        ("review", 60, "vote"),
        ("revision", 59, None),  # not planned: it lasts until the vote opens
        ("revision", 60, "vote"),
        ("vote", 99, None),
        ("results", 99, None),  # nothing is planned after it
    ],
)
def test_where_the_calendar_leads(phase: Phase, day: int, leads_to: Phase | None) -> None:
    assert domain.due(PLAN, phase, START + day * DAY) == leads_to


def test_the_calendar_leads_only_where_the_table_of_phases_does() -> None:
    plan = [on("ideas", 0, 10), on("revision", 10, 20), on("vote", 20, 30)]
    following = domain.following(plan, "ideas")
    assert following is not None
    assert following.phase == "vote"
    assert "revision" not in RULES["ideas"].next


@pytest.mark.parametrize(
    ("changes", "loosens"),
    [
        ({}, True),
        ({"author_kinds": ["person", "group"]}, True),
        ({"author_kinds": ["group"]}, False),
        ({"proposals_per_author": 4}, True),
        ({"proposals_per_author": None}, True),
        ({"proposals_per_author": 2}, False),
        ({"endorsements_needed": 0}, True),
        ({"endorsements_needed": 6}, False),
    ],
)
def test_rules_are_loosened_or_not(changes: dict[str, object], loosens: bool) -> None:
    rules = {"author_kinds": ["person"], "proposals_per_author": 3, "endorsements_needed": 5}
    assert domain.loosens(rules, {**rules, **changes}) is loosens


def test_a_limit_where_there_was_none_is_stricter() -> None:
    rules = {"author_kinds": [], "proposals_per_author": None, "endorsements_needed": 0}
    assert not domain.loosens(rules, {**rules, "proposals_per_author": 99})
