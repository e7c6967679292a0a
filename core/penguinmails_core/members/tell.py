"""Events of members and invitations. Their rows are locked, or new, or nobody else can change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.members.places import Place
from penguinmails_core.models import Invitation, Member


async def member(
    session: AsyncSession, kind: EventType, row: Member, place: Place, email: str, more: Mapping[str, Any]
) -> None:
    """Written in the transaction of the change."""
    row.event_sequence = (row.event_sequence or 0) + 1
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=_only_workspace(place),
        mode="live",
        event=kind,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=_member(row.id, row.user_id, email, place) | dict(more),
    )
    await _written(session, row)


async def member_on(
    connection: Connection, organization_id: UUID, member_id: UUID, user_id: UUID, email: str, role: str, via: str
) -> None:
    """`member.added` of a member that was inserted as `worker`."""
    await events.add_on(
        connection,
        organization_id=organization_id,
        workspace_id=None,
        mode="live",
        event=EventType.MEMBER_ADDED,
        resource_id=member_id,
        sequence=1,
        payload=_member(member_id, user_id, email, Place(role)) | {"via": via},
    )


async def invitation(
    session: AsyncSession, kind: EventType, row: Invitation, place: Place, more: Mapping[str, Any] | None = None
) -> None:
    """Written in the transaction of the change, in the invitation's own mode."""
    row.event_sequence = (row.event_sequence or 0) + 1
    told = {"invitation_id": encode(Prefix.INVITATION, row.id), "email": row.email} | _place(place)
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=_only_workspace(place),
        mode=row.mode,
        event=kind,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=told | {"expires_at": rfc3339(row.expires_at)} | dict(more or {}),
    )
    await _written(session, row)


async def _written(session: AsyncSession, row: Member | Invitation) -> None:
    await session.flush()
    await session.refresh(row, ["updated_at"])


def changed(before: Place, after: Place) -> list[str]:
    """Names of the members of the event that differ."""
    was, now = _place(before), _place(after)
    return [name for name in now if was[name] != now[name]]


def _member(member_id: UUID, user_id: UUID, email: str, place: Place) -> dict[str, Any]:
    ids = {"member_id": encode(Prefix.MEMBER, member_id), "user_id": encode(Prefix.USER, user_id)}
    return ids | {"email": email} | _place(place)


def _place(place: Place) -> dict[str, Any]:
    workspaces = None
    if place.workspaces is not None:
        workspaces = [
            {"workspace_id": encode(Prefix.WORKSPACE, item.workspace_id), "role": item.role}
            for item in place.workspaces
        ]
    return {
        "role": place.role,
        "custom_role_id": encode(Prefix.ROLE, place.custom_role_id) if place.custom_role_id else None,
        "workspaces": workspaces,
    }


def _only_workspace(place: Place) -> UUID | None:
    """Who is bound to a workspace hears of those who belong to nothing else."""
    found = place.workspaces or ()
    return found[0].workspace_id if len(found) == 1 else None
