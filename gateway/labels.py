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
    "waiting": Label(N_("En attente"), "clock", "ochre"),
    "resolved": Label(N_("Résolu"), "check-circle", "green"),
    "confirmed": Label(N_("Réparation confirmée"), "thumbs-up", "green"),
    "reopened": Label(N_("Rouvert"), "refresh", "clay"),
    "rejected": Label(N_("Rejeté"), "x", "stone"),
    "forwarded": Label(N_("Transmis à un autre organisme"), "send", "stone"),
    "duplicate": Label(N_("Doublon"), "copy", "stone"),
    "withdrawn": Label(N_("Retiré par son auteur"), "minus", "stone"),
}

#: Lines of history that are no change of status.
KINDS: Mapping[str, Label] = {
    "note": Label(N_("Message"), "message", "sky"),
    "correction": Label(N_("Corrigé"), "edit", "ochre"),
    "assignment": Label(N_("Attribué"), "users", "stone"),
    "merge": Label(N_("Un doublon y est réuni"), "copy", "stone"),
    "unmerge": Label(N_("Doublon séparé"), "copy", "stone"),
    "redaction": Label(N_("Texte revu par son auteur"), "edit", "stone"),
    "moderation": Label(N_("Modération"), "eye-off", "clay"),
    "proposal": Label(N_("Un projet est né de ce signalement"), "lightbulb", "green"),
}

#: The technical services of a mairie.
AGENCIES: Mapping[str, str] = {
    "roads": N_("Voirie"),
    "lighting": N_("Éclairage public"),
    "hygiene": N_("Hygiène et salubrité"),
    "water": N_("Eau"),
    "buildings": N_("Bâtiments et marchés"),
    "police": N_("Police municipale"),
    "front-desk": N_("Accueil de la mairie"),
}

CHANNELS: Mapping[str, str] = {
    "web": N_("Site"),
    "open311": N_("Autre application"),
    "assisted": N_("Guichet"),
    "ussd": N_("USSD"),
    "sms": N_("SMS"),
    "import": N_("Import"),
}

GENDERS: Mapping[str, str] = {"f": N_("Femmes"), "m": N_("Hommes"), "o": N_("Autre")}

#: Where a hotspot is going.
TRENDS: Mapping[str, Label] = {
    "emerging": Label(N_("Émergent"), "trending-up", "clay"),
    "persistent": Label(N_("Persistant"), "minus", "ochre"),
    "fading": Label(N_("En recul"), "trending-down", "green"),
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
    "draft": Label(N_("Brouillon"), "edit", "stone"),
    "submitted": Label(N_("Déposé"), "mail", "sky"),
    "shortlisted": Label(N_("Retenu pour le vote"), "check", "green"),
    "not_feasible": Label(N_("Non réalisable"), "x", "stone"),
    "funded": Label(N_("Financé"), "trophy", "green"),
    "not_funded": Label(N_("Non financé"), "minus", "stone"),
    "merged": Label(N_("Réuni à un autre"), "merge", "stone"),
    "withdrawn": Label(N_("Retiré par son auteur"), "minus", "stone"),
    #: A report's history says it of the project that it led to.
    "completed": Label(N_("Ouvrage achevé"), "check-circle", "green"),
}

AUTHOR_KINDS: Mapping[str, str] = {
    "person": N_("Une personne"),
    "group": N_("Un groupe"),
    "association": N_("Une association"),
    "forum": N_("Une assemblée"),
}

ORIGINS: Mapping[str, Label] = {
    "web": Label(N_("Déposé en ligne"), "globe"),
    "paper": Label(N_("Déposé sur papier"), "edit"),
    "assembly": Label(N_("Né d'une assemblée"), "users"),
}

#: The fields of a proposal, as its revisions name them.
PARTS: Mapping[str, str] = {
    "title": N_("Titre"),
    "need": N_("Besoin"),
    "description": N_("Description"),
    "beneficiaries": N_("Bénéficiaires"),
    "theme": N_("Thème"),
    "estimated_cost": N_("Coût estimé"),
    "envelope": N_("Enveloppe"),
    "arrondissement": N_("Arrondissement"),
    "geometry": N_("Lieu"),
    "reports": N_("Signalements"),
    "author_name": N_("Nom affiché"),
    "photos": N_("Photos"),
}

STANCES: Mapping[str, Label] = {
    "for": Label(N_("Pour"), "thumbs-up", "green"),
    "neutral": Label(N_("Avis neutre"), "message", "stone"),
    "against": Label(N_("Contre"), "thumbs-down", "clay"),
}

