"""`mailboxes` and `mailbox`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.mailboxes.types import MailboxAccount, MailboxStatus
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of, workspace_of

READ = Scope.MAILBOXES_READ


@strawberry.input(description="All that are given must match.")
class MailboxFilterInput:
    status: list[MailboxStatus] | None = None
    address: str | None = None
    workspace_id: strawberry.ID | None = None

    def canonical(self) -> str | None:
        if self.address is None:
            return None
        try:
            return parse_address(self.address).canonical
        except AddressError:
            return ""  # of no mailbox


@strawberry.type
class MailboxesQuery:
    @strawberry.field(description="The newest first.")
    async def mailboxes(
        self,
        info: Info,
        filter: MailboxFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[MailboxAccount]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        wanted = filter or MailboxFilterInput()
        caller, service = caller.inside(workspace_of(wanted)), info.context.services.mailboxes

        async def work(session: AsyncSession) -> tuple[list[models.Mailbox], bool]:
            return await service.list_mailboxes(
                session,
                caller,
                statuses=[str(status) for status in wanted.status or ()],
                address=wanted.canonical(),
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, MailboxAccount.of, lambda row: row.id)

    @strawberry.field(description="One mailbox.")
    async def mailbox(self, info: Info, id: strawberry.ID) -> MailboxAccount:
        return await fetch_mailbox(info, id)


async def fetch_mailbox(info: Info, node_id: strawberry.ID) -> MailboxAccount:
    caller, service = caller_of(info, READ), info.context.services.mailboxes
    mailbox_id = uuid_of(Prefix.MAILBOX, node_id, "mailbox")

    async def work(session: AsyncSession) -> models.Mailbox:
        return await service.get(session, caller, mailbox_id)

    return MailboxAccount.of(await info.context.read(work))
