"""Tables of accounts: the only place where a phone number is stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db import Base


class User(Base):
    """A person who has signed in at least once, or was given a role."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(True), server_default=func.now())


class RoleGrant(Base):
    """A role held in a commune, or everywhere (``*``)."""

    __tablename__ = "role_grants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    role: Mapped[str]
    scope: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(DateTime(True), server_default=func.now())


class SignInCode(Base):
    """The last code sent to a phone."""

    __tablename__ = "sign_in_codes"

    phone: Mapped[str] = mapped_column(primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(DateTime(True))
    tries: Mapped[int]


class UserSession(Base):
    """A signed-in device: its refresh token is stored hashed."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(True))
