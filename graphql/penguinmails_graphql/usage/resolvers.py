"""`usage`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import service as api_keys
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.usage import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import argument_id, uuid_of
from penguinmails_graphql.usage.types import ApiKeyUsage, Usage


@strawberry.type
class UsageQuery:
    @strawberry.field(
        description="Requests and sends by day, operation and caller, and every quota with a forecast. Costs 5."
    )
    async def usage(
        self,
        info: Info,
        start_date: Annotated[
            date | None, strawberry.argument(description="First day (UTC); left out: the first of the month.")
        ] = None,
        end_date: Annotated[date | None, strawberry.argument(description="Last day; left out: today.")] = None,
        api_key_id: strawberry.ID | None = None,
        operation: Annotated[str | None, strawberry.argument(description="Such as `emails_list`.")] = None,
    ) -> Usage:
        caller, days = caller_of(info, Scope.USAGE_READ), _days(start_date, end_date)
        actor_id = argument_id(Prefix.API_KEY, api_key_id, "apiKeyId")
        plan = info.context.services.default_plan

        async def work(session: AsyncSession) -> service.Usage:
            return await service.usage(session, caller, days, default_plan=plan, actor_id=actor_id, operation=operation)

        return Usage.of(caller, days, await info.context.read(work))

    @strawberry.field(description="Requests and sends of one key, of an ended one too, by day and operation. Costs 5.")
    async def api_key_usage(
        self, info: Info, id: strawberry.ID, start_date: date | None = None, end_date: date | None = None
    ) -> ApiKeyUsage:
        caller, days = caller_of(info, Scope.API_KEYS_READ), _days(start_date, end_date)
        key_id = uuid_of(Prefix.API_KEY, id, "API key")

        async def work(session: AsyncSession) -> ApiKeyUsage:
            key = await api_keys.get(session, caller, key_id)
            return ApiKeyUsage.of(key, days, await service.usage_of_key(session, key, days))

        return await info.context.read(work)


def _days(start: date | None, end: date | None) -> service.Days:
    """Raises `Unprocessable`."""
    today = utcnow().date()
    last = end or today
    first = start or last.replace(day=1)
    if first > last:
        raise _fault("startDate", "too_large", f"`startDate` must not be after `endDate` ({last}).")
    if last > today:
        raise _fault("endDate", "too_large", f"`endDate` must not be after today ({today}, UTC).")
    if (last - first).days >= service.MAX_DAYS:
        raise _fault("startDate", "too_small", f"The period may have at most {service.MAX_DAYS} days.")
    return service.Days(first, last)


def _fault(pointer: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(pointer, code, detail)])
