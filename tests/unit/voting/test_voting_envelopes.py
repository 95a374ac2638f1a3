"""A budget in parts: each envelope is counted as if it were alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.voting import domain
from services.voting.domain import Envelope, Project, approval
from services.voting.explain import rule_text, sentences

pytestmark = pytest.mark.unit

EAST, WEST = Envelope("e", "Est", 10), Envelope("w", "Ouest", 6)
PARTS = [EAST, WEST]


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[Project], list[set[int]]]:
    numbers = draw(st.lists(st.integers(1, 8), min_size=1, unique=True))
    projects = [
        Project(n, f"p{n}", draw(st.integers(1, 12)), draw(st.sampled_from(["e", "w"])))
        for n in numbers
    ]
    choices = st.sets(st.sampled_from(numbers))
    return projects, draw(st.lists(choices, max_size=12))


@given(elections())
def test_each_envelope_is_counted_as_if_it_were_alone(
    election: tuple[list[Project], list[set[int]]],
) -> None:
    projects, given_choices = election
    ballots = [approval(choices) for choices in given_choices]
    result = domain.tally("greedy", projects, ballots, 16, PARTS)
    assert sorted(r.project.number for r in result.rounds) == sorted(p.number for p in projects)
    for envelope in PARTS:
        inside = [p for p in projects if p.envelope == envelope.id]
        numbers = {p.number for p in inside}
        own = [approval(choices & numbers) for choices in given_choices]
        alone = domain.greedy(inside, own, envelope.amount)
        found = [r for r in result.rounds if r.envelope == envelope]
        assert [(r.project, r.rank, r.votes, r.remaining, r.outcome) for r in found] == [
            (r.project, r.rank, r.votes, r.remaining, r.outcome) for r in alone.rounds
        ]
        assert sum(r.project.cost for r in found if r.outcome == "funded") <= envelope.amount
    assert set(sentences(result)) == {p.number for p in projects}


@given(elections())
def test_one_envelope_is_the_whole_budget(
    election: tuple[list[Project], list[set[int]]],
) -> None:
    projects, given_choices = election
    ballots = [approval(choices) for choices in given_choices]
    whole = domain.greedy(projects, ballots, 16)
    for envelopes in ([], [Envelope("e", "Toute la commune", 16)]):
        assert domain.tally("greedy", projects, ballots, 16, envelopes) == whole
        assert domain.definition(
            "greedy", "approval", 16, projects, envelopes
        ) == domain.definition("greedy", "approval", 16, projects)


def test_a_definition_says_the_envelopes_that_decide() -> None:
    projects = [Project(1, "a", 5, "e"), Project(2, "b", 3, "w")]
    plain = domain.definition("greedy", "approval", 16, projects)
    # The text that elections before envelopes were pinned by.
    assert plain == (
        '{"ballot":{"maximum_cost":16,"minimum_choices":1,"type":"approval"},"budget":16,'
        '"minimum_votes":1,"order":[["votes","descending"],["cost","ascending"],'
        '["number","ascending"]],"project_that_does_not_fit":"skip","projects":'
        '[{"cost":5,"id":"a","number":1},{"cost":3,"id":"b","number":2}],"rule":"greedy"}'
    )
    said = json.loads(domain.definition("greedy", "approval", 16, projects, PARTS))
    assert said["envelopes"] == [{"id": "e", "amount": 10}, {"id": "w", "amount": 6}]
    assert [p["envelope"] for p in said["projects"]] == ["e", "w"]
    moved = [projects[0], Project(2, "b", 3, "e")]
    richer = [EAST, Envelope("w", "Ouest", 7)]
    texts = {
        domain.definition("greedy", "approval", 16, some, parts)
        for some, parts in [(projects, PARTS), (moved, PARTS), (projects, richer),
                            (projects, PARTS[::-1])]
    }  # fmt: skip
    assert len(texts) == 4


def test_a_sentence_speaks_of_its_own_envelope() -> None:
    projects = [Project(1, "a", 6, "e"), Project(2, "b", 6, "w"), Project(3, "c", 7, "e")]
    result = domain.tally("greedy", projects, [approval([1, 2, 3], 2)], 16, PARTS)
    assert [(r.project.id, r.rank, r.remaining, r.outcome) for r in result.rounds] == [
        ("a", 1, 10, "funded"), ("c", 2, 4, "does_not_fit"), ("b", 1, 6, "funded"),
    ]  # fmt: skip
    said = sentences(result)
    assert said[2].fr == (
        "Financé : 2 voix (rang 1 de l’enveloppe « Ouest »), et son coût de 6 FCFA tenait dans "
        "les 6 FCFA encore disponibles dans cette enveloppe."
    )
    # Number 2 has as many votes and won, but not this envelope's money.
    assert said[3].en == (
        "Not funded: 2 votes (rank 2 in the envelope “Est”), but it costs 7 FCFA and only 4 FCFA "
        "were left in this envelope at its turn. With equal votes, the cheaper and then the lower "
        "number goes first: here no. 1."
    )
    assert rule_text(True)["fr"].startswith(rule_text(False)["fr"])
    assert "enveloppe" in rule_text(True)["fr"]


def test_a_ballot_may_cost_what_each_envelope_holds() -> None:
    costs = {"a": 6, "b": 5, "c": 6, "d": 4}
    inside: dict[str, str | None] = {"a": "e", "b": "e", "c": "w", "d": "e"}
    assert domain.fault(["a", "d", "c"], costs, 16, PARTS, inside) is None
    fault = domain.fault(["a", "b"], costs, 16, PARTS, inside)
    assert fault == domain.Fault("over_budget", total=11, envelope=EAST)
    # Where the budget is not parted only the whole of it bounds a ballot.
    assert domain.fault(["a", "b"], costs, 16, [EAST], inside) is None
