"""Announced ends: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link to what to use instead."""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime

from penguinmails_api.context import Headers
from penguinmails_api.conventions.declared import Declared


def headers(declared: Declared) -> Headers:
    """Of every answer of a deprecated operation; none for others."""
    if declared.deprecated is None:
        return []
    found: Headers = [(b"deprecation", f"@{int(declared.deprecated.timestamp())}".encode())]
    if declared.sunset is not None:
        found.append((b"sunset", format_datetime(declared.sunset.astimezone(UTC), usegmt=True).encode()))
    if declared.successor is not None:
        found.append((b"link", f'<{declared.successor}>; rel="successor-version"'.encode()))
    return found
