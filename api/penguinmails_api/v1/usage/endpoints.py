"""`/v1/usage`: what was used, what is left, and when it runs out."""

from typing import Annotated

from fastapi import APIRouter, Query

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.usage.schemas import Usage, UsageQuery
from penguinmails_core.scopes import Scope
from penguinmails_core.usage import service

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("", summary="Get usage", **operation("usage_get", scope=Scope.USAGE_READ, cost=5, etag=False))
async def get_usage(context: Context, query: Annotated[UsageQuery, Query()]) -> Usage:
    """Requests and sends of the period by day, operation and caller, and every quota with a forecast.

    Days are UTC. Sends are counted from the accepted messages; requests are counted in memory and written every few
    seconds, so the last of them may be missing for a moment. `mode` is that of the credential; quotas are the same for
    all. A credential that is bound to a workspace sees its own requests only.
    """
    caller, days = context.caller, query.days()
    async with context.services.database.tenant(caller.organization_id) as session:
        found = await service.usage(
            session,
            caller,
            days,
            default_plan=context.services.limits.default_plan,
            actor_id=query.actor(),
            operation=query.operation,
        )
    return Usage.of(caller, days, found)