#: Who moved a campaign.
BY: Mapping[str, str] = {
    "agent": N_("la mairie"),
    "calendar": N_("le calendrier"),
    "count": N_("le dépouillement"),
    "author": N_("l'auteur"),
}

CRITERIA: Mapping[str, str] = {
    "legal": N_("Compétence et légalité"),
    "technical": N_("Faisabilité technique"),
    "cost": N_("Coût"),
    "land": N_("Terrain"),
    "upkeep": N_("Entretien"),
}

VERDICTS: Mapping[str, Label] = {
    "met": Label(N_("Rempli"), "check", "green"),
    "conditional": Label(N_("Sous condition"), "alert", "ochre"),
    "not_met": Label(N_("Non rempli"), "x", "clay"),
}

#: Why words are reported, and hidden.
ABUSE: Mapping[str, str] = {
    "insult": N_("Insulte ou menace"),
    "personal_data": N_("Donnée personnelle"),
    "spam": N_("Publicité, répétition"),
    "off_topic": N_("Hors sujet"),
    "illegal": N_("Contraire à la loi"),
    "other": N_("Autre raison"),
}

#: What was decided about words.
MODERATED: Mapping[str, Label] = {
    "hide": Label(N_("Masqué"), "eye-off", "clay"),
    "show": Label(N_("Montré de nouveau"), "eye", "green"),
    "keep": Label(N_("Laissé tel quel"), "check", "stone"),
    "appeal": Label(N_("L'auteur demande un nouvel examen"), "scale", "ochre"),
    "uphold": Label(N_("Décision confirmée"), "eye-off", "clay"),
    "reverse": Label(N_("Décision annulée"), "eye", "green"),
}

#: The services of a mairie that study proposals.
SERVICES: Mapping[str, str] = {
    "technical": N_("Services techniques"),
    "planning": N_("Urbanisme"),
    "land": N_("Affaires domaniales"),
    "legal": N_("Affaires juridiques"),
    "finance": N_("Affaires financières"),
    "water": N_("Eau et assainissement"),
    "roads": N_("Voirie"),
    "health": N_("Santé"),
    "education": N_("Éducation"),
    "environment": N_("Environnement"),
    "social": N_("Affaires sociales"),
}

#: Where a proposal stands at the desk of those who study it.
STUDIES: Mapping[str, Label] = {
    "waiting": Label(N_("À confier"), "mail", "sky"),
    "assigned": Label(N_("Confié à un service"), "users", "ochre"),
    "overdue": Label(N_("Avis en retard"), "clock-alert", "clay"),
    "answered": Label(N_("L'auteur a répondu"), "reply", "ochre"),
    "done": Label(N_("Étude publiée"), "check-circle", "green"),
}

#: Where a version of a text comes from.
REVISIONS: Mapping[str, Label] = {
    "submitted": Label(N_("Texte déposé"), "send", "sky"),
    "edit": Label(N_("Modifié"), "edit", "ochre"),
    "amendment": Label(N_("Suggestion acceptée"), "badge-check", "green"),
}

AMENDMENTS: Mapping[str, Label] = {
    "open": Label(N_("Attend une réponse"), "clock", "ochre"),
    "accepted": Label(N_("Acceptée"), "check", "green"),
    "refused": Label(N_("Refusée"), "x", "stone"),
    "withdrawn": Label(N_("Retirée"), "minus", "stone"),
}

MERGES: Mapping[str, Label] = {
    "open": Label(N_("Attend l'accord des auteurs"), "clock", "ochre"),
    "done": Label(N_("Faite"), "merge", "green"),
    "refused": Label(N_("Refusée"), "x", "stone"),
    "undone": Label(N_("Défaite"), "split", "stone"),
}

LEDGER: Mapping[str, Label] = {
    "commitment": Label(N_("Engagement"), "landmark", "sky"),
    "invoice": Label(N_("Facture"), "list", "ochre"),
    "payment": Label(N_("Paiement"), "coins", "green"),
}

WORKS: Mapping[str, Label] = {
    "planned": Label(
        N_("Prévu"), "calendar", "stone", N_("Le projet est voté, rien n'a commencé.")
    ),
    "tendering": Label(
        N_("Appel d'offres"), "file", "sky", N_("La mairie choisit l'entreprise qui construira.")
    ),
    "under_way": Label(N_("En travaux"), "hammer", "ochre", N_("Le chantier est ouvert.")),
    "suspended": Label(N_("Suspendu"), "pause", "clay", N_("Le chantier est arrêté un temps.")),
    "completed": Label(N_("Terminé"), "check-circle", "green", N_("La mairie dit que c'est fini.")),
    "abandoned": Label(N_("Abandonné"), "ban", "stone", N_("Le projet ne sera pas construit.")),
}

