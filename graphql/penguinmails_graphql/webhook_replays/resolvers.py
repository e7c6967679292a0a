"""`webhookReplays` and `webhookReplay`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_replays import service
from penguinmails_core.webhook_replays.service import Replay
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.webhook_replays.types import WebhookReplay, WebhookReplayStatus


@strawberry.type
class WebhookReplaysQuery:
    @strawberry.field(description="The newest first; kept for 90 days after their end.")
    async def webhook_replays(
        self,
        info: Info,
        endpoint_id: strawberry.ID | None = None,
        status: list[WebhookReplayStatus] | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[WebhookReplay]:
        caller, page = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ), page_of(first, after, last, before)
        endpoint = uuid_of(Prefix.WEBHOOK_ENDPOINT, endpoint_id, "webhook endpoint") if endpoint_id else None
        statuses = [str(item) for item in status or ()]

        async def work(session: AsyncSession) -> tuple[list[Replay], bool]:
            return await service.list_replays(
                session, caller, endpoint, statuses, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, WebhookReplay.of, lambda replay: replay.row.id)

    @strawberry.field(description="One replay: how far it is, and what became of what it sent.")
    async def webhook_replay(self, info: Info, id: strawberry.ID) -> WebhookReplay:
        return await fetch_replay(info, id)


async def fetch_replay(info: Info, node_id: strawberry.ID) -> WebhookReplay:
    caller = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
    replay_id = uuid_of(Prefix.WEBHOOK_REPLAY, node_id, "replay")

    async def work(session: AsyncSession) -> Replay:
        return await service.get(session, caller, replay_id)

    return WebhookReplay.of(await info.context.read(work))
