"""`/v1/webhook_deliveries`: what was sent, to all endpoints, and every attempt of it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from penguinmails_api.context import RequestContext
from penguinmails_api.routing import Context, operation
from penguinmails_api.v1 import csv_cells
from penguinmails_api.v1.events.schemas import Event, render_event
from penguinmails_api.v1.webhook_deliveries.schemas import (
    DeliveryIdInPath,
    WebhookAttempt,
    WebhookAttempts,
    WebhookDeliveryExpanded,
    WebhookDeliveryFilter,
    WebhookDeliverySearch,
    WebhookDeliverySearchList,
    WebhookDeliverySummary,
)
from penguinmails_api.v1.webhook_endpoints.schemas import WebhookEndpoint
from penguinmails_core.errors import NotFound
from penguinmails_core.events import service as events
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_deliveries import service
from penguinmails_core.webhook_deliveries.service import Export
from penguinmails_core.webhook_endpoints import repository as endpoint_rows

router = APIRouter(prefix="/v1/webhook_deliveries", tags=["webhook_deliveries"])
READ = Scope.WEBHOOK_ENDPOINTS_READ
_TOTAL = {"Export-Total": {"description": "How many rows follow.", "schema": {"type": "integer"}, "required": True}}


class Csv(StreamingResponse):
    media_type = "text/csv"


@router.get("", summary="Search deliveries", **operation("webhook_deliveries_list", scope=READ, paginated=True))
async def search_deliveries(
    context: Context, query: Annotated[WebhookDeliverySearch, Query()]
) -> WebhookDeliverySearchList:
    """Over all endpoints, the newest first. All filters that are given must hold."""
    caller, wanted = context.caller, query.to_filter()
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.search(session, caller, wanted, **query.place())
    return WebhookDeliverySearchList.of(*page, backwards=query.backwards)


@router.get(
    "/export/csv",
    summary="Export deliveries as CSV",
    response_class=Csv,
    responses={200: {"description": "One delivery a row below a row of names, the newest first.", "headers": _TOTAL}},
    **operation("webhook_deliveries_export_csv", scope=READ),
)
async def export_deliveries(context: Context, query: Annotated[WebhookDeliveryFilter, Query()]) -> StreamingResponse:
    """Up to 100,000 deliveries, streamed, for spreadsheets (RFC 4180). A cell that a spreadsheet would take for a
    formula begins with an apostrophe. `Export-Total` says how many rows follow: fewer means that the connection
    broke."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        started = await service.begin_export(session, context.caller, query.to_filter())
    headers = {
        "Export-Total": str(started.total),
        "Content-Disposition": 'attachment; filename="webhook-deliveries.csv"',
    }
    return Csv(_rows(context, started), headers=headers)


async def _rows(context: RequestContext, started: Export) -> AsyncIterator[bytes]:
    names = list(WebhookDeliverySummary.model_fields)
    yield (",".join(names) + "\r\n").encode()
    caller = context.caller
    async for rows in service.export(lambda: context.services.database.tenant(caller.organization_id), caller, started):
        found = [WebhookDeliverySummary.of(row).model_dump(mode="json") for row in rows]
        yield csv_cells.lines([entry[name] for name in names] for entry in found)


@router.get(
    "/{delivery_id}",
    summary="Get a delivery by its id",
    **operation("webhook_deliveries_get", scope=READ, expand=("event", "endpoint")),
)
async def get_delivery(context: Context, delivery_id: DeliveryIdInPath) -> WebhookDeliveryExpanded:
    """One delivery with every attempt, whichever endpoint it went to. `expand=event` shows what is or was sent (it
    needs the scope `events:read`), `expand=endpoint` where to."""
    caller, wanted = context.caller, context.options.expand
    if "event" in wanted:
        caller.require(Scope.EVENTS_READ)
    async with context.services.database.tenant(caller.organization_id) as session:
        found = await service.get(session, caller, delivery_id)
        answer = WebhookDeliveryExpanded.of(found)
        if "event" in wanted:
            with suppress(NotFound):  # not kept any more
                row = await events.get_event(session, caller, found.row.event_id)
                answer.event = Event.model_validate_json(render_event(row))
        if "endpoint" in wanted:
            endpoint = await endpoint_rows.get(session, caller, found.row.endpoint_id)
            answer.endpoint = WebhookEndpoint.of(endpoint) if endpoint is not None else None
    return answer


@router.get(
    "/{delivery_id}/attempts",
    summary="List the attempts of a delivery",
    **operation("webhook_deliveries_attempts", scope=READ),
)
async def list_attempts(context: Context, delivery_id: DeliveryIdInPath) -> WebhookAttempts:
    """When, how long each part took, what was sent and what was answered. There are few, so they come all at once."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        rows = await service.attempts(session, context.caller, delivery_id)
    return WebhookAttempts(data=[WebhookAttempt.of(row) for row in rows])
