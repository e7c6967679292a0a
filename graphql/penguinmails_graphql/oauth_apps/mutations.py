"""Register, change, approve and delete OAuth apps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import apps, apps_repository
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, fresh_caller_of
from penguinmails_graphql.oauth_apps.inputs import CreateOAuthAppInput, UpdateOAuthAppInput
from penguinmails_graphql.oauth_apps.resolvers import app_id_of, self_registered
from penguinmails_graphql.oauth_apps.types import OAuthApp
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload

WRITE = Scope.OAUTH_APPS_WRITE
DEFAULT_OVERLAP = int(apps.DEFAULT_OVERLAP.total_seconds())
MAX_OVERLAP = int(apps.MAX_OVERLAP.total_seconds())
Made = tuple[models.OAuthApp, str | None]
Judge = Callable[[AsyncSession, Principal, models.OAuthApp | None], Awaitable[models.OAuthApp]]


@strawberry.type(name="OAuthAppPayload")
class OAuthAppPayload:
    oauth_app: OAuthApp


@strawberry.type(
    name="OAuthAppSecretPayload",
    description="Keep the secret: it is shown this once. Null for public apps, and in a replay by idempotency key.",
)
class OAuthAppSecretPayload:
    oauth_app: OAuthApp
    client_secret: str | None


@strawberry.type
class OAuthAppsMutation:
    @strawberry.mutation(description="People of any organization can let it in, each with what they choose.")
    async def create_oauth_app(
        self, info: Info, input: CreateOAuthAppInput, idempotency_key: IdempotencyKey = None
    ) -> OAuthAppSecretPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        values = input.values()

        async def work(session: AsyncSession) -> Made:
            return await apps.create(session, caller, values)

        return await _secret(info, "createOauthApp", idempotency_key, values, work)

    @strawberry.mutation(description="Fewer scopes count at once, for tokens that are out as well.")
    async def update_oauth_app(self, info: Info, input: UpdateOAuthAppInput) -> OAuthAppPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        app_id, values = app_id_of(input.id), input.values()

        async def work(session: AsyncSession) -> models.OAuthApp:
            return await apps.update(session, caller, app_id, values)

        return OAuthAppPayload(oauth_app=OAuthApp.of(await info.context.write(work, TOKENS)))

    @strawberry.mutation(description="Ends every token of it, in every organization that let it in.")
    async def delete_oauth_app(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, app_id = await fresh_caller_of(info, WRITE), app_id_of(id)

        async def work(session: AsyncSession) -> models.OAuthApp:
            return await apps.delete(session, caller, app_id)

        app = await info.context.write(work)
        services = info.context.services
        await apps_repository.revoke_grants_everywhere(services.database.worker, app.id, "app_deleted")
        services.doorbell.ring(TOKENS)
        return DeletedPayload(id=id)

    @strawberry.mutation(description="A new secret; the one before works for `overlapSeconds` more, at most 7 days.")
    async def rotate_oauth_app_secret(
        self,
        info: Info,
        id: strawberry.ID,
        overlap_seconds: Annotated[int, strawberry.argument(description="0 ends it at once.")] = DEFAULT_OVERLAP,
        idempotency_key: IdempotencyKey = None,
    ) -> OAuthAppSecretPayload | None:
        caller, app_id = await fresh_caller_of(info, WRITE), app_id_of(id)
        if not 0 <= overlap_seconds <= MAX_OVERLAP:
            detail = f"`overlap_seconds` must be 0 to {MAX_OVERLAP} (7 days)."
            raise Unprocessable(detail, errors=[FieldError("/overlap_seconds", "out_of_range", detail)])

        async def work(session: AsyncSession) -> Made:
            return await apps.rotate_secret(session, caller, app_id, timedelta(seconds=overlap_seconds))

        asked = {"id": str(id), "overlap_seconds": overlap_seconds}
        return await _secret(info, "rotateOauthAppSecret", idempotency_key, asked, work)

    @strawberry.mutation(
        description="For owners who are signed in: an app that registered itself may ask for all of `requestedScopes`."
    )
    async def approve_oauth_app(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> OAuthAppPayload | None:
        return await _judge(info, "approveOauthApp", id, idempotency_key, apps.approve)

    @strawberry.mutation(description="What it has here shrinks to `scopes` at once, for tokens that are out as well.")
    async def unapprove_oauth_app(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> OAuthAppPayload | None:
        return await _judge(info, "unapproveOauthApp", id, idempotency_key, apps.withdraw_approval, TOKENS)


async def _judge(
    info: Info, mutation: str, node_id: strawberry.ID, key: str | None, judge: Judge, *ring: str
) -> OAuthAppPayload:
    caller, app_id = await fresh_caller_of(info, WRITE), app_id_of(node_id)
    found = await self_registered(info, app_id)

    async def shown(session: AsyncSession, app: models.OAuthApp) -> OAuthApp:
        return OAuthApp.of(app, await apps.is_approved(session, caller, app))

    async def work(session: AsyncSession) -> OAuthApp:
        return await shown(session, await judge(session, caller, found))

    async def load(session: AsyncSession, _: str) -> OAuthApp:
        return await shown(session, found or await apps.get(session, caller, app_id))

    asked = {"id": str(node_id)}
    app = await once(info.context, mutation, key, asked, work, *ring, name=lambda _: str(node_id), load=load)
    return OAuthAppPayload(oauth_app=app)


async def _secret(
    info: Info,
    mutation: str,
    key: str | None,
    asked: dict[str, Any],
    work: Callable[[AsyncSession], Awaitable[Made]],
) -> OAuthAppSecretPayload:
    caller = info.context.principal

    async def load(session: AsyncSession, name: str) -> Made:
        return await apps.get(session, caller, ids.decode(Prefix.OAUTH_APP, name)), None

    def name_of(made: Made) -> str:
        return ids.encode(Prefix.OAUTH_APP, made[0].id)

    row, secret = await once(info.context, mutation, key, asked, work, name=name_of, load=load)
    return OAuthAppSecretPayload(oauth_app=OAuthApp.of(row), client_secret=secret)
