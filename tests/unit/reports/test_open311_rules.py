"""What Open311 asks, how its parameters are read, and how answers are written."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain import CATEGORIES
from services.reports.open311 import domain
from services.reports.open311.errors import as_errors
from services.reports.open311.formats import format_of, render, to_json, to_xml
from services.reports.open311.service import catalogue, definition

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_changeset_moves_with_what_clients_keep() -> None:
    """Clients fetch services anew when the changeset moves: change both lines together."""
    told = json.dumps([catalogue(), [definition(code) for code in CATEGORIES]])
    fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]
    assert (domain.CHANGESET, fingerprint) == ("2026-11-24T20:00:00+01:00", "da4a54ba03f2abde")


def test_questions_belong_to_categories_and_have_distinct_codes() -> None:
    assert set(domain.ATTRIBUTES) <= set(CATEGORIES)
    for asked in domain.ATTRIBUTES.values():
        assert len({a.code for a in asked}) == len(asked)
        for attribute in asked:
            assert bool(attribute.values) is attribute.datatype.endswith("valuelist")
            assert not (attribute.required and not attribute.variable)
    kinds = {a.datatype for asked in domain.ATTRIBUTES.values() for a in asked}
    assert kinds == set(domain.HELP)
    assert any(a.required for asked in domain.ATTRIBUTES.values() for a in asked)


@given(st.text(max_size=30))
def test_a_number_is_finite_and_plain_or_refused(value: str) -> None:
    try:
        found = domain.read_number(value)
    except ValueError:
        return
    assert abs(found) < 10**15
    assert value.isascii()
    assert not set(value) & set("eEnN_ ")


@pytest.mark.parametrize(
    ("value", "found"), [("6.37", 6.37), ("-2.", -2), (".5", 0.5), ("+12", 12), ("007", 7)]
)
def test_numbers_as_people_write_them(value: str, found: float) -> None:
    assert domain.read_number(value) == found
    assert isinstance(domain.read_number(value), type(found))


@given(st.text(max_size=40) | st.datetimes().map(str) | st.datetimes().map(datetime.isoformat))
def test_a_moment_is_near_and_aware_or_refused(value: str) -> None:
    try:
        found = domain.read_moment(value)
    except ValueError:
        return
    assert 1999 <= found.year <= 2101
    assert found.tzinfo is UTC


def test_a_day_is_from_its_first_to_its_last_moment_in_benin() -> None:
    assert domain.read_moment("2026-11-24") == datetime(2026, 11, 23, 23, tzinfo=UTC)
    last = domain.read_moment("2026-11-24", end_of_day=True)
    assert last == datetime(2026, 11, 24, 22, 59, 59, 999_999, tzinfo=UTC)


moments = st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.none() | moments, st.none() | moments)
def test_a_window_holds_ninety_days_at_most(start: datetime | None, end: datetime | None) -> None:
    try:
        first, last = domain.window(start, end, NOW)
    except ValueError:
        assert start
        assert end
        assert start > end or end - start > domain.WINDOW
        return
    second = timedelta(seconds=1)
    assert first <= last
    assert last - first < domain.WINDOW + second
    assert start is None or first == start
    assert end is None or end <= last < end + second
    assert start or end or (last - NOW < second and NOW - first == domain.WINDOW)


PLACES = [("1-01", "Dogbo"), ("1-02", "Tota"), ("1-03", "Tota-Agué"),
          ("1-04", "12e arrondissement"), ("1-05", "2e arrondissement"),
          ("1-06", "1er arrondissement")]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("Dogbo", "1-01"),
        ("Chez Tota", "1-02"),
        ("TOTA, Dogbo", "1-02"),
        ("tota agué, Dogbo", "1-03"),
        ("rue 3, 12ème Arrondissement", "1-04"),
        ("2 eme arrondissement", "1-05"),
        ("1ᵉʳ arrondissement", "1-06"),
        ("1e arrondissement", "1-06"),
    ],
)
def test_an_address_names_an_arrondissement(address: str, code: str) -> None:
    assert domain.match_place(address, "Dogbo", PLACES) == code


@pytest.mark.parametrize("address", ["", "Totale", "22e arrondissement", "Dog bo"])
def test_an_address_that_names_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no arrondissement of Dogbo"):
        domain.match_place(address, "Dogbo", PLACES)


def test_an_address_that_names_two_is_refused() -> None:
    with pytest.raises(ValueError, match="several arrondissements: Tota, 2e arrondissement"):
        domain.match_place("entre Tota et le 2e arrondissement", "Dogbo", PLACES)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_keys_differ_as_their_random_bits_do(one: bytes, other: bytes) -> None:
    assert (domain.new_key(one) == domain.new_key(other)) is (one == other)
    assert len(domain.new_key(one)) == len("palabre_") + 43
    assert len(domain.key_hash(domain.new_key(one))) == 32


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)


@given(st.lists(st.dictionaries(st.sampled_from(["service_code", "description", "lat"]), scalars)))
def test_any_texts_make_documents_that_parse(content: list[dict[str, Any]]) -> None:
    root = ElementTree.fromstring(to_xml("service_requests", content))  # noqa: S314 - our own
    assert [child.tag for child in root] == ["request"] * len(content)
    for child, one in zip(root, content, strict=True):
        assert [part.tag for part in child] == list(one)
    assert json.loads(to_json(content)) == content


def test_xml_leaves_out_what_it_cannot_hold_and_keeps_the_rest() -> None:
    said = "a\x00b\x08c\x1fd\ud800e\ufffef\n\tg 𐀀 <&>"
    root = ElementTree.fromstring(to_xml("request", {"description": said}))  # noqa: S314
    assert root[0].text == "abcdef\n\tg 𐀀 <&>"


def test_formats_have_their_types_and_xml_is_the_default() -> None:
    assert render("xml", "services", []).headers["content-type"] == "text/xml; charset=utf-8"
    assert render("json", "x", []).headers["content-type"] == "application/json; charset=utf-8"
    assert [format_of(p) for p in ("/a.json", "/a.xml", "/a.html", "/a", "")] == [
        "json", "xml", "xml", "xml", "xml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, 400), (401, 401), (403, 403), (404, 404), (405, 405), (409, 400), (413, 413), (415, 400),
     (422, 400), (429, 429), (500, 500), (503, 503)],
)  # fmt: skip
def test_a_problem_is_said_with_one_of_few_statuses(status: int, said: int) -> None:
    found = as_errors({"status": status, "detail": "No."})
    assert found == (said, [{"code": said, "description": "No."}])


def test_each_field_of_a_problem_is_an_error_with_its_open311_name() -> None:
    errors = [
        {"pointer": "/lon", "detail": "The point is not in Bénin."},
        {"pointer": "", "detail": "Value error, one place only"},
        {"pointer": "/attribute[size]", "detail": "one of bag"},
    ]
    status, found = as_errors({"status": 422, "detail": "Some fields.", "errors": errors})
    assert status == 400
    assert [error["description"] for error in found] == [
        "long: The point is not in Bénin.",
        "one place only",
        "attribute[size]: one of bag",
    ]
