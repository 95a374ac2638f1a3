"""Pabulib files: read strictly, counted by the command, and held against real elections."""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.voting import domain, pabulib
from services.voting.cli import app
from services.voting.domain import Ballot, Project

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("PALABRE_SHARED_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((SHARED / "pabulib").glob("*.pb"))

GOOD = """META
key;value
description;A test
country;Bénin
unit;Dogbo
instance;2026
num_projects;3
num_votes;4
budget;10
vote_type;approval
rule;greedy
date_begin;2026
date_end;2026
PROJECTS
project_id;cost;votes;name;selected
p1;6;3;"Puits; ""eau"" potable";1
p2;5.50;2;Piste;0
p3;4;2;Marché;1
VOTES
voter_id;vote
a;p1,p3
b;p3,p1
c;p1,p2
d;p2
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.pb"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    found = pabulib.read(write(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n")))
    assert found.budget == 10
    assert found.projects == (
        Project(1, "p1", 6),
        Project(2, "p2", Fraction(11, 2)),
        Project(3, "p3", 4),
    )
    assert found.ballots == (
        Ballot(((1, 1), (3, 1)), 2),
        Ballot(((1, 1), (2, 1))),
        Ballot(((2, 1),)),
    )
    assert found.voters == 4
    assert found.selected == frozenset({"p1", "p3"})
    assert found.official == {"p1": 3, "p2": 2, "p3": 2}


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("META\n", "", 1, "expected META"),
        ("key;value\n", "", 2, "columns key;value"),
        ("country;Bénin", "country", 4, "this one has 1 fields"),
        ("unit;Dogbo", "country;Togo", 5, "said twice"),
        ("unit;Dogbo\n", "", 13, "META lacks unit"),
        ("vote_type;approval", "vote_type;ordinal", 14, "vote_type 'ordinal' is not read"),
        ("budget;10", "budget;ten", 14, "budget is 'ten'"),
        ("budget;10", "budget;1e999999999", 14, "budget is '1e999999999'"),
        ("budget;10", "budget;0", 14, "less than 1"),
        ("PROJECTS\n", "", 14, "this one has 5 fields"),
        ("num_projects;3", "num_projects;4", 19, "num_projects is 4, but PROJECTS holds 3"),
        ("project_id;cost;votes;", "project_id;price;votes;", 15, "project_id;cost"),
        ("cost;votes;name;selected", "cost;tally;name;selected", 15, "votes or score"),
        ("cost;votes;name;selected", "cost;votes;cost;selected", 15, "a column is there twice"),
        ("p2;5.50;2", "p2;-1;2", 17, "cost is -1, less than 0"),
        ("p2;5.50;2", "p2;nan;2", 17, "cost is 'nan'"),
        ("p2;5.50;2", "p1;5.50;2", 17, "project 'p1' is there twice"),
        ("p2;5.50;2", "p,2;5.50;2", 17, "cannot be named"),
        ("p3;4;2;Marché;1", "p3;4;2;Marché", 18, "the row has 4 fields, its header 5"),
        ("p3;4;2;Marché;1", "p3;4;2;Marché;yes", 18, "selected is 'yes'"),
        (' potable"', " potable", 24, "unexpected end of data"),
        ("VOTES\n", "", 19, "the row has 2 fields"),
        ("VOTES", "BALLOTS", 19, "the row has 1 fields"),
        ("voter_id;vote\n", "", 20, "voter_id;vote"),
        ("c;p1,p2", "a;p1,p2", 23, "voter 'a' votes twice"),
        ("c;p1,p2", "c;p1,p9", 23, "'p9', which is no project"),
        ("c;p1,p2", "c;p1,p1", 23, "names a project twice"),
        ("c;p1,p2", "c;p1;p2", 23, "the row has 3 fields"),
        ("d;p2\n", "d;p2\ne;p2\n", 25, "num_votes is 4, this is one more"),
        ("d;p2\n", "", 23, "VOTES holds 3"),
        ("date_end;2026", "date_end;2026\nmax_length;1", 22, "names 2 projects, outside"),
    ],
)
def test_a_bad_file_is_named_by_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, what: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(pabulib.PabulibError) as caught:
        pabulib.read(path)
    if line is not None:
        assert str(caught.value).startswith(f"{path}:{line}: ")
    assert what in str(caught.value)


@pytest.mark.parametrize("length", range(0, len(GOOD.encode()), 7))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(pabulib.PabulibError, match=r"x\.pb:\d+: "):
        pabulib.read(write(tmp_path, GOOD.encode()[: length - len(GOOD.encode())]))


def test_bytes_that_are_no_text_and_endless_lines(tmp_path: Path) -> None:
    with pytest.raises(pabulib.PabulibError, match=r":4: byte 9 .* not UTF-8"):
        pabulib.read(write(tmp_path, GOOD.encode().replace("Bénin".encode(), b"\xff")))
    with pytest.raises(pabulib.PabulibError, match=r":1: the line has more than"):
        pabulib.read(write(tmp_path, b"M" * (pabulib.MAX_LINE + 1)))
    with pytest.raises(pabulib.PabulibError, match="No such file"):
        pabulib.read(tmp_path / "none.pb")


def test_points(tmp_path: Path) -> None:
    text = GOOD.replace("vote_type;approval", "vote_type;cumulative\nmax_sum_points;5")
    text = text.replace("voter_id;vote\n", "voter_id;vote;points\n")
    votes = "a;p1,p3;2,3\nb;p3,p1;3,2\nc;p1,p2;1,1\nd;p2;4\n"
    text = text[: text.index("a;p1")] + votes
    found = pabulib.read(write(tmp_path, text))
    assert found.ballots[0] == Ballot(((1, 2), (3, 3)), 2)
    for bad, what in [("d;p2;6", "more than max_sum_points"), ("d;p2;1,2", "gives 2 points")]:
        with pytest.raises(pabulib.PabulibError, match=what):
            pabulib.read(write(tmp_path, text.replace("d;p2;4", bad)))


def test_the_command_prints_json(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    ran = CliRunner().invoke(app, ["tally", str(path), "--rule", "greedy", "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert {k: found[k] for k in ("rule", "budget", "total_cost", "winners")} == {
        "rule": "greedy",
        "budget": 10,
        "total_cost": 10,
        "winners": ["p1", "p3"],
    }
    assert found["parameters"]["order"][1] == "cost ascending"
    assert found["rounds"][1] == {
        "rank": 2, "project": "p3", "cost": 4, "votes": 2, "remaining": 4, "outcome": "funded",
    }  # fmt: skip
    assert found["rounds"][2]["cost"] == 5.5
    ran = CliRunner().invoke(app, ["tally", str(path)])
    assert ran.exit_code == 0
    assert "2 winners, 10 of 10 spent" in ran.stdout


def test_the_command_refuses_with_2(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("d;p2\n", "d;p7\n"))
    ran = CliRunner().invoke(app, ["tally", str(path), "--rule", "greedy"])
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert ran.stderr == f"{path}:24: the vote names 'p7', which is no project\n"
    ran = CliRunner().invoke(app, ["tally", str(path), "--rule", "phragmen"])
    assert ran.exit_code == 2
    assert "no rule 'phragmen'; the rules are: greedy" in ran.stderr
    text = GOOD.replace("unit;Dogbo", "unit;Dogbo\nbudget_per_neighborhood;5,5")
    ran = CliRunner().invoke(app, ["tally", str(write(tmp_path, text))])
    assert ran.exit_code == 0
    assert "budget_per_neighborhood is not applied" in ran.stderr


needs_files = pytest.mark.skipif(
    not FILES, reason=f"no Pabulib files under {SHARED} (PALABRE_SHARED_DATA)"
)


@needs_files
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_real_elections(path: Path) -> None:
    """The votes we count are the official ones; so are the winners where greedy chose them."""
    found = pabulib.read(path)
    ours = domain.count(found.projects, found.ballots)
    assert {p.id: ours[p.number] for p in found.projects} == found.official
    if found.selected is None or found.meta["rule"] not in ("greedy", "greedy-threshold"):
        return
    threshold = int(found.meta.get("min_project_score_threshold", domain.MINIMUM_VOTES))
    result = domain.greedy(found.projects, found.ballots, found.budget, threshold)
    assert {p.id for p in result.winners} == found.selected
