"""The dashboard's figures: a period against the one before it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.orm import Session

from services.reports.desk import domain, repository
from services.reports.desk.schemas import Figures, Hours, OnTime, Series, Stats, Total, Volume
from services.reports.desk.schemas import Row as Line
from services.reports.desk.service import Desk, period, waiting
from services.reports.domain import CATEGORIES, CHANNELS, GENDERS

Step = Literal["month", "week"]
Cells = Mapping[tuple[str, str, str | None], Row[Any]]

DAYS = 90
ZONE = ZoneInfo(repository.ZONE)
NOT_GIVEN: frozenset[str | None] = frozenset({None})


def stats(
    session: Session,
    desk: Desk,
    since: datetime | None,
    until: datetime | None,
    step: Step,
) -> Stats:
    """Return the dashboard of a period of three years at most: the last 90 days."""
    since, until = period(since, until, DAYS, domain.MAX_STATS_DAYS)
    previous = since - (until - since)
    rows = repository.figures(session, desk.commune, previous, since, until)
    cells: Cells = {(row.part, row.period, row.key): row for row in rows}
    volumes = repository.volumes(session, desk.commune, previous, since, until, step)
    present = waiting(session, desk)
    return Stats(
        since=since,
        until=until,
        previous_since=previous,
        open_now=present["open"],
        overdue_now=present["overdue"],
        total=_total(cells),
        by_category=_table(cells, "category", CATEGORIES),
        by_arrondissement=_places(cells, repository.arrondissements(session, desk.commune)),
        by_channel=_table(cells, "channel", CHANNELS),
        by_gender=_persons(cells),
        series=Series(
            step=step,
            now=_volumes(volumes, "now", since, until, step),
            before=_volumes(volumes, "before", previous, since, step),
        ),
    )


def _figures(row: Row[Any] | None) -> Figures:
    if row is None:
        nothing, none = OnTime(rate=None, on_time=0, decided=0), Hours(median=None, p90=None)
        return Figures(
            received=0,
            closed=0,
            answer_on_time=nothing,
            repair_on_time=nothing,
            answer_hours=none,
            repair_hours=none,
        )
    return Figures(
        received=row.received,
        closed=row.closed,
        answer_on_time=_on_time(row.answers_on_time, row.answers_decided),
        repair_on_time=_on_time(row.repairs_on_time, row.repairs_decided),
        answer_hours=_hours(row.answer_hours),
        repair_hours=_hours(row.repair_hours),
    )


def _on_time(on_time: int, decided: int) -> OnTime:
    rate = round(on_time / decided, 4) if decided else None
    return OnTime(rate=rate, on_time=on_time, decided=decided)


def _hours(found: Sequence[float] | None) -> Hours:
    median, p90 = (round(hours, 2) for hours in found) if found else (None, None)
    return Hours(median=median, p90=p90)


def _total(cells: Cells) -> Total:
    rows = {name: cells.get(("total", name, None)) for name in ("now", "before")}
    return Total(
        key=None,
        now=_figures(rows["now"]),
        before=_figures(rows["before"]),
        duplicates={name: row.duplicates if row else 0 for name, row in rows.items()},
        withdrawn={name: row.withdrawn if row else 0 for name, row in rows.items()},
    )


def _line(cells: Cells, part: str, key: str | None, **more: Any) -> Line:
    now, before = (_figures(cells.get((part, name, key))) for name in ("now", "before"))
    return Line(key=key, now=now, before=before, **more)


def _table(cells: Cells, part: str, keys: Iterable[str]) -> list[Line]:
    return [_line(cells, part, key) for key in keys]


def _places(cells: Cells, places: Sequence[Row[Any]]) -> list[Line]:
    """Return every arrondissement, silent ones too, and last what lies in none."""
    lines = []
    for place in places:
        line = _line(cells, "arrondissement", place.code, name=place.name)
        line.population = place.population
        if place.population and line.now:
            line.per_1000 = round(1000 * line.now.received / place.population, 2)
        lines.append(line)
    if any(("arrondissement", name, None) in cells for name in ("now", "before")):
        lines.append(_line(cells, "arrondissement", None))
    return lines


def _persons(cells: Cells) -> list[Line]:
    """Return what each gender reported; None is who did not say. Small cells are withheld."""
    lines = [_line(cells, "gender", key) for key in (*GENDERS, None)]
    for name in ("now", "before"):
        counted = {line.key: getattr(line, name).received for line in lines}
        hidden = domain.withheld(counted, NOT_GIVEN)
        for line in lines:
            if line.key in hidden:
                setattr(line, name, None)
                line.suppressed = True
    return lines


def _volumes(
    rows: Sequence[Row[Any]], name: str, since: datetime, until: datetime, step: Step
) -> list[Volume]:
    """Return each month or week of a time in order, empty ones too."""
    found = {row.start: row for row in rows if row.period == name}
    last = (until - timedelta(microseconds=1)).astimezone(ZONE).date()
    start, volumes = _first(since.astimezone(ZONE).date(), step), []
    while start <= last:
        row = found.get(start)
        volumes.append(
            Volume(
                start=start,
                received=row.received if row else 0,
                closed=row.closed if row else 0,
            )
        )
        start = _first(start + timedelta(days=7 if step == "week" else 31), step)
    return volumes


def _first(day: date, step: Step) -> date:
    """Return the first day of the month or (ISO) week that holds ``day``."""
    return day.replace(day=1) if step == "month" else day - timedelta(days=day.weekday())
