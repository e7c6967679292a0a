"""`inboundSources`, `inboundSource`, `inboundMessages` and `inboundMessage`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.inbound.types import InboundMessage, InboundMessageStatus, InboundSource
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of

READ = Scope.INBOUND_READ


@strawberry.type
class InboundQuery:
    @strawberry.field(description="The newest first, disabled ones too.")
    async def inbound_sources(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[InboundSource]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        service = info.context.services.inbound_sources

        async def work(session: AsyncSession) -> tuple[list[models.InboundSource], bool]:
            return await service.list_sources(session, caller, limit=page.limit, after=page.after, before=page.before)

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, lambda row: InboundSource.of(row, service.url_of(row)), lambda row: row.id)

    @strawberry.field(description="One source.")
    async def inbound_source(self, info: Info, id: strawberry.ID) -> InboundSource:
        return await fetch_source(info, id)

    @strawberry.field(description="What came in, the newest first, without headers and bodies.")
    async def inbound_messages(
        self,
        info: Info,
        source_id: strawberry.ID | None = None,
        status: list[InboundMessageStatus] | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[InboundMessage]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        source = uuid_of(Prefix.INBOUND_SOURCE, source_id, "inbound source") if source_id is not None else None

        async def work(session: AsyncSession) -> tuple[list[models.InboundMessage], bool]:
            return await info.context.services.inbound_sources.list_messages(
                session,
                caller,
                source_id=source,
                statuses=[str(item) for item in status or ()],
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, InboundMessage.of, lambda row: row.id)

    @strawberry.field(description="One message with headers and body.")
    async def inbound_message(self, info: Info, id: strawberry.ID) -> InboundMessage:
        return await fetch_message(info, id)


async def fetch_source(info: Info, node_id: strawberry.ID) -> InboundSource:
    caller = caller_of(info, READ)
    source_id = uuid_of(Prefix.INBOUND_SOURCE, node_id, "inbound source")
    service = info.context.services.inbound_sources

    async def work(session: AsyncSession) -> models.InboundSource:
        return await service.get(session, caller, source_id)

    row = await info.context.read(work)
    return InboundSource.of(row, service.url_of(row))


async def fetch_message(info: Info, node_id: strawberry.ID) -> InboundMessage:
    caller = caller_of(info, READ)
    message_id = uuid_of(Prefix.INBOUND_MESSAGE, node_id, "inbound message")

    async def work(session: AsyncSession) -> models.InboundMessage:
        return await info.context.services.inbound_sources.get_message(session, caller, message_id)

    return InboundMessage.of(await info.context.read(work), whole=True)
