"""What may stand in a file: no formula of a citizen, no character that XML cannot hold."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import labels
from services.common import sheets
from services.reports.domain import STATUSES
from services.reports.exports.domain import (
    DESK,
    LOCAL,
    PUBLIC,
    STATUS_NAMES,
    file_name,
    xml_text,
)

pytestmark = pytest.mark.unit


def cell(value: Any) -> Any:
    """Write a value as the files of reports do."""
    return sheets.cell(value, LOCAL)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+229 01 97 00 08 01", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0"],
)
def test_no_text_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Trou = danger", "Trou = danger"),
        ("'=1", "'=1"),
        ("", ""),
        (None, None),
        (-5, -5),
        (2.42, 2.42),
        (True, "true"),
        (datetime(2026, 11, 22, 23, 30, 5, 999, tzinfo=UTC), "2026-11-23T00:30:05+01:00"),
    ],
)
def test_all_else_stays_what_it_is(value: Any, written: Any) -> None:
    assert cell(value) == written


@given(st.text())
def test_a_cell_never_begins_as_a_formula_does(text: str) -> None:
    written = cell(text)
    assert isinstance(written, str)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert written in (text, f"'{text}")


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_becomes_xml(text: str) -> None:
    element = ET.Element("summary")
    element.text = xml_text(text)
    read = ET.fromstring(ET.tostring(element)).text or ""  # noqa: S314 - our own
    # A reader of XML makes one line end of all (XML 1.0, 2.11).
    assert read == xml_text(text).replace("\r\n", "\n").replace("\r", "\n")


def test_only_what_xml_cannot_hold_is_dropped() -> None:
    assert xml_text("a\x00\x08\x0b\x1f\ufffe\uffff\ud800é\t\n😀") == "aé\t\n😀"


def test_a_file_says_what_it_holds() -> None:
    assert file_name("csv", ["0801", "2026-11-22"]) == "signalements-0801-2026-11-22.csv"


def test_a_status_is_called_as_on_the_pages() -> None:
    assert {code: label.text for code, label in labels.STATUSES.items()} == dict(STATUS_NAMES)
    assert set(STATUS_NAMES) == set(STATUSES)


def test_the_desk_has_all_that_anybody_has() -> None:
    assert DESK[: len(PUBLIC)] == PUBLIC
    assert len({column.name for column in DESK}) == len(DESK)
