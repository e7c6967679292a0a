"""Add, verify and delete sending domains."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains import findings, manage, rotation
from penguinmails_core.domains.looking import look
from penguinmails_core.domains.service import new_keys
from penguinmails_core.domains.telling import DomainRecords
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.domains.types import DmarcPolicy, Domain, MtaStsMode
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, argument_id, given, uuid_of


@strawberry.input(description="A domain to send from.")
class CreateDomainInput:
    name: str = strawberry.field(description="The part after the @ of senders, in any script.")
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="Left out: the credential's own, or the default one."
    )


@strawberry.input(description="Only what is given is changed; a null logo or certificate is none.")
class UpdateDomainInput:
    id: strawberry.ID
    dmarc_policy: DmarcPolicy | None = strawberry.field(
        default=strawberry.UNSET, description="The least that the DMARC record should ask of receivers."
    )
    return_path: bool | None = strawberry.UNSET
    tracking: bool | None = strawberry.UNSET
    mta_sts: MtaStsMode | None = strawberry.UNSET
    tls_reports: bool | None = strawberry.UNSET
    bimi_logo: str | None = strawberry.UNSET
    bimi_certificate: str | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        found = given(self, *_OPTIONS)
        plain = {name: str(value) if isinstance(value, StrEnum) else value for name, value in found.items()}
        return {name: value for name, value in plain.items() if value is not None or name.startswith("bimi_")}


_OPTIONS = ("dmarc_policy", "return_path", "tracking", "mta_sts", "tls_reports", "bimi_logo", "bimi_certificate")


@strawberry.type
class DomainPayload:
    domain: Domain


@strawberry.type
class DomainsMutation:
    @strawberry.mutation(description="Makes two DKIM keys and tells the records to publish. Then `verifyDomain`.")
    async def create_domain(
        self, info: Info, input: CreateDomainInput, idempotency_key: IdempotencyKey = None
    ) -> DomainPayload | None:
        caller, policy = caller_of(info, Scope.DOMAINS_WRITE), info.context.services.dns_policy
        box = info.context.box()
        manage.require_live(caller)
        workspace_id = argument_id(Prefix.WORKSPACE, input.workspace_id, "/workspace_id")
        keys = await new_keys(box, manage.read_name(input.name))

        async def work(session: AsyncSession) -> DomainRecords:
            return await manage.create(session, caller, keys, workspace_id=workspace_id, policy=policy)

        async def load(session: AsyncSession, name: str) -> DomainRecords:
            return await manage.get(session, caller, ids.decode(Prefix.DOMAIN, name), policy=policy)

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
        domain_id, policy = uuid_of(Prefix.DOMAIN, id, "domain"), services.dns_policy
        manage.require_live(caller)

        async def current(session: AsyncSession) -> DomainRecords:
            return await manage.get(session, caller, domain_id, policy=policy)

        domain = await info.context.read(current)
        await info.context.end_reads()  # no transaction is open while DNS is asked
        observed = await look(services.dns_resolvers, domain.records)
        if manage.proved(domain, observed):
            await manage.take_over(services.database, domain, observed)

        async def work(session: AsyncSession) -> DomainRecords:
            return await findings.record_look(session, caller, domain_id, observed, policy=policy)

        async def load(session: AsyncSession, _: str) -> DomainRecords:
            return await current(session)

        asked = {"id": str(id)}
        seen = await once(info.context, "verifyDomain", idempotency_key, asked, work, EVENTS, name=_name_of, load=load)
        return DomainPayload(domain=Domain.of(seen))

    @strawberry.mutation(description="Which optional records it should have, and how strict DMARC should be.")
    async def update_domain(self, info: Info, input: UpdateDomainInput) -> DomainPayload | None:
        caller, policy = caller_of(info, Scope.DOMAINS_WRITE), info.context.services.dns_policy
        domain_id, values = uuid_of(Prefix.DOMAIN, input.id, "domain"), input.values()

        async def work(session: AsyncSession) -> DomainRecords:
            return await manage.update(session, caller, domain_id, values, policy)

        return DomainPayload(domain=Domain.of(await info.context.write(work)))

    @strawberry.mutation(
        description="Makes a new pair of DKIM keys; mail is signed with them once both are seen in DNS for long enough."
    )
    async def rotate_domain_keys(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> DomainPayload | None:
        caller, policy = caller_of(info, Scope.DOMAINS_WRITE), info.context.services.dns_policy
        box, domain_id = info.context.box(), uuid_of(Prefix.DOMAIN, id, "domain")
        manage.require_live(caller)

        async def current(session: AsyncSession, _: str = "") -> DomainRecords:
            return await manage.get(session, caller, domain_id, policy=policy)

        name = (await info.context.read(current)).row.name
        await info.context.end_reads()
        keys = await new_keys(box, name)

        async def work(session: AsyncSession) -> DomainRecords:
            return await rotation.rotate(session, caller, domain_id, keys, policy)

        asked, field = {"id": str(id)}, "rotateDomainKeys"
        made = await once(info.context, field, idempotency_key, asked, work, name=_name_of, load=current)
        return DomainPayload(domain=Domain.of(made))

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
