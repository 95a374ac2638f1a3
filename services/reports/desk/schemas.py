"""Shapes of the desk's API."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from services.common.requests import Body, Line, Moment, Text
from services.reports.desk.domain import MAX_BULK, MAX_RULES, Rule
from services.reports.domain import CATEGORIES, MAX_PHOTOS, Status
from services.reports.schemas import (
    AgencyCode,
    ArrondissementCode,
    CategoryCode,
    Correction,
    Description,
    Landmark,
    Note,
    Seen,
    StatusUpdate,
    Unmerge,
)

Sort = Literal["newest", "oldest", "due", "supports", "updated"]
Reference = Annotated[Text, Field(min_length=1, max_length=40)]
Days = Annotated[int, Field(ge=0, le=250)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MINUTE = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _assignee(value: str) -> str:
    if value not in ("me", "none"):
        UUID(value)
    return value


Assignee = Annotated[str, Field(max_length=40), AfterValidator(_assignee)]


class Changed(BaseModel):
    """A report after a change: the version that the next change should name."""

    ref: str
    version: int
    status: Status
    agency: str | None
    assignee: UUID | None
    hidden: bool
    updated_at: datetime


class Assignment(Body):
    """Another service, another agent, or both; an ``assignee`` of null is nobody any more."""

    agency: AgencyCode | None = None
    assignee: UUID | None = None
    internal_note: Note = ""
    version: Seen = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.agency is None and "assignee" not in self.model_fields_set:
            raise ValueError("give an agency or an assignee")
        return self


class Notes(Body):
    """What the mairie says or keeps in mind without changing the status."""

    public_note: Note = ""
    internal_note: Note = ""
    version: Seen = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.public_note and not self.internal_note:
            raise ValueError("give a public or an internal note")
        return self


class Moderation(Body):
    """What the public sees of a report; a ``text`` of null shows the reporter's own words again.

    ``hide`` and ``show`` name attached photos or the voice note; ``notes`` maps versions of the
    citizen's own lines of history to the words to show instead.
    """

    hidden: bool | None = None
    text: Description | None = None
    landmark: Landmark | None = None
    notes: dict[int, Note] = Field(default_factory=dict, max_length=50)
    hide: list[UUID] = Field(default_factory=list, max_length=MAX_PHOTOS + 1)
    show: list[UUID] = Field(default_factory=list, max_length=MAX_PHOTOS + 1)
    reason: Note = Field(min_length=1)
    version: Seen = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        text = "text" in self.model_fields_set
        changes = (text, self.landmark is not None, self.notes, self.hide, self.show)
        if self.hidden is None and not any(changes):
            raise ValueError("say what to hide, show or replace")
        if set(self.hide) & set(self.show):
            raise ValueError("a photo is either hidden or shown")
        return self


class _Action(Body):
    @model_validator(mode="after")
    def _no_version(self) -> Self:
        if getattr(self, "version", None) is not None:
            raise ValueError("versions of single reports go into versions")
        return self


class StatusAction(_Action, StatusUpdate):
    """One status for all."""

    type: Literal["status"]


class AssignAction(_Action, Assignment):
    """One service or agent for all."""

    type: Literal["assign"]


class CorrectAction(_Action, Correction):
    """One category or commune for all."""

    type: Literal["correct"]


class NoteAction(_Action, Notes):
    """One note for all."""

    type: Literal["note"]


class ModerateAction(_Action, Moderation):
    """One moderation for all."""

    type: Literal["moderate"]


class UnmergeAction(_Action, Unmerge):
    """Part all from what they were merged into."""

    type: Literal["unmerge"]


Action = Annotated[
    StatusAction | AssignAction | CorrectAction | NoteAction | ModerateAction | UnmergeAction,
    Field(discriminator="type"),
]


class Bulk(Body):
    """One action on many reports; ``versions`` says which version of a ref the agent had seen."""

    refs: list[Reference] = Field(min_length=1, max_length=MAX_BULK)
    action: Action
    versions: dict[Reference, Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field(
        default_factory=dict, max_length=MAX_BULK
    )


class Outcome(BaseModel):
    """What became of one report: its new version, or the problem (code, detail and more)."""

    ref: str
    ok: bool
    version: int | None = None
    status: Status | None = None
    problem: dict[str, Any] | None = None


class BulkDone(BaseModel):
    """What became of each report, in the order asked."""

    done: int
    refused: int
    outcomes: list[Outcome]


class AgentIn(Body):
    """How colleagues call an agent; ``user_id`` is another person, for who may grant roles."""

    name: Line = Field(min_length=1, max_length=80)
    agency: AgencyCode | None = None
    user_id: UUID | None = None


class Agent(BaseModel):
    """An agent of the commune."""

    user_id: UUID
    name: str
    agency: str | None


class Target(Body):
    """Working days to answer and to repair a category."""

    category: CategoryCode
    answer_days: Days
    repair_days: Days

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.answer_days > self.repair_days:
            raise ValueError("the answer comes before the repair")
        return self


class TargetOut(Target):
    """A target, and whether it is the commune's ``own`` or the usual one."""

    own: bool


class TargetsIn(Body):
    """All of the commune's own targets: a category that is missing takes the usual one.

    ``expected`` is the ``hash`` of the list that the writer had seen.
    """

    targets: list[Target] = Field(max_length=len(CATEGORIES))
    expected: Hash | None = None

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({target.category for target in self.targets}) < len(self.targets):
            raise ValueError("a category has one target")
        return self


class Targets(BaseModel):
    """The target of each category, in display order."""

    targets: list[TargetOut]
    hash: str


class TargetsDone(Targets):
    """The same after a change; ``changed`` open reports have another due date now."""

    changed: int


