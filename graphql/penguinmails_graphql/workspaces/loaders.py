"""The workspaces of a whole page, asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from penguinmails_core import models
from penguinmails_core.scopes import Scope
from penguinmails_core.workspaces import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.workspaces.types import Workspace


async def workspace_of(info: Info, workspace_id: UUID | None) -> Workspace | None:
    """None for what belongs to no workspace, or to one that the caller may not see. Raises `MissingScope`."""
    caller_of(info, Scope.WORKSPACES_READ)
    if workspace_id is None:
        return None
    row = await _loader(info).load(workspace_id)
    return Workspace.of(row) if row is not None else None


def _loader(info: Info) -> DataLoader[UUID, models.Workspace | None]:
    context = info.context
    found: Any = context.loaders.get("workspaces")
    if found is None:

        async def load(keys: list[UUID]) -> Sequence[models.Workspace | None]:
            async def work(session: AsyncSession) -> list[models.Workspace]:
                return await service.get_many(session, context.principal, keys)

            by_id = {row.id: row for row in await context.read(work)}
            return [by_id.get(key) for key in keys]

        found = context.loaders["workspaces"] = DataLoader(load_fn=load)
    loader: DataLoader[UUID, models.Workspace | None] = found
    return loader
