"""Works by their rules alone: the table of statuses, delays, plans, and what a ledger may pass."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proposals.domain import WorkStatus
from services.proposals.works import domain
from services.proposals.works.domain import Milestone, Sums

MONDAY, TUESDAY, FRIDAY = date(2027, 3, 1), date(2027, 3, 2), date(2027, 3, 5)


def test_the_table_speaks_of_every_status_and_leaves_none_without_a_way_out() -> None:
    assert set(domain.TRANSITIONS) == set(domain.STATUSES)
    for status in domain.STATUSES:
        assert domain.TRANSITIONS[status]
        assert set(domain.TRANSITIONS[status]) <= set(domain.STATUSES)


def test_all_but_a_finished_work_may_be_abandoned() -> None:
    may = {status for status in domain.STATUSES if "abandoned" in domain.allowed(status)}
    assert may == set(domain.STATUSES) - {"completed", "abandoned"}


def test_no_work_is_completed_or_taken_up_again_by_a_status() -> None:
    for status in domain.STATUSES:
        assert "completed" not in domain.allowed(status)
    assert {s for s in domain.STATUSES if domain.allowed(s, "completion")} == domain.STARTED
    assert {s for s in domain.STATUSES if domain.allowed(s, "reopening")} == domain.ENDED


@pytest.mark.parametrize(
    ("status", "ends_on", "first", "today", "late"),
    [
        ("planned", None, None, FRIDAY, False),
        ("under_way", TUESDAY, TUESDAY, TUESDAY, False),
        ("under_way", TUESDAY, TUESDAY, FRIDAY, True),
        ("completed", TUESDAY, TUESDAY, FRIDAY, False),
        ("abandoned", TUESDAY, TUESDAY, FRIDAY, False),
        ("under_way", FRIDAY, TUESDAY, MONDAY, True),
        ("completed", FRIDAY, TUESDAY, MONDAY, True),
    ],
)
def test_late_is_past_the_end_or_later_than_first_told(
    status: WorkStatus, ends_on: date | None, first: date | None, today: date, late: bool
) -> None:
    assert domain.is_delayed(status, ends_on, first, today) is late


def test_a_day_is_bénin_s() -> None:
    assert domain.local_day(datetime(2027, 2, 28, 23, 30, tzinfo=UTC)) == MONDAY


AMOUNTS = st.integers(1, 10**12)


@given(st.sampled_from(domain.ENTRY_KINDS), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_an_entry_and_its_mirror_leave_the_sums_as_they_were(
    kind: domain.EntryKind, voted: int, committed: int, invoiced: int, paid: int, amount: int
) -> None:
    before = Sums(voted, committed, invoiced, paid)
    after = before.plus(kind, amount)
    assert after.plus(kind, -amount) == before
    moved = {
        n for n in ("committed", "invoiced", "paid") if getattr(after, n) != getattr(before, n)
    }
    assert moved == {domain.SUM_OF[kind]}
    assert after.balance == voted - after.paid


@pytest.mark.parametrize(
    ("kind", "sums", "passes"),
    [
        ("commitment", Sums(100, 100), False),
        ("commitment", Sums(100, 101), True),
        ("invoice", Sums(100, 50, 50), False),
        ("invoice", Sums(100, 50, 51), True),
        ("payment", Sums(100, 50, 0, 50), False),
        ("payment", Sums(100, 50, 0, 51), True),
        ("payment", Sums(100, 150, 0, 50), False),  # the commitment was explained before
    ],
)
def test_what_may_be_passed_only_with_a_reason(
    kind: domain.EntryKind, sums: Sums, passes: bool
) -> None:
    assert domain.passes_limit(kind, sums) is passes


TITLES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(TITLES, TITLES, st.sets(st.sampled_from("abcdefgh")))
def test_a_new_plan_forgets_nothing_that_was_reached(
    present: list[str], wanted: list[str], reached: set[str]
) -> None:
    ids: dict[str, UUID] = {title: uuid4() for title in present}
    before = [Milestone(ids[t], t, MONDAY, TUESDAY if t in reached else None) for t in present]
    plan = domain.replan(before, [Milestone(None, t, FRIDAY) for t in wanted])
    titles = [one.title for one in plan]
    assert len(set(titles)) == len(titles)
    assert set(titles) == set(wanted) | (set(present) & reached)
    assert [title for title in titles if title in wanted] == wanted
    for one in plan:
        assert one.id == ids.get(one.title)
        assert one.reached_on == (TUESDAY if one.title in reached & set(present) else None)
        assert one.planned_on == (FRIDAY if one.title in wanted else MONDAY)
