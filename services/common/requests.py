"""What every API reads alike: bodies, texts, ids or references, pages by cursor."""

import base64
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict

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
        return moment, UUID(last)
    except ValueError:
        raise Invalid("This cursor is not ours.", "/cursor") from None


After = Annotated[Place | None, Depends(read_cursor)]
