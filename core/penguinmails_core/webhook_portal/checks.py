"""What a portal link may say of its look, of where it leads back to, and of who may frame it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from penguinmails_core.errors import FieldError
from penguinmails_core.identity.origin import is_loopback

MAX_NAME, MAX_RETURN_URL, MAX_ANCESTORS = 60, 2000, 20
SCHEMES = ("auto", "light", "dark")
_COLOR = re.compile(r"#[0-9a-f]{6}")
# What a Content-Security-Policy takes as a host, without wildcards: whoever may frame the page is named.
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")

Wrong = list[FieldError]


def theme(given: Mapping[str, Any]) -> tuple[dict[str, str], Wrong]:
    """name, accent_color (#rrggbb), color_scheme (auto, light, dark); each may be left out or null."""
    found, errors = {}, []
    name, color, scheme = (given.get(key) for key in ("name", "accent_color", "color_scheme"))
    if name is not None:
        found["name"] = name
        if not name or len(name) > MAX_NAME or not name.isprintable():
            detail = f"`theme.name` is 1 to {MAX_NAME} printable characters."
            errors.append(FieldError("/theme/name", "invalid", detail))
    if color is not None:
        found["accent_color"] = color.lower()
        if not _COLOR.fullmatch(color.lower()):
            errors.append(FieldError("/theme/accent_color", "invalid", "`theme.accent_color` looks like #1d4ed8."))
    if scheme is not None:
        found["color_scheme"] = scheme
        if scheme not in SCHEMES:
            detail = f"`theme.color_scheme` is one of {', '.join(SCHEMES)}."
            errors.append(FieldError("/theme/color_scheme", "invalid", detail))
    return found, errors


def return_url(text: str | None) -> tuple[str | None, Wrong]:
    """https, or http on one's own machine; a link of the page leads there."""
    if text is None or (len(text) <= MAX_RETURN_URL and _origin(text) is not None):
        return text, []
    detail = "`return_url` is an https URL of up to 2,000 ASCII characters, without user name or password."
    return text, [FieldError("/return_url", "invalid_url", detail)]


def frame_ancestors(origins: Sequence[str]) -> tuple[list[str], Wrong]:
    """Origins such as ``https://app.example.com``, each of them named: there are no wildcards."""
    errors: Wrong = []
    if len(origins) > MAX_ANCESTORS:
        detail = f"`frame_ancestors` has {len(origins)} entries; the limit is {MAX_ANCESTORS}."
        errors.append(FieldError("/frame_ancestors", "too_many", detail))
    found = []
    for index, text in enumerate(origins[:MAX_ANCESTORS]):
        origin = _origin(text)
        if origin is None or text.rstrip("/").lower() != origin:
            detail = f"`frame_ancestors` holds {text[:100]!r}, which is no origin such as https://app.example.com."
            errors.append(FieldError(f"/frame_ancestors/{index}", "invalid_origin", detail))
        else:
            found.append(origin)
    return list(dict.fromkeys(found)), errors


def _origin(text: str) -> str | None:
    """Scheme, host and port in lower case; None for what is no https URL (http on a loopback address)."""
    if not text.isascii() or not text.isprintable() or any(character in text for character in " \"'<>\\;,"):
        return None
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if ":" in host:
        host = f"[{host}]"
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host.strip("[]"))):
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
