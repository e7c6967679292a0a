"""`/v1/webhook_endpoints`: where events are pushed to, and what became of each push."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.common import read_id
from penguinmails_api.v1.events.schemas import Event, render_event
from penguinmails_api.v1.webhook_deliveries.schemas import (
    DeliveryIdInPath,
    WebhookDeliveryDetail,
    WebhookDeliveryExpanded,
    WebhookDeliveryList,
    WebhookDeliveryListQuery,
    WebhookResendRequest,
    WebhookResent,
)
from penguinmails_api.v1.webhook_endpoints.doctor import WebhookTestReport, WebhookTestRequest, WebhookTestResult
from penguinmails_api.v1.webhook_endpoints.request import WebhookFilterResult, WebhookFilterTest
from penguinmails_api.v1.webhook_endpoints.schemas import (
    EndpointIdInPath,
    WebhookEndpoint,
    WebhookEndpointCreate,
    WebhookEndpointList,
    WebhookEndpointListQuery,
    WebhookEndpointUpdate,
    WebhookEndpointWithSecret,
)
from penguinmails_api.v1.webhook_endpoints.secrets import SecretIdInPath, WebhookSecretRotate, WebhookSecrets
from penguinmails_core.errors import NotFound, Unavailable
from penguinmails_core.events import service as events
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import WEBHOOKS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.service import WebhookEndpoints
from penguinmails_webhooks.doctor_run import Doctor
from penguinmails_webhooks.doctor_service import Ask, prepare, run
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.events import document
from penguinmails_webhooks.filter_trial import only_one, sample, try_filter

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhook_endpoints"])
RotateBody = Annotated[WebhookSecretRotate, Body(default_factory=WebhookSecretRotate)]  # it may be left out
READ, WRITE = Scope.WEBHOOK_ENDPOINTS_READ, Scope.WEBHOOK_ENDPOINTS_WRITE


def service_of(context: RequestContext) -> WebhookEndpoints:
    services = context.services
    if services.box is None:
        raise Unavailable("This server cannot seal secrets: its operator must set PENGUINMAILS_SECRET_KEYS.")
    return webhook_endpoints(services.box, services.settings.webhooks)


@router.post(
    "",
    summary="Create a webhook endpoint",
    status_code=201,
    response_model=WebhookEndpointWithSecret,
    **operation("webhook_endpoints_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_endpoint(request: Request, body: WebhookEndpointCreate) -> Response:
    """From now on, events are POSTed to `url`, signed with `secret` (Standard Webhooks), until it answers 2xx: 8
    attempts over 28 hours. The secret is shown this once. An organization has at most 50 endpoints of its own, and 20
    for each `consumer`."""
    context = get_context(request)
    service = service_of(context)

    async def work(session: AsyncSession) -> WebhookEndpointWithSecret:
        made = await service.create(session, context.caller, **body.asked())
        return WebhookEndpointWithSecret.of(*made)

    return await answer_once(request, work, status=201, redact=("secret",))


@router.get("", summary="List webhook endpoints", **operation("webhook_endpoints_list", scope=READ, paginated=True))
async def list_endpoints(context: Context, query: Annotated[WebhookEndpointListQuery, Query()]) -> WebhookEndpointList:
    """The newest first, disabled ones too."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        inside = caller.inside(query.workspace_id)
        page = await service_of(context).list_endpoints(session, inside, consumer=query.consumer, **query.place())
    return WebhookEndpointList.of(*page, backwards=query.before is not None)


@router.post(
    "/test_filter",
    summary="Try a payload filter",
    response_model=WebhookFilterResult,
    **operation("webhook_endpoints_test_filter", scope=READ, errors=(413, 415), idempotent=True),
)
async def test_filter(request: Request, body: WebhookFilterTest) -> Response:
    """Whether an event would pass a filter, with every comparison and what decided. It changes nothing."""
    context = get_context(request)
    only_one(event_id=body.event_id, event_type=body.event_type, event=body.event)

    async def work(session: AsyncSession) -> WebhookFilterResult:
        if body.event_id is not None:
            context.caller.require(Scope.EVENTS_READ)
            event_id = read_id(Prefix.EVENT, "event", body.event_id)
            shown = document(await events.get_event(session, context.caller, event_id))
        else:
            shown = sample(body.event_type) if body.event_type is not None else body.event or {}
        return WebhookFilterResult.of(try_filter(body.filter, shown))

    return await answer_once(request, work)


