"""`invitations` and `invitation`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.invitations import service
from penguinmails_core.invitations.service import InvitationView
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.invitations.types import Invitation, InvitationStatus
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of


@strawberry.type
class InvitationsQuery:
    @strawberry.field(description="The newest first, ended ones too until 90 days after.")
    async def invitations(
        self,
        info: Info,
        status: InvitationStatus | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Invitation]:
        caller, page = caller_of(info, Scope.MEMBERS_READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[InvitationView], bool]:
            return await service.list_invitations(
                session, caller, status=status, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Invitation.of, lambda view: view.row.id)

    @strawberry.field(description="One invitation, without its token.")
    async def invitation(self, info: Info, id: strawberry.ID) -> Invitation:
        return await fetch_invitation(info, id)


async def fetch_invitation(info: Info, node_id: strawberry.ID) -> Invitation:
    caller, invitation_id = caller_of(info, Scope.MEMBERS_READ), uuid_of(Prefix.INVITATION, node_id, "invitation")

    async def work(session: AsyncSession) -> InvitationView:
        return await service.get(session, caller, invitation_id)

    return Invitation.of(await info.context.read(work))
