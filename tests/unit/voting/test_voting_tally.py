"""The count against a deliberately naive twin, and the rules around it."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.voting import domain
from services.voting.domain import Amount, Ballot, Project, approval
from services.voting.explain import RULE_TEXT, sentences

pytestmark = pytest.mark.unit

NUMBERS = st.integers(1, 8)
COSTS = st.integers(1, 12) | st.fractions(1, 12, max_denominator=3)


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[Project], list[Ballot], int]:
    numbers = draw(st.lists(NUMBERS, min_size=1, unique=True))
    projects = [Project(n, f"p{n}", draw(COSTS)) for n in numbers]
    choices = st.sets(st.sampled_from(numbers))
    ballots = [approval(draw(choices)) for _ in range(draw(st.integers(0, 12)))]
    return projects, ballots, draw(st.integers(1, 30))


def naive_winners(projects: list[Project], ballots: list[Ballot], budget: int) -> list[str]:
    """Look at every ballot again for every question; pick one project at a time."""

    def votes(project: Project) -> int:
        return sum(
            ballot.weight
            for ballot in ballots
            if any(n == project.number for n, _ in ballot.points)
        )

    def goes_before(one: Project, other: Project) -> bool:
        if votes(one) != votes(other):
            return votes(one) > votes(other)
        if one.cost != other.cost:
            return one.cost < other.cost
        return one.number < other.number

    left: Amount = budget
    waiting, winners = list(projects), []
    while waiting:
        best = waiting[0]
        for project in waiting:
            if goes_before(project, best):
                best = project
        waiting.remove(best)
        if votes(best) > 0 and best.cost <= left:
            left = left - best.cost
            winners.append(best.id)
    return winners


@given(elections())
def test_greedy_is_its_naive_twin(election: tuple[list[Project], list[Ballot], int]) -> None:
    projects, ballots, budget = election
    result = domain.greedy(projects, ballots, budget)
    assert [p.id for p in result.winners] == naive_winners(projects, ballots, budget)
    assert result.total_cost <= budget
    assert sorted(r.project.number for r in result.rounds) == sorted(p.number for p in projects)
    assert set(sentences(result)) == {p.number for p in projects}


@given(elections(), st.randoms())
def test_merging_and_order_change_nothing(
    election: tuple[list[Project], list[Ballot], int], random: object
) -> None:
    projects, ballots, budget = election
    expected = domain.greedy(projects, ballots, budget)
    shuffled = [Ballot(b.points[::-1], b.weight) for b in ballots]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(projects)  # type: ignore[attr-defined]
    merged = domain.merged(shuffled)
    assert domain.greedy(projects, merged, budget) == expected
    assert len(merged) == len({b.points for b in ballots})
    assert sum(b.weight for b in merged) == len(ballots)


def test_equal_ballots_in_another_order_are_one_weighted_ballot() -> None:
    ballots = [approval([3, 1]), approval([1, 3]), Ballot(((3, 1), (1, 1)), 2), approval([3])]
    assert domain.merged(ballots) == [Ballot(((1, 1), (3, 1)), 4), Ballot(((3, 1),), 1)]


def test_points_are_counted_by_weight() -> None:
    projects = [Project(1, "a", 5), Project(2, "b", 5)]
    ballots = [Ballot(((1, 3), (2, 1)), 2), Ballot(((2, Fraction(11, 2)),))]
    assert domain.count(projects, ballots) == {1: 6, 2: Fraction(15, 2)}


def test_ties_go_to_the_cheaper_then_to_the_lower_number() -> None:
    projects = [Project(1, "dear", 6), Project(3, "late", 4), Project(2, "early", 4)]
    result = domain.greedy(projects, [approval([1, 2, 3])], 10)
    assert [r.project.id for r in result.rounds] == ["early", "late", "dear"]
    assert [p.id for p in result.winners] == ["early", "late"]
    said = sentences(result)
    assert "À égalité de voix" in said[1].fr
    assert "n° 2 et le n° 3" in said[1].fr
    assert "here no. 2 and no. 3" in said[1].en
    assert "égalité" not in said[2].fr


def test_what_does_not_fit_is_skipped_and_nothing_wins_without_a_vote() -> None:
    projects = [Project(1, "a", 700_000), Project(2, "b", 900_000), Project(3, "c", 300_000),
                Project(4, "d", 1)]  # fmt: skip
    ballots = [approval([1], 3), approval([2], 2), approval([3], 1)]
    result = domain.greedy(projects, ballots, 1_000_000)
    assert [(r.project.id, r.outcome, r.remaining) for r in result.rounds] == [
        ("a", "funded", 1_000_000),
        ("b", "does_not_fit", 300_000),
        ("c", "funded", 300_000),
        ("d", "too_few_votes", 0),
    ]
    said = sentences(result)
    assert said[1].fr == (
        "Financé : 3 voix (rang 1), et son coût de 700\u202f000 FCFA tenait dans les "
        "1\u202f000\u202f000 FCFA encore disponibles."
    )
    assert said[2].en == (
        "Not funded: 2 votes (rank 2), but it costs 900,000 FCFA and only 300,000 FCFA were left "
        "at its turn."
    )
    assert said[3].en.startswith("Funded: 1 vote (rank 3)")
    assert said[4].fr == "Non financé : aucune voix."


def test_a_definition_is_canonical_and_holds_all_that_decides() -> None:
    projects = [Project(2, "b", 3), Project(1, "é", 5)]
    text = domain.definition("greedy", "approval", 10, projects)
    assert text == domain.definition("greedy", "approval", 10, projects[::-1])
    assert " " not in text
    assert "é" in text
    said = json.loads(text)
    assert list(said) == sorted(said)
    assert said["order"] == [list(step) for step in domain.ORDER]
    assert said["projects"][0] == {"number": 1, "id": "é", "cost": 5}
    assert domain.fingerprint(text) == hashlib.sha256(text.encode()).hexdigest()
    for other in (
        domain.definition("greedy", "approval", 11, projects),
        domain.definition("greedy", "approval", 10, [Project(2, "b", 4), projects[1]]),
    ):
        assert domain.fingerprint(other) != domain.fingerprint(text)


@pytest.mark.parametrize(
    ("choices", "kind", "place"),
    [
        ([], "empty", None),
        (["a", "x"], "unknown", 1),
        (["a", "b", "a"], "repeated", 2),
        (["a", "b", "c"], "over_budget", None),
    ],
)
def test_choices_at_fault(choices: list[str], kind: str, place: int | None) -> None:
    fault = domain.fault(choices, {"a": 4, "b": 6, "c": 1}, 10)
    assert fault is not None
    assert (fault.kind, fault.place) == (kind, place)


def test_choices_may_cost_the_whole_budget() -> None:
    assert domain.fault(["b", "a"], {"a": 4, "b": 6}, 10) is None


def test_a_poll_opens_at_its_instant_and_is_over_at_its_end() -> None:
    opens = datetime(2026, 12, 1, 8, tzinfo=UTC)
    closes = opens + timedelta(days=1)
    tick = timedelta(microseconds=1)
    for now, state, expected in [
        (opens - tick, "open", "not_yet"),
        (opens, "open", "open"),
        (closes - tick, "open", "open"),
        (closes, "open", "over"),
        (opens, "closed", "closed"),
    ]:
        assert domain.window(state, opens, closes, now) == expected


def test_the_tie_rule_is_said_in_both_languages() -> None:
    assert "le moins cher" in RULE_TEXT["fr"]
    assert "the cheaper goes first" in RULE_TEXT["en"]
