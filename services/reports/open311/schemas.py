"""Shapes of Open311: parameters as they are sent, and the clients that hold keys."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, BinaryIO
from uuid import UUID

from pydantic import BaseModel, Field

from services.common.requests import Body, Line
from services.reports.open311.errors import BadParameters

_ATTRIBUTE = re.compile(r"attribute\[([\w.-]{1,60})\](?:\[\])?", re.ASCII)


class Jurisdiction(BaseModel):
    """What every question may name; an empty parameter equals an absent one."""

    jurisdiction_id: str = Field("", description="A commune's four-digit code, e.g. 0801")


class RequestsQuery(Jurisdiction):
    """What to list; lists are separated by commas, or the parameter is repeated."""

    service_request_id: list[str] = Field([], description="Overrides all other filters")
    service_code: list[str] = []
    start_date: str = Field("", description="W3C date and time, with its zone")
    end_date: str = Field("", description="At most 90 days after start_date")
    status: list[str] = Field([], description="open, closed")
    page: str = ""
    page_size: str = ""
    lat: str = ""
    long: str = ""
    radius: str = Field("", description="Metres around lat and long")


@dataclass(frozen=True, slots=True)
class Form:
    """A POST as it was sent: texts by name without the empty ones, and files."""

    texts: dict[str, list[str]]
    attributes: dict[str, list[str]]
    files: Sequence[BinaryIO] = field(default=())

    def get(self, name: str) -> str:
        """Return the last text of a name, an empty one when there is none."""
        return self.texts.get(name, [""])[-1]


def make_form(pairs: Iterable[tuple[str, str]], files: Sequence[BinaryIO] = ()) -> Form:
    """Sort the fields of a form."""
    texts: dict[str, list[str]] = {}
    attributes: dict[str, list[str]] = {}
    for name, value in pairs:
        if not value.strip():
            continue
        if match := _ATTRIBUTE.fullmatch(name):
            attributes.setdefault(match[1], []).append(value.strip())
        elif name.startswith("attribute"):
            raise BadParameters([("attribute", "written attribute[code] or attribute[code][]")])
        else:
            texts.setdefault(name, []).append(value.strip())
    return Form(texts, attributes, files)


class NewClient(Body):
    """Somebody else's software that will send reports."""

    name: Annotated[Line, Field(min_length=1, max_length=120)]
    test: bool = False


class ClientOut(BaseModel):
    """A client; with ``test`` its key opens the test endpoint only."""

    id: UUID
    commune: str
    name: str
    test: bool
    created_at: datetime
    revoked_at: datetime | None


class ClientIssued(ClientOut):
    """A client and its key, which nobody can read again."""

    key: str
