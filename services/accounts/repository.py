"""Queries of accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.accounts.models import RoleGrant, SignInCode, User, UserSession
from services.common.ids import new_id

_COMMUNE = text("SELECT 1 FROM reference.communes WHERE code = :code")


def save_code(session: Session, phone: str, code_hash: bytes, expires_at: datetime) -> None:
    """Replace the phone's code."""
    values = {"code_hash": code_hash, "expires_at": expires_at, "tries": 0}
    session.execute(
        insert(SignInCode)
        .values(phone=phone, **values)
        .on_conflict_do_update(index_elements=[SignInCode.phone], set_=values)
    )


def lock_code(session: Session, phone: str) -> SignInCode | None:
    """Return the phone's code, locked: two guesses at once count as two."""
    return session.get(SignInCode, phone, with_for_update=True)


def delete_code(session: Session, phone: str) -> None:
    """Forget the phone's code: each is used once."""
    session.execute(delete(SignInCode).where(SignInCode.phone == phone))


def ensure_user(session: Session, phone: str) -> UUID:
    """Return the id of the phone's user, made if need be."""
    session.execute(insert(User).values(id=new_id(), phone=phone).on_conflict_do_nothing())
    return session.scalars(select(User.id).where(User.phone == phone)).one()


def find_user(session: Session, phone: str) -> User | None:
    """Return the user of a phone."""
    return session.scalars(select(User).where(User.phone == phone)).one_or_none()


def get_user(session: Session, user_id: UUID) -> User | None:
    """Return a user."""
    return session.get(User, user_id)


def roles_of(session: Session, user_id: UUID) -> list[tuple[str, str]]:
    """Return ``(role, scope)`` pairs."""
    rows = session.execute(
        select(RoleGrant.role, RoleGrant.scope).where(RoleGrant.user_id == user_id)
    )
    return [(role, scope) for role, scope in rows]


def add_grant(session: Session, user_id: UUID, role: str, scope: str) -> UUID | None:
    """Give a role; None when it was held already."""
    return session.scalar(
        insert(RoleGrant)
        .values(id=new_id(), user_id=user_id, role=role, scope=scope)
        .on_conflict_do_nothing()
        .returning(RoleGrant.id)
    )


def remove_grant(session: Session, user_id: UUID, role: str, scope: str) -> UUID | None:
    """Take a role back; None when it was not held."""
    return session.scalar(
        delete(RoleGrant)
        .where(RoleGrant.user_id == user_id, RoleGrant.role == role, RoleGrant.scope == scope)
        .returning(RoleGrant.id)
    )


def add_session(session: Session, user_id: UUID, token_hash: bytes, expires_at: datetime) -> None:
    """Store a signed-in device."""
    session.add(
        UserSession(id=new_id(), user_id=user_id, token_hash=token_hash, expires_at=expires_at)
    )


def find_session(session: Session, token_hash: bytes, now: datetime) -> UserSession | None:
    """Return the live session of a refresh token."""
    return session.scalars(
        select(UserSession).where(
            UserSession.token_hash == token_hash, UserSession.expires_at > now
        )
    ).one_or_none()


def delete_session(session: Session, token_hash: bytes) -> None:
    """Sign a device out."""
    session.execute(delete(UserSession).where(UserSession.token_hash == token_hash))


def commune_exists(session: Session, code: str) -> bool:
    """Tell whether ``code`` is a commune's."""
    return session.scalar(_COMMUNE, {"code": code}) is not None


def purge(session: Session) -> None:
    """Forget codes and sessions that have ended."""
    for ended in (SignInCode, UserSession):
        session.execute(delete(ended).where(ended.expires_at < func.now()))
