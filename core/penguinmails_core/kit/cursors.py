"""Opaque cursors: a kind byte and the sort key in base64url. Clients pass them back and never look inside."""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from penguinmails_core.errors import FieldError, Unprocessable

_ID = b"\x01"
_POSITION = b"\x02"
_NUMBER = b"\x05"


def encode_id(value: UUID) -> str:
    """For lists sorted by id."""
    return _encode(_ID + value.bytes)


def decode_id(cursor: str, parameter: str) -> UUID:
    """Raises `Unprocessable` naming the parameter."""
    return UUID(bytes=_decode(cursor, parameter, _ID, 16))


def encode_position(xid: int, event_id: UUID) -> str:
    """For the event log, sorted by (transaction, id)."""
    return _encode(_POSITION + xid.to_bytes(8, "big") + event_id.bytes)


def decode_position(cursor: str, parameter: str) -> tuple[int, UUID]:
    """Raises `Unprocessable` naming the parameter."""
    raw = _decode(cursor, parameter, _POSITION, 24)
    return int.from_bytes(raw[:8], "big"), UUID(bytes=raw[8:])


def encode_number(value: int) -> str:
    """For lists sorted by a sequence."""
    return _encode(_NUMBER + value.to_bytes(8, "big"))


def decode_number(cursor: str, parameter: str) -> int:
    """Raises `Unprocessable` naming the parameter."""
    return int.from_bytes(_decode(cursor, parameter, _NUMBER, 8), "big") & (2**63 - 1)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(cursor: str, parameter: str, kind: bytes, size: int) -> bytes:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if raw[:1] != kind or len(raw) != size + 1:
        raise bad_cursor(parameter)
    return raw[1:]


def bad_cursor(parameter: str, detail: str | None = None) -> Unprocessable:
    detail = detail or f"`{parameter}` is not a cursor of this list. Use `next_cursor` of an earlier answer as it is."
    return Unprocessable(detail, errors=[FieldError(parameter, "invalid_cursor", detail)])
