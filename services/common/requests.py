"""What every API reads alike: bodies, texts, ids or references, pages by cursor."""

import base64
import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from services.common.problems import Invalid

MAX_REF = 40

Limit = Annotated[int, Query(ge=1, le=200)]


class Body(BaseModel):
    """A request body: unknown fields are refused, texts are stripped."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def no_nul(value: str) -> str:
    """Refuse U+0000, which PostgreSQL cannot store."""
    if "\x00" in value:
        raise ValueError("NUL characters are not allowed")
    return value


Text = Annotated[str, AfterValidator(no_nul)]

#: Categories of characters that nobody sees; and letters and symbols that are blank all the same.
_UNSEEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zs", "Zl", "Zp", "Mn", "Me"}
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"


def visible(value: str) -> str:
    """Return ``value``; ``ValueError`` for words in which there is nothing to see."""
    if value and all(unicodedata.category(c) in _UNSEEN or c in _BLANK for c in value):
        raise ValueError("there is nothing to read in this")
    return value


#: A :data:`Text` that people are to read: unless it is empty, at least one letter, digit or symbol
#: of it can be seen. With ``min_length=1`` it is a reason or a note that cannot be left out.
Words = Annotated[Text, AfterValidator(visible)]

#: Unicode categories that a line of text has no use for: controls, line and paragraph separators.
#: Of the invisible "format" characters only the joiners that scripts need are let through.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def one_line(value: str) -> str:
    """Refuse what would make a title empty, misleading or longer than its line."""
    if any(unicodedata.category(c) in _HIDDEN and c not in _JOINERS for c in value):
        raise ValueError("control characters are not allowed")
    if value and not any(c.isalnum() for c in value):
        raise ValueError("there must be a letter or a digit")
    return value


#: A title, a name: one visible line.
Line = Annotated[str, AfterValidator(one_line)]


def near_year(value: datetime) -> datetime:
    """Return the UTC time; refuse years that PostgreSQL or Python may not give back."""
    if not 2000 <= value.year <= 2100:
        raise ValueError("a date lies between 2000 and 2100")
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(near_year)]


def id_or_ref(value: str) -> UUID | str:
    """Read an id, or a reference as a person may type it."""
    try:
        return UUID(value)
    except ValueError:
        return value.strip().upper()[:MAX_REF].replace("\x00", "")


#: Where a page of a list begins: after the row of this time and id, in the list's order.
Place = tuple[datetime, UUID]


def next_link(request: Request, at: datetime, last: UUID) -> str:
    """Return the relative URL of the page that follows the row ``(at, last)``."""
    cursor = base64.urlsafe_b64encode(f"{at.isoformat()} {last}".encode()).decode()
    return f"{request.url.path}?{urlencode({**request.query_params, 'cursor': cursor})}"


def read_cursor(
    cursor: Annotated[str | None, Query(max_length=120, description="from `next`")] = None,
) -> Place | None:
    """Read the cursor of :func:`next_link` back; :class:`Invalid` for any other text."""
    if cursor is None:
        return None
    try:
        at, last = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
        return near_year(moment), UUID(last)
    except ValueError:
        raise Invalid("This cursor is not ours.", "/cursor") from None


After = Annotated[Place | None, Depends(read_cursor)]
