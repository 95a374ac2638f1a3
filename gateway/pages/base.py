"""What pages share: forms shown again with what is wrong, features made readable, paging."""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from fastapi import Depends, Request

from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.places import Places
from gateway.web import gettext
from services.common.problems import NotFound

Json = dict[str, Any]
PAGE = 20
#: Statuses of reports that still wait for something.
OPEN = ("received", "acknowledged", "in_progress", "waiting", "reopened")


class Blank(dict[str, str]):
    """A mapping where what is missing is the empty text, for templates."""

    def __missing__(self, _: str) -> str:
        return ""


@dataclass
class Form:
    """A form's values as they were sent, one sentence per field that is wrong, and one above."""

    values: Blank = field(default_factory=Blank)
    errors: Blank = field(default_factory=Blank)
    notice: str = ""

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> "Form":
        """Keep the text fields that were sent."""
        return cls(Blank({k: v.strip() for k, v in sent.items() if isinstance(v, str)}))

    def wrong(self, request: Request, name: str, kind: str = "") -> None:
        """Write at the field ``name`` what :data:`FIELDS` says of its kind."""
        self.errors[name] = gettext(request)(FIELDS[kind or name])

    @property
    def bad(self) -> bool:
        """Tell whether something is wrong."""
        return bool(self.errors or self.notice)


