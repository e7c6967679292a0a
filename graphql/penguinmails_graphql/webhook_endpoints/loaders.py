"""What a list of deliveries needs, asked once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from penguinmails_core import models
from penguinmails_graphql.context import GraphContext

Attempts = list[models.WebhookAttempt]


def attempts_loader(context: GraphContext) -> DataLoader[UUID, Attempts]:
    """Delivery id -> its attempts, the first one first."""
    found: Any = context.loaders.get("attempts")
    if found is None:

        async def load(keys: list[UUID]) -> Sequence[Attempts]:
            async def work(session: AsyncSession) -> dict[UUID, Attempts]:
                return await context.endpoints().attempts_of(session, context.principal, keys)

            by_delivery = await context.read(work)
            return [by_delivery[key] for key in keys]

        found = context.loaders["attempts"] = DataLoader(load_fn=load)
    loader: DataLoader[UUID, Attempts] = found
    return loader
