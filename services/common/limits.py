"""Bound the size of request bodies before anything is parsed."""

from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.problems import problem

DEFAULT_BYTES = 256 * 1024


def refuse(_: Scope, limit: int) -> Response:
    """Return the answer to a body of more than ``limit`` bytes."""
    return problem(413, "too_large", f"The body may have {limit} bytes at most.")


class BodyLimit:
    """ASGI middleware: 413 for a body over its path's limit, declared or streamed.

    ``limits`` maps a path prefix to bytes; the first match holds, else :data:`DEFAULT_BYTES`.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Mapping[str, int] | None = None,
        refuse: Callable[[Scope, int], ASGIApp] = refuse,
    ) -> None:
        self.app = app
        self.limits = dict(limits or {})
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next(
            (n for prefix, n in self.limits.items() if scope["path"].startswith(prefix)),
            DEFAULT_BYTES,
        )
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await self.refuse(scope, limit)(scope, receive, send)
            return
        seen = 0
        started = False

        async def count() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooMuch
            return message

        async def watch(message: Message) -> None:
            nonlocal started
            if seen > limit and not started:
                return  # what the application makes of a body cut short is not the answer
            started = True
            await send(message)

        try:
            await self.app(scope, count, watch)
        except _TooMuch:
            pass
        if seen > limit and not started:
            await self.refuse(scope, limit)(scope, receive, send)


class _TooMuch(Exception):
    pass
