"""`emails` and `email`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.emails import service
from penguinmails_core.emails.repository import EmailFilter
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, parse_mailbox
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import RecipientStatus
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.emails.types import Email
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of, workspace_of
from penguinmails_graphql.scalars import DateTime


@strawberry.input(description="All that are given must match.")
class EmailFilterInput:
    status: list[RecipientStatus] | None = strawberry.field(
        default=None, description="With a recipient in one of these; `FAILED` lists the dead letters."
    )
    to: str | None = None
    from_: str | None = strawberry.field(name="from", default=None)
    tag: str | None = None
    domain: str | None = strawberry.field(default=None, description="The sender's.")
    created_after: DateTime | None = None
    created_before: DateTime | None = None
    workspace_id: strawberry.ID | None = None

    def to_filter(self) -> EmailFilter:
        return EmailFilter(
            statuses=[str(status) for status in self.status or ()],
            to=_address(self.to, "to"),
            from_address=_address(self.from_, "from"),
            tag=self.tag,
            domain=self.domain.lower() if self.domain else None,
            created_after=self.created_after,
            created_before=self.created_before,
        )


def _address(value: str | None, name: str) -> str | None:
    if value is None:
        return None
    try:
        return parse_mailbox(value).address
    except AddressError as error:
        raise Unprocessable(error.detail, errors=[FieldError(f"/filter/{name}", error.code, error.detail)]) from None


@strawberry.type
class EmailsQuery:
    @strawberry.field(description="Messages, the newest first.")
    async def emails(
        self,
        info: Info,
        filter: EmailFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Email]:
        caller, page = caller_of(info, Scope.EMAILS_READ), page_of(first, after, last, before)
        caller = caller.inside(workspace_of(filter))
        wanted = filter.to_filter() if filter else EmailFilter()

        async def work(session: AsyncSession) -> tuple[list[service.Email], bool]:
            return await service.list_emails(
                session, caller, wanted, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Email.of, lambda email: email.message.id)

    @strawberry.field(description="One message.")
    async def email(self, info: Info, id: strawberry.ID) -> Email:
        return await fetch_email(info, id)


async def fetch_email(info: Info, node_id: strawberry.ID) -> Email:
    caller, email_id = caller_of(info, Scope.EMAILS_READ), uuid_of(Prefix.EMAIL, node_id, "email")

    async def work(session: AsyncSession) -> service.Email:
        return await service.get_email(session, caller, email_id)

    return Email.of(await info.context.read(work))
