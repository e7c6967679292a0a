"""What a person granted ends with their membership."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit.actor import Actor
from penguinmails_core.oauth import grants_repository


async def end_grants(session: AsyncSession, organization_id: UUID, user_id: UUID, _actor: Actor) -> None:
    """An ending of `members/endings.py`. Whoever calls rings the doorbell `TOKENS` after the commit; without a ring
    their tokens stop within the few seconds that a look-up is believed."""
    await grants_repository.revoke_of_user(session, organization_id, user_id, "member_removed")
