"""`workspaces` and `workspace`."""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.workspaces import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.workspaces.types import Workspace, WorkspaceStatus


@strawberry.type
class WorkspacesQuery:
    @strawberry.field(description="The newest first. A limited member sees those that they may choose.")
    async def workspaces(
        self,
        info: Info,
        status: Annotated[WorkspaceStatus | None, strawberry.argument(description="Left out: both.")] = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Workspace]:
        caller, page = caller_of(info, Scope.WORKSPACES_READ), page_of(first, after, last, before)
        archived = None if status is None else status is WorkspaceStatus.ARCHIVED

        async def work(session: AsyncSession) -> tuple[list[models.Workspace], bool]:
            return await service.list_workspaces(
                session, caller, archived=archived, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Workspace.of, lambda row: row.id)

    @strawberry.field(description="One workspace.")
    async def workspace(self, info: Info, id: strawberry.ID) -> Workspace:
        return await fetch_workspace(info, id)


async def fetch_workspace(info: Info, node_id: strawberry.ID) -> Workspace:
    caller, workspace_id = caller_of(info, Scope.WORKSPACES_READ), uuid_of(Prefix.WORKSPACE, node_id, "workspace")

    async def work(session: AsyncSession) -> models.Workspace:
        return await service.get(session, caller, workspace_id)

    return Workspace.of(await info.context.read(work))
