"""The other end of an invitation: what the link in the mail shows, and taking the place it offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import Conflict, Forbidden, LinkExpired
from penguinmails_core.events.types import EventType
from penguinmails_core.identity.sessions import token_hash, well_formed
from penguinmails_core.invitations import repository
from penguinmails_core.invitations.service import place_of
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.members import places_repository, tell
from penguinmails_core.members import repository as members
from penguinmails_core.models import Invitation, Member, WorkspaceMember


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody with the link may know before they accept."""

    id: UUID
    organization_id: UUID
    organization_name: str
    email: str
    role: str
    invited_by: str | None
    note: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    organization_id: UUID
    organization_name: str
    member_id: UUID
    role: str


@dataclass(frozen=True, slots=True)
class Found:
    """An invitation that a user may try to accept."""

    id: UUID
    organization_id: UUID
    organization_name: str


async def peek(database: Database, token: str) -> Offer:
    """Without using it. Raises `LinkExpired` for what cannot be accepted (any more)."""
    row = await _find(database, token)
    if row is None or row["accepted_at"] is not None or not _lives(row):
        raise _expired()
    return _offer(row)


async def find(database: Database, user_id: UUID, token: str) -> Found:
    """What `take` is to be called with, in a session that is bound to its organization.

    Raises `LinkExpired`; `Forbidden` when the invitation is for another address; `Conflict` in test mode.
    """
    row = await _find(database, token)
    if row is None:
        raise _expired()
    email = await repository.email_of(database.worker, user_id)
    if email is None or email.lower() != row["email"].lower():
        raise Forbidden("This invitation is for another address. Sign in as the one it was sent to.")
    if row["mode"] != "live":
        raise Conflict("This is an invitation of test mode; nobody can accept it.")
    return Found(row["id"], row["organization_id"], row["organization_name"])


async def accept(database: Database, user_id: UUID, token: str) -> Accepted:
    """`find` and `take` in one."""
    found = await find(database, user_id, token)
    async with database.tenant(found.organization_id) as session:
        return await take(session, found, user_id)


async def take(session: AsyncSession, found: Found, user_id: UUID) -> Accepted:
    """The user becomes a member, once; the same user may ask again and hears the same. Who is a member already keeps
    the place they have. Raises `LinkExpired`; `Conflict` when every workspace that was offered is gone; `LimitReached`
    when all seats are taken, and the invitation can be accepted later."""
    organization_id = found.organization_id
    await members.lock(session, organization_id)
    invitation = await repository.use(session, organization_id, found.id, user_id)
    member = await repository.member_of(session, organization_id, user_id)
    if invitation is not None:
        if member is None:
            member = await _join(session, invitation, user_id)
        who = {"member_id": encode(Prefix.MEMBER, member.id), "user_id": encode(Prefix.USER, user_id)}
        await tell.invitation(session, EventType.INVITATION_ACCEPTED, invitation, place_of(invitation), who)
        resource = Resource(Prefix.INVITATION, invitation.id)
        told = {"email": invitation.email, "member_id": encode(Prefix.MEMBER, member.id), "role": member.role}
        await audit.record(session, Actor.user(organization_id, user_id), "invitation.accepted", resource, after=told)
    elif member is None or not await repository.was_accepted_by(session, organization_id, found.id, user_id):
        raise _expired()
    return Accepted(organization_id, found.organization_name, member.id, member.role)


async def _join(session: AsyncSession, invitation: Invitation, user_id: UUID) -> Member:
    organization_id, place = invitation.organization_id, place_of(invitation)
    wanted = [item.workspace_id for item in place.workspaces or ()]
    usable = await places_repository.usable_workspaces(session, organization_id, wanted)
    if place.limited and not usable:
        raise Conflict("The workspaces that you were invited to are gone. Ask for a new invitation.")
    await require_room(session, organization_id, Limit.MAX_USERS)
    kept = None
    if place.workspaces is not None:
        kept = tuple(item for item in place.workspaces if item.workspace_id in usable)
    member = Member(
        organization_id=organization_id,
        id=new_uuid(),
        user_id=user_id,
        role=place.role,
        custom_role_id=place.custom_role_id,
        limited=place.limited,
    )
    session.add(member)
    await session.flush()
    session.add_all(
        WorkspaceMember(
            organization_id=organization_id, member_id=member.id, workspace_id=item.workspace_id, role=item.role
        )
        for item in kept or ()
    )
    via = {"via": "invitation"}
    await tell.member(session, EventType.MEMBER_ADDED, member, replace(place, workspaces=kept), invitation.email, via)
    await session.flush()
    return member


async def _find(database: Database, token: str) -> Any | None:
    if not well_formed(token):
        return None
    return await repository.find_by_token(database.worker, token_hash(token))


def _lives(row: Any) -> bool:
    return row["revoked_at"] is None and row["expires_at"] > utcnow()


def _offer(row: Any) -> Offer:
    return Offer(
        row["id"],
        row["organization_id"],
        row["organization_name"],
        row["email"],
        row["role_name"] or row["role"],
        row["invited_by"],
        row["note"],
        row["expires_at"],
    )


def _expired() -> LinkExpired:
    return LinkExpired("This invitation was used, revoked or has expired. Ask for a new one.")
