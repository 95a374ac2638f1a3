"""The browser's session: tokens in HttpOnly cookies, renewed in passing, and guarded forms.

Cookies are queued on the request and written by :class:`gateway.security.Cookies`, so that a
dependency, a page and an error page all set them the same way.
"""

import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData

from gateway import clients
from gateway.errors import FormExpired, ServiceDown, ServiceProblem
from services.common.auth import Principal, read_token
from services.common.problems import Forbidden, Malformed, TooLarge, Unauthenticated, Unavailable
from services.common.rates import keyed_digest

ACCESS = "palabre_session"
REFRESH = "palabre_refresh"
CSRF = "palabre_csrf"
DAY = 24 * 3600
REFRESH_LIFE = 30 * DAY

#: Bytes that a form may have; only a form with files may be long (see app.BODY_LIMITS).
FORM_BYTES = 256 * 1024
MULTIPART_BYTES = 25 * 1024 * 1024
MAX_FILES = 10
MAX_FIELDS = 400


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in: the principal and the token that services accept from them."""

    principal: Principal
    token: str

    @property
    def user_id(self) -> UUID:
        """The person's id."""
        return self.principal.user_id

    def can(self, permission: str, commune: str) -> bool:
        """Tell whether the person holds ``permission`` in ``commune``."""
        return self.principal.can(permission, commune)

    @property
    def desks(self) -> list[str]:
        """Scopes (commune codes or ``*``) where the person works for the town hall."""
        return sorted(self.principal.grants)


#: Each permission's own part of the desk, the first one first.
_PARTS = (
    ("reports.manage", ""),
    ("campaigns.manage", "/budget"),
    ("proposals.review", "/etudes"),
    ("works.manage", "/travaux"),
    ("works.spend", "/travaux"),
)


def desk_of(who: Person | None, commune: str) -> list[str]:
    """Return where a commune's desk begins for this person, under it; none where they have none."""
    found = [place for permission, place in _PARTS if who and who.can(permission, commune)]
    return found[:1]


def person(request: Request) -> Person | None:
    """Return the signed-in person; a bad or ended session is simply nobody."""
    state = request.state
    if not hasattr(state, "person"):
        state.person = _load(request)
    found: Person | None = state.person
    return found


def signed_in(request: Request) -> Person:
    """Return the person or raise ``Unauthenticated`` (a page then leads to the sign-in)."""
    found = person(request)
    if found is None:
        raise Unauthenticated
    return found


def api(request: Request) -> clients.Api:
    """Return the services as the signed-in person, or as nobody; follows a renewal."""

    def token() -> str | None:
        found = person(request)
        return found.token if found else None

    return clients.api(request, token)


ApiDep = Annotated[clients.Api, Depends(api)]
MaybePerson = Annotated[Person | None, Depends(person)]
SignedIn = Annotated[Person, Depends(signed_in)]


def require(request: Request, permission: str, commune: str) -> Person:
    """Return the person if they hold ``permission`` in ``commune``, else raise ``Forbidden``.

    The token is renewed once before the refusal: the role may have just been granted.
    """
    found = signed_in(request)
    if not found.can(permission, commune):
        found = _renew(request) or found
        request.state.person = found
    if not found.can(permission, commune):
        raise Forbidden
    return found


def sign_in(request: Request, tokens: Mapping[str, Any]) -> None:
    """Start a session with what ``POST /auth/tokens`` answered."""
    _queue(request, ACCESS, str(tokens["access_token"]), int(tokens["expires_in"]))
    if tokens.get("refresh_token"):
        _queue(request, REFRESH, str(tokens["refresh_token"]), REFRESH_LIFE)
        _queue(request, CSRF, secrets.token_urlsafe(32), REFRESH_LIFE)  # not the visitor's any more


def sign_out(request: Request) -> None:
    """End the session here and, when it answers, at accounts."""
    token = request.cookies.get(REFRESH)
    if token:
        try:
            clients.api(request).sign_out(token)
        except (ServiceDown, ServiceProblem):
            pass  # the cookies go anyway; the session ends by itself
    _forget(request)
    request.state.person = None


