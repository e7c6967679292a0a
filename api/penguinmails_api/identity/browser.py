"""Browsers to the API: which cookies they carry, and from a cookie to a session and a principal.

For other pages (OAuth consent, connected apps): `session_of(services, cookie_header)` is the signed-in session or
None, and `penguinmails_api.identity.pages` gives it to page handlers as `Visitor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinmails_core.errors import Forbidden
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.principals import principal_for_session
from penguinmails_core.identity.sessions import Session
from penguinmails_core.principal import Principal

if TYPE_CHECKING:
    from penguinmails_api.services import Services

_SESSION, _BROWSER = "pm_session", "pm_browser"


def cookie_name(public: PublicUrl, base: str = _SESSION) -> str:
    """``__Host-pm_session`` on https, which browsers give back to this very host only; the plain name on http, where
    they would not take it."""
    return f"__Host-{base}" if public.secure else base


def browser_cookie_name(public: PublicUrl) -> str:
    """A random value that every browser gets before it signs in: forms and passkey questions are bound to it."""
    return cookie_name(public, _BROWSER)


def read_cookie(header: bytes | None, name: str) -> str | None:
    if header is None or name.encode() not in header:
        return None
    for part in header.decode("latin-1").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None


def set_cookie(name: str, value: str, *, public: PublicUrl, seconds: int | None) -> str:
    """A Set-Cookie value. `seconds` None: until the browser closes; 0: delete it."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if public.secure:
        parts.append("Secure")
    if seconds is not None:
        parts.append(f"Max-Age={seconds}")
    return "; ".join(parts)


async def session_of(services: Services, cookie: bytes | None) -> Session | None:
    """The active session of a Cookie header."""
    token = read_cookie(cookie, cookie_name(services.public))
    if token is None:
        return None
    session = await services.identity.sessions.find(token)
    return session if session is not None and session.active else None


async def principal_of(services: Services, session: Session) -> Principal:
    """Raises `Forbidden` when the person works in no organization at the moment, or is not a member any more."""
    principal = await principal_for_session(services.database, session)
    if principal is None:
        raise Forbidden("You are in no organization at the moment. Choose one at /account/organizations.")
    return principal
