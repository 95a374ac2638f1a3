"""Signing in by phone, the account, signing out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway import session
from gateway.errors import ServiceProblem
from gateway.pages import base
from gateway.pages.base import Form
from gateway.places import PlacesDep
from gateway.session import ApiDep, CheckedForm, MaybePerson, SignedIn
from gateway.web import is_local, redirect, render
from services.common.auth import EVERYWHERE

router = APIRouter(include_in_schema=False)

Back = Annotated[str, Query(alias="retour", max_length=2000)]


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
    """Show who is signed in, and their desks."""
    desks = [places.commune(scope) for scope in who.desks if scope != EVERYWHERE]
    return render(
        request,
        "account/account.html",
        nav="account",
        me=api.me(),
        desks=desks,
        everywhere=EVERYWHERE in who.desks,
    )


@router.post("/deconnexion")
def sign_out(request: Request, _sent: CheckedForm) -> Response:
    """End the session."""
    session.sign_out(request)
    return redirect("/")
