"""One plain sentence, in French and in English, for what the numbers say."""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from services.reports.domain import CATEGORIES
from services.reports.hotspots.domain import Silent, Trend, Window

#: The same words in French and in English.
Both = tuple[str, str]

_MONTHS: tuple[Both, ...] = (
    ("janvier", "January"), ("février", "February"), ("mars", "March"), ("avril", "April"),
    ("mai", "May"), ("juin", "June"), ("juillet", "July"), ("août", "August"),
    ("septembre", "September"), ("octobre", "October"), ("novembre", "November"),
    ("décembre", "December"),
)  # fmt: skip
#: p below the first number → how often chance alone does it.
_ODDS: tuple[tuple[float, str, str], ...] = (
    (1e-6, "moins d'une chance sur un million", "less than one chance in a million"),
    (1e-5, "moins d'une chance sur 100\u202f000", "less than one chance in 100,000"),
    (1e-4, "moins d'une chance sur 10\u202f000", "less than one chance in 10,000"),
    (1e-3, "moins d'une chance sur 1\u202f000", "less than one chance in 1,000"),
    (1e-2, "moins d'une chance sur 100", "less than one chance in 100"),
    (1.1, "moins d'une chance sur 20", "less than one chance in 20"),
)
TRENDS: Mapping[Trend, Both] = {
    "emerging": ("émergent", "emerging"),
    "persistent": ("persistant", "persistent"),
    "fading": ("en recul", "fading"),
}
_ARTICLE: Mapping[Trend, str] = {"emerging": "an", "persistent": "a", "fading": "a"}
_ALL = ("Tous les problèmes", "All problems")
_NUMBERED = re.compile(r"^(\d+)(?:er|e|ème) arrondissement$")
#: What a rate per 1,000 inhabitants rests on.
POPULATION = (
    "Population du recensement de 2013, supposée répartie également sur la surface de chaque "
    "arrondissement.",
    "Population of the 2013 census, taken as spread evenly over the area of each arrondissement.",
)


def number(value: int) -> Both:
    """Return a whole number with its thousands apart."""
    english = f"{value:,}"
    return english.replace(",", "\u202f"), english


def day(value: date) -> Both:
    """Return a date as people write it."""
    fr, en = _MONTHS[value.month - 1]
    first = "1er" if value.day == 1 else value.day
    return f"{first} {fr} {value.year}", f"{value.day} {en} {value.year}"


def period(window: Window, today: date) -> Both:
    """Return since when, or from when to when for a window that is over."""
    since, until = day(window.since), day(window.until)
    if window.until >= today:
        return f"depuis le {since[0]}", f"since {since[1]}"
    return f"du {since[0]} au {until[0]}", f"from {since[1]} to {until[1]}"


def named(name: str) -> Both:
    """Return what an arrondissement is called."""
    numbered = _NUMBERED.match(name)
    if not numbered:
        return name, name
    value = int(numbered[1])
    last = 0 if value % 100 in (11, 12, 13) else value % 10
    return name, f"{value}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') } arrondissement"


@lru_cache(maxsize=1024)
def where(name: str) -> Both:
    """Return "in" an arrondissement or a commune of this name."""
    fr, en = named(name)
    return (f"à {name}", f"in {name}") if fr == en else (f"dans le {fr}", f"in the {en}")


def odds(p: float) -> Both:
    """Return how likely chance alone is."""
    return next((fr, en) for limit, fr, en in _ODDS if p < limit)


def many(count: int) -> Both:
    """Return a number of reports."""
    fr, en = number(count)
    return (
        f"{fr} signalement{'s' if count > 1 else ''}",
        f"{en} report{'' if count == 1 else 's'}",
    )


def label(category: str | None) -> Both:
    """Return what the problems of a category, or of all, are called."""
    found = CATEGORIES.get(category or "")
    return (found.fr, found.en) if found else _ALL


class Finding(NamedTuple):
    """What a sentence is about. ``around`` is a cell with its neighbours, None for a cluster;
    ``before`` is what the window before held.
    """

    reports: int
    around: int | None
    before: int
    place: str
    hot: bool
    cold: bool
    p: float
    trend: Trend | None


def sentence(what: Both, when: Both, it: Finding) -> Both:
    """Return "what: how many, where, since when, how unlikely"."""
    (fr, en), (n_fr, n_en), (in_fr, in_en) = what, many(it.reports), where(it.place)
    fr = f"{fr}\u00a0: {n_fr} {in_fr} {when[0]}"
    en = f"{en}: {n_en} {in_en} {when[1]}"
    if it.around is not None and (it.hot or it.cold):
        a_fr, a_en = number(it.around)
        fr += f", {a_fr} avec les alentours"
        en += f", {a_en} with what is next to it"
    end_fr, end_en = _verdict(it)
    return f"{fr}, {end_fr}.", f"{en}, {end_en}."


def _verdict(it: Finding) -> Both:
    if it.trend == "fading":
        fr, en = number(it.before)
        return (
            f"contre {fr} sur la période d'avant\u00a0: point chaud en recul",
            f"against {en} in the period before: a fading hotspot",
        )
    odds_fr, odds_en = odds(it.p)
    if it.hot and it.trend:
        fr, en = TRENDS[it.trend]
        return (
            f"point chaud {fr}\u00a0: le hasard seul avait {odds_fr} d'en réunir autant",
            f"{_ARTICLE[it.trend]} {en} hotspot: chance alone had {odds_en} of gathering as many",
        )
    if it.cold:
        return (
            f"moins qu'ailleurs\u00a0: le hasard seul avait {odds_fr} d'en donner si peu",
            f"fewer than elsewhere: chance alone had {odds_en} of giving so few",
        )
    return "rien d'inhabituel", "nothing unusual"


def silence(name: str, people: int, found: Silent, when: Both) -> Both:
    """Return how little comes from an arrondissement, and what was to be expected."""
    (n_fr, n_en), (p_fr, p_en) = many(found.count), number(people)
    e_fr, e_en = number(round(found.expected))
    fr, en = named(name)
    return (
        f"{fr}\u00a0: {n_fr} {when[0]} pour {p_fr} habitants, là où le taux de la commune en "
        f"ferait attendre {e_fr}.",
        f"{en}: {n_en} {when[1]} for {p_en} inhabitants, where the commune's rate would "
        f"give {e_en}.",
    )
