"""`members` and `member`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members import manage
from penguinmails_core.members.manage import MemberView
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.members.types import Member, MemberRole
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of


@strawberry.input(description="All that are given must match.")
class MemberFilterInput:
    role: list[MemberRole] | None = None
    email: str | None = strawberry.field(default=None, description="With this address, in whatever case.")


@strawberry.type
class MembersQuery:
    @strawberry.field(description="The newest first. Who is bound to a workspace sees the members limited to it.")
    async def members(
        self,
        info: Info,
        filter: MemberFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Member]:
        caller, page = caller_of(info, Scope.MEMBERS_READ), page_of(first, after, last, before)
        wanted = filter or MemberFilterInput()
        roles = sorted({str(role) for role in wanted.role or ()})

        async def work(session: AsyncSession) -> tuple[list[MemberView], bool]:
            return await manage.list_members(
                session,
                caller,
                roles=roles,
                email=wanted.email,
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Member.of, lambda view: view.row.id)

    @strawberry.field(description="One member, with the role and the workspaces that it is limited to.")
    async def member(self, info: Info, id: strawberry.ID) -> Member:
        return await fetch_member(info, id)


async def fetch_member(info: Info, node_id: strawberry.ID) -> Member:
    caller, member_id = caller_of(info, Scope.MEMBERS_READ), uuid_of(Prefix.MEMBER, node_id, "member")

    async def work(session: AsyncSession) -> MemberView:
        return await manage.get(session, caller, member_id)

    return Member.of(await info.context.read(work))
