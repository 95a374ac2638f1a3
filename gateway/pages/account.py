"""Signing in by phone, the account, signing out."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import session
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, MaybePerson, SignedIn
from gateway.web import is_local, redirect, render
from services.common.auth import EVERYWHERE

router = APIRouter(include_in_schema=False)

Back = Annotated[str, Query(alias="retour", max_length=2000)]

#: Status of one's own report → what happened, or what to do now.
NEWS: Mapping[str, str] = {
    "received": N_("La mairie l'a reçu et va le lire."),
    "acknowledged": N_("La mairie l'a lu et pris en compte."),
    "in_progress": N_("La mairie y travaille."),
    "waiting": N_("La mairie attend quelque chose avant de continuer."),
    "resolved": N_("La mairie dit que c'est réparé. Est-ce vrai ? Dites-le."),
    "confirmed": N_("C'est réparé, et confirmé."),
    "reopened": N_("Ce n'est pas réglé : la mairie doit y revenir."),
    "rejected": N_("La mairie n'y donnera pas suite. Lisez pourquoi."),
    "forwarded": N_("La mairie l'a transmis à qui peut agir."),
    "duplicate": N_("D'autres l'ont signalé aussi : tout est réuni en un seul signalement."),
    "withdrawn": N_("Vous l'avez retiré. Personne d'autre ne le voit."),
}


def _step(
    request: Request, form: Form, back: str, phone: str = "", demo_code: str | None = None
) -> Response:
    return render(
        request,
        "account/sign_in.html",
        status=422 if form.bad else 200,
        nav="account",
        form=form,
        back=back if is_local(back) else "/",
        phone=phone,
        demo_code=demo_code,
    )


@router.get("/connexion")
def sign_in(request: Request, who: MaybePerson, retour: Back = "/compte") -> Response:
    """Ask for the phone number; somebody signed in goes straight back."""
    return redirect(retour) if who else _step(request, Form(), retour)


@router.post("/connexion")
def send_code(request: Request, api: ApiDep, sent: CheckedForm) -> Response:
    """Send the code and ask for it."""
    form = Form.of(sent)
    back, phone = form.values["retour"], form.values["phone"]
    try:
        answer = api.ask_code(phone)
    except ServiceProblem as problem:
        return _step(request, base.refuse(request, form, problem), back)
    return _step(request, Form(), back, phone, answer.get("demo_code"))


@router.post("/connexion/code")
def enter(request: Request, api: ApiDep, sent: CheckedForm) -> Response:
    """Exchange the code for a session and go back to where it was needed."""
    form = Form.of(sent)
    back, phone = form.values["retour"], form.values["phone"]
    code = "".join(form.values["code"].split())
    try:
        tokens = api.sign_in(phone, code)
    except ServiceProblem as problem:
        return _step(request, base.refuse(request, form, problem), back, phone)
    session.sign_in(request, tokens)
    return redirect(back)


@router.get("/connexion/code")
def code_again(retour: Back = "/compte") -> Response:
    """Lead a reloaded page back to the first step."""
    return redirect(f"/connexion?retour={retour}" if is_local(retour) else "/connexion")


@router.get("/compte")
def account(request: Request, places: PlacesDep, api: ApiDep, who: SignedIn) -> Response:
    """Show who is signed in, what they reported and support, and their desks."""
    desks = [places.commune(scope) for scope in who.desks if scope != EVERYWHERE]
    mine = _mine(api, places)
    return render(
        request,
        "account/account.html",
        nav="account",
        me=api.me(),
        desks=desks,
        everywhere=EVERYWHERE in who.desks,
        mine_of=mine,
        news=NEWS,
    )


def _mine(api: Api, places: Places) -> Mapping[str, list[Json]] | None:
    """Return the person's own reports and those they support, or None while nobody knows."""
    try:
        found = api.my_reports()
    except (ServiceDown, ServiceProblem):
        return None
    items = [{**one, "place": places.commune(one["commune"]).name, "thumb": None} for one in found]
    return {
        "own": [one for one in items if one["own"]],
        "supported": [one for one in items if not one["own"]],
    }


@router.post("/deconnexion")
def sign_out(request: Request, _sent: CheckedForm) -> Response:
    """End the session."""
    session.sign_out(request)
    return redirect("/")
