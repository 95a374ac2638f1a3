"""Money, dates, addresses: what pages are written with."""

from datetime import UTC, date, datetime

import pytest

from gateway import web

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "0\u202fF\u202fCFA"),
        (950, "950\u202fF\u202fCFA"),
        (12_500_000, "12\u202f500\u202f000\u202fF\u202fCFA"),
    ],
)
def test_money(amount: int, said: str) -> None:
    assert web.money(amount) == said


@pytest.mark.parametrize(
    ("time", "locale", "said"),
    [
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "fr", "23 novembre 2026, 00:30"),
        ("2026-11-22T08:05:00Z", "fr", "22 novembre 2026, 09:05"),
        ("2026-11-22T08:05:00+00:00", "en", "22 November 2026, 09:05"),
        (datetime(2026, 11, 22, 8, 5), "en", "22 November 2026, 09:05"),  # noqa: DTZ001
        (None, "fr", ""),
    ],
)
def test_moment_is_told_in_benin(time: web.Time | None, locale: str, said: str) -> None:
    assert web.moment(time, locale) == said


def test_day() -> None:
    assert web.day("2026-12-31T23:30:00Z") == "1er janvier 2027"
    assert web.day(date(2026, 12, 31), "en") == "31 December 2026"
    assert web.day(None) == ""


@pytest.mark.parametrize(
    "path",
    ["/", "/communes/0801?q=a%20b", "/signalements/S-7K4M2P#histoire", "/communes/Tanguiéta"],
)
def test_local_paths(path: str) -> None:
    assert web.is_local(path)
    assert web.redirect(path).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " /x",
        "javascript:alert(1)",
        "communes",
        "/" + "a" * 3000,
    ],
)
def test_a_redirect_never_leaves_the_site(path: str) -> None:
    assert not web.is_local(path)
    assert web.redirect(path).headers["location"] == "/"


def test_an_assets_address_follows_its_content(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(web, "STATIC", tmp_path)
    file = tmp_path / "a.css"
    file.write_text("a")
    first = web.asset("a.css")
    assert first == web.asset("a.css")
    assert first.startswith("/static/a.css?v=")
    file.write_text("b")
    assert first != web.asset("a.css")
