"""Where this site is for the outside: absolute links for programs that read no relative ones."""

import re
from typing import Annotated

from fastapi import Depends, Request

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def base_url(request: Request) -> str:
    """Return e.g. ``https://palabre.example``, or nothing (links are then relative to the host).

    Without the setting it is the name by which the client called the gateway. A client that lies
    about it gets its own lie back and nobody else does: such answers are never kept by a cache
    unasked (``no-cache``), and nothing redirects to it.
    """
    known: str = request.app.state.settings.public_url
    if known:
        return known
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else ""


Base = Annotated[str, Depends(base_url)]
