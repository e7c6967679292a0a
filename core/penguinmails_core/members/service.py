"""Whom a person is in an organization: what sessions and OAuth tokens of people are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import NotAMember
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.members import repository
from penguinmails_core.models import Member
from penguinmails_core.organizations import repository as organizations
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import scopes_in_workspace, scopes_of
from penguinmails_core.users import repository as users


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's place in one of possibly many organizations."""

    member_id: UUID
    organization_id: UUID
    organization_name: str
    role: str
    custom_role_id: UUID | None
    limited: bool
    since: datetime


async def memberships_of(worker: Pool | Connection, user_id: UUID) -> list[Membership]:
    """All organizations of a user, the oldest membership first. `worker`: the pool or a connection of it, since no
    organization is chosen yet."""
    return [
        Membership(
            row["id"],
            row["organization_id"],
            row["organization_name"],
            row["role"],
            row["custom_role_id"],
            row["limited"],
            row["created_at"],
        )
        for row in await users.memberships(worker, user_id)
    ]


async def principal_for(
    session: AsyncSession, user_id: UUID, organization_id: UUID, *, workspace_id: UUID | None = None, mode: str = "live"
) -> Principal:
    """The person as a caller (kind session, id and user_id are the user's), with the rights of this moment: read it
    again when it is used again. `session` is bound to the organization.

    `workspace_id` is the workspace the person has chosen, if any: new things go there. A member who is limited to
    certain workspaces is bound to it and sees nothing else; without a choice, or when the chosen one was taken away,
    to the first of them. Raises `NotAMember` for others, and for a limited member to whom no workspace is left.
    """
    standing = await repository.standing_of(session, organization_id, user_id)
    default = await organizations.get_default_workspace(session, organization_id)
    if standing is None or default is None:
        raise NotAMember("You do not belong to this organization, or not any more.")
    member = standing.member
    if member.limited:
        bound_to, scopes = await _bound(session, member, workspace_id)
        return Principal(user_id, organization_id, bound_to, bound_to, mode, scopes, PrincipalKind.SESSION, user_id)
    target = default.id
    if workspace_id is not None and await organizations.get_workspace(session, organization_id, workspace_id):
        target = workspace_id
    scopes = scopes_of(member.role, standing.scopes or ())
    return Principal(user_id, organization_id, None, target, mode, scopes, PrincipalKind.SESSION, user_id)


async def standing_scopes(
    session: AsyncSession, standing: repository.Standing, workspace_id: UUID | None
) -> frozenset[str]:
    """What a member may do now: in the workspace that a limited one is bound to, else everywhere. None when that
    workspace was taken away."""
    if not standing.member.limited:
        return scopes_of(standing.member.role, standing.scopes or ())
    places = await repository.workspaces_of(session, standing.member)
    return next((scopes_in_workspace(p.role) for p in places if p.workspace_id == workspace_id), frozenset())


@dataclass(frozen=True, slots=True)
class Reach:
    """All that a member may do: in every workspace and beyond them (`everywhere`), or in some workspaces only."""

    everywhere: frozenset[str] | None
    by_workspace: Mapping[UUID, frozenset[str]]

    def on(self, workspace_id: UUID | None) -> frozenset[str]:
        """Inside that workspace; None: in all of them."""
        if self.everywhere is not None:
            return self.everywhere
        return self.by_workspace.get(workspace_id, frozenset()) if workspace_id is not None else frozenset()


async def reach_of(session: AsyncSession, standing: repository.Standing) -> Reach:
    if not standing.member.limited:
        return Reach(scopes_of(standing.member.role, standing.scopes or ()), {})
    places = await repository.workspaces_of(session, standing.member)
    return Reach(None, {place.workspace_id: scopes_in_workspace(place.role) for place in places})


async def _bound(session: AsyncSession, member: Member, chosen: UUID | None) -> tuple[UUID, frozenset[str]]:
    places = await repository.workspaces_of(session, member)
    if not places:
        raise NotAMember("You belong to no workspace of this organization any more. Ask one of its admins.")
    place = next((place for place in places if place.workspace_id == chosen), places[0])
    return place.workspace_id, scopes_in_workspace(place.role)
