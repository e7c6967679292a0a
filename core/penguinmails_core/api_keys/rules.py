"""What the fields of a key may hold. Every fault is named with a JSON Pointer; values come back in their one form."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, canonical, parse_address, to_ascii
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.scopes import ALL_SCOPES

MAX_NAME = 100
MAX_ENTRIES = 100  # of each allowlist
MAX_CAP = 10_000_000

_KNOWN = frozenset(ALL_SCOPES)


def check(values: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields, cleaned: scopes in the order of the catalogue, networks, addresses and domains in canonical
    form, nothing twice. Raises `Unprocessable` with every fault."""
    errors: list[FieldError] = []
    cleaned = {name: _CHECKS[name](value, errors) if name in _CHECKS else value for name, value in values.items()}
    if errors:
        raise Unprocessable("The key cannot be like this.", errors=errors)
    return cleaned


def _mode(value: str, errors: list[FieldError]) -> str:
    if value not in ("live", "test"):
        errors.append(FieldError("/mode", "invalid", "`mode` must be live or test."))
    return value


def _name(value: str, errors: list[FieldError]) -> str:
    if not 0 < len(value.strip()) <= MAX_NAME:
        errors.append(FieldError("/name", "invalid_length", f"`name` must have 1 to {MAX_NAME} characters."))
    elif not value.isprintable():
        errors.append(FieldError("/name", "control_character", "`name` may not hold control characters."))
    return value.strip()


def _scopes(value: Sequence[str], errors: list[FieldError]) -> list[str]:
    if not value:
        errors.append(FieldError("/scopes", "required", "A key needs at least one scope."))
    for index, scope in enumerate(value):
        if scope not in _KNOWN:
            detail = f"There is no scope {scope[:100]!r}; there are {', '.join(ALL_SCOPES)}."
            errors.append(FieldError(f"/scopes/{index}", "unknown_scope", detail))
    return [str(scope) for scope in ALL_SCOPES if scope in set(value)]


def _ips(value: Sequence[str] | None, errors: list[FieldError]) -> list[str] | None:
    def read(text: str) -> str:
        return str(ipaddress.ip_network(text))

    detail = "{!r} is not an IP address or network such as 192.0.2.0/24 (without bits set after the prefix)."
    return _entries("allowed_ips", value, errors, read, "invalid_network", detail)


def _mailboxes(value: Sequence[str] | None, errors: list[FieldError]) -> list[str] | None:
    def read(text: str) -> str:
        return canonical(parse_address(text).address)

    return _entries("allowed_mailboxes", value, errors, read, "invalid_address", "{!r} is not an address.")


def _domains(value: Sequence[str] | None, errors: list[FieldError]) -> list[str] | None:
    return _entries("allowed_domains", value, errors, to_ascii, "invalid_domain", "{!r} is not a domain.")


def _entries(
    field: str,
    value: Sequence[str] | None,
    errors: list[FieldError],
    read: Callable[[str], str],
    code: str,
    detail: str,
) -> list[str] | None:
    if value is None:
        return None
    if not 0 < len(value) <= MAX_ENTRIES:
        explained = f"`{field}` must have 1 to {MAX_ENTRIES} entries; leave it out, or null, for no limit."
        errors.append(FieldError(f"/{field}", "invalid_length", explained))
        return None
    found = []
    for index, text in enumerate(value):
        try:
            found.append(read(text))
        except AddressError as error:
            errors.append(FieldError(f"/{field}/{index}", error.code, error.detail))
        except ValueError:
            errors.append(FieldError(f"/{field}/{index}", code, detail.format(text[:100])))
    return list(dict.fromkeys(found))


def _cap(value: int | None, errors: list[FieldError]) -> int | None:
    if value is not None and not 0 < value <= MAX_CAP:
        detail = f"`max_sends_per_day` must be 1 to {MAX_CAP:,}, or null for no limit."
        errors.append(FieldError("/max_sends_per_day", "out_of_range", detail))
    return value


def _expiry(value: datetime | None, errors: list[FieldError]) -> datetime | None:
    if value is not None and value <= utcnow():
        errors.append(FieldError("/expires_at", "in_the_past", "`expires_at` must be in the future."))
    return value


_CHECKS: dict[str, Callable[[Any, list[FieldError]], Any]] = {
    "mode": _mode,
    "name": _name,
    "scopes": _scopes,
    "allowed_ips": _ips,
    "allowed_mailboxes": _mailboxes,
    "allowed_domains": _domains,
    "max_sends_per_day": _cap,
    "expires_at": _expiry,
}
