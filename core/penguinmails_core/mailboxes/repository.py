"""SQL of mailboxes as a caller sees them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Mailbox, Workspace
from penguinmails_core.principal import Principal


def visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization, own mode, own workspace when bound to one, and of a credential that may send from certain
    mailboxes or domains only, those."""
    conditions = [Mailbox.organization_id == principal.organization_id, Mailbox.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(Mailbox.workspace_id == principal.workspace_id)
    limits = principal.constraints
    if limits is not None and limits.mailboxes is not None:
        conditions.append(Mailbox.address_key.in_(limits.mailboxes))
    if limits is not None and limits.domains is not None:
        ends = [Mailbox.address_key.endswith(f"@{domain}", autoescape=True) for domain in sorted(limits.domains)]
        conditions.append(or_(False, *ends))
    return conditions


async def get(session: AsyncSession, principal: Principal, mailbox_id: UUID, *, lock: bool = False) -> Mailbox | None:
    query = select(Mailbox).where(*visible(principal), Mailbox.id == mailbox_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_mailboxes(
    session: AsyncSession,
    principal: Principal,
    *,
    statuses: Sequence[str],
    address: str | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Mailbox]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(Mailbox).where(*visible(principal))
    if statuses:
        working = [status for status in statuses if status != "paused"]
        wanted = Mailbox.paused_at.is_(None) & Mailbox.connection.in_(working)
        query = query.where(or_(wanted, Mailbox.paused_at.is_not(None)) if "paused" in statuses else wanted)
    if address is not None:
        query = query.where(Mailbox.address_key == address)
    return await newest_first(session, query, Mailbox.id, limit, after, before)


async def workspace_exists(session: AsyncSession, organization_id: UUID, workspace_id: UUID) -> bool:
    query = select(Workspace.id).where(
        Workspace.organization_id == organization_id, Workspace.id == workspace_id, Workspace.archived_at.is_(None)
    )
    return await session.scalar(query) is not None


async def delete_mailbox(session: AsyncSession, mailbox: Mailbox) -> None:
    await session.execute(
        delete(Mailbox).where(Mailbox.organization_id == mailbox.organization_id, Mailbox.id == mailbox.id)
    )
