"""Make, change and delete custom roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.custom_roles import service
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import KEYS, TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, bounded, given, uuid_of
from penguinmails_graphql.roles.types import Role

WRITE = Scope.MEMBERS_WRITE
MAX_SCOPES = 100


@strawberry.input
class CreateRoleInput:
    name: str
    scopes: list[str] = strawberry.field(description="Nobody gives a role more than they have.")
    description: str | None = None


@strawberry.input(description="Only what is given is changed; a null `description` is emptied.")
class UpdateRoleInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    scopes: list[str] | None = strawberry.UNSET
    description: str | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        found = given(self, "name", "scopes", "description")
        bounded(found.get("scopes"), MAX_SCOPES, "/scopes")
        return {name: value for name, value in found.items() if value is not None or name == "description"}


@strawberry.type
class RolePayload:
    role: Role


def _role_id(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.ROLE, node_id, "custom role")


@strawberry.type
class RolesMutation:
    @strawberry.mutation(description="A named set of scopes that members can be given instead of a built-in role.")
    async def create_role(
        self, info: Info, input: CreateRoleInput, idempotency_key: IdempotencyKey = None
    ) -> RolePayload | None:
        caller = caller_of(info, WRITE)
        bounded(input.scopes, MAX_SCOPES, "/scopes")
        asked: dict[str, Any] = {"name": input.name, "scopes": input.scopes, "description": input.description}

        async def work(session: AsyncSession) -> models.Role:
            return await service.create(session, caller, **asked)

        async def load(session: AsyncSession, name: str) -> models.Role:
            return await service.get(session, caller, ids.decode(Prefix.ROLE, name))

        row = await once(
            info.context,
            "createRole",
            idempotency_key,
            asked,
            work,
            name=lambda row: ids.encode(Prefix.ROLE, row.id),
            load=load,
        )
        return RolePayload(role=Role.of(row))

    @strawberry.mutation(description="Members who have it feel it at once, and so do the keys that they made.")
    async def update_role(self, info: Info, input: UpdateRoleInput) -> RolePayload | None:
        caller = await fresh_caller_of(info, WRITE)
        role_id, values = _role_id(input.id), input.values()

        async def work(session: AsyncSession) -> models.Role:
            return await service.update(session, caller, role_id, values)

        return RolePayload(role=Role.of(await info.context.write(work, KEYS, TOKENS)))

    @strawberry.mutation(description="Refused while members have it or are invited to it.")
    async def delete_role(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, role_id = await fresh_caller_of(info, WRITE), _role_id(id)

        async def work(session: AsyncSession) -> None:
            await service.delete(session, caller, role_id)

        await info.context.write(work)
        return DeletedPayload(id=id)
