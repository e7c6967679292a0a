"""Add, verify and delete sending domains."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains import manage
from penguinmails_core.domains.dns_records import look
from penguinmails_core.domains.manage import DomainRecords
from penguinmails_core.domains.service import new_keys
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.domains.types import Domain
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, argument_id, uuid_of


@strawberry.input(description="A domain to send from.")
class CreateDomainInput:
    name: str = strawberry.field(description="The part after the @ of senders, in any script.")
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="Left out: the credential's own, or the default one."
    )


@strawberry.type
class DomainPayload:
    domain: Domain


@strawberry.type
class DomainsMutation:
    @strawberry.mutation(description="Makes two DKIM keys and tells the records to publish. Then `verifyDomain`.")
    async def create_domain(
        self, info: Info, input: CreateDomainInput, idempotency_key: IdempotencyKey = None
    ) -> DomainPayload | None:
        caller, spf = caller_of(info, Scope.DOMAINS_WRITE), info.context.services.spf
        box = info.context.box()
        manage.require_live(caller)
        workspace_id = argument_id(Prefix.WORKSPACE, input.workspace_id, "/workspace_id")
        keys = await new_keys(box, manage.read_name(input.name))

        async def work(session: AsyncSession) -> DomainRecords:
            return await manage.create(session, caller, keys, workspace_id=workspace_id, spf=spf)

        async def load(session: AsyncSession, name: str) -> DomainRecords:
            return await manage.get(session, caller, ids.decode(Prefix.DOMAIN, name), spf=spf)

        asked = {"name": input.name, "workspace_id": input.workspace_id}
        made = await once(info.context, "createDomain", idempotency_key, asked, work, EVENTS, name=_name_of, load=load)
        return DomainPayload(domain=Domain.of(made))

    @strawberry.mutation(
        description="Looks at DNS now: `VERIFIED` when it holds the key that was made for the domain, `FAILED` when it "
        "does not, unchanged when it gives no answer."
    )
    async def verify_domain(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> DomainPayload | None:
        caller, services = caller_of(info, Scope.DOMAINS_WRITE), info.context.services
        await info.context.admit("domains_verify")
        domain_id, spf = uuid_of(Prefix.DOMAIN, id, "domain"), services.spf
        manage.require_live(caller)

        async def current(session: AsyncSession) -> DomainRecords:
            return await manage.get(session, caller, domain_id, spf=spf)

        domain = await info.context.read(current)
        await info.context.end_reads()  # no transaction is open while DNS is asked
        observed = await look(services.resolver, domain.records)
        if manage.proved(domain, observed):
            await manage.take_over(services.database, domain, observed)

        async def work(session: AsyncSession) -> DomainRecords:
            return await manage.record_look(session, caller, domain_id, observed, spf=spf)

        async def load(session: AsyncSession, _: str) -> DomainRecords:
            return await current(session)

        asked = {"id": str(id)}
        seen = await once(info.context, "verifyDomain", idempotency_key, asked, work, EVENTS, name=_name_of, load=load)
        return DomainPayload(domain=Domain.of(seen))

    @strawberry.mutation(description="With its keys. Nothing more is accepted from it; messages of the past stay.")
    async def delete_domain(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller = await fresh_caller_of(info, Scope.DOMAINS_WRITE)
        domain_id = uuid_of(Prefix.DOMAIN, id, "domain")

        async def work(session: AsyncSession) -> None:
            await manage.delete(session, caller, domain_id)

        await info.context.write(work, EVENTS)
        return DeletedPayload(id=id)


def _name_of(domain: DomainRecords) -> str:
    return ids.encode(Prefix.DOMAIN, domain.row.id)
