"""Where events are pushed to: make, change and delete endpoints, look at deliveries, send again.

Works in the caller's transaction, so that an Idempotency-Key is stored with the work. What an event or a secret looks
like is told by the webhook component (`EndpointRules`), which stands above this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Conflict, FieldError, NotFound
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository, secrets, tell
from penguinmails_core.webhook_endpoints.checks import EndpointRules, check, check_both, refusal
from penguinmails_core.webhook_endpoints.consumers import check_room, refuse_bad_consumer
from penguinmails_core.webhook_endpoints.secrets import secret_context

__all__ = ["CANCELLED", "Delivery", "EndpointRules", "WebhookEndpoints", "secret_context"]

Row = TypeVar("Row")

MAX_RESEND = 10_000
TEST_MESSAGE = "If you can read this and the signature verifies, your endpoint works."
CANCELLED = "endpoint_disabled: the endpoint was disabled or deleted before this could be delivered"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery and its attempts, the first one first."""

    row: WebhookDelivery
    attempts: Sequence[WebhookAttempt]


def headers_context(endpoint_id: UUID) -> bytes:
    """What sealed headers are bound to."""
    return f"webhook_endpoints:{endpoint_id}:headers".encode()


def destination_context(endpoint_id: UUID) -> bytes:
    """What the sealed secret of a destination is bound to."""
    return f"webhook_endpoints:{endpoint_id}:destination".encode()


def client_key_context(endpoint_id: UUID) -> bytes:
    """What the sealed key of a client certificate is bound to."""
    return f"webhook_endpoints:{endpoint_id}:client_key".encode()


