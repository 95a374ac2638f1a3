"""Identifiers: UUIDv7 for rows and events, short references people can say aloud."""

import secrets
from uuid import UUID

from uuid_utils.compat import uuid7

# No 0/O, 1/I/L, U/V confusion: what an agent hears on the phone must type back.
REF_ALPHABET = "23456789ABCDEFGHJKMNPQRSTWXYZ"


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): unique, and ordered by the millisecond it was made."""
    return UUID(int=uuid7().int)


def new_ref(prefix: str, length: int = 6) -> str:
    """Return e.g. ``S-7K4M2P``: ``length`` random letters of a 29-letter alphabet (29 bits for 6).

    Collisions are possible: the column that holds it is unique and the caller draws again.
    """
    return f"{prefix}-" + "".join(secrets.choice(REF_ALPHABET) for _ in range(length))
