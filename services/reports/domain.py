"""Categories, agencies, the status workflow and limits: the pure rules of reports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal[
    "received",
    "acknowledged",
    "in_progress",
    "waiting",
    "resolved",
    "confirmed",
    "reopened",
    "rejected",
    "forwarded",
    "duplicate",
    "withdrawn",
]
STATUSES: tuple[Status, ...] = get_args(Status)
#: Still waits for the mairie. The partial indexes of the migrations say the same list.
OPEN: frozenset[Status] = frozenset(
    {"received", "acknowledged", "in_progress", "waiting", "reopened"}
)

#: Who changes a status: the mairie's agents, or the citizen who reported.
Actor = Literal["mairie", "citizen"]

_MAIRIE: frozenset[Actor] = frozenset({"mairie"})
_CITIZEN: frozenset[Actor] = frozenset({"citizen"})
_BOTH = _MAIRIE | _CITIZEN

#: What the mairie may answer to any open report.
_ANSWERS: Mapping[Status, frozenset[Actor]] = {
    "acknowledged": _MAIRIE,
    "in_progress": _MAIRIE,
    "waiting": _MAIRIE,
    "resolved": _MAIRIE,
    "rejected": _MAIRIE,
    "forwarded": _MAIRIE,
    "duplicate": _MAIRIE,
}


def _answers(*without: Status) -> dict[Status, frozenset[Actor]]:
    return {status: who for status, who in _ANSWERS.items() if status not in without}


_WITHDRAW: dict[Status, frozenset[Actor]] = {"withdrawn": _CITIZEN}
_REOPEN: dict[Status, frozenset[Actor]] = {"reopened": _BOTH}

#: The one workflow table: from → to → who may. A duplicate leaves its state by un-merging only.
TRANSITIONS: Mapping[Status, Mapping[Status, frozenset[Actor]]] = {
    "received": _answers() | _WITHDRAW,
    "acknowledged": _answers("acknowledged") | _WITHDRAW,
    "in_progress": _answers("acknowledged", "in_progress") | _WITHDRAW,
    "waiting": _answers("acknowledged", "waiting") | _WITHDRAW,
    "resolved": {"confirmed": _CITIZEN, **_REOPEN},
    "confirmed": _REOPEN,
    "rejected": {"reopened": _MAIRIE},
    "forwarded": {"resolved": _MAIRIE, "reopened": _MAIRIE},
    "duplicate": {},
    "withdrawn": {},
    "reopened": _answers("acknowledged") | _WITHDRAW,
}
#: The status whose first setting counts as the mairie's answer, and those that end the work.
ANSWERED: frozenset[Status] = frozenset(_ANSWERS)
CLOSED: frozenset[Status] = frozenset(STATUSES) - OPEN

Reason = Literal[
    "not_public_domain", "insufficient_information", "already_solved", "not_found", "abusive"
]


def allowed(status: str, actors: frozenset[Actor]) -> list[Status]:
    """Return the statuses that ``actors`` may set next, in the workflow's order."""
    following = TRANSITIONS[status]  # type: ignore[index] # a stored status is one of STATUSES
    return [to for to, who in following.items() if who & actors]


#: What a line of a report's history tells.
Kind = Literal[
    "status", "note", "correction", "assignment", "merge", "unmerge", "redaction", "moderation",
    "proposal",
]  # fmt: skip
#: Lines that anybody may read; the others are the mairie's own, unless they hold a public note.
PUBLIC_KINDS: frozenset[Kind] = frozenset({"status", "correction", "merge", "unmerge", "proposal"})