#: A service's refusal → the field it is shown at ("" above the form), and the sentence.
REFUSALS: Mapping[str, tuple[str, str]] = {
    "outside_country": ("place", N_("Ce lieu n'est pas au Bénin. Choisissez-le de nouveau.")),
    "commune_too_far": ("place", N_("Ce lieu est trop loin de cette commune.")),
    "outside_commune": ("place", N_("Ce lieu est hors de la commune.")),
    "unknown_arrondissement": ("arrondissement", N_("Choisissez un arrondissement de la liste.")),
    "photo_too_large": ("photos", N_("Cette photo est trop lourde : 10 Mo au plus.")),
    "too_large": ("photos", N_("Cette photo est trop lourde : 10 Mo au plus.")),
    "not_a_photo": ("photos", N_("Ce fichier n'est pas une photo que nous savons lire.")),
    "not_a_voice_note": ("voice", N_("Ce fichier n'est pas un message vocal lisible.")),
    "voice_too_long": ("voice", N_("Le message vocal dépasse une minute.")),
    "unknown_photo": ("photos", N_("La photo n'a pas été reçue. Choisissez-la de nouveau.")),
    "bad_code": ("code", N_("Ce code est faux, déjà utilisé ou trop ancien.")),
    "too_many": ("", N_("Trop d'essais en peu de temps. Réessayez dans une heure.")),
    "over_budget": ("", N_("Le total dépasse le budget.")),
    "wrong_phase": ("", N_("L'étape de la campagne ne permet plus cela.")),
    "nothing_to_vote": ("", N_("Aucun projet n'est retenu : rien à voter.")),
    "already_reviewed": ("", N_("Ce projet a déjà été étudié.")),
    "transition_not_allowed": ("", N_("L'état du signalement a changé entre-temps.")),
    "changed_meanwhile": (
        "",
        N_("Quelqu'un a changé ce signalement entre-temps. Relisez-le ; votre texte est gardé."),
    ),
    "merge_refused": ("duplicate_of", N_("Ce signalement ne peut pas être réuni à celui-là.")),
    "not_merged": ("", N_("Ce signalement n'est réuni à aucun autre.")),
    "unknown_agent": ("assignee", N_("Cette personne n'est pas dans l'annuaire de la mairie.")),
    "unchanged": ("", N_("C'est déjà ainsi : rien n'a changé.")),
    "agent_busy": ("", N_("Cette personne a encore des signalements ouverts.")),
    "empty_ballot": ("choices", N_("Choisissez au moins un projet.")),
    "unknown_project": ("choices", N_("Un projet choisi n'est plus sur le bulletin.")),
    "already_voted": (
        "replace_token",
        N_("Vous avez déjà voté. Pour changer, donnez le code de remplacement de votre reçu."),
    ),
    "bad_replace_token": ("replace_token", N_("Ce code de remplacement n'est pas le vôtre.")),
    "vote_not_open": ("", N_("Le vote n'a pas encore commencé.")),
    "vote_over": ("", N_("Le vote est terminé.")),
    "election_closed": ("", N_("Le vote est terminé.")),
    "not_open": ("", N_("Ce projet ne peut plus être soutenu ni discuté.")),
    "spans_arrondissements": (
        "place",
        N_("Le lieu doit tenir en entier dans l'arrondissement de l'enveloppe."),
    ),
    "no_envelope": ("envelope", N_("Aucune enveloppe n'est prévue pour ce lieu et ce thème.")),
    "envelope_needed": ("envelope", N_("Plusieurs enveloppes conviennent : choisissez-en une.")),
    "not_welcome": ("", N_("Les règles de la campagne ne permettent pas ce dépôt.")),
    "bad_invitation": ("code", N_("Ce code n'est pas connu, ou a déjà servi.")),
    "unknown_file": ("photos", N_("Une photo n'a pas été reçue. Choisissez-la de nouveau.")),
    "too_many_files": ("photos", N_("Cinq photos au plus.")),
    "unknown_proposal": ("other", N_("Aucun projet n'a ce numéro, par exemple P-7K4M2PQ.")),
    "other_campaign": ("other", N_("Ce projet est d'une autre campagne.")),
    "nothing_changes": ("", N_("Rien n'est changé dans le texte.")),
    "not_mergeable": ("", N_("Un de ces projets ne peut plus être réuni ni séparé.")),
    "already_merging": ("", N_("Un de ces projets est déjà dans une autre fusion en attente.")),
    "merge_closed": ("", N_("Cette fusion n'attend plus cela.")),
    "amendment_closed": ("", N_("Cette suggestion a déjà reçu une réponse.")),
    "already_answered": ("", N_("La réponse a déjà été donnée.")),
    "nothing_to_answer": ("", N_("Il n'y a pas d'étude à laquelle répondre.")),
    "comment_closed": ("", N_("Cet avis a été masqué ou retiré.")),
    "own_words": ("", N_("C'est votre propre texte : c'est aux autres de le dire.")),
    "already_reported": ("", N_("Vous l'avez déjà signalé à la mairie.")),
    "already_appealed": ("", N_("Un nouvel examen a déjà été demandé.")),
    "not_hidden": ("", N_("Ce texte n'est plus masqué.")),
    "same_agent": ("", N_("Un autre agent doit en décider : pas celui qui a masqué, ni l'auteur.")),
    "nothing_to_decide": ("", N_("Il n'y a plus rien à décider ici.")),
    "not_reviewable": ("", N_("Ce projet n'est plus à étudier.")),
    "still_draft": ("", N_("Ce projet n'est encore qu'un brouillon.")),
    "file_too_large": ("files", N_("Ce fichier est trop lourd : 10 Mo au plus.")),
    "document_too_large": ("files", N_("Ce document est trop lourd : 5 Mo et 200 pages au plus.")),
    "not_a_document": ("files", N_("Ce fichier n'est pas un PDF lisible.")),
    "unsafe_document": (
        "files",
        N_("Ce PDF est protégé ou contient un programme : enregistrez-le de nouveau, simplement."),
    ),
    "reason_needed": (
        "reason",
        N_("L'étape devait durer plus longtemps : dites pourquoi elle finit avant."),
    ),
    "not_planned": ("phase", N_("Cette étape n'est pas au calendrier.")),
    "shortens": ("closes", N_("Donnez une fin plus tardive que celle annoncée, et à venir.")),
    "phase_over": ("phase", N_("Cette étape est finie : ses dates restent.")),
    "works_unfinished": ("", N_("Des travaux ne sont ni terminés ni abandonnés.")),
    "rules_tightened": (
        "",
        N_(
            "Des habitants proposent déjà selon ces règles : elles ne peuvent plus que s'assouplir."
        ),
    ),
    "outside_envelopes": (
        "",
        N_("Des projets retenus n'ont pas d'enveloppe : donnez-en une à chacun avant le vote."),
    ),
    "forum_exists": ("name", N_("Cette assemblée est déjà saisie : même nom, même jour.")),
    "unit_cost_not_found": ("", N_("La mairie n'a pas de chiffre à elle pour cet ouvrage.")),
    "too_many_unit_costs": ("", N_("La mairie garde déjà 200 coûts : retirez-en un d'abord.")),
    "wrong_state": ("", N_("L'état des travaux a changé : cela ne se peut plus.")),
    "milestone_reached": ("", N_("Cette étape était déjà atteinte.")),
    "already_countered": ("", N_("Cette ligne est déjà annulée, ou en annule une autre.")),
    "note_needed": ("note", N_("Dites pourquoi : tout le monde le lira.")),
    "end_is_set": ("ends_on", N_("La fin est déjà annoncée : une autre date est un retard.")),
    "end_not_set": ("", N_("Aucune fin n'est encore annoncée : rien ne peut être en retard.")),
    "not_later": ("ends_on", N_("Un retard finit après la date annoncée.")),
    "not_a_day": ("dated", N_("Ce jour est encore à venir.")),
}
#: A field a service found wrong, by name.
FIELDS: Mapping[str, str] = {
    "phone": N_("Ce numéro n'est pas valable : dix chiffres, qui commencent par 01."),
    "code": N_("Le code a six chiffres."),
    "description": N_("Écrivez quelques mots, pas plus de deux pages."),
    "title": N_("Donnez un titre de 120 signes au plus."),
    "category": N_("Choisissez une catégorie."),
    "place": N_("Montrez le lieu sur la carte, ou choisissez un arrondissement."),
    "choices": N_("Choisissez au moins un projet."),
    "landmark": N_("Le repère est trop long."),
    "estimated_cost": N_("Donnez un montant en chiffres, pas plus que le budget."),
    "cost": N_("Donnez un montant en chiffres, pas plus que le budget."),
    "budget": N_("Donnez un montant en chiffres, par exemple 25 000 000."),
    "reason": N_("Dites pourquoi."),
    "outcome": N_("Choisissez une conclusion."),
    "status": N_("Choisissez le nouvel état."),
    "follow_up": N_("Ce code n'est pas celui de ce signalement."),
    "duplicate_of": N_(
        "Donnez le numéro d'un autre signalement de la commune, par exemple S-7K4M2PQ."
    ),
    "forwarded_to": N_("Dites à qui le signalement est transmis."),
    "note": N_("Écrivez quelque chose."),
    "assignee": N_("Choisissez une personne ou un service."),
    "name": N_("Donnez un nom de 80 signes au plus."),
    "phases": N_("Les dates se suivent sans se chevaucher."),
    "need": N_("Dites le problème en deux mille signes au plus."),
    "beneficiaries": N_("Deux mille signes au plus."),
    "author_name": N_("Donnez un nom de 80 signes au plus."),
    "author_kind": N_("Dites au nom de qui vous proposez."),
    "envelope": N_("Choisissez une enveloppe de la liste."),
    "photos": N_("Cinq photos au plus."),
    "cost_lines": N_("Pour chaque ligne, choisissez quoi et écrivez combien, en chiffres."),
    "body": N_("Écrivez votre avis, en deux mille signes au plus."),
    "answer": N_("Écrivez votre réponse, en deux mille signes au plus."),
    "other": N_("Donnez le numéro d'un autre projet, par exemple P-7K4M2PQ."),
    "geometry": N_("Ce dessin n'est pas lisible. Montrez le lieu de nouveau."),
    "verdict": N_("Choisissez un avis."),
    "service": N_("Choisissez un service de la liste."),
    "due_on": N_("Choisissez un jour à venir."),
    "files": N_("Dix fichiers au plus."),
    "decision": N_("Choisissez une décision."),
    "abuse": N_("Choisissez une raison de la liste."),
    "public_note": N_("Écrivez la raison que tous liront, en mille signes au plus."),
    "planned": N_("Choisissez une étape qui n'est pas finie."),
    "day": N_("Donnez une date."),
    "later": N_("Donnez une fin plus tardive que celle annoncée, et à venir."),
    "author_kinds": N_("Cochez au moins une sorte d'auteurs."),
    "proposals_per_author": N_("Un nombre de 1 à 100, ou rien."),
    "endorsements_needed": N_("Un nombre de soutiens, ou 0."),
    "envelopes": N_("Chaque enveloppe a un nom à elle, et un montant en chiffres."),
    "shift": N_("Un nombre de jours, de 1 à 3 650."),
    "people": N_("Un nombre de personnes."),
    "held_on": N_("Donnez le jour où elle s'est tenue, aujourd'hui ou avant."),
    "youth": N_("Les jeunes sont parmi les femmes et les hommes : pas plus qu'eux."),
    "unit": N_("Dites l'unité en 30 signes au plus : km, mètre, forage…"),
    "unit_cost": N_("Donnez le coût d'une unité en chiffres."),
    "amount": N_("Donnez un montant en chiffres, sans centimes, par exemple 2 500 000."),
    "label": N_("Dites pour quoi, en 200 signes au plus."),
    "kind": N_("Choisissez : engagement, facture ou paiement."),
    "payee": N_("Un nom de 120 signes au plus, sur une ligne."),
    "document": N_("Un numéro de 80 signes au plus, sur une ligne."),
    "contractor": N_("Un nom de 120 signes au plus, sur une ligne."),
    "starts_on": N_("Donnez un début qui vient avant la fin."),
    "ends_on": N_("Donnez une fin qui vient après le début."),
    "milestones": N_("Chaque étape a un titre de 120 signes au plus, et peut-être une date."),
    "step": N_("Choisissez une étape de la liste."),
}
_OTHER = N_("Cela n'a pas pu être enregistré. Vérifiez et réessayez.")


