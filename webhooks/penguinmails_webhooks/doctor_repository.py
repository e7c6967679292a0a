"""What the engine's claim would say of one endpoint's requests, so that a test is sent as an event would be."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import WebhookEndpoint
from penguinmails_webhooks.request_sql import REQUEST

_REQUEST_OF = text(
    f"select {REQUEST} from webhook_endpoints e where e.organization_id = :organization_id and e.id = :id"
)


async def request_of(session: AsyncSession, endpoint: WebhookEndpoint) -> str | None:
    """As `Opener.settings` reads it."""
    found: str | None = await session.scalar(
        _REQUEST_OF, {"organization_id": endpoint.organization_id, "id": endpoint.id}
    )
    return found
