"""Read Pabulib files (pabulib.org/format), strictly: every fault is named by its line.

The file is read once, line by line; equal ballots are merged as they come.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from services.voting.domain import Amount, Ballot, Project, approval

MAX_LINE = 1 << 20
MAX_PROJECTS = 100_000

_REQUIRED = (
    "description",
    "country",
    "unit",
    "instance",
    "num_projects",
    "num_votes",
    "budget",
    "vote_type",
    "rule",
    "date_begin",
    "date_end",
)
#: Vote types that give a project votes or points, and whether a points column says how many.
POINTS: Mapping[str, bool] = {
    "approval": False,
    "choose-1": False,
    "cumulative": True,
    "scoring": True,
}


class PabulibError(Exception):
    """What is wrong with a file, as ``FILE:LINE: what``."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An election read from a file.

    A project's ``number`` is its place in the file, from 1. ``official`` maps project ids to the
    votes (points, where ballots give points) that the file claims; ``selected`` is None where the
    file does not say who won.
    """

    meta: Mapping[str, str]
    budget: Amount
    projects: tuple[Project, ...]
    ballots: tuple[Ballot, ...]
    voters: int
    official: Mapping[str, Amount]
    selected: frozenset[str] | None


def read(path: Path) -> Instance:
    """Read a file; :class:`PabulibError` for anything that is not the format, or not readable."""
    try:
        with path.open("rb") as file:
            return _Reader(path, file).read()
    except OSError as error:
        raise PabulibError(f"{path}: {error.strerror}") from None


class _Reader:
    """One pass over one file; ``line`` is where it is."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.line = 0
        self._rows = csv.reader(self._lines(file), delimiter=";", strict=True)

    def fail(self, what: str) -> PabulibError:
        return PabulibError(f"{self.path}:{max(self.line, 1)}: {what}")

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        while raw := file.readline(MAX_LINE + 1):
            self.line += 1
            if len(raw) > MAX_LINE:
                raise self.fail(f"the line has more than {MAX_LINE} bytes")
            try:
                yield raw.decode("utf-8-sig" if self.line == 1 else "utf-8").rstrip("\r\n") + "\n"
            except UnicodeDecodeError as error:
                raise self.fail(f"byte {error.start + 1} of the line is not UTF-8") from None

    def row(self) -> list[str] | None:
        """Return the next row that is not empty, None at the end."""
        try:
            for row in self._rows:
                if row and row != [""]:
                    return row
        except csv.Error as error:
            raise self.fail(str(error)) from None
        return None

    def read(self) -> Instance:
        meta = self._meta()
        kind = meta["vote_type"]
        if kind not in POINTS:
            raise self.fail(f"vote_type {kind!r} is not read: {', '.join(POINTS)} are")
        budget = self._number(meta["budget"], "budget", low=1)
        wanted = self._whole(meta["num_projects"], "num_projects")
        by_name, official, selected = self._projects(POINTS[kind])
        if len(by_name) != wanted:
            raise self.fail(f"num_projects is {wanted}, but PROJECTS holds {len(by_name)}")
        ballots, voters = self._votes(meta, by_name)
        return Instance(meta, budget, tuple(by_name.values()), ballots, voters, official, selected)

    def _meta(self) -> dict[str, str]:
        self._expect(["META"], self.row())
        self._header(("key", "value"), self.row())
        meta: dict[str, str] = {}
        while (row := self.row()) != ["PROJECTS"]:
            if row is None:
                raise self.fail("the file ends before PROJECTS")
            if len(row) != 2:
                raise self.fail(f"META rows are key;value, this one has {len(row)} fields")
            if row[0] in meta:
                raise self.fail(f"{row[0]!r} is said twice in META")
            meta[row[0]] = row[1].strip()
        missing = [key for key in _REQUIRED if not meta.get(key)]
        if missing:
            raise self.fail(f"META lacks {', '.join(missing)}")
        return meta

    def _projects(
        self, points: bool
    ) -> tuple[dict[str, Project], dict[str, Amount], frozenset[str] | None]:
        header = self._header(("project_id", "cost"), self.row())
        counted = "score" if points and "score" in header else "votes"
        if counted not in header and "score" not in header:
            raise self.fail("PROJECTS needs a column votes or score")
        found: dict[str, Project] = {}
        official: dict[str, Amount] = {}
        selected = set()
        while (row := self.row()) != ["VOTES"]:
            if row is None:
                raise self.fail("the file ends before VOTES")
            fields = self._fields(header, row)
            name = fields["project_id"].strip()
            if not name or "," in name:
                raise self.fail(f"project_id {name!r} cannot be named in a vote")
            if name in found:
                raise self.fail(f"project {name!r} is there twice")
            if len(found) == MAX_PROJECTS:
                raise self.fail(f"more than {MAX_PROJECTS} projects")
            cost = self._number(fields["cost"], "cost", low=0)
            found[name] = Project(len(found) + 1, name, cost)
            if counted in fields:
                official[name] = self._number(fields[counted], counted)
            if fields.get("selected", "0") not in ("0", "1"):
                raise self.fail(f"selected is {fields['selected']!r}, not 0 or 1")
            if fields.get("selected") == "1":
                selected.add(name)
        return found, official, frozenset(selected) if "selected" in header else None

    def _votes(
        self, meta: Mapping[str, str], projects: Mapping[str, Project]
    ) -> tuple[tuple[Ballot, ...], int]:
        with_points = POINTS[meta["vote_type"]]
        wanted = self._whole(meta["num_votes"], "num_votes")
        columns = ("voter_id", "vote", "points") if with_points else ("voter_id", "vote")
        header = self._header(columns, self.row())
        limits = self._limits(meta)
        weights: dict[Ballot, int] = {}
        voters: set[str] = set()
        while (row := self.row()) is not None:
            fields = self._fields(header, row)
            if fields["voter_id"] in voters:
                raise self.fail(f"voter {fields['voter_id']!r} votes twice")
            voters.add(fields["voter_id"])
            if len(voters) > wanted:
                raise self.fail(f"num_votes is {wanted}, this is one more")
            ballot = self._ballot(fields, projects, with_points, limits)
            weights[ballot] = weights.get(ballot, 0) + 1
        if len(voters) != wanted:
            raise self.fail(f"num_votes is {wanted}, but VOTES holds {len(voters)}")
        return tuple(Ballot(b.points, weight) for b, weight in weights.items()), len(voters)

    def _ballot(
        self,
        fields: Mapping[str, str],
        projects: Mapping[str, Project],
        with_points: bool,
        limits: Mapping[str, Amount],
    ) -> Ballot:
        names = fields["vote"].split(",") if fields["vote"] else []
        for name in names:
            if name not in projects:
                raise self.fail(f"the vote names {name!r}, which is no project")
        if len(set(names)) != len(names):
            raise self.fail("the vote names a project twice")
        size = len(names)
        if not limits.get("min_length", 0) <= size <= limits.get("max_length", size):
            raise self.fail(f"the vote names {size} projects, outside min_length and max_length")
        numbers = [projects[name].number for name in names]
        if not with_points:
            return approval(numbers)
        given = fields["points"].split(",") if fields["points"] else []
        if len(given) != size:
            raise self.fail(f"the vote names {size} projects and gives {len(given)} points")
        points = [self._number(text, "points") for text in given]
        if sum(points) > limits.get("max_sum_points", sum(points)):
            raise self.fail(f"the vote gives {sum(points)} points, more than max_sum_points")
        return Ballot(tuple(sorted(zip(numbers, points, strict=True))))

    def _limits(self, meta: Mapping[str, str]) -> dict[str, Amount]:
        names = ("min_length", "max_length", "max_sum_points")
        return {name: self._number(meta[name], name) for name in names if meta.get(name)}

    def _expect(self, wanted: list[str], row: list[str] | None) -> None:
        if row != wanted:
            raise self.fail(f"expected {wanted[0]} here")

    def _header(self, wanted: Sequence[str], row: list[str] | None) -> list[str]:
        header = [name.strip() for name in row or []]
        if any(name not in header for name in wanted):
            raise self.fail(f"expected the columns {';'.join(wanted)} here")
        if len(set(header)) != len(header):
            raise self.fail("a column is there twice")
        return header

    def _fields(self, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
        if len(row) != len(header):
            raise self.fail(f"the row has {len(row)} fields, its header {len(header)}")
        return dict(zip(header, row, strict=True))

    def _whole(self, value: str, name: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 16):
            raise self.fail(f"{name} is {value[:40]!r}, not a whole number")
        return int(value)

    def _number(self, value: str, name: str, low: int | None = None) -> Amount:
        """Read a decimal number exactly; no exponents: they could ask for any memory."""
        plain = value.strip()
        digits = plain.removeprefix("-").replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 30):
            raise self.fail(f"{name} is {value[:40]!r}, not a number")
        found = Fraction(plain)
        if low is not None and found < low:
            raise self.fail(f"{name} is {plain}, less than {low}")
        return found.numerator if found.denominator == 1 else found
