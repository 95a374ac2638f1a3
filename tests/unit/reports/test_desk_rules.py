"""Routing rules, their dry run and small cells: pure."""

import unicodedata
from collections import Counter
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.desk import domain
from services.reports.desk.domain import Group, Rule, destination, dry_run, route, slot_of, slots
from services.reports.domain import AGENCIES, CATEGORIES

pytestmark = pytest.mark.unit

PLACES = ("0801-01", "0801-02", "0801-03")
hours = st.times()
bounds = st.sampled_from([time(0), time(6), time(8, 30), time(18), time(23, 59)])
spans = st.one_of(st.just((None, None)), st.tuples(bounds, bounds).filter(lambda s: s[0] != s[1]))
kinds = st.sampled_from(sorted(CATEGORIES))
places = st.one_of(st.none(), st.sampled_from(PLACES))
agencies = st.sampled_from(sorted(AGENCIES))
rules = st.builds(
    lambda agency, category, place, span: Rule(agency, category, place, *span),
    agencies,
    st.one_of(st.none(), kinds),
    places,
    spans,
)
lists = st.lists(rules, max_size=6)

NIGHT = Rule("police", "noise", None, time(22), time(6))
DAY = Rule("front-desk", None, "0801-02", time(8), time(18))

CASES = [
    ("noise", None, time(23), "police"),
    ("noise", None, time(5, 59, 59, 999999), "police"),
    ("noise", None, time(6), None),  # the end is not included
    ("noise", None, time(22), "police"),  # the beginning is
    ("noise", "0801-02", time(21, 59), None),
    ("waste", "0801-02", time(8), "front-desk"),
    ("waste", "0801-02", time(18), None),
    ("waste", "0801-01", time(12), None),
    ("waste", None, time(12), None),
]


@pytest.mark.parametrize(("category", "place", "hour", "agency"), CASES)
def test_the_first_rule_that_fits_decides(
    category: str, place: str | None, hour: time, agency: str | None
) -> None:
    assert route([NIGHT, DAY], category, place, hour) == agency
    usual = CATEGORIES[category].agency
    assert destination([NIGHT, DAY], category, place, hour) == (agency or usual)


def test_order_matters() -> None:
    first, second = Rule("water", "waste"), Rule("roads", "waste")
    assert route([first, second], "waste", None, time(9)) == "water"
    assert route([second, first], "waste", None, time(9)) == "roads"


@given(lists, kinds, places, hours)
def test_all_hours_of_a_slot_are_alike(
    some: list[Rule], category: str, place: str | None, hour: time
) -> None:
    found = slots(some)
    assert found[0] == time(0)
    begins = found[slot_of(found, hour)]
    assert begins <= hour
    assert route(some, category, place, hour) == route(some, category, place, begins)


cases = st.lists(st.tuples(kinds, places, hours, st.one_of(st.none(), agencies)), max_size=30)


@given(lists, lists, cases)
def test_a_dry_run_by_groups_says_what_each_report_alone_says(
    candidate: list[Rule],
    present: list[Rule],
    reports: list[tuple[str, str | None, time, str | None]],
) -> None:
    found = slots(candidate, present)
    groups = Counter((c, p, slot_of(found, hour), a) for c, p, hour, a in reports)
    told = dry_run([Group(*key, count=n) for key, n in groups.items()], found, candidate, present)
    held = [a or CATEGORIES[c].agency for c, _, _, a in reports]
    to = [destination(candidate, c, p, hour) for c, p, hour, _ in reports]
    today = [destination(present, c, p, hour) for c, p, hour, _ in reports]
    moves = Counter((a, b) for a, b in zip(held, to, strict=True) if a != b)
    assert told.reports == len(reports)
    assert told.matrix == moves
    assert told.changed == moves.total() == told.by_category.total()
    assert told.changed_by_present == sum(a != b for a, b in zip(held, today, strict=True))
    assert told.differs == sum(a != b for a, b in zip(to, today, strict=True))


def test_rules_in_force_differ_in_nothing_from_themselves() -> None:
    group = Group("waste", None, 0, None, 7)
    told = dry_run([group], slots([]), [], [])
    assert (told.reports, told.changed, told.differs) == (7, 0, 0)


def test_the_hash_of_a_list_follows_its_content_and_order() -> None:
    one, two = {"agency": "roads", "category": None}, {"agency": "water", "category": None}
    assert domain.digest([one, two]) == domain.digest([dict(reversed(one.items())), two])
    assert domain.digest([one, two]) != domain.digest([two, one])


TABLES: list[tuple[dict[str | None, int], set[str | None]]] = [
    ({"f": 40, "m": 60, "o": 20, None: 10}, set()),
    ({"f": 3, "m": 60, "o": 20, None: 100}, {"f", "o"}),  # alone, the total would tell it
    ({"f": 3, "m": 60, "o": 2, None: 100}, {"f", "o"}),
    ({"f": 1, "m": 60, "o": 2, None: 9}, {"f", "o", None}),
    ({"f": 3, "m": 0, "o": 0, None: 0}, {"f", "m", "o", None}),
    ({"f": 0, "m": 0, "o": 0, None: 50}, {"f", "m", "o"}),
    ({"f": 40, "m": 60, "o": 20, None: 2}, set()),  # who did not say is no gender
    ({}, set()),
]


@pytest.mark.parametrize(("counts", "hidden"), TABLES)
def test_small_cells_are_withheld_and_cannot_be_reckoned(
    counts: dict[str | None, int], hidden: set[str | None]
) -> None:
    assert domain.withheld(counts, frozenset({None})) == hidden


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 12)))
def test_what_is_withheld_together_is_never_a_few_persons(counts: dict[str, int]) -> None:
    hidden = domain.withheld(counts)
    assert all(n >= domain.SMALLEST_CELL for key, n in counts.items() if key not in hidden)
    together = sum(counts[key] for key in hidden)
    assert together == 0 or together >= domain.SMALLEST_CELL or hidden == set(counts)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Éclairage", "eclairage"), ("KPANROUN à 20 m", "kpanroun a 20 m"), ("çÔ", "co"),
     ("Gbɛ̀gamɛ́y", "gbɛgamɛy"), ("ɔ̌", "ɔ"), ("Ṣẹ́", "se"), ("", "")],
)  # fmt: skip
def test_folding_takes_case_and_accents_off(text: str, plain: str) -> None:
    for form in ("NFC", "NFD"):
        assert domain.folded(unicodedata.normalize(form, text)) == plain
