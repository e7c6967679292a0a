"""Where events are pushed to: make, change and delete endpoints, look at deliveries, send again.

Works in the caller's transaction, so that an Idempotency-Key is stored with the work. What an event or a secret looks
like is told by the webhook component (`EndpointRules`), which stands above this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.http import OutgoingError, check_url
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository
from penguinmails_core.webhook_endpoints.consumers import (
    check_consumer,
    check_room,
    refuse_bad_consumer,
)
from penguinmails_core.webhook_endpoints.pace import check_pace

Row = TypeVar("Row")

MAX_DESCRIPTION = 500
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 64, 500
MAX_RESEND = 10_000
SECRET_OVERLAP = timedelta(hours=24)
TEST_MESSAGE = "If you can read this and the signature verifies, your endpoint works."
CANCELLED = "endpoint_disabled: the endpoint was disabled or deleted before this could be delivered"


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """`check_events`: patterns -> (patterns without repeats, what is wrong with them). `new_secret`: a fresh signing
    secret. `allow_private`: plain http and private hosts may be named."""

    check_events: Callable[[Sequence[str]], tuple[list[str], Sequence[FieldError]]]
    new_secret: Callable[[], str]
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery and its attempts, the first one first."""

    row: WebhookDelivery
    attempts: Sequence[WebhookAttempt]


