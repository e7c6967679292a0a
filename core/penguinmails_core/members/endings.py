"""What ends with a membership: keys and grants of the person in that organization. And what is cut when it shrinks.

Each ending runs in the transaction that removes the member, so that nobody is half gone. A component that gives people
credentials adds its ending to the list below, here, so that every process knows all of them. Sessions need none: who a
session speaks for is read from the membership on every request. What people made and others go on using (`created_by`)
is handed over instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import fitting
from penguinmails_core.api_keys import service as api_keys
from penguinmails_core.audit.actor import Actor
from penguinmails_core.members import repository
from penguinmails_core.members.service import reach_of
from penguinmails_core.oauth.leaving import end_grants

Ending = Callable[[AsyncSession, UUID, UUID, Actor], Awaitable[None]]
"""``await end(session, organization_id, user_id, actor)``: `session` is bound to the organization, `actor` is who
removed the person. It must not commit."""


async def end_keys(session: AsyncSession, organization_id: UUID, user_id: UUID, actor: Actor) -> None:
    await api_keys.revoke_keys_of_user(session, organization_id, user_id, actor=actor)


ENDINGS: list[Ending] = [end_keys, end_grants]
"""In this order. Revoke, do not delete: the audit log and the usage of a credential name it."""


async def end_everything(session: AsyncSession, organization_id: UUID, user_id: UUID, actor: Actor) -> None:
    for end in ENDINGS:
        await end(session, organization_id, user_id, actor)


async def fit_everything(session: AsyncSession, organization_id: UUID, user_id: UUID, actor: Actor) -> None:
    """After a member was given another place: keys keep what it allows. Grants need none: what an app may do is read
    from the membership whenever its token is looked up."""
    standing = await repository.standing_of(session, organization_id, user_id)
    if standing is not None:
        await fitting.fit_keys(session, organization_id, user_id, await reach_of(session, standing), actor)
