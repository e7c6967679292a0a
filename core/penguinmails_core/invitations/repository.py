"""SQL for invitations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.models import Invitation, Member, Role, User
from penguinmails_core.principal import Principal

# Before anybody is bound to the organization: the token in the mail is all there is.
_OFFER = """
select i.organization_id, i.id, i.mode, i.email, i.role, r.name as role_name, i.limited, i.note, i.expires_at,
  i.accepted_at, i.accepted_by, i.revoked_at, o.name as organization_name, coalesce(u.name, u.email) as invited_by
from invitations i join organizations o on o.id = i.organization_id
left join roles r on r.organization_id = i.organization_id and r.id = i.custom_role_id
left join users u on u.id = i.created_by
where i.token_hash = $1"""

_FORGET = """
with old as materialized (
  select organization_id, id from invitations
  where least(accepted_at, revoked_at, expires_at) < now() - $1::interval
  limit $2 for update skip locked
)
delete from invitations i using old where (i.organization_id, i.id) = (old.organization_id, old.id)"""


async def find_by_token(worker: Pool, token_hash: bytes) -> Any | None:
    return await worker.fetchrow(_OFFER, token_hash)


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization and mode; who is bound to a workspace sees invitations to it."""
    conditions = [Invitation.organization_id == principal.organization_id, Invitation.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(Invitation.workspaces.contains([{"workspace_id": str(principal.workspace_id)}]))
    return conditions


async def get(session: AsyncSession, principal: Principal, invitation_id: UUID) -> tuple[Invitation, str | None] | None:
    """With the name of its custom role."""
    found = await _rows(session, [*_visible(principal), Invitation.id == invitation_id], None, 1)
    return found[0] if found else None


async def list_invitations(
    session: AsyncSession,
    principal: Principal,
    status: str | None,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[tuple[Invitation, str | None]]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    conditions = _visible(principal)
    if status is not None:
        conditions.append(_status(status))
    if before is not None:
        return (await _rows(session, [*conditions, Invitation.id > before], Invitation.id.asc(), limit))[::-1]
    if after is not None:
        conditions.append(Invitation.id < after)
    return await _rows(session, conditions, Invitation.id.desc(), limit)


async def _rows(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], order: ColumnElement[UUID] | None, limit: int
) -> list[tuple[Invitation, str | None]]:
    query = (
        select(Invitation, Role.name)
        .outerjoin(Role, (Role.organization_id == Invitation.organization_id) & (Role.id == Invitation.custom_role_id))
        .where(*conditions)
        .order_by(order)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]


def _status(status: str) -> ColumnElement[bool]:
    match status:
        case "accepted":
            return Invitation.accepted_at.is_not(None)
        case "revoked":
            return Invitation.revoked_at.is_not(None)
        case "expired":
            return and_(_open(), Invitation.expires_at <= func.now())
        case _:
            return and_(_open(), Invitation.expires_at > func.now())


def _open() -> ColumnElement[bool]:
    return and_(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))


async def count_open(session: AsyncSession, organization_id: UUID) -> int:
    found = await session.scalar(
        select(func.count())
        .select_from(Invitation)
        .where(Invitation.organization_id == organization_id, _open(), Invitation.expires_at > func.now())
    )
    return found or 0


async def find_open(session: AsyncSession, organization_id: UUID, mode: str, email: str) -> Invitation | None:
    """Of this address, in whatever case; it may have expired."""
    return await session.scalar(
        select(Invitation).where(
            Invitation.organization_id == organization_id,
            Invitation.mode == mode,
            func.lower(Invitation.email) == func.lower(email),
            _open(),
        )
    )


async def use(session: AsyncSession, organization_id: UUID, invitation_id: UUID, user_id: UUID) -> Invitation | None:
    """Accept it if it still can be: of two who try at once, one gets it."""
    return await session.scalar(
        update(Invitation)
        .where(
            Invitation.organization_id == organization_id,
            Invitation.id == invitation_id,
            _open(),
            Invitation.expires_at > func.now(),
        )
        .values(accepted_at=func.now(), accepted_by=user_id, updated_at=func.now())
        .returning(Invitation)
        .execution_options(populate_existing=True)
    )


async def was_accepted_by(session: AsyncSession, organization_id: UUID, invitation_id: UUID, user_id: UUID) -> bool:
    found = await session.scalar(
        select(Invitation.accepted_by).where(
            Invitation.organization_id == organization_id, Invitation.id == invitation_id
        )
    )
    return found == user_id


async def member_of(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Member | None:
    return await session.scalar(
        select(Member).where(Member.organization_id == organization_id, Member.user_id == user_id)
    )


async def drop(session: AsyncSession, invitation: Invitation) -> None:
    await session.execute(
        delete(Invitation).where(
            Invitation.organization_id == invitation.organization_id, Invitation.id == invitation.id
        )
    )


async def email_of(worker: Pool, user_id: UUID) -> str | None:
    email: str | None = await worker.fetchval("select email from users where id = $1", user_id)
    return email


async def inviter(session: AsyncSession, user_id: UUID | None) -> str | None:
    """How the one who invites is called: their name, else their address."""
    if user_id is None:
        return None
    return await session.scalar(select(func.coalesce(User.name, User.email)).where(User.id == user_id))


async def forget(worker: Pool, keep: Any, limit: int) -> int:
    """Delete invitations that ended `keep` ago; returns how many."""
    status: str = await worker.execute(_FORGET, keep, limit)
    return int(status.rpartition(" ")[2])
