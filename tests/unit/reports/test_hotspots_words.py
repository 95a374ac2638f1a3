"""Sentences that a mairie can read aloud, and the days they speak of."""

from datetime import UTC, date, datetime

import pytest

from services.reports.domain import CATEGORIES
from services.reports.hotspots import domain, words
from services.reports.hotspots.domain import Silent, Window
from services.reports.hotspots.words import Finding

pytestmark = pytest.mark.unit

TODAY = date(2026, 11, 22)
WHEN = words.period(Window(TODAY, 90), TODAY)
WASTE = words.label("waste")
NBSP, THIN = "\u00a0", "\u202f"


def finding(**changes: object) -> Finding:
    plain = Finding(23, None, 9, "5e arrondissement", False, False, 1.0, None)
    return plain._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "fr", "en"),
    [
        (
            {"hot": True, "trend": "emerging", "p": 4e-4},
            f"Dépôt sauvage, ordures{NBSP}: 23 signalements dans le 5e arrondissement depuis le "
            f"25 août 2026, point chaud émergent{NBSP}: le hasard seul avait moins d'une chance "
            f"sur 1{THIN}000 d'en réunir autant.",
            "Illegal dumping, waste: 23 reports in the 5th arrondissement since 25 August 2026, "
            "an emerging hotspot: chance alone had less than one chance in 1,000 of gathering as "
            "many.",
        ),
        (
            {"hot": True, "trend": "persistent", "p": 0.0, "around": 1234, "place": "Godomey"},
            f"Dépôt sauvage, ordures{NBSP}: 23 signalements à Godomey depuis le 25 août 2026, "
            f"1{THIN}234 avec les alentours, point chaud persistant{NBSP}: le hasard seul avait "
            "moins d'une chance sur un million d'en réunir autant.",
            "Illegal dumping, waste: 23 reports in Godomey since 25 August 2026, 1,234 with what "
            "is next to it, a persistent hotspot: chance alone had less than one chance in a "
            "million of gathering as many.",
        ),
        (
            {"trend": "fading", "reports": 1},
            f"Dépôt sauvage, ordures{NBSP}: 1 signalement dans le 5e arrondissement depuis le "
            f"25 août 2026, contre 9 sur la période d'avant{NBSP}: point chaud en recul.",
            "Illegal dumping, waste: 1 report in the 5th arrondissement since 25 August 2026, "
            "against 9 in the period before: a fading hotspot.",
        ),
        (
            {"cold": True, "reports": 0, "around": 2, "p": 0.03},
            f"Dépôt sauvage, ordures{NBSP}: 0 signalement dans le 5e arrondissement depuis le "
            f"25 août 2026, 2 avec les alentours, moins qu'ailleurs{NBSP}: le hasard seul avait "
            "moins d'une chance sur 20 d'en donner si peu.",
            "Illegal dumping, waste: 0 reports in the 5th arrondissement since 25 August 2026, "
            "2 with what is next to it, fewer than elsewhere: chance alone had less than one "
            "chance in 20 of giving so few.",
        ),
        (
            {"around": 40},
            f"Dépôt sauvage, ordures{NBSP}: 23 signalements dans le 5e arrondissement depuis le "
            "25 août 2026, rien d'inhabituel.",
            "Illegal dumping, waste: 23 reports in the 5th arrondissement since 25 August 2026, "
            "nothing unusual.",
        ),
    ],
)
def test_sentences(changes: dict[str, object], fr: str, en: str) -> None:
    assert words.sentence(WASTE, WHEN, finding(**changes)) == (fr, en)


def test_silence_says_what_was_to_be_expected() -> None:
    assert words.silence("1er arrondissement", 41_000, Silent(0, 3, 25.4, 1e-6), WHEN) == (
        f"1er arrondissement{NBSP}: 3 signalements depuis le 25 août 2026 pour 41{THIN}000 "
        "habitants, là où le taux de la commune en ferait attendre 25.",
        "1st arrondissement: 3 reports since 25 August 2026 for 41,000 inhabitants, where the "
        "commune's rate would give 25.",
    )


@pytest.mark.parametrize(
    ("p", "fr"),
    [
        (0.04, "sur 20"), (0.009, "sur 100"), (9e-4, f"sur 1{THIN}000"),
        (9e-5, f"sur 10{THIN}000"), (9e-6, f"sur 100{THIN}000"), (0.0, "sur un million"),
    ],
)  # fmt: skip
def test_odds_never_promise_more_than_p(p: float, fr: str) -> None:
    assert words.odds(p)[0].endswith(fr)


def test_every_category_and_all_of_them_have_a_name() -> None:
    assert [words.label(code) for code in CATEGORIES] == [(c.fr, c.en) for c in CATEGORIES.values()]
    assert words.label(None) == ("Tous les problèmes", "All problems")


@pytest.mark.parametrize(
    ("name", "en"),
    [
        ("1er arrondissement", "in the 1st arrondissement"),
        ("2e arrondissement", "in the 2nd arrondissement"),
        ("3e arrondissement", "in the 3rd arrondissement"),
        ("11e arrondissement", "in the 11th arrondissement"),
        ("13e arrondissement", "in the 13th arrondissement"),
        ("Sakété II", "in Sakété II"),
    ],
)
def test_places(name: str, en: str) -> None:
    assert words.where(name)[1] == en


def test_a_window_is_whole_days_of_benin() -> None:
    window = Window(date(2026, 3, 1), 7)
    assert (window.since, window.before.until) == (date(2026, 2, 23), date(2026, 2, 22))
    assert window.start == datetime(2026, 2, 22, 23, tzinfo=UTC)
    assert window.end == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert window.before.end == window.start
    assert window.end - window.start == window.before.end - window.before.start
    assert domain.today(datetime(2026, 2, 28, 23, 30, tzinfo=UTC)) == date(2026, 3, 1)


def test_a_window_that_is_over_says_from_when_to_when() -> None:
    assert words.period(Window(date(2026, 5, 7), 7), TODAY) == (
        "du 1er mai 2026 au 7 mai 2026",
        "from 1 May 2026 to 7 May 2026",
    )
