"""SQL of inbound sources and what came in, as a caller and the receiver see it. Handling has SQL of its own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from penguinmails_core.inbound.records import Source
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import InboundMessage, InboundSource
from penguinmails_core.principal import Principal


def _visible(model: Any, principal: Principal) -> list[ColumnElement[bool]]:
    conditions = [model.organization_id == principal.organization_id, model.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(model.workspace_id == principal.workspace_id)
    return conditions


async def count_for_update(session: AsyncSession, organization_id: UUID) -> int:
    """How many sources the organization has, in both modes; others who ask wait for this transaction."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('inbound sources ' || :organization, 0))"),
        {"organization": str(organization_id)},
    )
    query = select(func.count()).select_from(InboundSource).where(InboundSource.organization_id == organization_id)
    return await session.scalar(query) or 0


async def get_source(
    session: AsyncSession, principal: Principal, source_id: UUID, *, lock: bool = False
) -> InboundSource | None:
    query = select(InboundSource).where(*_visible(InboundSource, principal), InboundSource.id == source_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_sources(
    session: AsyncSession, principal: Principal, *, limit: int, after: UUID | None, before: UUID | None
) -> list[InboundSource]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(InboundSource).where(*_visible(InboundSource, principal))
    return await newest_first(session, query, InboundSource.id, limit, after, before)


async def delete_source(session: AsyncSession, source: InboundSource) -> None:
    """With all its messages."""
    await session.execute(
        delete(InboundSource).where(
            InboundSource.organization_id == source.organization_id, InboundSource.id == source.id
        )
    )


async def get_message(
    session: AsyncSession, principal: Principal, message_id: UUID, *, lock: bool = False
) -> InboundMessage | None:
    query = select(InboundMessage).where(*_visible(InboundMessage, principal), InboundMessage.id == message_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_messages(
    session: AsyncSession,
    principal: Principal,
    source_id: UUID | None,
    statuses: Sequence[str],
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[InboundMessage]:
    """As `list_sources`; bodies are not loaded."""
    query = select(InboundMessage).options(defer(InboundMessage.body, raiseload=True))
    query = query.where(*_visible(InboundMessage, principal))
    if source_id is not None:
        query = query.where(InboundMessage.source_id == source_id)
    if statuses:
        query = query.where(InboundMessage.status.in_(statuses))
    return await newest_first(session, query, InboundMessage.id, limit, after, before)


async def find_source(pool: Pool, token_hash: bytes) -> Source | None:
    """By the URL that was called: of any organization. Secrets that have ended are left out."""
    row = await pool.fetchrow(
        "select organization_id, id, workspace_id, mode, name, scheme, status, settings, secrets, now() as now "
        "from inbound_sources where token_hash = $1",
        token_hash,
    )
    if row is None:
        return None
    kept = [entry["sealed"] for entry in row["secrets"] if not _ended(entry, row["now"])]
    return Source(
        row["organization_id"],
        row["id"],
        row["workspace_id"],
        row["mode"],
        row["name"],
        row["scheme"],
        row["status"],
        row["settings"],
        [base64.b64decode(sealed) for sealed in kept],
    )


def _ended(entry: dict[str, Any], now: datetime) -> bool:
    return entry["expires_at"] is not None and datetime.fromisoformat(entry["expires_at"]) <= now


async def add_message(session: AsyncSession, values: dict[str, Any]) -> bool:
    """False when the same message is there already. One that is being written at this moment is waited for."""
    statement = insert(InboundMessage).values(**values).on_conflict_do_nothing().returning(InboundMessage.id)
    return await session.scalar(statement) is not None


async def count_duplicate(
    session: AsyncSession, source: Source, dedupe_key: bytes, replay_key: bytes | None
) -> UUID | None:
    """The message that came again."""
    same = [InboundMessage.dedupe_key == dedupe_key]
    if replay_key is not None:
        same.append(InboundMessage.replay_key == replay_key)
    found: UUID | None = await session.scalar(
        update(InboundMessage)
        .where(
            InboundMessage.organization_id == source.organization_id,
            InboundMessage.source_id == source.id,
            InboundMessage.status != "rejected",
            or_(*same),
        )
        .values(duplicates=InboundMessage.duplicates + 1)
        .returning(InboundMessage.id)
        .execution_options(synchronize_session=False)
    )
    return found


async def forget_messages(pool: Pool, keep: Any, limit: int) -> int:
    """Those that are older than `keep`, but for what still waits; returns how many."""
    status: str = await pool.execute(
        """
        with old as materialized (
          select organization_id, id from inbound_messages
          where received_at < now() - $1::interval and due_at is null
          limit $2 for update skip locked
        )
        delete from inbound_messages m using old where (m.organization_id, m.id) = (old.organization_id, old.id)
        """,
        keep,
        limit,
    )
    return int(status.rpartition(" ")[2])
