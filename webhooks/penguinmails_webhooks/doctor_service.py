"""A test of an endpoint: what is sent, with which secrets. Sending is `doctor_run`'s."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events import service as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.http import ClientCertificate
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.own_secrets import OwnSecret, secrets_of_all
from penguinmails_core.webhook_endpoints.service import WebhookEndpoints
from penguinmails_webhooks.catalogue import CATALOGUE
from penguinmails_webhooks.doctor import Finding, Level, Secret, Signed
from penguinmails_webhooks.doctor_repository import request_of
from penguinmails_webhooks.doctor_run import Doctor, Outcome
from penguinmails_webhooks.events import render
from penguinmails_webhooks.request import Opener, RequestSettings
from penguinmails_webhooks.signing import signed_headers

MAX_DATA = 64 * 1024  # bytes of `data` as JSON
_CLOSED = "The endpoint's secrets cannot be opened; ask the operator of this server."
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
    headers: dict[str, str] = field(repr=False)
    secrets: Sequence[Secret] = field(repr=False)
    certificate: ClientCertificate | None = None
    hidden: frozenset[str] = frozenset()

    def shown_headers(self) -> dict[str, str]:
        """Without the values of secret ones."""
        return {name: "***" if name.lower() in self.hidden else value for name, value in self.headers.items()}


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
    try:
        settings = Opener(box).settings(endpoint.id, await request_of(session, endpoint))
    except CryptoError:
        raise Unprocessable(_CLOSED) from None
    row = await _event(session, principal, endpoint, ask)
    body = _render(row, settings)
    secrets = await secrets_of_all(session, principal, box, endpoint)
    signing = [own.value for own in secrets if own.endpoint_id == endpoint.id and _valid(own)]
    if not signing:
        raise Unprocessable(_CLOSED)
    signed = Signed(encode(Prefix.EVENT, row["id"]), str(int(time.time())), body)
    headers = {**settings.headers, **signed_headers(signing, signed.msg_id, int(signed.timestamp), body)}
    headers |= {"content-type": "application/json", TEST_HEADER: "true"}
    told = [_told(own, endpoint) for own in secrets]
    hidden = frozenset(name.lower() for name in endpoint.secret_header_names)
    return Prepared(endpoint.url, row["id"], signed, headers, told, settings.certificate, hidden)


async def run(prepared: Prepared, doctor: Doctor) -> Outcome:
    return await doctor.examine(
        prepared.url, prepared.signed, prepared.headers, prepared.secrets, certificate=prepared.certificate
    )


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


async def _event(session: AsyncSession, principal: Principal, endpoint: WebhookEndpoint, ask: Ask) -> Mapping[str, Any]:
    """A row of the log, or one that looks like it."""
    if ask.event_id is not None:
        principal.require(Scope.EVENTS_READ)
        if principal.consumer is not None:  # the log is the organization's
            raise NotFound("There is no such event.")
        row = await events.get_event(session, principal, ask.event_id)
    else:
        row = _sample(ask.event_type or EventType.WEBHOOK_TEST, endpoint, principal)
    return row if ask.data is None else {**row, "payload": ask.data}


def _sample(event_type: str, endpoint: WebhookEndpoint, principal: Principal) -> dict[str, Any]:
    """The catalogue's example, as if it had just happened in the endpoint's organization."""
    known = {event.value: data for event, data in CATALOGUE.items()}
    if event_type not in known:
        detail = f"There is no event type {event_type[:100]!r}; the catalogue names them."
        raise Unprocessable(detail, errors=[FieldError("/event_type", "unknown_event", detail)])
    data = known[event_type]
    payload = dict(data.example)
    if event_type == EventType.WEBHOOK_TEST:
        payload["endpoint_id"] = encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id)
    workspace = endpoint.workspace_id or principal.default_workspace_id
    return {
        "id": new_uuid(),
        "type": event_type,
        "created_at": utcnow(),
        "schema_version": data.schema_version,
        "resource_id": endpoint.id if event_type == EventType.WEBHOOK_TEST else new_uuid(),
        "sequence": 1,
        "organization_id": endpoint.organization_id,
        "workspace_id": None if data.of_organization else workspace,
        "mode": endpoint.mode,
        "payload": payload,
    }


def _render(row: Mapping[str, Any], settings: RequestSettings) -> bytes:
    """As it would be delivered: in the version that the endpoint is pinned to, thin when it asked for that."""
    try:
        body = render(row, pin=settings.pin, thin=settings.thin)
    except TypeError:
        detail = "`data` cannot be sent: it holds half of a surrogate pair, or a number of more than 64 bits."
        raise Unprocessable(detail, errors=[FieldError("/data", "invalid", detail)]) from None
    if len(body) > MAX_DATA:
        detail = f"The event has {len(body)} bytes with this `data`; the limit is {MAX_DATA}."
        raise Unprocessable(detail, errors=[FieldError("/data", "too_long", detail)])
    return body