def secret_context(endpoint_id: UUID) -> bytes:
    """What a sealed signing secret is bound to."""
    return f"webhook_endpoints:{endpoint_id}".encode()


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
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        pace: Mapping[str, Any] | None = None,
        consumer: str | None = None,
    ) -> tuple[WebhookEndpoint, str]:
        """The endpoint and its secret, which is not shown again. It gets what happens from now on: all workspaces of
        the organization, or the one that the caller is bound to. `pace`: throttle, concurrency and fifo (see
        `check_pace`). `consumer`: which customer of the organization it is for; whoever came by a consumer's link
        makes that one's. Raises `Conflict` at 50 endpoints, 20 of one consumer, or 5,000 altogether."""
        consumer = principal.consumer if principal.consumer is not None else consumer
        given = {"url": url, "events": events, "description": description, "metadata": metadata, "consumer": consumer}
        values = self._check({**given, **(pace or {})})
        await check_room(session, principal.organization_id, consumer)
        secret, endpoint_id = self._rules.new_secret(), new_uuid()
        endpoint = WebhookEndpoint(
            organization_id=principal.organization_id,
            id=endpoint_id,
            workspace_id=principal.workspace_id,
            mode=principal.mode,
            secret=self._box.seal(secret.encode(), secret_context(endpoint_id)),
            **values,
        )
        session.add(endpoint)
        await session.flush()
        await session.refresh(endpoint)
        await _record(session, principal, "created", endpoint, None, _facts(endpoint))
        return endpoint, secret

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
        return _cut(found, limit, before is not None)

    async def update(
        self,
        session: AsyncSession,
        principal: Principal,
        endpoint_id: UUID,
        changes: Mapping[str, Any],
    ) -> WebhookEndpoint:
        """`changes` holds only what is to be changed: url, events, description, metadata, consumer, status
        (enabled, disabled), throttle, concurrency, fifo.

        Disabling cancels what waits for the endpoint; it can be resent later. A new URL, or enabling, starts the
        record of failures anew.
        """
        changes = dict(changes)
        status = changes.pop("status", None)
        values = self._check(changes)
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        before = _facts(endpoint)
        if "consumer" in values and values["consumer"] != endpoint.consumer:
            await check_room(session, endpoint.organization_id, values["consumer"])
        for name, value in values.items():
            setattr(endpoint, name, value)
        if "url" in values or status == "enabled":
            forget_failures(endpoint)
        if status is not None and status != endpoint.status:
            endpoint.status = status
            endpoint.disabled_reason = "manual" if status == "disabled" else None
            endpoint.disabled_at = func.now() if status == "disabled" else None
        if status is not None:
            endpoint.probe_at, endpoint.probes, endpoint.notice = None, 0, None
        endpoint.updated_at = func.now()
        await session.flush()
        if status == "disabled":
            await repository.cancel_deliveries(session, endpoint, CANCELLED)
        await session.refresh(endpoint)
        after = _facts(endpoint)
        if after != before:
            await _record(session, principal, "updated", endpoint, before, after)
        return endpoint

    async def delete(self, session: AsyncSession, principal: Principal, endpoint_id: UUID) -> None:
        """Also cancels what waits for it. A request under way may still arrive."""
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        await repository.cancel_deliveries(session, endpoint, CANCELLED)
        await session.delete(endpoint)
        await _record(session, principal, "deleted", endpoint, _facts(endpoint), None)

    async def rotate_secret(
        self, session: AsyncSession, principal: Principal, endpoint_id: UUID
    ) -> tuple[WebhookEndpoint, str]:
        """A new secret, not shown again. For 24 hours requests are signed with the one before, too."""
        endpoint = await self.get(session, principal, endpoint_id, lock=True)
        secret = self._rules.new_secret()
        endpoint.previous_secret = endpoint.secret
        endpoint.previous_secret_expires_at = utcnow() + SECRET_OVERLAP
        endpoint.secret = self._box.seal(secret.encode(), secret_context(endpoint.id))
        endpoint.updated_at = func.now()
        await session.flush()
        await session.refresh(endpoint)
        after = {"previous_secret_expires_at": endpoint.previous_secret_expires_at}
        await _record(session, principal, "secret_rotated", endpoint, None, after)
        return endpoint, secret

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
        return _cut(found, limit, before is not None)

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

    def _check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Column values of the fields that are given."""
        errors: list[FieldError] = []
        values: dict[str, Any] = {}
        if "url" in given:
            values["url"] = given["url"]
            try:
                check_url(given["url"], allow_private=self._rules.allow_private)
            except OutgoingError as error:
                errors.append(FieldError("/url", error.reason, f"`url` cannot be called: {error.detail}."))
        if "events" in given:
            values["events"], wrong = self._rules.check_events(given["events"])
            errors += wrong
        if "description" in given:
            values["description"] = given["description"]
            errors += _check_text("/description", given["description"] or "", MAX_DESCRIPTION)
        if "consumer" in given:
            values["consumer"] = given["consumer"]
            errors += check_consumer(given["consumer"])
        if "metadata" in given:
            values["metadata_"] = dict(given["metadata"] or {})
            errors += _check_metadata(values["metadata_"])
        pace, wrong = check_pace(given)
        values |= pace
        errors += wrong
        if errors:
            detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
            raise Unprocessable(detail, errors=errors)
        return values


def forget_failures(endpoint: WebhookEndpoint) -> None:
    """It starts anew: no failures, and its circuit is closed."""
    endpoint.failing_since = endpoint.failing_confirmed_at = endpoint.breaker_until = None
    endpoint.breaker = "closed"
    endpoint.consecutive_failures = endpoint.breaker_openings = 0


_AUDITED = ("url", "events", "consumer", "description", "metadata_", "status", "disabled_reason", "mode")
_PACE = ("throttle_limit", "throttle_period", "concurrency", "fifo")


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return audit.facts(endpoint, *_AUDITED, *_PACE)


async def _record(
    session: AsyncSession,
    principal: Principal,
    verb: str,
    endpoint: WebhookEndpoint,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.WEBHOOK_ENDPOINT, endpoint.id, endpoint.workspace_id)
    await audit.record(session, principal, f"webhook_endpoint.{verb}", resource, before, after)


def _cut(found: list[Row], limit: int, backwards: bool) -> tuple[list[Row], bool]:
    """One row more than `limit` was asked for; travelling to newer ones, the surplus is the first."""
    return (found[-limit:] if backwards else found[:limit]), len(found) > limit


def _check_metadata(metadata: Mapping[str, str]) -> list[FieldError]:
    errors = []
    if len(metadata) > MAX_METADATA:
        detail = f"`metadata` has {len(metadata)} entries; the limit is {MAX_METADATA}."
        errors.append(FieldError("/metadata", "too_many", detail))
    for key, value in metadata.items():
        if not key:
            errors.append(FieldError("/metadata", "empty", "A metadata key has at least one character."))
        pointer = "/metadata/" + key[:MAX_METADATA_KEY].replace("~", "~0").replace("/", "~1")
        errors += _check_text("/metadata", key, MAX_METADATA_KEY) + _check_text(pointer, value, MAX_METADATA_VALUE)
    return errors


def _check_text(pointer: str, text: str, most: int) -> list[FieldError]:
    if len(text) > most:
        return [FieldError(pointer, "too_long", f"{pointer} has {len(text)} characters; the limit is {most}.")]
    if "\0" in text:
        return [FieldError(pointer, "control_character", f"Remove U+0000 NUL from {pointer}.")]
    return []
