"""Working days of Bénin, numbered, so that "three working days later" is one look-up in SQL.

Public holidays come from the library ``holidays``; those that follow the moon are its estimates.
"""

from datetime import date, timedelta

import holidays
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

FIRST, LAST = date(2020, 1, 1), date(2040, 12, 31)
SATURDAY = 5

_KNOWN = text("SELECT day FROM working_days ORDER BY day")
_FORGET = text("DELETE FROM working_days")
_NUMBER = text(
    "INSERT INTO working_days (day, number) "
    "SELECT day, n FROM unnest(CAST(:days AS date[])) WITH ORDINALITY AS d(day, n)"
)


def working_days(first: date = FIRST, last: date = LAST) -> list[date]:
    """Return the days from ``first`` to ``last`` that are neither weekend nor public holiday."""
    off = holidays.country_holidays("BJ", years=range(first.year, last.year + 1))
    days = (first + timedelta(n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < SATURDAY and day not in off]


def refresh(session: Session | Connection) -> None:
    """Bring the table in step with the library: holidays are decreed, and it follows."""
    days = working_days()
    if list(session.scalars(_KNOWN)) == days:
        return
    session.execute(_FORGET)
    session.execute(_NUMBER, {"days": [day.isoformat() for day in days]})
