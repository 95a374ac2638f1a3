"""HTTP of accounts."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from services.accounts import domain, repository, service
from services.accounts.errors import BadCode, SessionEnded
from services.accounts.schemas import (
    AccessToken,
    CodeRequest,
    CodeSent,
    Me,
    RefreshRequest,
    SignedIn,
    TokenRequest,
)
from services.common.auth import CurrentPrincipal
from services.common.db import SessionDep
from services.common.problems import TooMany, Unauthenticated, refusal, responses

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])
keys = APIRouter(tags=["auth"])


@keys.get("/.well-known/jwks.json")
def jwks(request: Request) -> dict[str, Any]:
    """Public keys that verify every token."""
    found: dict[str, Any] = request.app.state.signer.jwks
    return found


@router.post("/codes", status_code=202, responses=responses(TooMany))
def ask_for_code(body: CodeRequest, request: Request, session: SessionDep) -> CodeSent:
    """Send a six-digit code by SMS; it lives ten minutes and five tries."""
    state = request.app.state
    address = request.client.host if request.client else "unknown"
    code = service.send_code(session, state.settings, state.sms, body.phone, address)
    shown = state.settings.env == "demo" and state.settings.sms == "console"
    return CodeSent(
        expires_in=int(domain.CODE_LIFE.total_seconds()), demo_code=code if shown else None
    )


@router.post("/tokens", response_model=SignedIn, responses=responses(BadCode))
def sign_in(body: TokenRequest, request: Request, session: SessionDep) -> Any:
    """Exchange a code for an access token and a session."""
    state = request.app.state
    result = service.sign_in(session, state.settings, state.signer, body.phone, body.code)
    return refusal(result) if isinstance(result, BadCode) else asdict(result)


@router.post("/refresh", response_model=AccessToken, responses=responses(SessionEnded))
def refresh(body: RefreshRequest, request: Request, session: SessionDep) -> Any:
    """Renew the access token of a session, with the roles held now."""
    state = request.app.state
    return asdict(service.refresh(session, state.settings, state.signer, body.refresh_token))


@router.post("/sign-out", status_code=204)
def sign_out(body: RefreshRequest, request: Request, session: SessionDep) -> Response:
    """End a session."""
    service.sign_out(session, request.app.state.settings, body.refresh_token)
    return Response(status_code=204)


@router.get("/me", responses=responses(Unauthenticated))
def me(principal: CurrentPrincipal, session: SessionDep) -> Me:
    """Who am I: the phone is masked, roles as they are now."""
    user = repository.get_user(session, principal.user_id)
    if user is None:
        raise Unauthenticated
    roles = [{"role": r, "scope": s} for r, s in repository.roles_of(session, user.id)]
    return Me(id=str(user.id), phone=domain.masked(user.phone), roles=roles)
