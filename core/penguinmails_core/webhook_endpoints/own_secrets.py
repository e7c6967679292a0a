"""The signing secrets that a caller's endpoints have, opened: for the doctor, who says which one a receiver used."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository
from penguinmails_core.webhook_endpoints.secrets import secret_context

MOST = 200  # endpoints whose secrets are tried


@dataclass(frozen=True, slots=True)
class OwnSecret:
    """`previous_until`: it is one of those before, and signs until then."""

    endpoint_id: UUID
    value: str = field(repr=False)
    previous_until: datetime | None = None


async def secrets_of_all(
    session: AsyncSession, principal: Principal, box: SecretBox, endpoint: WebhookEndpoint
) -> list[OwnSecret]:
    """Of every endpoint that the caller may see, those of `endpoint` first. What cannot be opened is left out."""
    rows = await repository.list_endpoints(session, principal, limit=MOST, after=None, before=None)
    found = _secrets(endpoint, box)
    for row in rows:
        if row.id != endpoint.id:
            found += _secrets(row, box)
    return found


def _secrets(row: WebhookEndpoint, box: SecretBox) -> list[OwnSecret]:
    found = []
    for sealed, until in _sealed(row):
        try:
            found.append(OwnSecret(row.id, box.open(sealed, secret_context(row.id)).decode(), until))
        except CryptoError:
            continue
    return found


def _sealed(row: WebhookEndpoint) -> Iterator[tuple[bytes, datetime | None]]:
    """The current one, then those before, also when they sign no more."""
    yield row.secret, None
    for entry in row.older_secrets:
        yield base64.b64decode(entry["sealed"]), datetime.fromisoformat(entry["expires_at"])
