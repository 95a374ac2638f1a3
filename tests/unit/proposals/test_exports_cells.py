"""What a cell of a campaign's file may hold, and the bytes of a file."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import sheets
from services.proposals.exports.domain import TABLES, Subject, file_name

pytestmark = pytest.mark.unit

BENIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("Trou = danger", "Trou = danger"),
        (None, None),
        (-4_000_000, -4_000_000),
        (True, "true"),
        (date(2027, 2, 1), "2027-02-01"),
        (datetime(2026, 11, 22, 23, 30, 5, 999, tzinfo=UTC), "2026-11-22T23:30:05Z"),
        (datetime(2026, 11, 23, 0, 30, tzinfo=BENIN), "2026-11-22T23:30:00Z"),
    ],
)  # fmt: skip
def test_a_cell_is_utc_whole_and_no_formula(value: Any, written: Any) -> None:
    assert sheets.cell(value) == written


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
                         min_size=2, max_size=2), max_size=5))  # fmt: skip
def test_what_is_written_is_read_back_as_text(rows: list[list[str]]) -> None:
    content = b"".join(sheets.csv_chunks(["a", "b"], [rows[:2], rows[2:]]))
    text = content.decode("utf-8-sig")
    head, *found = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    assert head == ["a", "b"]
    assert found == [[sheets.cell(one) for one in row] for row in rows]


@pytest.mark.parametrize("batches", [[], [["{}"]], [["{}", "{}"], ["{}"]]])
def test_features_of_all_batches_are_one_collection(batches: list[list[str]]) -> None:
    told = json.loads(b"".join(sheets.geojson_chunks(batches)))
    assert told["type"] == "FeatureCollection"
    assert len(told["features"]) == sum(map(len, batches))


def test_every_file_has_columns_of_its_own_and_no_person() -> None:
    assert set(TABLES) == set(get_args(Subject))
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert not {"author_id", "user_id", "actor", "reviewer_id", "author"} & set(names)


def test_a_file_says_what_it_holds() -> None:
    told = file_name(TABLES["ledger"], "0801", "2026-11-22", "csv")
    assert told == "depenses-0801-2026-11-22.csv"
