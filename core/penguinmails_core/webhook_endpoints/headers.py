"""Headers that an endpoint wants on every request: which ones may be asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from penguinmails_core.errors import FieldError

MAX_HEADERS = 20  # plain and secret ones together
MAX_NAME, MAX_VALUE = 64, 2048

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 §5.6.2)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")  # RFC 9110 §5.5, without obs-text
# They frame the request or steer the connection (RFC 9110 §7.6.1), or they are ours to write.
_RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    }
)
_RESERVED_STARTS = ("content-", "proxy-", "webhook-", "x-forwarded-")


def check_headers(given: Mapping[str, str], pointer: str) -> list[FieldError]:
    """What is wrong with a set of headers."""
    errors = []
    if len(given) > MAX_HEADERS:
        errors.append(FieldError(pointer, "too_many", f"{len(given)} headers were given; the limit is {MAX_HEADERS}."))
    seen: set[str] = set()
    for name, value in given.items():
        place = f"{pointer}/{name[:MAX_NAME].replace('~', '~0').replace('/', '~1')}"
        wrong = _check_name(name, seen) or _check_value(value)
        if wrong is not None:
            errors.append(FieldError(place, *wrong))
        seen.add(name.lower())
    return errors


def check_together(plain: Mapping[str, str], secret: Sequence[str]) -> list[FieldError]:
    """That no header is both plain and secret, and there are not too many."""
    errors = []
    hidden = {name.lower() for name in secret}
    for name in plain:
        if name.lower() in hidden:
            detail = f"`{name}` is among the secret headers already; take it away there first."
            errors.append(FieldError(f"/headers/{name.replace('~', '~0').replace('/', '~1')}", "duplicate", detail))
    total = len(plain) + len(secret)
    if total > MAX_HEADERS and not errors:
        detail = f"Plain and secret headers are {total} together; the limit is {MAX_HEADERS}."
        errors.append(FieldError("/headers", "too_many", detail))
    return errors


def _check_name(name: str, seen: set[str]) -> tuple[str, str] | None:
    lower = name.lower()
    if len(name) > MAX_NAME:
        return "too_long", f"A header's name has at most {MAX_NAME} characters."
    if not _NAME.fullmatch(name):
        return "invalid_header", "A header's name is letters, digits and hyphens (RFC 9110 §5.6.2)."
    if lower in _RESERVED or lower.startswith(_RESERVED_STARTS):
        return "reserved_header", f"`{name}` is set by the server or steers the connection; choose another name."
    if lower in seen:
        return "duplicate", f"`{name}` is given twice; upper and lower case are the same."
    return None


def _check_value(value: str) -> tuple[str, str] | None:
    if len(value) > MAX_VALUE:
        return "too_long", f"A header's value has {len(value)} characters; the limit is {MAX_VALUE}."
    if not _VALUE.fullmatch(value):
        return "invalid_header", "A header's value is visible ASCII, with spaces only in between."
    return None
