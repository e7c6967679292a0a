"""`/v1/workspaces`: clients, brands or teams inside the organization."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.workspaces.schemas import (
    Workspace,
    WorkspaceCreate,
    WorkspaceIdInPath,
    WorkspaceList,
    WorkspaceListQuery,
    WorkspaceUpdate,
)
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.members.authority import hold
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.workspaces import service

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"])
READ, WRITE = Scope.WORKSPACES_READ, Scope.WORKSPACES_WRITE


@router.post(
    "",
    summary="Create a workspace",
    status_code=201,
    response_model=Workspace,
    **operation("workspaces_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_workspace(request: Request, body: WorkspaceCreate) -> Response:
    """Keys, members, domains and webhook endpoints can be bound to it, and then see nothing else."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Workspace:
        made = await service.create(session, caller, name=body.name, slug=body.slug, timezone=body.timezone)
        return Workspace.of(made)

    return await answer_once(request, work, status=201, ring=(EVENTS,))


@router.get("", summary="List workspaces", **operation("workspaces_list", scope=READ, paginated=True))
async def list_workspaces(context: Context, query: Annotated[WorkspaceListQuery, Query()]) -> WorkspaceList:
    """The newest first, archived ones too. A limited member sees those that they may choose, a bound key its own."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_workspaces(session, caller, archived=query.archived, **query.place())
    return WorkspaceList.of(*page, backwards=query.backwards)


@router.get("/{workspace_id}", summary="Get a workspace", **operation("workspaces_get", scope=READ))
async def get_workspace(context: Context, workspace_id: WorkspaceIdInPath) -> Workspace:
    """One workspace."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Workspace.of(await service.get(session, context.caller, workspace_id))


async def _current(session: AsyncSession, caller: Principal, workspace_id: UUID) -> Workspace:
    """As GET shows it, and nobody else changes it meanwhile."""
    await hold(session, caller)
    return Workspace.of(await service.get(session, caller, workspace_id))


@router.patch(
    "/{workspace_id}",
    summary="Change a workspace",
    **operation("workspaces_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_workspace(context: Context, workspace_id: WorkspaceIdInPath, body: WorkspaceUpdate) -> Workspace:
    """Name, slug and time zone."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, workspace_id))
        changed = Workspace.of(await service.update(session, context.caller, workspace_id, body.given()))
    context.services.doorbell.ring(EVENTS)
    return changed


@router.delete(
    "/{workspace_id}",
    summary="Delete a workspace",
    status_code=204,
    **operation("workspaces_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_workspace(context: Context, workspace_id: WorkspaceIdInPath) -> None:
    """Only an empty one: 409 names what it still owns. The default one stays. Members who were limited to it alone see
    nothing until they get another place."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, workspace_id))
        await service.delete(session, context.caller, workspace_id)
    context.services.doorbell.ring(EVENTS)


@router.post(
    "/{workspace_id}/archive",
    summary="Archive a workspace",
    response_model=Workspace,
    **operation("workspaces_archive", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def archive_workspace(request: Request, workspace_id: WorkspaceIdInPath) -> Response:
    """Keeps its mail and history to be read. 409 names what still works in it: domains, enabled webhook endpoints,
    active keys."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Workspace:
        return Workspace.of(await service.archive(session, caller, workspace_id))

    return await answer_once(request, work, ring=(EVENTS,))


@router.post(
    "/{workspace_id}/restore",
    summary="Restore a workspace",
    response_model=Workspace,
    **operation("workspaces_restore", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def restore_workspace(request: Request, workspace_id: WorkspaceIdInPath) -> Response:
    """Undoes archiving."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Workspace:
        return Workspace.of(await service.restore(session, caller, workspace_id))

    return await answer_once(request, work, ring=(EVENTS,))
