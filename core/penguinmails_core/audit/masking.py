"""What of a change may be written down. Secrets never are: not by their name, and not by their look."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from penguinmails_core.kit.clock import rfc3339

REDACTED = "[redacted]"
MAX_TEXT, MAX_ITEMS, MAX_DEPTH = 2000, 200, 6

_DENIED = re.compile(
    r"secret|password|passwd|passphrase|token|hash|digest|private|credential|authorization|cookie|signature|"
    r"otp|recovery|verifier|assertion|challenge|seed|api_?key|certificate_key|^key$|^code$|^nonce$",
    re.IGNORECASE,
)
# Their names say that they are about a secret, not one: times, ids, counts, what a secret is for or looks like.
_ALLOWED = re.compile(
    r"(_at|_id|_ids|_count|_hint|_prefix|_name|_type|_types|_method|_methods|_algorithm|_lifetime|_enabled|_required)$",
    re.IGNORECASE,
)
_LOOKS_SECRET = re.compile(
    r"pm_(?:live|test)_[0-9A-Za-z]+|whsec_[0-9A-Za-z+/=_-]+|\bwhp[ls]_[0-9A-Za-z_-]+|\beyJ[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*)*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)


def mask_text(text: str) -> str:
    """Keys, tokens and signing secrets inside a text replaced by ``[redacted]``."""
    return _LOOKS_SECRET.sub(REDACTED, text)


def masked(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy that is plain JSON and holds no secret. Under a denied name only null and booleans stay."""
    return None if facts is None else _mapping(facts, 0)


def differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both sides masked; of an update, only what differs. A changed secret shows as redacted on both sides."""
    if before is None or after is None:
        return masked(before), masked(after)
    changed = [name for name in {**before, **after} if before.get(name, ...) != after.get(name, ...)]
    return (
        masked({name: before[name] for name in changed if name in before}),
        masked({name: after[name] for name in changed if name in after}),
    )


def _mapping(facts: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    if depth >= MAX_DEPTH:
        return {"…": "nested too deep"}
    return {_text(str(name)): _member(str(name), value, depth + 1) for name, value in list(facts.items())[:MAX_ITEMS]}


def _member(name: str, value: Any, depth: int) -> Any:
    if value is not None and not isinstance(value, bool) and _DENIED.search(name) and not _ALLOWED.search(name):
        return REDACTED
    return _plain(value, depth)


def _plain(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return _plain(value.value, depth)
        case str():
            return _text(value)
        case int():
            return int(value) if -(2**63) <= value < 2**63 else str(value)
        case float():
            return _number(value)
        case UUID():
            return str(value)
        case datetime():
            return rfc3339(value)
        case bytes() | bytearray() | memoryview():
            return REDACTED
        case Mapping():
            return _mapping(value, depth)
        case Set():
            return [_plain(item, depth) for item in sorted(value, key=str)[:MAX_ITEMS]]
        case list() | tuple():
            return [_plain(item, depth) for item in value[:MAX_ITEMS]] if depth < MAX_DEPTH else "…"
        case _:
            return _text(str(value))


def _number(value: float) -> int | float | str:
    """As PostgreSQL gives it back: the hash is made of what is stored."""
    if not math.isfinite(value) or abs(value) >= 2**53:
        return str(value)
    return int(value) if value.is_integer() else float(f"{value:.12g}")


def _text(text: str) -> str:
    """What jsonb can hold: no NUL, no half of a surrogate pair; bounded."""
    text = mask_text(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


__all__ = ["REDACTED", "differences", "mask_text", "masked"]
