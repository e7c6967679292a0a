"""DKIM keys and signatures (RFC 6376, RFC 8463)."""

from __future__ import annotations

from penguinmails_sender.dkim.keys import Algorithm, DkimKey, DkimKeyError
from penguinmails_sender.dkim.signing import SIGNED_HEADERS, sign

__all__ = ["SIGNED_HEADERS", "Algorithm", "DkimKey", "DkimKeyError", "sign"]
