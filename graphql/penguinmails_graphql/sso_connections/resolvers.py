"""`ssoConnections`, `ssoConnection` and `scimTokens`."""

from __future__ import annotations

from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.sso.service import Connection as Found
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.sso_connections.types import ScimToken, SsoConnection

READ = Scope.ORGANIZATIONS_READ


def connection_id_of(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.SSO_CONNECTION, node_id, "single sign-on connection")


@strawberry.type
class SsoConnectionsQuery:
    @strawberry.field(description="Identity providers that people sign in with, the newest first, disabled ones too.")
    async def sso_connections(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[SsoConnection]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        services = info.context.services

        async def work(session: AsyncSession) -> tuple[list[Found], bool]:
            return await services.sso_connections.list_connections(
                session, caller, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(
            page, rows, has_more, lambda found: SsoConnection.of(found, services.public), lambda found: found.row.id
        )

    @strawberry.field(description="One connection, its domains, and what to enter at the identity provider.")
    async def sso_connection(self, info: Info, id: strawberry.ID) -> SsoConnection:
        return await fetch_sso_connection(info, id)

    @strawberry.field(description="All SCIM tokens of a connection, revoked ones too; there are few.")
    async def scim_tokens(self, info: Info, connection_id: strawberry.ID) -> list[ScimToken]:
        caller, target = caller_of(info, READ), connection_id_of(connection_id)

        async def work(session: AsyncSession) -> list[models.ScimToken]:
            return await info.context.services.sso_connections.list_tokens(session, caller, target)

        return [ScimToken.of(row) for row in await info.context.read(work)]


async def fetch_sso_connection(info: Info, node_id: strawberry.ID) -> SsoConnection:
    caller, target = caller_of(info, READ), connection_id_of(node_id)
    services = info.context.services

    async def work(session: AsyncSession) -> Found:
        return await services.sso_connections.get(session, caller, target)

    return SsoConnection.of(await info.context.read(work), services.public)