Channel = Literal["web", "open311", "assisted", "ussd", "sms", "import"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Gender = Literal["f", "m", "o"]
GENDERS: tuple[Gender, ...] = get_args(Gender)


@dataclass(frozen=True, slots=True)
class Agency:
    """A technical service of the mairie, which reports are assigned to (Open311's agency)."""

    code: str
    fr: str
    en: str


AGENCIES: Mapping[str, Agency] = {
    a.code: a
    for a in (
        Agency("roads", "Service de la voirie", "Roads service"),
        Agency("lighting", "Service de l'éclairage public", "Street lighting service"),
        Agency("hygiene", "Service de l'hygiène et de la salubrité", "Hygiene and sanitation"),
        Agency("water", "Service de l'eau", "Water service"),
        Agency("buildings", "Service des bâtiments et des marchés", "Buildings and markets"),
        Agency("police", "Police municipale", "Municipal police"),
        Agency("front-desk", "Accueil de la mairie", "Front desk"),
    )
}


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of problem.

    ``icon`` names a symbol of the gateway's sprite; ``radius_m`` is how near an open report may be
    the same problem; ``answer_days`` and ``repair_days`` are the usual targets in working days;
    ``group`` and ``keywords`` are for clients that look a service up (Open311).
    """

    code: str
    fr: str
    en: str
    icon: str
    agency: str
    radius_m: int
    answer_days: int
    repair_days: int
    group: str
    keywords: tuple[str, ...]
    #: Shown on a grid of some 200 m: it points at a household or a person.
    sensitive: bool = False


CATEGORIES: Mapping[str, Category] = {
    c.code: c
    for c in (
        Category("waste", "Dépôt sauvage, ordures", "Illegal dumping, waste", "waste",
                 "hygiene", 60, 2, 5, "Salubrité", ("ordures", "déchets", "dépotoir")),
        Category("lighting", "Éclairage public", "Street lighting", "lighting",
                 "lighting", 30, 2, 10, "Voirie", ("lampadaire", "poteau", "lumière")),
        Category("roads", "Route ou piste dégradée", "Damaged road or track", "roads",
                 "roads", 50, 3, 30, "Voirie", ("trou", "piste", "pavé", "ravine")),
        Category("drainage", "Caniveau, inondation", "Drain, flooding", "drainage",
                 "roads", 80, 2, 15, "Salubrité", ("caniveau", "inondation", "dalot")),
        Category("water", "Eau potable", "Drinking water", "water",
                 "water", 100, 1, 7, "Eau", ("forage", "pompe", "borne-fontaine", "fuite")),
        Category("occupation", "Occupation anarchique", "Unlawful occupation", "occupation",
                 "police", 40, 3, 20, "Domaine public", ("étal", "trottoir", "épave"),
                 sensitive=True),
        Category("noise", "Nuisance sonore", "Noise", "noise",
                 "police", 60, 3, 10, "Domaine public", ("bruit", "musique"), sensitive=True),
        Category("buildings", "Bâtiment public dégradé", "Damaged public building", "buildings",
                 "buildings", 100, 3, 30, "Équipements", ("école", "centre de santé", "latrines")),
        Category("markets", "Marché", "Market", "markets",
                 "buildings", 100, 3, 20, "Équipements", ("hangar", "étal", "toilettes")),
        Category("other", "Autre problème", "Other problem", "other",
                 "front-desk", 50, 3, 20, "Autre", ()),
    )
}  # fmt: skip

SUMMARY_LENGTH = 140
DESCRIPTION_LENGTH = 4000
MAX_PHOTOS = 5
#: How far outside a commune's outline a point may lie and still be given to it, in metres:
#: boundary sets differ on 3–5 % of points.
COMMUNE_MARGIN_M = 5_000
#: The widest circle in which anybody may look for the same problem, in metres.
MAX_RADIUS_M = 500
#: What one person, and what one address, may send in an hour.
REPORTS_PER_HOUR = 60
ANONYMOUS_PER_HOUR = 20


def summary(description: str) -> str:
    """Return the first line, cut at a word to at most 140 characters."""
    line = " ".join(description.split())
    if len(line) <= SUMMARY_LENGTH:
        return line
    return line[:SUMMARY_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"


#: Phones as people write them (with +229 or 00229, grouped or not), addresses, long numbers.
_PERSONAL: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    "phone": re.compile(r"(?<![\w+])(?:(?:\+|00)\s?229[\s.-]?)?(?:\d{2}[\s.-]?){3,4}\d{2}(?!\w)"),
    "number": re.compile(r"(?<!\w)\d{9,20}(?!\w)"),
}
PersonalKind = Literal["phone", "email", "number"]


def personal(text: str) -> list[tuple[PersonalKind, int, int]]:
    """Return what looks like personal data in ``text``: kind, start, end in characters.

    A hint for its author, no promise: names are not found.
    """
    found: list[tuple[PersonalKind, int, int]] = []
    for kind, pattern in _PERSONAL.items():
        for match in pattern.finditer(text):
            if not any(start < match.end() and match.start() < end for _, start, end in found):
                found.append((kind, match.start(), match.end()))  # type: ignore[arg-type]
    return sorted(found, key=lambda item: item[1])
