"""SQL for workspaces as callers see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import ApiKey, Base, Domain, Member, WebhookEndpoint, Workspace, WorkspaceMember
from penguinmails_core.principal import Principal, PrincipalKind

# What tells of a workspace without being in it: history, memberships, who has chosen it in a browser.
NOT_OWNED = frozenset(("events", "audit_logs", "request_logs", "workspace_members", "user_sessions"))


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Who is bound to a workspace sees that one; a person also the others that they could choose instead."""
    conditions = [Workspace.organization_id == principal.organization_id]
    if principal.workspace_id is None:
        return conditions
    bound = Workspace.id == principal.workspace_id
    if principal.kind is PrincipalKind.SESSION:
        bound |= exists().where(
            Member.organization_id == Workspace.organization_id,
            Member.user_id == principal.user_id,
            WorkspaceMember.organization_id == Member.organization_id,
            WorkspaceMember.member_id == Member.id,
            WorkspaceMember.workspace_id == Workspace.id,
        )
    return [*conditions, bound]


async def get(session: AsyncSession, principal: Principal, workspace_id: UUID) -> Workspace | None:
    return await session.scalar(
        select(Workspace)
        .where(*_visible(principal), Workspace.id == workspace_id)
        .execution_options(populate_existing=True)
    )


async def get_many(session: AsyncSession, principal: Principal, workspace_ids: Sequence[UUID]) -> list[Workspace]:
    query = select(Workspace).where(*_visible(principal), Workspace.id.in_(workspace_ids))
    return list(await session.scalars(query))


async def list_workspaces(
    session: AsyncSession,
    principal: Principal,
    archived: bool | None,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Workspace]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(Workspace).where(*_visible(principal))
    if archived is not None:
        query = query.where(Workspace.archived_at.is_not(None) if archived else Workspace.archived_at.is_(None))
    return await newest_first(session, query, Workspace.id, limit, after, before)


async def count(session: AsyncSession, organization_id: UUID) -> int:
    found = await session.scalar(
        select(func.count()).select_from(Workspace).where(Workspace.organization_id == organization_id)
    )
    return found or 0


async def slugs_like(session: AsyncSession, organization_id: UUID, stem: str) -> set[str]:
    """Slugs that are taken and begin with `stem`."""
    found = await session.scalars(
        select(Workspace.slug).where(Workspace.organization_id == organization_id, Workspace.slug.startswith(stem))
    )
    return set(found)


def owned_tables() -> list[Table]:
    """Tables whose rows belong to a workspace."""
    found = []
    for mapper in Base.registry.mappers:
        table = cast(Table, mapper.local_table)
        if {"organization_id", "workspace_id"} <= set(table.columns.keys()) and table.name not in NOT_OWNED:
            found.append(table)
    return sorted(found, key=lambda table: table.fullname)


async def what_it_owns(session: AsyncSession, workspace: Workspace) -> list[str]:
    """Names of the tables that hold something of it."""
    found = []
    for table in owned_tables():
        rows = select(table.c.organization_id).where(
            table.c.organization_id == workspace.organization_id, table.c.workspace_id == workspace.id
        )
        if await session.scalar(rows.limit(1)) is not None:
            found.append(table.name)
    return found


async def what_is_active(session: AsyncSession, workspace: Workspace) -> list[str]:
    """What still works in it: an archived workspace must not send or be told anything."""
    organization_id, of = workspace.organization_id, workspace.id
    queries = {
        "domains": select(Domain.id).where(Domain.organization_id == organization_id, Domain.workspace_id == of),
        "webhook_endpoints": select(WebhookEndpoint.id).where(
            WebhookEndpoint.organization_id == organization_id,
            WebhookEndpoint.workspace_id == of,
            WebhookEndpoint.status == "enabled",
        ),
        "api_keys": select(ApiKey.id).where(
            ApiKey.organization_id == organization_id,
            ApiKey.workspace_id == of,
            ApiKey.revoked_at.is_(None),
            ApiKey.expires_at.is_(None) | (ApiKey.expires_at > func.now()),
        ),
    }
    return [name for name, query in queries.items() if await session.scalar(query.limit(1)) is not None]