def refuse(request: Request, form: Form, problem: ServiceProblem, **at: str) -> Form:
    """Write a service's refusal on the form; ``at`` gives a code another field.

    What the form cannot mend (not found, not allowed, a service's own failure) is raised again.
    """
    if problem.status in (403, 404) or problem.status >= 500:
        raise problem
    _ = gettext(request)
    if problem.code in REFUSALS:
        name, text = REFUSALS[problem.code]
        name = at.get(problem.code, name)
        if name:
            form.errors[name] = _(text)
        else:
            form.notice = _(text)
        return form
    if problem.status == 401:
        raise problem
    for error in problem.errors:
        name = str(error.get("pointer", "")).strip("/").split("/")[0]
        if name in FIELDS:
            form.wrong(request, name)
    if not form.errors:
        form.notice = _(_OTHER)
    return form


#: Digits in one piece, or in threes with one kind of mark between them; then the currency.
_FRANCS = re.compile(
    r"([0-9]{1,3}(?:([ .,])[0-9]{3}(?:\2[0-9]{3})*)?|[0-9]{1,15}) ?(?:F ?CFA|CFA|F)?"
)


def amount(text: str) -> int | None:
    """Read whole francs as people write them (``25 000 000``, ``25.000.000 FCFA``), or None.

    What may be cents, or a slip of the finger, is no amount.
    """
    found = _FRANCS.fullmatch(" ".join(text.upper().split()))
    digits = re.sub("[ .,]", "", found[1]) if found else ""
    return int(digits) if 0 < len(digits) < 14 else None


