"""``Idempotency-Key``: the same key with the same request answers the same result, stored once.

The claim, the effect and the stored answer are one transaction. A concurrent twin waits on the
unique index, then replays. Keys are dropped after :data:`KEPT` (``purge``).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.common.auth import MaybePrincipal
from services.common.db import SessionDep
from services.common.problems import Conflict, Invalid

KEPT = timedelta(days=2)
ANONYMOUS = "anonymous"

_CLAIM = text(
    "INSERT INTO idempotency_keys (key, scope, fingerprint) VALUES (:key, :scope, :fingerprint) "
    "ON CONFLICT DO NOTHING RETURNING 1"
)
_STORED = text(
    "SELECT fingerprint, status, headers, body FROM idempotency_keys "
    "WHERE key = :key AND scope = :scope"
)
_KEEP = text(
    "UPDATE idempotency_keys SET status = :status, headers = :headers, body = :body "
    "WHERE key = :key AND scope = :scope"
)
_PURGE = text("DELETE FROM idempotency_keys WHERE created_at < now() - :kept")


class Once:
    """Runs one write of this request at most once for its key."""

    def __init__(self, session: Session, key: UUID | None, scope: str, fingerprint: bytes) -> None:
        self.key = key
        self._session = session
        self._ids = {"key": key, "scope": scope}
        self._fingerprint = fingerprint

    def anonymous(self) -> "Once":
        """Return the same for nobody: the stored answer then names no person."""
        return Once(self._session, self.key, ANONYMOUS, self._fingerprint)

    def run(
        self,
        effect: Callable[[], Any],
        *,
        status: int = 200,
        location: Callable[[Any], str] | None = None,
        private: Mapping[str, Any] | None = None,
        shown: Callable[[], Any] | None = None,
    ) -> Response:
        """Answer with ``effect()`` as JSON, or with what an earlier call with this key answered.

        ``private`` members join the answer each time and are never stored: secrets that the caller
        derives again from the key. With ``shown`` the answer is what that returns at each call, and
        nothing of it is stored: for what its author may later take back.
        :class:`Conflict` when the key was used with another request.
        """
        if self.key is not None:
            claimed = self._session.execute(
                _CLAIM, {**self._ids, "fingerprint": self._fingerprint}
            ).first()
            if claimed is None:
                found = self._session.execute(_STORED, self._ids).one()
                return self._answer_again(found, private or {}, shown)
        result = effect()
        body = jsonable_encoder(shown() if shown else result)
        headers = {"Location": location(result)} if location else {}
        if self.key is not None:
            self._session.execute(
                _KEEP,
                {
                    **self._ids,
                    "status": status,
                    "headers": json.dumps(headers),
                    "body": json.dumps(None if shown else body),
                },
            )
        return JSONResponse({**body, **private} if private else body, status, headers)

    def replayed(self, private: Mapping[str, Any]) -> Response | None:
        """Return what an earlier call with this key answered, None when there was none."""
        found = self._session.execute(_STORED, self._ids).one_or_none()
        return None if found is None else self._answer_again(found, private)

    def _answer_again(
        self,
        found: Row[Any],
        private: Mapping[str, Any],
        shown: Callable[[], Any] | None = None,
    ) -> Response:
        fingerprint, status, headers, body = tuple(found)
        if bytes(fingerprint) != self._fingerprint:
            raise Conflict("This Idempotency-Key was used with another request.")
        if shown:
            body = jsonable_encoder(shown())
        content = {**body, **private} if private else body
        return JSONResponse(content, status, {**headers, "Idempotent-Replayed": "true"})


async def fingerprint_of(request: Request) -> bytes:
    """Return the SHA-256 of method, path, query and body (cached by Starlette, so read once)."""
    query = request.url.query
    head = f"{request.method} {request.url.path}{query and '?' + query}\n".encode()
    return hashlib.sha256(head + await request.body()).digest()


async def parse_key(idempotency_key: Annotated[str | None, Header()] = None) -> UUID | None:
    """Return the client's key; :class:`Invalid` unless it is a UUID."""
    if idempotency_key is None:
        return None
    try:
        return UUID(idempotency_key)
    except ValueError:
        raise Invalid("Idempotency-Key must be a UUID.", "/headers/Idempotency-Key") from None


IdempotencyKey = Annotated[UUID | None, Depends(parse_key)]
Fingerprint = Annotated[bytes, Depends(fingerprint_of)]


def once(
    session: SessionDep,
    key: IdempotencyKey,
    fingerprint: Fingerprint,
    principal: MaybePrincipal,
) -> Once:
    """Build the request's :class:`Once`; keys of different persons never meet."""
    scope = str(principal.user_id) if principal else ANONYMOUS
    return Once(session, key, scope, fingerprint)


OnceDep = Annotated[Once, Depends(once)]


def purge(session: Session) -> int:
    """Delete keys older than :data:`KEPT`; return how many."""
    return int(session.execute(_PURGE, {"kept": KEPT}).rowcount)  # type: ignore[attr-defined]
