"""Photos that are not everybody's: an ``<img>`` carries no token, but a session does."""

from collections.abc import Iterator
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from gateway.session import ApiDep, SignedIn

router = APIRouter(include_in_schema=False)

#: What of the service's answer is passed on.
KEPT = ("content-type", "content-disposition", "content-security-policy")


@router.get("/fichiers/{file}")
def show(
    file: UUID, api: ApiDep, _person: SignedIn, size: Literal["full", "thumb"] = "full"
) -> StreamingResponse:
    """Show a file as the signed-in person may see it."""
    answer = api.show_file(str(file), size)

    def pieces() -> Iterator[bytes]:
        try:
            yield from answer.iter_bytes()
        finally:
            answer.close()

    headers = {name: answer.headers[name] for name in KEPT if name in answer.headers}
    return StreamingResponse(pieces(), headers=headers | {"Cache-Control": "private, no-store"})