@router.get("/{endpoint_id}", summary="Get a webhook endpoint", **operation("webhook_endpoints_get", scope=READ))
async def get_endpoint(context: Context, endpoint_id: EndpointIdInPath) -> WebhookEndpoint:
    """One endpoint, with the reason when it was disabled."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return WebhookEndpoint.of(await service_of(context).get(session, context.caller, endpoint_id))


async def _current(session: AsyncSession, context: RequestContext, endpoint_id: UUID) -> WebhookEndpoint:
    """As GET shows it, and nobody else changes it meanwhile."""
    return WebhookEndpoint.of(await service_of(context).get(session, context.caller, endpoint_id, lock=True))


@router.patch(
    "/{endpoint_id}",
    summary="Change a webhook endpoint",
    **operation("webhook_endpoints_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_endpoint(
    context: Context, endpoint_id: EndpointIdInPath, body: WebhookEndpointUpdate
) -> WebhookEndpoint:
    """Only what is given is changed. Disabling cancels the deliveries that wait; each can be resent later."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, endpoint_id))
        row = await service_of(context).update(session, context.caller, endpoint_id, body.changes())
        return WebhookEndpoint.of(row)


@router.delete(
    "/{endpoint_id}",
    summary="Delete a webhook endpoint",
    status_code=204,
    **operation("webhook_endpoints_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_endpoint(context: Context, endpoint_id: EndpointIdInPath) -> None:
    """Nothing more is sent to it, what waits is cancelled. A request that is under way may still arrive."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, endpoint_id))
        await service_of(context).delete(session, context.caller, endpoint_id)


@router.post(
    "/{endpoint_id}/rotate_secret",
    summary="Rotate a webhook endpoint's secret",
    response_model=WebhookEndpointWithSecret,
    **operation("webhook_endpoints_rotate_secret", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def rotate_secret(request: Request, endpoint_id: EndpointIdInPath, body: RotateBody) -> Response:
    """A new secret, shown this once, or one of your own. For `overlap_seconds` (24 hours) every request carries a
    signature of the one before, too, so that receivers can change over without losing one. Up to ten old secrets may
    sign beside the current one."""
    context = get_context(request)
    service = service_of(context)

    async def work(session: AsyncSession) -> WebhookEndpointWithSecret:
        rotated = await service.rotate_secret(
            session,
            context.caller,
            endpoint_id,
            signature=body.signature,
            secret=body.secret,
            overlap=timedelta(seconds=body.overlap_seconds),
        )
        return WebhookEndpointWithSecret.of(*rotated)

    return await answer_once(request, work, redact=("secret",))


@router.get(
    "/{endpoint_id}/secrets",
    summary="List a webhook endpoint's secrets",
    **operation("webhook_endpoints_secrets", scope=READ),
)
async def list_secrets(context: Context, endpoint_id: EndpointIdInPath) -> WebhookSecrets:
    """Which secrets sign at the moment, and until when; never what they are."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return WebhookSecrets.of(await service_of(context).list_secrets(session, context.caller, endpoint_id))


@router.delete(
    "/{endpoint_id}/secrets/{secret_id}",
    summary="End an old secret of a webhook endpoint",
    status_code=204,
    **operation("webhook_endpoints_end_secret", scope=WRITE, sudo=True),
)
async def end_secret(context: Context, endpoint_id: EndpointIdInPath, secret_id: SecretIdInPath) -> None:
    """It signs no more from the next request on. The current one is not ended, but replaced with `rotate_secret`."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await service_of(context).end_secret(session, context.caller, endpoint_id, secret_id)


@router.post(
    "/{endpoint_id}/test",
    summary="Send a test event",
    status_code=202,
    response_model=WebhookTestReport,
    responses={200: {"model": WebhookTestReport, "description": "Sent at once: what happened"}},
    **operation("webhook_endpoints_test", scope=WRITE, errors=(413, 415), idempotent=True),
)
@limit("30/minute", by="organization")
async def send_test(
    request: Request,
    endpoint_id: EndpointIdInPath,
    body: Annotated[WebhookTestRequest, Body(default_factory=WebhookTestRequest)],
) -> Response:
    """Without a body, queues a `webhook.test` event to this endpoint only, whatever it is subscribed to; its delivery
    says what the receiver answered. With `event_type`, `event_id` or `data`, sends a signed test at once and answers
    what happened: DNS, TLS, redirect, status, timing, and what is wrong with the receiver's signature when it echoes
    what it computed (see the guide "The webhook doctor"). Nothing of that is recorded."""
    context = get_context(request)
    service = service_of(context)
    if not body.ask().empty:
        return await _test_now(request, service, endpoint_id, body.ask())

    async def work(session: AsyncSession) -> WebhookTestReport:
        event_id, delivery_id = await service.send_test(session, context.caller, endpoint_id)
        return WebhookTestReport(
            event_id=ids.encode(Prefix.EVENT, event_id),
            delivery_id=ids.encode(Prefix.WEBHOOK_DELIVERY, delivery_id),
            result=None,
        )

    return await answer_once(request, work, status=202, ring=(WEBHOOKS,))


async def _test_now(request: Request, service: WebhookEndpoints, endpoint_id: UUID, ask: Ask) -> Response:
    context = get_context(request)
    services, caller = context.services, context.caller
    assert services.box is not None  # else there is no service
    async with services.database.tenant(caller.organization_id) as session:
        prepared = await prepare(session, caller, service, services.box, endpoint_id, ask)
    # No transaction is open while the receiver is called.
    doctor = Doctor(services.resolver, allow_private=service.allow_private)
    outcome = None if context.options.dry_run else await run(prepared, doctor)

    async def work(session: AsyncSession) -> WebhookTestReport:
        return WebhookTestReport(
            event_id=ids.encode(Prefix.EVENT, prepared.event_id),
            delivery_id=None,
            result=WebhookTestResult.of(prepared, outcome) if outcome is not None else None,
        )

    return await answer_once(request, work)


@router.get(
    "/{endpoint_id}/deliveries",
    summary="List deliveries",
    **operation("webhook_endpoints_deliveries", scope=READ, paginated=True),
)
async def list_deliveries(
    context: Context, endpoint_id: EndpointIdInPath, query: Annotated[WebhookDeliveryListQuery, Query()]
) -> WebhookDeliveryList:
    """What is or was owed to this endpoint, the newest event first. `status=exhausted` lists the dead letters."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service_of(context).list_deliveries(session, caller, endpoint_id, query.status, **query.place())
    return WebhookDeliveryList.of(*page, backwards=query.before is not None)


@router.get(
    "/{endpoint_id}/deliveries/{delivery_id}",
    summary="Get a delivery",
    **operation("webhook_endpoints_delivery", scope=READ, expand=("event", "endpoint")),
)
async def get_delivery(
    context: Context, endpoint_id: EndpointIdInPath, delivery_id: DeliveryIdInPath
) -> WebhookDeliveryExpanded:
    """One delivery with every attempt: when, how long, what was answered. `expand=event` shows what is or was sent (it
    needs the scope `events:read`), `expand=endpoint` where to."""
    caller, wanted = context.caller, context.options.expand
    if "event" in wanted:
        caller.require(Scope.EVENTS_READ)
    async with context.services.database.tenant(caller.organization_id) as session:
        found = await service_of(context).get_delivery(session, caller, endpoint_id, delivery_id)
        answer = WebhookDeliveryExpanded.of(found)
        if "event" in wanted:
            with suppress(NotFound):  # not kept any more
                row = await events.get_event(session, caller, found.row.event_id)
                answer.event = Event.model_validate_json(render_event(row))
        if "endpoint" in wanted:
            endpoint = await service_of(context).get(session, caller, endpoint_id)
            answer.endpoint = WebhookEndpoint.of(endpoint)
    return answer


@router.post(
    "/{endpoint_id}/deliveries/resend",
    summary="Send failed deliveries again",
    status_code=202,
    response_model=WebhookResent,
    **operation("webhook_endpoints_resend_all", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def resend_deliveries(request: Request, endpoint_id: EndpointIdInPath, body: WebhookResendRequest) -> Response:
    """After an outage: all that was given up is due at once, the oldest events first, with the same `webhook-id`s. Up
    to 10,000 at a time."""
    context = get_context(request)
    service = service_of(context)

    async def work(session: AsyncSession) -> WebhookResent:
        count = await service.resend_all(session, context.caller, endpoint_id, body.status, body.since)
        return WebhookResent(resent=count)

    return await answer_once(request, work, status=202, ring=(WEBHOOKS,))


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/resend",
    summary="Send a delivery again",
    status_code=202,
    response_model=WebhookDeliveryDetail,
    **operation("webhook_endpoints_resend", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def resend_delivery(request: Request, endpoint_id: EndpointIdInPath, delivery_id: DeliveryIdInPath) -> Response:
    """Due at once, whatever became of it, with the same `webhook-id`. One more attempt when its retries are used up."""
    context = get_context(request)
    service = service_of(context)

    async def work(session: AsyncSession) -> WebhookDeliveryDetail:
        return WebhookDeliveryDetail.of(await service.resend(session, context.caller, endpoint_id, delivery_id))

    return await answer_once(request, work, status=202, ring=(WEBHOOKS,))
