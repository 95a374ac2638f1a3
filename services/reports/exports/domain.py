"""The columns of open data, the formats of files, and what a text must lose to enter one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Literal

from services.reports.domain import Status

Kind = Literal["text", "time", "integer", "boolean", "link"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is given away: its name in every form, its values' kind, its French label."""

    name: str
    kind: Kind
    label: str


#: What anybody may take away of a report, besides its place; the view ``public_reports`` gives it.
PUBLIC: tuple[Column, ...] = (
    Column("ref", "text", "Référence"),
    Column("commune", "text", "Code de la commune"),
    Column("commune_name", "text", "Commune"),
    Column("arrondissement", "text", "Code de l'arrondissement"),
    Column("arrondissement_name", "text", "Arrondissement"),
    Column("category", "text", "Code de la catégorie"),
    Column("category_name", "text", "Catégorie"),
    Column("status", "text", "Code du statut"),
    Column("status_name", "text", "Statut"),
    Column("description", "text", "Description"),
    Column("landmark", "text", "Repère"),
    Column("created_at", "time", "Reçu le"),
    Column("updated_at", "time", "Dernier changement"),
    Column("supports", "integer", "Personnes concernées en plus"),
    Column("agency", "text", "Code du service"),
    Column("agency_name", "text", "Service"),
    Column("forwarded_to", "text", "Transmis à"),
    Column("due_at", "time", "Échéance"),
    Column("answered_at", "time", "Première réponse"),
    Column("closed_at", "time", "Clos le"),
    Column("duplicate_of", "text", "Doublon de"),
    Column("photo", "link", "Photo"),
    Column("url", "link", "Page"),
)
#: What the mairie's own files say besides. No internal note and no contact: files travel.
DESK: tuple[Column, ...] = (
    *PUBLIC,
    Column("assignee", "text", "Agent"),
    Column("answer_due_at", "time", "Échéance de la réponse"),
    Column("channel", "text", "Canal"),
    Column("hidden", "boolean", "Masqué"),
)

#: What a status is called in a file, as on the pages.
STATUS_NAMES: Mapping[Status, str] = {
    "received": "Reçu",
    "acknowledged": "Pris en compte",
    "in_progress": "En cours",
    "waiting": "En attente",
    "resolved": "Résolu",
    "confirmed": "Réparation confirmée",
    "reopened": "Rouvert",
    "rejected": "Rejeté",
    "forwarded": "Transmis à un autre organisme",
    "duplicate": "Doublon",
    "withdrawn": "Retiré par son auteur",
}

#: Ending of a file → its media type.
FORMATS = {
    "csv": "text/csv; charset=utf-8; header=present",
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
}
#: A GeoPackage is complete before its first byte leaves: more would outlast the client's patience.
MAX_GEOPACKAGE = 100_000
GEOPACKAGES_AT_ONCE = 2
#: What one address may take in an hour.
EXPORTS_PER_HOUR = 60
FEED_ENTRIES = 50

#: Bénin's time, the same all year: what a spreadsheet shows is what a page shows.
LOCAL = timezone(timedelta(hours=1))
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(value: str) -> str:
    """Return ``value`` without the characters that XML 1.0 cannot hold (its production 2)."""
    return _NOT_XML.sub("", value)


def file_name(form: str, parts: Sequence[str]) -> str:
    """Return e.g. ``signalements-0801-2026-11-22.csv``."""
    return "-".join(("signalements", *parts)) + f".{form}"