def whole(text: str) -> int | None:
    """Read a whole number that a page sent along, e.g. the version that was on it, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def point(form: Form) -> tuple[float, float] | None:
    """Read the chosen longitude and latitude in degrees, or None."""
    try:
        lon, lat = float(form.values["lon"]), float(form.values["lat"])
    except ValueError:
        return None
    return (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 else None


def campaign_id(campaign: str) -> str:
    """Read a path's campaign: what is no id is no page."""
    try:
        return str(UUID(campaign))
    except ValueError:
        raise NotFound from None


CampaignId = Annotated[str, Depends(campaign_id)]


def place_names(places: Places, commune: str) -> dict[str, str]:
    """Return the commune's arrondissements, code to name."""
    return {part.code: part.name for part in places.arrondissements(commune)}


def known(value: str, table: Container[str]) -> str:
    """Return a filter's value, or no filter where the value means nothing."""
    return value if value in table else ""


def located(item: Json, names: Mapping[str, str]) -> Json:
    """Return ``item`` with ``place``: the landmark and the arrondissement, in words."""
    words = [item.get("landmark") or "", names.get(item.get("arrondissement") or "", "")]
    return {**item, "place": ", ".join(word for word in words if word)}


def reports_of(collection: Json, names: Mapping[str, str]) -> list[Json]:
    """Return the reports of a FeatureCollection as list items."""
    items = (feature["properties"] for feature in collection["features"])
    return [{**located(item, names), "thumb": item.get("photo")} for item in items]


