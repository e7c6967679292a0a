"""What a list of messages needs, asked once for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from penguinmails_core.content.service import MessageContent
from penguinmails_core.events import repository as events
from penguinmails_core.events.repository import EventRow
from penguinmails_graphql.context import GraphContext

Keys = tuple[UUID, ...]


def events_loader(context: GraphContext, limit: int) -> DataLoader[Keys, list[EventRow]]:
    """Recipient ids of one message -> its first `limit` events, the oldest first."""
    found: Any = context.loaders.get(("events", limit))
    if found is None:

        async def load(keys: list[Keys]) -> Sequence[list[EventRow]]:
            async def work(session: AsyncSession) -> list[EventRow]:
                wanted = [recipient for key in keys for recipient in key]
                return await events.first_of_each(session, context.principal, wanted, limit)

            by_recipient: dict[UUID, list[EventRow]] = defaultdict(list)
            for row in await context.read(work):
                by_recipient[row["resource_id"]].append(row)
            return [_first(key, by_recipient, limit) for key in keys]

        found = context.loaders[("events", limit)] = DataLoader(load_fn=load)
    loader: DataLoader[Keys, list[EventRow]] = found
    return loader


def _first(key: Keys, by_recipient: dict[UUID, list[EventRow]], limit: int) -> list[EventRow]:
    rows = [row for recipient in key for row in by_recipient[recipient]]
    return sorted(rows, key=lambda row: (row["xid"], row["id"]))[:limit]


def content_loader(context: GraphContext) -> DataLoader[UUID, MessageContent | None]:
    """Message id -> what was sent; None once it is no longer kept."""
    found: Any = context.loaders.get("content")
    if found is None:

        async def load(keys: list[UUID]) -> Sequence[MessageContent | None]:
            organization_id = context.principal.organization_id
            wanted = [(organization_id, key) for key in keys]
            by_message = await context.services.content.load_many(wanted, attachment_data=False)
            return [by_message.get(key) for key in wanted]

        found = context.loaders["content"] = DataLoader(load_fn=load)
    loader: DataLoader[UUID, MessageContent | None] = found
    return loader
