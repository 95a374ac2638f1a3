"""The dashboard says what the service counted: in tables, in plots, in words."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest

from gateway.pages.desk_stats import PERIODS, period
from gateway.settings import Settings
from gateway.web import TIMEZONE
from tests.apps import Tokens
from tests.integration.gateway.desk_front import (
    COTONOU,
    DESK,
    SAVE,
    Front,
    desk_front,
    plain,
    table,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

PAGE = f"{DESK}/tableau-de-bord"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def front(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with desk_front(fresh_database, gateway_settings, tokens, media) as running:
        yield running


@pytest.fixture
def told(front: Front) -> Front:
    """Two months of waste and lighting: this month is answered in 10 hours, the last in 30."""
    front.clear()
    for days, hours, repaired in ((5, 10, 3), (6, 10, None), (7, 10, None), (40, 30, 9)):
        at = NOW - timedelta(days=days)
        ref = front.report("waste", at=at, gender="f")["ref"]
        front.answer(ref, "acknowledged", at + timedelta(hours=hours))
        if repaired is not None:
            front.answer(ref, "resolved", at + timedelta(days=repaired))
    front.report("lighting", at=NOW - timedelta(days=4), gender="m", channel="open311")
    return front


def test_only_the_communes_agents_see_figures(front: Front) -> None:
    assert httpx.get(f"{front.url}{PAGE}", headers={"Accept": "text/html"}).status_code == 303
    assert front.visitor().get(PAGE).status_code == 403
    assert front.agent(commune=SAVE).get(PAGE).status_code == 403
    assert front.agent().get(PAGE).status_code == 200


def test_an_empty_commune_says_so(front: Front) -> None:
    front.clear()
    answer = front.agent().get(PAGE)
    assert answer.status_code == 200
    assert "Aucun signalement dans cette période" in plain(answer)
    assert '<svg class="plot"' not in answer.text


def test_tables_say_what_the_service_counted(told: Front) -> None:
    answer = told.agent().get(f"{PAGE}?days=30")
    rows = table(answer, "by-category")
    assert rows["Dépôt sauvage, ordures"][:3] == ["3 avant 1", "1 avant 1", "10 h avant 30 h"]
    assert rows["Éclairage public"][:3] == ["1 avant 0", "0 avant 0", "–"]
    # The repairs took 3 days now and 9 before.
    assert rows["Dépôt sauvage, ordures"][5] == "3 j avant 9 j"
    places = table(answer, "by-arrondissement")
    assert next(iter(places)) == "12e arrondissement"  # the most reports first
    assert places["12e arrondissement"][0] == "4 avant 1"
    assert float(places["12e arrondissement"][1].replace(",", ".")) == round(4000 / 97920, 2)
    assert len(places) == 13
    assert table(answer, "by-channel")["Autre application"][0] == "1 avant 0"


def test_volumes_of_all_weeks_add_up(told: Front) -> None:
    rows = table(told.agent().get(f"{PAGE}?days=30"), "volumes")
    assert sum(int(cells[0]) for cells in rows.values() if cells[0] != "–") == 4
    assert sum(int(cells[3]) for cells in rows.values() if cells[3] != "–") == 1


def test_each_plot_repeats_its_table(told: Front) -> None:
    answer = told.agent().get(f"{PAGE}?days=30")
    section = answer.text.split('id="by-category"', 1)[1].split("</section>", 1)[0]
    plots = re.findall(r'<svg class="plot".*?</svg>', section, re.S)
    assert len(plots) == 3
    rows = table(answer, "by-category")
    for plot, column in zip(plots, (0, 5, 7), strict=True):
        texts = re.findall(r"<text[^>]*>(.*?)</text>", plot)
        drawn = dict(zip(texts[::2], texts[1::2], strict=True))
        assert list(drawn) == list(rows)
        for name, said in drawn.items():
            now, before = re.fullmatch(r"(.*) \((.*)\)", re.sub(r"\s", " ", said)).groups()  # type: ignore[union-attr]
            cell, _, was = rows[name][column].partition(" avant ")
            assert (now, before) == (cell, was or "–")


def test_changes_are_said_in_words(told: Front) -> None:
    said = plain(told.agent().get(f"{PAGE}?days=30"))
    assert re.search(r"Première réponse 10 h .{0,60} mieux qu'avant \(30 h\)", said)
    assert re.search(r"Reçus 4 +plus qu'avant \(1\)", said)


def test_few_persons_are_not_told(told: Front) -> None:
    rows = table(told.agent().get(f"{PAGE}?days=30"), "by-gender")
    assert rows["Femmes"] == rows["Hommes"] == ["masqué : moins de cinq personnes"]
    svg = told.agent().get(f"{PAGE}?days=30").text.split('id="by-gender"', 1)[1]
    assert "Femmes" in svg
    assert "3 (" not in svg.split("</svg>", 1)[0]


def test_a_page_without_a_style_or_a_script_of_its_own(told: Front) -> None:
    page = told.agent().get(PAGE).text
    assert not re.search(r"\sstyle=|<style|<script(?![^>]*\ssrc=)", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "query",
    [
        "days=7", "days=x", "days=-1", "since=2026-02-30&until=2026-03-01", "since=2026-05-01",
        "since=2026-05-02&until=2026-05-01", "since=0001-01-01&until=9999-12-31",
        "since=2100-01-01&until=2100-01-02", "since=2000-01-01&until=2026-01-01",
    ],
)  # fmt: skip
def test_what_means_nothing_is_the_usual_period(front: Front, query: str) -> None:
    answer = front.agent().get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert re.search(r'days=90" aria-current="true"', answer.text)


def test_dates_can_be_chosen(told: Front) -> None:
    first, last = (NOW - timedelta(days=7)).date(), (NOW - timedelta(days=3)).date()
    answer = told.agent().get(f"{PAGE}?since={first}&until={last}")
    assert answer.status_code == 200
    assert f'value="{first}"' in answer.text
    assert f'value="{last}"' in answer.text
    assert table(answer, "by-category")["Éclairage public"][0] == "1 avant 0"


def test_a_period_is_whole_days_and_never_the_future() -> None:
    now = datetime(2026, 11, 24, 15, tzinfo=TIMEZONE)
    chosen = period(now, "", "2026-11-20", "2026-11-30")
    assert (chosen.since.isoformat(), chosen.until) == ("2026-11-20T00:00:00+01:00", now)
    past = period(now, "30", "2026-01-01", "2026-01-31")
    assert (past.until - past.since, past.days) == (timedelta(days=31), None)
    assert [period(now, str(days), "", "").step for days in PERIODS] == ["week", "week", "month"]


def test_the_page_of_another_commune_is_its_own(told: Front) -> None:
    answer = told.agent(commune=SAVE).get(PAGE.replace(COTONOU, SAVE))
    assert answer.status_code == 200
    assert "Aucun signalement dans cette période" in plain(answer)
