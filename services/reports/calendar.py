"""Working days of Bénin, numbered, so that "three working days later" is one look-up in SQL.

Public holidays come from the library ``holidays``; those that follow the moon are its estimates.
"""

from bisect import bisect_right
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

TIMEZONE = ZoneInfo("Africa/Porto-Novo")
END_OF_DAY = time(23, 59, 59)
FIRST, LAST = date(2020, 1, 1), date(2040, 12, 31)
SATURDAY = 5

_KNOWN = text("SELECT day FROM working_days ORDER BY day")
_FORGET = text("DELETE FROM working_days")
_NUMBER = text(
    "INSERT INTO working_days (day, number) "
    "SELECT day, n FROM unnest(CAST(:days AS date[])) WITH ORDINALITY AS d(day, n)"
)


@cache
def working_days() -> tuple[date, ...]:
    """Return the days from :data:`FIRST` to :data:`LAST` that are no weekend and no holiday."""
    off = holidays.country_holidays("BJ", years=range(FIRST.year, LAST.year + 1))
    days = (FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1))
    return tuple(day for day in days if day.weekday() < SATURDAY and day not in off)


def working_day_after(start: datetime, days: int) -> datetime:
    """Return the end of the working day that comes ``days`` working days after ``start``.

    The SQL function of the same name says the same; ``start`` lies within the calendar.
    """
    known = working_days()
    today = bisect_right(known, start.astimezone(TIMEZONE).date()) - 1
    return datetime.combine(known[max(today, 0) + days], END_OF_DAY, TIMEZONE)


def refresh(session: Session | Connection) -> None:
    """Bring the table in step with the library: holidays are decreed, and it follows."""
    days = working_days()
    if tuple(session.scalars(_KNOWN)) == days:
        return
    session.execute(_FORGET)
    session.execute(_NUMBER, {"days": [day.isoformat() for day in days]})
