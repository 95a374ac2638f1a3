"""Use cases of accounts. Nothing here commits: the request's session does."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from services.accounts import domain, repository
from services.accounts.errors import BadCode, SessionEnded, UnknownCommune
from services.accounts.events import RoleGranted, RoleRevoked
from services.accounts.settings import Settings
from services.accounts.sms import SmsSender
from services.accounts.tokens import Signer
from services.common import rates
from services.common.events import outbox
from services.common.events.envelope import new_event
from services.common.problems import Invalid
from services.common.rates import keyed_digest

SOURCE = Settings.name


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives: an access token, its life in seconds, and the session's secret."""

    access_token: str
    expires_in: int
    refresh_token: str = ""


def send_code(
    session: Session, settings: Settings, sms: SmsSender, phone: str, address: str
) -> str:
    """Send a new code to ``phone`` and return it; :class:`TooMany` past the hourly limits."""
    pepper = settings.pepper.get_secret_value()
    for kind, subject in (("phone", phone), ("address", address)):
        rates.hit(session, pepper, kind, subject, domain.CODES_PER_HOUR[kind])
    code = domain.new_code()
    repository.save_code(
        session,
        phone,
        keyed_digest(pepper, phone, code),
        datetime.now(UTC) + domain.CODE_LIFE,
    )
    sms.send(phone, f"Palabre : votre code est {code}. Ne le donnez à personne.")
    return code


def sign_in(
    session: Session, settings: Settings, signer: Signer, phone: str, code: str
) -> Tokens | BadCode:
    """Exchange a code for tokens.

    A wrong code is *returned*, not raised, so that the try it cost is committed.
    """
    stored = repository.lock_code(session, phone)
    if stored is None:
        return BadCode()
    stored.tries += 1
    expected = keyed_digest(settings.pepper.get_secret_value(), phone, code)
    spent = stored.tries > domain.CODE_TRIES or stored.expires_at <= datetime.now(UTC)
    if spent or not hmac.compare_digest(stored.code_hash, expected):
        return BadCode()
    repository.delete_code(session, phone)
    user_id = repository.ensure_user(session, phone)
    refresh_token = secrets.token_urlsafe(32)
    repository.add_session(
        session,
        user_id,
        _token_hash(settings, refresh_token),
        datetime.now(UTC) + timedelta(days=settings.session_days),
    )
    return _tokens(session, settings, signer, user_id, refresh_token)


def refresh(session: Session, settings: Settings, signer: Signer, refresh_token: str) -> Tokens:
    """Return a new access token with today's roles; :class:`SessionEnded` when signed out."""
    found = repository.find_session(
        session, _token_hash(settings, refresh_token), datetime.now(UTC)
    )
    if found is None:
        raise SessionEnded
    return _tokens(session, settings, signer, found.user_id)


def sign_out(session: Session, settings: Settings, refresh_token: str) -> None:
    """End a session; the access token it made dies by itself within minutes."""
    repository.delete_session(session, _token_hash(settings, refresh_token))


def grant(session: Session, phone: str, role: str, commune: str | None) -> bool:
    """Give ``role`` to the person of ``phone`` (E.164); False when it was held already.

    :class:`Invalid` for an unknown role or a missing commune, :class:`UnknownCommune`.
    """
    scope = _scope(session, role, commune)
    user_id = repository.ensure_user(session, phone)
    grant_id = repository.add_grant(session, user_id, role, scope)
    if grant_id is None:
        return False
    said = RoleGranted(id=grant_id, role=role, scope=scope)
    outbox.append(session, [new_event(SOURCE, grant_id, scope, 1, said)])
    return True


def revoke(session: Session, phone: str, role: str, commune: str | None) -> bool:
    """Take ``role`` back; False when it was not held. Refuses what :func:`grant` refuses.

    The person's tokens forget it within minutes.
    """
    scope = _scope(session, role, commune)
    user = repository.find_user(session, phone)
    grant_id = user and repository.remove_grant(session, user.id, role, scope)
    if not grant_id:
        return False
    said = RoleRevoked(id=grant_id, role=role, scope=scope)
    outbox.append(session, [new_event(SOURCE, grant_id, scope, 2, said)])
    return True


def _scope(session: Session, role: str, commune: str | None) -> str:
    if role not in domain.ROLES:
        raise Invalid(f"Roles are {', '.join(domain.ROLES)}.", "/role")
    if role in domain.NATIONAL:
        return domain.EVERYWHERE
    if commune is None:
        raise Invalid(f"The role {role} is held in a commune: give its code.", "/commune")
    if not repository.commune_exists(session, commune):
        raise UnknownCommune
    return commune


def _token_hash(settings: Settings, refresh_token: str) -> bytes:
    return keyed_digest(settings.pepper.get_secret_value(), "refresh", refresh_token)


def _tokens(
    session: Session, settings: Settings, signer: Signer, user_id: UUID, refresh_token: str = ""
) -> Tokens:
    life = timedelta(minutes=settings.access_minutes)
    roles = [(r, s) for r, s in repository.roles_of(session, user_id) if r in domain.PERMISSIONS]
    grants = domain.grants_of(roles)  # type: ignore[arg-type] # checked the line above
    return Tokens(signer.sign(user_id, grants, life), int(life.total_seconds()), refresh_token)
