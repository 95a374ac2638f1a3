"""Categories, the status workflow and photo limits: the pure rules of reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal["received", "acknowledged", "in_progress", "resolved", "rejected", "reopened"]
STATUSES: tuple[Status, ...] = get_args(Status)
OPEN: frozenset[Status] = frozenset({"received", "acknowledged", "in_progress", "reopened"})

#: Who changes a status: the mairie's agents, or the citizen who reported.
Actor = Literal["mairie", "citizen"]

_ANSWERS: Mapping[Status, frozenset[Actor]] = {
    "acknowledged": frozenset({"mairie"}),
    "in_progress": frozenset({"mairie"}),
    "resolved": frozenset({"mairie"}),
    "rejected": frozenset({"mairie"}),
}

#: The one workflow table: from → to → who may.
TRANSITIONS: Mapping[Status, Mapping[Status, frozenset[Actor]]] = {
    "received": _ANSWERS,
    "acknowledged": {s: a for s, a in _ANSWERS.items() if s != "acknowledged"},
    "in_progress": {s: a for s, a in _ANSWERS.items() if s in ("resolved", "rejected")},
    "resolved": {"reopened": frozenset({"mairie", "citizen"})},
    "rejected": {"reopened": frozenset({"mairie"})},
    "reopened": {s: a for s, a in _ANSWERS.items() if s != "acknowledged"},
}

Reason = Literal[
    "not_public_domain", "insufficient_information", "already_solved", "not_found", "abusive"
]


def allowed(status: str, actors: frozenset[Actor]) -> list[Status]:
    """Return the statuses that ``actors`` may set next, in the workflow's order."""
    following = TRANSITIONS[status]  # type: ignore[index] # a stored status is one of STATUSES
    return [to for to, who in following.items() if who & actors]


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of problem; ``icon`` names a symbol of the gateway's sprite."""

    code: str
    fr: str
    en: str
    icon: str


CATEGORIES: Mapping[str, Category] = {
    c.code: c
    for c in (
        Category("waste", "Dépôt sauvage, ordures", "Illegal dumping, waste", "waste"),
        Category("lighting", "Éclairage public", "Street lighting", "lighting"),
        Category("roads", "Route ou piste dégradée", "Damaged road or track", "roads"),
        Category("drainage", "Caniveau, inondation", "Drain, flooding", "drainage"),
        Category("water", "Eau potable", "Drinking water", "water"),
        Category("occupation", "Occupation anarchique", "Unlawful occupation", "occupation"),
        Category("noise", "Nuisance sonore", "Noise", "noise"),
        Category("buildings", "Bâtiment public dégradé", "Damaged public building", "buildings"),
        Category("markets", "Marché", "Market", "markets"),
        Category("other", "Autre problème", "Other problem", "other"),
    )
}

SUMMARY_LENGTH = 140
DESCRIPTION_LENGTH = 4000
MAX_PHOTOS = 5
PHOTO_BYTES = 10 * 1024 * 1024
PHOTO_PIXELS = 50_000_000
PHOTO_SIDE = 1600
THUMB_SIDE = 320
#: How far outside a commune's outline a point may lie and still be given to it, in metres:
#: boundary sets differ on 3–5 % of points.
COMMUNE_MARGIN_M = 5_000
#: Within how many metres an open report of the same category may be the same problem.
DUPLICATE_RADIUS_M = 50
#: What one person, and what one address, may send in an hour.
REPORTS_PER_HOUR = 60
ANONYMOUS_PER_HOUR = 20
UPLOADS_PER_HOUR = 200


def summary(description: str) -> str:
    """Return the first line, cut at a word to at most 140 characters."""
    line = " ".join(description.split())
    if len(line) <= SUMMARY_LENGTH:
        return line
    return line[:SUMMARY_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"
