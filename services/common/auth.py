"""Who is asking: signed tokens (EdDSA, RFC 8037) checked against the issuer's published keys.

A token carries what its bearer may do and where (``grants``), never who they are by name or phone.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol
from uuid import UUID

import httpx2 as httpx
import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from services.common.problems import Forbidden, Unauthenticated, Unavailable

ALGORITHM = "EdDSA"
ISSUER = "palabre"
AUDIENCE = "palabre"
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person: ``grants`` maps a scope (or ``*``) to the permissions held there."""

    user_id: UUID
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def can(self, permission: str, scope: str) -> bool:
        """Tell whether ``permission`` is held in ``scope``."""
        return any(permission in self.grants.get(s, ()) for s in (scope, EVERYWHERE))

    def require(self, permission: str, scope: str) -> None:
        """Raise :class:`Forbidden` unless :meth:`can`."""
        if not self.can(permission, scope):
            raise Forbidden(f"This needs the permission {permission!r} for {scope}.")


class KeySet:
    """The issuer's public keys (JWKS, RFC 7517), fetched when an unknown key id is met.

    At most one fetch every ``min_interval`` seconds: forged key ids cannot flood the issuer.
    """

    def __init__(self, url: str, *, min_interval: float = 5.0, max_age: float = 3600.0) -> None:
        self._url = url
        self._min_interval = min_interval
        self._max_age = max_age
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._fetched = float("-inf")

    def get(self, kid: str) -> Any:
        """Return the public key ``kid``; :class:`Unauthenticated` when the issuer has none."""
        age = time.monotonic() - self._fetched
        if (kid not in self._keys and age > self._min_interval) or age > self._max_age:
            self._fetch()
        try:
            return self._keys[kid]
        except KeyError:
            raise Unauthenticated("The token is signed by an unknown key.") from None

    def holds(self, kid: str) -> bool:
        """Tell whether :meth:`get` would answer without asking the issuer."""
        return kid in self._keys and time.monotonic() - self._fetched <= self._max_age

    def _fetch(self) -> None:
        with self._lock:
            if time.monotonic() - self._fetched < self._min_interval:
                return
            try:
                answer = httpx.get(self._url, timeout=5.0)
                answer.raise_for_status()
                found = _public_keys(answer.json())
            except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError):
                if self._keys:  # stale keys still verify; a dead issuer must not stop everything
                    return
                raise Unavailable("Tokens cannot be checked now.") from None
            self._keys = found
            self._fetched = time.monotonic()


class Keys(Protocol):
    """Gives the public key of a key id, or raises :class:`Unauthenticated`."""

    def get(self, kid: str) -> Any:
        """Return the key ``kid``."""

    def holds(self, kid: str) -> bool:
        """Tell whether the key is at hand."""


class FixedKeys:
    """The keys of a JWKS document at hand: the issuer checks its own tokens without HTTP."""

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = _public_keys(jwks)

    def get(self, kid: str) -> Any:
        """Return the key ``kid``."""
        if kid not in self._keys:
            raise Unauthenticated("The token is signed by an unknown key.")
        return self._keys[kid]

    def holds(self, _: str) -> bool:
        """There is nobody to ask."""
        return True


def _public_keys(jwks: Mapping[str, Any]) -> dict[str, Any]:
    return {k["kid"]: jwt.PyJWK(k).key for k in jwks["keys"] if k.get("kty") == "OKP"}


def read_token(token: str, keys: Keys) -> Principal:
    """Verify ``token`` and return its bearer; :class:`Unauthenticated` for anything not ours."""
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token,
            keys.get(str(header.get("kid", ""))),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
        grants = {str(s): frozenset(map(str, p)) for s, p in claims.get("grants", {}).items()}
        return Principal(UUID(claims["sub"]), grants)
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The token has expired: sign in again.") from None
    except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
        raise Unauthenticated("The token is not valid.") from None


bearer = HTTPBearer(auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def optional_principal(request: Request, credentials: Credentials) -> Principal | None:
    """Return the bearer, or None without a token; a bad token is always an error.

    Checked on the spot: only where the issuer must be asked for its keys does a thread wait.
    """
    if credentials is None:
        if request.headers.get("authorization"):
            raise Unauthenticated("Only bearer tokens are accepted.")
        return None
    token, keys = credentials.credentials, request.app.state.keys
    if keys.holds(_kid(token)):
        return read_token(token, keys)
    return await run_in_threadpool(read_token, token, keys)


def _kid(token: str) -> str:
    try:
        return str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.InvalidTokenError:
        return ""


MaybePrincipal = Annotated[Principal | None, Depends(optional_principal)]


async def current_principal(principal: MaybePrincipal) -> Principal:
    """Return the bearer or raise :class:`Unauthenticated`."""
    if principal is None:
        raise Unauthenticated
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
