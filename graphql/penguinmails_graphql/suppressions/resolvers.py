"""`suppressions`, `suppression` and `checkAddresses`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import Suppression as SuppressionRow
from penguinmails_core.scopes import Scope
from penguinmails_core.suppressions import service
from penguinmails_core.suppressions.repository import SuppressionFilter
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import MAX_PAGE, Connection, connect, page_of, uuid_of, workspace_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.suppressions.types import Suppression, SuppressionReason, SuppressionStatus


@strawberry.input(description="All that are given must match.")
class SuppressionFilterInput:
    reason: list[SuppressionReason] | None = None
    status: list[SuppressionStatus] | None = strawberry.field(default=None, description="Left out: `ACTIVE`.")
    address: str | None = None
    text: str | None = strawberry.field(default=None, description="Any part of the address, 2 characters or more.")
    created_after: DateTime | None = None
    created_before: DateTime | None = None
    workspace_id: strawberry.ID | None = None

    def to_filter(self) -> SuppressionFilter:
        if self.text is not None and not 2 <= len(self.text) <= 254:
            detail = "`text` must have 2 to 254 characters."
            raise Unprocessable(detail, errors=[FieldError("/filter/text", "invalid_length", detail)])
        return SuppressionFilter(
            reasons=[str(reason) for reason in self.reason or ()],
            statuses=[str(status) for status in self.status or (SuppressionStatus.ACTIVE,)],
            address=_canonical(self.address),
            text=self.text.lower() if self.text else None,
            created_after=self.created_after,
            created_before=self.created_before,
        )


def _canonical(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return parse_address(value).canonical
    except AddressError as error:
        raise Unprocessable(error.detail, errors=[FieldError("/filter/address", error.code, error.detail)]) from None


@strawberry.type(description="Whether mail to one address would be stopped now.")
class AddressCheck:
    address: str
    suppressed: bool
    reason: SuppressionReason | None
    suppression: Suppression | None = strawberry.field(description="Null too when the caller may not look at it.")
    error: str | None = strawberry.field(description="Why this is no address that can be mailed; else null.")


@strawberry.type
class SuppressionsQuery:
    @strawberry.field(description="Suppressions, the newest first; those in force unless `status` says otherwise.")
    async def suppressions(
        self,
        info: Info,
        filter: SuppressionFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Suppression]:
        caller, page = caller_of(info, Scope.SUPPRESSIONS_READ), page_of(first, after, last, before)
        caller = caller.inside(workspace_of(filter))
        wanted = filter.to_filter() if filter else SuppressionFilter()

        async def work(session: AsyncSession) -> tuple[list[SuppressionRow], bool]:
            return await service.list_suppressions(
                session, caller, wanted, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Suppression.of, lambda row: row.id)

    @strawberry.field(description="One suppression with its evidence, lifted ones too.")
    async def suppression(self, info: Info, id: strawberry.ID) -> Suppression:
        return await fetch_suppression(info, id)

    @strawberry.field(description=f"Which of up to {MAX_PAGE} addresses would not be mailed now, and why.")
    async def check_addresses(self, info: Info, addresses: list[str]) -> list[AddressCheck]:
        caller = caller_of(info, Scope.SUPPRESSIONS_READ)
        if not 1 <= len(addresses) <= MAX_PAGE:
            detail = f"`addresses` must hold 1 to {MAX_PAGE}; it holds {len(addresses)}."
            raise Unprocessable(detail, errors=[FieldError("/addresses", "out_of_range", detail)])

        async def work(session: AsyncSession) -> list[service.Checked]:
            return await service.check(session, caller, addresses)

        return [_check(item) for item in await info.context.read(work)]


def _check(item: service.Checked) -> AddressCheck:
    row = item.row
    return AddressCheck(
        address=item.address,
        suppressed=row is not None,
        reason=SuppressionReason(row.reason) if row else None,
        suppression=Suppression.of(row) if row and item.visible else None,
        error=item.error,
    )


async def fetch_suppression(info: Info, node_id: strawberry.ID) -> Suppression:
    caller = caller_of(info, Scope.SUPPRESSIONS_READ)
    suppression_id = uuid_of(Prefix.SUPPRESSION, node_id, "suppression")

    async def work(session: AsyncSession) -> SuppressionRow:
        return await service.get(session, caller, suppression_id)

    return Suppression.of(await info.context.read(work))
