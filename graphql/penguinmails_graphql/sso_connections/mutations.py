"""Make, change, prove, try and delete connections; SCIM tokens."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import NotFound
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scim import repository as scim
from penguinmails_core.scopes import Scope
from penguinmails_core.sso import domains
from penguinmails_core.sso.service import Connection, require_live
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.sso_connections.inputs import (
    CreateSsoConnectionInput,
    UpdateSsoConnectionInput,
    checked_name,
)
from penguinmails_graphql.sso_connections.resolvers import connection_id_of
from penguinmails_graphql.sso_connections.types import ScimToken, SsoConnection, TestSsoConnectionPayload

WRITE = Scope.ORGANIZATIONS_WRITE
MadeToken = tuple[models.ScimToken, str | None]


@strawberry.type
class SsoConnectionPayload:
    sso_connection: SsoConnection


@strawberry.type(description="Keep the secret: it is shown this once, and null in a replay by idempotency key.")
class ScimTokenSecretPayload:
    scim_token: ScimToken
    secret: str | None


@strawberry.type
class SsoConnectionsMutation:
    @strawberry.mutation(
        description="Enter what is answered at the identity provider, publish the TXT record of each domain, then "
        "`verifySsoDomains`."
    )
    async def create_sso_connection(
        self, info: Info, input: CreateSsoConnectionInput, idempotency_key: IdempotencyKey = None
    ) -> SsoConnectionPayload | None:
        caller, services = await fresh_caller_of(info, WRITE), info.context.services
        services.require_protocol(str(input.protocol))
        values = input.values()

        async def work(session: AsyncSession) -> Connection:
            return await services.sso_connections.create(session, caller, str(input.protocol), values)

        async def load(session: AsyncSession, name: str) -> Connection:
            return await services.sso_connections.get(session, caller, ids.decode(Prefix.SSO_CONNECTION, name))

        asked = values | {"protocol": str(input.protocol)}
        found = await once(info.context, "createSsoConnection", idempotency_key, asked, work, name=_name_of, load=load)
        return SsoConnectionPayload(sso_connection=SsoConnection.of(found, services.public))

    @strawberry.mutation(description="Sessions that were started with it go on until they end.")
    async def update_sso_connection(self, info: Info, input: UpdateSsoConnectionInput) -> SsoConnectionPayload | None:
        caller, services = await fresh_caller_of(info, WRITE), info.context.services
        target, values = connection_id_of(input.id), input.values()

        async def work(session: AsyncSession) -> Connection:
            return await services.sso_connections.update(session, caller, target, values)

        found = await info.context.write(work)
        return SsoConnectionPayload(sso_connection=SsoConnection.of(found, services.public))

    @strawberry.mutation(description="With its domains, SCIM tokens and groups. People stay members.")
    async def delete_sso_connection(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, target = await fresh_caller_of(info, WRITE), connection_id_of(id)

        async def work(session: AsyncSession) -> None:
            await info.context.services.sso_connections.delete(session, caller, target)

        await info.context.write(work)
        return DeletedPayload(id=id)

    @strawberry.mutation(
        description="Looks for the TXT record of each domain now. One whose record is gone loses its proof; when DNS "
        "gives no answer, it stays as it is."
    )
    async def verify_sso_domains(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> SsoConnectionPayload | None:
        caller, services = await fresh_caller_of(info, WRITE), info.context.services
        require_live(caller)
        target = connection_id_of(id)

        async def current(session: AsyncSession) -> Connection:
            return await services.sso_connections.get(session, caller, target)

        before = await info.context.read(current)
        await info.context.end_reads()  # no transaction is open while DNS is asked
        proven = await domains.look(services.resolver, before.domains)

        async def work(session: AsyncSession) -> Connection:
            return await services.sso_connections.record_proofs(session, caller, target, proven)

        async def load(session: AsyncSession, _: str) -> Connection:
            return await current(session)

        asked = {"id": str(id)}
        found = await once(info.context, "verifySsoDomains", idempotency_key, asked, work, name=_name_of, load=load)
        return SsoConnectionPayload(sso_connection=SsoConnection.of(found, services.public))

    @strawberry.mutation(
        description="Reads what an OIDC provider says of itself, or looks at the certificates of a SAML one. Nobody is "
        "signed in and nothing is changed."
    )
    async def test_sso_connection(self, info: Info, id: strawberry.ID) -> TestSsoConnectionPayload | None:
        caller, services, target = caller_of(info, WRITE), info.context.services, connection_id_of(id)

        async def current(session: AsyncSession) -> tuple[Connection, int]:
            found = await services.sso_connections.get(session, caller, target)
            return found, await scim.not_members(session, caller.organization_id, target)

        found, outside = await info.context.read(current)
        await info.context.end_reads()  # no transaction is open during the outgoing call
        return TestSsoConnectionPayload.of(await services.examine_connection(found.row, outside))

    @strawberry.mutation(description="For the identity provider's SCIM client, which makes and changes members.")
    async def create_scim_token(
        self,
        info: Info,
        connection_id: strawberry.ID,
        name: str,
        expires_at: DateTime | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> ScimTokenSecretPayload | None:
        caller, services = await fresh_caller_of(info, WRITE), info.context.services
        target, label = connection_id_of(connection_id), checked_name(name)

        async def work(session: AsyncSession) -> MadeToken:
            return await services.sso_connections.create_token(session, caller, target, label, expires_at)

        async def load(session: AsyncSession, token_id: str) -> MadeToken:
            rows = await services.sso_connections.list_tokens(session, caller, target)
            found = [row for row in rows if ids.encode(Prefix.SCIM_TOKEN, row.id) == token_id]
            if not found:
                raise NotFound("There is no such token of this connection any more.")
            return found[0], None

        def name_of(made: MadeToken) -> str:
            return ids.encode(Prefix.SCIM_TOKEN, made[0].id)

        asked = {"connection_id": str(connection_id), "name": name, "expires_at": expires_at}
        row, secret = await once(info.context, "createScimToken", idempotency_key, asked, work, name=name_of, load=load)
        return ScimTokenSecretPayload(scim_token=ScimToken.of(row), secret=secret)

    @strawberry.mutation(description="From now on it is refused. What was provisioned with it stays.")
    async def revoke_scim_token(
        self, info: Info, connection_id: strawberry.ID, id: strawberry.ID
    ) -> DeletedPayload | None:
        caller, target = await fresh_caller_of(info, WRITE), connection_id_of(connection_id)
        token_id = uuid_of(Prefix.SCIM_TOKEN, id, "SCIM token")

        async def work(session: AsyncSession) -> None:
            await info.context.services.sso_connections.revoke_token(session, caller, target, token_id)

        await info.context.write(work)
        return DeletedPayload(id=id)


def _name_of(connection: Connection) -> str:
    return ids.encode(Prefix.SSO_CONNECTION, connection.row.id)
