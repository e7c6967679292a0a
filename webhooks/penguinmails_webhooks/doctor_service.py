"""A test of an endpoint: what is sent, with which secrets. Sending is `doctor_run`'s."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events import service as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.own_secrets import OwnSecret, secrets_of_all
from penguinmails_core.webhook_endpoints.service import WebhookEndpoints
from penguinmails_webhooks.catalogue import CATALOGUE
from penguinmails_webhooks.doctor import Finding, Level, Secret, Signed
from penguinmails_webhooks.doctor_run import Doctor, Outcome
from penguinmails_webhooks.events import example_event, render
from penguinmails_webhooks.signing import PRIVATE_PREFIX, signed_headers

MAX_DATA = 64 * 1024  # bytes of `data` as JSON
TEST_HEADER = "webhook-test"  # tells a receiver that this is a test, and that an echo is welcome


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send: a sample from the catalogue (`event_type`) or a real event (`event_id`); `data` in place of
    theirs."""

    event_type: str | None = None
    event_id: UUID | None = None
    data: Mapping[str, Any] | None = None

    @property
    def empty(self) -> bool:
        return self.event_type is None and self.event_id is None and self.data is None


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a test needs, so that no transaction is open while it runs."""

    url: str
    event_id: UUID
    signed: Signed
    headers: dict[str, str]
    secrets: Sequence[Secret] = field(repr=False)


async def prepare(
    session: AsyncSession,
    principal: Principal,
    endpoints: WebhookEndpoints,
    box: SecretBox,
    endpoint_id: UUID,
    ask: Ask,
) -> Prepared:
    """Of an endpoint that may be disabled. Raises `NotFound` for an endpoint or event that the caller may not see,
    `MissingScope` for a real event without ``events:read``, `Unprocessable` naming fields, `Conflict`
    for one that leads to a queue."""
    endpoint = await endpoints.get(session, principal, endpoint_id)
    if endpoint.destination != "http":
        raise Conflict(
            f"What is sent at once is a POST, and this endpoint leads to {endpoint.destination}. Ask for one without "
            "event and data: it is queued, and its delivery says what happened."
        )
    event_id, body = await _body(session, principal, endpoint, ask)
    secrets = await secrets_of_all(session, principal, box, endpoint)
    signing = [own.value for own in secrets if own.endpoint_id == endpoint.id and _valid(own)]
    if not signing:
        raise Unprocessable("The endpoint's secret cannot be opened; ask the operator of this server.")
    signed = Signed(encode(Prefix.EVENT, event_id), str(int(time.time())), body)
    headers = signed_headers(signing, signed.msg_id, int(signed.timestamp), body)
    headers |= {"content-type": "application/json", TEST_HEADER: "true"}
    # A receiver cannot echo what a signing key of Ed25519 makes: it has the public half only.
    shared = [_told(own, endpoint) for own in secrets if not own.value.startswith(PRIVATE_PREFIX)]
    return Prepared(endpoint.url, event_id, signed, headers, shared)


async def run(prepared: Prepared, doctor: Doctor) -> Outcome:
    return await doctor.examine(prepared.url, prepared.signed, prepared.headers, prepared.secrets)


def _valid(own: OwnSecret) -> bool:
    return own.previous_until is None or own.previous_until > utcnow()


def _told(own: OwnSecret, endpoint: WebhookEndpoint) -> Secret:
    """With what to say when the receiver used it."""
    if own.endpoint_id != endpoint.id:
        name = encode(Prefix.WEBHOOK_ENDPOINT, own.endpoint_id)
        detail = f"wrong secret: you used the one of another endpoint of yours, {name}"
        return Secret(own.value, Finding(Level.ERROR, "wrong_secret", detail))
    if own.previous_until is None:
        return Secret(own.value)
    until = rfc3339(own.previous_until)
    if _valid(own):
        detail = f"you use the previous secret, which works until {until}; change to the new one before"
        return Secret(own.value, Finding(Level.WARNING, "previous_secret", detail))
    detail = f"wrong secret: you used the previous one, which worked until {until}"
    return Secret(own.value, Finding(Level.ERROR, "wrong_secret", detail))


async def _body(session: AsyncSession, principal: Principal, endpoint: WebhookEndpoint, ask: Ask) -> tuple[UUID, bytes]:
    if ask.event_id is not None:
        principal.require(Scope.EVENTS_READ)
        if principal.consumer is not None:  # the log is the organization's
            raise NotFound("There is no such event.")
        row = await events.get_event(session, principal, ask.event_id)
        body = render(row)
        return ask.event_id, body if ask.data is None else _encode(orjson.loads(body) | {"data": ask.data})
    event_id = new_uuid()
    event = _sample(ask.event_type or EventType.WEBHOOK_TEST, endpoint, event_id, utcnow())
    return event_id, _encode(event if ask.data is None else event | {"data": ask.data})


def _sample(event_type: str, endpoint: WebhookEndpoint, event_id: UUID, now: datetime) -> dict[str, Any]:
    """The catalogue's example, as if it had just happened in the endpoint's organization."""
    known = {event.value: event for event in CATALOGUE}
    if event_type not in known:
        detail = f"There is no event type {event_type[:100]!r}; `GET /v1/events` and the catalogue name them."
        raise Unprocessable(detail, errors=[FieldError("/event_type", "unknown_event", detail)])
    sample = example_event(known[event_type])
    if event_type == EventType.WEBHOOK_TEST:
        sample["data"]["endpoint_id"] = encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id)
    workspace = encode(Prefix.WORKSPACE, endpoint.workspace_id) if endpoint.workspace_id else sample["workspace_id"]
    return sample | {
        "id": encode(Prefix.EVENT, event_id),
        "timestamp": rfc3339(now),
        "organization_id": encode(Prefix.ORGANIZATION, endpoint.organization_id),
        "workspace_id": workspace,
        "mode": endpoint.mode,
    }


def _encode(event: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        detail = "`data` cannot be written as JSON: it holds half of a surrogate pair, or a number that is none."
        raise Unprocessable(detail, errors=[FieldError("/data", "invalid", detail)]) from None
    if len(text) > MAX_DATA:
        detail = f"The event has {len(text)} bytes with this `data`; the limit is {MAX_DATA}."
        raise Unprocessable(detail, errors=[FieldError("/data", "too_long", detail)])
    return text
