"""What ends with a membership: sessions, keys and grants of the person in that organization.

Each ending runs in the transaction that removes the member, so that nobody is half gone. A component that gives people
credentials adds its ending to the list below, here, so that every process knows all of them. What people made and
others go on using (`created_by`) is handed over instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.oauth.leaving import end_grants

Ending = Callable[[AsyncSession, UUID, UUID], Awaitable[None]]
"""``await end(session, organization_id, user_id)``: `session` is bound to the organization. It must not commit."""

ENDINGS: list[Ending] = [end_grants]
"""In this order. Revoke, do not delete: the audit log and the usage of a credential name it."""


async def end_everything(session: AsyncSession, organization_id: UUID, user_id: UUID) -> None:
    for end in ENDINGS:
        await end(session, organization_id, user_id)
