"""`/v1/logs`: the requests that were made with the organization's credentials."""

from typing import Annotated

from fastapi import APIRouter, Query

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.logs.schemas import Log, LogList, LogListQuery, RequestIdInPath
from penguinmails_core.request_logs import service
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/logs", tags=["logs"])
READ = Scope.LOGS_READ


@router.get("", summary="List requests", **operation("logs_list", scope=READ, paginated=True))
async def list_logs(context: Context, query: Annotated[LogListQuery, Query()]) -> LogList:
    """The newest first, about a second after they were answered. Requests of the credential's own mode, and of its
    workspace when it is bound to one. Kept for 7 days unless the operator says otherwise."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_logs(session, caller, query.to_filter(), **query.place())
    return LogList.of(*page, backwards=query.backwards)


@router.get("/{request_id}", summary="Get a request", **operation("logs_get", scope=READ))
async def get_log(context: Context, request_id: RequestIdInPath) -> Log:
    """The request whose answer carried this `Request-Id`."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Log.of(await service.get_log(session, context.caller, request_id))
