"""Custom roles: named sets of scopes. Nobody defines one that may do more than they may themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.custom_roles import repository
from penguinmails_core.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.members.authority import Authority, authority_of, refuse_test_mode
from penguinmails_core.members.endings import fit_everything
from penguinmails_core.models import Role
from penguinmails_core.principal import Principal
from penguinmails_core.roles import CUSTOM, OrganizationRole
from penguinmails_core.scopes import ALL_SCOPES, Scope

MAX_ROLES = 50
MAX_NAME, MAX_DESCRIPTION = 60, 300
_AUDITED = ("name", "description", "scopes")
_RESERVED = {*OrganizationRole, CUSTOM}


async def get(session: AsyncSession, principal: Principal, role_id: UUID) -> Role:
    """Raises `NotFound`; who is bound to a workspace has no part in custom roles."""
    role = None
    if principal.workspace_id is None:
        role = await repository.get(session, principal.organization_id, role_id)
    if role is None:
        raise NotFound("There is no such custom role.")
    return role


async def list_roles(session: AsyncSession, principal: Principal) -> list[Role]:
    """By name: an organization has at most 50."""
    if principal.workspace_id is not None:
        return []
    return await repository.list_roles(session, principal.organization_id)


async def create(
    session: AsyncSession, principal: Principal, *, name: str, scopes: Sequence[str], description: str | None = None
) -> Role:
    """Raises `GrantExceeded`, `Conflict` for a name that is taken and at 50 roles, `Unprocessable`, `Forbidden`."""
    authority = await _admit(session, principal)
    if principal.workspace_id is not None:
        raise Forbidden("You are bound to one workspace; roles are for admins of the organization.")
    organization_id = principal.organization_id
    values = _check({"name": name, "description": description, "scopes": scopes})
    authority.check_scopes(values["scopes"], "/scopes")
    if len(await repository.list_roles(session, organization_id)) >= MAX_ROLES:
        raise Conflict(
            f"An organization has at most {MAX_ROLES} custom roles. Delete one first.", extra={"limit": MAX_ROLES}
        )
    await _check_name(session, organization_id, values["name"], None)
    role = Role(organization_id=organization_id, id=new_uuid(), created_by=principal.user_id, **values)
    session.add(role)
    await session.flush()
    await session.refresh(role)
    await audit.record(session, principal, "role.created", _resource(role), after=audit.facts(role, *_AUDITED))
    return role


async def update(session: AsyncSession, principal: Principal, role_id: UUID, given: Mapping[str, Any]) -> Role:
    """`given` holds what is to be changed. Members with the role feel it at once, and so do their keys. Raises as
    `create`; a role that may do more than the caller can be narrowed by them to what they have, not otherwise."""
    authority = await _admit(session, principal)
    role = await get(session, principal, role_id)
    values = _check(given)
    before = audit.facts(role, *_AUDITED)
    if "scopes" in values:
        authority.check_scopes(values["scopes"], "/scopes")
    if "name" in values:
        await _check_name(session, role.organization_id, values["name"], role.id)
    for name, value in values.items():
        setattr(role, name, value)
    after = audit.facts(role, *_AUDITED)
    if after == before:
        return role
    role.updated_at = func.now()
    await session.flush()
    await session.refresh(role)
    if set(before["scopes"]) - set(role.scopes):
        for user_id in await repository.users_with(session, role):
            await fit_everything(session, role.organization_id, user_id, Actor.of(principal))
    await audit.record(session, principal, "role.updated", _resource(role), before, after)
    return role


async def delete(session: AsyncSession, principal: Principal, role_id: UUID) -> None:
    """Raises `Conflict` while a member has it or an invitation promises it."""
    await _admit(session, principal)
    role = await get(session, principal, role_id)
    if await repository.in_use(session, role):
        raise Conflict("Members have this role, or are invited to it. Give them another one first.")
    before, resource = audit.facts(role, *_AUDITED), _resource(role)
    await repository.forget_ended_invitations(session, role)
    await session.delete(role)
    await session.flush()
    await audit.record(session, principal, "role.deleted", resource, before=before)


async def _admit(session: AsyncSession, principal: Principal) -> Authority:
    refuse_test_mode(principal)
    return await authority_of(session, principal, Scope.MEMBERS_WRITE)


async def _check_name(session: AsyncSession, organization_id: UUID, name: str, except_id: UUID | None) -> None:
    if name.lower() in _RESERVED or await repository.name_taken(session, organization_id, name, except_id):
        raise Conflict(f"There is a role called {name} already. Choose another name.")


def _check(given: Mapping[str, Any]) -> dict[str, Any]:
    """Column values of the fields that are given."""
    values = dict(given)
    errors: list[FieldError] = []
    if "name" in values:
        errors += text_errors("/name", values["name"], most=MAX_NAME)
        values["name"] = values["name"].strip()
    if values.get("description") is not None:
        errors += text_errors("/description", values["description"], most=MAX_DESCRIPTION, least=0)
        values["description"] = values["description"].strip() or None
    if "scopes" in values:
        values["scopes"] = [str(scope) for scope in ALL_SCOPES if scope in set(values["scopes"])]
        unknown = sorted(set(given["scopes"]) - set(ALL_SCOPES))
        if unknown or not values["scopes"]:
            detail = f"There is no scope {', '.join(unknown)}." if unknown else "A role needs at least one scope."
            errors.append(FieldError("/scopes", "unknown_scope" if unknown else "required", detail))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
    return values


def _resource(role: Role) -> Resource:
    return Resource(Prefix.ROLE, role.id)