def proposals_of(collection: Json, names: Mapping[str, str]) -> list[Json]:
    """Return the proposals of a FeatureCollection as list items; the reviewed cost counts first."""
    items = (feature["properties"] for feature in collection["features"])
    return [
        {**located(item, names), "cost": item.get("cost") or item["estimated_cost"]}
        for item in items
    ]


def cursor(answer: Json) -> str | None:
    """Return where the page after ``answer`` begins, or None for the last one."""
    found = parse_qs(urlsplit(answer.get("next") or "").query).get("cursor")
    return found[0] if found else None


def following(base: str, kept: Mapping[str, str], answer: Json) -> str | None:
    """Return the page after this one: ``answer``'s cursor on our own path."""
    after = cursor(answer)
    if after is None:
        return None
    return f"{base}?{urlencode({k: v for k, v in kept.items() if v} | {'cursor': after})}"


def timeline(campaign: Json) -> list[Json]:
    """Return the planned phases, each ``done``, ``now`` or ``later``."""
    order = list(PHASE_ORDER)
    present = order.index(campaign["phase"])
    planned = {step["phase"]: step for step in campaign["phases"]}
    planned.setdefault(campaign["phase"], {})
    steps = []
    for at, name in enumerate(order):
        if name in planned:
            dates = {"opens_at": None, "closes_at": None} | planned[name]
            state = "done" if at < present else "now" if at == present else "later"
            steps.append({**dates, "phase": name, "state": state})
    return steps


PHASE_ORDER = (
    "preparation",
    "ideas",
    "review",
    "revision",
    "vote",
    "results",
    "works",
    "closed",
)


def until(campaign: Json) -> str | None:
    """Return when the present phase is planned to end."""
    found = (p["closes_at"] for p in campaign["phases"] if p["phase"] == campaign["phase"])
    return next(found, None)


#: What a citizen can do in a phase: the words, and where under the campaign.
ACTIONS: Mapping[str, tuple[str, str]] = {
    "ideas": (N_("Proposer un projet"), "/proposer"),
    "vote": (N_("Voter"), "/vote"),
    "results": (N_("Voir les résultats"), "/resultats"),
    "works": (N_("Voir les travaux"), "/travaux"),
    "closed": (N_("Voir les résultats"), "/resultats"),
}
_LOOK = (N_("Voir la campagne"), "")


def told(campaign: Json, _: Callable[[str], str]) -> Json:
    """Return ``campaign`` with what its pages say of it: timeline, end and call to action."""
    text, tail = ACTIONS.get(campaign["phase"], _LOOK)
    action = {"text": _(text), "href": f"/budget/{campaign['id']}{tail}"}
    return {
        **campaign,
        "timeline": timeline(campaign),
        "until": until(campaign),
        "action": action,
    }


def foremost(campaigns: Iterable[Json]) -> Json | None:
    """Return the campaign to show first: the one that asks something of citizens now."""
    rank = ("vote", "ideas", "results", "review", "revision", "works", "preparation", "closed")
    return min(campaigns, key=lambda c: rank.index(c["phase"]), default=None)
