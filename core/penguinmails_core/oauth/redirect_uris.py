"""Where answers may be sent. Exact match (RFC 9700 §2.1), with one exception: the port of a loopback address.

https anywhere; http only on loopback; a private scheme such as ``com.example.app:/callback`` for installed apps (RFC
8252 §7.1), whose name must hold a dot: `javascript:`, `data:` and their kind have none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH = 2000
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_ALLOWED = re.compile(r"[A-Za-z0-9._~:/?@!$&'()+,;=%\[\]-]+")  # RFC 3986 without "#" and "*"; no quotes, no spaces
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.IGNORECASE)
_ANY_PORT = ("127.0.0.1", "::1")  # RFC 8252 §7.3; `localhost` may be somebody else's, so its port must match


def problem_with(uri: object) -> str | None:
    """Why this cannot be a redirect URI, in words for its registrant; None when it can."""
    if not isinstance(uri, str) or not 0 < len(uri) <= MAX_LENGTH:
        return f"must be a string of 1 to {MAX_LENGTH} characters"
    if not _ALLOWED.fullmatch(uri):
        return "must be an absolute URI in ASCII, without a fragment, spaces, quotes or wildcards"
    try:
        parts = urlsplit(uri)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return "is not a URI"
    if not port_ok:
        return "has a port that does not exist"
    if _PRIVATE_SCHEME.fullmatch(parts.scheme):
        return None if parts.path or parts.netloc else "needs something behind the scheme"
    if parts.scheme not in ("http", "https"):
        return "must use https, http on a loopback address, or a private scheme with a dot such as com.example.app"
    return _problem_with_web(parts)


def _problem_with_web(parts: SplitResult) -> str | None:
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    host = parts.hostname or ""
    if not host or not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        return "needs a host name"
    if parts.scheme == "http" and host not in (*_ANY_PORT, "localhost"):
        return "may use http only on 127.0.0.1, [::1] or localhost"
    return None


def is_registered(uri: str, registered: Sequence[str]) -> bool:
    """Byte for byte, or on a loopback address with any port."""
    if uri in registered:
        return True
    bare = _without_loopback_port(uri)
    return bare is not None and any(_without_loopback_port(known) == bare for known in registered)


def _without_loopback_port(uri: str) -> str | None:
    """None for what is not ``http://127.0.0.1`` or ``http://[::1]``."""
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  (raises for a bad one)
    except ValueError:
        return None
    if parts.scheme != "http" or parts.hostname not in _ANY_PORT or parts.username is not None or "#" in uri:
        return None
    if not uri.startswith(("http://127.0.0.1", "http://[::1]")):
        return None  # the same host, written in another way
    return f"{parts.hostname}{parts.path}?{parts.query}" if "?" in uri else f"{parts.hostname}{parts.path}"