#: What ``map-draw.js`` says; {0} is a number.
DRAWING: Mapping[str, str] = {
    "what": N_("Comment montrer le lieu ?"),
    "point": N_("Un point"),
    "line": N_("Un tracé"),
    "area": N_("Une zone"),
    "undo": N_("Annuler le dernier point"),
    "done": N_("Terminer"),
    "again": N_("Recommencer"),
    "of_point": N_("Touchez la carte à l'endroit du projet."),
    "of_line": N_("Touchez la carte à chaque point du tracé."),
    "of_area": N_("Touchez la carte à chaque coin de la zone."),
    "count": N_("Points posés : {0}."),
    "more": N_("Il en faut au moins {0}."),
    "crossing": N_("La zone se croiserait : choisissez un autre endroit."),
    "ended": N_("Dessin terminé. Les points peuvent encore glisser."),
}

#: Lines of a work's journal.
JOURNAL: Mapping[str, Label] = {
    "opened": Label(N_("Projet voté"), "trophy", "green"),
    "contractor": Label(N_("Entreprise et dates"), "hard-hat", "sky"),
    "milestone": Label(N_("Étapes"), "list-checks", "sky"),
    "status": Label(N_("Changement d'état"), "refresh", "ochre"),
    "progress": Label(N_("Avancement"), "trending-up", "ochre"),
    "delay": Label(N_("Retard annoncé"), "clock-alert", "clay"),
    "note": Label(N_("Nouvelle du chantier"), "message", "sky"),
    "completed": Label(N_("Travaux terminés"), "check-circle", "green"),
    "reopened": Label(N_("Chantier rouvert"), "undo", "clay"),
}

#: Lines of a campaign's history.
CALENDAR: Mapping[str, Label] = {
    "published": Label(N_("Campagne annoncée"), "megaphone", "green"),
    "changed": Label(N_("Campagne modifiée"), "edit", "stone"),
    "phase": Label(N_("Nouvelle étape"), "arrow-right", "ochre"),
    "calendar": Label(N_("Étape prolongée"), "calendar-clock", "clay"),
}

#: What the mairie may change of a campaign, as its history names it.
CAMPAIGN: Mapping[str, str] = {
    "title": N_("Titre"),
    "description": N_("Présentation"),
    "automatic": N_("Passage automatique d'une étape à l'autre"),
    "author_kinds": N_("Qui peut proposer"),
    "proposals_per_author": N_("Projets par personne"),
    "endorsements_needed": N_("Soutiens demandés"),
    "pictures": N_("Images"),
    "budget": N_("Budget"),
    "envelopes": N_("Enveloppes"),
}

#: How a campaign's budget is divided.
DIVISIONS: Mapping[str, Label] = {
    "one": Label(N_("Une seule enveloppe"), "wallet"),
    "arrondissement": Label(N_("Par arrondissement"), "map-pin"),
    "theme": Label(N_("Par thème"), "layers"),
    "both": Label(N_("Commune et arrondissements"), "landmark"),
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


def line(kind: str, status: str) -> Label:
    """Return what a line of history tells."""
    return KINDS.get(kind) or STATUSES.get(status, _UNKNOWN)


def trend(code: str) -> Label:
    """Return where a hotspot is going."""
    return TRENDS.get(code, _UNKNOWN)


def phase(code: str) -> Label:
    """Return a campaign's phase."""
    return PHASES.get(code, _UNKNOWN)


def proposal(code: str) -> Label:
    """Return a proposal's status."""
    return PROPOSALS.get(code, _UNKNOWN)


def origin(code: str) -> Label:
    """Return how a proposal came in."""
    return ORIGINS.get(code, _UNKNOWN)


def stance(code: str) -> Label:
    """Return what a comment speaks for."""
    return STANCES.get(code, _UNKNOWN)


def work(code: str) -> Label:
    """Return the state of a work."""
    return WORKS.get(code, _UNKNOWN)


def journal(code: str) -> Label:
    """Return what a line of a work's journal tells."""
    return JOURNAL.get(code, _UNKNOWN)


def theme(code: str | None) -> Label:
    """Return a proposal's theme; a free word of another client is an idea like any other."""
    return THEMES.get(code or "", Label(N_("Projet"), "lightbulb"))
