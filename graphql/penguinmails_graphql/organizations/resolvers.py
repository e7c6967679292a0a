"""`organization` and `organizations`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.service import memberships_of
from penguinmails_core.organizations import settings
from penguinmails_core.principal import PrincipalKind
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.organizations.types import Organization, OrganizationMembership
from penguinmails_graphql.relay import uuid_of


@strawberry.type
class OrganizationsQuery:
    @strawberry.field(description="The organization of the credential, with its settings.")
    async def organization(self, info: Info) -> Organization:
        return Organization.of(await _own(info))

    @strawberry.field(
        description="Of a person who is signed in: all that they belong to. Keys and apps see the one that they are of."
    )
    async def organizations(self, info: Info) -> list[OrganizationMembership]:
        caller = caller_of(info, Scope.ORGANIZATIONS_READ)
        if caller.kind is PrincipalKind.SESSION:
            found = await memberships_of(info.context.services.database.worker, caller.id)
            return [OrganizationMembership.of_person(item, caller.organization_id) for item in found]
        return [OrganizationMembership.of_key(await _own(info))]


async def _own(info: Info) -> models.Organization:
    caller = caller_of(info, Scope.ORGANIZATIONS_READ)

    async def work(session: AsyncSession) -> models.Organization:
        return await settings.get(session, caller)

    return await info.context.read(work)


async def fetch_organization(info: Info, node_id: strawberry.ID) -> Organization:
    row = await _own(info)
    if uuid_of(Prefix.ORGANIZATION, node_id, "organization") != row.id:
        raise NotFound("There is no such organization.")
    return Organization.of(row)
