"""XOAUTH2 as Google and Microsoft speak it (developers.google.com/workspace/gmail/imap/xoauth2-protocol)."""

from __future__ import annotations

from base64 import b64encode


def initial_response(username: str, token: str) -> str:
    """What goes behind `AUTH XOAUTH2`, in base64."""
    return b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()
