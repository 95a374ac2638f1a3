"""Headers and cookies of every answer, as plain ASGI: nothing can leave without them."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.session import ACCESS, REFRESH, queued_cookies

PERMISSIONS = "geolocation=(self), camera=(), microphone=(self), payment=(), usb=()"


def content_policy(basemap_url: str = "") -> str:
    """Return the Content-Security-Policy; tiles of ``basemap_url`` may be shown, nothing else."""
    address = urlsplit(basemap_url.replace("{s}", "*"))
    tiles = f" {address.scheme}://{address.netloc}" if address.netloc else ""
    return (
        f"default-src 'self'; img-src 'self' data: blob:{tiles}; media-src 'self' blob:; "
        "style-src 'self'; "
        f"script-src 'self'; connect-src 'self'{tiles}; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


class SecureHeaders:
    """Adds the security headers; pages are never stored by a shared cache."""

    def __init__(self, app: ASGIApp, basemap_url: str = "") -> None:
        self.app = app
        self.headers = {
            "Content-Security-Policy": content_policy(basemap_url),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": PERMISSIONS,
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        cookies = Headers(scope=scope).get("cookie", "")
        known = f"{ACCESS}=" in cookies or f"{REFRESH}=" in cookies

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A document that somebody sent us runs nothing, and is of no origin.
                sealed = headers.get("content-security-policy") == "sandbox"
                for name, value in self.headers.items():
                    headers[name] = value
                if sealed:
                    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
                if headers.get("content-type", "").startswith("text/html"):
                    private = known or "set-cookie" in headers
                    headers.setdefault("Cache-Control", "no-store" if private else "no-cache")
            await send(message)

        await self.app(scope, receive, secured)


class Cookies:
    """Sets the cookies that :mod:`gateway.session` queued while the request was answered."""

    def __init__(self, app: ASGIApp, always_secure: bool = True) -> None:
        self.app = app
        self.always_secure = always_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})["cookies"] = {}
        forwarded = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0]
        secure = self.always_secure or "https" in (scope["scheme"], forwarded.strip().lower())

        async def written(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, (value, max_age) in queued_cookies(scope).items():
                    headers.append("Set-Cookie", _cookie(name, value, max_age, secure))
            await send(message)

        await self.app(scope, receive, written)


def _cookie(name: str, value: str, max_age: int, secure: bool) -> str:
    """Write a cookie; values are our own or tokens: letters, digits, ``-._`` only."""
    cookie = f"{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax"
    return f"{cookie}; Secure" if secure else cookie
