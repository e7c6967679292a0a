"""Ask for a replay, and end one."""

from __future__ import annotations

from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import REPLAYS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_replays import service
from penguinmails_core.webhook_replays.service import Only, Replay, Wish
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import argument_id, bounded, uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.webhook_replays.types import WebhookReplay, WebhookReplayOnly
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns

WRITE = Scope.WEBHOOK_ENDPOINTS_WRITE
_MAX_TYPES = 100


@strawberry.input(description="What is sent once more: one event, or those of a time.")
class ReplayWebhookEndpointInput:
    endpoint_id: strawberry.ID
    event_id: strawberry.ID | None = strawberry.field(default=None, description="This event only.")
    only: WebhookReplayOnly | None = strawberry.field(default=None, description="Left out: `MISSING`.")
    since: DateTime | None = strawberry.field(default=None, description="Left out: since the endpoint was made.")
    until: DateTime | None = strawberry.field(default=None, description="Left out: up to now.")
    types: list[str] | None = strawberry.field(default=None, description="Of what the endpoint asks for, only these.")

    def wish(self) -> Wish:
        """Raises `Unprocessable` naming the fields."""
        event_id = argument_id(Prefix.EVENT, self.event_id, "/input/eventId")
        if event_id is not None:
            if any(value is not None for value in (self.only, self.since, self.until, self.types)):
                detail = "Give `eventId`, or `only`, `since`, `until` and `types`, not both."
                raise Unprocessable(detail, errors=[FieldError("/input/eventId", "conflict", detail)])
            return Wish(event_id=event_id)
        types: list[str] = []
        if self.types is not None:
            bounded(self.types, _MAX_TYPES, "/input/types")
            try:
                types = validate_patterns(self.types, pointer="/input/types")
            except InvalidPatterns as error:
                raise Unprocessable(error.errors[0].detail, errors=error.errors) from None
        return Wish(None, Only(str(self.only or Only.MISSING)), self.since, self.until, types)


@strawberry.type
class WebhookReplayPayload:
    webhook_replay: WebhookReplay


@strawberry.type
class WebhookReplaysMutation:
    @strawberry.mutation(description="Send what the endpoint has missed, or one event, or all, once more.")
    async def replay_webhook_endpoint(
        self, info: Info, input: ReplayWebhookEndpointInput, idempotency_key: IdempotencyKey = None
    ) -> WebhookReplayPayload | None:
        caller, wish = caller_of(info, WRITE), input.wish()
        endpoint_id = uuid_of(Prefix.WEBHOOK_ENDPOINT, input.endpoint_id, "webhook endpoint")

        async def work(session: AsyncSession) -> Replay:
            return await service.create(session, caller, endpoint_id, wish)

        async def load(session: AsyncSession, name: str) -> Replay:
            return await service.get(session, caller, UUID(name))

        asked = {
            "endpoint_id": str(endpoint_id),
            "event_id": str(wish.event_id),
            "only": str(wish.only),
            "since": wish.since,
            "until": wish.until,
            "types": list(wish.types),
        }
        made = await once(
            info.context,
            "replayWebhookEndpoint",
            idempotency_key,
            asked,
            work,
            REPLAYS,
            name=lambda replay: str(replay.row.id),
            load=load,
        )
        return WebhookReplayPayload(webhook_replay=WebhookReplay.of(made))

    @strawberry.mutation(description="Nothing more of it is sent, but for the few deliveries that are due already.")
    async def cancel_webhook_replay(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> WebhookReplayPayload | None:
        caller, replay_id = caller_of(info, WRITE), uuid_of(Prefix.WEBHOOK_REPLAY, id, "replay")

        async def work(session: AsyncSession) -> Replay:
            return await service.cancel(session, caller, replay_id)

        async def load(session: AsyncSession, _: str) -> Replay:
            return await service.get(session, caller, replay_id)

        done = await once(
            info.context,
            "cancelWebhookReplay",
            idempotency_key,
            {"id": ids.encode(Prefix.WEBHOOK_REPLAY, replay_id)},
            work,
            name=lambda _: str(id),
            load=load,
        )
        return WebhookReplayPayload(webhook_replay=WebhookReplay.of(done))
