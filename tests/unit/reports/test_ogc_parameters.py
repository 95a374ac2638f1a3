"""How the OGC API reads its parameters: what the standard allows is read, the rest refused."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.ogc.domain import (
    COLLECTIONS,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Order,
    Unreadable,
    read_bbox,
    read_cursor,
    read_datetime,
    read_limit,
    read_query,
    wants_html,
    write_cursor,
)

pytestmark = pytest.mark.unit

REPORTS, COMMUNES = COLLECTIONS["signalements"], COLLECTIONS["communes"]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        ("2.3,6.3,2.5,6.5", [(2.3, 6.3, 2.5, 6.5)]),
        ("2.3,6.3,-5,2.5,6.5,100", [(2.3, 6.3, 2.5, 6.5)]),
        ("2.42,6.37,2.42,6.37", [(2.42, 6.37, 2.42, 6.37)]),
        ("-1e1,+6.,.5,6.5", [(-10.0, 6.0, 0.5, 6.5)]),
        ("177,-20,-178,-16", [(177.0, -20.0, 180.0, -16.0), (-180.0, -20.0, -178.0, -16.0)]),
        ("-180,-90,180,90", [(-180.0, -90.0, 180.0, 90.0)]),
    ],
)
def test_boxes(value: str, boxes: Any) -> None:
    assert read_bbox(value) == boxes


@pytest.mark.parametrize(
    "value",
    [
        "", "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7", "a,b,c,d", "1,2,3,", "1;2;3;4", "nan,0,1,1",
        "0,0,inf,1", "0,0,1e999,1", "2,7,3,6", "-181,0,1,1", "0,0,1,90.5", "0,0,9,1,1,0",
        "0,0,9,0,0,1e9999", "1 ,2,3,4", "١,2,3,4", "1_0,2,30,4", "0x1,0,1,1",
    ],
)  # fmt: skip
def test_boxes_that_are_none(value: str) -> None:
    with pytest.raises(Unreadable, match="bbox"):
        read_bbox(value)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        # An instant is a second long, for features show their times by the second.
        ("2026-11-22T10:00:00Z", at(2026, 11, 22, 10), at(2026, 11, 22, 10, 0, 1)),
        ("2026-11-22t10:00:00.75z", at(2026, 11, 22, 10), at(2026, 11, 22, 10, 0, 1)),
        ("2026-11-22T11:00:00+01:00", at(2026, 11, 22, 10), at(2026, 11, 22, 10, 0, 1)),
        ("2026-11-22", at(2026, 11, 22), at(2026, 11, 23)),
        ("2026-11-22T10:00:00Z/2026-11-22T10:00:00Z", at(2026, 11, 22, 10),
         at(2026, 11, 22, 10, 0, 1)),
        ("2026-11-20/2026-11-22", at(2026, 11, 20), at(2026, 11, 23)),
        ("2026-11-22T10:00:00Z/..", at(2026, 11, 22, 10), None),
        ("2026-11-22T10:00:00Z/", at(2026, 11, 22, 10), None),
        ("../2026-11-22T10:00:00Z", None, at(2026, 11, 22, 10, 0, 1)),
        ("/2026-11-22T10:00:00Z", None, at(2026, 11, 22, 10, 0, 1)),
        ("2026-11-22/9999-12-31T23:59:59Z", at(2026, 11, 22), None),
    ],
)  # fmt: skip
def test_times(value: str, start: datetime | None, end: datetime | None) -> None:
    assert read_datetime(value) == (start, end)


@pytest.mark.parametrize(
    "value",
    [
        "", "..", "/", "../..", "../", "yesterday", "2026", "2026-13-01", "2026-02-30",
        "2026-11-22T25:00:00Z", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "1763805600",
        "2026-11-22/2026-11-20", "2026-11-22/P1D", "a/b/c", "2026-11-22/2026-11-23/2026-11-24",
        "0001-01-01T00:00:00+23:59", "٢٠٢٦-11-22",
    ],
)  # fmt: skip
def test_times_that_are_none(value: str) -> None:
    with pytest.raises(Unreadable, match="datetime"):
        read_datetime(value)


# Two days from either end of the calendar: hypothesis wants bounds without a zone.
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001


@given(st.datetimes(FIRST, LAST), st.integers(-12 * 60, 14 * 60))
def test_a_moment_is_found_by_the_second_in_which_it_is_shown(
    moment: datetime, minutes: int
) -> None:
    there = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    start, end = read_datetime(there.isoformat(timespec="seconds"))
    assert start is not None
    assert end is not None
    assert start <= there < end


@pytest.mark.parametrize("value", ["1", "10", "1000"])
def test_limits(value: str) -> None:
    assert read_limit(value) == int(value)


def test_more_than_the_most_is_the_most() -> None:
    assert read_limit("1001") == read_limit("999999999") == MAX_LIMIT


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "ten", "1e3", "1" * 20, " 1", "٣"])
def test_limits_that_are_none(value: str) -> None:
    with pytest.raises(Unreadable, match="limit"):
        read_limit(value)


def test_a_cursor_is_read_back() -> None:
    moment, last = datetime.now(UTC), uuid4()
    assert read_cursor("newest", write_cursor(moment, last)) == (moment, last)
    assert read_cursor("code", write_cursor("0801-05")) == ("0801-05",)


@given(st.text(max_size=60))
def test_any_other_cursor_is_refused(text: str) -> None:
    orders: tuple[Order, ...] = ("newest", "code")
    for order in orders:
        for forged in (text, write_cursor(text)):
            try:
                read_cursor(order, forged)
            except Unreadable:
                continue
            assert order == "code"  # four digits are a code, whoever wrote them


def test_a_page_is_asked_with_its_filters() -> None:
    query = read_query(
        REPORTS,
        [("commune", "0801"), ("status", "received,resolved"), ("category", "waste"),
         ("datetime", "2026-11-22/.."), ("bbox", "2,6,3,7"), ("f", "json")],
    )  # fmt: skip
    assert query.limit == DEFAULT_LIMIT
    assert query.where == {
        "commune": "0801",
        "status": ["received", "resolved"],
        "category": "waste",
        "bbox": [(2.0, 6.0, 3.0, 7.0)],
        "start": at(2026, 11, 22),
    }


def test_what_has_no_time_fits_every_time() -> None:
    assert read_query(COMMUNES, [("datetime", "2026-11-22")]).where == {}
    with pytest.raises(Unreadable):
        read_query(COMMUNES, [("datetime", "tomorrow")])


@pytest.mark.parametrize(
    "given",
    [
        [("offset", "10")],
        [("Limit", "10")],
        [("limit", "10"), ("limit", "10")],
        [("commune", "cotonou")],
        [("commune", "0801\n")],
        [("category", "dragons")],
        [("status", "received,")],
        [("status", "received,asleep")],
        [("cursor", "x" * 300)],
        [("bbox", "1," * 200)],
    ],
)
def test_what_is_unknown_double_or_endless_is_refused(given: list[tuple[str, str]]) -> None:
    with pytest.raises(Unreadable):
        read_query(REPORTS, given)


@pytest.mark.parametrize(
    ("f", "accept", "html"),
    [
        (None, "", False),
        (None, "*/*", False),
        (None, "application/geo+json, application/json", False),
        (None, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (None, "text/html;q=0.5, application/json", False),
        (None, "application/json;q=0.5, text/html;q=0.9", True),
        (None, "image/png", False),
        ("json", "text/html", False),
        ("html", "application/json", True),
    ],
)
def test_who_gets_a_page(f: str | None, accept: str, html: bool) -> None:
    assert wants_html(f, accept) is html


def test_another_form_is_refused() -> None:
    with pytest.raises(Unreadable, match="f must"):
        wants_html("gml", "")
