"""Calendars and envelopes as forms hold them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pages import plans
from gateway.pages.plans import BOTH, BY_AREA, BY_THEME, ONE, Dates, Row

AREAS = {"0801-01": "10e arrondissement", "0801-02": "2e arrondissement"}
THEMES = {"water": "Eau", "other": "Autre"}


def test_the_usual_calendar_is_one_that_can_be_sent() -> None:
    phases, wrong = plans.read_phases(plans.usual_dates(date(2026, 12, 31)))
    assert wrong == []
    assert [one["phase"] for one in phases] == ["ideas", "review", "vote"]
    assert phases[0]["opens_at"] == "2026-12-30T23:00:00+00:00"  # Bénin is an hour before UTC
    assert phases[0]["closes_at"] == "2027-01-30T22:59:59+00:00"


def test_dates_that_overlap_or_are_half_given_are_wrong() -> None:
    values = plans.usual_dates(date(2026, 12, 1))
    values["review_opens"] = values["ideas_closes"]
    values["works_opens"] = "2027-06-01"
    phases, wrong = plans.read_phases(values)
    assert wrong == ["review", "works"]
    assert [one["phase"] for one in phases] == ["ideas", "vote"]


def dates(phase: str, first: int, last: int) -> Dates:
    start = datetime(2027, 1, 1, tzinfo=UTC)
    return Dates(phase, start + timedelta(days=first), start + timedelta(days=last))


def test_what_is_behind_a_prolonged_phase_moves_by_as_much_as_it_must() -> None:
    planned = [dates("ideas", 0, 10), dates("review", 12, 20), dates("vote", 30, 40)]
    near = plans.moved(planned, "ideas", planned[0].closes_at + timedelta(days=1))
    assert [after.phase for _, after in near] == ["ideas"]
    far = plans.moved(planned, "ideas", planned[0].closes_at + timedelta(days=5))
    assert [after for _, after in far] == [dates("ideas", 0, 15), dates("review", 15, 23)]
    assert [before for before, _ in far] == planned[:2]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(1, 40))
def test_no_phase_overlaps_after_it_and_each_keeps_its_length(lasts: list[int], by: int) -> None:
    planned, day = [], 0
    for phase, last in zip(plans.PHASES, lasts, strict=False):
        planned.append(dates(phase, day, day + last))
        day += last + last % 3
    closes_at = planned[0].closes_at + timedelta(days=by)
    moves = dict(plans.moved(planned, planned[0].phase, closes_at))
    after = [moves.get(one, one) for one in planned]
    for one, then in pairwise(after):
        assert one.closes_at <= then.opens_at
    for old, new in zip(planned[1:], after[1:], strict=True):
        assert new.closes_at - new.opens_at == old.closes_at - old.opens_at


def test_rows_are_read_with_their_purpose_and_sent_as_the_service_has_them() -> None:
    values = {
        "envelope_name_1": "Centre",
        "envelope_for_1": "0801-01",
        "envelope_amount_1": "1 500 000",
        "envelope_name_3": "Eau",
        "envelope_for_3": "theme:water",
        "envelope_amount_3": "20.000 F CFA",
        "envelope_name_4": "Ailleurs",
        "envelope_for_4": "0405-01",
    }
    rows = plans.read_rows(values, [*AREAS, "theme:water"])
    assert [row.purpose for row in rows] == ["0801-01", "theme:water", ""]
    assert rows[0].sent == {
        "name": "Centre",
        "amount": 1_500_000,
        "arrondissement": "0801-01",
        "theme": None,
    }
    assert (rows[1].sent["theme"], rows[1].sent["arrondissement"]) == ("water", None)
    assert plans.rest(2_000_000, rows) == 480_000
    assert not any(row.wrong for row in rows)


@pytest.mark.parametrize("row", [Row("Eau", "", "beaucoup"), Row("", "", "5"), Row("Eau", "", "0")])
def test_an_amount_that_is_none_or_nobodys_is_wrong(row: Row) -> None:
    assert row.wrong


def test_a_campaigns_envelopes_come_back_as_rows_but_what_is_left() -> None:
    def one(name: str, kind: str, **more: str) -> dict[str, object]:
        purpose = {"arrondissement": None, "theme": None} | more
        return {"name": name, "kind": kind, "amount": 1000, **purpose}

    rest = one(plans.REST, "commune")
    area = one("Centre", "arrondissement", arrondissement="0801-01")
    theme = one("Eau", "theme", theme="water")
    found = plans.rows_of({"envelopes": [area, theme, rest]})
    assert [(row.name, row.purpose) for row in found] == [
        ("Centre", "0801-01"),
        ("Eau", "theme:water"),
    ]
    for envelopes, division in (
        ([rest], ONE),
        ([area], BY_AREA),
        ([area, rest], BOTH),
        ([theme, rest], BY_THEME),
    ):
        assert plans.division_of({"envelopes": envelopes}) == division


def test_presets_have_a_row_each() -> None:
    assert plans.preset(ONE, AREAS, THEMES) == []
    assert [row.purpose for row in plans.preset(BOTH, AREAS, THEMES)] == list(AREAS)
    assert [row.purpose for row in plans.preset(BY_THEME, AREAS, THEMES)] == ["theme:water"]
    assert list(plans.counted(AREAS)) == ["0801-02", "0801-01"]


@given(st.integers(0, 10**9), st.integers(1, 13), st.sampled_from([BY_AREA, BY_THEME, BOTH]))
def test_sharing_gives_all_away_or_half_of_it(budget: int, many: int, division: str) -> None:
    rows = plans.share(budget, [Row(f"{n}") for n in range(many)], division)
    left = plans.rest(budget, rows)
    if not any(row.amount for row in rows):  # not a thousand for each
        assert (budget - (budget // 2 if division == BOTH else 0)) // many < 1000
    elif division == BOTH:
        assert budget // 2 <= left < budget // 2 + 1000 * many
    else:
        assert left == 0


def test_sharing_leaves_typed_amounts_alone() -> None:
    rows = plans.share(10_000, [Row("a", "", "4 000"), Row("b"), Row("c")], BY_AREA)
    assert [row.francs for row in rows] == [4000, 3000, 3000]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Forage équipé d'une pompe", "forage-equipe-d-une-pompe"),
        ("½ piste", "12-piste"),
        ("§", ""),
    ],
)
def test_codes_of_letters_digits_and_hyphens(name: str, code: str) -> None:
    assert plans.slug(name) == code