def _load(request: Request) -> Person | None:
    token = request.cookies.get(ACCESS)
    if token:
        try:
            return Person(read_token(token, request.app.state.keys), token)
        except Unauthenticated:
            pass  # expired or not ours: the refresh token decides
        except Unavailable:
            return None
    elif REFRESH not in request.cookies:
        return None
    return _renew(request)


def _renew(request: Request) -> Person | None:
    refresh_token = request.cookies.get(REFRESH)
    if not refresh_token:
        _forget(request)
        return None
    try:
        tokens = clients.api(request).refresh(refresh_token)
        token = str(tokens["access_token"])
        found = Person(read_token(token, request.app.state.keys), token)
    except (ServiceDown, Unavailable):
        return None  # nobody for now; the session may still live
    except (ServiceProblem, Unauthenticated, KeyError):
        _forget(request)
        return None
    sign_in(request, tokens)
    return found


def _forget(request: Request) -> None:
    for name in (ACCESS, REFRESH):
        if name in request.cookies:
            _queue(request, name, "", 0)


def _queue(request: Request, name: str, value: str, max_age: int) -> None:
    queued_cookies(request.scope)[name] = (value, max_age)


def queued_cookies(scope: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Return the cookies to set on this request's answer: name to value and life in seconds."""
    found: dict[str, tuple[str, int]] = scope["state"]["cookies"]
    return found


def csrf_token(request: Request) -> str:
    """Return a token for this browser's forms, a cookie made if need be.

    Salted: it differs each time, so a compressed page gives nothing away (BREACH).
    """
    salt = secrets.token_urlsafe(9)
    return f"{salt}.{_csrf_mac(request, salt, _csrf_cookie(request))}"


def _csrf_cookie(request: Request) -> str:
    queued = queued_cookies(request.scope).get(CSRF)
    cookie = queued[0] if queued else request.cookies.get(CSRF, "")
    if len(cookie) < 32:
        cookie = secrets.token_urlsafe(32)
        _queue(request, CSRF, cookie, REFRESH_LIFE)
    return cookie


def _csrf_mac(request: Request, salt: str, cookie: str) -> str:
    secret: str = request.app.state.settings.secret.get_secret_value()
    return keyed_digest(secret, "csrf", salt, cookie).hex()


def check_form(request: Request, token: str) -> None:
    """Raise :class:`FormExpired` unless ``token`` was made for this browser, on this site."""
    salt, _, mac = token.partition(".")
    cookie = request.cookies.get(CSRF, "")
    expected = _csrf_mac(request, salt, cookie)
    if len(cookie) < 32 or not hmac.compare_digest(mac.encode(), expected.encode()):
        raise FormExpired


def check_origin(request: Request) -> None:
    """Raise :class:`FormExpired` when the browser says that another site sent this."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not ours:
        raise FormExpired


async def checked_form(request: Request) -> AsyncIterator[FormData]:
    """Give the fields and files of a form that this site made for this browser.

    :class:`FormExpired` otherwise, :class:`Malformed` unless it is UTF-8, :class:`TooLarge` past
    :data:`FORM_BYTES` without files.
    """
    check_origin(request)
    length = request.headers.get("content-length", "")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    # Python knows encodings whose text cannot be written again, or takes minutes to read.
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise Malformed("A form is in UTF-8.")
    if kind != b"multipart/form-data" and (not length.isdigit() or int(length) > FORM_BYTES):
        raise TooLarge(f"A form may have {FORM_BYTES} bytes at most.")
    async with request.form(
        max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=FORM_BYTES
    ) as form:
        check_form(request, str(form.get("csrf_token", "")))
        yield form


#: Every POST of a page takes this: ``form["title"]``, ``form.getlist("photos")``.
CheckedForm = Annotated[FormData, Depends(checked_form)]