class WebhookEndpoints:
    """All methods raise `NotFound` for what the caller may not see, and `Unprocessable` naming fields."""

    def __init__(self, box: SecretBox, rules: EndpointRules) -> None:
        self._box = box
        self._rules = rules

    @property
    def allow_private(self) -> bool:
        """Whether plain http and private hosts may be called."""
        return self._rules.allow_private

    async def create(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        url: str,
        events: Sequence[str],
        signature: str | None = None,
        secret: str | None = None,
        pace: Mapping[str, Any] | None = None,
        consumer: str | None = None,
        **settings: Any,
    ) -> tuple[WebhookEndpoint, str | None]:
        """The endpoint and its secret, which is not shown again; none of an `ed25519` one, which has a public key. It
        gets what happens from now on: all workspaces of the organization, or the one that the caller is bound to.

        `secret`: one that was brought along. `pace` and `settings`: as in `update`. `consumer`: which customer of the
        organization it is for; whoever came by a consumer's link makes that one's. Raises `Conflict` at 50 endpoints,
        20 of one consumer, or 5,000 altogether.
        """
        consumer = principal.consumer if principal.consumer is not None else consumer
        given = {"url": url, "events": events, "consumer": consumer, **settings, **(pace or {})}
        values = check(given, self._rules)
        check_both(values.get("headers", {}), values.get("secret_headers", {}))
        made = self._rules.secret(secret, signature, "hmac")
        await check_room(session, principal.organization_id, consumer)
        endpoint_id = new_uuid()
        endpoint = WebhookEndpoint(
            organization_id=principal.organization_id,
            id=endpoint_id,
            workspace_id=principal.workspace_id,
            mode=principal.mode,
            **{"schema_version": self._rules.versions, **self._sealed(endpoint_id, values)},
            **secrets.columns(self._box, endpoint_id, made),
        )
        session.add(endpoint)
        await session.flush()
        await session.refresh(endpoint)
        await tell.event(session, endpoint, EventType.WEBHOOK_ENDPOINT_CREATED, tell.payload(endpoint))
        await tell.record(session, principal, "created", endpoint, None, tell.facts(endpoint))
        return endpoint, None if made.public_key else made.text

    async def get(
        self, session: AsyncSession, principal: Principal, endpoint_id: UUID, *, lock: bool = False
    ) -> WebhookEndpoint:
        endpoint = await repository.get(session, principal, endpoint_id, lock=lock)
        if endpoint is None:
            raise NotFound("There is no such webhook endpoint.")
        return endpoint

    async def list_endpoints(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
        consumer: str | None = None,
    ) -> tuple[list[WebhookEndpoint], bool]:
        """A page, the newest first, and whether there is more in the direction of travel. `consumer`: only that
        one's."""
        refuse_bad_consumer(consumer)
        found = await repository.list_endpoints(
            session, principal, consumer, limit=limit + 1, after=after, before=before
        )
        return cut(found, limit, backwards=before is not None)

    async def update(
        self,
        session: AsyncSession,
        principal: Principal,
        endpoint_id: UUID,
        changes: Mapping[str, Any],
    ) -> WebhookEndpoint:
        """`changes` holds only what is to be changed: url, destination ({type, ...}), events, filter, payload,
        schema_version, headers, secret_headers, client_certificate ({certificate, private_key}), description, metadata,
        consumer, status (enabled, disabled), throttle, concurrency, fifo.

        Disabling cancels what waits for the endpoint; it can be resent later. A new URL, or enabling, starts the
        record of failures anew.
        """
        changes = dict(changes)
        status = changes.pop("status", None)
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        values = check(changes, self._rules, endpoint)
        before = tell.facts(endpoint)
        if "consumer" in values and values["consumer"] != endpoint.consumer:
            await check_room(session, endpoint.organization_id, values["consumer"])
        check_both(values.get("headers", endpoint.headers), values.get("secret_headers", endpoint.secret_header_names))
        for name, value in self._sealed(endpoint.id, values).items():
            setattr(endpoint, name, value)
        if "url" in values or "destination" in values or status == "enabled":
            forget_failures(endpoint)
        disabled_at = endpoint.disabled_at
        switched = status is not None and status != endpoint.status
        if switched:
            endpoint.status = str(status)
            endpoint.disabled_reason = "manual" if status == "disabled" else None
            endpoint.disabled_at = func.now() if status == "disabled" else None
        if status is not None:
            endpoint.probe_at, endpoint.probes, endpoint.notice = None, 0, None
        endpoint.updated_at = func.now()
        await session.flush()
        if status == "disabled":
            await repository.cancel_deliveries(session, endpoint, CANCELLED)
        await session.refresh(endpoint)
        if switched:
            await tell.switched(session, endpoint, disabled_at)
        after = tell.facts(endpoint)
        if "secret_headers" in values:  # what they hold is not compared: it shows that they were written
            before["secret_headers"], after["secret_headers"] = 1, 2
        if after != before:
            names = sorted({*tell.changed(before, after), *({"secret_headers"} & values.keys())})
            if names:
                data = tell.payload(endpoint) | {"changed": names}
                await tell.event(session, endpoint, EventType.WEBHOOK_ENDPOINT_UPDATED, data)
            await tell.record(session, principal, "updated", endpoint, before, after)
        return endpoint

    def _sealed(self, endpoint_id: UUID, values: Mapping[str, Any]) -> dict[str, Any]:
        """Checked settings as columns, nothing secret in the clear."""
        found = dict(values)
        if "secret_headers" in found:
            plain = found["secret_headers"]
            found["secret_header_names"] = list(plain)
            found["secret_headers"] = (
                self._box.seal(orjson.dumps(plain), headers_context(endpoint_id)) if plain else None
            )
        if "client_certificate" in found:
            chain, key = found["client_certificate"] or (None, None)
            found["client_certificate"] = chain
            found["client_key"] = self._box.seal(key.encode(), client_key_context(endpoint_id)) if key else None
        if (secret := found.get("destination_secret")) is not None:
            found["destination_secret"] = self._box.seal(secret.encode(), destination_context(endpoint_id))
        return found

    async def delete(self, session: AsyncSession, principal: Principal, endpoint_id: UUID) -> None:
        """Also cancels what waits for it. A request under way may still arrive."""
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        await repository.cancel_deliveries(session, endpoint, CANCELLED)
        await tell.event(session, endpoint, EventType.WEBHOOK_ENDPOINT_DELETED, tell.payload(endpoint))
        await session.delete(endpoint)
        await tell.record(session, principal, "deleted", endpoint, tell.facts(endpoint), None)

    async def rotate_secret(
        self,
        session: AsyncSession,
        principal: Principal,
        endpoint_id: UUID,
        *,
        signature: str | None = None,
        secret: str | None = None,
        overlap: timedelta = secrets.OVERLAP,
    ) -> tuple[WebhookEndpoint, str | None]:
        """A new secret, not shown again; for `overlap` requests are signed with the one before, too. `signature`
        changes the kind. Raises `Conflict` when ten old ones still sign."""
        if not timedelta(0) <= overlap <= secrets.MAX_OVERLAP:
            detail = f"`overlap_seconds` is 0 to {secrets.MAX_OVERLAP.total_seconds():.0f}."
            raise refusal([FieldError("/overlap_seconds", "out_of_range", detail)])
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        made = self._rules.secret(secret, signature, endpoint.signature)
        secrets.replace(self._box, endpoint, made, overlap)
        endpoint.updated_at = func.now()
        await session.flush()
        await session.refresh(endpoint)
        expires = utcnow() + overlap if overlap else None
        data = tell.payload(endpoint) | {"previous_secret_expires_at": rfc3339(expires) if expires else None}
        await tell.event(session, endpoint, EventType.WEBHOOK_ENDPOINT_SECRET_ROTATED, data)
        after = {"previous_secret_expires_at": expires, "signature": endpoint.signature}
        await tell.record(session, principal, "secret_rotated", endpoint, None, after)
        return endpoint, None if made.public_key else made.text

    async def list_secrets(
        self, session: AsyncSession, principal: Principal, endpoint_id: UUID
    ) -> list[secrets.SecretFacts]:
        """Those that sign at the moment, the current one first."""
        return list(secrets.secrets_of(await self.get(session, principal, endpoint_id)))

    async def end_secret(self, session: AsyncSession, principal: Principal, endpoint_id: UUID, secret_id: UUID) -> None:
        """An old secret signs no more from the next request on. Raises `Conflict` for the current one."""
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        secrets.end(endpoint, secret_id)
        endpoint.updated_at = func.now()
        await session.flush()
        ended = {"secret_id": encode(Prefix.WEBHOOK_SECRET, secret_id)}
        await tell.record(session, principal, "secret_ended", endpoint, ended, None)

    async def send_test(self, session: AsyncSession, principal: Principal, endpoint_id: UUID) -> tuple[UUID, UUID]:
        """Queue a `webhook.test` event to this endpoint only, whatever it asked for; (event id, delivery id).

        Raises `Conflict` when the endpoint is disabled.
        """
        endpoint = await self._enabled(session, principal, endpoint_id)
        endpoint.event_sequence += 1
        event_id = events.add(
            session,
            organization_id=endpoint.organization_id,
            workspace_id=endpoint.workspace_id,
            mode=endpoint.mode,
            event=EventType.WEBHOOK_TEST,
            resource_id=endpoint.id,
            sequence=endpoint.event_sequence,
            payload={"endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id), "message": TEST_MESSAGE},
        )
        delivery_id = new_uuid()
        await repository.owe(session, endpoint, delivery_id, event_id, EventType.WEBHOOK_TEST.value)
        return event_id, delivery_id

    async def list_deliveries(
        self,
        session: AsyncSession,
        principal: Principal,
        endpoint_id: UUID,
        statuses: Sequence[str] = (),
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[WebhookDelivery], bool]:
        """A page, the newest event first; the cursors are event ids."""
        endpoint = await self.get(session, principal, endpoint_id)
        found = await repository.list_deliveries(
            session, endpoint, statuses, limit=limit + 1, after=after, before=before
        )
        return cut(found, limit, backwards=before is not None)

    async def get_delivery(
        self, session: AsyncSession, principal: Principal, endpoint_id: UUID, delivery_id: UUID
    ) -> Delivery:
        endpoint = await self.get(session, principal, endpoint_id)
        return await self._delivery(session, endpoint, delivery_id)

    async def attempts_of(
        self, session: AsyncSession, principal: Principal, delivery_ids: Sequence[UUID]
    ) -> dict[UUID, list[WebhookAttempt]]:
        """By delivery, of deliveries that the caller was shown before."""
        found: dict[UUID, list[WebhookAttempt]] = {delivery_id: [] for delivery_id in delivery_ids}
        for attempt in await repository.attempts_of_many(session, principal.organization_id, delivery_ids):
            found[attempt.delivery_id].append(attempt)
        return found

    async def resend(
        self, session: AsyncSession, principal: Principal, endpoint_id: UUID, delivery_id: UUID
    ) -> Delivery:
        """Due now, whatever became of it, with the same event id. A delivery whose retries are used up gets one more
        attempt for each call.

        Raises `Conflict` when the endpoint is disabled or the event is not kept any more.
        """
        endpoint = await self._enabled(session, principal, endpoint_id)
        delivery = (await self._delivery(session, endpoint, delivery_id, lock=True)).row
        if not await repository.event_is_kept(session, delivery):
            raise Conflict("The event is older than the log keeps, so it cannot be sent again.")
        delivery.status = "pending"
        delivery.due_at = func.now()
        await session.flush()
        await session.refresh(delivery)
        return await self._delivery(session, endpoint, delivery_id)

    async def resend_all(
        self,
        session: AsyncSession,
        principal: Principal,
        endpoint_id: UUID,
        statuses: Sequence[str],
        since: datetime | None,
    ) -> int:
        """As `resend`, for up to 10,000 deliveries that have ended in one of `statuses`, of events since then. Returns
        how many there were: 10,000 means that there may be more. Raises `Conflict` when the endpoint is disabled."""
        endpoint = await self._enabled(session, principal, endpoint_id)
        return await repository.resend_all(session, endpoint, statuses, since, MAX_RESEND)

    async def _enabled(self, session: AsyncSession, principal: Principal, endpoint_id: UUID) -> WebhookEndpoint:
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        if endpoint.status != "enabled":
            raise Conflict('The endpoint is disabled. Enable it first: PATCH {"status": "enabled"}.')
        return endpoint

    async def _delivery(
        self, session: AsyncSession, endpoint: WebhookEndpoint, delivery_id: UUID, *, lock: bool = False
    ) -> Delivery:
        row = await repository.get_delivery(session, endpoint, delivery_id, lock=lock)
        if row is None:
            raise NotFound("There is no such delivery of this webhook endpoint.")
        return Delivery(row, await repository.attempts_of(session, row))


def forget_failures(endpoint: WebhookEndpoint) -> None:
    """It starts anew: no failures, and its circuit is closed."""
    endpoint.failing_since = endpoint.failing_confirmed_at = endpoint.breaker_until = None
    endpoint.breaker = "closed"
    endpoint.consecutive_failures = endpoint.breaker_openings = 0
