"""Members as others see and change them: roles, limits, removal, leaving, and handing over the organization.

Every change puts its organization in line first (`authority_of`), so the last-owner rule holds when two owners act at
the same moment. Whoever calls rings the doorbell `KEYS` after the commit: keys may have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import (
    Conflict,
    FieldError,
    Forbidden,
    LastOwner,
    NotFound,
    OwnersOnly,
    Unprocessable,
)
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.kit.pages import cut
from penguinmails_core.members import repository, tell
from penguinmails_core.members.authority import Authority, authority_of, refuse_test_mode
from penguinmails_core.members.endings import end_everything, fit_everything
from penguinmails_core.members.places import Place, WorkspacePlace, resolve
from penguinmails_core.members.repository import MemberRow
from penguinmails_core.models import Member
from penguinmails_core.organizations import repository as organizations
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scopes import Scope


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as the API shows one."""

    row: Member
    email: str
    name: str | None
    role_name: str | None
    place: Place


async def get(session: AsyncSession, principal: Principal, member_id: UUID) -> MemberView:
    """Raises `NotFound` for whom the caller may not see."""
    found = await repository.get(session, principal, member_id)
    if found is None:
        raise NotFound("There is no such member.")
    return (await _views(session, [found]))[0]


async def list_members(
    session: AsyncSession,
    principal: Principal,
    *,
    roles: Sequence[str] = (),
    email: str | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[MemberView], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_members(session, principal, roles, email, limit=limit + 1, after=after, before=before)
    kept, has_more = cut(found, limit, backwards=before is not None)
    return await _views(session, kept), has_more


async def update(session: AsyncSession, principal: Principal, member_id: UUID, given: Mapping[str, Any]) -> MemberView:
    """`given`: see `places.resolve`. Keys that the person made are narrowed to the new place, or end.

    Raises `OwnersOnly`, `GrantExceeded`, `LastOwner`, `NotFound`, `Unprocessable`.
    """
    refuse_test_mode(principal)
    authority = await authority_of(session, principal, Scope.MEMBERS_WRITE)
    view = await get(session, principal, member_id)
    place = await resolve(session, principal.organization_id, given, view.place)
    if place == view.place:
        return view
    authority.check_target(view.row)
    _check_reach(authority, view)
    authority.check_grant(place)
    if view.row.role == OrganizationRole.OWNER != place.role:
        await _check_last_owner(session, view.row)
    await put(session, view.row, place)
    await fit_everything(session, view.row.organization_id, view.row.user_id, Actor.of(principal))
    changed = await get(session, principal, member_id)
    await _tell_updated(session, view, changed)
    await audit.record(session, principal, "member.updated", _resource(view.row), _told(view), _told(changed))
    return changed


async def remove(session: AsyncSession, principal: Principal, member_id: UUID) -> UUID:
    """Ends the person's keys and grants here, and hands what they made to the caller (of a key: to the oldest owner).
    Returns the user, whose sessions may look at this organization.

    Raises `Forbidden` for oneself (see `leave`), `OwnersOnly`, `NotFound`.
    """
    refuse_test_mode(principal)
    authority = await authority_of(session, principal, Scope.MEMBERS_WRITE)
    view = await get(session, principal, member_id)
    if authority.member is not None and authority.member.id == view.row.id:
        raise Forbidden("Nobody removes themselves. Leave instead: POST /v1/organization/leave.")
    authority.check_target(view.row)
    _check_reach(authority, view)
    if view.row.role == OrganizationRole.OWNER:
        await _check_last_owner(session, view.row)
    await _end(session, Actor.of(principal), view, "member.removed", authority.member)
    return view.row.user_id


async def leave(session: AsyncSession, principal: Principal) -> None:
    """The caller's own membership ends; what they made goes to the oldest owner. Raises `LastOwner`, and `Forbidden`
    for a caller who is no person in a session."""
    if principal.kind is not PrincipalKind.SESSION:
        raise Forbidden("This is for people who are signed in; a key or an app has no membership of its own.")
    await repository.lock(session, principal.organization_id)
    found = await repository.standing_of(session, principal.organization_id, principal.id)
    if found is None:
        raise NotFound("You are not a member any more.")
    if found.member.role == OrganizationRole.OWNER:
        await _check_last_owner(session, found.member)
    view = await get(session, replace(principal, workspace_id=None), found.member.id)
    # Who left cannot be looked up any more when the log is written.
    await _end(session, replace(Actor.of(principal), label=view.email), view, "member.left", None)


async def transfer(session: AsyncSession, principal: Principal, member_id: UUID, confirm: str) -> MemberView:
    """Another member becomes an owner and the caller an admin. `confirm` is the organization's name as it is, so that
    nobody does it by accident. Raises `OwnersOnly`, `Conflict` for oneself, `NotFound`, `Unprocessable`."""
    refuse_test_mode(principal)
    authority = await authority_of(session, principal, Scope.ORGANIZATIONS_WRITE)
    if authority.member is None or not authority.is_owner:
        raise OwnersOnly("Only an owner who is signed in hands an organization over.")
    view = await get(session, principal, member_id)
    if view.row.id == authority.member.id:
        raise Conflict("You are an owner already. Name another member.")
    organization = await organizations.get(session, principal.organization_id)
    if organization is None or confirm != organization.name:
        detail = "`confirm` must be the name of the organization, exactly as it is written."
        raise Unprocessable(detail, errors=[FieldError("/confirm", "mismatch", detail)])
    me = await get(session, principal, authority.member.id)
    for one, role in ((view, OrganizationRole.OWNER), (me, OrganizationRole.ADMIN)):
        await put(session, one.row, Place(role))
        await _tell_updated(session, one, replace(one, place=Place(role)))
    resource = Resource(Prefix.ORGANIZATION, principal.organization_id)
    before, after = (encode(Prefix.USER, user) for user in (authority.member.user_id, view.row.user_id))
    await audit.record(session, principal, "organization.transferred", resource, {"owner": before}, {"owner": after})
    return await get(session, principal, member_id)


async def view_of(session: AsyncSession, member: Member) -> MemberView:
    """Of a member whom whoever calls has at hand already."""
    everywhere = Principal(member.id, member.organization_id, None, member.organization_id, "live", frozenset())
    return await get(session, everywhere, member.id)


async def put(session: AsyncSession, member: Member, place: Place) -> None:
    """Gives a member another place, without asking who may."""
    member.role, member.custom_role_id, member.limited = place.role, place.custom_role_id, place.limited
    member.updated_at = func.now()
    await session.flush()
    pairs = [(item.workspace_id, item.role) for item in place.workspaces or ()]
    await repository.replace_workspaces(session, member, pairs)
    await session.refresh(member)


def _check_reach(authority: Authority, view: MemberView) -> None:
    """Who is bound to a workspace manages those who belong to nothing else."""
    bound_to = authority.principal.workspace_id
    if bound_to is not None and {item.workspace_id for item in view.place.workspaces or ()} != {bound_to}:
        raise Forbidden("This member belongs to other workspaces too. Ask an admin of the organization.")


async def _check_last_owner(session: AsyncSession, member: Member) -> None:
    if all(owner.id == member.id for owner in await repository.owners(session, member.organization_id)):
        raise LastOwner("This is the only owner. Make another member an owner first, or transfer the organization.")


async def _end(session: AsyncSession, actor: Actor, view: MemberView, action: str, remover: Member | None) -> None:
    organization_id, user_id, before = view.row.organization_id, view.row.user_id, _told(view)
    resource = _resource(view.row)
    owners = await repository.owners(session, organization_id)
    heirs = [remover] if remover is not None else [owner for owner in owners if owner.user_id != user_id]
    await repository.hand_over(session, organization_id, user_id, heirs[0].user_id if heirs else None)
    reason = {"reason": action.partition(".")[2]}
    await tell.member(session, EventType.MEMBER_REMOVED, view.row, view.place, view.email, reason)
    await session.delete(view.row)
    await session.flush()
    await end_everything(session, organization_id, user_id, actor)
    await audit.record(session, actor, action, resource, before=before)


async def _tell_updated(session: AsyncSession, before: MemberView, after: MemberView) -> None:
    what = {"changed": tell.changed(before.place, after.place)}
    await tell.member(session, EventType.MEMBER_UPDATED, before.row, after.place, after.email, what)


async def _views(session: AsyncSession, rows: Sequence[MemberRow]) -> list[MemberView]:
    places = await repository.workspaces_of_all(session, [row.member for row in rows])
    views = []
    for row in rows:
        member = row.member
        workspaces = tuple(WorkspacePlace(p.workspace_id, p.role) for p in places.get(member.id, ()))
        place = Place(
            member.role,
            member.custom_role_id,
            workspaces if member.limited else None,
            tuple(row.role_scopes or ()),
        )
        views.append(MemberView(member, row.email, row.name, row.role_name, place))
    return views


def _resource(member: Member) -> Resource:
    return Resource(Prefix.MEMBER, member.id)


def _told(view: MemberView) -> dict[str, Any]:
    """For the audit log."""
    place = view.place
    workspaces = place.workspaces
    return {
        "user_id": encode(Prefix.USER, view.row.user_id),
        "role": place.role,
        "custom_role_id": encode(Prefix.ROLE, place.custom_role_id) if place.custom_role_id else None,
        "workspaces": None
        if workspaces is None
        else {encode(Prefix.WORKSPACE, item.workspace_id): item.role for item in workspaces},
    }
