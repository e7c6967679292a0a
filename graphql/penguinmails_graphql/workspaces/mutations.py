"""Make, change, archive and delete workspaces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.workspaces import service
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, given, uuid_of
from penguinmails_graphql.workspaces.types import Workspace

WRITE = Scope.WORKSPACES_WRITE
Change = Callable[[AsyncSession, Principal, UUID], Awaitable[models.Workspace]]


@strawberry.input
class CreateWorkspaceInput:
    name: str
    slug: str | None = strawberry.field(default=None, description="Made from the name unless given.")
    timezone: str | None = strawberry.field(default=None, description="Null for the organization's.")


@strawberry.input(description="Only what is given is changed; a null `timezone` is the organization's.")
class UpdateWorkspaceInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    slug: str | None = strawberry.UNSET
    timezone: str | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        found = given(self, "name", "slug", "timezone")
        return {name: value for name, value in found.items() if value is not None or name == "timezone"}


@strawberry.type
class WorkspacePayload:
    workspace: Workspace


def _workspace_id(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.WORKSPACE, node_id, "workspace")


@strawberry.type
class WorkspacesMutation:
    @strawberry.mutation(description="Keys, members, domains and webhook endpoints can be bound to it.")
    async def create_workspace(
        self, info: Info, input: CreateWorkspaceInput, idempotency_key: IdempotencyKey = None
    ) -> WorkspacePayload | None:
        caller = caller_of(info, WRITE)
        asked = {"name": input.name, "slug": input.slug, "timezone": input.timezone}

        async def work(session: AsyncSession) -> models.Workspace:
            return await service.create(session, caller, name=input.name, slug=input.slug, timezone=input.timezone)

        async def load(session: AsyncSession, name: str) -> models.Workspace:
            return await service.get(session, caller, ids.decode(Prefix.WORKSPACE, name))

        row = await once(
            info.context,
            "createWorkspace",
            idempotency_key,
            asked,
            work,
            EVENTS,
            name=lambda row: ids.encode(Prefix.WORKSPACE, row.id),
            load=load,
        )
        return WorkspacePayload(workspace=Workspace.of(row))

    @strawberry.mutation(description="Name, slug and time zone.")
    async def update_workspace(self, info: Info, input: UpdateWorkspaceInput) -> WorkspacePayload | None:
        caller, workspace_id, values = caller_of(info, WRITE), _workspace_id(input.id), input.values()

        async def work(session: AsyncSession) -> models.Workspace:
            return await service.update(session, caller, workspace_id, values)

        return WorkspacePayload(workspace=Workspace.of(await info.context.write(work, EVENTS)))

    @strawberry.mutation(description="Keeps its mail and history to be read. Refused while something works in it.")
    async def archive_workspace(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> WorkspacePayload | None:
        return await _change(info, "archiveWorkspace", id, idempotency_key, service.archive)

    @strawberry.mutation(description="Undoes archiving.")
    async def restore_workspace(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> WorkspacePayload | None:
        return await _change(info, "restoreWorkspace", id, idempotency_key, service.restore)

    @strawberry.mutation(description="Only an empty one: the problem names what it still owns. The default one stays.")
    async def delete_workspace(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, workspace_id = await fresh_caller_of(info, WRITE), _workspace_id(id)

        async def work(session: AsyncSession) -> None:
            await service.delete(session, caller, workspace_id)

        await info.context.write(work, EVENTS)
        return DeletedPayload(id=id)


async def _change(
    info: Info, mutation: str, node_id: strawberry.ID, key: str | None, change: Change
) -> WorkspacePayload:
    caller, workspace_id = caller_of(info, WRITE), _workspace_id(node_id)

    async def work(session: AsyncSession) -> models.Workspace:
        return await change(session, caller, workspace_id)

    async def load(session: AsyncSession, _: str) -> models.Workspace:
        return await service.get(session, caller, workspace_id)

    asked = {"id": str(node_id)}
    row = await once(info.context, mutation, key, asked, work, EVENTS, name=lambda _: str(node_id), load=load)
    return WorkspacePayload(workspace=Workspace.of(row))
