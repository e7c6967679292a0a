"""Building of RFC 5322 / MIME messages."""

from __future__ import annotations

from penguinmails_sender.mime.builder import build
from penguinmails_sender.mime.errors import MimeError
from penguinmails_sender.mime.headers import RESERVED_HEADERS, RESERVED_PREFIXES

__all__ = ["RESERVED_HEADERS", "RESERVED_PREFIXES", "MimeError", "build"]
