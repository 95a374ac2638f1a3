"""What each code is called on pages, with its icon and its tone: one table a kind.

``N_`` marks a French text for the catalogues; templates translate it with ``_`` where it is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass


def N_(text: str) -> str:
    """Mark a message."""
    return text


@dataclass(frozen=True, slots=True)
class Label:
    """A word, the icon beside it (a key of ``static/icons.json``), and its colour in the CSS."""

    text: str
    icon: str
    tone: str = "stone"
    #: One sentence more, for phases: what they mean for a citizen.
    says: str = ""


CATEGORIES: Mapping[str, Label] = {
    "waste": Label(N_("Dépôt sauvage, ordures"), "waste"),
    "lighting": Label(N_("Éclairage public"), "lighting"),
    "roads": Label(N_("Route ou piste dégradée"), "roads"),
    "drainage": Label(N_("Caniveau, inondation"), "drainage"),
    "water": Label(N_("Eau potable"), "water"),
    "occupation": Label(N_("Occupation anarchique"), "occupation"),
    "noise": Label(N_("Nuisance sonore"), "noise"),
    "buildings": Label(N_("Bâtiment public dégradé"), "buildings"),
    "markets": Label(N_("Marché"), "markets"),
    "other": Label(N_("Autre problème"), "other"),
}

STATUSES: Mapping[str, Label] = {
    "received": Label(N_("Reçu"), "mail", "sky"),
    "acknowledged": Label(N_("Pris en compte"), "eye", "ochre"),
    "in_progress": Label(N_("En cours"), "hammer", "ochre"),
    "resolved": Label(N_("Résolu"), "check-circle", "green"),
    "rejected": Label(N_("Rejeté"), "x", "stone"),
    "reopened": Label(N_("Rouvert"), "refresh", "clay"),
}


REASONS: Mapping[str, str] = {
    "not_public_domain": N_("Ce n'est pas sur le domaine public"),
    "insufficient_information": N_("Il manque des informations pour agir"),
    "already_solved": N_("C'est déjà réglé"),
    "not_found": N_("Rien n'a été trouvé sur place"),
    "abusive": N_("Contenu abusif"),
}

PHASES: Mapping[str, Label] = {
    "preparation": Label(
        N_("Préparation"), "calendar", "stone", N_("La mairie prépare la campagne.")
    ),
    "ideas": Label(
        N_("Idées"), "lightbulb", "ochre", N_("Proposez un projet pour votre quartier.")
    ),
    "review": Label(
        N_("Étude"), "search", "sky", N_("La mairie étudie chaque projet et calcule son coût.")
    ),
    "revision": Label(
        N_("Révision"), "edit", "sky", N_("Les projets sont corrigés avant le vote.")
    ),
    "vote": Label(N_("Vote"), "vote", "ochre", N_("Choisissez les projets à financer.")),
    "results": Label(
        N_("Résultats"), "trophy", "green", N_("Les voix sont comptées, les projets choisis.")
    ),
    "works": Label(
        N_("Travaux"), "hammer", "green", N_("Les projets choisis sont en construction.")
    ),
    "closed": Label(N_("Terminée"), "check-circle", "stone", N_("La campagne est terminée.")),
}

PROPOSALS: Mapping[str, Label] = {
    "submitted": Label(N_("Déposé"), "mail", "sky"),
    "shortlisted": Label(N_("Retenu pour le vote"), "check", "green"),
    "not_feasible": Label(N_("Non réalisable"), "x", "stone"),
    "funded": Label(N_("Financé"), "trophy", "green"),
    "not_funded": Label(N_("Non financé"), "minus", "stone"),
}

THEMES: Mapping[str, Label] = {
    "roads": Label(N_("Routes et pistes"), "roads"),
    "lighting": Label(N_("Éclairage"), "lighting"),
    "water": Label(N_("Eau et puits"), "water"),
    "drainage": Label(N_("Caniveaux"), "drainage"),
    "school": Label(N_("École"), "school"),
    "health": Label(N_("Santé"), "health"),
    "market": Label(N_("Marché"), "markets"),
    "environment": Label(N_("Arbres et espaces"), "tree"),
    "other": Label(N_("Autre"), "other"),
}

OUTCOMES: Mapping[str, str] = {
    "feasible": N_("Réalisable : proposé au vote"),
    "feasible_with_changes": N_("Réalisable avec des changements : proposé au vote"),
    "not_feasible": N_("Non réalisable"),
}

_UNKNOWN = Label("?", "other")


def category(code: str) -> Label:
    """Return a report's category."""
    return CATEGORIES.get(code, CATEGORIES["other"])


def status(code: str) -> Label:
    """Return a report's status."""
    return STATUSES.get(code, _UNKNOWN)


def phase(code: str) -> Label:
    """Return a campaign's phase."""
    return PHASES.get(code, _UNKNOWN)


def proposal(code: str) -> Label:
    """Return a proposal's status."""
    return PROPOSALS.get(code, _UNKNOWN)


def theme(code: str | None) -> Label:
    """Return a proposal's theme; a free word of another client is an idea like any other."""
    return THEMES.get(code or "", Label(N_("Projet"), "lightbulb"))
