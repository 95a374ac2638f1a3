"""The pages of refusals and failures, in plain words."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import HTMLResponse

from gateway.labels import N_
from gateway.web import gettext, render

#: Status, or a code of its own → a title and what to do now.
WORDS: Mapping[int | str, tuple[str, str]] = {
    400: (N_("Cette demande n'est pas lisible"), N_("Revenez en arrière et réessayez.")),
    403: (
        N_("Cette page est réservée"),
        N_("Votre compte n'a pas ce droit. Si vous êtes agent, demandez-le à votre mairie."),
    ),
    "form_expired": (
        N_("Ce formulaire a expiré"),
        N_("Par sécurité, rien n'a été envoyé. Revenez en arrière, rechargez la page, renvoyez."),
    ),
    404: (
        N_("Cette page n'existe pas"),
        N_("L'adresse est peut-être incomplète, ou ce que vous cherchez a été retiré."),
    ),
    "unknown_commune": (
        N_("Cette commune n'existe pas"),
        N_("Choisissez parmi les 77 communes du Bénin."),
    ),
    408: (
        N_("L'envoi s'est arrêté en route"),
        N_("Le réseau est peut-être faible. Rien n'a été enregistré : réessayez."),
    ),
    409: (
        N_("Ce n'est plus possible"),
        N_("La situation a changé entre-temps. Rechargez la page pour voir où l'on en est."),
    ),
    413: (
        N_("C'est trop lourd"),
        N_("La photo ou le texte dépasse la taille permise. Rien n'a été envoyé."),
    ),
    422: (
        N_("Quelque chose manque ou n'est pas juste"),
        N_("Rien n'a été enregistré. Revenez en arrière et vérifiez."),
    ),
    429: (N_("Doucement"), N_("Trop de demandes en peu de temps. Attendez un peu.")),
    500: (
        N_("Quelque chose a cassé de notre côté"),
        N_("Ce n'est pas votre faute. Réessayez ; si cela continue, donnez ce numéro à la mairie."),
    ),
    503: (
        N_("Un instant"),
        N_("Une partie du service ne répond pas. Réessayez dans une minute : rien n'est perdu."),
    ),
}


def error_page(
    request: Request, *, status: int, code: str, detail: str, incident: str | None
) -> HTMLResponse:
    """Return the page of a problem; ``detail`` is for programs and is not shown."""
    _ = gettext(request)
    fallback = 503 if status in (502, 504) else 500 if status >= 500 else 400
    title, text = WORDS.get(code) or WORDS.get(status) or WORDS[fallback]
    return render(
        request,
        "error.html",
        status=status,
        title=_(title),
        text=_(text),
        code=code,
        detail=detail,
        incident=incident,
        again=request.method == "GET" and status >= 429,
    )
