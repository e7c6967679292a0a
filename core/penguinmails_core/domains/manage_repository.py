"""SQL of domains as a caller sees them; what the sender and the accept path ask is in `repository.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Domain, DomainKey, Workspace
from penguinmails_core.principal import Principal


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """What a caller may see: own organization, and own workspace when bound to one."""
    conditions = [Domain.organization_id == principal.organization_id]
    if principal.workspace_id is not None:
        conditions.append(Domain.workspace_id == principal.workspace_id)
    return conditions


async def get(session: AsyncSession, principal: Principal, domain_id: UUID, *, lock: bool = False) -> Domain | None:
    query = select(Domain).where(*_visible(principal), Domain.id == domain_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def of_organization(
    session: AsyncSession, organization_id: UUID, domain_id: UUID, *, lock: bool = False
) -> Domain | None:
    query = select(Domain).where(Domain.organization_id == organization_id, Domain.id == domain_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def claim_due(pool: Pool, now: datetime, again: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """(organization, domain) of those to look at; they are due `again` then, should this process die."""
    rows = await pool.fetch(
        """
        update domains d set next_look_at = $2 from (
          select organization_id, id from domains where next_look_at <= $1 order by next_look_at limit $3
          for update skip locked
        ) due where (d.organization_id, d.id) = (due.organization_id, due.id)
        returning d.organization_id, d.id
        """,
        now,
        again,
        limit,
    )
    return [(row["organization_id"], row["id"]) for row in rows]


async def list_domains(
    session: AsyncSession,
    principal: Principal,
    *,
    statuses: Sequence[str],
    name: str | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Domain]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(Domain).where(*_visible(principal))
    if statuses:
        query = query.where(Domain.status.in_(statuses))
    if name is not None:
        query = query.where(Domain.name == name)
    return await newest_first(session, query, Domain.id, limit, after, before)


async def keys_of(
    session: AsyncSession, organization_id: UUID, domain_ids: Sequence[UUID]
) -> dict[UUID, list[DomainKey]]:
    """All keys of each domain."""
    query = (
        select(DomainKey)
        .where(DomainKey.organization_id == organization_id, DomainKey.domain_id.in_(domain_ids))
        .order_by(DomainKey.id)
    )
    found: dict[UUID, list[DomainKey]] = defaultdict(list)
    for key in await session.scalars(query):
        found[key.domain_id].append(key)
    return found


async def workspace_exists(session: AsyncSession, organization_id: UUID, workspace_id: UUID) -> bool:
    query = select(Workspace.id).where(Workspace.organization_id == organization_id, Workspace.id == workspace_id)
    return await session.scalar(query) is not None


async def delete_domain(session: AsyncSession, domain: Domain) -> None:
    """With its keys."""
    await session.execute(
        delete(DomainKey)
        .where(DomainKey.organization_id == domain.organization_id, DomainKey.domain_id == domain.id)
        .execution_options(synchronize_session=False)
    )
    await session.delete(domain)
    await session.flush()


async def delete_key(session: AsyncSession, key: DomainKey) -> None:
    await session.delete(key)
    await session.flush()


async def verified_elsewhere(connection: Connection, organization_id: UUID, name: str) -> Any | None:
    """The domain of another organization that is verified under this name, locked, with its proofs."""
    return await connection.fetchrow(
        """
        select d.organization_id, d.id, d.workspace_id, d.event_sequence,
          array(select k.public_key from domain_keys k where (k.organization_id, k.domain_id) =
            (d.organization_id, d.id) and k.active and k.algorithm = 'rsa-sha256') as proofs
        from domains d where d.name = $2 and d.status = 'verified' and d.organization_id <> $1 for update of d
        """,
        organization_id,
        name,
    )


async def lose(connection: Connection, row: Any, event_id: UUID, payload: dict[str, Any]) -> None:
    """The domain of `verified_elsewhere` is verified no more, and its organization is told."""
    await connection.execute(
        """
        with lost as (
          update domains set status = 'failed', verified_at = null, failing_since = null,
            grace_until = null, event_sequence = event_sequence + 1,
            updated_at = now() where organization_id = $1 and id = $2
          returning organization_id, workspace_id, id, event_sequence
        )
        insert into events (organization_id, workspace_id, id, mode, type, resource_id, sequence, payload)
        select organization_id, workspace_id, $3, 'live', 'domain.failed', id, event_sequence, $4::jsonb from lost
        """,
        row["organization_id"],
        row["id"],
        event_id,
        payload,
    )
