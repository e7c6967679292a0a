"""`topics` and `topic`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.topics import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.topics.types import Topic


@strawberry.type
class TopicsQuery:
    @strawberry.field(description="What people can choose on the preference page, the newest first.")
    async def topics(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Topic]:
        caller, page = caller_of(info, Scope.SUPPRESSIONS_READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[models.Topic], bool]:
            return await service.list_topics(session, caller, limit=page.limit, after=page.after, before=page.before)

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Topic.of, lambda row: row.id)

    @strawberry.field(description="One topic.")
    async def topic(self, info: Info, id: strawberry.ID) -> Topic:
        return await fetch_topic(info, id)


async def fetch_topic(info: Info, node_id: strawberry.ID) -> Topic:
    caller, topic_id = caller_of(info, Scope.SUPPRESSIONS_READ), uuid_of(Prefix.TOPIC, node_id, "topic")

    async def work(session: AsyncSession) -> models.Topic:
        return await service.get(session, caller, topic_id)

    return Topic.of(await info.context.read(work))
