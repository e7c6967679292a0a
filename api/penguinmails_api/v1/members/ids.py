"""Ids in bodies: what is no id of its kind is a fault of the field, not of the address."""

from __future__ import annotations

from uuid import UUID

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids


def decode_in_body(prefix: str, value: str, pointer: str) -> UUID:
    """Raises `Unprocessable`."""
    try:
        return ids.decode(prefix, value)
    except ids.IdError as error:
        detail = f"`{pointer.rpartition('/')[2]}`: {error}."
        raise Unprocessable(detail, errors=[FieldError(pointer, "invalid_id", detail)]) from None
