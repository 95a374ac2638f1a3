import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ServiceProblem
from gateway.pages import base
from gateway.pages.base import Blank, Form

pytestmark = pytest.mark.unit


class Asked:
    headers: dict[str, str] = {}  # noqa: RUF012
    cookies: dict[str, str] = {}  # noqa: RUF012


@pytest.mark.parametrize(
    ("text", "francs"),
    [
        ("25 000 000", 25_000_000),
        ("25\u202f000\u202f000 FCFA", 25_000_000),
        ("25\u00a0000\u00a0000\u202fF\u202fCFA", 25_000_000),
        ("25.000.000 F", 25_000_000),
        ("4800000", 4_800_000),
        ("0", 0),
        ("", None),
        ("abc", None),
        ("-5", None),
        ("1e9", None),
        ("2,500,000 fcfa", 2_500_000),
        ("2.500 000", None),
        ("12 500,50", None),
        ("1 2345", None),
        ("２５", None),
        ("٣٠٠", None),
        ("9" * 20, None),
    ],
)
def test_amounts_are_read_as_people_write_them(text, francs):
    assert base.amount(text) == francs


@given(st.integers(0, 10**13 - 1))
def test_amounts_are_read_back_from_how_pages_write_them(francs):
    from gateway.web import money

    assert base.amount(money(francs)) == francs


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_an_amount(text):
    assert base.amount(text) is None or base.amount(text) >= 0


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [
        ("2.42", "6.36", (2.42, 6.36)),
        ("", "", None),
        ("2.42", "", None),
        ("nan", "6", None),
        ("inf", "6", None),
        ("2,42", "6,36", None),
        ("200", "6", None),
    ],
)
def test_points(lon, lat, expected):
    assert base.point(Form(Blank(lon=lon, lat=lat))) == expected


def campaign(phase, *names):
    dates = {"opens_at": "2026-11-01T00:00:00Z", "closes_at": "2026-12-01T00:00:00Z"}
    return {"id": "c", "phase": phase, "phases": [{"phase": n, **dates} for n in names]}


def test_the_timeline_marks_the_present_phase_even_when_it_was_not_planned():
    steps = base.timeline(campaign("review", "ideas", "vote"))
    assert [(s["phase"], s["state"]) for s in steps] == [
        ("ideas", "done"),
        ("review", "now"),
        ("vote", "later"),
    ]
    assert steps[1]["closes_at"] is None


def test_the_campaign_that_asks_something_comes_first():
    found = [campaign("closed"), campaign("ideas"), campaign("vote"), campaign("results")]
    assert base.foremost(found) is found[2]
    assert base.foremost([]) is None


@pytest.mark.parametrize("phase", base.PHASE_ORDER)
def test_every_phase_has_somewhere_to_go(phase):
    action = base.told(campaign(phase), str)["action"]
    assert action["text"]
    assert action["href"].startswith("/budget/c")


def test_the_next_page_keeps_the_filters_and_only_the_cursor_of_the_service():
    answer = {"next": "/api/v1/reports?commune=0801&limit=20&cursor=a%2Bb"}
    kept = {"category": "waste", "status": ""}
    assert base.following("/x", kept, answer) == "/x?category=waste&cursor=a%2Bb"
    assert base.following("/x", kept, {"next": None}) is None


def test_a_refusal_is_written_where_it_belongs():
    problem = ServiceProblem(422, "outside_country", "", [])
    form = base.refuse(Asked(), Form(), problem)
    assert set(form.errors) == {"place"}
    problem = ServiceProblem(422, "invalid", "", [{"pointer": "/phone", "detail": "x"}])
    assert set(base.refuse(Asked(), Form(), problem).errors) == {"phone"}
    problem = ServiceProblem(422, "over_budget", "", [])
    assert set(base.refuse(Asked(), Form(), problem, over_budget="cost").errors) == {"cost"}
    unknown = base.refuse(Asked(), Form(), ServiceProblem(422, "strange", "secret detail", []))
    assert unknown.notice
    assert "secret" not in unknown.notice


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_what_a_form_cannot_mend_is_raised(status):
    with pytest.raises(ServiceProblem):
        base.refuse(Asked(), Form(), ServiceProblem(status, "other", "", []))


def test_forms_keep_what_was_written():
    form = Form.of({"title": "  <b>${x}</b> ", "file": object()})
    assert form.values == {"title": "<b>${x}</b>"}
    assert form.values["missing"] == ""
    assert not form.bad
