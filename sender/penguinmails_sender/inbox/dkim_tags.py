"""Tag lists, the form of DKIM signatures and keys (RFC 6376 §3.2), and the error that ends a check."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal

Verdict = Literal["pass", "fail", "none", "permerror", "temperror"]  # RFC 8601 §2.7.1

_SPACES = re.compile(r"[ \t\r\n]+")
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*").fullmatch


class SignatureError(Exception):
    """Ends the check of one signature with a verdict and its reason."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict: Verdict = verdict
        self.reason = reason


def parse_tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2). White space around tags is dropped. Raises SignatureError (permerror)."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or _TAG_NAME(name) is None:
            raise SignatureError("permerror", f"not a list of tag=value: {part.strip()[:40]!r}")
        if name in tags:
            raise SignatureError("permerror", f"tag {name}= is given twice")
        tags[name] = value.strip()
    return tags


def decode_base64(text: str, tag: str) -> bytes:
    try:
        return base64.b64decode(_SPACES.sub("", text), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("permerror", f"tag {tag}= is not base64") from None
