"""Conditional requests (RFC 9110, 13): what the browser has already is not sent again."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import Response


def not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """Return a 304 with ``headers`` when the request already has their ``ETag``, else None."""
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    fresh = headers["ETag"].removeprefix("W/") in tags or known.strip() == "*"
    return Response(status_code=304, headers=dict(headers)) if fresh else None
