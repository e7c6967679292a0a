"""A test that is sent at once, and what it shows: DNS, TLS, the answer, and the signature as the receiver reads it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal import choices
from penguinmails_api.portal.endpoints import endpoint_id
from penguinmails_api.portal.pages import PortalRoute, Visitor, box_of, read_form, visiting
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.routing import get_context
from penguinmails_api.v1.webhook_endpoints.doctor import WebhookTestResult
from penguinmails_core.errors import BadRequest
from penguinmails_core.events.types import EventType
from penguinmails_webhooks.doctor_run import Doctor
from penguinmails_webhooks.doctor_service import Ask, prepare, run

router = APIRouter(route_class=PortalRoute, include_in_schema=False)
_TEST = EventType.WEBHOOK_TEST.value


@router.get("/portal/s/{token}/endpoints/{endpoint}/diagnose")
async def show_diagnosis(request: Request, token: str, endpoint: str) -> Response:
    async with visiting(request, token, write=True) as visitor:
        return await _page(visitor, endpoint, _TEST, None)


@router.post("/portal/s/{token}/endpoints/{endpoint}/diagnose")
@limit("30/minute", by="address")
async def diagnose(request: Request, token: str, endpoint: str) -> Response:
    """No transaction is open while the receiver is called."""
    kind = (await read_form(request)).get("event") or _TEST
    context = get_context(request)
    async with visiting(request, token, write=True) as visitor:
        if kind not in _samples(visitor.link.events):
            raise BadRequest("The form names no event that can be tried here.")
        prepared = await prepare(
            visitor.session, visitor.principal, visitor.endpoints, box_of(context), endpoint_id(endpoint), Ask(kind)
        )
        allow_private = visitor.endpoints.allow_private
    outcome = await run(prepared, Doctor(context.services.resolver, allow_private=allow_private))
    async with visiting(request, token, write=True) as visitor:
        return await _page(visitor, endpoint, kind, WebhookTestResult.of(prepared, outcome))


def _samples(allowed: Sequence[str]) -> list[str]:
    return [_TEST, *(event.name for family in choices.offered(allowed, ()) for event in family.events)]


async def _page(visitor: Visitor, endpoint: str, kind: str, result: WebhookTestResult | None) -> Response:
    row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
    return visitor.render(
        "diagnosis.html",
        endpoint=row,
        here=f"{visitor.base}/endpoints/{endpoint}",
        samples=_samples(visitor.link.events),
        kind=kind,
        result=result,
    )
