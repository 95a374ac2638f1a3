"""Shapes of the accounts API."""

from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, Field

from services.accounts.domain import CODE_DIGITS
from services.common.requests import Body


def to_e164(value: str) -> str:
    """Return the E.164 form of a number of any country (Bénin when no prefix is written)."""
    try:
        number = phonenumbers.parse(value, "BJ")
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("not a valid phone number: Bénin's have ten digits, +229 01 …")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


Phone = Annotated[str, Field(max_length=32), AfterValidator(to_e164)]
Code = Annotated[str, Field(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$")]


class CodeRequest(Body):
    """Ask for a code by SMS."""

    phone: Phone


class CodeSent(BaseModel):
    """The code is on its way; ``demo_code`` only in the demonstration."""

    expires_in: int
    demo_code: str | None = None


class TokenRequest(Body):
    """Exchange a code for a token."""

    phone: Phone
    code: Code


class RefreshRequest(Body):
    """Exchange a session for a new access token."""

    refresh_token: str = Field(max_length=100)


class AccessToken(BaseModel):
    """A signed token and its life in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int


class SignedIn(AccessToken):
    """A first token, with what renews it."""

    refresh_token: str


class Me(BaseModel):
    """Who is signed in, to themselves."""

    id: str
    phone: str
    roles: list[dict[str, str]]
