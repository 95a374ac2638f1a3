"""What a voter is given, derived and never stored: see ADR 0006.

Everything comes from the service's secret and the client's own random ``Idempotency-Key``. The
key is kept nowhere, so that a complete copy of the database *and* the secret cannot derive a
voter's token, and hence cannot find the voter's ballot by it.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from services.common.ids import REF_ALPHABET
from services.common.rates import keyed_digest

_HALF = 16
_RECEIPT_GROUPS = (4, 4, 2)


@dataclass(frozen=True, slots=True)
class Slip:
    """One voter's token in one election, and what follows from it.

    ``replace_hash`` is all that the ballot keeps of ``token``; nothing keeps ``receipt`` with it.
    """

    token: str
    replace_hash: bytes
    receipt: str


def roll_entry(secret: str, election: UUID, voter: UUID) -> bytes:
    """Return what the roll holds for a voter: it names nobody without ``secret``."""
    return keyed_digest(secret, "roll", str(election), str(voter))


def new_slip(secret: str, election: UUID, voter: UUID, key: UUID) -> Slip:
    """Return the slip of the request ``key``: the same for the same key, so retries are safe."""
    nonce = keyed_digest(secret, "nonce", str(election), str(voter), str(key))[:_HALF]
    return _slip(secret, election, voter, nonce)


def slip_of(secret: str, election: UUID, voter: UUID, token: str) -> Slip | None:
    """Return the slip of a ``token`` shown by ``voter``, or None if it was not given to them."""
    try:
        nonce = base64.b64decode(token.encode() + b"=", b"-_", validate=True)[:_HALF]
    except ValueError:
        return None
    slip = _slip(secret, election, voter, nonce)
    return slip if hmac.compare_digest(slip.token.encode(), token.encode()) else None


def mark(secret: str, slip: Slip, key: UUID, choices: Iterable[int]) -> bytes:
    """Return the trace of one request on its ballot: 16 bytes of its key, 16 of its choices."""
    body = ",".join(map(str, choices))
    of_key = keyed_digest(secret, "key", slip.token, str(key))[:_HALF]
    return of_key + keyed_digest(secret, "body", slip.token, str(key), body)[:_HALF]


def earlier(marks: Iterable[bytes], new: bytes) -> bool | None:
    """Tell whether ``new``'s key was used: None if not, else whether with the same choices."""
    for old in marks:
        if old[:_HALF] == new[:_HALF]:
            return old == new
    return None


def _slip(secret: str, election: UUID, voter: UUID, nonce: bytes) -> Slip:
    # Bound to its voter: a stolen token alone replaces nothing.
    bound = keyed_digest(secret, "replace", str(election), str(voter), nonce.hex())[:_HALF]
    token = base64.urlsafe_b64encode(nonce + bound).decode().rstrip("=")
    # From the token, not from the request: a replaced ballot keeps its receipt.
    receipt = _speakable(keyed_digest(secret, "receipt", str(election), token))
    return Slip(token, hashlib.sha256(token.encode()).digest(), receipt)


def _speakable(digest: bytes) -> str:
    """Return ten letters (48 bits) in groups, of an alphabet without look-alikes."""
    number = int.from_bytes(digest, "big")
    groups = []
    for length in _RECEIPT_GROUPS:
        letters = ""
        for _ in range(length):
            number, place = divmod(number, len(REF_ALPHABET))
            letters += REF_ALPHABET[place]
        groups.append(letters)
    return "-".join(groups)
