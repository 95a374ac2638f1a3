"""The table of phases and the dates around it."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.proposals import domain
from services.proposals.campaigns.schemas import NewCampaign
from services.proposals.domain import PHASES, RULES, PhaseDates

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 22, tzinfo=UTC)
CAMPAIGN = {"commune": "0801", "title": "Budget 2027", "budget": 45_000_000}


def dates(phase: domain.Phase, opens: int, closes: int) -> PhaseDates:
    return PhaseDates(phase, START + timedelta(days=opens), START + timedelta(days=closes))


def test_table_covers_every_phase_and_only_leads_forward() -> None:
    assert tuple(RULES) == PHASES
    for phase, rule in RULES.items():
        assert all(PHASES.index(following) > PHASES.index(phase) for following in rule.next)


def test_every_phase_but_results_is_reached_by_an_agent() -> None:
    reached = {following for rule in RULES.values() for following in rule.next}
    assert reached == set(PHASES) - {"preparation", "results"}


def test_nothing_of_a_proposal_changes_once_the_ballot_is_frozen() -> None:
    for phase in PHASES[PHASES.index("vote") :]:
        assert RULES[phase].open_to <= {"discuss", "work"}


@pytest.mark.parametrize(
    ("action", "phases"),
    [
        ("prepare", {"preparation", "ideas"}),
        ("draft", {"ideas"}),
        ("submit", {"ideas"}),
        ("review", {"ideas", "review"}),
        ("endorse", {"ideas", "review", "revision"}),
        ("edit", {"ideas", "revision"}),
        ("merge", {"ideas", "review"}),
        ("reconsider", {"review", "revision"}),
        ("discuss", set(PHASES) - {"preparation", "closed"}),
        ("work", {"results", "works"}),
    ],
)
def test_what_is_open_when(action: domain.Action, phases: set[domain.Phase]) -> None:
    assert {phase for phase, rule in RULES.items() if action in rule.open_to} == phases


def test_no_vote_without_a_shortlisted_proposal() -> None:
    assert domain.allowed_phases("review", 0) == ["revision"]
    assert domain.allowed_phases("review", 1) == ["revision", "vote"]
    assert domain.allowed_phases("vote", 5) == []


def test_a_vote_opens_now_and_ends_when_planned_or_after_two_weeks() -> None:
    later, earlier = START + timedelta(days=3), START - timedelta(days=1)
    two_weeks = START + timedelta(days=14)
    assert domain.vote_dates(later, START) == PhaseDates("vote", START, later)
    assert domain.vote_dates(earlier, START) == PhaseDates("vote", START, two_weeks)
    assert domain.vote_dates(None, START) == PhaseDates("vote", START, two_weeks)


@given(
    phases=st.sets(st.sampled_from(PHASES), min_size=1),
    days=st.lists(st.integers(0, 400), min_size=16, max_size=16, unique=True),
)
def test_ordered_dates_pass_and_reversed_ones_do_not(
    phases: set[domain.Phase], days: list[int]
) -> None:
    ordered = sorted(days)
    plan = [
        dates(phase, *ordered[2 * i : 2 * i + 2])
        for i, phase in enumerate(sorted(phases, key=PHASES.index))
    ]
    domain.check_phases(plan)
    if len(plan) > 1:
        with pytest.raises(ValueError, match="order"):
            domain.check_phases(plan[::-1])
    for before, after in pairwise(plan):
        overlapping = [before, PhaseDates(after.phase, before.opens_at, after.closes_at)]
        with pytest.raises(ValueError, match="overlap"):
            domain.check_phases(overlapping)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([dates("ideas", 2, 1)], "closes before it opens"),
        ([dates("ideas", 1, 1)], "closes before it opens"),
        ([dates("ideas", 0, 1), dates("ideas", 2, 3)], "each once"),
    ],
)
def test_bad_plans(plan: list[PhaseDates], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        domain.check_phases(plan)


@pytest.mark.parametrize(
    "opens_at", ["2026-11-23T08:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T00:00:00Z", ""]
)
def test_a_date_without_a_zone_or_out_of_reach_is_refused(opens_at: str) -> None:
    phase = {"phase": "ideas", "opens_at": opens_at, "closes_at": "2027-01-01T00:00:00Z"}
    with pytest.raises(ValidationError) as caught:
        NewCampaign.model_validate({**CAMPAIGN, "phases": [phase]})
    assert caught.value.errors()[0]["loc"] == ("phases", 0, "opens_at")


def test_dates_are_kept_in_utc() -> None:
    local = datetime(2026, 12, 1, 8, tzinfo=timezone(timedelta(hours=1)))
    phase = {"phase": "ideas", "opens_at": local, "closes_at": "2027-01-01T00:00:00Z"}
    found = NewCampaign.model_validate({**CAMPAIGN, "phases": [phase]}).phases[0]
    assert found.opens_at == local
    assert found.opens_at.tzinfo is UTC


@pytest.mark.parametrize("budget", [0, -1, 10**12 + 1, 1.5, 1000.0, "1000", True, None])
def test_money_is_a_whole_positive_number_of_francs(budget: object) -> None:
    phase = {
        "phase": "ideas",
        "opens_at": "2026-12-01T00:00:00Z",
        "closes_at": "2027-01-01T00:00:00Z",
    }
    with pytest.raises(ValidationError) as caught:
        NewCampaign.model_validate({**CAMPAIGN, "budget": budget, "phases": [phase]})
    assert {error["loc"] for error in caught.value.errors()} == {("budget",)}
