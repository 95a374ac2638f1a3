"""Where this site is for the outside: absolute links for programs that read no relative ones."""

import re
from functools import cache
from typing import Annotated

from fastapi import Depends, Request
from pydantic import field_validator
from pydantic_settings import BaseSettings

from services.common.settings import Settings


class Site(BaseSettings):
    """``PALABRE_PUBLIC_URL``, e.g. ``https://palabre.example``; empty: as the client calls us."""

    model_config = Settings.model_config

    public_url: str = ""

    @field_validator("public_url")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/?#\s@]+(/[^?#\s]*)?", value):
            raise ValueError("PALABRE_PUBLIC_URL is a web address without query or user")
        return value.rstrip("/")


@cache
def site() -> Site:
    """Return the settings, read once."""
    return Site()


_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def base_url(request: Request, site: Annotated[Site, Depends(site)]) -> str:
    """Return e.g. ``https://palabre.example``, or nothing (links are then relative to the host).

    Without the setting it is the name by which the client called the gateway. A client that lies
    about it gets its own lie back and nobody else does: such answers are never kept by a cache
    unasked (``no-cache``), and nothing redirects to it.
    """
    if site.public_url:
        return site.public_url
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else ""


Base = Annotated[str, Depends(base_url)]
