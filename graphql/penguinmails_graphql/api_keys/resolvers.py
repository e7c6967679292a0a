"""`apiKeys`, `apiKey` and `apiKeyPresets`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.presets import PRESETS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.api_keys.types import ApiKey, ApiKeyPreset, ApiKeyStatus
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of, workspace_of


@strawberry.input(description="All that are given must match. A key sees keys of its own mode only.")
class ApiKeyFilterInput:
    mode: Mode | None = None
    status: ApiKeyStatus | None = None
    workspace_id: strawberry.ID | None = None


@strawberry.type
class ApiKeysQuery:
    @strawberry.field(description="API keys, the newest first, ended ones too until 90 days after.")
    async def api_keys(
        self,
        info: Info,
        filter: ApiKeyFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[ApiKey]:
        caller, page = caller_of(info, Scope.API_KEYS_READ), page_of(first, after, last, before)
        wanted = filter or ApiKeyFilterInput()
        caller = caller.inside(workspace_of(wanted))

        async def work(session: AsyncSession) -> tuple[list[models.ApiKey], bool]:
            return await service.list_keys(
                session,
                caller,
                mode=wanted.mode,
                status=wanted.status,
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, ApiKey.of, lambda row: row.id)

    @strawberry.field(description="One key, with its limits and last use, never its secret.")
    async def api_key(self, info: Info, id: strawberry.ID) -> ApiKey:
        return await fetch_api_key(info, id)

    @strawberry.field(description="Named bundles, for those who do not want to pick scopes one by one.")
    async def api_key_presets(self, info: Info) -> list[ApiKeyPreset]:
        caller = caller_of(info, Scope.API_KEYS_READ)
        return [ApiKeyPreset.of(preset, caller.scopes) for preset in PRESETS]


async def fetch_api_key(info: Info, node_id: strawberry.ID) -> ApiKey:
    caller, key_id = caller_of(info, Scope.API_KEYS_READ), uuid_of(Prefix.API_KEY, node_id, "API key")

    async def work(session: AsyncSession) -> models.ApiKey:
        return await service.get(session, caller, key_id)

    return ApiKey.of(await info.context.read(work))
