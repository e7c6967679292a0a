"""Change and remove members."""

from __future__ import annotations

from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members import manage
from penguinmails_core.members.manage import MemberView
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, fresh_caller_of
from penguinmails_graphql.members.inputs import PlaceInput
from penguinmails_graphql.members.types import Member, MemberPayload
from penguinmails_graphql.relay import DeletedPayload, uuid_of


@strawberry.type
class MembersMutation:
    @strawberry.mutation(
        description="Role and workspaces, as far as they are given; felt at once, also by the keys that "
        "the person made. Another role than `MEMBER` lifts the limit to workspaces. Nobody gives more than they have, "
        "and the last owner stays one."
    )
    async def update_member(self, info: Info, id: strawberry.ID, place: PlaceInput) -> MemberPayload | None:
        caller = await fresh_caller_of(info, Scope.MEMBERS_WRITE)
        member_id, given = uuid_of(Prefix.MEMBER, id, "member"), place.place()

        async def work(session: AsyncSession) -> MemberView:
            return await manage.update(session, caller, member_id, given)

        return MemberPayload(member=Member.of(await info.context.write(work, KEYS, TOKENS, EVENTS)))

    @strawberry.mutation(
        description="Ends the membership with the keys that the person made and the grants that they gave; what they "
        "made is the caller's from now on."
    )
    async def remove_member(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller = await fresh_caller_of(info, Scope.MEMBERS_WRITE)
        member_id = uuid_of(Prefix.MEMBER, id, "member")

        async def work(session: AsyncSession) -> UUID:
            return await manage.remove(session, caller, member_id)

        user_id = await info.context.write(work, KEYS, TOKENS, EVENTS)
        await info.context.services.identity.sessions.leave_organization(user_id, caller.organization_id)
        return DeletedPayload(id=id)
