"""Make, change, rotate, derive and revoke API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.api_keys import service
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS, KEYS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.api_keys.inputs import CreateApiKeyInput, DeriveApiKeyInput, UpdateApiKeyInput
from penguinmails_graphql.api_keys.types import ApiKey
from penguinmails_graphql.context import Info, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import uuid_of

WRITE = Scope.API_KEYS_WRITE
Made = tuple[models.ApiKey, str | None]
DEFAULT_OVERLAP = int(service.DEFAULT_OVERLAP.total_seconds())


@strawberry.type
class ApiKeyPayload:
    api_key: ApiKey


@strawberry.type(description="Keep the secret: it is shown this once, and null in a replay by idempotency key.")
class ApiKeySecretPayload:
    api_key: ApiKey
    secret: str | None


@strawberry.type
class ApiKeysMutation:
    @strawberry.mutation(description="A key can do at most what its maker can.")
    async def create_api_key(
        self, info: Info, input: CreateApiKeyInput, idempotency_key: IdempotencyKey = None
    ) -> ApiKeySecretPayload | None:
        caller, values = await fresh_caller_of(info, WRITE), input.values()

        async def work(session: AsyncSession) -> Made:
            return await service.create(session, caller, values)

        return await _secret(info, "createApiKey", idempotency_key, values, work, EVENTS)

    @strawberry.mutation(
        description="A child that does less and lives shorter: never more than its parent, and ends with it."
    )
    async def derive_api_key(
        self, info: Info, input: DeriveApiKeyInput, idempotency_key: IdempotencyKey = None
    ) -> ApiKeySecretPayload | None:
        caller, values = await fresh_caller_of(info, WRITE), input.values()
        parent_id = _key_id(input.parent_id)

        async def work(session: AsyncSession) -> Made:
            return await service.derive(session, caller, parent_id, values)

        asked = values | {"parent_id": parent_id}
        return await _secret(info, "deriveApiKey", idempotency_key, asked, work, EVENTS)

    @strawberry.mutation(description="A new secret; the one before works for `overlapSeconds` more.")
    async def rotate_api_key(
        self,
        info: Info,
        id: strawberry.ID,
        overlap_seconds: Annotated[
            int, strawberry.argument(description="At most 7 days. 0 ends all earlier secrets: use it after a leak.")
        ] = DEFAULT_OVERLAP,
        idempotency_key: IdempotencyKey = None,
    ) -> ApiKeySecretPayload | None:
        caller, key_id = await fresh_caller_of(info, WRITE), _key_id(id)

        async def work(session: AsyncSession) -> Made:
            return await service.rotate(session, caller, key_id, timedelta(seconds=overlap_seconds))

        asked = {"id": key_id, "overlap_seconds": overlap_seconds}
        return await _secret(info, "rotateApiKey", idempotency_key, asked, work, KEYS, EVENTS)

    @strawberry.mutation(
        description="Narrowing and renaming are always possible; widening only within what the caller has."
    )
    async def update_api_key(self, info: Info, input: UpdateApiKeyInput) -> ApiKeyPayload | None:
        caller, key_id, values = await fresh_caller_of(info, WRITE), _key_id(input.id), input.values()

        async def work(session: AsyncSession) -> models.ApiKey:
            return await service.update(session, caller, key_id, values)

        return ApiKeyPayload(api_key=ApiKey.of(await info.context.write(work, KEYS)))

    @strawberry.mutation(description="Ends it, and every key derived from it, at once and for good.")
    async def revoke_api_key(self, info: Info, id: strawberry.ID) -> ApiKeyPayload | None:
        caller, key_id = await fresh_caller_of(info, WRITE), _key_id(id)

        async def work(session: AsyncSession) -> models.ApiKey:
            return await service.revoke(session, caller, key_id)

        return ApiKeyPayload(api_key=ApiKey.of(await info.context.write(work, KEYS, EVENTS)))


def _key_id(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.API_KEY, node_id, "API key")


async def _secret(
    info: Info,
    mutation: str,
    key: str | None,
    asked: dict[str, Any],
    work: Callable[[AsyncSession], Awaitable[Made]],
    *ring: str,
) -> ApiKeySecretPayload:
    caller = info.context.principal

    async def load(session: AsyncSession, name: str) -> Made:
        return await service.get(session, caller, ids.decode(Prefix.API_KEY, name)), None

    def name_of(made: Made) -> str:
        return ids.encode(Prefix.API_KEY, made[0].id)

    row, secret = await once(info.context, mutation, key, asked, work, *ring, name=name_of, load=load)
    return ApiKeySecretPayload(api_key=ApiKey.of(row), secret=secret)
