"""Shapes of the voting API."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.common.requests import Body, Words
from services.voting.domain import Outcome, Window

CommuneCode = Annotated[str, Field(pattern=r"^[0-9]{4}$")]


class BallotIn(BaseModel):
    """An approval ballot: project ids; ``replace_token`` to replace the ballot it was given for."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    choices: list[UUID] = Field(max_length=1000)
    replace_token: str | None = Field(None, max_length=100)


class Closing(Body):
    """Why the vote closes before its announced end; later no reason is needed."""

    reason: Annotated[Words, Field(max_length=1000)] = ""


class Accepted(BaseModel):
    """The ballot is in: keep the token to change it until the close, and the receipt."""

    receipt: str
    replace_token: str
    accepted_at: datetime = Field(description="only the hour")


class EnvelopeOut(BaseModel):
    """A part of the budget (FCFA), for which its own projects compete."""

    id: UUID
    name: str
    amount: int


class ProjectOut(BaseModel):
    """A project as it stands on the ballot."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    ref: str
    number: int
    title: str
    cost: int
    theme: str | None
    arrondissement: str | None
    lon: float | None
    lat: float | None
    envelope: UUID | None


class Limits(BaseModel):
    """What a ballot must keep to."""

    minimum_choices: int
    maximum_cost: int


class ElectionSummary(BaseModel):
    """One election in a list; ``voting`` tells whether ballots are taken now."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    campaign: UUID
    commune: str
    title: str
    state: Literal["open", "closed"]
    voting: Window
    ballot_type: str
    rule: str
    rule_hash: str
    budget: int
    opens_at: datetime
    closes_at: datetime
    closed_at: datetime | None


class ElectionDetail(ElectionSummary):
    """One election; ``rule_hash`` is the SHA-256 of ``rule_definition`` as it is written here.

    Where there are two ``envelopes`` or more, a ballot may cost in each what it holds.
    """

    limits: Limits
    envelopes: list[EnvelopeOut]
    rule_definition: str
    rule_text: dict[str, str]
    projects: list[ProjectOut]


class ElectionPage(BaseModel):
    """A page of elections, the last to open first."""

    items: list[ElectionSummary]
    next: str | None


class ProjectResultOut(BaseModel):
    """How a project ended and why; ``remaining`` is the money left when its turn came.

    Where the budget has several envelopes, ``rank`` and ``remaining`` are those of its envelope.
    """

    id: UUID
    ref: str
    number: int
    title: str
    cost: int
    votes: int
    rank: int
    remaining: int
    outcome: Outcome
    funded: bool
    envelope: UUID | None = None
    sentence: str
    sentence_en: str


class Results(BaseModel):
    """The published count; projects and ``winners`` in the order of the count.

    That is by envelope where the budget has several.
    """

    election: UUID
    campaign: UUID
    commune: str
    title: str
    rule: str
    rule_hash: str
    rule_text: dict[str, str]
    budget: int
    total_cost: int
    envelopes: list[EnvelopeOut] = []
    turnout: int
    winners: list[UUID]
    projects: list[ProjectResultOut]
    reason: str = Field("", description="why the vote closed before its announced end, if it did")
    closed_at: datetime
    published_at: datetime
