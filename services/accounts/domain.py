"""Phones, codes, roles: pure rules of accounts."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal, get_args

Role = Literal["citizen", "technician", "treasurer", "agent", "commune_admin", "national_admin"]
ROLES: tuple[Role, ...] = get_args(Role)

EVERYWHERE = "*"

#: A technical service that says what can be done and follows the works.
_TECHNICIAN = frozenset({"proposals.review", "works.manage"})
#: Who keeps the ledgers.
_TREASURER = frozenset({"works.spend"})
_AGENT = _TECHNICIAN | _TREASURER | {"reports.manage", "campaigns.manage", "elections.manage"}
_COMMUNE_ADMIN = _AGENT | {"roles.grant", "clients.manage"}

#: The one permission table. What any signed-in person may do needs no permission.
PERMISSIONS: Mapping[Role, frozenset[str]] = {
    "citizen": frozenset(),
    "technician": _TECHNICIAN,
    "treasurer": _TREASURER,
    "agent": _AGENT,
    "commune_admin": _COMMUNE_ADMIN,
    "national_admin": _COMMUNE_ADMIN | {"places.manage"},
}
#: Roles held everywhere; the others are held in one commune.
NATIONAL: frozenset[Role] = frozenset({"national_admin"})

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=10)
CODE_TRIES = 5

#: How many codes may be asked for in an hour, by what is counted.
CODES_PER_HOUR: Mapping[str, int] = {"phone": 5, "address": 60}


def grants_of(roles: Iterable[tuple[Role, str]]) -> dict[str, list[str]]:
    """Return the token's ``grants``: scope (commune code or ``*``) to sorted permissions."""
    found: dict[str, set[str]] = {}
    for role, scope in roles:
        if PERMISSIONS[role]:
            found.setdefault(scope, set()).update(PERMISSIONS[role])
    return {scope: sorted(permissions) for scope, permissions in sorted(found.items())}


def new_code() -> str:
    """Return six random digits."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def masked(phone: str) -> str:
    """Return an E.164 number with only its country code and last two digits."""
    return f"{phone[:4]} •• {phone[-2:]}"
