"""`roles` and `role`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.custom_roles import service
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import uuid_of
from penguinmails_graphql.roles.types import Role


@strawberry.type
class RolesQuery:
    @strawberry.field(description="Built-in roles from most to least, then custom ones by name: at most 50.")
    async def roles(self, info: Info) -> list[Role]:
        caller = caller_of(info, Scope.MEMBERS_READ)

        async def work(session: AsyncSession) -> list[models.Role]:
            return await service.list_roles(session, caller)

        custom = await info.context.read(work)
        return [*(Role.built_in(role) for role in OrganizationRole), *(Role.of(row) for row in custom)]

    @strawberry.field(description="One custom role; the built-in ones are in the list.")
    async def role(self, info: Info, id: strawberry.ID) -> Role:
        caller, role_id = caller_of(info, Scope.MEMBERS_READ), uuid_of(Prefix.ROLE, id, "custom role")

        async def work(session: AsyncSession) -> models.Role:
            return await service.get(session, caller, role_id)

        return Role.of(await info.context.read(work))
