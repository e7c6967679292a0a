"""`domains` and `domain`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains import manage
from penguinmails_core.domains.telling import DomainRecords
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.domains.types import Domain, DomainStatus
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of, workspace_of


@strawberry.input(description="All that are given must match.")
class DomainFilterInput:
    status: list[DomainStatus] | None = None
    name: str | None = strawberry.field(default=None, description="Of this name, in any script.")
    workspace_id: strawberry.ID | None = None

    def ascii_name(self) -> str | None:
        if self.name is None:
            return None
        try:
            return to_ascii(self.name)
        except AddressError as error:
            raise Unprocessable(error.detail, errors=[FieldError("/filter/name", error.code, error.detail)]) from None


@strawberry.type
class DomainsQuery:
    @strawberry.field(description="Sending domains, the newest first, each with its records as they were seen last.")
    async def domains(
        self,
        info: Info,
        filter: DomainFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Domain]:
        caller, page = caller_of(info, Scope.DOMAINS_READ), page_of(first, after, last, before)
        wanted = filter or DomainFilterInput()
        caller = caller.inside(workspace_of(wanted))
        statuses, name, policy = (
            [str(item) for item in wanted.status or ()],
            wanted.ascii_name(),
            info.context.services.dns_policy,
        )

        async def work(session: AsyncSession) -> tuple[list[DomainRecords], bool]:
            return await manage.list_domains(
                session,
                caller,
                statuses=statuses,
                name=name,
                policy=policy,
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Domain.of, lambda domain: domain.row.id)

    @strawberry.field(description="One domain: the records to publish, and what the last look at DNS found of each.")
    async def domain(self, info: Info, id: strawberry.ID) -> Domain:
        return await fetch_domain(info, id)


async def fetch_domain(info: Info, node_id: strawberry.ID) -> Domain:
    caller, domain_id = caller_of(info, Scope.DOMAINS_READ), uuid_of(Prefix.DOMAIN, node_id, "domain")

    async def work(session: AsyncSession) -> DomainRecords:
        return await manage.get(session, caller, domain_id, policy=info.context.services.dns_policy)

    return Domain.of(await info.context.read(work))
