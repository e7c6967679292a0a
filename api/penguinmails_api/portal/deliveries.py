"""What was sent to an endpoint: filters, one delivery, sending again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal.pages import PortalRoute, Visitor, read_form, visiting
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.v1.common import read_id
from penguinmails_core.errors import NotFound
from penguinmails_core.events import service as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.doorbell import WEBHOOKS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import WebhookDelivery, WebhookEndpoint
from penguinmails_core.models.webhook import HELD
from penguinmails_core.webhook_portal import repository
from penguinmails_core.webhook_portal.repository import DeliveryFilter
from penguinmails_webhooks.events import CATALOGUE, matches, render

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

PAGE = 20


@dataclass(frozen=True, slots=True)
class FilterForm:
    """The fields as they were filled in. Days are in UTC; `until` is the last one that counts."""

    status: str
    type: str
    since: str
    until: str

    @property
    def wanted(self) -> DeliveryFilter:
        """What cannot be read is as if it was left empty."""
        until = _day(self.until)
        return DeliveryFilter(
            status=self.status or None,
            event_type=self.type if self.type in _NAMES else None,
            since=_day(self.since),
            until=until + timedelta(days=1) if until is not None else None,
        )

    async def page(
        self, visitor: Visitor, endpoint: WebhookEndpoint, after: str, before: str
    ) -> tuple[list[WebhookDelivery], UUID | None, UUID | None]:
        """The deliveries, and where newer and older ones go on. Raises `BadRequest` for a cursor that is none."""
        newer_than = cursors.decode_id(before, "before") if before else None
        older_than = cursors.decode_id(after, "after") if after and not before else None
        found = await repository.list_deliveries(
            visitor.session, endpoint, self.wanted, limit=PAGE + 1, after=older_than, before=newer_than
        )
        more = len(found) > PAGE
        rows = found[-PAGE:] if newer_than is not None else found[:PAGE]
        if not rows:
            return [], None, None
        has_newer = more if newer_than is not None else older_than is not None
        has_older = True if newer_than is not None else more
        return rows, rows[0].event_id if has_newer else None, rows[-1].event_id if has_older else None

    def address(self, path: str, direction: str, place: UUID | None) -> str | None:
        if place is None:
            return None
        given = {"status": self.status, "type": self.type, "since": self.since, "until": self.until}
        query = {name: value for name, value in given.items() if value} | {direction: cursors.encode_id(place)}
        return f"{path}?{urlencode(query)}"


_NAMES = frozenset(event.value for event in CATALOGUE)


def shown_types(allowed: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The events that the list can be narrowed to: what may have been sent."""
    return [
        event.value
        for event, kind in CATALOGUE.items()
        if event is EventType.WEBHOOK_TEST
        or (kind.available and (matches(patterns, event.value) or matches(allowed, event.value)))
    ]


def _day(text: str) -> datetime | None:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None


def _read_endpoint(text: str) -> UUID:
    return read_id(Prefix.WEBHOOK_ENDPOINT, "webhook endpoint", text)


@router.get("/portal/s/{token}/endpoints/{endpoint}/deliveries/{delivery}")
async def show(request: Request, token: str, endpoint: str, delivery: str) -> Response:
    async with visiting(request, token) as visitor:
        session, principal = visitor.session, visitor.principal
        row = await visitor.endpoints.get(session, principal, _read_endpoint(endpoint))
        delivery_id = read_id(Prefix.WEBHOOK_DELIVERY, "delivery", delivery)
        found = await visitor.endpoints.get_delivery(session, principal, row.id, delivery_id)
        body = None
        with suppress(NotFound):  # not kept any more
            event = await events.get_event(session, principal, found.row.event_id)
            body = json.dumps(
                json.loads(render(event, pin=row.schema_version, thin=row.payload == "thin")),
                indent=2,
                ensure_ascii=False,
            )
        due = found.row.due_at
        return visitor.render(
            "delivery.html",
            endpoint=row,
            row=found.row,
            attempts=found.attempts,
            next_at=due if due is not None and due < HELD else None,
            headers=_headers(found.row, found.attempts),
            body=body,
        )


def _headers(row: WebhookDelivery, attempts: Sequence[Any]) -> str:
    """Those that matter to a receiver, of the newest attempt. Signatures are not kept."""
    lines = ["content-type: application/json", f"webhook-id: {ids.encode(Prefix.EVENT, row.event_id)}"]
    if attempts:
        lines.append(f"webhook-timestamp: {int(attempts[-1].started_at.timestamp())}")
    return "\n".join([*lines, "webhook-signature: v1,…"])


@router.post("/portal/s/{token}/endpoints/{endpoint}/deliveries/{delivery}/replay")
@limit("120/minute", by="address")
async def replay_one(request: Request, token: str, endpoint: str, delivery: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        delivery_id = read_id(Prefix.WEBHOOK_DELIVERY, "delivery", delivery)
        await visitor.endpoints.resend(visitor.session, visitor.principal, _read_endpoint(endpoint), delivery_id)
        visitor.ring(WEBHOOKS)
        return visitor.go(f"/endpoints/{endpoint}/deliveries/{delivery}", notice="replayed")
