"""Keys of a member who may do less than before: they keep what the new place gives, and end where nothing is left.

A key knows no person when it is used, so what its maker lost has to be taken from it in the transaction that takes it
from them. The lock of keys makes the order clear: a key that is made at the same moment is either seen here, or is made
by somebody who has the new place already (`authority.own`).
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import repository, service, tell
from penguinmails_core.audit.actor import Actor
from penguinmails_core.members.service import Reach
from penguinmails_core.models import ApiKey
from penguinmails_core.scopes import ALL_SCOPES, expand

REASON = "role_changed"


async def fit_keys(session: AsyncSession, organization_id: UUID, user_id: UUID, reach: Reach, actor: Actor) -> None:
    """Every key that the person made, directly or through another key, lies within `reach` from now on. What others
    derived from one is bounded by it already. The caller rings `KEYS` after the commit."""
    await repository.lock(session, organization_id)
    keys = await repository.keys_of_user(session, organization_id, user_id)
    left = {key.id: _left(key, reach) for key in keys}
    await service.revoke_all(session, actor, [key for key in keys if not left[key.id]], REASON)
    for key in keys:
        if left[key.id] and left[key.id] != key.scopes:
            was = tell.facts(key)
            key.scopes = left[key.id]
            await session.flush()
            await session.refresh(key)
            await tell.record(session, actor, "narrowed", key, was, tell.facts(key))


def _left(key: ApiKey, reach: Reach) -> list[str]:
    """Its scopes as they are, without those that its maker lost; of a lost write scope the read scope may be left."""
    allowed = reach.on(key.workspace_id)
    kept = {scope for scope in key.scopes if scope in allowed}
    kept |= expand(key.scopes) - expand(kept) & allowed
    return key.scopes if kept == set(key.scopes) else [str(scope) for scope in ALL_SCOPES if scope in kept]