class RuleIn(Body):
    """Send what fits to ``agency``; hours are local, HH:MM, and may pass midnight."""

    category: CategoryCode | None = None
    arrondissement: ArrondissementCode | None = None
    from_time: Annotated[str, Field(pattern=MINUTE)] | None = None
    to_time: Annotated[str, Field(pattern=MINUTE)] | None = None
    agency: AgencyCode

    @model_validator(mode="after")
    def _hours(self) -> Self:
        if (self.from_time is None) != (self.to_time is None):
            raise ValueError("from_time and to_time go together")
        if self.from_time is not None and self.from_time == self.to_time:
            raise ValueError("these hours are empty: leave both out for the whole day")
        return self

    def rule(self) -> Rule:
        """Return the rule itself."""
        hours = (time.fromisoformat(t) if t else None for t in (self.from_time, self.to_time))
        return Rule(self.agency, self.category, self.arrondissement, *hours)

    @classmethod
    def of(cls, rule: Rule) -> "RuleIn":
        """Return the shape of a stored rule."""
        hours = (t.strftime("%H:%M") if t else None for t in (rule.from_time, rule.to_time))
        return cls(
            category=rule.category,
            arrondissement=rule.arrondissement,
            agency=rule.agency,
            **dict(zip(("from_time", "to_time"), hours, strict=True)),
        )


Rules = Annotated[list[RuleIn], Field(max_length=MAX_RULES)]


class RoutingIn(Body):
    """All rules in order; ``expected`` is the ``hash`` of the list that the writer had seen."""

    rules: Rules
    expected: Hash | None = None


class Routing(BaseModel):
    """All rules in order: the first that fits decides, else the category's agency."""

    rules: list[RuleIn]
    hash: str


class DryRunIn(Body):
    """Rules to try on the reports received from ``since`` to ``until``: the last 30 days."""

    rules: Rules
    since: Moment | None = None
    until: Moment | None = None


class Move(BaseModel):
    """How many reports would go from one agency to another."""

    source: str = Field(serialization_alias="from")
    to: str
    count: int


class Example(BaseModel):
    """A report that would go elsewhere."""

    ref: str
    category: str
    arrondissement: str | None
    received_at: datetime
    source: str = Field(serialization_alias="from")
    to: str


class DryRunOut(BaseModel):
    """What the rules would have done.

    ``changed`` counts reports that would not be where they are today (agents' own changes
    included); ``changed_by_present`` is the same for the rules in force, to compare with;
    ``differs`` counts reports on which the two lists of rules disagree.
    """

    since: datetime
    until: datetime
    reports: int
    changed: int
    changed_by_present: int
    differs: int
    matrix: list[Move]
    by_category: dict[str, int]
    examples: list[Example]


class Stop(BaseModel):
    """A report to look at on a round; ``leg_m`` is the way from the stop before it."""

    ref: str
    category: str
    status: Status
    summary: str
    landmark: str
    arrondissement: str | None
    agency: str | None
    supports: int
    due_at: datetime | None
    overdue: bool
    photo: str | None
    lon: float | None
    lat: float | None
    leg_m: float | None


class Unplaced(BaseModel):
    """Reports of an arrondissement whose point nobody knows."""

    arrondissement: str
    name: str
    reports: list[Stop]


class Round(BaseModel):
    """A field round; ``left_out`` reports with a point did not fit in."""

    start_lon: float
    start_lat: float
    distance_m: float
    stops: list[Stop]
    left_out: int
    unplaced: list[Unplaced]
    unplaced_left_out: int


class OpenReport(BaseModel):
    """A report that still waits, and the version to name when it is closed."""

    id: UUID
    ref: str
    version: int
    status: Status
    category: str
    summary: str
    landmark: str


class FinishedWork(BaseModel):
    """A finished work, the proposal that it was, and the reports that led to it and wait."""

    ref: str
    proposal: str
    completed_at: datetime
    reports: list[OpenReport]


class FinishedWorks(BaseModel):
    """What may be closed now, the latest works first."""

    items: list[FinishedWork]


class Hours(BaseModel):
    """Half of the reports took no longer than ``median`` hours, nine in ten no longer than p90."""

    median: float | None
    p90: float | None


class OnTime(BaseModel):
    """``rate`` of the ``decided`` reports: done, or past their due date."""

    rate: float | None
    on_time: int
    decided: int


class Figures(BaseModel):
    """One cell of the dashboard: of the reports received, save what was ``closed`` meanwhile."""

    received: int
    closed: int
    answer_on_time: OnTime
    repair_on_time: OnTime
    answer_hours: Hours
    repair_hours: Hours


class Row(BaseModel):
    """A line of a table; figures are null where they are ``suppressed``: too few persons."""

    key: str | None
    name: str | None = None
    population: int | None = None
    per_1000: float | None = None
    suppressed: bool = False
    now: Figures | None
    before: Figures | None


class Volume(BaseModel):
    """What came in and was closed in a month or week that begins on ``start``."""

    start: date
    received: int
    closed: int


class Series(BaseModel):
    """A period and the one before it, month by month or week by week."""

    step: Literal["month", "week"]
    now: list[Volume]
    before: list[Volume]


class Total(Row):
    """All of the commune; duplicates and withdrawn reports are counted here and nowhere else."""

    duplicates: Mapping[str, int]
    withdrawn: Mapping[str, int]


class Stats(BaseModel):
    """The dashboard of [since, until) against [previous_since, since).

    A problem counts once: reports merged into another (``duplicates``) and those their authors
    took back (``withdrawn``) are in no volume, rate or time.
    """

    since: datetime
    until: datetime
    previous_since: datetime
    open_now: int
    overdue_now: int
    total: Total
    by_category: list[Row]
    by_arrondissement: list[Row]
    by_channel: list[Row]
    by_gender: list[Row]
    series: Series
