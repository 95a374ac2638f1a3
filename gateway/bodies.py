"""Bodies from slow or silent clients: bounded in time, and whole before anything is done with one.

A client that holds its body back then holds only its own connection, never one of ours.
"""

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds without a byte, and in all; a long body has a second more for each ``SLOWEST`` bytes
#: that came, so that photos get through a poor network.
SILENCE = 10.0
IN_ALL = 60.0
SLOWEST = 16 * 1024

TOO_SLOW = "The body stopped coming: send it again."

IN_MEMORY = 256 * 1024
CHUNK = 64 * 1024


class Patience:
    """ASGI middleware: 408 for a body that stops coming."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        end: float | None = None
        whole = False

        async def timed() -> Message:
            nonlocal end, whole
            if whole:
                return await receive()  # what comes now is the client's leaving
            end = clock() + IN_ALL if end is None else end
            try:
                async with asyncio.timeout_at(min(end, clock() + SILENCE)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, TOO_SLOW, {"Connection": "close"}) from None
            end += len(message.get("body", b"")) / SLOWEST
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, timed, send)


class Held:
    """A request's whole body, on disk when it is long; may be read again and again."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)
        self.size = 0

    @classmethod
    async def of(cls, request: Request) -> "Held":
        """Wait for the body of ``request``."""
        held = cls()
        try:
            async for chunk in request.stream():
                held.size += held._file.write(chunk)
        except BaseException:
            held.close()
            raise
        return held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body from its start."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def close(self) -> None:
        """Forget it."""
        self._file.close()
