"""Signing: Ed25519 JSON Web Tokens (RFC 7519, RFC 8037) and the published key set (RFC 7517)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from services.common.auth import ALGORITHM, AUDIENCE, ISSUER


class Signer:
    """Holds the private key of a PEM file; ``kid`` is derived from the public one (RFC 7638)."""

    def __init__(self, pem: Path) -> None:
        key = load_pem_private_key(pem.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{pem} holds no Ed25519 private key")
        self._key = key
        public: dict[str, Any] = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
        thumbprint = {name: public[name] for name in ("crv", "kty", "x")}
        canonical = json.dumps(thumbprint, sort_keys=True, separators=(",", ":"))
        self.kid = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        self.jwks = {"keys": [{**thumbprint, "kid": self.kid, "use": "sig", "alg": ALGORITHM}]}

    def sign(self, user_id: UUID, grants: Mapping[str, Sequence[str]], life: timedelta) -> str:
        """Return an access token for ``user_id`` that ends after ``life``."""
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "iat": now,
            "exp": now + life,
            "grants": dict(grants),
        }
        return jwt.encode(claims, self._key, ALGORITHM, {"kid": self.kid})
