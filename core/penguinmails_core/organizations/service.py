"""Make organizations and say who a caller is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import repository as api_keys
from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import FieldError, Unauthenticated, Unprocessable
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.models import ApiKey, Organization, User, Workspace
from penguinmails_core.organizations import repository
from penguinmails_core.principal import Principal

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class NewOrganization:
    id: UUID
    name: str
    default_workspace_id: UUID


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a caller is. `workspace` is the one new things go to. `key` is None for people and apps, `user` for keys and
    for apps that act for themselves. `app_name` is set when an OAuth app asks."""

    organization: Organization
    workspace: Workspace
    key: ApiKey | None
    user: User | None
    app_name: str | None = None


async def create_organization(database: Database, name: str) -> NewOrganization:
    """An organization with its default workspace and no members. Raises `Unprocessable` for a name that is empty or
    too long."""
    async with database.worker.acquire() as connection, connection.transaction():
        made = await _create(connection, name)
        await _record(connection, Actor.operator(made.id), made)
        return made


async def create_organization_for(connection: Connection, user_id: UUID, name: str) -> NewOrganization:
    """An organization with its default workspace, owned by a user. `connection`: of the worker pool, in the caller's
    transaction. Raises as `create_organization`."""
    made = await _create(connection, name)
    await repository.insert_owner(connection, made.id, new_uuid(), user_id)
    await _record(connection, Actor.user(made.id, user_id), made)
    return made


async def _record(connection: Connection, actor: Actor, made: NewOrganization) -> None:
    resource = Resource(Prefix.ORGANIZATION, made.id)
    await audit.record_on(connection, actor, "organization.created", resource, after={"name": made.name})


async def _create(connection: Connection, name: str) -> NewOrganization:
    if not 0 < len(name.strip()) <= MAX_NAME or "\0" in name:
        error = FieldError("/name", "invalid_length", f"`name` must have 1 to {MAX_NAME} characters.")
        raise Unprocessable("The organization cannot be made like this.", errors=[error])
    made = NewOrganization(new_uuid(), name.strip(), new_uuid())
    await repository.insert(connection, made.id, made.name)
    await repository.insert_workspace(connection, made.id, made.default_workspace_id, "Default", "default", True)
    return made


async def list_organizations(database: Database) -> list[tuple[UUID, str]]:
    """(id, name) of every organization: for the operator of the machine, never for a caller of the API."""
    return await repository.list_all(database.worker)


async def identify(session: AsyncSession, principal: Principal) -> Identity:
    """Raises `Unauthenticated` when the credential ended a moment ago."""
    organization_id, key_id, user_id = principal.organization_id, principal.api_key_id, principal.user_id
    organization = await repository.get(session, organization_id)
    workspace = await repository.get_workspace(session, organization_id, principal.target_workspace_id)
    key = await api_keys.get(session, organization_id, key_id) if key_id is not None else None
    user = await repository.get_user(session, user_id) if user_id is not None else None
    by_app = principal.app_id is not None
    app_name = await repository.app_name_of(session, organization_id, principal.id) if by_app else None
    gone = (key_id is not None and key is None) or (user_id is not None and user is None) or (by_app and not app_name)
    if organization is None or workspace is None or gone:
        raise Unauthenticated("This credential was removed a moment ago.")
    return Identity(organization, workspace, key, user, app_name)
