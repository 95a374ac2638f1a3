"""Hourly limits, counted in the database so that every process of a service shares them."""

import hashlib
import hmac

from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.problems import TooMany

_COUNT = text(
    "INSERT INTO rate_counters (subject, hour, count) "
    "VALUES (:subject, date_trunc('hour', now()), 1) "
    "ON CONFLICT (subject, hour) DO UPDATE SET count = rate_counters.count + 1 RETURNING count"
)
_PURGE = text("DELETE FROM rate_counters WHERE hour < now() - interval '1 day'")


def keyed_digest(secret: str, *parts: str) -> bytes:
    """Return HMAC-SHA256 of ``parts``: what is low in entropy must not be guessed from a dump."""
    return hmac.new(secret.encode(), "\x1f".join(parts).encode(), hashlib.sha256).digest()


def hit(session: Session, secret: str, kind: str, subject: str, limit: int) -> None:
    """Count one more ``kind`` by ``subject`` this hour; :class:`TooMany` past ``limit``.

    The subject (a phone, an address) is stored only as a keyed digest.
    """
    counted = session.execute(_COUNT, {"subject": keyed_digest(secret, kind, subject)})
    if counted.scalar_one() > limit:
        raise TooMany("Too many requests; try again in an hour.", 3600)


def purge(session: Session) -> None:
    """Forget counters older than a day."""
    session.execute(_PURGE)
