"""Signing secrets of an endpoint: one that is current, and old ones that still sign until they expire."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.errors import Conflict, NotFound
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import WebhookEndpoint

MAX_OLD = 10
OVERLAP, MAX_OVERLAP = timedelta(hours=24), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret in the clear. `signature`: hmac or ed25519. `public_key`: what receivers verify with, of ed25519."""

    text: str
    signature: str
    public_key: str | None


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What may be shown of a secret. `hint`: start of the SHA-256 of its text, in hexadecimal. `expires_at` is null of
    the current one."""

    id: UUID
    signature: str
    public_key: str | None
    hint: str | None
    created_at: datetime
    expires_at: datetime | None


def secret_context(endpoint_id: UUID) -> bytes:
    """What a sealed signing secret is bound to."""
    return f"webhook_endpoints:{endpoint_id}".encode()


def columns(box: SecretBox, endpoint_id: UUID, secret: SigningSecret) -> dict[str, Any]:
    """Column values of a new current secret."""
    return {
        "secret": box.seal(secret.text.encode(), secret_context(endpoint_id)),
        "secret_id": new_uuid(),
        "secret_hint": hashlib.sha256(secret.text.encode()).hexdigest()[:8],
        "signature": secret.signature,
        "public_key": secret.public_key,
        "secret_created_at": utcnow(),
    }


def secrets_of(row: WebhookEndpoint) -> Iterator[SecretFacts]:
    """Those that sign at the moment, the current one first, then the newest old ones."""
    yield SecretFacts(row.secret_id, row.signature, row.public_key, row.secret_hint, row.secret_created_at, None)
    for entry in _valid(row):
        yield SecretFacts(
            UUID(entry["id"]),
            entry["signature"],
            entry["public_key"],
            entry["hint"],
            datetime.fromisoformat(entry["created_at"]),
            datetime.fromisoformat(entry["expires_at"]),
        )


def last_expiry(row: WebhookEndpoint) -> datetime | None:
    """Until when an old secret signs, too."""
    return max((datetime.fromisoformat(entry["expires_at"]) for entry in _valid(row)), default=None)


def replace(box: SecretBox, row: WebhookEndpoint, secret: SigningSecret, overlap: timedelta) -> None:
    """Makes `secret` the current one; the one before signs for `overlap` longer. Raises `Conflict` when ten old ones
    are valid already."""
    old = _valid(row)
    if overlap:
        if len(old) >= MAX_OLD:
            detail = f"{MAX_OLD} old secrets of this endpoint still sign. End one of them first, or give no overlap."
            raise Conflict(detail, extra={"limit": MAX_OLD})
        old.insert(
            0,
            {
                "id": str(row.secret_id),
                "sealed": base64.b64encode(row.secret).decode(),
                "signature": row.signature,
                "public_key": row.public_key,
                "hint": row.secret_hint,
                "created_at": rfc3339(row.secret_created_at),
                "expires_at": rfc3339(utcnow() + overlap),
            },
        )
    row.older_secrets = old
    for name, value in columns(box, row.id, secret).items():
        setattr(row, name, value)


def end(row: WebhookEndpoint, secret_id: UUID) -> None:
    """An old secret signs no more. Raises `NotFound`, and `Conflict` for the current one."""
    if secret_id == row.secret_id:
        raise Conflict("This is the current secret. Rotate it with `overlap_seconds` 0 to end it at once.")
    kept = [entry for entry in _valid(row) if UUID(entry["id"]) != secret_id]
    if len(kept) == len(_valid(row)):
        raise NotFound("This endpoint has no such secret, or it has expired.")
    row.older_secrets = kept


def _valid(row: WebhookEndpoint) -> list[dict[str, Any]]:
    now = utcnow()
    return [entry for entry in row.older_secrets if datetime.fromisoformat(entry["expires_at"]) > now]
